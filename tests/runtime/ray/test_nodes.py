"""Servers of a plan find their nodes, or it is said which are missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from placement.problem.cluster import Cluster, ServerType
from placement.problem.outcome import Infeasible
from runtime.ray.nodes import Node, assign, assign_all

FOUR = Cluster.homogeneous(12, 4)
MIXED = Cluster((ServerType("old", 1, 4, 40.0), ServerType("new", 2, 4, 80.0)))


def node(name: str, gpus: int = 4, **more: object) -> Node:
    return replace(Node(name * 8, f"10.0.0.{name}", gpus, gpus), **more)  # type: ignore[arg-type]


def chosen(found: dict[int, Node]) -> dict[int, str]:
    return {server: n.id[0] for server, n in found.items()}


def test_servers_take_nodes_of_their_size_in_order() -> None:
    """A node with other GPUs, or with one in use, is nobody's."""
    nodes = [node("5"), node("1", gpus=8), node("2"), node("3", free_gpus=3.5), node("4")]
    assert chosen(assign(FOUR, [0, 2], nodes)) == {0: "2", 2: "4"}
    assert chosen(assign(FOUR, [0, 1, 2], nodes[:3])) == {0: "2", 1: "5"}


def test_what_a_node_says_of_itself_goes_before_its_size() -> None:
    """Pinned first, then by number, then by type; a node that says so is no other's."""
    nodes = [node("1", server=2), node("2", kind="new", gpus=8), node("3"), node("4", kind="old")]
    assert chosen(assign(MIXED, [0, 1, 2], nodes)) == {0: "4", 1: "2", 2: "1"}
    assert chosen(assign(MIXED, [0, 1], nodes, {1: "10.0.0.3"})) == {0: "4", 1: "3"}
    assert chosen(assign(MIXED, [1], nodes, {1: "33333"})) == {1: "3"}
    assert assign(MIXED, [1], nodes[:2], {1: "10.0.0.9"}) == {}


def test_what_is_missing_is_said_with_what_there_is() -> None:
    """How many nodes of which size and type, for which servers; and the nodes with their use."""
    with pytest.raises(Infeasible) as told:
        assign_all(FOUR, [0, 1, 2], [node("1"), node("2", free_gpus=3.0)], {2: "10.0.0.7"})
    text = str(told.value)
    assert "1 more node with 4 free GPUs needed for type 'server' (servers 1)" in text
    assert "server 2 needs node 10.0.0.7" in text
    assert "10.0.0.2 (22222222) with 4 GPUs, 1 of them in use" in text


def test_types_of_one_size_are_not_guessed() -> None:
    """A plan for 80 GB on a server of 40 would fail on its first request."""
    with pytest.raises(ValueError, match="--labels gswarm-type="):
        assign_all(MIXED, [0, 1], [node("1"), node("2")])
    nodes = [node("1", kind="new"), node("2", kind="old")]
    assert chosen(assign_all(MIXED, [0, 1], nodes)) == {0: "2", 1: "1"}
