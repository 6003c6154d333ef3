import re
from dataclasses import replace
from functools import cache
from typing import get_args

import numpy as np
import pytest

from cli.views.comparison import compared
from cli.views.course import STOPPED, scale_of, thinned
from cli.views.page import report_page
from cli.views.scales import percent, plain
from placement.problem.outcome import Progress, Status
from runtime.scene import Scene
from tests.cli.views.pages import Page
from tests.runtime.scenes import HOSTILE, make_history, make_scene, make_workload


@cache
def scenes(servers: int) -> tuple[Scene, Scene]:
    workload = make_workload(24, 12) if servers > 8 else make_workload()
    requests = 1500 if servers > 8 else 80
    contents = 20 if servers > 8 else 3
    made = [
        make_scene(
            servers, workload=workload, requests=requests, contents=contents, keep=keep, name=name
        )
        for keep, name in ((0.9, "ILP"), (0.5, "greedy"))
    ]
    return made[0], made[1]


@cache
def page_of(servers: int) -> str:
    scene, other = scenes(servers)
    return report_page(scene, others=[other], history=make_history(), run_note="80 requests")


@pytest.fixture(params=[1, 4, 128], ids=["8 GPUs", "32 GPUs", "1024 GPUs"])
def servers(request) -> int:
    return request.param


def test_elements_nest(servers):
    """Every element that opens closes, in order, and no id is used twice."""
    page = Page(page_of(servers))
    assert page.open == []
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    targets = [a["href"] for a in page.named("a")]
    assert {t.removeprefix("#") for t in targets} <= set(ids)


def test_page_loads_nothing(servers):
    """No attribute, style or script of the page refers to anything outside of it."""
    html = page_of(servers)
    for name, attributes in Page(html).elements:
        for key in ("src", "href", "srcset", "action", "data", "xlink:href"):
            value = attributes.get(key)
            assert value is None or value.startswith("#") or value == "data:,", (name, key, value)
    assert not re.search(r"https?://|@import|url\((?!#)", html)


def test_page_is_small(servers):
    """A page of up to 1,024 GPUs is well under the 6 MB that mail and chat let through."""
    assert len(page_of(servers).encode()) < 1_500_000


def test_every_chart_is_drawn_once_more_for_telephones(servers):
    """As many times narrow as wide, within what a telephone of 390 pixels leaves."""
    html = page_of(servers)
    wide, narrow = (
        [float(w) for w in re.findall(rf'class="{c}">.*?<svg [^>]*? width="([\d.]+)"', html, re.S)]
        for c in ("wide", "narrow")
    )
    assert len(wide) == len(narrow) >= 4
    assert max(narrow) <= 337 < max(wide)


def test_page_can_be_heard(servers):
    """Landmarks, headings and labels say what a picture shows; a table stands behind each."""
    page = Page(page_of(servers))
    assert page.named("html") == [{"lang": "en"}]
    names = [name for name, _ in page.elements]
    for landmark in ("header", "nav", "main", "footer", "h1"):
        assert names.count(landmark) == 1, landmark
    pictures = [a for a in page.named("svg") if "picture" in (a.get("class") or "").split()]
    assert pictures
    assert all(a.get("aria-label") for a in pictures)
    silent = [a for a in page.named("svg") if "aria-label" not in a]
    assert all(a.get("aria-hidden") == "true" for a in silent)
    marks = [a for a in page.named("g") if "mark" in (a.get("class") or "").split()]
    assert marks
    assert all(a["role"] == "img" and a["aria-label"] and a["tabindex"] == "-1" for a in marks)
    assert len(page.named("table")) == len(page.named("caption")) >= 7
    buttons = [a for a in page.named("button") if a.get("type") == "button"]
    assert all(a.get("aria-pressed") == "false" for a in buttons)


def test_headings_go_down_one_level_at_a_time(servers):
    """A reader who jumps from heading to heading misses no level."""
    levels = [int(n[1]) for n, _ in Page(page_of(servers)).elements if re.fullmatch("h[1-6]", n)]
    assert levels[0] == 1
    assert max(np.diff(levels)) <= 1


def test_hostile_names_stay_text():
    """A model called like markup adds no element and no attribute to the page."""
    friendly = make_scene(2, workload=make_workload(first_model="friendly"))
    hostile = make_scene(2, workload=make_workload(first_model=HOSTILE))
    a, b = (Page(report_page(s, others=[s])) for s in (friendly, hostile))
    assert [n for n, _ in a.elements] == [n for n, _ in b.elements]
    assert [sorted(x) for _, x in a.elements] == [sorted(x) for _, x in b.elements]
    assert any(HOSTILE in text for text in b.texts)


def test_latencies_in_the_page_are_those_of_the_run():
    """The latency table holds the percentiles of every workflow, recomputed request by request."""
    scene, _ = scenes(4)
    found = {row[0]: row[1:] for row in Page(page_of(4)).rows("Request latency")}
    assert len(found) == len(scene.workload.workflows)
    for w, workflow in enumerate(scene.workload.workflows):
        latency = [
            scene.run.end_s[a:b].max() - scene.release_s[r]
            for r, (a, b) in enumerate(
                zip(scene.trace.offset[:-1], scene.trace.offset[1:], strict=True)
            )
            if scene.trace.workflow[r] == w
        ]
        figures = [np.mean(latency), *np.percentile(latency, [50, 90, 99]), max(latency)]
        assert found[workflow.id] == [str(len(latency)), *(plain(float(v)) for v in figures)]


def test_edges_in_the_page_add_up(servers):
    """The flow table counts every workflow edge of the run once, however servers are grouped."""
    scene, _ = scenes(servers)
    edges = sum(len(scene.workload.workflows[w].edges) for w in scene.trace.workflow)
    rows = Page(page_of(servers)).rows("Workflow edges")
    assert sum(int(row[2].replace(",", "")) for row in rows) == edges


def test_replicas_in_the_page_are_those_of_the_plan():
    """The replica table names the server, GPUs and load of every replica of the plan."""
    scene, _ = scenes(4)
    plan, models = scene.plan, scene.workload.models
    expected = []
    for r in range(plan.placement.n_replicas):
        model, start = models[plan.placement.model[r]], int(plan.first_gpu[r])
        end = start + model.gpus_required - 1
        expected.append(
            [
                model.id,
                f"server {plan.placement.server[r]}",
                f"{start}–{end}" if end > start else str(start),
                plain(model.memory_gb / model.gpus_required),
                percent(float(plan.load[r])),
            ]
        )
    assert sorted(Page(page_of(4)).rows("Replicas")) == sorted(expected)


def test_utilization_in_the_page_is_that_of_the_run():
    """The utilization table holds each GPU's busy seconds over the makespan."""
    scene, _ = scenes(4)
    rows = Page(page_of(4)).rows("Utilization by GPU")
    busy = np.zeros(32)
    for i, r in enumerate(scene.run.replica):
        first = scene.plan.first_gpu[r]
        busy[first : first + scene.replica_gpus[r]] += scene.run.end_s[i] - scene.run.start_s[i]
    share = busy / scene.run.end_s.max()
    assert [row[1] for row in rows] == [percent(float(s)) for s in share]


def test_search_words_of_a_card_hold_all_it_shows():
    """Each server of 1,024 GPUs can be found by its number in exactly one card of the map."""
    cards = [a["data-search"] for a in Page(page_of(128)).named("article")]
    first_map = cards[: len(cards) // 2]
    for server in (0, 7, 12, 120, 127):
        assert sum(f"server {server} " in f"{words} " for words in first_map) == 1


def test_failed_requests_and_single_nodes_are_drawn():
    """A run in which nothing completed, or nothing has an edge, still makes a page."""
    scene = make_scene(2)
    n = scene.trace.n_executions
    run = replace(
        scene.run,
        replica=np.full(n, -1),
        start_s=np.full(n, np.nan),
        end_s=np.full(n, np.nan),
    )
    text = " ".join(Page(report_page(replace(scene, run=run))).texts)
    assert "No request completed." in text
    assert "0 of 60 requests completed" in text


def test_verdicts_follow_the_figures():
    """A plan against itself is equal in all figures; more edges across servers are worse."""
    scene, other = scenes(4)
    assert {m.verdict for m in compared(scene, scene)} == {"equal"}
    there = {m.name: m.verdict for m in compared(scene, other)}
    back = {m.name: m.verdict for m in compared(other, scene)}
    assert there["Edges that cross servers"] == "better" == there["Server efficiency"]
    opposite = {"better": "worse", "worse": "better", "equal": "equal"}
    assert back == {name: opposite[verdict] for name, verdict in there.items()}


def test_course_keeps_its_ends_and_its_changes():
    """Thinning drops lines that tell nothing new and always keeps the first and the last."""
    line = [Progress("start", 0.0, None, None)]
    line += [Progress("p", float(i), 0.5 + i // 3, 9.0) for i in range(9)]
    assert [p.seconds for p in thinned(line)] == [0.0, 3.0, 6.0, 8.0]
    long = [Progress("p", float(i), float(i), 1e6) for i in range(5000)]
    kept = thinned(long)
    assert len(kept) == 400
    assert (kept[0], kept[-1]) == (long[0], long[-1])


@pytest.mark.parametrize("status", get_args(Status))
def test_a_page_tells_every_way_in_which_a_solve_can_end(status):
    """Whatever the certificate's status, the page has words for it."""
    scene = make_scene(2)
    certificate = replace(scene.plan.certificate, status=status)
    page = report_page(replace(scene, plan=replace(scene.plan, certificate=certificate)))
    assert STOPPED[status] in page


def test_bars_of_a_comparison_are_as_long_as_the_figures():
    """In proportion within each figure, the longer of a pair across the same part of the page."""
    scene, other = scenes(4)
    found = re.findall(r"flex-basis:([\d.]+)%", page_of(4))
    metrics = compared(scene, other)
    assert len(found) == 2 * len(metrics)
    for metric, first, second in zip(metrics, found[::2], found[1::2], strict=True):
        longest = max(metric.values)
        for value, length in zip(metric.values, (first, second), strict=True):
            assert float(length) == pytest.approx(82 * value / longest, abs=0.01)


def test_spares_and_reasons_are_told_with_their_blocks():
    """A block that serves nothing is marked, and why a model is where it is stands in its words."""
    scene = make_scene(2)
    load = scene.plan.load.copy()
    load[0] = 0.0
    idle = replace(scene, plan=replace(scene.plan, load=load))
    m, s = int(idle.plan.placement.model[0]), int(idle.plan.placement.server[0])
    text = report_page(idle, reasons={(m, s): "serves all of something"})
    marks = [a for a in Page(text).named("g") if "spare" in (a.get("class") or "")]
    assert len(marks) == int((load <= 1e-9).sum())
    assert any("serves all of something" in a["aria-label"] for a in Page(text).named("g"))


def test_the_axis_of_a_proof_that_is_closed_is_no_cliff():
    """Whatever is drawn lies inside, hardly anything above 1, and a tenth of locality is seen."""
    for low, high in ((1.0, 1.0), (0.957, 0.957), (0.2, 0.9), (0.0, 1.0), (0.0, 0.0)):
        bottom, top = scale_of(low, high)
        assert bottom <= low <= high <= top
        assert top <= 1.03
        assert top - bottom >= min(0.1, top)
