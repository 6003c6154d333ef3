"""Models from the configurations of LiteLLM's proxy and of llama-swap."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping
from typing import Any

from placement.importing.imported import Imported

OWN_PROVIDERS = (
    "hosted_vllm", "vllm", "openai", "text-completion-openai", "custom_openai", "huggingface",
    "ollama", "ollama_chat", "llamafile", "lm_studio", "xinference", "infinity", "openai_like",
    "triton",
)  # fmt: skip
"""Providers of LiteLLM that may be servers of one's own, where the entry has an address."""

TYPE_OF_MODE = {
    "chat": "llm",
    "completion": "llm",
    "responses": "llm",
    "embedding": "embedding",
    "rerank": "reranker",
    "image_generation": "diffusion",
    "audio_transcription": "speech",
    "audio_speech": "speech",
}

_LITELLM_MODEL = {"model_name", "litellm_params", "model_info"}
_LITELLM_PARAMS = {"model", "api_base", "base_url", "api_key", "max_parallel_requests"}
_SWAP_MODEL = {"cmd", "name", "description", "aliases", "checkEndpoint", "proxy", "env", "macros"}
_SECRET = re.compile(r"--?[a-z-]*(api[-_]key|token|password|secret)", re.IGNORECASE)
_MACRO = re.compile(r"\$\{([A-Za-z0-9_.-]+)\}")


def is_litellm(data: Any) -> bool:
    """Tell a configuration of LiteLLM's proxy by its list of models."""
    return isinstance(data, dict) and isinstance(data.get("model_list"), list)


def is_llama_swap(data: Any) -> bool:
    """Tell a configuration of llama-swap by models that have commands."""
    models = data.get("models") if isinstance(data, dict) else None
    return (
        isinstance(models, dict)
        and bool(models)
        and all(isinstance(m, dict) and isinstance(m.get("cmd"), str) for m in models.values())
    )


def import_litellm(data: Mapping[str, Any]) -> Imported:
    """Take the models that the proxy sends to servers of one's own; keys are never taken.

    Returns
    -------
    Imported
        A model for each name; entries of one name are replicas of it.
    """
    models: dict[str, dict[str, Any]] = {}
    notes: Counter[str] = Counter()
    replicas: Counter[str] = Counter()
    for entry in data["model_list"]:
        params = entry.get("litellm_params") if isinstance(entry, dict) else None
        name = entry.get("model_name") if isinstance(entry, dict) else None
        source = params.get("model") if isinstance(params, dict) else None
        if not isinstance(name, str) or not isinstance(source, str) or not isinstance(params, dict):
            notes["model_list: entries without model_name and litellm_params.model"] += 1
            continue
        provider, slash, rest = source.partition("/")
        address = params.get("api_base") or params.get("base_url")
        if not address or (slash and provider not in OWN_PROVIDERS):
            notes[f"{name!r} is served by others ({provider}), and needs no GPU here"] += 1
            continue
        for key in sorted(entry.keys() - _LITELLM_MODEL):
            notes[f"model_list: {key} has no counterpart"] += 1
        for key in sorted(params.keys() - _LITELLM_PARAMS):
            notes[f"litellm_params.{key} has no counterpart"] += 1
        replicas[name] += 1
        model = models.setdefault(name, {"name": name})
        model["serve"] = {"hf_id": rest if slash and provider in OWN_PROVIDERS else source}
        info = entry.get("model_info")
        mode = info.get("mode") if isinstance(info, dict) else None
        if mode in TYPE_OF_MODE:
            model["type"] = TYPE_OF_MODE[mode]
        limit = params.get("max_parallel_requests")
        if type(limit) is int and limit > 0:
            model["max_concurrency"] = limit
    for name, count in replicas.items():
        if count > 1:
            notes[f"{name!r} has {count} servers; how many there are is for the plan to say"] += 1
    for key in sorted(data.keys() - {"model_list"}):
        notes[f"{key} has no counterpart"] += 1
    return Imported(models=models, notes=notes)


def import_llama_swap(data: Mapping[str, Any]) -> Imported:
    """Take the models with their commands.

    Returns
    -------
    Imported
        Degrees of parallelism and calls at once are those of the command, where it has them.
    """
    models: dict[str, dict[str, Any]] = {}
    notes: Counter[str] = Counter()
    shared = data.get("macros")
    for own, entry in data["models"].items():
        macros = {**_texts(shared), **_texts(entry.get("macros")), "MODEL_ID": str(own)}
        words, open_macros = _command(entry["cmd"], macros)
        words, keys = _without_keys(words)
        if keys:
            notes["keys in commands are left out; give them by the environment"] += keys
        for macro in open_macros:
            notes[f"${{{macro}}} stays as it is in commands, and no shell fills it in"] += 1
        if entry.get("ttl"):
            notes["ttl: a plan keeps its models loaded, and unloads none"] += 1
        for key in sorted(entry.keys() - _SWAP_MODEL - {"ttl"}):
            notes[f"models: {key} has no counterpart"] += 1
        models[str(own)] = {
            "name": str(entry.get("name") or own),
            **_options(words, _texts_of_list(entry.get("env"))),
            "serve": {"command": words, **_health(entry.get("checkEndpoint"))},
        }
    if isinstance(data.get("groups"), dict):
        notes[
            "groups: which models stay loaded together is for the plan to say, and all it places do"
        ] += len(data["groups"])
    for key in sorted(data.keys() - {"models", "groups", "macros"}):
        notes[f"{key} has no counterpart"] += 1
    return Imported(models=models, notes=notes)


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {str(k): str(v) for k, v in value.items() if isinstance(v, str | int | float)}


def _texts_of_list(value: Any) -> dict[str, str]:
    """Read an environment, which is a list of NAME=VALUE."""
    pairs = [str(v).partition("=") for v in value] if isinstance(value, list) else []
    return {name: text for name, equals, text in pairs if equals}


def _command(text: str, macros: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Words of a command with its macros, and the macros that nothing defines."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = " ".join(line.rstrip().removesuffix("\\") for line in lines)
    for _ in range(len(macros) + 1):  # macros may hold macros, but not themselves
        replaced = _MACRO.sub(lambda found: macros.get(found[1], found[0]), joined)
        if replaced == joined:
            break
        joined = replaced
    joined = joined.replace("${PORT}", "{port}")
    try:
        words = shlex.split(joined)
    except ValueError:
        words = joined.split()
    return words, sorted({found[1] for found in _MACRO.finditer(joined)})


def _without_keys(words: list[str]) -> tuple[list[str], int]:
    """Words without options that hold a secret, and how many there were."""
    kept: list[str] = []
    skip = False
    found = 0
    for word in words:
        name, equals, _ = word.partition("=")
        secret = bool(_SECRET.fullmatch(name))
        found += secret
        if not (skip or secret):
            kept.append(word)
        skip = secret and not equals
    return kept, found


def _options(words: list[str], env: Mapping[str, str]) -> dict[str, Any]:
    """What a command says of its model: GPUs and calls at once."""
    found: dict[str, Any] = {}
    degree = _option(words, "--tensor-parallel-size", "-tp", "--tp-size", "--tp")
    devices = [d for d in env.get("CUDA_VISIBLE_DEVICES", "").split(",") if d.strip()]
    gpus = degree or len(devices)
    if gpus:
        found["gpus_required"] = gpus
    at_once = _option(words, "--parallel", "-np", "--max-num-seqs", "--max-running-requests")
    if at_once:
        found["max_concurrency"] = at_once
    if any(w in ("--embedding", "--embeddings", "--is-embedding") for w in words):
        found["type"] = "embedding"
    return found


def _option(words: list[str], *names: str) -> int | None:
    for i, word in enumerate(words):
        name, equals, joined = word.partition("=")
        if name in names:
            value = joined if equals else (words[i + 1] if i + 1 < len(words) else "")
            return int(value) if value.isdecimal() and int(value) > 0 else None
    return None


def _health(path: Any) -> dict[str, str]:
    known = isinstance(path, str) and re.fullmatch("/[A-Za-z0-9._~/-]*", path)
    return {"health": path} if known else {}
