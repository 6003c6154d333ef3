"""The command `gswarm-place`: a group whose commands are loaded when they are called."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from importlib import import_module
from textwrap import fill
from typing import Any

import click

from cli.help_text import HelpContext
from cli.notices import broken, notices, say
from placement.support.escaping import visible

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Faults of a disk, not of what was asked for."""

COMMANDS = {
    "demo": "See it work on a small example that comes along.",
    "analyze": "What a trace asks for: usage, pairs of models, offered load.",
    "solve": "Place the models by an integer program, with a proven bound.",
    "size": "The fewest servers that reach a goal, and what one more buys.",
    "explain": "Why a plan is as it is: what each replica serves, and what it is worth.",
    "diff": "What moves from one plan to another, and in which order.",
    "rebalance": "A plan for new demand that moves few replicas of the one that runs.",
    "whatif": "A plan under other traffic, or on other servers.",
    "check": "Verify a plan, and its bound, without trusting whoever wrote it.",
    "simulate": "Run a trace over a plan, event by event.",
    "execute": "Run a trace over a plan on real servers.",
    "serve-local": "A server a replica on this machine, for `execute`.",
    "deploy": "A plan's replicas as actors of a Ray cluster, for `execute`.",
    "calibrate": "Fit the simulated GPUs to a log of real executions.",
    "compare": "Every method and routing policy on your data, in one table.",
    "report": "One HTML page that shows a plan at work.",
    "export": "A plan as a table, a picture, or what starts its servers.",
    "import": "Config and requests from traces and files of other tools.",
    "generate": "Seeded synthetic configs and traces of any size.",
    "schema": "JSON Schemas of the files, for editors.",
    "completion": "The tab key for bash, zsh and fish.",
}

APART = {"import": "cli.import_files"}
"""Modules of commands whose name is none that a module can have."""

PURPOSE = (
    "Decides which GPUs of which server hold which model, proves how good that is, and runs your "
    "request trace over it."
)

FIRST_STEPS = """\
Start here, in the project's folder:
  gswarm-place solve --gpus 8 \\
      --config configs/small.yaml \\
      --requests configs/small_requests.yaml
  gswarm-place simulate --plan plan.yaml \\
      --config configs/small.yaml \\
      --requests configs/small_requests.yaml
Not there, or no data yet? gswarm-place demo
"""

HELP = f"""{PURPOSE}

\b
{FIRST_STEPS}
Every command has --help with an example. Exit codes: 0 done, 1 the work failed (no feasible
plan, a check that does not hold), 2 bad input.
"""


def module_of(command: str) -> str:
    """Name the module that holds a command."""
    return APART.get(command, f"cli.{command.replace('-', '_')}")


class Commands(click.Group):
    """Imports a command's module when it is needed, and turns errors into sentences."""

    context_class = HelpContext

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Commands in the order in which they are used."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Load one command."""
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(module_of(name)).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command where one is unknown; `simulate --simulate true` executes."""
        args = _really(args)
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches  # only needed to explain a mistake

            near = get_close_matches(args[0], COMMANDS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}"
            ctx.fail(f"no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; whoever read its output and has gone had enough (click would exit 1)."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            return 0

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run; every expected error is one sentence on stderr and an exit code."""
        if not standalone_mode:
            return super().main(*args, standalone_mode=False, **extra)  # type: ignore[call-overload]
        try:
            with notices():
                code = super().main(*args, standalone_mode=False, **extra)  # type: ignore[call-overload]
        except Exception as error:
            if os.environ.get("GSWARM_PLACE_DEBUG"):
                raise
            sys.exit(_explain(error))
        except BaseException as error:
            # A panic of polars is no Exception, so that nobody catches it by chance.
            if type(error).__name__ != "PanicException":
                raise
            sys.exit(_explain(error))
        sys.exit(code if isinstance(code, int) else 0)


def _really(args: list[str]) -> list[str]:
    """Take the original's switch by which a simulation calls the models: another command here."""
    if args[:1] != ["simulate"]:
        return args
    rest: list[str] = []
    value = None
    words = iter(args)
    for word in words:
        name, equals, joined = word.partition("=")
        if name != "--simulate":
            rest.append(word)
        else:
            value = joined if equals else next(words, None)
    if value not in ("true", "false"):
        return args
    return ["execute", *rest[1:]] if value == "true" else rest


def _explain(error: BaseException) -> int:
    """Print an error in words, and return the exit code."""
    from placement.problem.outcome import Infeasible
    from placement.solver.solver_names import SolverUnavailable
    from placement.support.faults import InputError

    match error:
        case click.ClickException():
            message = f"Error: {visible(error.message, keep=chr(10))}"
            error.message = broken(message, sys.stderr).removeprefix("Error: ")  # type: ignore[misc]
            error.show()
            return error.exit_code
        case click.Abort() | KeyboardInterrupt():
            click.echo("interrupted", err=True)
            return 130
        case InputError() | SolverUnavailable():
            return _say(str(error), 2)
        case Infeasible():
            return _say(str(error), 1)
        case ChildProcessError():
            return _say(str(error), 1)
        case OSError():
            return _say(_about_file(error), 1 if error.errno in FULL else 2)
        case MemoryError():
            return _say("out of memory; use a smaller trace or a larger machine", 1)
        case ValueError():
            return _say(str(error), 2)
        case _:
            return _say(
                f"internal error: {type(error).__name__}: {error}; "
                "set GSWARM_PLACE_DEBUG=1 to see where, and please report it",
                1,
            )


def _about_file(error: OSError) -> str:
    """Say which file, what is wrong with it and what to do."""
    where = f"{visible(os.fsdecode(error.filename))}: " if error.filename else ""
    mend = {
        errno.ENOSPC: "free some space, or write to another disk",
        errno.EDQUOT: "free some space, or write to another disk",
        errno.EROFS: "write to another disk",
        errno.ENAMETOOLONG: "choose a shorter name",
    }.get(error.errno or 0)
    return f"{where}{error.strerror or error}" + (f"; {mend}" if mend else "")


def _say(text: str, code: int) -> int:
    for line in text.split("\n"):
        say(f"error: {visible(line)}", err=True)
    return code


@click.group(
    cls=Commands,
    help=HELP,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(
    None, "-V", "--version", package_name="gswarm-place", prog_name="gswarm-place"
)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Entry point; without a command it says what to do first."""
    if ctx.invoked_subcommand is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 78
        click.echo(fill(PURPOSE, width))
        click.echo(f"\n{FIRST_STEPS}\nCommands, each with --help and an example:")
        names = fill(
            ", ".join(COMMANDS), width, initial_indent="  ", subsequent_indent="  ",
            break_on_hyphens=False,
        )  # fmt: skip
        click.echo(f"{names}\n\nWhat each is for: gswarm-place --help")
