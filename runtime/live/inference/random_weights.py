"""A transformer with random weights on a GPU: what it says means nothing, what it costs is real.

One step of decoding is a CUDA graph, as serving engines have it: launched one by one, its hundreds
of kernels would wait for Python and leave the GPU idle.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch

from placement.problem.workload import Model
from runtime.live.kinds import Kind
from runtime.live.replies import Asked

WIDTH, HEADS, VOCABULARY = 1024, 16, 4096
BYTES_A_LAYER = 12 * WIDTH * WIDTH * 2
MOST_GB = 2.0
"""Weights are made for the model's memory, but for no more than this."""

USUAL_TOKENS = 32
"""Tokens of an answer where neither the call nor the model says."""

PROMPT, PLACES = 512, 4096
"""Most tokens of a prompt, of which the end is read, and of prompt and answer together."""

STRETCH = 256
"""A step attends to a whole number of these; there is a graph for each."""


class RandomWeights:
    """A decoder with a cache of keys and values, one token after the other.

    Parameters
    ----------
    model : Model
        Its `memory_gb` says how many layers there are, its `token_mean` how long answers are.
    gpu : int
        Number of the GPU; more than there are begin anew at 0.
    device : str, optional
        Where PyTorch runs it, in place of a GPU.

    Raises
    ------
    ValueError
        Where there is no GPU.
    """

    kind: Kind = "chat"
    body: dict[str, Any] = {}  # noqa: RUF012
    output = None

    def __init__(self, model: Model, gpu: int, device: str | None = None) -> None:
        if device is None:
            if not torch.cuda.is_available():
                raise ValueError("PyTorch finds no GPU; leave out --real gpu, or use --real cpu")
            device = f"cuda:{gpu % torch.cuda.device_count()}"
            torch.cuda.set_device(device)
        layers = max(1, int(min(model.memory_gb, MOST_GB) * 1e9 / BYTES_A_LAYER))
        self._longest = min(int(model.token_mean or USUAL_TOKENS), PLACES - PROMPT)
        self._device = device
        self._lock = threading.Lock()
        kind = torch.float16 if "cuda" in device else torch.float32
        generator = torch.Generator(device=device).manual_seed(0)

        def weights(*shape: int) -> torch.Tensor:
            made = torch.randn(shape, generator=generator, device=device, dtype=torch.float32)
            return (made * shape[-1] ** -0.5).to(kind)

        self._embedding = weights(VOCABULARY, WIDTH)
        self._layers = [
            (weights(3 * WIDTH, WIDTH), weights(WIDTH, WIDTH), weights(4 * WIDTH, WIDTH),
             weights(WIDTH, 4 * WIDTH))
            for _ in range(layers)
        ]  # fmt: skip
        shape = (layers, 2, HEADS, PLACES, WIDTH // HEADS)
        self._cache = torch.zeros(shape, device=device, dtype=kind)
        self._token = torch.zeros(1, dtype=torch.long, device=device)
        self._at = torch.zeros(1, dtype=torch.long, device=device)
        self._steps: dict[int, Callable[[], None]] = {}
        with torch.inference_mode():
            # So that no usual call pays for kernels that are loaded and graphs made.
            for length in range(STRETCH, PROMPT + self._longest + STRETCH, STRETCH):
                self._step_over(length)
            self._decode([0] * PROMPT, self._longest)

    def answer(self, asked: Asked) -> str:
        """Decode as many tokens as the call asks for, and write their numbers."""
        most = PLACES - PROMPT
        wanted = asked.body.get("max_tokens", self._longest)
        if not isinstance(wanted, int) or not 1 <= wanted <= most:
            raise ValueError(f"max_tokens must be a whole number from 1 to {most}")
        prompt = [byte % VOCABULARY for byte in asked.text.encode()[-PROMPT:]] or [0]
        with self._lock, torch.inference_mode():
            return " ".join(map(str, self._decode(prompt, wanted)))

    def _decode(self, prompt: list[int], wanted: int) -> list[int]:
        """Read the prompt at once, then make one token a step."""
        places = torch.arange(len(prompt), device=self._device)
        self._at.fill_(len(prompt))
        self._token.copy_(self._next(torch.tensor(prompt, device=self._device), places, PROMPT))
        made = [int(self._token)]
        for length in range(len(prompt) + 1, len(prompt) + wanted):
            self._step_over(-(-length // STRETCH) * STRETCH)()
            made.append(int(self._token))
        return made

    def _step_over(self, length: int) -> Callable[[], None]:
        """A step that attends to so many places, as a graph where there is a GPU."""
        if length not in self._steps:
            self._steps[length] = self._made_step(length)
        return self._steps[length]

    def _made_step(self, length: int) -> Callable[[], None]:
        def step() -> None:
            self._token.copy_(self._next(self._token, self._at, length))
            self._at.add_(1)

        if "cuda" not in self._device:
            return step
        token, at = self._token.clone(), self._at.clone()

        def restore() -> None:
            self._token.copy_(token)
            self._at.copy_(at)

        beside, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(3):
                step()
                restore()
        torch.cuda.current_stream().wait_stream(beside)
        with torch.cuda.graph(graph):
            step()
        restore()

        def replay() -> None:
            graph.replay()

        return replay

    def _next(self, tokens: torch.Tensor, places: torch.Tensor, length: int) -> torch.Tensor:
        """The likeliest token after these, shape (1,); the cache has their keys then."""
        hidden = self._embedding[tokens]
        seen = torch.arange(length, device=self._device) <= places[:, None]
        for layer, cache in zip(self._layers, self._cache, strict=True):
            hidden = _layer(hidden, layer, cache, places, seen)
        return (hidden[-1:] @ self._embedding.T).argmax(-1)


def _layer(
    hidden: torch.Tensor,
    weights: tuple[torch.Tensor, ...],
    cache: torch.Tensor,
    places: torch.Tensor,
    seen: torch.Tensor,
) -> torch.Tensor:
    """Attention over all tokens so far, and two matrices.

    Parameters
    ----------
    hidden : Tensor, shape (tokens, WIDTH)
    weights : tuple of Tensor
    cache : Tensor, shape (2, HEADS, PLACES, WIDTH / HEADS)
        Keys and values of all places; those of these tokens are written.
    places : Tensor of int, shape (tokens,)
        Where the tokens stand.
    seen : Tensor of bool, shape (tokens, length)
        The places that each attends to.
    """
    mix, out, up, down = weights
    functional = torch.nn.functional
    normed = functional.layer_norm(hidden, (WIDTH,))
    parts = (normed @ mix.T).view(len(hidden), 3, HEADS, WIDTH // HEADS)
    query, key, value = (parts[:, i].transpose(0, 1) for i in range(3))
    cache[0].index_copy_(1, places, key)
    cache[1].index_copy_(1, places, value)
    keys, values = cache[:, :, : seen.shape[1]]
    found = functional.scaled_dot_product_attention(
        query[None], keys[None], values[None], attn_mask=seen
    )[0]
    hidden = hidden + found.transpose(0, 1).reshape(len(hidden), WIDTH) @ out.T
    normed = functional.layer_norm(hidden, (WIDTH,))
    return hidden + functional.gelu(normed @ up.T) @ down.T
