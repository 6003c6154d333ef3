"""What the terminal shows of results: tables, and the placement map."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, cast

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from placement.support.described import percent as percent
from placement.support.escaping import visible

if TYPE_CHECKING:
    from placement.problem.plan import Plan

COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red", "bright_cyan", "bright_magenta",
           "bright_yellow", "bright_green", "bright_blue", "bright_red")  # fmt: skip
MAP_LINES = 32

FEWEST = 2
"""Columns that are shown however narrow the terminal is."""

WIDEST = 10_000
"""Characters in which any table has room."""

WORD = 24
"""Characters of a name that are kept together; longer ones are broken before a column goes."""

LISTED = 3
"""Servers alike whose numbers are all written; of more, the first two and a count."""


def output(*, quiet: bool = False) -> Console:
    """Console of results, on stdout; plain text when it is piped."""
    return Console(quiet=quiet, highlight=False, soft_wrap=not sys.stdout.isatty())


class _Whole(Table):
    """A table that breaks no word: what a narrow terminal has no room for, it names below."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = list(self.columns)
        if not console.is_terminal:
            options = options.update(width=max(options.max_width, self._needed(console, options)))
        while self._needed(console, options) > options.max_width and len(self.columns) > FEWEST:
            self.columns = self.columns[:-1]
        yield from super().__rich_console__(console, options)
        missing = ", ".join(str(column.header) for column in columns[len(self.columns) :])
        self.columns = columns
        if missing:
            for line in sentence_lines(console, f"no room for: {missing}; --json has all"):
                yield Text(line, "dim")

    def _needed(self, console: Console, options: ConsoleOptions) -> int:
        """Characters in which numbers are whole, and so are words but for the longest names."""
        wide = options.update(width=WIDEST)
        least = most = 0
        for column in self.columns:
            sizes = [Measurement.get(console, wide, c) for c in (column.header, *column.cells)]
            whole = max(size.maximum for size in sizes)
            least += whole if column.no_wrap else min(WORD, max(size.minimum for size in sizes))
            most += whole
        frame = Table.__rich_measure__(self, console, wide).maximum - most
        return least + frame


def table(*columns: str, title: str | None = None, left: int = 1) -> Table:
    """Make a table whose first `left` columns are text and whose others are numbers.

    Where the terminal is too narrow, text goes on below, and what then has no room is named.

    Parameters
    ----------
    *columns : str
        Headings.
    title : str, optional
        Above the table.
    left : int
        Columns of text.
    """
    made = _Whole(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for i, name in enumerate(columns):
        if i < left:
            made.add_column(name, overflow="fold")
        else:
            made.add_column(name, justify="right", no_wrap=True)
    return made


def placement_map(plan: Plan) -> Table:
    """Draw servers by GPU, a letter and a colour for each model; identical servers on one row."""
    import numpy as np  # takes a while, and whoever has a plan has it already

    placement, cluster = plan.placement, plan.cluster
    used = sorted({int(m) for m in placement.model})
    letter = {m: _letter(i) for i, m in enumerate(used)}
    colour = {m: COLOURS[i % len(COLOURS)] for i, m in enumerate(used)}
    contents: dict[int, list[tuple[int, int]]] = {}
    for m, s, i in placement.replicas():
        contents.setdefault(s, []).append((i, m))
    alike: dict[tuple[int, tuple[tuple[int, int], ...]], list[int]] = {}
    for s in sorted(contents):
        alike.setdefault((int(cluster.server_gpus[s]), tuple(contents[s])), []).append(s)
    kinds: list[tuple[tuple[int, tuple[tuple[int, int], ...]], Sequence[int]]] = [*alike.items()]
    # There may be millions of empty ones.
    free = np.ones(cluster.n_servers, dtype=np.bool_)
    free[list(contents)] = False
    for gpus in np.unique(cluster.server_gpus[free]).tolist():
        empty = np.flatnonzero(free & (cluster.server_gpus == gpus))
        kinds.append(((gpus, ()), cast("Sequence[int]", empty)))
    kinds.sort(key=lambda kind: int(kind[1][0]))
    if len(kinds) > MAP_LINES // 2:
        kinds.sort(key=lambda kind: -len(kind[1]))
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left")
    shown.add_column("servers", no_wrap=True)
    shown.add_column("GPUs: a letter is a model, [AA] one block over two GPUs", overflow="fold")
    lines = 0
    for n, ((gpus, held), servers) in enumerate(kinds):
        name = servers_alike(servers)
        blocks = _server_text(plan, gpus, held, letter, colour)
        lines += len(blocks.split())
        if n and lines > MAP_LINES:
            left = len(kinds) - n
            kind = "one more kind" if left == 1 else f"{left} more kinds"
            shown.add_row("...", f"{kind} of servers, all in the plan file")
            break
        shown.add_row(name, blocks)
    legend = Text()
    for m in used:
        # A letter and its model stay on one line.
        legend.append(f"{letter[m]}\u00a0", style=f"bold {colour[m]}")
        legend.append(visible(plan.model_ids[m]).replace(" ", "\u00a0") + "   ")
    shown.add_row("", legend)
    return shown


def servers_alike(servers: Sequence[int]) -> str:
    """Name servers in ascending order: ``0 to 3``, ``0 and 3``, ``0, 3 and 5 more``.

    Parameters
    ----------
    servers : sequence of int
        At least one.
    """
    first, more, last = servers[0], len(servers) - 1, servers[-1]
    if not more:
        return str(first)
    if more > 1 and last - first == more:
        return f"{first} to {last}"
    if more < LISTED:
        return f"{', '.join(map(str, servers[:-1]))} and {last}"
    return f"{first}, {servers[1]} and {more - 1} more"


def _letter(i: int) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return alphabet[i] if i < len(alphabet) else f"{alphabet[i % 52]}{i // 52}"


def _server_text(
    plan: Plan,
    gpus: int,
    content: tuple[tuple[int, int], ...],
    letter: dict[int, str],
    colour: dict[int, str],
) -> Text:
    """Blocks in layers: replicas that share GPUs are drawn below each other."""
    layers: list[list[tuple[int, int]]] = []
    for start, m in content:
        k = int(plan.instance.gpus_required[m])
        for layer in layers:
            if all(
                start >= i + int(plan.instance.gpus_required[o]) or i >= start + k for i, o in layer
            ):
                layer.append((start, m))
                break
        else:
            layers.append([(start, m)])
    cell = 2 + max(map(len, letter.values()))
    text = Text()
    for n, layer in enumerate(layers or [[]]):
        if n:
            text.append("\n")
        g = 0
        for start, m in sorted(layer):
            k = int(plan.instance.gpus_required[m])
            text.append(".".center(cell) * (start - g), style="dim")
            inner = (letter[m] * cell * k)[: cell * k - 2] if len(letter[m]) == 1 else letter[m]
            text.append(f"[{inner.ljust(cell * k - 2)}]", style=f"bold reverse {colour[m]}")
            g = start + k
        text.append(".".center(cell) * (gpus - g), style="dim")
    return text


def sentence_lines(console: Console, text: str) -> list[str]:
    """Break a sentence into lines of the terminal, later ones further in."""
    return wrap(visible(text), console.width, subsequent_indent="    ", break_on_hyphens=False)


def plain(text: str) -> str:
    """Keep a name from being read as markup, and from being obeyed by the terminal."""
    return escape(visible(text))
