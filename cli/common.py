"""Options and steps that several commands share."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from placement.problem.names import MODES, ROUTERS, SHARING_MODES
from placement.support.escaping import visible

if TYPE_CHECKING:
    from cli.waiting import Waiting
    from placement.problem.cluster import Cluster
    from placement.problem.names import SharingMode
    from placement.problem.plan import Plan
    from placement.problem.trace import Trace
    from placement.problem.workload import Workload

F = TypeVar("F", bound=Callable[..., Any])

OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
BEYOND_ASCII = re.compile("[^\n -~]")

FINITE_LIMIT = 1e12


class Number(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks
    """A finite number within bounds: click's own ranges let NaN pass."""

    name = "number"

    def __init__(
        self, low: float = 0.0, high: float = FINITE_LIMIT, *, above_low: bool = False
    ) -> None:
        self.low, self.high, self.above_low = low, high, above_low

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Parse and check."""
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)
        low_ok = number > self.low if self.above_low else number >= self.low
        if not math.isfinite(number) or not low_ok or number > self.high:
            sign = "more than" if self.above_low else "at least"
            upper = f" and at most {self.high:g}"
            self.fail(f"{value} must be a number of {sign} {self.low:g}{upper}", param, ctx)
        return number


class Routing(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks
    """A built-in routing policy by name, or one of the user's own, imported."""

    name = "routing"
    BUILT_IN = ROUTERS

    def get_metavar(self, param: Any, ctx: Any = None) -> str:
        """Show what can be written."""
        return f"[{'|'.join(ROUTERS)}|FILE.py:NAME|MODULE:NAME]"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Keep a known name; import anything with a colon."""
        if value in ROUTERS:
            return value
        if ":" not in value:
            self.fail(
                f"{value!r} is not one of {', '.join(ROUTERS)}, nor a policy of your own as "
                "FILE.py:NAME or MODULE:NAME",
                param,
                ctx,
            )
        from runtime.own_policy import load_policy

        try:
            return load_policy(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _apply(function: F, options: list[Callable[[F], F]]) -> F:
    for option in reversed(options):
        function = option(function)
    return function


def input_options(function: F) -> F:
    """``--config`` and ``--requests``."""
    return _apply(
        function,
        [
            click.option(
                "--config",
                required=True,
                type=click.Path(),
                metavar="FILE",
                help="Models and workflows (JSON, YAML).",
            ),
            click.option(
                "--requests",
                required=True,
                type=click.Path(),
                metavar="FILE",
                help="Request trace (YAML, JSON, JSONL, CSV, Parquet).",
            ),
        ],
    )


def plan_option(text: str = "The plan that `solve` wrote.") -> Callable[[F], F]:
    """``--plan``, without which the command has nothing to do."""
    return click.option("--plan", required=True, type=click.Path(), metavar="FILE", help=text)


def routing_option(text: str) -> Callable[[F], F]:
    """``--routing``, with policies of the user's own."""
    return click.option(
        "--routing", type=Routing(), default="locality", show_default=True, help=text
    )


def cluster_options(function: F) -> F:
    """``--gpus`` with its companions, or ``--cluster``."""
    return _apply(
        function,
        [
            click.option("--gpus", type=click.IntRange(1, 10_000_000), help="GPUs in the cluster."),
            click.option(
                "--gpus-per-server",
                type=click.IntRange(1, 1024),
                default=4,
                show_default=True,
                help="GPUs of one server; the last is smaller where --gpus is no multiple.",
            ),
            click.option(
                "--gpu-memory-gb",
                type=Number(above_low=True, high=1e6),
                default=80.0,
                show_default=True,
                help="Memory of one GPU.",
            ),
            click.option(
                "--cluster",
                "cluster_file",
                type=click.Path(),
                metavar="FILE",
                help="Server types and network from a file, in place of --gpus.",
            ),
        ],
    )


def gpu_sharing_option(function: F) -> F:
    """``--gpu-sharing``."""
    return click.option(
        "--gpu-sharing",
        type=click.Choice(SHARING_MODES),
        help="How a GPU serves several replicas: evenly, as the driver does with processes "
        "(time-sliced, the default), or one execution at a time (serial). Overrides the file.",
    )(function)


def share_gpus(cluster: Cluster, mode: SharingMode | None) -> Cluster:
    """Give the cluster with its GPUs shared as the option says, if it says anything."""
    if mode is None:
        return cluster
    return replace(cluster, sharing=replace(cluster.sharing, mode=mode))


def mode_option(function: F) -> F:
    """``--mode``."""
    return click.option(
        "--mode",
        type=click.Choice(MODES),
        default="online",
        show_default=True,
        help="Requests at their timestamps, or all at time 0.",
    )(function)


def sharing_options(function: F) -> F:
    """``--exclusive`` and ``--max-models-per-gpu``."""
    return _apply(
        function,
        [
            click.option("--exclusive", is_flag=True, help="A GPU holds at most one replica."),
            click.option(
                "--max-models-per-gpu",
                type=click.IntRange(1, 1_000_000),
                help="Most replicas on one GPU; without it, memory alone decides.",
            ),
        ],
    )


def rules_option(function: F) -> F:
    """``--rules``."""
    return click.option(
        "--rules",
        "rules_file",
        type=click.Path(),
        metavar="FILE",
        help="What must hold of the placement, such as GPUs that nothing may stand on.",
    )(function)


def headroom_options(function: F) -> F:
    """``--max-utilization`` and ``--headroom-slack``."""
    return _apply(
        function,
        [
            click.option(
                "--max-utilization",
                type=Number(0, 1, above_low=True),
                default=0.8,
                show_default=True,
                help="Target for the busiest GPU; in overload the least attainable load counts.",
            ),
            click.option(
                "--headroom-slack",
                type=Number(0, 100),
                default=0.05,
                show_default=True,
                metavar="FRACTION",
                help="In overload and with --mode offline: how far the busiest GPU may exceed the "
                "least load that any placement attains, as a fraction of it. More keeps more "
                "requests on one server, and lets queues or the makespan grow by up to as much.",
            ),
        ],
    )


def ray_option(text: str, *, required: bool = False) -> Callable[[F], F]:
    """``--ray``, the address of a Ray cluster."""
    return click.option("--ray", required=required, metavar="ADDRESS", help=text)


def deployment_option(function: F) -> F:
    """``--name`` of a deployment."""
    return click.option(
        "--name",
        default="gswarm-place",
        show_default=True,
        metavar="NAME",
        help="Of the deployment on the Ray cluster.",
    )(function)


def solver_option(function: F) -> F:
    """``--solver``."""
    return click.option(
        "--solver", default="HiGHS", show_default=True, help="Any solver PuLP knows."
    )(function)


def time_limit_option(text: str) -> Callable[[F], F]:
    """``--time-limit``; the text says what it limits."""
    return click.option(
        "--time-limit",
        type=Number(),
        default=60.0,
        show_default=True,
        metavar="SECONDS",
        help=text,
    )


def seed_option(function: F) -> F:
    """``--seed``."""
    bounds = click.IntRange(0, 2**31 - 1)
    return click.option("--seed", type=bounds, default=0, show_default=True)(function)


def output_options(function: F) -> F:
    """``--json`` and ``--quiet``."""
    return _apply(
        function,
        [
            click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout."),
            click.option("-q", "--quiet", is_flag=True, help="No progress, no tables."),
        ],
    )


def load_inputs(config: str, requests: str) -> tuple[Workload, Trace]:
    """Read config and requests.

    Raises
    ------
    InputError
    """
    from placement.files.config_file import read_config
    from placement.files.request_file import read_requests

    with waiting("reading the trace"):
        workload = read_config(config)
        return workload, read_requests(requests, workload)


def load_run(plan_file: str, config: str, requests: str) -> tuple[Plan, Workload, Trace]:
    """Read a plan, and the config and requests that are to run over it.

    Parameters
    ----------
    plan_file, config, requests : str
        Paths; the plan is read as a claim, and held against the other two.

    Raises
    ------
    InputError
        As for each file; and where the plan cannot serve what the trace asks for.
    """
    from placement.files.plan_file import read_plan
    from placement.support.faults import FaultList

    plan = read_plan(plan_file)
    workload, trace = load_inputs(config, requests)
    faults = FaultList(plan_file)
    for wrong in plan.mismatches(workload, trace):
        faults.add("", wrong, "solve again with this config and trace")
    faults.raise_if_any()
    return plan, workload, trace


def check_outputs(outputs: Mapping[str, str | None], inputs: Iterable[str | None] = ()) -> None:
    """Refuse, before the work, what cannot be written or must not be overwritten.

    Parameters
    ----------
    outputs : mapping of str to str or None
        Files by the option that names them.
    inputs : iterable of str or None
        Files that the command reads.

    Raises
    ------
    OSError
        As `check_writable`.
    click.UsageError
        Where an output is an input, or two outputs are one file.
    """
    from placement.files.atomic import check_writable

    taken = {_identity(path): "is an input; it would be lost" for path in inputs if path}
    for option, path in outputs.items():
        if path is None:
            continue
        check_writable(path)
        where = Path(path)
        if _identity(path) in taken:
            raise click.UsageError(
                f"{option} {visible(path)}: {taken[_identity(path)]}; name another file"
            )
        if where.is_file() or not where.exists():  # a pipe or terminal takes several
            taken[_identity(path)] = f"is the file of {option} too"


def _identity(path: str) -> object:
    """Tell one file from another, whatever they are called: a file may have several names."""
    try:
        found = Path(path).stat()
    except OSError:
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def waiting(doing: str) -> Waiting:
    """Say on a terminal what takes the time, unless the running command was told to be quiet."""
    from cli.waiting import Waiting

    context = click.get_current_context(silent=True)
    asked = {} if context is None else context.params
    return Waiting(doing, quiet=bool(asked.get("quiet") or asked.get("as_json")))


def hash_inputs(**paths: str | None) -> dict[str, str]:
    """SHA-256 of every file given, by its role.

    Raises
    ------
    InputError
        Where one is missing or is no file: /dev/zero has no end.
    """
    from placement.files.syntax.source import check_file

    found = {}
    for role, path in paths.items():
        if path is not None:
            check_file(path)
            with Path(path).open("rb") as file:
                found[role] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _shown(data: Any) -> Any:
    """The data with bytes that are no text as they are shown elsewhere."""
    if isinstance(data, dict):
        return {_shown(key): _shown(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_shown(value) for value in data]
    if isinstance(data, str):
        return data.encode("utf-8", "backslashreplace").decode()
    return data


def echo_json(data: Any) -> None:
    """Print one JSON object; what is not finite becomes null."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    try:
        text = orjson.dumps(data, option=options).decode()
    except TypeError:  # a file's name that is no UTF-8
        text = orjson.dumps(_shown(data), option=options).decode()
    # JSON lets into its texts what an 8-bit terminal obeys, and what other encodings lack.
    utf8 = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    beyond = OBEYED if utf8 else BEYOND_ASCII
    click.echo(beyond.sub(lambda found: json.dumps(found[0])[1:-1], text))
