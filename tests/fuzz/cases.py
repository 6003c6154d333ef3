"""A case: files and command lines, both a function of the seed and the case's number."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.edits import edit
from tests.fuzz.lines import Step, base_line, commands, odd_line, with_options
from tests.fuzz.problems import Problem, draw_problem
from tests.fuzz.render import damage, render

PLANNED = 24
"""Problems with plans; the others need none, so each case draws its own."""

KINDS: dict[str, tuple[tuple[str, ...], dict[str, float]]] = {
    "config": (
        ("json", "yaml", "yml"),
        {"analyze": 6, "solve": 3, "simulate": 1, "generate": 1, "compare": 0.15, "size": 0.15},
    ),
    "requests": (
        ("json", "yaml", "jsonl", "jsonl", "csv", "csv", "parquet", "parquet"),
        {"analyze": 6, "solve": 2, "simulate": 1, "compare": 0.1},
    ),
    "cluster": (("json", "yaml"), {"analyze": 4, "solve": 4, "simulate": 1, "compare": 0.2}),
    "plan": (
        ("json", "yaml"),
        {
            "check": 8,
            "simulate": 2,
            "export": 2,
            "report": 0.5,
            "explain": 1,
            "diff": 1,
            "whatif": 0.3,
            "rebalance": 0.3,
        },
    ),
    "rules": (("json", "yaml"), {"solve": 1}),
    "history": (("json",), {"export": 1, "report": 1}),
    "arrivals": (("csv",), {"generate": 1}),
}
"""What is mutated: its formats, and the commands that read it by how often each runs."""

TARGETS = {"config": 6, "requests": 7, "cluster": 3, "rules": 2, "plan": 6, "history": 0.3,
           "arrivals": 1, "options": 5, "several": 1, "nothing": 0.5}  # fmt: skip

OFTEN = {"solve": 4, "check": 3, "simulate": 3, "compare": 0.7, "report": 0.5, "export": 2,
         "generate": 2, "analyze": 2, "schema": 0.4, "completion": 0.2, "explain": 0.5,
         "diff": 0.5, "whatif": 0.3, "rebalance": 0.3, "size": 0.3}  # fmt: skip
"""How often a command runs where its options are what is odd."""

OF_PLANS = ("check", "report", "export", "explain", "diff", "whatif", "rebalance")

POLICY = b"""\
import sys

NUMBER = 3

def last(view):
    return view.replicas()[-1]

class Chooser:
    def choose(self, view):
        return view.replicas()[0]

def wrong(view):
    return "a"

def raises(view):
    raise KeyError("\\x1b")

def exits(view):
    sys.exit(0)
"""


@dataclass(frozen=True)
class Case:
    """One case.

    Parameters
    ----------
    number : int
    target : str
        What is mutated: a kind of document, the options, or several.
    files : dict of str to bytes
    steps : tuple of Step
    edits : int
        Changes that were made; each can be left out.
    requests : int or None
        Requests of the trace, where a reader that takes it must find so many.
    """

    number: int
    target: str
    files: dict[str, bytes]
    steps: tuple[Step, ...]
    edits: int
    requests: int | None = None

    def write(self, folder: Path) -> None:
        """Write the files."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


def make_case(seed: int, number: int, skipped: frozenset[int] = frozenset()) -> Case:
    """Make a case anew from its number, without some of its changes where `skipped` names them."""
    rng = Random(f"{seed} {number}")
    target = rng.choices(list(TARGETS), list(TARGETS.values()))[0]
    mutated = {
        "several": rng.sample(["config", "requests", "cluster"], 2),
        "options": [],
        "nothing": [],
    }.get(target, [target])
    if target in KINDS:
        often = KINDS[target][1]
    else:
        often = OFTEN if target == "options" else KINDS["config"][1]
    command = rng.choices(list(often), list(often.values()))[0]
    needs_plan = command in OF_PLANS or "plan" in mutated
    if needs_plan or (command == "simulate" and rng.random() < 0.5):
        problem = planned(seed, rng.randrange(PLANNED))
    else:
        problem = draw_problem(rng)
    files: dict[str, bytes] = {"policy.py": POLICY}
    names: dict[str, str] = {"mutated": " ".join(mutated)}
    edits, gentle, requests = 0, rng.random() < 0.4, None
    forged = target == "plan" and rng.random() < 0.12
    for kind, (forms, _) in KINDS.items():
        data = getattr(problem, kind)
        if data is None:
            continue
        form = rng.choice(forms) if kind in mutated or kind == "requests" else forms[0]
        names[kind] = f"{kind}.{form}"
        if kind == "plan" and forged:
            data = forge(Random(rng.random()), copy.deepcopy(data))
        elif kind in mutated:
            data = copy.deepcopy(data)
            for change in [Random(rng.random()) for _ in range(rng.choice([1, 1, 1, 2, 3, 6]))]:
                if edits not in skipped:
                    data = edit(change, data, kind, gentle=gentle)
                edits += 1
            redone = rng.random() < 0.6
            if kind == "plan" and redone and isinstance(data, dict):
                data = with_digest(data)
        raw = render(
            Random(rng.random()), data, form, trace=kind == "requests", sound=kind not in mutated
        )
        if kind == "requests" and plain(data) and (form != "csv" or kind not in mutated):
            requests = len(data)
        if kind in mutated and not forged and rng.random() < (0.02 if gentle else 0.2):
            change = Random(rng.random())
            if edits not in skipped:
                raw = damage(change, raw)
                requests = None if kind == "requests" else requests
            edits += 1
        files[names[kind]] = raw
    line = base_line(rng, command, names)
    line = odd_line(rng, line, names) if target == "options" else with_options(rng, line, names)
    steps = [Step(tuple(line))]
    if line and line[0] == "solve" and target != "options":
        steps += _after_solve(rng, line, names)
    elif command == "generate" and target != "options" and "--config" in line:
        trace = line[line.index("--requests-out") + 1]
        follow = ("analyze", "--config", names["config"], "--requests", trace, "-q")
        steps.append(Step(follow, frozenset({0}), after=True))
    elif command == "check" and forged:
        steps = [Step(tuple(line), frozenset({1, 2}))]
    elif command == "check" and target == "plan" and "--config" in line and "--requests" in line:
        inputs = ("--config", names["config"], "--requests", names["requests"], "-q")
        follow = ("simulate", "--plan", names["plan"], *inputs)
        steps.append(Step(follow, frozenset({0}), after=True))
    return Case(number, target, files, tuple(steps), edits, requests)


def plain(data: Any) -> bool:
    """Whether a trace is a list of mappings that every format holds as they are."""
    return type(data) is list and all(
        type(row) is dict and type(row.get("request_id")) is str for row in data
    )


def _after_solve(rng: Random, line: list[str], names: dict[str, str]) -> list[Step]:
    """What must hold of a plan that `solve` wrote."""
    plan = line[line.index("-o") + 1]
    inputs = ["--config", names["config"], "--requests", names["requests"]]
    cluster = ["--cluster", names["cluster"]] if "--cluster" in line else []
    more = [word for i, a in enumerate(line) if a == "--scenarios" for word in line[i : i + 2]]
    bound = ["--bound", "--time-limit", "2"] if rng.random() < 0.3 else []
    steps = [Step(("check", plan, *inputs, *more, *cluster, *bound), frozenset({0}), after=True)]
    if rng.random() < 0.1:
        steps.append(Step(("explain", plan, "--json"), frozenset({0}), after=True))
    if rng.random() < 0.4:
        partial = frozenset({0, 2}) if "--allow-partial" in line else frozenset({0})
        steps.append(Step(("simulate", "--plan", plan, *inputs, "--json"), partial, after=True))
    return steps


def forge(rng: Random, plan: dict[str, Any]) -> Any:
    """The plan with one figure that is half again as large, and a digest that fits: no plan."""
    served = [w for w in plan["workflows"] if w["id"] in plan["routing"]]
    busy = [w for w in served if any(n["work_s"] > 1e-4 for n in w["nodes"])]
    figures = [(plan["certificate"], "objective"), *((w, "rate") for w in busy)]
    # The simulated headroom follows from no other figure: nothing can betray it.
    figures += [(plan["expected"], name) for name in plan["expected"] if "simulated" not in name]
    figures += [(r, "load") for r in plan["replicas"]]
    figures += [(n, "work_s") for w in served for n in w["nodes"]]
    holder, key = rng.choice([(h, k) for h, k in figures if h[k] is not None and h[k] > 1e-4])
    holder[key] *= 1.5
    return with_digest(plan)


def with_digest(plan: dict[Any, Any]) -> Any:
    """The plan with the digest of what it holds now, so that only its content can betray it."""
    from placement.files.plan_file import plan_digest

    if not all(isinstance(k, str) for k in plan) or "digest" not in plan:
        return plan
    try:
        return plan | {"digest": plan_digest(json.loads(json.dumps(plan)))}
    except (TypeError, ValueError, RecursionError):
        return plan


@cache
def planned(seed: int, number: int) -> Problem:
    """A problem with a plan and its history, by one method or another."""
    for attempt in range(50):
        rng = Random(f"{seed} plan {number} {attempt}")
        problem = draw_problem(rng)
        options = [
            "--method", rng.choice(["ilp", "greedy", "local-search", "partition"]),
            "--time-limit", "1", "--mode", rng.choice(["online", "online", "offline"]),
            *rng.choice([[], ["--exclusive"], ["--max-models-per-gpu", "2"]]),
            *rng.choice([[], ["--objective", "cooccurrence"], ["--alpha", "1"]]),
        ]  # fmt: skip
        made = _solved(problem, options)
        if made is not None:
            return made
    raise RuntimeError("no problem could be solved; solve one of tests.fuzz.problems by hand")


def _solved(problem: Problem, options: list[str]) -> Problem | None:
    """Solve by the command itself, as every user does."""
    import os
    import tempfile

    solve = commands()["solve"]
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        for name in ("config", "requests", "cluster"):
            (at / f"{name}.json").write_text(json.dumps(getattr(problem, name)))
        args = [a for n in ("config", "requests", "cluster") for a in (f"--{n}", f"{at / n}.json")]
        outputs = ["-o", f"{at / 'plan'}.json", "--history", f"{at / 'history'}.json", "-q"]
        try:
            solve.main([*args, *options, *outputs], standalone_mode=False)
        except Exception:
            if os.environ.get("GSWARM_PLACE_DEBUG"):
                raise
            return None
        plan = json.loads((at / "plan.json").read_text())
        history = json.loads((at / "history.json").read_text())
    return replace(problem, plan=plan, history=history, solve=tuple(options))
