"""Without a cluster there is a sentence, at once: Ray itself would try for minutes."""

from __future__ import annotations

import socket

import pytest

from tests.cli.inputs import gswarm

pytest.importorskip("ray", reason="Ray is not installed: pip install 'gswarm-place[ray]'")


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nonsense", "is no address; write HOST:PORT"),
        ("ray://127.0.0.1:10001", "is no address; write HOST:PORT"),
        ("127.0.0.1:{port}", "nobody answers there"),
        ("127.0.0.1:99999999", "nobody answers there"),
    ],
)
def test_where_no_cluster_answers(address: str, words: str) -> None:
    """What was asked for, what is wrong, what to do."""
    address = address.format(port=closed_port())
    done = gswarm("deploy", "--ray", address, "--status")
    assert done.exit_code == 2
    assert f"--ray {address}: " in done.stderr
    assert words in done.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["--down", "--status"], "take one"),
        (["--down", "--plan", "plan.yaml"], "leave out --plan"),
        (["--plan", "p.yaml"], "missing: --config FILE"),
    ],
)
def test_what_is_asked_of_a_deployment_is_one_thing(line: list[str], words: str) -> None:
    """Before any cluster is looked for."""
    done = gswarm("deploy", "--ray", f"127.0.0.1:{closed_port()}", *line)
    assert done.exit_code == 2
    assert words in done.stderr


def test_runs_without_repeat_are_not_spread() -> None:
    """`simulate --ray` without `--repeat` would change nothing, and says so."""
    done = gswarm("simulate", "--plan", "p", "--config", "c", "--requests", "r", "--ray", "auto")
    assert done.exit_code == 2
    assert "add --repeat N" in done.stderr
