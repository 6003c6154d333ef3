"""Files of other tools, as small as they get."""

from __future__ import annotations

from typing import Any

SERVER: dict[str, Any] = {
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "xl.safetensors"}},
    "10": {
        "class_type": "LoraLoader",
        "inputs": {"lora_name": "ink", "model": ["4", 0], "clip": ["4", 1]},
    },
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 1024, "height": 1024}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox", "clip": ["10", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blur", "clip": ["10", 1]}},
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 1, "model": ["10", 0], "positive": ["6", 0], "negative": ["7", 0],
            "latent_image": ["5", 0],
        },
    },
    "11": {"class_type": "VAELoader", "inputs": {"vae_name": "fine.vae"}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["11", 0]}},
    "12": {"class_type": "UpscaleModelLoader", "inputs": {"model_name": "x4.pth"}},
    "13": {"class_type": "ImageScaleBy", "inputs": {"image": ["8", 0], "scale_by": 0.5}},
    "14": {
        "class_type": "ImageUpscaleWithModel",
        "inputs": {"upscale_model": ["12", 0], "image": ["13", 0]},
    },
    "15": {"class_type": "MagicRelight", "inputs": {"image": ["14", 0]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["15", 0]}},
}  # fmt: skip
"""The usual graph from a text to a picture, with an adapter, and made larger."""

LITELLM: dict[str, Any] = {
    "model_list": [
        {
            "model_name": "chat",
            "litellm_params": {
                "model": "hosted_vllm/org/Chat-8B", "api_base": f"http://gpu{i}:8000/v1",
                "api_key": "sk-secret", "max_parallel_requests": 8, "rpm": 60,
            },
            "model_info": {"mode": "chat"},
        }
        for i in range(2)
    ]
    + [
        {
            "model_name": "embed",
            "litellm_params": {"model": "openai/e5", "api_base": "http://gpu0:8001/v1"},
            "model_info": {"mode": "embedding"},
        },
        {"model_name": "big", "litellm_params": {"model": "anthropic/best", "api_key": "sk-x"}},
        {"model_name": "odd"},
    ],
    "router_settings": {"routing_strategy": "simple-shuffle"},
    "general_settings": {"master_key": "sk-secret"},
}  # fmt: skip

SWAP: dict[str, Any] = {
    "macros": {"server": "llama-server --port ${PORT} ${extra}", "extra": "-ngl 99"},
    "models": {
        "qwen": {
            "cmd": "# the usual\n${server} \\\n  -m /models/qwen.gguf --parallel 4"
            " --api-key sk-secret\n",
            "ttl": 300,
            "checkEndpoint": "/ready",
        },
        "big": {
            "name": "Big one",
            "cmd": "vllm serve org/Big --port ${PORT} --tensor-parallel-size=2 --x '{\"a\": 1}'",
            "proxy": "http://127.0.0.1:${PORT}",
        },
        "pair": {"cmd": "run ${unknown}", "env": ["CUDA_VISIBLE_DEVICES=2,3"], "unlisted": True},
    },
    "groups": {"a": {"swap": True, "members": ["qwen", "big"]}},
}
