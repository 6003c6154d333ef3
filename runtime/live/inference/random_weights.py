"""A transformer with random weights on a GPU: what it says means nothing, what it costs is real."""

from __future__ import annotations

import threading
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
        layers = max(1, int(min(model.memory_gb, MOST_GB) * 1e9 / BYTES_A_LAYER))
        self._longest = int(model.token_mean or USUAL_TOKENS)
        self._device = device
        self._lock = threading.Lock()
        generator = torch.Generator(device=device).manual_seed(0)

        def weights(*shape: int) -> torch.Tensor:
            made = torch.randn(shape, generator=generator, device=device, dtype=torch.float32)
            return (made * shape[-1] ** -0.5).to(torch.float16 if "cuda" in device else made.dtype)

        self._embedding = weights(VOCABULARY, WIDTH)
        self._layers = [
            (weights(3 * WIDTH, WIDTH), weights(WIDTH, WIDTH), weights(4 * WIDTH, WIDTH),
             weights(WIDTH, 4 * WIDTH))
            for _ in range(layers)
        ]  # fmt: skip

    def answer(self, asked: Asked) -> str:
        """Decode as many tokens as the call asks for, and write their numbers."""
        wanted = asked.body.get("max_tokens", self._longest)
        if not isinstance(wanted, int) or not 1 <= wanted <= 100_000:
            raise ValueError("max_tokens must be a whole number from 1 to 100000")
        prompt = [byte % VOCABULARY for byte in asked.text.encode()[-512:]] or [0]
        # One decoding at a time: threads of one process share its stream anyway.
        with self._lock, torch.inference_mode():
            return " ".join(map(str, self._decode(prompt, wanted)))

    def _decode(self, prompt: list[int], wanted: int) -> list[int]:
        caches: list[tuple[torch.Tensor, torch.Tensor] | None] = [None] * len(self._layers)
        tokens = torch.tensor(prompt, device=self._device)
        made: list[int] = []
        for _ in range(wanted):
            hidden = self._embedding[tokens]
            for i, layer in enumerate(self._layers):
                hidden, caches[i] = _layer(hidden, layer, caches[i])
            tokens = (hidden[-1:] @ self._embedding.T).argmax(-1)
            made.append(int(tokens[0]))
        return made


def _layer(
    hidden: torch.Tensor,
    weights: tuple[torch.Tensor, ...],
    cache: tuple[torch.Tensor, torch.Tensor] | None,
) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Attention over all tokens so far, and two matrices; shapes (tokens, WIDTH)."""
    mix, out, up, down = weights
    functional = torch.nn.functional
    normed = functional.layer_norm(hidden, (WIDTH,))
    parts = (normed @ mix.T).view(len(hidden), 3, HEADS, WIDTH // HEADS)
    query, key, value = (parts[:, i].transpose(0, 1) for i in range(3))
    if cache is not None:
        key, value = torch.cat((cache[0], key), 1), torch.cat((cache[1], value), 1)
    seen = functional.scaled_dot_product_attention(
        query[None], key[None], value[None], is_causal=cache is None
    )[0]
    hidden = hidden + seen.transpose(0, 1).reshape(len(hidden), WIDTH) @ out.T
    normed = functional.layer_norm(hidden, (WIDTH,))
    return hidden + functional.gelu(normed @ up.T) @ down.T, (key, value)
