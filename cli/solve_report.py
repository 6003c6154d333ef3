"""What `solve` prints of a plan: the verdict, its facts and the placement map, or one object."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from cli.refine import show_refinement
from cli.scenarios import show_scenarios
from cli.survival import show_price
from placement.problem.names import SIMULATED_HEADROOM
from placement.support.equality import ByContent
from placement.support.escaping import visible

if TYPE_CHECKING:
    from placement.problem.outcome import SolveResult
    from placement.problem.plan import Plan


@dataclass(frozen=True, eq=False)
class Solved(ByContent):
    """A plan, and what else came of making it.

    Parameters
    ----------
    plan : Plan
    result : SolveResult
        What the plan was built from.
    doubts : list of str
        Why the simulation bears out less than the mean loads say.
    extra : dict
        What the options add to ``--json``: ``scenarios``, ``refined``, ``migration``, and the
        headroom that was simulated.
    """

    plan: Plan
    result: SolveResult
    doubts: list[str]
    extra: dict[str, Any]


def summary(solved: Solved) -> dict[str, Any]:
    """What ``--json`` prints."""
    from placement.problem.verdict import plan_verdict

    result = solved.result
    certificate, evaluation = result.certificate, result.evaluation
    cluster = result.instance.cluster
    return {
        "method": certificate.method,
        "form": certificate.form,
        "status": certificate.status,
        "objective": evaluation.objective,
        "best_bound": certificate.best_bound,
        "gap": certificate.gap,
        "proof": certificate.proof,
        "server_efficiency": evaluation.server_efficiency,
        "edge_locality": evaluation.edge_locality,
        "headroom": evaluation.headroom,
        "max_utilization": evaluation.max_utilization,
        "load_cap": certificate.load_cap,
        "headroom_slack": certificate.headroom_slack,
        "bottleneck": [certificate.bottleneck_lower, certificate.bottleneck_upper],
        "seconds": certificate.seconds,
        "gpus": cluster.n_gpus,
        "servers": cluster.n_servers,
        "replicas": result.solution.placement.n_replicas,
        "dropped_models": [result.instance.model_ids[m] for m in result.dropped_models],
        "dropped_workflows": [result.instance.workflows[w].id for w in result.dropped_workflows],
        "search_params": result.options.params.differences(),
        "verdict": plan_verdict(solved.plan).as_dict(),
        **solved.extra,
    }


def show_solved(
    solved: Solved, next_step: tuple[str, list[str]], output: str, earlier: str | None
) -> None:
    """Print a plan, the verdict first, and what the options have added to it.

    Parameters
    ----------
    next_step : (why, words)
        A command to paste.
    output : str
        Where the plan was written.
    earlier : str or None
        The plan that runs, where there is one.
    """
    from cli import terminal
    from cli.verdict import show_verdict
    from placement.problem.verdict import Remark, plan_verdict

    plan, result, extra = solved.plan, solved.result, solved.extra
    console = terminal.output()
    verdict = plan_verdict(plan)
    if solved.doubts:
        factor = plan.expected[SIMULATED_HEADROOM]
        text = f"the trace may come {factor:.2f} times as fast, less than the mean loads say: "
        remark = Remark(text + "; ".join(solved.doubts), "simulated")
        verdict = replace(verdict, remarks=(*verdict.remarks, remark))
    show_verdict(console, verdict, next_step)
    facts = terminal.table("plan", "", left=2)
    for name, value in plan.facts():
        facts.add_row(name, terminal.plain(value))
    console.print(facts)
    for w in result.dropped_workflows:
        name = result.instance.workflows[w].id
        console.print(f"not served: workflow {terminal.plain(name)}", style="bold red")
    console.print(terminal.placement_map(plan))
    console.print(f"written to {terminal.plain(output)}")
    if "refined" in extra:
        show_refinement(extra["refined"])
    if "survive" in extra:
        show_price(extra["survive"])
    if "migration" in extra:
        click.echo(f"from {visible(earlier or '')}: {extra['migration']['headline']}")
    if "scenarios" in extra:
        show_scenarios(extra["scenarios"])
