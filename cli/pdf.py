"""A page as PDF, printed by whatever Chromium there is."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE_S = 120.0
"""How long a browser may take to print a page of the largest clusters."""


def browser() -> str:
    """Find a browser that prints.

    Raises
    ------
    ValueError
        There is none; says what to do instead.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise ValueError(
            "--output: a PDF needs Chromium or Chrome on the path, and there is none; write HTML, "
            "and print it from any browser"
        )
    return found


def print_page(page: bytes) -> bytes:
    """Print an HTML page.

    Parameters
    ----------
    page : bytes
        A whole document.

    Returns
    -------
    bytes
        The PDF.

    Raises
    ------
    ValueError
        There is no browser, or it fails; says what it said.
    """
    command = [browser(), "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    with tempfile.TemporaryDirectory(prefix="gswarm-place-") as name:
        folder = Path(name)
        source, made = folder / "page.html", folder / "page.pdf"
        source.write_bytes(page)
        command += [f"--user-data-dir={folder / 'profile'}", f"--print-to-pdf={made}"]
        done = subprocess.run(
            [*command, source.as_uri()], capture_output=True, text=True, timeout=PATIENCE_S
        )
        if not made.is_file():
            said = done.stderr.strip().splitlines()[-1:] or ["nothing"]
            raise ValueError(f"--output: the browser made no PDF; it said: {said[0]}")
        return made.read_bytes()
