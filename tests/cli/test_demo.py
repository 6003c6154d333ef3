"""The demonstration runs where there is no checkout, and shows commands that run as they are."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import demo
from cli.main import main
from placement.files.plan_file import read_plan


def test_what_it_shows_is_what_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Config, trace, plan and report are in the folder, and each command shown runs again."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["demo"])
    assert done.exit_code == 0, done.output
    shown = [shlex.split(line)[2:] for line in re.findall(r"(?m)^\$ .*", done.output)]
    assert [words[0] for words in shown] == ["solve", "check", "simulate", "report"]
    assert read_plan("gswarm-demo/plan.yaml").certificate.status == "optimal"
    assert "<!doctype html>" in Path("gswarm-demo/report.html").read_text()
    again = CliRunner().invoke(main, shown[1])
    assert again.exit_code == 0, again.output
    said = json.loads(CliRunner().invoke(main, ["demo", "other", "--json"]).stdout)
    assert [shlex.split(c)[1] for c in said["commands"]] == [words[0] for words in shown]


def test_the_example_is_found_with_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the distribution lists them, these are taken, whatever stands beside the package."""

    class Installed(type(Path())):  # type: ignore[misc]
        def locate(self) -> Path:
            return tmp_path / self

    for name in demo.EXAMPLE:
        path = tmp_path / "share" / "configs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    listed = [Installed(f"share/configs/{name}") for name in demo.EXAMPLE]
    monkeypatch.setattr(demo, "files", lambda _: listed)
    assert [path.read_text() for path in demo.shipped()] == list(demo.EXAMPLE)
    monkeypatch.setattr(demo, "files", lambda _: None)
    assert all(path.parent.name == "configs" for path in demo.shipped())
