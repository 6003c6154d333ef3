"""`gswarm-place check`: does a plan hold what it states."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import asdict, dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

import click

from cli.asked import Shown, share_gpus, takes
from cli.file_arguments import hash_inputs, load_inputs
from cli.json_output import echo_json
from cli.missing import Complete
from cli.options import output_options, solver_option, time_limit_option
from cli.scenarios import SCENARIO, scenario_role
from cli.waiting import waiting
from placement.support.described import counted
from placement.support.escaping import visible

if TYPE_CHECKING:
    from placement.problem.plan import Plan
    from placement.verify.proof import Conclusion


BOTTLENECK_SHARE = 0.25
"""Part of the time for the least bottleneck load: mostly a moment, rarely a long search."""

NAMES = {"bound": "the bound", "bottleneck": "the lower end of the least bottleneck load"}

Proofs = dict[str, dict[str, Any]]
"""What was found of each bound, by its name in ``--json``."""


@dataclass(frozen=True, kw_only=True)
class Asked(Shown):
    """What `gswarm-place check` was asked for."""

    plan_file: str
    config: str | None
    requests: str | None
    scenarios: tuple[str, ...]
    cluster: str | None
    bound: bool
    solver: str
    time_limit: float


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
    "--scenarios",
    type=click.Path(),
    multiple=True,
    metavar="FILE",
    help="With --requests: the further trace that it was placed for; may be repeated.",
)
@click.option(
    "--cluster",
    type=click.Path(),
    metavar="FILE",
    help="Check that it was made for this cluster file.",
)
@click.option(
    "--bound",
    is_flag=True,
    help="Prove the bounds on locality and load anew, by code that no solver of plans shares.",
)
@solver_option
@time_limit_option("Of --bound; where it ends first, a bound is neither proven nor refuted.")
@output_options
@takes(Asked)
def command(asked: Asked) -> None:
    """Verify a plan, and its bound, without trusting whoever wrote it.

    Memory, consecutive blocks, server bounds, sharing, flows and loads are checked and every
    stated figure is recomputed, without a solver. With --config and --requests, models, rates and
    service times are compared with those files, too. With --bound the stored duals are priced once
    more: any duals give a valid bound, so a bound that is stated too low is found out. Nor may a
    placement exist whose busiest GPU has less load than bottleneck_lower says.
    Exits with 1 where the plan does not hold, and where the time limit ends before it is known
    whether the bounds do.

    \b
    Example:
      gswarm-place check plan.yaml --bound
    """
    from placement.check import check_plan
    from placement.files.plan_file import InvalidPlan, read_plan
    from placement.solver.solver_names import solver_name
    from placement.verify import check_bottleneck, check_bound

    solver = solver_name(asked.solver) if asked.bound else asked.solver
    try:
        plan = read_plan(asked.plan_file)
    except InvalidPlan as error:
        _report([str(f) for f in error.faults], {}, asked)
        return
    faults = check_plan(plan) + _other_inputs(plan, asked)
    proofs: Proofs = {}
    if asked.bound and not faults:
        begin = time.monotonic()
        with waiting("proving the bounds anew"):
            least = check_bottleneck(
                plan, solver=solver, time_limit_s=BOTTLENECK_SHARE * asked.time_limit
            )
            left = max(0.0, asked.time_limit - (time.monotonic() - begin))
            found = check_bound(plan, solver=solver, time_limit_s=left)
        if least.verdict == "does not hold":
            faults.append(
                f"certificate: bottleneck_lower {least.stated:.9g} is not one: {least.how} finds "
                "a placement whose busiest GPU has less"
            )
        if found.verdict == "does not hold":
            faults.append(
                f"certificate: best_bound {found.stated:.9g} is not proven: "
                f"{found.how} gives {found.recomputed:.9g}"
            )
        proofs = {
            name: asdict(each) | {"holds": _truth(each.verdict)}
            for name, each in (("bound", found), ("bottleneck", least))
        }
    _report(faults, proofs, asked)


def _other_inputs(plan: Plan, asked: Asked) -> list[str]:
    from placement.check import check_cluster, check_inputs
    from placement.files.cluster_file import read_cluster
    from placement.files.request_file import read_requests
    from placement.problem.variants import as_run

    more = {scenario_role(i): path for i, path in enumerate(asked.scenarios)}
    found = hash_inputs(config=asked.config, requests=asked.requests, cluster=asked.cluster, **more)
    faults = [
        f"inputs: the {role} is not the one this plan was made for (its SHA-256 differs)"
        for role, digest in found.items()
        if plan.inputs.get(role) != digest
    ]
    # How GPUs are shared may come from --gpu-sharing in place of the file.
    mode = plan.cluster.sharing.mode
    given = None if asked.cluster is None else share_gpus(read_cluster(asked.cluster), mode)
    if given is not None:
        faults += check_cluster(plan, given)
    if asked.config is not None and asked.requests is not None:
        left = [role for role in plan.inputs if role.startswith(SCENARIO) and role not in more]
        if left:
            faults.append(
                f"inputs: the plan was made for {counted(len(left), 'further trace')}, and the "
                "mean of all; give each with --scenarios, in the order in which solve had them"
            )
            return faults
        workload, trace = load_inputs(asked.config, asked.requests)
        others = []
        for path in asked.scenarios:
            others.append(read_requests(path, workload))
            workload = as_run(workload, others[-1])
        faults += check_inputs(plan, workload, trace, *others)
    return faults


def _truth(verdict: Conclusion) -> bool | None:
    return None if verdict == "not decided" else verdict == "holds"


def _report(faults: list[str], proofs: Proofs, asked: Asked) -> None:
    open_questions = [name for name, proof in proofs.items() if proof["holds"] is None]
    holds = False if faults else None if open_questions else True
    if asked.as_json:
        known = {name: proofs.get(name) for name in NAMES}
        echo_json({"holds": holds, "faults": faults, **known})
    else:
        for fault in faults:
            click.echo(f"does not hold: {visible(fault)}", err=True)
        if not faults and not asked.quiet:
            click.echo("the plan holds: space, flows, loads and every stated figure")
        for name, proof in proofs.items():
            _say(NAMES[name], proof, asked.quiet)
    if not holds:
        sys.exit(1)


def _say(name: str, proof: dict[str, Any], quiet: bool) -> None:
    stated, how = f"{proof['stated']:.9g}", proof["how"]
    if proof["holds"] and not quiet:
        known = f"{proof['recomputed']:.9g} is proven ({how})"
        line = f"{name} holds: {stated} is stated, {known}"
        width = shutil.get_terminal_size().columns
        click.echo(fill(line, width, subsequent_indent="  ", break_on_hyphens=False))
    if proof["holds"] is None:
        click.echo(
            f"not decided: whether {name} of {stated} holds: {proof['why']} ({how}); give it more "
            "--time-limit, or solve again",
            err=True,
        )
