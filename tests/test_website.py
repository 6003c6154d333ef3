"""The documents as pages: none is forgotten, every link leads somewhere, nothing is fetched."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from docs import website

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "pages"
    website.lay_out(folder)
    return folder


def test_every_document_is_a_page_once() -> None:
    """Whoever adds a document says where it stands."""
    listed = [page for entries in website.NAV.values() for page in entries.values()]
    assert len(listed) == len(set(listed))
    written = {
        str(p.relative_to(ROOT)) for p in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    }
    assert written <= set(listed)


def test_links_of_the_pages_lead_to_pages(pages: Path) -> None:
    """Within what is laid out: files of the code are named, not linked to."""
    texts = list(pages.rglob("*.md"))
    assert len(texts) > 30
    count = 0
    for page in texts:
        for _, _, target, _ in website.LINK.findall(page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), (page, target)
                count += 1
    assert count > 100


def test_commands_and_names_are_the_codes_own(pages: Path) -> None:
    """A heading for every command and for every public name, with its docstring."""
    from cli.main import COMMANDS

    commands = (pages / "reference/commands.md").read_text()
    assert re.findall(r"(?m)^## (.*)", commands) == list(COMMANDS)
    names = (pages / "reference/names.md").read_text()
    assert "## placement.solve\n" in names
    assert "**Parameters**" in names


@pytest.mark.skipif(
    find_spec("mkdocs") is None or find_spec("latex2mathml") is None,
    reason="MkDocs is not installed: `make site` installs it",
)
def test_the_site_is_built_without_a_warning_and_fetches_nothing(tmp_path: Path) -> None:
    """Strict; no page loads a script, style or picture from elsewhere."""
    website.lay_out(website.PAGES)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for page in tmp_path.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="(https?:[^"]*)',
            page.read_text(),
        )
        assert not loaded, page
