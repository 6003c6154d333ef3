"""Models of LiteLLM and llama-swap."""

from __future__ import annotations

from placement.importing.gateways import (
    import_litellm,
    import_llama_swap,
    is_litellm,
    is_llama_swap,
)
from tests.placement.importing.samples import LITELLM, SWAP


def test_litellm_gives_models_of_ones_own_servers_and_no_keys() -> None:
    """Entries of one name are one model; others' services and settings are named."""
    assert is_litellm(LITELLM)
    found = import_litellm(LITELLM)
    assert found.models == {
        "chat": {
            "name": "chat", "type": "llm", "max_concurrency": 8,
            "serve": {"hf_id": "org/Chat-8B"},
        },
        "embed": {"name": "embed", "type": "embedding", "serve": {"hf_id": "e5"}},
    }  # fmt: skip
    assert set(found.notes) == {
        "'big' is served by others (anthropic), and needs no GPU here",
        "model_list: entries without model_name and litellm_params.model",
        "litellm_params.rpm has no counterpart",
        "'chat' has 2 servers; how many there are is for the plan to say",
        "router_settings has no counterpart",
        "general_settings has no counterpart",
    }
    assert "sk-" not in repr(found)


def test_llama_swap_gives_models_with_their_commands() -> None:
    """Macros are filled in, the port becomes a gap, and what a command says is taken."""
    assert is_llama_swap(SWAP)
    found = import_llama_swap(SWAP)
    qwen, big, pair = (found.models[name] for name in ("qwen", "big", "pair"))
    assert qwen["serve"]["command"] == [
        "llama-server", "--port", "{port}", "-ngl", "99", "-m", "/models/qwen.gguf",
        "--parallel", "4",
    ]  # fmt: skip
    assert qwen["serve"]["health"] == "/ready"
    assert qwen["max_concurrency"] == 4
    assert (big["name"], big["gpus_required"]) == ("Big one", 2)
    assert big["serve"]["command"][-1] == '{"a": 1}'
    assert pair["gpus_required"] == 2
    notes = " ".join(found.notes)
    for word in ("ttl", "groups", "${unknown}", "unlisted", "keys in commands"):
        assert word in notes
    assert "sk-" not in repr(found)
