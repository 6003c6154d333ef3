"""`execute` as a whole, against servers of the test's own on this machine."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from runtime.live.replies import Asked
from tests.cli.inputs import EXECUTION, SUMMARY, gswarm
from tests.cli.live_runs import (
    ROOT,
    Inputs,
    Process,
    counted,
    emulated,
    every_node,
    execute,
    inputs_in,
    journaled,
    line,
    numbered_nodes,
    replicas,
)
from tests.runtime.live.servers import Counting, beside


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return inputs_in(tmp_path_factory.mktemp("inputs"))


def test_a_run_has_the_figures_and_the_log_of_a_simulation(inputs: Inputs, tmp_path: Path) -> None:
    """Every field, every request, and an output that has gone through all its nodes."""
    endpoints, log, journal = (tmp_path / n for n in ("e.yaml", "log.json", "j.jsonl"))
    with emulated(inputs, endpoints):
        more = ("--log", log, "--journal", journal, "--trace", tmp_path / "t.json", "--json")
        done = execute(inputs, endpoints, *more)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert done.stderr == ""
    assert set(said["summary"]) >= SUMMARY
    assert said["summary"]["simulate"] is False
    assert said["summary"]["completed_requests"] == 40
    nodes = every_node(inputs)
    assert said["live"]["calls"] == len(nodes)
    assert said["live"]["failures"] == []
    written = json.loads(log.read_text())
    assert all(set(row) == EXECUTION for row in written["executions"])
    assert {(r["request_id"], r["node_id"]) for r in written["executions"]} == nodes
    outputs = [entry["output"] for entry in journaled(journal)]
    assert any(o.startswith("[small] [big] request r") for o in outputs)


def test_policies_choose_as_they_do_in_the_simulator(inputs: Inputs, tmp_path: Path) -> None:
    """Under `plan` every node runs on the server that the simulator puts it on."""
    endpoints, live, simulated = (tmp_path / n for n in ("e.yaml", "live.json", "simulated.json"))
    with emulated(inputs, endpoints):
        assert execute(inputs, endpoints, "--routing", "plan", "--log", live).exit_code == 0
    files = [str(word) for name, path in inputs.items() for word in (f"--{name}", path)]
    options = ("--mode", "offline", "--routing", "plan", "--log", simulated, "--quiet")
    assert gswarm("simulate", *files, *options).exit_code == 0

    def places(path: Path) -> dict[tuple[str, str], int]:
        rows = json.loads(path.read_text())["executions"]
        return {(r["request_id"], r["node_id"]): r["server_id"] for r in rows}

    assert places(live) == places(simulated)


def test_a_recorded_run_is_a_trace_for_the_simulator(inputs: Inputs, tmp_path: Path) -> None:
    """It has the requests, and about the times that the servers took."""
    endpoints, record = tmp_path / "e.yaml", tmp_path / "record.jsonl"
    with emulated(inputs, endpoints, scale=0.01):
        assert execute(inputs, endpoints, "--record", record, "--quiet").exit_code == 0
    files = ["--plan", inputs["plan"], "--config", inputs["config"], "--requests", record]
    done = gswarm("simulate", *files, "--mode", "offline", "--json")
    assert json.loads(done.stdout)["summary"]["completed_requests"] == 40
    given, measured = (
        {r["request_id"]: r["node_execution_times"] for r in map(json.loads, lines)}
        for lines in (inputs["requests"].read_text().splitlines(), record.read_text().splitlines())
    )
    assert set(given) == set(measured)
    # Servers take no less than they are told; what the wire adds depends on the machine.
    totals = [sum(sum(t.values()) for t in times.values()) for times in (given, measured)]
    assert totals[1] > 0.95 * 0.01 * totals[0]
    assert execute(inputs, endpoints, "--record", tmp_path / "record.txt").exit_code == 2


def test_a_finished_run_is_not_run_again(inputs: Inputs, tmp_path: Path) -> None:
    """The same command shows the same figures from the journal, and calls nobody."""
    endpoints, journal = tmp_path / "e.yaml", tmp_path / "j.jsonl"
    with emulated(inputs, endpoints):
        first = execute(inputs, endpoints, "--journal", journal, "--json")
    again = execute(inputs, endpoints, "--journal", journal, "--json")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["summary"] == json.loads(first.stdout)["summary"]
    assert json.loads(again.stdout)["live"]["calls"] == 0


def test_a_server_that_dies_costs_no_request(inputs: Inputs, tmp_path: Path) -> None:
    """Its calls are served by the other replicas of its model, and its circuit opens."""
    endpoints = tmp_path / "e.yaml"
    plan = json.loads(inputs["plan"].read_text())
    models = [r["model"] for r in plan["replicas"]]
    victim = next(p for p, m in enumerate(models) if models.count(m) > 1)
    answers = [Counting(lambda asked: False) for _ in models]
    answers[victim] = Counting(lambda asked: True)
    with counted(inputs, endpoints, answers) as (other, servers):
        # It holds its first call; when that is there, it is killed.
        async def kill() -> None:
            await asyncio.to_thread(answers[victim].held.wait, 60)
            await servers[victim].kill()

        killing = asyncio.run_coroutine_threadsafe(kill(), other.loop)
        done = execute(inputs, endpoints, "--routing", "least-loaded", "--json")
        killing.result(60)
        answers[victim].release.set()
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["summary"]["completed_requests"] == 40
    assert said["live"]["replicas"][victim]["calls_that_failed"] >= 1
    assert said["live"]["replicas"][victim]["circuit_opened"] >= 1
    served = {pair for a in answers if a is not answers[victim] for pair in a.asked}
    assert served == every_node(inputs)


def test_requests_that_fail_are_told_with_their_reasons(inputs: Inputs, tmp_path: Path) -> None:
    """Exit code 1; completed and failed ones add up."""

    async def refuse(asked: Asked) -> str:
        if asked.request_id in ("r3", "r5"):
            raise ValueError("the prompt is too long")
        return "fine"

    endpoints = tmp_path / "e.yaml"
    with counted(inputs, endpoints, [refuse] * replicas(inputs)):
        done = execute(inputs, endpoints, "--json")
        shown = execute(inputs, endpoints)
    assert done.exit_code == shown.exit_code == 1
    said = json.loads(done.stdout)
    assert said["summary"]["completed_requests"] == 38
    assert said["summary"]["failed_requests"] == 2
    assert [f["request_id"] for f in said["live"]["failures"]] == ["r3", "r5"]
    assert "the prompt is too long" in shown.stdout


def held_answers(inputs: Inputs, after: int) -> list[Counting]:
    """Answers that all hold from the `after`-th call on, counted over all replicas."""
    answers: list[Counting] = []

    def hold(asked: Asked) -> bool:
        return sum(len(a.asked) for a in answers) >= after

    answers += [Counting(hold) for _ in range(replicas(inputs))]
    for a in answers[1:]:
        a.held, a.release = answers[0].held, answers[0].release
    return answers


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_run_goes_on_and_neither_repeats_nor_loses_a_request(
    inputs: Inputs, tmp_path: Path
) -> None:
    """Killed while calls are under way: what was answered stands, the rest is done."""
    endpoints, journal = tmp_path / "e.yaml", tmp_path / "j.jsonl"
    answers = held_answers(inputs, after=20)
    with counted(inputs, endpoints, answers):
        process = Process(line(inputs, endpoints, "--journal", journal))
        assert answers[0].held.wait(60), process.end(signal.SIGKILL)
        assert process.end(signal.SIGKILL)[0] == -signal.SIGKILL
        before = journaled(journal)
        answers[0].release.set()
        done = execute(inputs, endpoints, "--journal", journal, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["summary"]["completed_requests"] == 40
    assert said["live"]["executions_resumed"] == len(before) > 0
    nodes = every_node(inputs)
    assert len({entry["execution"] for entry in journaled(journal)}) == len(nodes)
    assert len(journaled(journal)) == len(nodes)
    asked = Counter(pair for a in answers for pair in a.asked)
    assert set(asked) == nodes
    # Only a call that was under way, one a replica, may have been made again.
    order = numbered_nodes(inputs)
    assert all(asked[order[entry["execution"]]] == 1 for entry in before)
    repeated = [count for count in asked.values() if count > 1]
    assert set(repeated) <= {2}
    assert len(repeated) <= replicas(inputs)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
def test_ctrl_c_drains_and_the_same_command_goes_on(inputs: Inputs, tmp_path: Path) -> None:
    """Requests that had begun run to their end, no other begins, and then the rest is done."""
    endpoints, journal, log = (tmp_path / n for n in ("e.yaml", "j.jsonl", "log.json"))
    answers = held_answers(inputs, after=10)
    with counted(inputs, endpoints, answers):
        process = Process(line(inputs, endpoints, "--journal", journal, "--log", log, "--json"))
        assert answers[0].held.wait(60)
        process.process.send_signal(signal.SIGINT)
        assert process.process.stderr is not None
        notice = process.process.stderr.readline()
        begun = {pair[0] for a in answers for pair in a.asked}
        answers[0].release.set()
        code, out, _ = process.wait()
        assert notice == "finishing the requests that have begun; once more to stop at once\n"
        assert code == 130
        said = json.loads(out)
        assert said["live"]["drained"] is True
        completed = said["summary"]["completed_requests"]
        assert len(begun) <= completed < 40
        assert said["live"]["requests_not_begun"] == 40 - completed
        rows = json.loads(log.read_text())["executions"]
        assert begun <= {row["request_id"] for row in rows}
        again = execute(inputs, endpoints, "--journal", journal, "--json")
    assert again.exit_code == 0
    assert json.loads(again.stdout)["summary"]["completed_requests"] == 40
    asked = Counter(pair for a in answers for pair in a.asked)
    assert asked == Counter(dict.fromkeys(every_node(inputs), 1))


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
def test_a_second_ctrl_c_stops_at_once(inputs: Inputs, tmp_path: Path) -> None:
    """Calls under way are broken off, no log is written, and the journal is said to be there."""
    endpoints, journal, log = (tmp_path / n for n in ("e.yaml", "j.jsonl", "log.json"))
    answers = held_answers(inputs, after=10)
    with counted(inputs, endpoints, answers):
        process = Process(line(inputs, endpoints, "--journal", journal, "--log", log))
        assert answers[0].held.wait(60)
        process.process.send_signal(signal.SIGINT)
        assert process.process.stderr is not None
        process.process.stderr.readline()
        code, out, err = process.end(signal.SIGINT)
        answers[0].release.set()
    assert code == 130
    assert out == ""
    assert err.splitlines()[0] == "interrupted"
    assert str(journal) in err
    assert not log.exists()


SECRET = "sk-never-to-be-seen-42"


def test_keys_are_in_no_output(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers that repeat the key, in answers and in errors, make nobody else say it."""
    monkeypatch.setenv("TEST_KEY", SECRET)
    seen: list[str | None] = []

    async def tell(request: web.Request) -> web.Response:
        said = request.headers.get("Authorization")
        seen.append(said)
        if "r7" in request.headers["X-Request-Id"]:
            return web.Response(status=400, text=f"what a key: {said}")
        message = {"content": f"your key is {said}"}
        return web.json_response({"choices": [{"message": message}]})

    @asynccontextmanager
    async def make() -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", tell)
        runner = web.AppRunner(app, shutdown_timeout=1e-3)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        await runner.cleanup()

    files = {n: tmp_path / f"{n}.json" for n in ("log", "trace", "journal")}
    with beside(make) as (_, url):
        entries = [
            {"replica": p, "url": url, "key_env": "TEST_KEY"} for p in range(replicas(inputs))
        ]
        endpoints = tmp_path / "e.json"
        endpoints.write_text(json.dumps({"replicas": entries}))
        more = [word for name, path in files.items() for word in (f"--{name}", path)]
        texts = [
            execute(inputs, endpoints, *more).output,
            execute(inputs, endpoints, "--json").output,
        ]
    assert seen
    assert set(seen) == {f"Bearer {SECRET}"}
    texts += [path.read_text() for path in files.values()]
    assert "your key is Bearer [key]" in files["journal"].read_text()
    assert any("what a key: Bearer [key]" in text for text in texts)
    assert not any(SECRET in text for text in texts)


def test_the_originals_switch_executes(inputs: Inputs, tmp_path: Path) -> None:
    """`simulate --simulate true` calls the servers, `--simulate false` simulates."""
    endpoints = tmp_path / "e.yaml"
    files = line(inputs, endpoints)[1:]
    with emulated(inputs, endpoints):
        for switch in (["--simulate", "true"], ["--simulate=true"]):
            done = gswarm("simulate", *switch, *files, "--json")
            assert json.loads(done.stdout)["summary"]["simulate"] is False
    own = [w for name, path in inputs.items() for w in (f"--{name}", str(path))]
    done = gswarm("simulate", *own, "--simulate", "false", "--json")
    assert json.loads(done.stdout)["summary"]["simulate"] is True


def test_bad_endpoints_are_bad_input(inputs: Inputs, tmp_path: Path) -> None:
    """Exit code 2 and a sentence; nothing is called or written."""
    endpoints = tmp_path / "e.yaml"
    endpoints.write_text("replicas: [{replica: 0, url: 'ftp://x'}]\n")
    done = execute(inputs, endpoints, "--journal", tmp_path / "j.jsonl")
    assert done.exit_code == 2
    assert "no address of a server" in done.stderr
    assert not (tmp_path / "j.jsonl").exists()


def test_what_is_missing_is_shown_with_the_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan is made, its replicas are served, and then the run is executed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    shown = [
        text.split()[1] for text in gswarm("execute").stderr.splitlines() if "  gswarm" in text
    ]
    assert shown == ["solve", "serve-local", "execute"]
