"""The verdict above the tables, and what to do next as a command to paste."""

from __future__ import annotations

import shlex

from rich.console import Console
from rich.text import Text

from cli.terminal import sentence_lines
from placement.problem.verdict import Level, Verdict
from placement.support.escaping import visible

STYLES: dict[Level, str] = {"good": "green", "fair": "yellow", "poor": "red"}


def show_verdict(console: Console, verdict: Verdict, *commands: tuple[str, list[str]]) -> None:
    """Print a verdict: the headline in its colour, remarks with how they are known, what to do.

    Parameters
    ----------
    console : rich.console.Console
        Of results.
    verdict : Verdict
    *commands : (why, words) pairs
        Each is printed as a line to paste.
    """
    style = STYLES[verdict.level]
    for i, line in enumerate(sentence_lines(console, f"{verdict.level}: {verdict.headline}")):
        text = Text(line, style)
        if not i:
            text.stylize("bold", 0, len(verdict.level) + 1)
        console.print(text)
    for remark in verdict.remarks:
        for line in sentence_lines(console, f"  {remark.text} [{remark.known}]"):
            console.print(Text(line))
    for why, words in commands:
        # In one line, however long: it is there to be copied.
        console.print(Text(f"  {why}: ").append(paste(words), style="bold"), soft_wrap=True)


def paste(words: list[str]) -> str:
    """Write a command of this tool as a line for a shell."""
    return visible(shlex.join(["gswarm-place", *words]))
