"""The simulator against queueing theory: laws that nobody here wrote or can tune.

    python -m benchmarks.validation [--requests N] [--replications R] [--out FOLDER]

Each law is a system whose answer is known in closed form. It is simulated in independent
replications; the mean over them has a Student-t confidence interval, in which the closed form
must lie. `tests/runtime/test_queueing.py` holds the simulator to the same laws.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from scipy import stats

from benchmarks.kept import keep
from benchmarks.queueing import (
    Service,
    Statistic,
    System,
    chain,
    constant,
    erlang_c,
    exponential,
    lognormal,
    mean_latency,
    mean_utilization,
    mean_waiting,
    model,
    p99_latency,
    parallel,
    pollaczek_khinchine,
    run,
    sharing_sojourn,
)
from placement.problem.cluster import GpuSharing
from runtime.ray.spread import spread_over

MANY = 80
"""Calls at once in a shared system; more are rarer than anybody could measure."""


@dataclass(frozen=True)
class Law:
    """One quantity of one system, by theory and by simulation.

    Parameters
    ----------
    name, load, quantity : str, float, str
        What is compared, and the utilization of the busiest GPU.
    theory : float
        The closed form, in seconds unless the quantity says otherwise.
    source : str
        Where the closed form stands.
    simulate : callable
        ``simulate(rng, requests)`` runs one replication and returns the quantity.
    kind : {"equals", "at least", "at most"}
        How the simulated mean relates to `theory`.
    """

    name: str
    load: float
    quantity: str
    theory: float
    source: str
    simulate: Callable[[np.random.Generator, int], float]
    kind: str = "equals"


@dataclass(frozen=True)
class Comparison:
    """The mean over replications and the half width of its confidence interval."""

    law: Law
    mean: float
    half_width: float

    @property
    def holds(self) -> bool:
        """Whether the closed form lies in the interval, or on its right side for a bound."""
        if self.law.kind == "at least":
            return self.mean + self.half_width >= self.law.theory
        if self.law.kind == "at most":
            return self.mean - self.half_width <= self.law.theory
        return abs(self.mean - self.law.theory) <= self.half_width


def compare(law: Law, requests: int, replications: int, confidence: float, seed: int) -> Comparison:
    """Simulate a law in independent replications (Student-t interval over their means)."""
    seeds = np.random.SeedSequence(seed).spawn(replications)
    values = np.array([law.simulate(np.random.default_rng(s), requests) for s in seeds])
    quantile = float(stats.t.ppf(0.5 + confidence / 2, replications - 1))
    return Comparison(
        law, float(values.mean()), quantile * float(values.std(ddof=1)) / math.sqrt(replications)
    )


def _station(
    service: Service, rate: float, servers: int = 1, *, concurrency: int = 1, gpus: int = 1,
    policy: str = "earliest", statistic: Statistic = mean_waiting,
) -> Callable[[np.random.Generator, int], float]:  # fmt: skip
    return lambda rng, n: statistic(
        run(
            rng,
            n,
            System(
                models=(model("m", gpus, concurrency),),
                workflows=(chain(0),),
                rates=(rate,),
                service=((service,),),
                replicas=tuple((0, i * gpus) for i in range(servers)),
                gpus=servers * gpus,
                policy=policy,
            ),
        )
    )


def _single_server_laws() -> list[Law]:
    laws = []
    for load in (0.3, 0.6, 0.85):
        unit = exponential(1.0)
        wait = load / (1 - load)
        laws += [
            Law("M/M/1", load, "mean wait", wait, "Kleinrock 1975, 3.2", _station(unit, load)),
            Law(
                "M/M/1", load, "P99 latency", math.log(100) / (1 - load),
                "Kleinrock 1975, 5.118: sojourn is exponential",
                _station(unit, load, statistic=p99_latency),
            ),
            Law(
                "M/M/1 on a block of 2 GPUs", load, "mean wait", wait, "as M/M/1",
                _station(unit, load, gpus=2),
            ),
            Law(
                "M/M/1", load, "utilization, %", 100 * load, "utilization law: lambda t",
                _station(unit, load, statistic=mean_utilization),
            ),
            Law(
                "M/D/1", load, "mean wait", pollaczek_khinchine(load, 1.0, 1.0),
                "Pollaczek-Khinchine", _station(constant(1.0), load),
            ),
            Law(
                "M/G/1, lognormal, cv 1.5", load, "mean wait",
                pollaczek_khinchine(load, 1.0, 1 + 1.5**2),
                "Pollaczek-Khinchine", _station(lognormal(1.0, 1.5), load),
            ),
        ]  # fmt: skip
    return laws


def _many_server_laws() -> list[Law]:
    laws = []
    for servers in (2, 8):
        for load in (0.5, 0.85):
            wait = erlang_c(servers, load) / (servers * (1 - load))
            unit, rate = exponential(1.0), load * servers
            laws += [
                Law(
                    f"M/M/{servers}", load, "mean wait", wait, "Erlang C",
                    _station(unit, rate, servers),
                ),
                Law(
                    f"M/M/{servers} as one replica with max_concurrency {servers}", load,
                    "mean wait", wait, "Erlang C", _station(unit, rate, concurrency=servers),
                ),
            ]  # fmt: skip
    return laws


def _shared_gpu(load: float) -> Law:
    """Two models on one GPU, served in one queue: M/G/1 with a mixture of services."""
    rates, means = (load / 2, load / 4), (1.0, 2.0)
    second = sum(r * 2 * t * t for r, t in zip(rates, means, strict=True)) / sum(rates)
    mean = load / sum(rates)
    return Law(
        "M/G/1, two models on one GPU", load, "mean wait",
        pollaczek_khinchine(sum(rates), mean, second), "Pollaczek-Khinchine",
        lambda rng, n: mean_waiting(
            run(rng, n, System(models=(model("a"), model("b")),
                workflows=(chain(0), chain(1)),
                rates=rates,
                service=((exponential(1.0),), (exponential(2.0),)),
                replicas=((0, 0), (1, 0)),
                gpus=1,))
        ),
    )  # fmt: skip


def _sharing_laws() -> list[Law]:
    """Processor sharing: replicas on one GPU, and calls in one batch; no law of service matters."""
    laws = []
    services = (
        ("exponential", exponential(1.0)),
        ("constant", constant(1.0)),
        ("lognormal, cv 1.5", lognormal(1.0, 1.5)),
    )
    kelly = "birth and death; Kelly 1979, 3.3"
    systems: tuple[tuple[str, str, Callable[[int], float], dict[str, Any]], ...] = (
        ("M/G/1-PS, replicas that share a GPU", "1 / (1 - rho)", lambda n: 1.0, {}),
        (
            "the same, 0.93 of the GPU where 3 share it", kelly,
            lambda n: 1.0 if n < 3 else 0.93, {"eta": (1.0, 0.93)},
        ),
        ("the same, gpu_fraction 0.6", kelly, lambda n: repairmen(n, 0.6), {"fraction": 0.6}),
        (
            "M/G/3-PS, a batch as fast as 3 servers", "Erlang C",
            lambda n: float(min(n, 3)), {"servers": 3},
        ),
    )  # fmt: skip
    for load in (0.4, 0.8):
        for law, service in services:
            for name, source, pace, more in systems:
                rate = load * pace(1000)
                theory = sharing_sojourn(rate, pace)
                run_once = _sharing(service, rate, **more)
                laws.append(Law(f"{name}, {law}", load, "mean latency", theory, source, run_once))
    return laws


def repairmen(n: int, fraction: float) -> float:
    """Throughput of n equal customers of a delay and a shared server, by mean value analysis.

    Reiser and Lavenberg 1980: R(n) = u (1 + Q(n - 1)), X(n) = n / (1 - u + R(n)), Q = X R.
    """
    queue = throughput = 0.0
    for k in range(1, n + 1):
        response = fraction * (1.0 + queue)
        throughput = k / (1.0 - fraction + response)
        queue = throughput * response
    return throughput


def _sharing(
    service: Service,
    rate: float,
    *,
    eta: tuple[float, ...] = (1.0,),
    fraction: float = 1.0,
    servers: int = 0,
) -> Callable[[np.random.Generator, int], float]:
    """Many replicas on one GPU, an idle one for each call; or one that batches as many."""
    replicas: tuple[tuple[int, int], ...] = ((0, 0),)
    if servers:
        slowdown = tuple(max(1.0, n / servers) for n in range(1, MANY + 1))
        shared = model("m", 1, MANY, slowdown)
    else:
        shared, replicas = model("m", fraction=fraction), ((0, 0),) * MANY
    return lambda rng, n: mean_latency(
        run(rng, n, System(models=(shared,),
            workflows=(chain(0),),
            rates=(rate,),
            service=((service,),),
            replicas=replicas,
            gpus=1,
            policy="least-loaded",
            sharing=GpuSharing("time-sliced", eta),))
    )  # fmt: skip


def _network_laws() -> list[Law]:
    laws = []
    for load in (0.4, 0.7):
        means = (1.0, 0.5, 0.8)
        sojourn = sum(t / (1 - load * t) for t in means)

        def tandem(rng: np.random.Generator, n: int, rate: float = load) -> float:
            return mean_latency(
                run(rng, n, System(models=tuple(model(f"m{i}") for i in range(3)),
                    workflows=(chain(0, 1, 2),),
                    rates=(rate,),
                    service=(tuple(exponential(t) for t in (1.0, 0.5, 0.8)),),
                    replicas=((0, 0), (1, 1), (2, 2)),
                    gpus=3,))
            )  # fmt: skip

        laws.append(
            Law("tandem of three M/M/1", load, "mean latency", sojourn, "Jackson 1957", tandem)
        )
        laws += [_fork_join(2, load, (12 - load) / 8 / (1 - load),
                            "Nelson and Tantawi 1988, eq. 6", "equals"),
                 _fork_join(4, load, 1 / (1 - load), "one branch: M/M/1", "at least"),
                 _fork_join(4, load, (25 / 12) / (1 - load),
                            "Nelson and Tantawi 1988: associated branches", "at most")]  # fmt: skip
    return laws


def _fork_join(branches: int, load: float, theory: float, source: str, kind: str) -> Law:
    return Law(
        f"fork-join, {branches} branches", load, "mean latency", theory, source,
        lambda rng, n: mean_latency(
            run(rng, n, System(models=tuple(model(f"m{i}") for i in range(branches)),
                workflows=(parallel(branches),),
                rates=(load,),
                service=((exponential(1.0),) * branches,),
                replicas=tuple((i, i) for i in range(branches)),
                gpus=branches,))
        ),
        kind,
    )  # fmt: skip


LAWS: tuple[Law, ...] = (
    *_single_server_laws(),
    *_many_server_laws(),
    *(_shared_gpu(load) for load in (0.4, 0.8)),
    *_network_laws(),
    *_sharing_laws(),
)
"""Every system that the simulator is held to."""


@click.command()
@click.option("--requests", default=200_000, show_default=True, help="Requests a replication.")
@click.option("--replications", default=12, show_default=True)
@click.option("--confidence", default=0.99, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default="benchmarks/results")
@click.option("--ray", metavar="ADDRESS", help="Spread the laws over a Ray cluster.")
def main(
    requests: int, replications: int, confidence: float, seed: int, out: Path, ray: str | None
) -> None:
    """Write every law beside what the simulator gives, as a Markdown table."""
    lines = [
        "# The simulator against queueing theory",
        "",
        "Written by `python -m benchmarks.validation`.",
        "",
        "| system | load | quantity | theory | simulated | closed form |",
        "|---|---|---|---|---|---|",
    ]
    outside = 0
    signs = {"equals": "", "at least": "≥ ", "at most": "≤ "}

    def one(law: Law) -> Comparison:
        return compare(law, requests, replications, confidence, seed)

    with spread_over(ray) as spread:
        compared = list(spread(one, LAWS))
    for law, found in zip(LAWS, compared, strict=True):
        outside += not found.holds
        lines.append(
            f"| {law.name} | {law.load:g} | {law.quantity} | {signs[law.kind]}{law.theory:.4f} "
            f"| {found.mean:.4f} ± {found.half_width:.4f}{'' if found.holds else ' (outside)'} "
            f"| {law.source} |"
        )
    lines.append(
        f"\n{len(LAWS) - outside} of {len(LAWS)} closed forms lie in the {100 * confidence:g} % "
        f"interval of {replications} replications of {requests:,} requests."
    )
    text = "\n".join(lines) + "\n"
    keep(out, "validation", text)
    click.echo(text, nl=False)


if __name__ == "__main__":
    main()
