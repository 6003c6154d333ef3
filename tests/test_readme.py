"""Everything the documents tell a reader to run, runs."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import main
from docs.figures import measured_rows, result_table, stated_table

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
