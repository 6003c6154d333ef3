"""The documents as pages: `make site` builds them into build/site, with no network.

python -m docs.website            # lays the pages out and builds them
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build"
PAGES = BUILD / "pages"

NAV: dict[str, dict[str, str]] = {
    "Start": {
        "What it is": "README.md",
        "Install it": "docs/installing.md",
        "From a trace to servers": "docs/tutorial.md",
        "A notebook": "docs/tour.md",
    },
    "How to": {
        "How do I …": "docs/howto.md",
        "Questions to a plan": "docs/questions.md",
        "Rules": "docs/rules.md",
        "Import": "docs/importing.md",
        "Run it for real": "docs/running.md",
        "Pictures": "docs/pictures.md",
    },
    "Reference": {
        "Commands": "reference/commands.md",
        "Files": "docs/configuration.md",
        "From Python": "docs/python.md",
        "Python names": "reference/names.md",
        "Search parameters": "docs/search.md",
    },
    "Explanation": {
        "The model": "docs/model.md",
        "When locality matters": "docs/locality.md",
        "The certificate": "docs/certificate.md",
        "The simulator": "docs/simulator.md",
        "Calibration": "docs/calibration.md",
        "When to use something else": "docs/alternatives.md",
        "From the static scheduler": "docs/static-scheduler.md",
    },
    "Development": {
        "Contributing": "CONTRIBUTING.md",
        "Architecture": "docs/architecture.md",
        "Tests": "docs/tests.md",
        "Changelog": "CHANGELOG.md",
    },
}
"""Sections and their pages; one that is not written yet is left out."""

MEASURED = "Measured"
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
SHOWN = (".md", ".png", ".svg", ".yaml", ".json", ".jsonl")
"""Endings of files that the pages link to as they are; of others only the name is left."""


def lay_out(pages: Path) -> None:
    """Copy documents and what they show into one folder, and write what the code says of itself.

    Parameters
    ----------
    pages : Path
        Emptied first.
    """
    shutil.rmtree(pages, ignore_errors=True)
    for folder in ("docs/img", "docs/schema", "configs"):
        shutil.copytree(ROOT / folder, pages / folder)
    shutil.copytree(ROOT / "benchmarks/results", pages / "benchmarks/results")
    texts = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    texts += (ROOT / "benchmarks").rglob("*.md")
    for source in texts:
        page = pages / source.relative_to(ROOT)
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(_linked(source.read_text(encoding="utf-8"), source.parent))
    (pages / "docs/tour.md").write_text(notebook_page(ROOT / "docs/tour.ipynb"))
    (pages / "reference").mkdir()
    (pages / "reference/commands.md").write_text(commands_page())
    (pages / "reference/names.md").write_text(names_page("placement", "runtime"))


def _linked(text: str, folder: Path) -> str:
    """Keep the links that lead to a page or a picture, and only the names of files of the code."""

    def link(found: re.Match[str]) -> str:
        picture, words, target, anchor = found.groups()
        if "://" in target or picture:
            return found[0]
        if target.endswith(".ipynb"):
            return f"[{words}]({target.removesuffix('.ipynb')}.md)"
        path = (folder / target).resolve()
        if path.is_dir() or path.suffix not in SHOWN:
            name = str(path.relative_to(ROOT))
            said = words.strip("`/") in name
            return f"`{name}`" if said else f"{words} (`{name}`)"
        return f"[{words}]({target}{anchor or ''})"

    return LINK.sub(link, text)


def notebook_page(path: Path) -> str:
    """Write a notebook as Markdown: its texts, its code, and what came of it."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(_linked(source, path.parent))
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/html" in data:
                parts.append("".join(data["text/html"]))
            else:
                text = "".join(data.get("text/plain", output.get("text", [])))
                parts.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def commands_page() -> str:
    """Write the help of every command."""
    import click

    from cli.main import COMMANDS, main

    parent = click.Context(main, info_name="gswarm-place")
    parts = ["# Commands", "Every command has `--help`, `--json` and `--quiet`."]
    for name in COMMANDS:
        command = main.get_command(parent, name)
        assert command is not None
        with click.Context(command, info_name=name, parent=parent, max_content_width=96) as context:
            parts.append(f"## {name}\n\n```text\n{command.get_help(context)}\n```")
    return "\n\n".join(parts) + "\n"


def names_page(*packages: str) -> str:
    """Write what the packages offer by name, from the docstrings."""
    parts = ["# Python names", "What `import placement, runtime` offers; [how to use it]"]
    parts[-1] += "(../docs/python.md)."
    for package in packages:
        module = importlib.import_module(package)
        for name in module.__all__:
            found = getattr(module, name)
            parts.append(f"## {package}.{name}\n\n{_signature(found)}{_documented(found)}")
    return "\n\n".join(parts) + "\n"


def _signature(found: Any) -> str:
    if not inspect.isfunction(found):
        return ""
    shown = str(inspect.signature(found))
    return f"```python\n{found.__name__}{shown}\n```\n\n"


def _documented(found: Any) -> str:
    """Turn a numpydoc docstring into Markdown: sections as bold words, entries as a list."""
    lines = (inspect.getdoc(found) or "").splitlines()
    result: list[str] = []
    listing = False
    for i, line in enumerate(lines):
        following = lines[i + 1] if i + 1 < len(lines) else ""
        if line and set(line) == {"-"}:
            continue
        if line and following and set(following) == {"-"}:
            result += [f"**{line}**", ""]
            listing = True
        elif listing and line and not line.startswith(" "):
            name, _, kind = line.partition(" : ")
            result.append(f"- `{name}`" + (f" : {kind}" if kind else ""))
        else:
            result.append(line.replace("``", "`"))
    return "\n".join(result)


def on_config(config: Any) -> Any:
    """Give MkDocs the pages that there are, in their order."""
    pages = Path(config["docs_dir"])
    nav = [
        {section: [{t: p} for t, p in entries.items() if (pages / p).is_file()]}
        for section, entries in NAV.items()
    ]
    results = sorted((pages / "benchmarks/results").glob("*.md"))
    nav.insert(-1, {MEASURED: [str(p.relative_to(pages)) for p in results]})
    config["nav"] = nav
    return config


def on_page_content(html: str, **_: Any) -> str:
    """Turn formulas into MathML, which browsers draw without a script."""
    from latex2mathml.converter import convert  # only the build of the pages has it

    def formula(found: re.Match[str]) -> str:
        latex = found[2].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        return str(convert(latex, display="block" if found[1] == "div" else "inline"))

    bare = r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>'
    return re.sub(bare, formula, html, flags=re.DOTALL)


def main() -> int:
    """Build the pages; 0 where every link leads somewhere."""
    lay_out(PAGES)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--clean"]
    return subprocess.run([*command, "-f", str(ROOT / "mkdocs.yml")], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
