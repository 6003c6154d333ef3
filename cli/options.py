"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

from cli.asked import GAP, HEADROOM_SLACK, MAX_UTILIZATION
from placement.problem.names import MODES, ROUTERS, SHARING_MODES

F = TypeVar("F", bound=Callable[..., Any])

FINITE_LIMIT = 1e12

MANY = 100_000
"""Upper bounds beyond it are there against slips, and of no interest to a reader."""


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


class Count(click.IntRange):
    """A whole number within bounds, which the help writes as N and the bounds in words."""

    def get_metavar(self, param: Any, ctx: Any = None) -> str:
        """Show what can be written."""
        return "N"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Parse and check."""
        number: int = click.INT.convert(value, param, ctx)
        least, most = self.min, self.max
        if (least is not None and number < least) or (most is not None and number > most):
            upper = "" if most is None else f" and at most {most:,}"
            self.fail(f"{number} must be a whole number of at least {least:,}{upper}", param, ctx)
        return number

    def _describe_range(self) -> str:
        upper = None if self.max is None or self.max > MANY else self.max
        if upper is None:
            return "" if self.min in (None, 0, 1) else f"{self.min:,} or more"
        return f"{self.min:,} to {upper:,}"


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


class Failure(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks
    """A server or GPU that is lost, and when."""

    name = "failure"

    def get_metavar(self, param: Any, ctx: Any = None) -> str:
        """Show what can be written."""
        return "server:S@T|gpu:S/G@T"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Parse and check."""
        from runtime.outages import read_outage

        try:
            return read_outage(value)
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
    return click.option(
        "--plan", "plan_file", required=True, type=click.Path(), metavar="FILE", help=text
    )


def service_times_option(function: F) -> F:
    """``--requests`` of what emulates calls, which can do without."""
    return click.option(
        "--requests",
        type=click.Path(),
        metavar="FILE",
        help="Trace that says how long each emulated call takes; without it the config does.",
    )(function)


def emulated_scale_option(function: F) -> F:
    """``--time-scale`` of what emulates calls."""
    return click.option(
        "--time-scale",
        type=Number(above_low=True, high=1e6),
        default=1.0,
        show_default=True,
        help="Seconds that an emulated second takes: 0.1 is ten times as fast.",
    )(function)


def routing_option(text: str) -> Callable[[F], F]:
    """``--routing``, with policies of the user's own."""
    return click.option(
        "--routing", type=Routing(), default="locality", show_default=True, help=text
    )


def cluster_options(function: F) -> F:
    """``--gpus`` with its companions, or ``--cluster``."""
    gpus = click.option("--gpus", type=Count(1, 10_000_000), help="GPUs in the cluster.")
    return gpus(server_options(function))


def server_options(function: F) -> F:
    """What one server is, or ``--cluster``."""
    return _apply(
        function,
        [
            click.option(
                "--gpus-per-server",
                type=Count(1, 1024),
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
                type=Count(1, 1_000_000),
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
                default=MAX_UTILIZATION,
                show_default=True,
                help="Target for the busiest GPU; in overload the least attainable load counts.",
            ),
            click.option(
                "--headroom-slack",
                type=Number(0, 100),
                default=HEADROOM_SLACK,
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


def gap_option(function: F) -> F:
    """``--gap``."""
    return click.option(
        "--gap",
        type=Number(0, 1),
        default=GAP,
        show_default=True,
        metavar="FRACTION",
        help="Stop when the plan is proven to be this close to the best: 0.05 is 5 %.",
    )(function)


def seed_option(function: F) -> F:
    """``--seed``."""
    bounds = Count(0, 2**31 - 1)
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
