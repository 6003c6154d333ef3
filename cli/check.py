"""`gswarm-place check`: does a plan hold what it states."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from cli.common import (
    echo_json,
    hash_inputs,
    load_inputs,
    output_options,
    solver_option,
    time_limit_option,
    waiting,
)
from cli.missing import Complete
from placement.support.escaping import visible

if TYPE_CHECKING:
    from placement.problem.plan import Plan
    from placement.verify.proof import Verdict


@click.command(cls=Complete)
@click.argument("plan_file", type=click.Path(), metavar="PLAN")
@click.option(
    "--config",
    type=click.Path(),
    metavar="FILE",
    help="Check that the plan was made for this config.",
)
@click.option(
    "--requests", type=click.Path(), metavar="FILE", help="Check that it was made for this trace."
)
@click.option(
    "--cluster",
    type=click.Path(),
    metavar="FILE",
    help="Check that it was made for this cluster file.",
)
@click.option(
    "--bound", is_flag=True, help="Prove the bound anew, by code that no solver of plans shares."
)
@solver_option
@time_limit_option("Of --bound; where it ends first, the bound is neither proven nor refuted.")
@output_options
def command(
    plan_file: str,
    config: str | None,
    requests: str | None,
    cluster: str | None,
    bound: bool,
    solver: str,
    time_limit: float,
    as_json: bool,
    quiet: bool,
) -> None:
    """Verify a plan, and its bound, without trusting whoever wrote it.

    Memory, consecutive blocks, server bounds, sharing, flows and loads are checked and every
    stated figure is recomputed, without a solver. With --config and --requests, models, rates and
    service times are compared with those files, too. With --bound the stored duals are priced once
    more: any duals give a valid bound, so a bound that is stated too low is found out.
    Exits with 1 where the plan does not hold, and where the time limit ends before it is known
    whether the bound does.

    \b
    Example:
      gswarm-place check plan.yaml --bound
    """
    from placement.check import check_plan
    from placement.files.plan_file import InvalidPlan, read_plan
    from placement.solver.milp import solver_name
    from placement.verify import check_bound

    if bound:
        solver = solver_name(solver)
    try:
        plan = read_plan(plan_file)
    except InvalidPlan as error:
        _report([str(f) for f in error.faults], None, as_json, quiet)
        return
    faults = check_plan(plan) + _other_inputs(plan, config, requests, cluster)
    proof = None
    if bound and not faults:
        with waiting("proving the bound anew"):
            found = check_bound(plan, solver=solver, time_limit_s=time_limit)
        proof = asdict(found) | {"holds": _truth(found.verdict)}
        if found.verdict == "does not hold":
            faults.append(
                f"certificate: best_bound {found.stated:.9g} is not proven: "
                f"{found.how} gives {found.recomputed:.9g}"
            )
    _report(faults, proof, as_json, quiet)


def _other_inputs(
    plan: Plan, config: str | None, requests: str | None, cluster: str | None
) -> list[str]:
    from placement.check import check_inputs
    from placement.files.cluster_file import read_cluster

    found = hash_inputs(config=config, requests=requests, cluster=cluster)
    faults = [
        f"inputs: the {role} is not the one this plan was made for (its SHA-256 differs)"
        for role, digest in found.items()
        if plan.inputs.get(role) != digest
    ]
    if cluster is not None and read_cluster(cluster) != plan.cluster:
        faults.append("cluster: its servers or network are not the file's")
    if config is not None and requests is not None:
        faults += check_inputs(plan, *load_inputs(config, requests))
    return faults


def _truth(verdict: Verdict) -> bool | None:
    return None if verdict == "not decided" else verdict == "holds"


def _report(faults: list[str], proof: dict[str, Any] | None, as_json: bool, quiet: bool) -> None:
    holds = False if faults else True if proof is None else proof["holds"]
    if as_json:
        echo_json({"holds": holds, "faults": faults, "bound": proof})
    else:
        for fault in faults:
            click.echo(f"does not hold: {visible(fault)}", err=True)
        if not faults and not quiet:
            click.echo("the plan holds: space, flows, loads and every stated figure")
        if proof is not None and proof["holds"] and not quiet:
            click.echo(
                f"the bound holds: {proof['stated']:.9g} is stated, "
                f"{proof['recomputed']:.9g} is proven ({proof['how']})"
            )
        if proof is not None and proof["holds"] is None:
            click.echo(
                f"not decided: whether the bound of {proof['stated']:.9g} holds: {proof['why']} "
                f"({proof['how']}); give it more --time-limit, or solve again",
                err=True,
            )
    if not holds:
        sys.exit(1)
