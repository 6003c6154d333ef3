"""Large commands list their options by what they are for, each option once."""

from __future__ import annotations

import re

import click
import pytest
from click.testing import CliRunner

from cli.main import COMMANDS, main
from cli.option_groups import GROUPS, OTHERS, Grouped

COMMAND = {name: main.get_command(click.Context(main), name) for name in COMMANDS}
LARGE = [name for name, command in COMMAND.items() if isinstance(command, Grouped)]


@pytest.mark.parametrize("name", LARGE)
def test_every_option_is_in_one_group(name: str) -> None:
    """None is left out, none said twice, and each stands under the heading that names it."""
    text = CliRunner().invoke(main, [name, "--help"]).output
    sections = dict(re.findall(r"(?m)^(\S[^\n]*):\n((?:  .*\n|\n)+)", text))
    listed = {t: re.findall(r"(?m)^  (?:-\w, )?(--[\w-]+)", body) for t, body in sections.items()}
    command = COMMAND[name]
    assert command is not None
    options = {max(p.opts, key=len) for p in command.params if isinstance(p, click.Option)}
    shown = [option for title, found in listed.items() if title in GROUPS for option in found]
    shown += listed.get(OTHERS, [])
    assert sorted(shown) == sorted(options | {"--help"})
    assert all(set(listed[title]) <= set(GROUPS[title]) for title in listed if title in GROUPS)


def test_groups_name_an_option_once() -> None:
    """An option that is in two groups would be listed in the first alone."""
    names = [name for group in GROUPS.values() for name in group]
    assert len(names) == len(set(names))
    assert len(LARGE) >= 4


@pytest.mark.parametrize("width", ["60", "80"])
def test_help_breaks_no_word(width: str) -> None:
    """Every option and every hyphenated word of a help stands on one line."""
    wide = CliRunner().invoke(main, ["solve", "--help"], terminal_width=400, max_content_width=400)
    narrow = CliRunner().invoke(main, ["solve", "--help"], terminal_width=int(width))
    hyphenated = set(re.findall(r"[\w-]*\w-\w[\w-]*", wide.output))
    assert len(hyphenated) > 20
    assert hyphenated <= set(re.findall(r"[\w-]*\w-\w[\w-]*", narrow.output))
    assert "\u2011" not in narrow.output
