import io

import pytest
from rich.console import Console

from cli.terminal import placement_map
from tests.cli.views.scenes import make_scene, make_workload


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
    """37 servers with one content take one row that says 37."""
    text = drawn(make_scene(37, contents=1, requests=4).plan)
    assert "x37" in text
    assert len(text.splitlines()) < 12


def test_rows_of_a_server_are_aligned():
    """All layers of a server are as wide as its GPUs, also with more models than letters."""
    scene = make_scene(16, workload=make_workload(70, 3), contents=12, requests=4)
    rows = [line for line in drawn(scene.plan).splitlines() if "[" in line and "GPUs" not in line]
    widths = {len(line[line.index("[") if line[0] != " " else 0 :].rstrip()) for line in rows}
    assert rows
    starts = {len(line) - len(line.lstrip()) for line in rows if line.startswith(" ")}
    assert len(starts) <= 1, starts
    assert len(widths) <= 2, widths
