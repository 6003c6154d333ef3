import io
import re

import pytest
from rich.console import Console

from cli.terminal import placement_map, servers_alike
from tests.runtime.scenes import make_scene, make_workload


def drawn(plan, *, color: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=80, force_terminal=color, no_color=not color, highlight=False
    )
    console.print(placement_map(plan))
    return console.file.getvalue()


@pytest.mark.parametrize(("servers", "models"), [(1, 5), (4, 9), (128, 24), (16, 70)])
def test_map_fits_eighty_columns_without_colour(servers, models):
    """The map of any cluster fits a narrow terminal, names every model and needs no colour."""
    scene = make_scene(servers, workload=make_workload(models, 3), contents=12, requests=4)
    text = drawn(scene.plan)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
    words = text.split()
    for m in set(scene.plan.placement.model.tolist()):
        assert scene.plan.model_ids[m] in words


def test_servers_alike_share_a_row():
    """37 servers with one content take one row that names the first and the last."""
    text = drawn(make_scene(37, contents=1, requests=4).plan)
    assert "0 to 36" in text
    assert len(text.splitlines()) < 12


@pytest.mark.parametrize(
    ("servers", "name"),
    [
        ([4], "4"),
        ([0, 1], "0 and 1"),
        ([0, 3], "0 and 3"),
        ([2, 3, 4], "2 to 4"),
        ([0, 2, 5], "0, 2 and 5"),
        ([0, 2, 5, 6], "0, 2 and 2 more"),
    ],
)
def test_servers_alike_are_named_in_words(servers, name):
    """A run by its ends, few by their numbers, many by two and how many more there are."""
    assert servers_alike(servers) == name


@pytest.mark.parametrize(("models", "cell"), [(24, 3), (130, 4)])
def test_blocks_begin_at_their_gpu(models, cell):
    """Every block begins at the column of its first GPU, also with more models than letters."""
    scene = make_scene(40, workload=make_workload(models, 3), contents=40, requests=4)
    lines = drawn(scene.plan).splitlines()
    column = next(line.index("GPUs:") for line in lines if "GPUs:" in line)
    rows = [line[column:] for line in lines if "]" in line and "GPUs:" not in line]
    begins = {m.start() for row in rows for m in re.finditer(r"\[", row)}
    assert len(begins) > 4
    assert all(b % cell == 0 for b in begins)


def test_map_stays_small():
    """A cluster of many contents fits a screen, and what is left out is counted."""
    scene = make_scene(60, workload=make_workload(70, 3), contents=30, requests=4)
    text = drawn(scene.plan)
    shown = {line.split()[0] for line in text.splitlines() if line.strip()[:1].isdigit()}
    assert len(text.splitlines()) < 60
    assert f"{30 - len(shown)} more kinds of servers" in text


def test_colour_marks_the_blocks():
    """In a terminal the blocks are filled with colour; the letters stay."""
    scene = make_scene(1)
    assert "\x1b[1;7;" in drawn(scene.plan, color=True)
