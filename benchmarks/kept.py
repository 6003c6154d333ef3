"""The kept figures: which command makes each page, and which are older than their code.

    python -m benchmarks.kept                  # every page, and what has changed since it was made
    python -m benchmarks.kept --make [NAME …]  # make these anew, or all that are older

Beside each page in `benchmarks/results` lies the state of the code it was measured on, a digest a
room, in `made.jsonl`. A digest is of the code as Python parses it: comments, docstrings and layout
make no page older. Rows are kept only where making them anew takes long, one a line.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from placement.files.atomic import write_atomically

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
MADE = "made.jsonl"
DIGITS = 7
"""Significant digits of a kept figure: more than any page shows."""

Row = dict[str, Any]
Digests = Mapping[str, str]
"""Room (``placement/solver``, ``runtime``, …) -> digest of its code."""

ROOMS = (
    "generate", "heuristics", "improve", "params", "patterns", "portfolio", "problem", "programs",
    "solver", "support",
)  # fmt: skip
"""What a solve goes through; files are read before it, and judges come after."""

SOLVE = ("placement/*", *(f"placement/{room}" for room in ROOMS), "benchmarks/instances.py")
SIMULATE = ("runtime/*", "runtime/engines", "placement/problem", "placement/files")
BOTH = (*SOLVE, *SIMULATE)


@dataclass(frozen=True)
class Study:
    """One kept page.

    Parameters
    ----------
    name : str
        Of the page, without ``.md``; also of the module in `benchmarks` that makes it.
    rests_on : sequence of str
        Packages, modules, and packages without the rooms in them (``runtime/*``), relative to the
        project, whose change makes the page older.
    minutes : int
        About how long it takes on two cores.
    options : sequence of str
        What the module is called with.
    """

    name: str
    rests_on: Sequence[str]
    minutes: int
    options: Sequence[str] = ()

    @property
    def command(self) -> list[str]:
        """What makes the page, from the project's root."""
        return [sys.executable, "-m", f"benchmarks.{self.name}", *self.options]


OUT = ("--out", "benchmarks/results")
TEN_TIGHT = (
    "--servers", "2", "4", "8", "12", "16", "--loads", "0.75", "--modes", "online",
    "--shapes", "plain",
)  # fmt: skip
"""Ten cases of the suite, which has hundreds."""

STUDIES = (
    Study("limits", SOLVE, 3, OUT),
    Study("repeatability", SOLVE, 5, OUT),
    Study("tight", SOLVE, 9, (*OUT, *TEN_TIGHT)),
    Study("small", (*SOLVE, "benchmarks/tight.py"), 20, OUT),
    Study("ablation", SOLVE, 12, OUT),
    Study("hard", SOLVE, 30, (*OUT, "--limits", "10", "60")),
    Study("scaling", SOLVE, 20, OUT),
    Study("suite", BOTH, 40, (*OUT, "--time-limit", "8")),
    Study("drift", (*BOTH, "cli/adaptive.py"), 5, OUT),
    Study("robustness", (*BOTH, "cli/refine.py"), 30, OUT),
    Study(
        "affinity",
        (*SOLVE, "benchmarks/affinity_bound.py", "benchmarks/affinity_search.py"),
        10,
        OUT,
    ),
    Study("gswarm_data", BOTH, 20, OUT),
    Study("engine", SIMULATE, 12, OUT),
    Study("validation", SIMULATE, 13, OUT),
    Study("hardware", (*SIMULATE, "runtime/calibration"), 1, OUT),
    Study("traces", SIMULATE, 5, OUT),
    Study("live", (*SIMULATE, "runtime/calibration", "runtime/live"), 5, OUT),
    Study("start", (*BOTH, "cli"), 1, OUT),
)


def keep(folder: Path, name: str, page: str, rows: Iterable[Row] | None = None) -> None:
    """Write a page, its rows where they are kept, and the state of the code they rest on.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    rows : iterable of dict, optional
        Written to ``NAME.jsonl``, a row a line, figures to `DIGITS` digits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{name}.md", page)
    if rows is not None:
        write_rows(folder / f"{name}.jsonl", rows)
    made = read_made(folder)
    study = next((s for s in STUDIES if s.name == name), None)
    made[name] = digests(study.rests_on if study else BOTH)
    write_rows(folder / MADE, ({"page": n, "code": dict(made[n])} for n in sorted(made)))


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write the names of the columns, then a row a line, figures to `DIGITS` digits."""
    rows = list(rows)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, *([_short(row.get(c)) for c in columns] for row in rows)]
    write_atomically(
        path, "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines)
    )


def read_rows(path: Path) -> list[Row]:
    """Read what `write_rows` wrote, None for what a row had not; nothing where there is no file."""
    if not path.is_file():
        return []
    columns, *rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [dict(zip(columns, row, strict=True)) for row in rows]


def read_made(folder: Path) -> dict[str, Digests]:
    """Page -> state of the code that it was measured on."""
    return {row["page"]: row["code"] for row in read_rows(folder / MADE)}


def digests(rests_on: Iterable[str], root: Path = ROOT) -> dict[str, str]:
    """Digest of the code of each room; modules beside the rooms are the package's own."""
    rooms: dict[str, set[Path]] = {}
    for given in rests_on:
        path, own = root / given.removesuffix("/*"), given.endswith("/*")
        for file in (path.glob if own else path.rglob)("*.py") if path.is_dir() else [path]:
            inside = file.relative_to(root).parts
            room = "/".join(inside[:2]) if len(inside) > 2 else inside[0]
            rooms.setdefault(room if path.is_dir() else given, set()).add(file)
    return {room: _digest(root, files) for room, files in rooms.items()}


def changed_since(made: Digests | None, now: Digests) -> list[str]:
    """Rooms that are not as they were; all of them where nothing is known of then."""
    known = made or {}
    return sorted(r for r in {*known, *now} if known.get(r) != now.get(r))


def _digest(root: Path, files: Iterable[Path]) -> str:
    state = hashlib.sha256()
    for file in sorted(files):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list):
                # Strings that stand alone are documentation.
                node.body = [s for s in body if not _is_text(s)]  # type: ignore[attr-defined]
        state.update(f"{file.relative_to(root).as_posix()}\n{ast.dump(tree)}\n".encode())
    return state.hexdigest()[:12]


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {k: _short(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_short(v) for v in value]
    return value


def older(folder: Path = RESULTS, root: Path = ROOT) -> dict[str, list[str]]:
    """Page -> rooms that have changed since it was made; pages as new as their code are left out.

    Pages that were never made count as older than all they rest on.
    """
    made = read_made(folder)
    found = {
        study.name: changed_since(made.get(study.name), digests(study.rests_on, root))
        for study in STUDIES
    }
    return {name: rooms for name, rooms in found.items() if rooms}


def table(stale: Mapping[str, Sequence[str]], made: Mapping[str, Digests]) -> str:
    """One line a page: its minutes, and what has changed since."""
    lines = [f"{'page':<14} {'minutes':>7}  changed since"]
    for study in STUDIES:
        rooms = ", ".join(stale.get(study.name, [])) or "nothing"
        if study.name not in made:
            rooms = "no record of when"
        lines.append(f"{study.name:<14} {study.minutes:>7}  {rooms}")
    return "\n".join(lines)


def make(names: Sequence[str], run: Callable[[list[str]], None]) -> None:
    """Run the studies of these names, in the order of `STUDIES`."""
    for study in STUDIES:
        if study.name in names:
            print(f"{study.name}: about {study.minutes} min", flush=True)
            run(study.command)


def _run(command: list[str]) -> None:
    subprocess.run(command, cwd=ROOT, check=True)


def main() -> None:
    """Say which pages are older than their code, or make them anew."""
    known = [s.name for s in STUDIES]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--make", action="store_true", help="measure anew")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(known))
    if unknown:
        parser.error(f"no page {', '.join(unknown)}; there are {', '.join(known)}")
    stale = older()
    if given.make:
        make(given.names or list(stale), _run)
    else:
        print(table(stale, read_made(RESULTS)))


if __name__ == "__main__":
    main()
