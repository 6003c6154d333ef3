import csv
import json
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from cli.export import PICTURES
from placement.files.plan_file import read_plan
from tests.cli.inputs import gswarm, solve_plan, write_inputs


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    config, requests = write_inputs(folder)
    path = solve_plan(folder, config, requests)
    return {
        "plan": read_plan(path),
        "path": path,
        "run": ("--config", config, "--requests", requests),
    }


def export(case, form, *more):
    return gswarm("export", "--plan", case["path"], "--format", form, *more)


def blocks_of(plan):
    """(model, server, GPUs of the server) of every replica."""
    k = plan.instance.gpus_required[plan.placement.model]
    return sorted(
        (plan.model_ids[m], int(s), tuple(range(i, i + n)))
        for m, s, i, n in zip(
            plan.placement.model, plan.placement.server, plan.placement.start, k, strict=True
        )
    )


def test_csv_holds_every_block(case):
    """The replica table has one line a replica, with its GPUs by server and through the cluster."""
    rows = list(csv.DictReader(export(case, "csv").stdout.splitlines()))
    found = [
        (r["model"], int(r["server"]), tuple(int(g) for g in r["local_gpus"].split())) for r in rows
    ]
    assert sorted(found) == blocks_of(case["plan"])
    for row in rows:
        r = int(row["replica"])
        first = int(row["gpus"].split()[0])
        assert first == case["plan"].first_gpu[r]
        assert float(row["load"]) == pytest.approx(case["plan"].load[r], abs=1e-6)


def test_routing_shares_add_up(case):
    """Home and spill of every node of every workflow add up to 1."""
    rows = list(csv.DictReader(export(case, "routing").stdout.splitlines()))
    plan = case["plan"]
    for workflow, nodes in zip(plan.workflow_ids, plan.node_ids, strict=True):
        mine = [r for r in rows if r["workflow"] == workflow]
        home = sum(float(r["share"]) for r in mine if r["part"] == "home")
        for node in nodes:
            spill = sum(float(r["share"]) for r in mine if r["node"] == node)
            assert home + spill == pytest.approx(1.0, abs=1e-6)


def test_document_holds_every_block(case):
    """The JSON document lists the same blocks, server by server, and every routed workflow."""
    document = json.loads(export(case, "json").stdout)
    found = [
        (r["model"], s["server"], tuple(r["local_gpus"]))
        for s in document["servers"]
        for r in s["replicas"]
    ]
    assert sorted(found) == blocks_of(case["plan"])
    assert set(document["routing"]) == set(case["plan"].workflow_ids)


@pytest.mark.parametrize(
    ("template", "said"),
    [("serve {modle}", "{modle} is no gap"), ("serve 'x", "quotes"), ("", "is empty"),
     ("serve {model", "braces"), ("serve {}", "{} is no gap")],
)  # fmt: skip
def test_wrong_command_is_a_sentence(case, template, said):
    """A launch command with an unknown gap or unpaired quotes exits with 2 and says which."""
    done = export(case, "launch", "--command", template)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize("form", PICTURES)
def test_pictures_are_whole_and_repeat(case, tmp_path, form):
    """A picture is well-formed SVG, and drawing it again gives the same bytes."""
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    history = case["path"].parent / "history.json"
    for path in (first, second):
        done = export(case, form, *case["run"], "--history", history, "-o", path, "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["output"] == str(path)
    root = ElementTree.fromstring(first.read_bytes())
    assert root.tag.endswith("svg")
    assert len(list(root.iter())) > 50
    assert first.read_bytes() == second.read_bytes()


def test_png_is_not_blank(case, tmp_path):
    """The map as PNG has more colours than paper and ink."""
    from matplotlib.image import imread

    path = tmp_path / "map.png"
    assert export(case, "map", "-o", path).exit_code == 0
    pixels = imread(path)
    assert len(np.unique((pixels.reshape(-1, pixels.shape[-1]) * 15).astype(int), axis=0)) > 8


def test_names_that_the_font_lacks_are_said_in_one_line(tmp_path):
    """Not in a warning of the library for each character, and not where quiet is asked for."""
    config, requests = write_inputs(tmp_path, requests=5)
    for file in (config, requests):
        file.write_text(file.read_text().replace("search", "模型"))
    plan = solve_plan(tmp_path, config, requests)
    line = ("export", "--plan", plan, "--format", "latency", "--config", config)
    line = (*line, "--requests", requests, "-o", tmp_path / "latency.svg")
    said = gswarm(*line).stderr.splitlines()
    assert [s for s in said if s.startswith("warning: ")] == said[:1]
    assert f"{tmp_path / 'latency.svg'}: the font DejaVu Sans lacks characters" in said[0]
    assert not gswarm(*line, "-q").stderr


def test_pictures_need_their_inputs(case, tmp_path):
    """A picture of a run asks for config and trace, any picture for a file with a known ending."""
    for form, more, said in [
        ("latency", ("-o", tmp_path / "x.svg"), "--config and --requests"),
        ("latency", (), "--output"),
        ("latency", ("-o", tmp_path / "x.gif"), ".svg, .png, .pdf"),
        ("course", ("-o", tmp_path / "x.svg"), "--history FILE"),
    ]:
        done = export(case, form, *more)
        assert done.exit_code == 2
        assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_missing_matplotlib_is_a_sentence(case, tmp_path, monkeypatch):
    """Without matplotlib a picture says what to install, and tables still work."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = export(case, "map", "-o", tmp_path / "map.svg")
    assert done.exit_code == 2
    assert "gswarm-place[plots]" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert export(case, "csv").exit_code == 0


def test_bars_of_flows_are_the_edges_of_the_run(case):
    """The two bars of every server together are the workflow edges of the whole run."""
    from matplotlib.figure import Figure

    from cli.file_arguments import load_inputs
    from cli.plots.flows import draw_flows
    from cli.views.staging import run_scene
    from runtime.figures import edge_traffic

    workload, trace = load_inputs(*(str(p) for p in case["run"][1::2]))
    scene = run_scene("plan", case["plan"], workload, trace, mode="online")
    source, target, count = edge_traffic(scene)
    figure = Figure()
    draw_flows(figure, scene)
    stay, cross = figure.axes[0].containers[:2]
    assert sum(bar.get_width() for bar in stay) == count[source == target].sum()
    assert sum(bar.get_width() for bar in cross) == count[source != target].sum() > 0


@pytest.mark.parametrize(
    ("name", "words"), [("--trust-remote-code", "take it for an option"), ("a\0b", "character 0")]
)
def test_a_name_that_no_command_line_can_hold_is_refused(name, words, tmp_path):
    """Quoting guards against the shell, not against the program: such a name is not launched."""
    config, requests = write_inputs(tmp_path)
    config.write_text(config.read_text().replace('"small"', json.dumps(name)))
    plan = solve_plan(tmp_path, config, requests)
    for form in ("launch", "compose"):
        done = gswarm("export", "--plan", plan, "--format", form)
        assert done.exit_code == 2
        assert words in done.stderr
        assert "rename the model" in done.stderr
