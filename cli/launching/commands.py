"""The command that starts a replica: the user's own or the engine's, and its gaps."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from cli.launching import EngineName
from placement.problem.workload import Model, Serving

FIELDS = (
    "model", "id", "gpus", "port", "listen", "memory", "static_memory", "sequences", "server",
    "replica", "adapters",
)  # fmt: skip
"""Gaps of a command."""

GENERATORS = ("", "llm", "vlm", "chat")
EMBEDDERS = ("embedding", "embeddings", "reranker", "rerank")
"""Values of `type` that vLLM and SGLang serve; what else there is, they do not serve as it is."""

_VLLM = (
    "vllm", "serve", "{model}", "--served-model-name", "{id}", "--host", "{listen}",
    "--port", "{port}", "--tensor-parallel-size", "{gpus}", "--gpu-memory-utilization", "{memory}",
)  # fmt: skip
_SGLANG = (
    "python3", "-m", "sglang.launch_server", "--model-path", "{model}",
    "--served-model-name", "{id}", "--host", "{listen}", "--port", "{port}",
    "--tp-size", "{gpus}", "--mem-fraction-static", "{static_memory}",
)  # fmt: skip
_SEQUENCES: dict[EngineName, tuple[str, ...]] = {
    "vllm": ("--max-num-seqs", "{sequences}"),
    "sglang": ("--max-running-requests", "{sequences}"),
}
_EMBED: dict[EngineName, tuple[str, ...]] = {
    "vllm": ("--runner", "pooling"),
    "sglang": ("--is-embedding",),
}

_GAP = re.compile(r"\{([a-z_]*)(\}|$)")


@dataclass(frozen=True, kw_only=True)
class LaunchOptions:
    """How the servers of a plan are to be started.

    Parameters
    ----------
    engine : {"vllm", "sglang"}
        What serves models of which the config says nothing else.
    template : str or None
        A command with the gaps of `FIELDS`, in place of the engine's.
    first_port : int
        Port of the first replica on each server.
    listen : str
        Address that servers listen on.
    image : str or None
        Container image, where the config has none for a model.
    """

    engine: EngineName = "vllm"
    template: str | None = None
    first_port: int = 8000
    listen: str = "127.0.0.1"
    image: str | None = None


def type_of(model: Model | None) -> str:
    """Type of a model in small letters, empty where nothing says it."""
    return "" if model is None else (model.type or "").lower()


def commands_of(
    models: dict[str, Model | None], options: LaunchOptions
) -> dict[str, tuple[str, ...]]:
    """Template of every model's command: its own, else that of all, else the engine's.

    Parameters
    ----------
    models : mapping of str to Model or None
        By name; None where no config says what it is.
    options : LaunchOptions

    Raises
    ------
    ValueError
        Gaps that name nothing, and models that the engine does not serve, all of them.
    """
    of_all = None if options.template is None else _split(options.template)
    found, faults = {}, []
    for name, model in models.items():
        serving = Serving() if model is None else model.serving
        try:
            if serving.command:
                found[name] = _checked((*serving.command, *serving.args), f"models.{name}.serve")
            elif of_all is not None:
                found[name] = (*of_all, *_checked(serving.args, f"models.{name}.serve"))
            else:
                found[name] = _engine_command(name, model, options.engine)
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError("\n".join(faults))
    return found


def _engine_command(name: str, model: Model | None, engine: EngineName) -> tuple[str, ...]:
    kind = type_of(model)
    if kind not in GENERATORS + EMBEDDERS:
        raise ValueError(
            f"models.{name}: {'vLLM' if engine == 'vllm' else 'SGLang'} serves no model of type "
            f"{kind!r} as it is; say what does with serve: {{command: ...}} in the config, or set "
            "its type to llm or embedding"
        )
    words: tuple[str, ...] = _VLLM if engine == "vllm" else _SGLANG
    if kind in EMBEDDERS:
        words += _EMBED[engine]
    if model is None:
        return words
    return (*words, *_SEQUENCES[engine], *_checked(model.serving.args, f"models.{name}.serve"))


def _split(template: str) -> tuple[str, ...]:
    try:
        words = shlex.split(template)
    except ValueError as error:
        raise ValueError(f"--command: {error}; quotes come in pairs") from None
    if not words:
        raise ValueError("--command: is empty; say what starts a replica")
    return _checked(words, "--command")


def _checked(words: Sequence[str], place: str) -> tuple[str, ...]:
    """Refuse gaps that name nothing; braces around anything but a name are no gap."""
    for gap in (gap for word in words for gap in _GAP.finditer(word)):
        if not gap[2]:
            raise ValueError(
                f"{place}: the brace of {gap[0]!r} is not closed; braces come in pairs"
            )
        if gap[1] not in FIELDS:
            known = ", ".join(f"{{{name}}}" for name in FIELDS)
            raise ValueError(f"{place}: {gap[0]} is no gap that is filled; there are {known}")
    return tuple(words)


def filled(template: Sequence[str], values: dict[str, str], replica: int) -> tuple[str, ...]:
    """Words of a command with its gaps filled.

    Parameters
    ----------
    template : sequence of str
        By `commands_of`.
    values : mapping of str to str
        Of every one of the `FIELDS`.
    replica : int
        For messages.

    Raises
    ------
    ValueError
        A name would be taken for an option, or no command line holds it.
    """
    words = tuple(_GAP.sub(lambda gap: values[gap[1]], word) for word in template)
    for gap, word in zip(template, words, strict=True):
        if word.startswith("-") and not gap.startswith("-"):
            raise ValueError(
                f"the command of replica {replica} has {word!r} where a name belongs, and "
                "would take it for an option; rename the model"
            )
        if "\0" in word:
            raise ValueError(
                f"the command of replica {replica} has {word!r}, and no command line can "
                "hold the character 0; rename the model"
            )
    return words
