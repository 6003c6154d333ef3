"""Keys of servers: taken from the environment or a file, sent in a header, shown nowhere."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

HIDDEN = "[key]"
"""What stands in place of a key in all that a server says."""

SHORTEST_KEY = 4
"""A shorter key is no secret, and would hide half of every text."""

_PLAIN = re.compile(r"[\x21-\x7e]+")


class Key:
    """A secret that prints as where it came from.

    Parameters
    ----------
    origin : str
        ``$NAME`` or the file's name, for messages.
    secret : str
        The key itself.

    Raises
    ------
    ValueError
        With a sentence, where the secret is empty, short, or holds blanks or control characters.
    """

    __slots__ = ("_secret", "origin")

    def __init__(self, origin: str, secret: str) -> None:
        if not secret:
            raise ValueError(f"{origin} is empty")
        if not _PLAIN.fullmatch(secret):
            raise ValueError(f"{origin} holds blanks or characters that no header takes")
        if len(secret) < SHORTEST_KEY:
            raise ValueError(f"{origin} is shorter than {SHORTEST_KEY} characters")
        self.origin = origin
        self._secret = secret

    def __repr__(self) -> str:
        return f"Key({self.origin})"

    def header(self) -> str:
        """Give the value of the ``Authorization`` header."""
        return f"Bearer {self._secret}"

    def hide(self, text: str) -> str:
        """Replace the key wherever a text repeats it."""
        return text.replace(self._secret, HIDDEN)


def key_from_environment(name: str) -> Key:
    """Take a key from an environment variable.

    Raises
    ------
    ValueError
        Where the variable is not set, or as `Key`.
    """
    secret = os.environ.get(name)
    if secret is None:
        raise ValueError(f"the environment has no variable {name}")
    return Key(f"${name}", secret.strip())


def key_from_file(path: str | os.PathLike[str]) -> Key:
    """Take a key from the only line of a file.

    Raises
    ------
    ValueError
        Where the file cannot be read, or as `Key`.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ValueError(f"the key file {os.fspath(path)} cannot be read ({reason})") from None
    return Key(os.fspath(path), text.strip())


def hide_keys(text: str, keys: Iterable[Key]) -> str:
    """Replace every key wherever a text repeats it."""
    for key in keys:
        text = key.hide(text)
    return text
