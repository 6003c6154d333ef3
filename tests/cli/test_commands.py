"""The commands as a user meets them: output, exit codes, errors in words."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import COMMANDS, main
from runtime.engines.warm import warm_up

CONFIGS = Path(__file__).parents[2] / "configs"
INPUTS = [
    "--config",
    str(CONFIGS / "small.yaml"),
    "--requests",
    str(CONFIGS / "small_requests.yaml"),
]
SUMMARY = {
    "method", "status", "objective", "best_bound", "gap", "server_efficiency", "edge_locality",
    "headroom", "max_utilization", "seconds", "gpus", "servers", "replicas",
}  # fmt: skip


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Compiled here, not within the time limit of a solve, which would be told in the plan.
    warm_up()
    path = tmp_path_factory.mktemp("plan") / "plan.yaml"
    assert call("solve", *INPUTS, "--gpus", "8", "-o", path).exit_code == 0
    return path


def test_solve_check_and_simulate_speak_json_alone(plan: Path, tmp_path: Path) -> None:
    """Each prints one JSON object with the fields that the design promises."""
    solved = json.loads(
        call("solve", *INPUTS, "--gpus", "8", "--json", "-o", tmp_path / "p.yaml").output
    )
    assert set(solved) >= SUMMARY
    assert solved["objective"] <= solved["best_bound"] + 1e-9
    assert json.loads(call("check", plan, "--bound", "--json").output)["holds"] is True
    log, trace = tmp_path / "log.json", tmp_path / "trace.json"
    simulated = call(
        "simulate", *INPUTS, "--plan", plan, "--json", "--log", log, "--trace", trace, "--quiet"
    )
    run = json.loads(simulated.output)["summary"]
    slices = [e for e in json.loads(trace.read_text())["traceEvents"] if e["ph"] == "X"]
    assert len(slices) == run["total_nodes_executed"], "every model of the case has one GPU"
    assert run["completed_requests"] + run["failed_requests"] == run["total_requests"] == 500
    assert json.loads(log.read_text())["summary"]["total_requests"] == 500


def test_compare_ranks_placements_routers_and_schedulers(tmp_path: Path) -> None:
    """Every pair has its row, best first, with intervals; the CSV says the same."""
    table = tmp_path / "rows.csv"
    done = call(
        "compare", *INPUTS, "--gpus", "8", "--methods", "ilp,greedy", "--routings", "plan,earliest",
        "--mode", "offline", "--repeat", "3", "--csv", table, "--json",
    )  # fmt: skip
    rows = json.loads(done.output)["rows"]
    pairs = {(r["scheduler"], r["method"], r["routing"]) for r in rows}
    assert pairs == {
        *(("static", m, r) for m in ("ilp", "greedy") for r in ("plan", "earliest")),
        ("baseline", None, None),
        ("offline", None, None),
    }
    efficiency = [r["server_efficiency"] for r in rows]
    assert efficiency == sorted(efficiency, reverse=True)
    for row in rows:
        assert (row["switches"] > 0) == (row["scheduler"] != "static")
        assert row["intervals"]["p99"]["low"] <= row["intervals"]["p99"]["high"]
    by_pair = {(r["method"], r["routing"]): r for r in rows}
    ilp, greedy = by_pair["ilp", "plan"], by_pair["greedy", "plan"]
    assert greedy["objective"] <= ilp["objective"] + 1e-6 <= ilp["best_bound"] + 2e-6
    with table.open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [float(r["p99"]) for r in written] == [r["p99"] for r in rows]
    for part in ("mean", "low", "high"):
        told = [float(r[f"p99_{part}"]) for r in written]
        assert told == [r["intervals"]["p99"][part] for r in rows]


def test_one_method_without_a_plan_does_not_end_the_comparison() -> None:
    """On one server there are no parts to split it into; the other methods have their rows."""
    done = call(
        "compare", *INPUTS, "--gpus", "4", "--methods", "partition,greedy", "--routings", "plan"
    )
    assert done.exit_code == 0
    assert "partition: no plan: a cluster of one server cannot be split" in done.output
    assert "greedy" in done.output


@pytest.mark.parametrize("how", ["--json", "--quiet"])
def test_where_no_method_has_a_plan_stderr_says_why(how: str) -> None:
    """Exit code 1 is never silent."""
    done = call("compare", *INPUTS, "--gpus", "4", "--methods", "partition", how)
    assert done.exit_code == 1
    assert done.stderr.startswith("error: partition: no plan: a cluster of one server")


def test_simulate_switches_models_without_a_plan(tmp_path: Path) -> None:
    """Schedulers without a plan serve every request, and say what switching cost."""
    arguments = ["simulate", *INPUTS, "--gpus", "8", "--exclusive", "--json"]
    log = tmp_path / "log.json"
    runs = {
        name: json.loads(call(*arguments, "--scheduler", name, "--log", log).output)["summary"]
        for name in ("baseline", "offline")
    }
    for name, run in runs.items():
        assert run["scheduler"] == name
        assert run["completed_requests"] == run["total_requests"] == 500
        assert run["total_model_switches"] >= 3, "every model of the case was loaded"
    assert runs["offline"]["mode"] == "offline"
    rows = json.loads(log.read_text())["executions"]
    assert sum(r["switch_time"] > 0 for r in rows) == runs["offline"]["total_model_switches"]


def test_equal_inputs_give_equal_plan_files(plan: Path, tmp_path: Path) -> None:
    """The same command writes the same bytes."""
    again = tmp_path / "again.yaml"
    assert call("solve", *INPUTS, "--gpus", "8", "-o", again).exit_code == 0
    assert again.read_bytes() == plan.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["solve", *INPUTS], 2, "--gpus"),
        (["solve", *INPUTS, "--gpus", "8", "--cluster", "x.yaml"], 2, "either"),
        (["solve", *INPUTS, "--gpus", "0"], 2, "0"),
        (["solve", *INPUTS, "--gpus", "8", "--time-limit", "nan"], 2, "nan"),
        (["simulate", *INPUTS], 2, "--plan"),
        (["simulate", *INPUTS, "--scheduler", "baseline"], 2, "--gpus"),
        (["simulate", *INPUTS, "--plan", "p.yaml", "--gpus", "8"], 2, "--gpus"),
        (["simulate", *INPUTS, "--scheduler", "baseline", "--routing", "plan"], 2, "--routing"),
        (
            ["simulate", *INPUTS, "--scheduler", "offline", "--mode", "online", "--gpus", "8"],
            2,
            "time 0",
        ),
        (["solve", *INPUTS, "--gpus", "8", "--gap", "-1"], 2, "at least 0"),
        (["solve", *INPUTS, "--gpus", "8", "--solver", "oracle"], 2, "oracle"),
        (["solve", *INPUTS, "--gpus", "8", "-o", "/nowhere/plan.yaml"], 2, "/nowhere"),
        (["solve", *INPUTS, "--gpus", "8", "--gpu-memory-gb", "10"], 2, "painter-xl"),
        (["solve", *INPUTS, "--gpus", "2", "--exclusive"], 1, "smallest cluster"),
        (["solve", "--config", "none.yaml", "--requests", "none.json", "--gpus", "8"], 2, "none"),
        (["simulate", *INPUTS, "--plan", "none.yaml"], 2, "none.yaml"),
        (["check", str(CONFIGS / "small.yaml")], 2, "small.yaml"),
        (["compare", *INPUTS, "--gpus", "8", "--methods", "magic"], 2, "magic"),
        (["compare", *INPUTS, "--gpus", "8", "--schedulers", "offline"], 2, "time 0"),
        (["solv"], 2, "solve"),
        (["generate", "--requests-out", "x.jsonl"], 2, "--config"),
    ],
)
def test_mistakes_are_answered_in_words(
    arguments: list[str], code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code says whose fault it is, the text names it, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert result.exit_code == code, result.output
    assert words in result.output
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_plan_that_does_not_hold_exits_with_1(plan: Path, tmp_path: Path) -> None:
    """A changed objective is a check that failed, not bad input."""
    text = plan.read_text().replace("load_cap: 0.8", "load_cap: 0.1")
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    result = call("check", path)
    assert result.exit_code == 1
    assert "does not hold" in result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_shows_an_example(command: str) -> None:
    """--help works and shows how the command is called."""
    result = call(command, "--help")
    assert result.exit_code == 0
    assert f"gswarm-place {command}" in result.output.replace("Usage: main", "")


def test_alone_it_says_what_to_do_first() -> None:
    """Without a command: exit 0 and a first example."""
    result = call()
    assert result.exit_code == 0
    assert "gswarm-place solve" in result.output


def test_starting_is_cheap() -> None:
    """`import cli.main` loads neither solver nor tables nor compiler."""
    code = (
        "import sys, cli.main\n"
        "heavy = {'pulp', 'highspy', 'numba', 'polars', 'rich', 'numpy'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_stdout_is_clean_and_plain_when_piped(tmp_path: Path) -> None:
    """No banner of a solver and no escape code reaches a pipe, and nothing goes to stderr."""
    target = str(tmp_path / "p.yaml")
    command = [sys.executable, "-m", "cli", "solve", *INPUTS, "--gpus", "8", "-o", target]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "HiGHS 1" not in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
    quiet = subprocess.run([*command, "--quiet"], capture_output=True, text=True, check=True)
    assert quiet.stdout == ""


def test_repeat_adds_intervals_and_leaves_the_summary_alone(plan: Path) -> None:
    """`--repeat` reports the trace as without it, and the same intervals for the same seed."""
    command = ["simulate", *INPUTS, "--plan", str(plan), "--json"]
    alone = json.loads(call(*command).output)
    assert "intervals" not in alone
    repeated = json.loads(call(*command, "--repeat", "3", "--seed", "5").output)
    assert repeated["summary"] == alone["summary"]
    assert repeated == json.loads(call(*command, "--repeat", "3", "--seed", "5").output)
    latency = repeated["intervals"]["request_latency"]["p99"]
    assert set(latency) == {"mean", "sd", "low", "high"}
    assert latency["low"] < latency["mean"] < latency["high"]
    once = json.loads(call(*command, "--repeat", "1").output)["intervals"]
    assert once["makespan"]["low"] is None
    shown = call(*command[:-1], "--repeat", "3").output
    assert "another trace: from" in shown and "±" not in shown


def test_refine_reports_what_the_simulator_gained(tmp_path: Path) -> None:
    """The refined plan is a plan that holds, never worse on the trace, the same for equal input."""
    out = tmp_path / "refined.yaml"
    arguments = ["solve", *INPUTS, "--gpus", "8", "--method", "greedy", "-o", str(out),
                 "--refine", "mean-latency", "--refine-evaluations", "12",
                 "--refine-budget", "600"]  # fmt: skip
    solved = json.loads(call(*arguments, "--json").output)
    refined = solved["refined"]
    latency = refined["metrics"]["mean-latency"]
    assert refined["kept"]
    assert latency["after"] <= latency["before"]
    assert solved["objective"] == pytest.approx(refined["locality"]["after"])
    assert json.loads(call("check", str(out), "--json").output)["holds"]
    simulated = json.loads(call("simulate", *INPUTS, "--plan", str(out), "--json").output)
    assert simulated["summary"]["request_latency"]["mean"] == pytest.approx(latency["after"])
    first = out.read_bytes()
    assert "unseen" in call(*arguments).output
    assert out.read_bytes() == first
