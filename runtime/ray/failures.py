"""Why something on a Ray cluster failed, in the words of what raised it."""

from __future__ import annotations

import re
from typing import Any


def own_words(error: Exception) -> str:
    """Give an error's own words, without those of Ray around it."""
    cause = getattr(error, "cause", None)
    text = str(cause if isinstance(cause, Exception) else error)
    raised = re.findall(r"(?m)^(?:ValueError|\w*Error): (.+)$", text)
    return " ".join((raised[-1] if raised else text.splitlines()[0]).split())


def why_ended(reference: Any) -> str:
    """Say why an actor ended."""
    import ray

    try:
        ray.get(reference)
    except Exception as error:
        return own_words(error)
    return "it ended"
