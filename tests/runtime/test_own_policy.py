"""Routing policies of the user's own: found by name, held to the rules, faults in sentences."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cli.main import main
from runtime.own_policy import load_policy
from runtime.policies import BUILT_IN
from runtime.simulate import Dispatch, simulate_placement
from tests.runtime.cases import random_case

ROOT = Path(__file__).parents[2]
INPUTS = [
    "--config", str(ROOT / "configs" / "small.yaml"),
    "--requests", str(ROOT / "configs" / "small_requests.yaml"),
]  # fmt: skip
SHORTEST = """
class Shortest:
    name = "least-loaded"

    def choose(self, view):
        return min(view.replicas(), key=lambda p: (view.load(p), view.free_s[p], p))

instance = Shortest()

def shortest(view):
    return instance.choose(view)

number = 3
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "plan.yaml"
    arguments = ["solve", *INPUTS, "--gpus", "8", "--method", "greedy", "-o", str(path)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    return path


def simulated(plan: Path, routing: str) -> Result:
    arguments = ["simulate", "--plan", str(plan), *INPUTS, "--routing", routing, "--json"]
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("name", ["Shortest", "instance", "shortest"])
@pytest.mark.parametrize("place", ["own_rules.py", "own_rules"])
def test_a_rule_of_one_s_own_is_the_rule_built_in(
    name: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A class, an object and a function, from a file or a module, all run as the built-in does."""
    (tmp_path / "own_rules.py").write_text(SHORTEST)
    monkeypatch.chdir(tmp_path)
    policy = load_policy(f"{place}:{name}")
    assert policy.name == (name if name == "shortest" else "least-loaded")
    for seed in range(20):
        case = random_case(seed)
        own, built_in = (
            simulate_placement(
                case.workload,
                case.trace,
                case.cluster,
                case.placement,
                case.routing,
                dispatch=Dispatch(mode=case.mode, policy=p),
                engine="reference",
            )
            for p in (policy, BUILT_IN["least-loaded"])
        )
        np.testing.assert_array_equal(own.replica, built_in.replica)


def test_the_documents_example_runs(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy in docs/simulator.md runs with the command beside it, and keeps nodes together."""
    text = (ROOT / "docs" / "simulator.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (command,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(plan.parent)
    Path("sticky.py").write_text(code)
    if not Path("configs").exists():
        Path("configs").symlink_to(ROOT / "configs")
    done = CliRunner().invoke(main, [*shlex.split(command)[1:], "--json"])
    assert done.exit_code == 0, done.output
    sticky = json.loads(done.stdout)["summary"]
    assert sticky["routing"] == "sticky"
    earliest = json.loads(simulated(plan, "earliest").stdout)["summary"]
    crossings = "cross_server_communications"
    assert sticky[crossings] < earliest[crossings]


def test_ctrl_c_in_a_run_leaves_the_old_files(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted simulation ends with exit code 130 and changes no file."""
    (tmp_path / "own.py").write_text("def stops(view):\n    raise KeyboardInterrupt\n")
    for name in ("log.json", "timeline.json"):
        (tmp_path / name).write_text("what was there")
    monkeypatch.chdir(tmp_path)
    arguments = ["simulate", "--plan", str(plan), *INPUTS, "--routing", "own.py:stops"]
    outputs = ["--log", "log.json", "--trace", "timeline.json"]
    done = CliRunner().invoke(main, [*arguments, *outputs])
    assert done.exit_code == 130
    assert {p.name for p in tmp_path.iterdir()} >= {"log.json", "timeline.json"}
    for name in ("log.json", "timeline.json"):
        assert (tmp_path / name).read_text() == "what was there"


@pytest.mark.parametrize(
    ("routing", "wrong"),
    [
        ("nearest", "'nearest' is not one of locality"),
        (":", "':' names no routing policy; write module:name"),
        ("missing.py:rule", "missing.py: there is no such file"),
        ("no_such_module:rule", "importing it raised ModuleNotFoundError"),
        ("own.py:shortst", "own.py has no 'shortst'; did you mean 'shortest'?"),
        ("own.py:number", "is int, no routing policy; name an object with a method choose(view)"),
        ("own.py:Needy", "Needy() raised TypeError"),
        ("broken.py:rule", "broken.py: line 2: is no valid Python"),
        ("raising.py:rule", "importing it raised ZeroDivisionError"),
        ("own.py:fails", "line 2: choosing a replica raised KeyError: 'x'; mend the policy"),
        ("own.py:nothing", "returned None instead of the number of a replica"),
        ("own.py:outside", "chose replica 12345 for model"),
        ("own.py:leaves", "choosing a replica ended the program (SystemExit: 0); mend the policy"),
        ("own.py:panics", "choosing a replica raised BaseException: boom; mend the policy"),
        ("own.py:keeps", "raised AttributeError: 'View' object has no attribute 'mine'"),
        ("own.py:empties", "has changed what its view holds (IndexError"),
        ("own.py:Leaving", "Leaving() ended the program (SystemExit: 3)"),
        ("own.py:Computed", "looking up 'choose' raised RuntimeError: not now; mend the policy"),
        ("lazy.py:rule", "looking up 'rule' raised RuntimeError: no rule; mend the policy"),
        ("leaving.py:rule", "importing it ended the program (SystemExit: 0); mend it"),
        ("leaving:rule", "importing it ended the program (SystemExit: 0); mend it"),
        ("a" * 300 + ".py:rule", "File name too long; write module:name"),
    ],
)
def test_mistakes_are_sentences(
    routing: str, wrong: str, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with a policy is told in one sentence, with exit code 2."""
    (tmp_path / "own.py").write_text(
        "def fails(view):\n    return {}['x']\n"
        "def nothing(view):\n    pass\n"
        "def outside(view):\n    return 12345\n"
        "class Needy:\n    def __init__(self, must): pass\n"
        "def leaves(view):\n    raise SystemExit(0)\n"
        "def panics(view):\n    raise BaseException('boom')\n"
        "def keeps(view):\n    view.mine = 1\n"
        "def empties(view):\n    view.unfinished.clear()\n    return view.replicas()[0]\n"
        "class Leaving:\n    def __init__(self): raise SystemExit(3)\n"
        "class Computed:\n"
        "    @property\n"
        "    def choose(self): raise RuntimeError('not now')\n" + SHORTEST
    )
    (tmp_path / "lazy.py").write_text(
        "def __getattr__(name):\n    raise RuntimeError('no ' + name)\n"
    )
    (tmp_path / "leaving.py").write_text("import sys\nsys.exit(0)\n")
    (tmp_path / "broken.py").write_text("\ndef rule(:\n")
    (tmp_path / "raising.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    done = simulated(plan, routing)
    assert done.exit_code == 2
    assert wrong in " ".join(done.stderr.split())
    assert "Traceback" not in done.output
