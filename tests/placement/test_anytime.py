"""A solve that is cut short keeps its promises; one that is not repeats itself byte for byte."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.instances import cluster_of, problem
from placement.files.plan_file import write_plan
from placement.params.search_params import DEFAULTS
from placement.problem.outcome import Progress, SolveOptions, earned_status
from placement.problem.plan_building import build_plan
from placement.problem.violations import violations
from placement.solve import solve_instance
from placement.solver.budget import Budget
from tests.placement.oracle import EVEN

FEW = DEFAULTS.changed({"local_search": {"moves": 2_000}})
"""Short local searches: what they find is not the matter here."""


@pytest.mark.parametrize(
    ("form", "servers", "exclusive"),
    [
        ("compact", 2, True),
        ("compact", 2, False),
        ("patterns", 70, True),
        ("patterns", 70, False),
    ],
)
def test_the_same_input_gives_the_same_bytes(
    form: str, servers: int, exclusive: bool, tmp_path: Path
) -> None:
    """Plan files of two solves are equal, for each form, with GPUs exclusive and shared."""
    models, workflows = (3, 2) if servers == 2 else (8, 4)
    cluster = cluster_of(servers)
    instance, workload = problem(models, workflows, cluster, exclusive=exclusive, seed=3)
    files = []
    for run in range(2):
        options = SolveOptions(params=FEW, form=form, threads=1, time_limit_s=None, gap=0.01)  # type: ignore[arg-type]
        result = solve_instance(instance, options)
        assert result.certificate.deterministic
        files.append(tmp_path / f"{run}.yaml")
        write_plan(files[-1], build_plan(result, workload))
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("servers", [3, 70])
def test_an_interrupt_in_any_phase_leaves_a_plan_and_a_bound(servers: int) -> None:
    """Whenever it comes, the plan is feasible, the bound above it, and the status says so."""
    models = 3 if servers == 3 else 6
    # Sharing costs nothing: with time slices the least load alone takes a program long.
    cluster = replace(cluster_of(servers), sharing=EVEN)
    instance, _ = problem(models, 3, cluster, exclusive=servers > 3, seed=1, load=0.7)
    phases: list[str] = []
    whole = solve_instance(
        instance, SolveOptions(params=FEW, threads=1), progress=lambda e: phases.append(e.phase)
    )
    assert len(set(phases)) > 3
    for phase in dict.fromkeys(phases):
        if phase == "done":
            continue
        budget = Budget(60.0)

        def stop(event: Progress, at: str = phase, budget: Budget = budget) -> None:
            if event.phase == at:
                budget.interrupt()

        got = solve_instance(
            instance, SolveOptions(params=FEW, threads=1), progress=stop, budget=budget
        )
        gap = got.certificate.gap
        assert got.certificate.status == earned_status("ilp", gap, 1e-4, "interrupted"), phase
        assert violations(got.instance, got.solution) == [], phase
        assert got.certificate.best_bound >= got.certificate.objective, phase
        assert not got.certificate.deterministic, phase
        if got.certificate.load_cap == whole.certificate.load_cap:
            assert got.certificate.best_bound >= whole.certificate.objective - 1e-6, phase
