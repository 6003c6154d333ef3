"""Which GPUs of which server hold which model, and a proof of how good that is."""

from typing import TYPE_CHECKING

from placement.support.lazy import offer

if TYPE_CHECKING:
    from placement.analysis import Analysis as Analysis
    from placement.analysis import analyze as analyze
    from placement.check import check as check
    from placement.files.cluster_file import read_cluster as read_cluster
    from placement.files.config_file import read_config as read_config
    from placement.files.params_file import read_params as read_params
    from placement.files.plan_file import read_plan as read_plan
    from placement.files.plan_file import write_plan as write_plan
    from placement.files.request_file import read_requests as read_requests
    from placement.params.search_params import SearchParams as SearchParams
    from placement.problem.cluster import Cluster as Cluster
    from placement.problem.outcome import Infeasible as Infeasible
    from placement.problem.outcome import Progress as Progress
    from placement.problem.outcome import SolveOptions as SolveOptions
    from placement.problem.plan import Plan as Plan
    from placement.problem.rules import Rules as Rules
    from placement.problem.trace import Trace as Trace
    from placement.problem.workload import Workload as Workload
    from placement.solve import solve as solve
    from placement.support.faults import InputError as InputError

__all__ = offer(
    __name__,
    {
        "Analysis": "placement.analysis",
        "Cluster": "placement.problem.cluster",
        "Infeasible": "placement.problem.outcome",
        "InputError": "placement.support.faults",
        "Plan": "placement.problem.plan",
        "Progress": "placement.problem.outcome",
        "Rules": "placement.problem.rules",
        "SearchParams": "placement.params.search_params",
        "SolveOptions": "placement.problem.outcome",
        "Trace": "placement.problem.trace",
        "Workload": "placement.problem.workload",
        "analyze": "placement.analysis",
        "check": "placement.check",
        "read_cluster": "placement.files.cluster_file",
        "read_config": "placement.files.config_file",
        "read_params": "placement.files.params_file",
        "read_plan": "placement.files.plan_file",
        "read_requests": "placement.files.request_file",
        "solve": "placement.solve",
        "write_plan": "placement.files.plan_file",
    },
)
