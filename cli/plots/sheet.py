"""The paper that pictures are drawn on: size, type and how a file is written."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cli.views.palette import FILLS, TEXTURES
from placement.files.atomic import replacing
from placement.files.unread_fields import InputWarning
from runtime.scene import Scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Shown = TypeVar("Shown")

FORMS = ("svg", "png", "pdf")
HATCHES = ("", "///", "---", "+++")
INK, SOFT, RULE = "#16202c", "#55616f", "#dde2e8"

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "grid.color": RULE,
    "hatch.linewidth": 0.35,
    "legend.frameon": False,
    # A name with dollar signs is a name, not a formula.
    "text.parse_math": False,
    # The same picture gives the same bytes.
    "svg.hashsalt": "gswarm-place",
    "svg.fonttype": "path",
}


def picture_form(path: str | os.PathLike[str]) -> str:
    """Form of a picture by the ending of its file.

    Raises
    ------
    ValueError
        The ending is none of `FORMS`.
    """
    form = Path(path).suffix.lstrip(".").lower()
    if form not in FORMS:
        endings = ", ".join(f".{f}" for f in FORMS)
        raise ValueError(f"{path}: a picture ends in one of {endings}; name the file so")
    return form


def write_picture(
    path: str | os.PathLike[str], draw: Callable[[Figure, Shown], None], shown: Shown
) -> None:
    """Draw a scene, or what else `draw` takes, and write it, whole or not at all.

    Parameters
    ----------
    path : path-like
        Its ending says the form: svg, pdf or png.
    draw : callable
        Fills a figure.
    shown : Scene or other
        What `draw` takes.

    Raises
    ------
    ValueError
        The ending of the path is unknown, or matplotlib is not installed.
    """
    form = picture_form(path)
    try:
        import matplotlib as mpl  # an optional extra, and slow to import
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError(
            "pictures need matplotlib, which is not installed; "
            "install it with: pip install 'gswarm-place[plots]'"
        ) from error
    metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[
        form
    ]
    with warnings.catch_warnings(record=True) as found:
        # Of what the library warns, only this says what to do; the rest the picture itself shows.
        warnings.simplefilter("always")
        with mpl.rc_context(STYLE), replacing(path) as temporary:
            figure = Figure(layout="constrained")
            draw(figure, shown)
            figure.savefig(temporary, format=form, dpi=160, metadata=metadata, facecolor="white")
    if any("missing from font" in str(w.message) for w in found):
        warnings.warn(
            InputWarning(
                f"{os.fspath(path)}: the font {STYLE['font.family']} lacks characters of some "
                "names, which are drawn as boxes; `report` shows them all"
            ),
            stacklevel=2,
        )


def model_look(scene: Scene, model: int) -> dict[str, Any]:
    """Fill and hatch of a model, the same colours as in the report."""
    rank = int(scene.work_rank[model])
    return {
        "facecolor": FILLS[rank % len(FILLS)],
        "hatch": HATCHES[rank // len(FILLS) % TEXTURES],
    }
