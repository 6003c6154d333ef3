"""The page on Python and the notebook run as they stand, and show what they say they show."""

from __future__ import annotations

import ast
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from docs.notebook import NOTEBOOK, executed, notebook_text

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "python.md"
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_the_page_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block, in one session; what stands beside an expression is what it shows."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    shown = 0
    blocks = BLOCK.findall(PAGE.read_text())
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
        for line in block.splitlines():
            said = re.fullmatch(r"(\w+) +# (<.*>)", line)
            if said:
                shown += 1
                assert repr(names[said[1]]) == said[2]
    assert len(blocks) > 5
    assert shown == 3
    assert {p.name for p in tmp_path.iterdir()} >= {"plan.yaml", "log.parquet", "timeline.json"}


def test_the_first_block_is_five_lines() -> None:
    """One line of imports, and five that read, solve, write, simulate and print."""
    lines = [line for line in BLOCK.findall(PAGE.read_text())[0].splitlines() if line]
    assert lines[0] == "import placement, runtime"
    assert len(lines) == 6
    assert len(ast.parse("\n".join(lines)).body) == 6


def test_the_notebook_shows_what_it_runs() -> None:
    """Its cells give the outputs that it holds; `make docs` writes them."""
    text = NOTEBOOK.read_text()
    cells = json.loads(text)["cells"]
    assert sum(bool(c.get("outputs")) for c in cells) > 5
    assert notebook_text(executed(json.loads(text))) == text, "tour.ipynb is stale: run `make docs`"
