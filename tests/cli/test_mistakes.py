"""Mistakes on the command line: exit code 2, a sentence that names the option, nothing written."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.inputs import gswarm, solve_plan, write_inputs


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.chdir(tmp_path)
    return write_inputs(tmp_path)


VALUES = {
    "--gpus": ["0", "-3", "1.5", "1e3", "many", "99999999999", "nan"],
    "--gpus-per-server": ["0", "-1", "x"],
    "--gpu-memory-gb": ["nan", "-1", "0", "1e400", "inf", "lots", ""],
    "--time-limit": ["nan", "-1", "inf", "1e400", "soon"],
    "--gap": ["nan", "-0.1", "1.5", "inf"],
    "--threads": ["0", "-1", "100000", "x"],
    "--seed": ["-1", "99999999999", "1.5"],
    "--max-utilization": ["0", "-1", "1.1", "nan"],
    "--headroom-slack": ["-0.1", "101", "nan", "inf", "little"],
    "--alpha": ["-0.1", "1.1", "nan"],
    "--max-models-per-gpu": ["0", "-1", "x", "1" + "0" * 30],
    "--method": ["ilq"],
    "--mode": ["onlin"],
    "--form": ["dense"],
    "--objective": ["fun"],
}


@pytest.mark.parametrize(
    ("option", "value"), [(o, v) for o, values in VALUES.items() for v in values]
)
def test_values_out_of_range_are_refused(
    option: str, value: str, paths: tuple[Path, Path], tmp_path: Path
) -> None:
    """The option and the value are named; the inputs are as they were and nothing is added."""
    before = tree(tmp_path)
    given = {"--gpus": "8", option: value}
    arguments = [part for pair in given.items() for part in pair]
    result = gswarm("solve", "--config", paths[0], "--requests", paths[1], *arguments)
    assert result.exit_code == 2, result.output
    assert option in result.output
    assert value in result.output
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "missing: --gpus N or --cluster FILE"),
        (["--gpus", "8", "--cluster", "x.yaml"], "either --gpus N"),
        (["--cluster", "x.yaml"], "x.yaml: does not exist"),
        (["--cluster", "config.json"], "is missing"),
        (["--gpus", "8", "--solver", "higs"], "did you mean 'HiGHS'? available here: HiGHS"),
        (["--gpus", "8", "--solver", "GUROBI_CMD"], "is not installed here"),
        (["--gpus", "8", "--solver", ""], "is not known"),
        (["--gpus", "8", "--gpus-per-servr", "4"], "Did you mean '--gpus-per-server'?"),
        (["--gpus", "8", "-o", "nowhere/plan.yaml"], "nowhere does not exist; create it"),
        (["--gpus", "8", "-o", "."], "is a directory"),
        (["--gpus", "8", "-o", "plan.txt"], "ends in .txt, which tells no format"),
        (["--gpus", "8", "-o", "config.json"], "is an input; it would be lost"),
        (["--gpus", "8", "--history", "requests.jsonl"], "is an input; it would be lost"),
        (["--gpus", "8", "--history", "p.yaml", "-o", "p.yaml"], "is the file of --output too"),
        (["--gpus", "2", "--gpus-per-server", "1"], "models.big.gpus_required: is 2"),
        (["--gpus", "8", "--gpu-memory-gb", "15"], "models.big.memory_gb: is 60"),
    ],
)
def test_solve_says_what_is_wrong_before_it_writes(
    arguments: list[str], words: str, paths: tuple[Path, Path], tmp_path: Path
) -> None:
    """Clusters, solvers, outputs and models that cannot be: one sentence, exit code 2."""
    before = tree(tmp_path)
    result = gswarm("solve", "--config", paths[0], "--requests", paths[1], *arguments)
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert tree(tmp_path) == before


@pytest.mark.skipif(os.getuid() == 0, reason="root writes everywhere")
def test_a_directory_without_permission_is_named(paths: tuple[Path, Path], tmp_path: Path) -> None:
    """Found out before the solve, not after it."""
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    inputs = ("--config", paths[0], "--requests", paths[1])
    result = gswarm("solve", *inputs, "--gpus", "8", "-o", locked / "p.yaml")
    assert result.exit_code == 2
    assert "no permission to write" in result.output


def test_faults_of_a_file_exit_with_2_and_leave_nothing(
    paths: tuple[Path, Path], tmp_path: Path
) -> None:
    """Every command that reads a broken config or trace says so and writes nothing."""
    config, requests = paths
    plan = solve_plan(tmp_path, config, requests)
    config.write_text(config.read_text().replace('"from": "n0"', '"from": "m0"'))
    before = tree(tmp_path)
    for command, *more in (
        ("solve", "--gpus", "8"),
        ("analyze",),
        ("compare", "--gpus", "8"),
        ("simulate", "--plan", plan, "--log", "log.json"),
        ("report", "--plan", plan, "-o", "report.html"),
    ):
        result = gswarm(command, "--config", config, "--requests", requests, *more)
        assert result.exit_code == 2, (command, result.output)
        assert "'m0' is no node of this workflow" in result.output
        assert "Traceback" not in result.output
        assert tree(tmp_path) == before
    requests.write_text(requests.read_text()[:-9])
    result = gswarm("generate", "--config", config, "--requests-out", "new.jsonl")
    assert result.exit_code == 2
    assert tree(tmp_path).keys() == before.keys()


def test_a_plan_of_another_config_is_not_simulated(
    paths: tuple[Path, Path], tmp_path: Path
) -> None:
    """No run in which every request fails: the model without a replica is named."""
    config, requests = paths
    plan = solve_plan(tmp_path, config, requests)
    text = config.read_text()
    config.write_text(text.replace("small", "tiny"))
    result = gswarm("simulate", "--plan", plan, "--config", config, "--requests", requests)
    assert result.exit_code == 2
    assert "places model 'small', which the config does not have" in result.output
    assert "holds no replica of tiny" in result.output
    config.write_text(text.replace('"gpus_required": 2', '"gpus_required": 1'))
    result = gswarm("simulate", "--plan", plan, "--config", config, "--requests", requests)
    assert "has blocks of 2 GPUs for model 'big', which now needs 1" in result.output
    config.write_text(text.replace('"memory_gb": 20', '"memory_gb": 21'))
    result = gswarm("simulate", "--plan", plan, "--config", config, "--requests", requests)
    assert result.exit_code == 2
    assert "has room for 20 GB a GPU of model 'small', which now takes 21" in result.output
    result = gswarm("check", plan, "--config", config, "--requests", requests)
    assert result.exit_code == 1
    assert "the config is not the one this plan was made for" in result.output
    assert "the requests" not in result.output


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["check"], "missing: PLAN"),
        (["check", "config.json"], "is no plan"),
        (["check", "none.json"], "does not exist"),
        (["check", "PLAN", "--config", "none.json"], "none.json"),
        (["check", "PLAN", "--bound", "--solver", "higs"], "did you mean 'HiGHS'?"),
        (["check", "PLAN", "--bound", "--time-limit", "nan"], "nan must be a number"),
        (["simulate", "--plan", "config.json"], "is no plan"),
        (["simulate", "--plan", "PLAN", "--log", "PLAN"], "is an input; it would be lost"),
        (["simulate", "--plan", "PLAN", "--log", "nowhere/x.json"], "does not exist; create it"),
        (["simulate", "--plan", "PLAN", "--routing", "locallity"], "'locallity' is not one of"),
        (["report", "--plan", "PLAN", "-o", "config.json"], "is an input; it would be lost"),
        (["compare", "--gpus", "8", "--csv", "config.json"], "is an input; it would be lost"),
        (["analyze", "--gpus", "8", "--cluster", "x.yaml"], "either --gpus N"),
    ],
)
def test_other_commands_say_what_is_wrong_too(
    command: list[str], words: str, paths: tuple[Path, Path], tmp_path: Path
) -> None:
    """What is no plan, what would be overwritten, what is no policy."""
    plan = solve_plan(tmp_path, *paths)
    before = tree(tmp_path)
    inputs = [] if command[0] == "check" else ["--config", paths[0], "--requests", paths[1]]
    result = gswarm(*(str(plan) if c == "PLAN" else c for c in command), *inputs)
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "missing: --config FILE or --config-out FILE"),
        (["--config", "config.json", "--config-out", "c.yaml"], "either --config FILE"),
        (["--config-out", "r.jsonl"], "is the file of"),
        (["--config", "config.json", "--requests-out", "config.json"], "is an input"),
        (["--config-out", "c.yaml", "--requests", "0"], "--requests"),
        (["--config-out", "c.yaml", "--rate", "nan"], "nan must be a number"),
        (["--config-out", "c.yaml", "--rate", "0"], "more than 0"),
        (["--config-out", "c.yaml", "--rate", "1", "--load", "1"], "exclude each other"),
        (["--config-out", "c.yaml", "--burstiness", "0"], "more than 0"),
        (["--config-out", "c.yaml", "--arrivals", "file"], "belong together"),
        (["--config-out", "c.yaml", "--arrivals-file", "x.csv"], "belong together"),
        (["--config-out", "c.txt"], "tells no format"),
        (["--config-out", "c.yaml", "--requests-out", "r.doc"], "tells no format"),
        (["--config-out", "c.yaml", "--models", "0"], "--models"),
    ],
)
def test_generate_says_what_is_wrong_before_it_writes(
    arguments: list[str], words: str, paths: tuple[Path, Path], tmp_path: Path
) -> None:
    """Options that exclude each other, numbers that are none, formats that are none."""
    before = tree(tmp_path)
    out = [] if "--requests-out" in arguments else ["--requests-out", "r.jsonl"]
    result = gswarm("generate", *arguments, *out)
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert tree(tmp_path) == before


def test_check_reads_no_file_that_has_no_end(tmp_path: Path) -> None:
    """Hashing what is no regular file would never end; a missing one is named with its mend."""
    config, requests = write_inputs(tmp_path, requests=5)
    plan = solve_plan(tmp_path, config, requests)
    for option in ("--config", "--requests", "--cluster"):
        done = gswarm("check", plan, option, "/dev/zero")
        assert done.exit_code == 2
        assert "/dev/zero: is no regular file; write its content" in done.output
        done = gswarm("check", plan, option, tmp_path / "confg.json")
        assert done.exit_code == 2
        assert f"does not exist; did you mean '{config}'?" in done.output


def test_names_of_files_that_are_no_text_are_shown_escaped(tmp_path: Path) -> None:
    """A name may hold any bytes: JSON shows them as sentences do. No name at all is refused."""
    config, _ = write_inputs(tmp_path, requests=5)
    out = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jsonl")
    done = gswarm("generate", "--config", config, "--requests-out", out, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["requests_file"] == f"{tmp_path}/\\udcff.jsonl"
    done = gswarm("schema", "config", "-o", "")
    assert done.exit_code == 2
    assert "'' is no name of a file" in done.stderr
