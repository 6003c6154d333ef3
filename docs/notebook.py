"""Run the notebook, and write what its cells show into it.

python -m docs.notebook            # runs and writes; `make docs` does the same
python -m docs.notebook --check    # exit code 1 where it shows something else than the run does
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
NOTEBOOK = FOLDER / "tour.ipynb"

Cell = dict[str, Any]


def run_cell(source: str, names: dict[str, Any], number: int) -> list[Cell]:
    """Execute a cell as a notebook does; what it prints, and the value of its last expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    value = None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    outputs: list[Cell] = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"name": "stdout", "output_type": "stream", "text": text})
    if value is not None:
        data = {"text/plain": repr(value).splitlines(keepends=True)}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = value._repr_html_().splitlines(keepends=True)
        outputs.append(
            {
                "data": data,
                "execution_count": number,
                "metadata": {},
                "output_type": "execute_result",
            }
        )
    return outputs


def executed(notebook: Cell) -> Cell:
    """Run all cells of a notebook in order, in a folder of their own beside ``configs``."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells = []
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(FOLDER.parent / "configs", Path(folder) / "configs")
        here = Path(folder) / "docs"
        here.mkdir()
        before = Path.cwd()
        os.chdir(here)
        try:
            number = 0
            for cell in notebook["cells"]:
                if cell["cell_type"] == "code":
                    number += 1
                    outputs = run_cell("".join(cell["source"]), names, number)
                    cell = {**cell, "execution_count": number, "outputs": outputs}
                cells.append(cell)
        finally:
            os.chdir(before)
    return {**notebook, "cells": cells}


def notebook_text(notebook: Cell) -> str:
    """Give a notebook as Jupyter writes it."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> int:
    """Write the notebook, or say that it is not up to date."""
    text = NOTEBOOK.read_text(encoding="utf-8")
    found = notebook_text(executed(json.loads(text)))
    if "--check" in sys.argv[1:]:
        if found != text:
            print(f"{NOTEBOOK.name} is not up to date; run `make docs`")
        return int(found != text)
    NOTEBOOK.write_text(found, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
