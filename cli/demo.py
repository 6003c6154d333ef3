"""`gswarm-place demo`: from a trace to a report on inputs that come along."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import click

from cli.asked import Shown, takes
from cli.json_output import echo_json
from cli.missing import Complete
from cli.options import output_options
from placement.support.escaping import visible

DISTRIBUTION = "gswarm-place"
EXAMPLE = ("small.yaml", "small_requests.yaml")
"""Config and requests that a demonstration needs, as they are called under ``configs/``."""


@dataclass(frozen=True, kw_only=True)
class Asked(Shown):
    """What `gswarm-place demo` was asked for."""

    folder: str


@click.command(cls=Complete)
@click.argument("folder", type=click.Path(file_okay=False), default="gswarm-demo")
@output_options
@takes(Asked)
def command(asked: Asked) -> None:
    """See it work: from a trace to a plan, its proof, its simulation and a report.

    Writes a small config and trace into FOLDER (gswarm-demo if not given) and runs four commands on
    them, each shown as you would type it. It needs no other file, no GPU and no network, and takes
    some seconds; the first time on a machine half a minute, in which the search is compiled.

    \b
    Example:
      gswarm-place demo
    """
    from cli.verdict import paste  # and with it rich
    from placement.files.atomic import write_atomically

    folder = Path(asked.folder)
    folder.mkdir(parents=True, exist_ok=True)
    inputs = [folder / name for name in EXAMPLE]
    for path, source in zip(inputs, shipped(), strict=True):
        write_atomically(path, source.read_bytes())
    steps = _steps(folder, *inputs)
    for words in steps:
        if not asked.silent:
            click.echo(f"$ {paste(words)}")
            sys.stdout.flush()
        _run(words, quiet=asked.silent)
        if not asked.silent:
            click.echo()
    if asked.as_json:
        echo_json({"folder": str(folder), "commands": [paste(words) for words in steps]})
    elif not asked.quiet:
        click.echo(f"all of it is in {visible(str(folder))}; open report.html there in a browser")


def shipped() -> Iterator[Path]:
    """Find the example's files: with what is installed, or in a checkout."""
    try:
        installed = files(DISTRIBUTION) or []
    except PackageNotFoundError:
        installed = []
    for name in EXAMPLE:
        found = [Path(str(f.locate())) for f in installed if f.parts[-2:] == ("configs", name)]
        found.append(Path(__file__).parents[1] / "configs" / name)
        yield next(path for path in found if path.is_file())


def _steps(folder: Path, config: Path, requests: Path) -> list[list[str]]:
    """Give the four commands, as words after the program's name."""
    inputs = ["--config", str(config), "--requests", str(requests)]
    plan, page = str(folder / "plan.yaml"), str(folder / "report.html")
    history = ["--history", str(folder / "history.json")]
    # The simulated headroom would have the event loop compiled first: a minute, once.
    quick = ["--gpus", "8", "--no-simulate-headroom"]
    return [
        ["solve", *inputs, *quick, *history, "-o", plan],
        ["check", plan, "--bound"],
        ["simulate", "--plan", plan, *inputs],
        ["report", "--plan", plan, *inputs, *history, "-o", page],
    ]


def _run(words: list[str], *, quiet: bool) -> None:
    """Run a command in this process, as the command line would."""
    from cli.main import main

    name, *options = words
    called = main.get_command(click.Context(main), name)
    assert called is not None
    called.main(
        [*options, "--quiet"] if quiet else options,
        prog_name=f"gswarm-place {name}",
        standalone_mode=False,
    )
