"""Job graphs: what is near a job, how it is laid out, and what is said of what is left out."""

from __future__ import annotations

import time
from typing import Any

import pytest
from msgspec import UNSET

from gqm.errors import InvalidQuery, JobNotFound
from gqm.store.commands.operate import cancel
from gqm.store.plan import follow
from gqm.store.read.graph import Graph, Node, get_graph
from gqm.store.read.listing import Window
from gqm.store.read.match import JobFilter
from gqm.store.read.roots import list_roots
from gqm.store.read.views import JobPage
from tests.support.keyspace import Keyspace


def graph_of(space: Keyspace, job_id: str, **options: Any) -> Graph:
    graph = follow(space.store, get_graph(space.keys, job_id, **options))
    shown = {node.id for node in graph.nodes}
    edges = [(edge.source, edge.target) for edge in graph.edges]
    assert len(set(edges)) == len(edges)
    assert {end for edge in edges for end in edge} <= shown, "both ends are shown"
    assert len(shown) == len(graph.nodes)
    assert sum(graph.counts.values()) == len(graph.nodes)
    return graph


def nodes_of(graph: Graph) -> dict[str, Node]:
    return {node.id: node for node in graph.nodes}


def job(space: Keyspace, name: str, *parents: str, **options: Any) -> str:
    if parents:
        options["depends_on"] = list(parents)
    return space.enqueue(job_id=name, **options)


def diamond(space: Keyspace) -> None:
    job(space, "top")
    job(space, "left", "top")
    job(space, "right", "top", allow_failure=True)
    job(space, "bottom", "left", "right")


@pytest.mark.parametrize("asked", ["top", "left", "right", "bottom"])
def test_a_diamond_is_shown_whole_from_each_of_its_jobs(space: Keyspace, asked: str) -> None:
    diamond(space)

    graph = graph_of(space, asked)

    assert graph.root_id == asked
    assert {(edge.source, edge.target) for edge in graph.edges} == {
        ("top", "left"),
        ("top", "right"),
        ("left", "bottom"),
        ("right", "bottom"),
    }
    nodes = nodes_of(graph)
    assert {name: (node.layer, node.order) for name, node in nodes.items()} == {
        "top": (0, 0),
        "left": (1, 0),
        "right": (1, 1),
        "bottom": (2, 0),
    }
    assert (graph.truncated, graph.hidden, graph.layers, graph.width) == (False, 0, 3, 2)
    assert graph.counts == {"ready": 1, "deferred": 3}
    assert [node.allow_failure for node in graph.nodes] == [False, False, True, False]
    assert nodes["top"].created_at.isdecimal()
    assert (nodes["top"].max_retry, nodes["top"].started_at, nodes["top"].error) == (3, UNSET, UNSET)


def test_a_long_parent_chain_pushes_its_child_down(space: Keyspace) -> None:
    job(space, "a")
    job(space, "b", "a")
    job(space, "c", "b")
    job(space, "d", "a", "c")

    assert {node.id: node.layer for node in graph_of(space, "a").nodes} == {"a": 0, "b": 1, "c": 2, "d": 3}


def test_places_follow_the_parents(space: Keyspace) -> None:
    job(space, "p1")
    job(space, "p2")
    job(space, "z", "p1")
    job(space, "a", "p2")
    job(space, "join", "z", "a")

    graph = graph_of(space, "join")

    assert [node.id for node in graph.nodes] == ["p1", "p2", "z", "a", "join"], "no edges cross"
    assert graph == graph_of(space, "join")


def test_what_is_left_out_is_counted(space: Keyspace) -> None:
    job(space, "root")
    for n in range(10):
        job(space, f"c{n}", "root")
    job(space, "below", "c0")

    few = graph_of(space, "root", max_nodes=4)
    near = graph_of(space, "below", depth=1)

    assert [node.id for node in few.nodes] == ["root", "c0", "c1", "c2"]
    assert (few.truncated, few.hidden) == (True, 8)
    assert nodes_of(few)["root"].hidden_children == 7
    assert nodes_of(few)["c0"].hidden_children == 1
    assert [node.id for node in near.nodes] == ["c0", "below"]
    assert nodes_of(near)["c0"].hidden_parents == 1
    assert (near.truncated, near.hidden) == (True, 1)


def test_jobs_that_are_gone_are_shown_as_unknown(space: Keyspace) -> None:
    job(space, "a")
    job(space, "b", "a")
    job(space, "c", "b")
    space.raw.delete(space.keys.job("a"))

    graph = graph_of(space, "c")

    gone = nodes_of(graph)["a"]
    assert (gone.status, gone.created_at, gone.type, gone.queue) == ("unknown", "", "", "")
    assert (gone.max_retry, gone.retry_count) == (3, 0)
    assert graph.counts == {"unknown": 1, "deferred": 2}


def test_a_finished_chain_stays_visible(space: Keyspace) -> None:
    diamond(space)
    space.store.run(cancel(space.keys, "top", "x"))

    graph = graph_of(space, "bottom")

    assert len(graph.nodes) == 4
    assert graph.counts == {"canceled": 3, "ready": 1}, "one of them runs although its parent failed"
    assert isinstance(nodes_of(graph)["top"].completed_at, int)


def test_errors_are_cut(space: Keyspace) -> None:
    job(space, "a")
    space.raw.hset(space.keys.job("a"), mapping={"error": "E: " + "x" * 500, "execution_duration": 5})

    (node,) = graph_of(space, "a").nodes

    assert (len(str(node.error)), node.execution_duration) == (200, 5)


def test_children_that_only_another_program_knows(space: Keyspace) -> None:
    job(space, "go-parent")
    child = {"id": "go-child", "type": "t", "queue": "q", "status": "deferred", "created_at": 1}
    space.raw.hset(space.keys.job("go-child"), mapping=child)
    space.raw.sadd(space.keys.dependents("go-parent"), "go-child")

    graph = graph_of(space, "go-parent")

    assert [(edge.source, edge.target) for edge in graph.edges] == [("go-parent", "go-child")]


def test_a_circle_that_somebody_stored_is_drawn_all_the_same(space: Keyspace) -> None:
    for name, parent in (("a", "c"), ("b", "a"), ("c", "b"), ("d", "d")):
        fields = {"id": name, "type": "t", "status": "deferred", "depends_on": f'["{parent}"]'}
        space.raw.hset(space.keys.job(name), mapping=fields)

    graph = graph_of(space, "a")

    assert {node.id for node in graph.nodes} == {"a", "b", "c"}
    assert len(graph.edges) == 3
    assert [node.id for node in graph_of(space, "d").nodes] == ["d"]


def test_very_many_children(space: Keyspace) -> None:
    job(space, "a")
    space.raw.sadd(space.keys.children("a"), *(f"c{n:05}" for n in range(5000)))
    begun = time.monotonic()

    graph = graph_of(space, "a", max_nodes=500)

    assert time.monotonic() - begun < 1
    assert len(graph.nodes) == 500
    assert (graph.truncated, graph.hidden) == (True, 5001 - 500)
    assert nodes_of(graph)["a"].hidden_children == 5001 - 500


@pytest.mark.fault(10)
def test_a_ladder_of_diamonds_visits_each_node_once(space: Keyspace) -> None:
    previous = [job(space, "l0")]
    for n in range(1, 21):
        previous = [job(space, f"l{n}-{side}", *previous) for side in "ab"]
    begun = time.monotonic()

    graph = graph_of(space, "l0", depth=50, max_nodes=100)

    assert time.monotonic() - begun < 0.5
    assert (len(graph.nodes), graph.layers, graph.width, graph.truncated) == (41, 21, 2, False)


def test_what_cannot_be_drawn(space: Keyspace) -> None:
    with pytest.raises(JobNotFound, match="never"):
        graph_of(space, "never")
    job(space, "a")
    for wrong in ({"depth": 0}, {"depth": 51}, {"max_nodes": 0}, {"max_nodes": 501}):
        with pytest.raises(InvalidQuery, match=next(iter(wrong))):
            graph_of(space, "a", **wrong)


# ------------------------------------------------------------------------------------------- roots


def roots(
    space: Keyspace, wanted: JobFilter | None = None, *, rollup: bool = False, **window: Any
) -> JobPage:
    plan = list_roots(space.keys, wanted or JobFilter(), Window(**window), rollup=rollup)
    return follow(space.store, plan)


def test_roots_with_what_is_below_them(space: Keyspace) -> None:
    diamond(space)
    job(space, "single")
    job(space, "second", queue="q")
    job(space, "child", "second", queue="q")
    space.age_job("top", 100)
    space.raw.zadd(space.keys.dag_roots, {"top": space.now() - 100})

    page = roots(space, rollup=True)

    assert [root.id for root in page.items] == ["second", "top"], "the newest first"
    assert (page.total, page.truncated) == (2, False)
    assert [root.child_count for root in page.items] == [1, 2]
    assert [root.rollup for root in page.items] == [{"deferred": 1}, {"deferred": 3}]
    assert {root.rollup_truncated for root in page.items} == {UNSET}
    assert roots(space).items[0].rollup is UNSET
    assert [root.id for root in roots(space, order="asc", limit=1).items] == ["top"]
    assert [root.id for root in roots(space, JobFilter(queue=("q",))).items] == ["second"]
    assert [root.id for root in roots(space, JobFilter(status=("completed",))).items] == []
    assert [root.id for root in roots(space, JobFilter(until=space.now() - 50)).items] == ["top"]
    assert [root.id for root in roots(space, JobFilter(q="eco")).items] == ["second"]


def test_a_root_that_is_gone_is_passed_over(space: Keyspace) -> None:
    diamond(space)
    space.raw.delete(space.keys.job("top"))

    assert {root.id for root in roots(space).items} == {"left", "right"}, "no parent of theirs is kept"


def test_a_large_family_is_counted_in_part(space: Keyspace) -> None:
    job(space, "a")
    for n in range(250):
        job(space, f"c{n}", "a")

    (root,) = roots(space, rollup=True).items

    assert root.child_count == 250
    assert root.rollup_truncated is True
    assert root.rollup == {"deferred": 200}


def test_parents_of_other_programs_are_found(space: Keyspace) -> None:
    for name, parents in (("go-top", "[]"), ("go-middle", '["go-top"]')):
        fields = {
            "id": name,
            "type": "t",
            "queue": "q",
            "status": "ready",
            "created_at": 5,
            "depends_on": parents,
        }
        space.raw.hset(space.keys.job(name), mapping=fields)
    space.raw.sadd(space.keys.dependents("go-top"), "go-middle")
    space.raw.sadd(space.keys.dependents("go-middle"), "go-leaf")
    diamond(space)

    page = roots(space)

    assert [root.id for root in page.items] == ["top", "go-top"]
    assert page.total == 2
    space.raw.delete(space.keys.job("go-top"))
    assert [root.id for root in roots(space).items] == ["top", "go-middle"]


def test_a_large_key_space_is_looked_through_in_part(space: Keyspace) -> None:
    diamond(space)
    pipe = space.raw.pipeline(transaction=False)
    for n in range(12_000):
        pipe.set(f"{space.keys.prefix}filler:{n}", "")
    pipe.execute()

    page = roots(space)

    assert [root.id for root in page.items] == ["top"]
    assert page.truncated is True


@pytest.mark.fault(11)
def test_pages_over_a_hundred_thousand_deferred_jobs(space: Keyspace) -> None:
    """The commands are bounded; the time only says that they are few."""
    pipe = space.raw.pipeline(transaction=False)
    for n in range(100):
        pipe.sadd(space.keys.deferred, *(f"d{n:02}-{m:03}" for m in range(1000)))
    for m in range(1000):
        fields = {"id": f"d00-{m:03}", "type": "t", "queue": "q", "status": "deferred", "created_at": m}
        pipe.hset(space.keys.job(f"d00-{m:03}"), mapping=fields)
    pipe.execute()
    diamond(space)
    begun = time.monotonic()

    roots(space, rollup=True)
    graph_of(space, "top")

    assert time.monotonic() - begun < 0.5
