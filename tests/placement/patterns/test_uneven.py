"""Server types that can hold none of a workflow's models, and services that take no time."""

from dataclasses import replace

import numpy as np
import pytest

from placement.patterns.pricing.content_list import listed_contents
from placement.patterns.pricing.knapsack import knapsacks
from placement.patterns.rounding_cuts import server_row
from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.outcome import SolveOptions
from placement.problem.violations import violations
from placement.solve import solve_instance


def uneven(remainder: int = 1, work: float = 0.6) -> Instance:
    """Blocks of two GPUs and of one, on servers of four and one smaller server."""
    return Instance(
        model_ids=("small", "large"),
        gpus_required=np.array([1, 2]),
        memory_per_gpu_gb=np.array([30.0, 50.0]),
        workflows=(
            WorkflowDemand(
                "both", 1.0, np.array([0, 1]), np.array([work, work]), np.array([[0, 1]])
            ),
            WorkflowDemand(
                "blocks", 0.5, np.array([1, 1]), np.array([work, work]), np.array([[0, 1]])
            ),
        ),
        cluster=Cluster((ServerType("whole", 2, 4, 80.0), ServerType("rest", 1, remainder, 80.0))),
        exclusive=True,
    )


@pytest.mark.parametrize("form", ["compact", "patterns"])
@pytest.mark.parametrize("remainder", [1, 2, 3])
def test_a_server_without_room_for_a_workflow_takes_part(form: str, remainder: int) -> None:
    """Where the last server holds no model of some workflow, it still serves the others."""
    options = SolveOptions(form=form, time_limit_s=20.0)  # type: ignore[arg-type]
    result = solve_instance(uneven(remainder), options)
    assert not violations(result.instance, result.solution)
    assert result.certificate.status in ("optimal", "gap")


def test_contents_of_a_type_that_holds_nothing_of_a_workflow() -> None:
    """Its table has one row, the empty content, and its knapsack prices nothing for it."""
    normal = uneven()
    rest = listed_contents(normal)[1]
    flow = rest.flow(1)
    assert flow.column.tolist() == [-1, -1]
    assert [len(k.parts[1].counts) for k in knapsacks(normal)] == [3, 1]
    only = knapsacks(replace(normal, cluster=Cluster((ServerType("one", 3, 1, 80.0),))))
    assert [part.models for part in only[0].parts] == [[0], []]


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("form", ["compact", "patterns"])
def test_services_that_take_no_time(form: str, exclusive: bool) -> None:
    """Nodes of zero seconds are routed like any other; they cost no load and keep links."""
    instance = replace(uneven(4), exclusive=exclusive)
    first, second = instance.workflows
    first = replace(first, work_s=np.array([0.0, 0.9]))
    second = replace(second, work_s=np.zeros(2))
    idle = replace(first, work_s=np.zeros(2))
    for workflows, mode in (((first, second), "online"), ((idle, second), "offline")):
        options = SolveOptions(form=form, mode=mode, time_limit_s=20.0)  # type: ignore[arg-type]
        result = solve_instance(replace(instance, workflows=workflows), options)
        assert not violations(result.instance, result.solution)
        assert result.certificate.objective == pytest.approx(1.0, abs=1e-6)


def test_what_takes_no_time_is_kept_without_limit() -> None:
    """The rounding of what servers can keep is one server's, however many replicas there are."""
    instance = uneven(4)
    flow = replace(instance.workflows[0], work_s=np.zeros(2), rate=1.3)
    row = server_row(replace(instance, workflows=(flow,)), (0, -1), 1.0)
    assert row is not None
    np.testing.assert_array_equal(row.steps(0, 2), row.steps(0, 2)[:1].repeat(2, axis=0))
    assert row.steps(0, 2)[0, 0] == 0 < row.steps(0, 2)[0, 1] == row.steps(0, 2)[0, 2]


def test_memory_in_thirds_is_bounded_as_it_is_placed() -> None:
    """Three models of a third of the memory, rounded up, share a GPU in plans and in bounds."""
    third = round(80.0 / 3, 5) + 1e-5
    instance = Instance(
        model_ids=("a", "b", "c"),
        gpus_required=np.array([1, 1, 1]),
        memory_per_gpu_gb=np.full(3, third),
        workflows=(
            WorkflowDemand(
                "w", 1.0, np.arange(3), np.full(3, 0.2), np.array([[0, 1], [1, 2], [0, 2]])
            ),
        ),
        cluster=Cluster((ServerType("s", 3, 1, 80.0),)),
    )
    for form in ("compact", "patterns"):
        result = solve_instance(instance, SolveOptions(form=form, time_limit_s=20.0))  # type: ignore[arg-type]
        assert not violations(result.instance, result.solution)
        assert result.certificate.objective == pytest.approx(1.0, abs=1e-6)
        assert result.certificate.best_bound >= 1.0 - 1e-9
