"""Command lines: what a command needs, and options drawn from what click knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from random import Random
from typing import Any

import click

from cli.launching import LAUNCH_FORMS
from placement.problem.names import METHODS
from tests.fuzz.values import NUMBERS, TEXTS

ANY = frozenset({0, 1, 2})
PICTURES = ("map", "pairs", "flows", "utilization", "latency", "comparison", "course")
HEURISTICS = tuple(m for m in METHODS if m not in ("ilp", "selective-replication"))
SOLVERS = ("HiGHS", "PULP_CBC_CMD", "CBC")

INPUTS = frozenset({"config", "requests", "cluster", "cluster_file", "plan", "plan_file",
                    "against_plan", "arrivals_file", "scenarios", "rules_file",
                    "earlier"})  # fmt: skip
"""Options that name a file to read; `history` is one but for `solve`, which writes it."""

SMALL: dict[str, tuple[Any, ...]] = {
    "time_limit": (0, 1e-9, 0.05, 0.2), "refine_budget": (0, 0.1), "refine_evaluations": (1, 3),
    "repeat": (2, 3),
    "threads": (1, 2), "windows": (2, 3, 1000), "gpus": (1, 2, 4, 8, 9, 33, 1000), "models": (1, 5,
    12), "gpus_per_server": (1, 2, 4, 8, 1024), "workflows": (1, 6), "requests": (1, 2, 100),
    "rate": (1e-12, 1e-6, 1.0, 1e12), "load": (1e-12, 0.5, 1000),
}  # fmt: skip
"""Values of options whose largest are meant to take long."""

PATHS = ("missing.json", "", ".", "/", "-", "/dev/null", "/dev/full", "sub/missing.json",
         "x" * 300 + ".json", "a\nb.json",
         "\udcff.json", "🚀.yaml", "x.docx", "x", ".json", "~/x.json", "\x1b[31m.json",
         "config.json/x.json", "/proc/1/mem",
         "x" * 250 + ".json", "x.svg", "x.csv", "x.parquet")  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One call of the command.

    Parameters
    ----------
    args : tuple of str
    allowed : frozenset of int
        Exit codes that are right here.
    after : bool
        Runs only if the step before ended with 0.
    """

    args: tuple[str, ...]
    allowed: frozenset[int] = ANY
    after: bool = False

    @property
    def command(self) -> str:
        """Name of the command, where it names one."""
        return self.args[0] if self.args and self.args[0] in commands() else "none"


@cache
def commands() -> Mapping[str, click.Command]:
    """Commands by their names, but for those that serve, call, or read files of other tools."""
    from cli.main import COMMANDS, module_of

    return {
        name: import_module(module_of(name)).command
        for name in COMMANDS
        if name not in ("demo", "serve-local", "execute", "import")
    }


def base_line(rng: Random, command: str, files: Mapping[str, str]) -> list[str]:
    """What a command needs, with the case's files; `files` names them by kind."""
    config, requests = ["--config", files["config"]], ["--requests", files["requests"]]
    cluster = ["--cluster", files["cluster"]]
    if "cluster" not in files.get("mutated", "") and rng.random() < 0.3:
        per = rng.choice([2, 4, 8])
        cluster = ["--gpus", str(rng.choice([4, 8, 11])), "--gpus-per-server", str(per)]
    plan = ["--plan", files.get("plan", "plan.json")]
    match command:
        case "solve":
            form = rng.choice(["json", "yaml"])
            ruled = "rules" in files.get("mutated", "") or rng.random() < 0.25
            rules = ["--rules", files["rules"]] if ruled else []
            return ["solve", *config, *requests, *cluster, *rules, "-o", f"made.{form}"]
        case "size":
            goal = ["--gpus-per-server", "4", "--max-servers", "4", "--se", "50"]
            return ["size", *config, *requests, *goal, "--time-limit", "0.2"]
        case "check":
            against = [*config, *requests] if rng.random() < 0.3 else []
            return ["check", files.get("plan", "plan.json"), *against]
        case "simulate":
            if rng.random() < 0.5 and "plan" not in files.get("mutated", ""):
                scheduler = rng.choice(["baseline", "offline"])
                return ["simulate", "--scheduler", scheduler, *config, *requests, *cluster]
            return ["simulate", *plan, *config, *requests]
        case "analyze":
            return ["analyze", *config, *requests, *(cluster if rng.random() < 0.8 else [])]
        case "compare":
            some = ",".join(rng.sample(["greedy", "local-search", "partition", "random", "ilp"], 2))
            limit = ["--time-limit", "0.2", "--methods", some]
            return ["compare", *config, *requests, *cluster, *limit]
        case "report":
            return ["report", *plan, *config, *requests, "-o", "report.html"]
        case "export":
            return _export(rng, plan, [*config, *requests], files)
        case "generate":
            form = rng.choice(["json", "yaml", "jsonl", "csv", "parquet"])
            out = ["--requests-out", f"trace.{form}", "--requests", str(rng.choice([1, 2, 50]))]
            if "arrivals" in files.get("mutated", "") or rng.random() < 0.1:
                out = [*out[:2], "--arrivals", "file", "--arrivals-file", files["arrivals"]]
            if rng.random() < 0.3 and "config" not in files.get("mutated", ""):
                return ["generate", "--config-out", "new.yaml", "--models", "4", *out]
            return ["generate", *config, *out]
        case "explain" | "diff" | "whatif" | "rebalance":
            return _of_plan(rng, command, plan[1], [*config, *requests])
        case "schema":
            return ["schema", rng.choice(["config", "cluster", "requests", "plan"])]
        case _:
            return ["completion", rng.choice(["bash", "zsh", "fish"])]


def _of_plan(rng: Random, command: str, plan: str, run: list[str]) -> list[str]:
    match command:
        case "explain":
            return ["explain", plan]
        case "diff":
            return ["diff", plan, plan, *(run[:2] if rng.random() < 0.5 else [])]
        case "whatif":
            change = rng.choice([("traffic", "1.5"), ("without-server", "0"), ("add-servers", "1")])
            return ["whatif", plan, *run, f"--{change[0]}", change[1], "--time-limit", "0.3"]
        case _:
            new = ["--max-moves", str(rng.randint(0, 2)), "-o", "new.json"]
            return ["rebalance", "--from", plan, *run, *new, "--time-limit", "0.3"]


def _export(rng: Random, plan: list[str], run: list[str], files: Mapping[str, str]) -> list[str]:
    if "history" in files.get("mutated", ""):
        form = "course"
    elif rng.random() < 0.15:
        form = rng.choice(PICTURES)
    else:
        form = rng.choice(["csv", "routing", "json", *LAUNCH_FORMS])
    line = ["export", *plan, "--format", form]
    if form in PICTURES:
        more = ["--history", files.get("history", "history.json")] if form == "course" else []
        ending = rng.choice(["svg", "svg", "png", "pdf"])
        return [*line, *(run if form not in ("map", "course") else []), *more, "-o", f"p.{ending}"]
    return line if rng.random() < 0.5 else [*line, "-o", f"out.{form}"]


def with_options(
    rng: Random, line: list[str], files: Mapping[str, str], *, chance: float = 0.08
) -> list[str]:
    """The line with sound options besides; what takes long is held short."""
    command = line[0]
    found = list(line)
    for param in commands()[command].params:
        given = any(o in line for o in param.opts)
        if not isinstance(param, click.Option) or given or rng.random() > chance:
            continue
        found += _option(rng, param, files, command)
    if command == "solve" and "--method" not in found:
        method = rng.choice(HEURISTICS) if rng.random() < 0.88 else "ilp"
        found += ["--method", method]
    _hold_short(found)
    for shape, likely in (("--json", 0.4), ("-q", 0.2)):
        if rng.random() < likely and shape not in found and command not in ("completion", "schema"):
            found.append(shape)
    return found


def _hold_short(line: list[str]) -> None:
    """Give what runs for a minute by default a limit."""
    long = ("solve", "check", "compare", "size", "whatif", "rebalance")
    if line and line[0] in long and "--time-limit" not in line:
        line += ["--time-limit", "0.2"]
    if "--refine" in line and "--refine-budget" not in line:
        line += ["--refine-budget", "0.1"]


def _option(rng: Random, param: click.Option, files: Mapping[str, str], command: str) -> list[str]:
    name, kind, flag = param.name or "", param.type, param.opts[-1]
    if name in ("as_json", "quiet", "json"):
        return []
    if param.is_flag:
        return [flag]
    if name == "solver":
        return [flag, rng.choice(SOLVERS)] if rng.random() < 0.2 else []
    if isinstance(kind, click.Path):
        return _path(rng, name, flag, files, command)
    if name in SMALL:
        return [flag, str(rng.choice(SMALL[name]))]
    if isinstance(kind, click.Choice):
        return [flag, str(rng.choice(list(kind.choices)))]
    if isinstance(kind, click.IntRange):
        low, high = kind.min or 0, kind.max if kind.max is not None else 10**30
        return [flag, str(rng.choice([low, low + 1, 3, high, high - 1]))]
    if hasattr(kind, "above_low"):
        low, high = kind.low, kind.high
        inside = [high, low + (high - low) * 1e-12, low + 0.5, low + 1e-9, (low + high) / 2]
        return [flag, repr(rng.choice(inside if kind.above_low else [low, *inside]))]
    if hasattr(kind, "BUILT_IN"):
        own = ["policy.py:last", "policy.py:Chooser", "policy.py:wrong", "policy.py:exits"]
        return [flag, rng.choice([*kind.BUILT_IN, *own])]
    if name in ("methods", "routings", "schedulers"):
        return []
    return [flag, rng.choice(TEXTS).replace("\0", "0")]


def _path(rng: Random, name: str, flag: str, files: Mapping[str, str], command: str) -> list[str]:
    known = {"cluster_file": "cluster", "plan_file": "plan", "against_plan": "plan",
             "arrivals_file": "arrivals", "scenarios": "requests", "rules_file": "rules",
             "earlier": "plan"}  # fmt: skip
    if name in INPUTS or (name == "history" and command != "solve"):
        if name in ("cluster_file", "cluster", "arrivals_file"):
            return []  # the line has one already, or may not
        return [flag, files.get(known.get(name, name), "missing.json")]
    return [flag, f"{name}.{rng.choice(['json', 'csv', 'json.gz', 'parquet', 'txt'])}"]


def odd_line(rng: Random, line: list[str], files: Mapping[str, str]) -> list[str]:
    """The line with one or two things wrong, or merely odd."""
    found = with_options(rng, line, files, chance=0.15)
    for _ in range(rng.choice([1, 1, 2])):
        change = rng.randrange(8)
        params = [p for p in commands()[line[0]].params if isinstance(p, click.Option)]
        param = rng.choice(params)
        flag, at = rng.choice(param.opts), rng.randint(0, len(found))
        if change < 4 and not param.is_flag:
            _drop(found, param)
            found += [flag, _odd_text(rng, param, files)]
        elif change == 4:
            del found[rng.randint(0, len(found) - 1)]
        elif change == 5:
            found.insert(
                at, rng.choice([flag, flag[:-1], flag + "s", "--" + rng.choice(TEXTS), "--", "-x"])
            )
        elif change == 6:
            found.insert(at, rng.choice(TEXTS + PATHS))
        else:
            found = [
                rng.choice(["slove", "Solve", "help", "", "--version", "--help", *commands()]),
                *found[1:],
            ]
    _hold_short(found)
    return [a.replace("\0", "0") for a in found]


def _drop(line: list[str], param: click.Option) -> None:
    for flag in param.opts:
        while flag in line:
            at = line.index(flag)
            del line[at : at + 2]


def _odd_text(rng: Random, param: click.Option, files: Mapping[str, str]) -> str:
    kind = param.type
    if isinstance(kind, click.Path):
        return rng.choice([*PATHS, *(f for k, f in files.items() if k != "mutated")])
    if param.name in SMALL and rng.random() < 0.3:
        return str(rng.choice(SMALL[param.name or ""]))
    if isinstance(kind, click.IntRange | click.Choice) or hasattr(kind, "above_low"):
        # Numbers that are sound but would take long are left out.
        odd = [n for n in NUMBERS if param.name not in SMALL or n != n or n <= 0 or n > 1e15]
        return str(rng.choice(odd)) if rng.random() < 0.7 else rng.choice(TEXTS)
    if hasattr(kind, "BUILT_IN"):
        return rng.choice(["policy.py:missing", "policy.py:NUMBER", "os:path", "json:loads",
                           "missing.py:x", ":", "a:",
                           "policy.py:raises", "policy.py:exits", "config.json:x", "..:x",
                           "policy:last"])  # fmt: skip
    return rng.choice(
        [*TEXTS, ",", "all", "none", "greedy,greedy", "greedy,", "ilp", "locality", "offline"]
    )
