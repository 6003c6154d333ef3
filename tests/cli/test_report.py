import json
from pathlib import Path

import numpy as np
import pytest

from cli.views.staging import still_scene
from placement.files.config_file import read_config
from placement.files.plan_file import read_plan
from placement.files.request_file import read_requests
from runtime.metrics import measure
from runtime.simulate import simulate
from tests.cli.inputs import gswarm, solve_plan, write_inputs
from tests.cli.views.pages import Page


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    config, requests = write_inputs(folder)
    plan = solve_plan(folder, config, requests, method="ilp")
    return {
        "folder": folder,
        "plan": plan,
        "inputs": ("--plan", plan, "--config", config, "--requests", requests),
        "config": config,
        "requests": requests,
    }


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_figures_are_those_of_the_runtime(case, tmp_path, mode):
    """What the page recomputes from the executions equals the metrics of the runtime itself."""
    page = tmp_path / "page.html"
    done = gswarm("report", *case["inputs"], "--mode", mode, "-o", page, "--json")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["plans"] == ["ILP", "greedy"]
    assert summary["bytes"] == page.stat().st_size
    found = {f["name"]: f["values"][0] for f in summary["figures"]}
    workload = read_config(case["config"])
    trace = read_requests(case["requests"], workload)
    metrics = measure(simulate(workload, trace, read_plan(case["plan"]), mode=mode))
    expected = {
        "Server efficiency": metrics.server_efficiency / 100,
        "Edges that cross servers": metrics.cross_server_communications,
        "Utilization variance (points²)": metrics.utilization_variance,
        "Makespan (s)": metrics.makespan_s,
        "Median latency (s)": metrics.request_latency.median,
        "P99 latency (s)": metrics.request_latency.p99,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-12, err_msg=name)


def test_page_shows_the_course_of_the_solve(case, tmp_path):
    """With the history of the solve the page has its table; without it, it says how to get one."""
    page = tmp_path / "page.html"
    history = case["folder"] / "history.json"
    gswarm("report", *case["inputs"], "--history", history, "-o", page, "-q")
    events = [e for e in json.loads(history.read_text()) if e["incumbent"] is not None]
    rows = Page(page.read_text()).rows("Incumbent and bound")
    assert rows[-1][2] == f"{events[-1]['incumbent']:.6f}"
    gswarm("report", *case["inputs"], "-o", page, "-q")
    assert "solve --history FILE" in " ".join(Page(page.read_text()).texts)


def test_page_without_a_rival_has_no_comparison(case, tmp_path):
    """`--against none` leaves the comparison out; another plan file can take the greedy's place."""
    page = tmp_path / "page.html"
    gswarm("report", *case["inputs"], "--against", "none", "-o", page, "-q")
    assert not [k for k in Page(page.read_text()).tables if "against" in k]
    gswarm("report", *case["inputs"], "--against-plan", case["plan"], "-o", page, "-q")
    rows = Page(page.read_text()).rows("ILP against the other ILP")
    assert {row[3] for row in rows} == {"equal"}


def test_several_rivals_stand_side_by_side(case, tmp_path):
    """Each against the plan, and all in one table; several plans go by the names of their files."""
    page, copy = tmp_path / "page.html", tmp_path / "copy.yaml"
    copy.write_bytes(Path(case["plan"]).read_bytes())
    more = ["--against", "greedy", "--against-plan", case["plan"], "--against-plan", copy]
    done = gswarm("report", *case["inputs"], *more, "-o", page, "--json")
    plans = json.loads(done.stdout)["plans"]
    assert plans == ["ILP", "greedy", Path(case["plan"]).name, "copy.yaml"]
    assert [row[0] for row in Page(page.read_text()).rows("Plans on the same trace")] == plans


def test_another_trace_is_pointed_out(case, tmp_path):
    """A report over a trace that the plan was not made for says so under its title."""
    _, other = write_inputs(tmp_path, seed=9)
    page = tmp_path / "page.html"
    inputs = (*case["inputs"][:-1], other)
    assert gswarm("report", *inputs, "-o", page, "-q").exit_code == 0
    note = "The requests shown differ from those the plan was made for."
    assert note in " ".join(Page(page.read_text()).texts)
    gswarm("report", *case["inputs"], "-o", page, "-q")
    assert note not in " ".join(Page(page.read_text()).texts)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "is no list of events"),
        ("[{}]", "[0].phase"),
        ('[{"phase": "x", "seconds": "soon"}]', "[0].seconds"),
        ('[{"phase": "x", "seconds": 1, "incumbent": true}]', "[0].incumbent"),
        ("[", "history.json"),
    ],
)
def test_broken_history_is_a_sentence(case, tmp_path, text, said):
    """A history that is none exits with 2, says where, and leaves no page behind."""
    history, page = tmp_path / "history.json", tmp_path / "page.html"
    history.write_text(text)
    done = gswarm("report", *case["inputs"], "--history", history, "-o", page)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.output
    assert not page.exists()


def test_foreign_config_is_a_sentence(case, tmp_path):
    """A config without the plan's models exits with 2 and leaves the old page as it was."""
    config = json.loads(case["config"].read_text())
    config["models"]["large"] = config["models"].pop("big")
    for workflow in config["workflows"].values():
        for node in workflow["nodes"]:
            node["model"] = node["model"].replace("big", "large")
    foreign, page = tmp_path / "foreign.json", tmp_path / "page.html"
    foreign.write_text(json.dumps(config))
    page.write_text("old")
    inputs = ("--plan", case["plan"], "--config", foreign, "--requests", case["requests"])
    done = gswarm("report", *inputs, "-o", page)
    assert done.exit_code == 2
    assert "'big'" in done.stderr
    assert page.read_text() == "old"


def test_plan_at_rest_knows_its_blocks(case):
    """A scene of the plan alone has the memory and GPUs of the config's models."""
    plan, workload = read_plan(case["plan"]), read_config(case["config"])
    scene = still_scene("ilp", plan)
    index = [workload.model_index[plan.model_ids[m]] for m in plan.placement.model]
    models = [workload.models[i] for i in index]
    assert scene.replica_gpus.tolist() == [m.gpus_required for m in models]
    np.testing.assert_allclose(scene.replica_memory_gb, [m.memory_per_gpu_gb for m in models])
