"""Nobody sits through the compilation of the search who has a time limit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CODE = """
from placement.support import compile_beside
from placement.heuristics.greedy import greedy
from placement.params.search_params import DEFAULTS
from placement.portfolio import starts
from placement.problem.normalization import normalize
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement.heuristics.cases import random_instance

def filled(instance, placement):
    raise SystemExit("this would compile")

class Other:
    # The process that compiles, and is not done for as long as this test lasts.
    def poll(self):
        return None

compile_beside.compiler = lambda module: Other()
starts.filled_routing = filled
instance = normalize(random_instance(5, servers=3))
budget = Budget(3600.0)
settings = SolverSettings(params=DEFAULTS.changed({"portfolio": {"many_nodes": 0}}))
found = starts.route_all(instance, [greedy(instance)], settings, budget)
print(len(found.solutions), budget.cut_short)
"""


def test_routing_many_nodes_does_not_wait_for_the_compiler(tmp_path: Path) -> None:
    """On a machine's first run the programs route alone, and the plan says that time decided."""
    root = str(Path(__file__).parents[3])
    env = {**os.environ, "PYTHONPATH": root, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=False, env=env, cwd=root
    )
    assert (done.stdout, done.returncode) == ("1 True\n", 0), done.stderr
