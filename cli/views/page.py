"""The report page: one HTML file that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files

from cli.views.comparison import plan_comparison
from cli.views.course import ended, solver_course
from cli.views.findings import Finding
from cli.views.flows import server_flows
from cli.views.latency import latency_distribution
from cli.views.map import Reasons, placement_map
from cli.views.markup import Markup, behind, tag
from cli.views.matrix import pair_matrices
from cli.views.palette import definitions, style_rules
from cli.views.plans import plans_side_by_side
from cli.views.scales import percent, plain, seconds
from cli.views.utilization import utilization_map
from cli.views.verdicts import verdict_boxes
from placement.problem.names import SIMULATED_HEADROOM
from placement.problem.outcome import Progress
from placement.problem.verdict import Verdict, plan_verdict
from placement.support.described import counted
from runtime.figures import completed, latency_percentile, makespan, server_efficiency
from runtime.scene import Scene


def report_page(
    scene: Scene,
    *,
    others: Sequence[Scene] = (),
    history: Sequence[Progress] = (),
    run_note: str = "",
    title: str = "",
    reasons: Reasons | None = None,
    answers: Sequence[Finding] = (),
) -> str:
    """Write the report of one plan.

    Parameters
    ----------
    scene : Scene
        The plan with its simulated run.
    others : sequence of Scene
        Plans to compare with, run over the same trace.
    history : sequence of Progress
        The course of the solve; the section says how to get one where it is empty.
    run_note : str
        How the run was simulated (mode, routing), shown under the title.
    title : str
        Which plan for what, and of when, shown beside the name of the page.
    reasons : mapping of (model, server) to str, optional
        Why a model of the plan is on a server, as `placement.explain.reasons_here` finds it.
    answers : sequence of Finding
        What other commands found for this plan, each a section.

    Returns
    -------
    str
        A whole HTML document that loads nothing from anywhere; its content security policy
        allows the one script it carries and no request.
    """
    script = _asset("report.js")
    sections = [
        ("map", "Placement", placement_map(scene, reasons=reasons)),
        ("pairs", "Pairs", pair_matrices(scene)),
        ("flows", "Flows", server_flows(scene)),
        ("utilization", "Utilization", utilization_map(scene)),
        ("latency", "Latency", latency_distribution(scene)),
        ("course", "Proof", solver_course(scene.plan.certificate, history)),
    ]
    if len(others) > 1:
        sections.append(("plans", "Plans", plans_side_by_side([scene, *others])))
    for i, other in enumerate(others):
        there = behind(
            f"Where {other.name} puts the replicas",
            placement_map(other, heading=f"What sits where under {other.name}"),
        )
        key = f"comparison-{i + 1}" if i else "comparison"
        name = f"Against {other.name}" if len(others) > 1 else "Comparison"
        sections.append((key, name, plan_comparison(scene, other, there)))
    for i, answer in enumerate(answers):
        sections.append((f"answer-{i + 1}", answer.name, answer.section))
    links = [tag("li", tag("a", name, href=f"#{key}")) for key, name, _ in sections]
    body = [
        tag("a", "Skip to the pictures", href="#content", class_="skip"),
        definitions(),
        tag(
            "header",
            tag("h1", f"{title} · placement report" if title else "Placement report"),
            tag("p", run_note, class_="note") if run_note else None,
            tag("button", "Dark", type="button", id="theme", aria_pressed="false"),
        ),
        tag("nav", tag("ul", links), aria_label="Sections"),
        tag(
            "main",
            verdict_boxes(_verdicts(scene)),
            _tiles(scene),
            [tag("div", content, id=key, class_="part") for key, _, content in sections],
            id="content",
        ),
        tag("footer", _origin(scene)),
        tag("div", id="tip", hidden=True, aria_hidden="true"),
        Markup(f"<script>{script}</script>"),
    ]
    return "<!doctype html>\n" + tag(
        "html", tag("head", _head(script, title)), tag("body", body), lang="en"
    )


def _asset(name: str) -> str:
    return files("cli.views").joinpath("assets", name).read_text(encoding="utf-8")


def _verdicts(scene: Scene) -> list[tuple[str, Verdict]]:
    """On the plan, and on its run where there was one."""
    ran = [] if scene.verdict is None else [("The run", scene.verdict)]
    return [("The plan", plan_verdict(scene.plan)), *ran]


def _head(script: str, title: str) -> list[Markup]:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", " · ".join(filter(None, [title, "placement report", "gswarm-place"]))),
        tag("link", rel="icon", href="data:,"),
        Markup(f"<style>{_asset('report.css')}{style_rules()}</style>"),
    ]


def _tiles(scene: Scene) -> Markup:
    expected, certificate = scene.plan.expected, scene.plan.certificate
    done = completed(scene)
    tiles = [
        (
            "Server efficiency",
            percent(server_efficiency(scene)),
            f"requests kept on one server; plan: {percent(expected['server_efficiency'])}",
        ),
        (
            "Gap to the bound",
            "–" if certificate.status == "heuristic" else percent(certificate.gap, 2),
            f"{certificate.method}, {ended(certificate.status)}",
        ),
        (
            "Headroom",
            f"{plain(expected['headroom'])}×",
            f"by mean rates; {_borne(expected)}busiest GPU {percent(expected['max_utilization'])}",
        ),
        (
            "P99 latency",
            seconds(latency_percentile(scene, 99)),
            f"{int(done.sum()):,} of {len(done):,} requests completed",
        ),
        (
            "Median latency",
            seconds(latency_percentile(scene, 50)),
            f"{scene.trace.n_executions:,} node executions in {seconds(makespan(scene))}",
        ),
        (
            "Cluster",
            counted(scene.plan.cluster.n_gpus, "GPU"),
            f"{counted(scene.plan.cluster.n_servers, 'server')}, "
            f"{counted(scene.plan.placement.n_replicas, 'replica')}",
        ),
    ]
    return tag(
        "dl",
        [
            tag("div", tag("dt", name), tag("dd", value, tag("small", more)))
            for name, value, more in tiles
        ],
        class_="tiles",
    )


def _borne(expected: Mapping[str, float]) -> str:
    """What the simulation bears out of the headroom, where it was found."""
    borne = expected.get(SIMULATED_HEADROOM)
    return "" if borne is None else f"{plain(borne)}× simulated, "


def _origin(scene: Scene) -> Markup:
    inputs = [
        tag("li", f"{role}: ", tag("code", digest)) for role, digest in scene.plan.inputs.items()
    ]
    return tag(
        "div",
        tag("p", "Made by gswarm-place from inputs with these SHA-256 sums:"),
        tag("ul", inputs),
    )
