"""What a command does not need it does not load: a start is over before one waits for it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import COMMANDS, main

ROOT = Path(__file__).parents[2]
INPUTS = [
    "--config", str(ROOT / "configs" / "small.yaml"),
    "--requests", str(ROOT / "configs" / "small_requests.yaml"),
]  # fmt: skip
SOLVERS = {"highspy", "pulp", "scipy"}
TABLES, GRAPHS, COMPILERS, PICTURES = "polars", "networkx", "numba", "matplotlib"
HEAVY = {*SOLVERS, TABLES, GRAPHS, COMPILERS, PICTURES, "numpy", "pydantic", "rich", "yaml"}


def loaded(*arguments: str, module: bool = True) -> set[str]:
    """Packages at the top that a command, or a script, imports."""
    run = [sys.executable, "-X", "importtime", *(("-m", "cli") if module else ("-c",)), *arguments]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = set(re.findall(r"(?m)^import time: .*\| +(\w+)$", done.stderr))
    assert "click" in found or not module
    return found


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("plan") / "plan.yaml")
    arguments = ["solve", *INPUTS, "--gpus", "8", "--method", "greedy", "-o", path, "--quiet"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return path


def test_help_loads_nothing_heavy() -> None:
    """Nor does the version, nor a command without arguments."""
    for arguments in (["--help"], ["--version"], []):
        assert not loaded(*arguments) & HEAVY


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_loads_nothing_heavy(command: str) -> None:
    """A command's module imports what it works with when it works."""
    assert not loaded(command, "--help") & HEAVY


def test_a_small_simulation_loads_no_table_graph_solver_or_compiler(plan: str) -> None:
    """For machines no terminal either; numbers, schemas and YAML are what it reads with."""
    arguments = ["simulate", "--plan", plan, *INPUTS, "--json"]
    found = loaded(*arguments)
    assert found & HEAVY == {"numpy", "pydantic", "yaml"}
    assert loaded(*arguments[:-1]) & HEAVY == {"numpy", "pydantic", "yaml", "rich"}


def test_packages_load_nothing_until_a_name_is_used() -> None:
    """`import placement, runtime` is free; readers and the simulator need neither solvers."""
    assert not loaded("import placement, runtime; dir(placement)", module=False) & HEAVY
    used = "import placement, runtime; placement.read_config, runtime.simulate, placement.read_plan"
    assert loaded(used, module=False) & HEAVY == {"numpy", "pydantic", "yaml"}
