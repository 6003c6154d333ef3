"""What a command is asked for is one frozen value, with a field for each option."""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, fields
from pathlib import Path

import click
import pytest

from cli.analyze import Asked
from cli.main import COMMANDS, main

CLI = Path(__file__).parents[2] / "cli"
PLAIN = {"schema", "completion"}
"""Commands of three options, which they take as they are."""


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - PLAIN))
def test_every_option_has_its_field(name: str) -> None:
    """No option is asked for that nobody could give, and none is given that nobody asks for.

    A field with a default is no option: the command settles it.
    """
    command = main.get_command(click.Context(main), name)
    assert command is not None
    asked = vars(command.callback)["asked"]
    assert asked.__dataclass_params__.frozen
    given = {f.name for f in fields(asked) if f.default is MISSING}
    assert given == {p.name for p in command.params}


def test_options_are_no_dictionaries() -> None:
    """No command looks an option up by a name that a typist could miss."""
    assert not [p.name for p in CLI.glob("*.py") if 'options["' in p.read_text()]


def test_what_was_asked_for_stays() -> None:
    """Whoever settles what was left open makes another value."""
    asked = Asked(
        config="c", requests="r", gpus=None, gpus_per_server=8, gpu_memory_gb=80.0,
        cluster_file=None, as_json=False, quiet=True,
    )  # fmt: skip
    assert asked.silent
    with pytest.raises(FrozenInstanceError):
        asked.gpus = 8  # type: ignore[misc]
    with pytest.raises(click.UsageError, match="say what the cluster is"):
        asked.cluster()
