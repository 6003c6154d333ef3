"""Rules files: read whole, or refused with every fault in words."""

from pathlib import Path
from typing import Any

import pytest

from placement.files.config_file import build_model
from placement.files.input_schema import ModelEntry
from placement.files.rules_file import check_config_rules, read_rules
from placement.problem.cluster import Cluster
from placement.problem.model_rules import ModelRules, Sites
from placement.problem.placement_rules import PlacementRules
from placement.problem.server_kinds import apply_rules
from placement.problem.workload import Workload
from placement.support.faults import InputError
from tests.placement.files.cases import workload, write_document

CLUSTER = Cluster.homogeneous(7, 4)

PLAIN: dict[str, Any] = {
    "name": "m", "memory_gb": 8, "gpus_required": 1, "load_time_seconds": 1,
    "inference_time_mean": 1,
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_rules_are_read(suffix: str, tmp_path: Path) -> None:
    data = {
        "excluded_gpus": [{"server": 1, "gpus": [2, 0]}],
        "models": {
            "painter": {
                "min_replicas": 2,
                "allowed": {"server_types": ["server"], "gpus": [0]},
                "pinned": [{"server": 0, "gpus": [0]}],
            }
        },
        "domains": {"server": [[3, 2], [0, 1]]},
    }
    rules = read_rules(write_document(tmp_path / f"r{suffix}", data), CLUSTER, workload(tmp_path))
    assert rules == PlacementRules(
        excluded_gpus=((1, (0, 2)),),
        models={
            "painter": ModelRules(
                min_replicas=2, allowed=Sites(("server",), (), (0,)), pinned=((0, (0,)),)
            )
        },
        domains=(("server", ((0, 1), (2, 3))),),
    )


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
@pytest.mark.parametrize(
    ("data", "key", "words"),
    [
        ({"excluded_gpu": []}, "excluded_gpu", "did you mean 'excluded_gpus'?"),
        ({"excluded_gpus": [{"server": 2, "gpus": [0]}]}, "excluded_gpus[0].server", "0 to 1"),
        ({"excluded_gpus": [{"server": 1, "gpus": [1, 3]}]}, "excluded_gpus[0].gpus[1]", "0 to 2"),
        ({"excluded_gpus": [{"server": 1, "gpus": []}]}, "excluded_gpus[0].gpus", "empty"),
        ({"excluded_gpus": [{"server": -1, "gpus": [0]}]}, "excluded_gpus[0].server", "at least 0"),
        ({"models": {"paint": {"spread": 1}}}, "models.paint", "did you mean 'painter'?"),
        ({"models": {"painter": {"spred": 1}}}, "models.painter.spred", "did you mean 'spread'?"),
        ({"models": {"painter": {"spread": 3}}}, "models.painter.spread", "has 2 servers"),
        ({"models": {"painter": {"spread": 0}}}, "models.painter.spread", "at least 1"),
        (
            {"models": {"painter": {"min_replicas": 2, "max_replicas": 1}}},
            "models.painter.min_replicas",
            "max_replicas is 1",
        ),
        (
            {"models": {"painter": {"allowed": {"server_types": ["serer"]}}}},
            "models.painter.allowed.server_types[0]",
            "did you mean 'server'?",
        ),
        ({"models": {"painter": {"forbidden": {}}}}, "models.painter.forbidden", "names no server"),
        (
            {"models": {"painter": {"forbidden": {"servers": [2]}}}},
            "models.painter.forbidden.servers[0]",
            "from 0 to 1",
        ),
        (
            {"models": {"writer": {"pinned": [{"server": 0, "gpus": [1]}]}}},
            "models.writer.pinned[0].gpus",
            "takes 2 consecutive GPUs",
        ),
        (
            {
                "domains": {"server": [[0, 1], [2, 3]]},
                "models": {"writer": {"pinned": [{"server": 0, "gpus": [1, 2]}]}},
            },
            "models.writer.pinned[0].gpus",
            "may stand or fit",
        ),
        ({"domains": {"box": [[0, 1]]}}, "domains.box", "no server type"),
        ({"domains": {"server": [[0, 4]]}}, "domains.server[0][1]", "have 4 GPUs"),
        ({"domains": {"server": [[0, 1], [1, 2]]}}, "domains.server", "GPU 1 in 2 groups"),
        (
            {"excluded_gpus": [{"server": s, "gpus": list(range(4 - s))} for s in (0, 1)]},
            "excluded_gpus",
            "leaves no GPU",
        ),
    ],
)
def test_a_fault_names_file_key_line_and_remedy(
    data: dict[str, Any], key: str, words: str, suffix: str, tmp_path: Path
) -> None:
    path = write_document(tmp_path / f"r{suffix}", data)
    with pytest.raises(InputError) as caught:
        read_rules(path, CLUSTER, workload(tmp_path))
    text = str(caught.value)
    assert words in text
    assert f"{path}: {key} (line " in text


@pytest.mark.parametrize(
    ("rules", "wrong"),
    [
        ({"pinned": [{"server": 9, "gpus": [0]}]}, "the cluster has"),
        ({"pinned": [99]}, "the cluster has"),
        ({"apart_from": ["nobody"]}, "is no model of the config"),
        ({"together_with": ["m"]}, "itself"),
        ({"spread": 99}, "is 99, and the cluster has"),
    ],
)
def test_rules_of_the_config_are_held_against_the_cluster(
    rules: dict[str, Any], wrong: str
) -> None:
    """What they name and there is not is a sentence about the config."""
    model = build_model("m", ModelEntry(**{**PLAIN, **rules}))
    workload = Workload((model,), ())
    with pytest.raises(InputError, match=wrong) as found:
        check_config_rules("c.yaml", workload, Cluster.homogeneous(4, 2))
    assert str(found.value).startswith("c.yaml: models.m.")


def test_pins_may_count_through_the_cluster() -> None:
    """GPU 3 of the cluster is GPU 1 of server 1."""
    model = build_model("m", ModelEntry(**{**PLAIN, "pinned": [3]}))
    rules = PlacementRules(models={"m": model.rules})
    applied = apply_rules(Cluster.homogeneous(4, 2), rules)
    assert [t.pinned for t in applied.server_types] == [(), (("m", 1),)]


@pytest.mark.parametrize("pin", [(9, (0,)), (None, (9,))])
def test_pins_beyond_the_cluster_are_refused_wherever_they_come_from(
    pin: tuple[int | None, tuple[int, ...]],
) -> None:
    """Rules that no file was read for end in a sentence, too."""
    rules = PlacementRules(models={"m": ModelRules(pinned=(pin,))})
    with pytest.raises(ValueError, match="and the cluster has"):
        apply_rules(Cluster.homogeneous(4, 2), rules)


def test_as_many_servers_as_there_are_can_be_asked_for(tmp_path: Path) -> None:
    """In a rules file and in the config; one more is a fault."""
    data = {"models": {"painter": {"spread": CLUSTER.n_servers}}}
    read_rules(write_document(tmp_path / "r.yaml", data), CLUSTER, workload(tmp_path))
    for spread in (CLUSTER.n_servers, CLUSTER.n_servers + 1):
        model = build_model("m", ModelEntry(**{**PLAIN, "spread": spread}))
        if spread > CLUSTER.n_servers:
            with pytest.raises(InputError, match=f"is {spread}, and the cluster has 2 servers"):
                check_config_rules("c.yaml", Workload((model,), ()), CLUSTER)
        else:
            check_config_rules("c.yaml", Workload((model,), ()), CLUSTER)
