"""Text in pictures by PP-OCR (Apache 2.0) in ONNX Runtime; RapidOCR ships the weights."""

from __future__ import annotations

import base64
import binascii
import io
import logging
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from rapidocr import RapidOCR

from runtime.live.kinds import Kind
from runtime.live.replies import Asked

MOST_PIXELS = 4_000_000
"""Larger pictures are refused: they would take minutes on a CPU."""


class Reader:
    """Detects lines of text in a picture, and recognises them."""

    kind: Kind = "json"
    body: dict[str, Any] = {"image": "${input.image}"}  # noqa: RUF012
    output = "text"

    def __init__(self) -> None:
        logging.getLogger("RapidOCR").setLevel(logging.WARNING)
        self._model = RapidOCR(
            params={
                "Global.log_level": "warning",
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            }
        )

    def answer(self, asked: Asked) -> dict[str, Any]:
        """Read a picture that is sent as base64."""
        try:
            raw = base64.b64decode(asked.body.get("image") or "", validate=True)
            picture = Image.open(io.BytesIO(raw))
        except (binascii.Error, TypeError, UnidentifiedImageError):
            raise ValueError("the body has no picture as base64 under 'image'") from None
        if picture.width * picture.height > MOST_PIXELS:
            raise ValueError(f"the picture has more than {MOST_PIXELS:,} pixels")
        found = self._model(np.asarray(picture.convert("RGB")))
        return {
            "text": "\n".join(found.txts or ()),
            "scores": [float(s) for s in found.scores or ()],
        }
