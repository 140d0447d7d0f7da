"""Job graphs on paper: every edge is drawn, no two boxes meet, every job is in the tree."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gqm_tui.core.drawing import plain
from gqm_tui.core.graph import CriticalPath, Web, critical_path, fell_with, held_back, waits_on, web
from gqm_tui.core.graphboxes import BoxDrawing, Mesh, boxes_of
from gqm_tui.core.graphlayout import Layout, Point, spread
from gqm_tui.core.graphtree import TreeDrawing, tree_rows
from gqm_tui.core.graphwalk import box_beside
from gqm_tui.core.model import Graph
from gqm_tui.core.signs import Signs
from tests.support.tui import NOW, edge, graph, node
from tests.tui.scenes.dag import EDGES, NODES, ROOT, SCAN

NO_PATH = CriticalPath()
STATES = ("completed", "processing", "dead_letter", "deferred", "canceled", "ready")


def read(nodes: list[Any], edges: list[Any], root: str = "") -> Web:
    made = graph(root or nodes[0]["id"], nodes, edges)
    return web(msgspec.convert(made, Graph))


@st.composite
def graphs(draw: st.DrawFn) -> Web:
    """Graphs as the server lays them out: the layer is the longest way from the top."""
    count = draw(st.integers(1, 16))
    pairs = [(one, other) for other in range(count) for one in range(other)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=34)) if pairs else []
    layer = [0] * count
    for one, other in sorted(chosen, key=lambda pair: pair[1]):
        layer[other] = max(layer[other], layer[one] + 1)
    taken: dict[int, int] = {}
    nodes = []
    for place in range(count):
        order = taken.setdefault(layer[place], 0)
        taken[layer[place]] += 1
        nodes.append(
            node(
                f"j{place}",
                layer[place],
                order,
                type=draw(
                    st.sampled_from(["a", "import.run", "a.type.that.is.too.long.for.any.box", "检查文件"])
                ),
                status=draw(st.sampled_from(STATES)),
                execution_duration=draw(st.integers(0, 9_000)),
                hidden_parents=draw(st.sampled_from([0, 0, 0, 2, 1_200])),
                hidden_children=draw(st.sampled_from([0, 0, 0, 3, 150])),
            )
        )
    return read(nodes, [edge(f"j{one}", f"j{other}") for one, other in chosen])


def steps(points: list[Point]) -> list[Point]:
    """Every cell on the way along the corners."""
    found = [points[0]]
    for (x0, y0), (x1, y1) in pairwise(points):
        assert x0 == x1 or y0 == y1, "an edge goes straight or turns, never aslant"
        assert y1 >= y0, "an edge never goes up"
        while found[-1] != (x1, y1):
            x, y = found[-1]
            found.append((x + (x1 > x) - (x1 < x), y + (y1 > y) - (y1 < y)))
    return found


def drawn(graph: Web, layout: Layout, critical: CriticalPath = NO_PATH, **given: Any) -> list[str]:
    signs = Signs(given.get("ascii", False))
    made = BoxDrawing(graph, Mesh.of(layout), signs, NOW, given.get("chosen", graph.root_id), critical)
    return [plain(made.line(y)) for y in range(made.height)]


@settings(max_examples=120, deadline=None)
@given(graphs())
def test_no_box_meets_another(graph: Web) -> None:
    layout = boxes_of(graph)
    assert layout.boxes.keys() == graph.nodes.keys()
    taken: set[Point] = set()
    for box in layout.boxes.values():
        cells = {(x, y) for x in range(box.x, box.right + 1) for y in range(box.y, box.bottom + 1)}
        assert not cells & taken
        assert box.x >= 0
        assert box.right < layout.width
        assert box.bottom < layout.height
        taken |= cells


@settings(max_examples=120, deadline=None)
@given(graphs())
def test_every_edge_leads_from_its_parent_to_its_child_around_all_boxes(graph: Web) -> None:
    layout = boxes_of(graph)
    assert layout.undrawn == 0
    boxes = {
        (x, y)
        for box in layout.boxes.values()
        for x in range(box.x, box.right + 1)
        for y in range(box.y, box.bottom + 1)
    }
    for source, target in graph.edges:
        way = steps(layout.path(source, target))
        above, below = layout.boxes[source], layout.boxes[target]
        assert way[0] == (above.port, above.bottom)
        x, y = way[-1]
        assert y == below.y - 1
        assert below.x < x < below.right
        assert not set(way[1:]) & boxes


@settings(max_examples=120, deadline=None)
@given(graphs())
def test_lines_of_different_jobs_meet_only_where_they_cross_or_enter_one_box(graph: Web) -> None:
    layout = boxes_of(graph)
    upright: dict[Point, set[tuple[str, str]]] = {}
    for source, target in graph.edges:
        for (x0, y0), (x1, y1) in pairwise(steps(layout.path(source, target))):
            if x0 == x1:
                upright.setdefault((x1, max(y0, y1)), set()).add((source, target))
    for edges in upright.values():
        sources, targets = {source for source, _ in edges}, {target for _, target in edges}
        assert len(sources) == 1 or len(targets) == 1


@settings(max_examples=80, deadline=None)
@given(graphs())
def test_every_cell_of_every_edge_is_on_the_picture(graph: Web) -> None:
    layout = boxes_of(graph)
    made = BoxDrawing(graph, Mesh.of(layout), Signs(), NOW, "", NO_PATH)
    rows = [
        {run.x + place: sign for run in made.line(y) for place, sign in enumerate(run.text)}
        if all(run.text.isascii() or "─" <= run.text[:1] <= "╿" for run in made.line(y))
        else None
        for y in range(made.height)
    ]
    for source, target in graph.edges:
        for x, y in steps(layout.path(source, target))[1:]:
            row = rows[y]
            if row is not None:
                assert "─" <= row.get(x, " ") <= "╿", (source, target, x, y)


@settings(max_examples=80, deadline=None)
@given(graphs(), st.booleans())
def test_a_line_is_never_wider_than_the_drawing_and_ascii_is_ascii(graph: Web, shown: bool) -> None:
    layout = boxes_of(graph)
    path = critical_path(graph, NOW) if shown else NO_PATH
    made = BoxDrawing(graph, Mesh.of(layout), Signs(), NOW, graph.root_id, path)
    for y in range(made.height):
        at = 0
        for run in made.line(y):
            assert run.x >= at, "two texts lie over each other"
            at = run.x + sum(2 if ord(sign) > 0x2E80 else 1 for sign in run.text)
        assert at <= made.width + 2
    assert all(line.replace("检查文件", "").isascii() for line in drawn(graph, layout, path, ascii=True))


@settings(max_examples=120, deadline=None)
@given(graphs())
def test_every_job_is_in_the_tree_once_with_what_depends_on_it(graph: Web) -> None:
    rows = tree_rows(graph)
    assert {row.id for row in rows} == set(graph.nodes)
    assert len({row.key for row in rows}) == len(rows)
    first = [row.id for row in rows if row.first_at is None and (row.up is None or row.id not in graph.roots)]
    assert set(first) == set(graph.nodes)
    under = {(row.up.split("\x1f")[-1], row.id) for row in rows if row.up is not None}
    assert under == set(graph.edges)


@settings(max_examples=80, deadline=None)
@given(graphs())
def test_the_critical_path_is_a_way_and_none_takes_longer(graph: Web) -> None:
    path = critical_path(graph, NOW)
    assert path.edges <= set(graph.edges)
    took = {name: float(one.execution_duration or 0) for name, one in graph.nodes.items()}
    longest: dict[str, float] = {}
    for name in sorted(graph.nodes, key=lambda one: graph.nodes[one].layer):
        before = [longest[parent] for parent in graph.parents[name]]
        longest[name] = took[name] + max(before, default=0.0)
    assert path.total_ms == max(longest.values())
    assert sum(took[name] for name in path.ids) == path.total_ms


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_arrows_reach_every_box_from_the_first_one(graph: Web) -> None:
    layout = boxes_of(graph)
    found = [next(iter(graph.nodes))]
    for name in found:
        for direction in ("up", "down", "left", "right"):
            other = box_beside(graph, layout, name, direction)
            if other is not None and other not in found:
                found.append(other)
    assert set(found) == set(graph.nodes)


def test_points_are_spread_with_the_least_movement() -> None:
    assert spread([5.0, 5.0, 5.0], [2.0, 2.0]) == [3.0, 5.0, 7.0]
    assert spread([0.0, 9.0], [2.0]) == [0.0, 9.0]


def test_the_box_asked_for_is_double_and_the_selected_one_is_heavy() -> None:
    graph = read(NODES, EDGES, ROOT)
    text = "\n".join(drawn(graph, boxes_of(graph), chosen=SCAN))
    assert "╔═ import.run ══╗" in text
    assert "┏━ clam.scan ━━━┓" in text
    assert "✗ DLQ 5/5" in text
    both = "\n".join(drawn(graph, boxes_of(graph), chosen=ROOT))
    assert "┏═ import.run ══┓" in both


def test_neighbours_that_are_not_shown_hang_on_their_box_with_their_number() -> None:
    graph = read([node("a", hidden_parents=2, hidden_children=150)], [])
    lines = drawn(graph, boxes_of(graph))
    assert "2 ╌╌┐" in lines[0]
    assert "└╌ 150" in lines[-1]


def test_a_graph_that_turns_back_on_itself_says_what_is_not_drawn() -> None:
    graph = read([node("a", 0), node("b", 1)], [edge("a", "b"), edge("b", "a"), edge("a", "a")])
    assert boxes_of(graph).undrawn == 1
    assert {row.id for row in tree_rows(graph)} == {"a", "b"}
    assert critical_path(graph, NOW).ids


def test_an_empty_graph_draws_nothing() -> None:
    graph = web(
        Graph(root_id="x", nodes=(), edges=(), truncated=False, hidden=0, layers=0, width=0, counts={})
    )
    assert boxes_of(graph).boxes == {}
    assert tree_rows(graph) == []
    assert critical_path(graph, NOW) == CriticalPath()


def _chain(**states: str) -> Web:
    names = list(states)
    nodes = [node(name, place, status=states[name]) for place, name in enumerate(names)]
    return read(nodes, [edge(one, other) for one, other in pairwise(names)])


@pytest.mark.parametrize(
    ("states", "held", "fell"),
    [
        ({"a": "processing", "b": "deferred", "c": "deferred"}, ["b", "c"], []),
        ({"a": "completed", "b": "deferred"}, [], []),
        ({"a": "dead_letter", "b": "canceled", "c": "canceled"}, [], ["b", "c"]),
        ({"a": "processing", "b": "canceled"}, [], []),
    ],
)
def test_what_a_job_holds_back_and_what_fell_with_it(
    states: Mapping[str, str], held: list[str], fell: list[str]
) -> None:
    graph = _chain(**states)
    assert held_back(graph, "a") == held
    assert fell_with(graph, "a") == fell


def test_a_deferred_job_waits_for_parents_that_are_not_done() -> None:
    graph = read(
        [node("a"), node("b", status="dead_letter"), node("c", 1, status="deferred")],
        [edge("a", "c"), edge("b", "c")],
    )
    assert waits_on(graph, "c") == ["b"]
    freed = read(
        [node("b", status="dead_letter"), node("c", 1, status="deferred", allow_failure=True)],
        [edge("b", "c")],
    )
    assert waits_on(freed, "c") == []


def test_a_repeat_in_the_tree_names_where_the_job_stands() -> None:
    graph = read(NODES, EDGES, ROOT)
    rows = tree_rows(graph)
    made = TreeDrawing(graph, rows, Signs(), NOW, rows[0].key, NO_PATH, narrow=False)
    lines = [plain(made.line(y)) for y in range(made.height)]
    assert sum("⧉ also under parse" in line for line in lines) == 1
    assert lines[0].startswith("▌▼ ✓ import.run")


def test_a_long_error_is_cut_at_the_rim_of_the_view() -> None:
    graph = read([node("a", status="dead_letter", error="x" * 200)], [])
    rows = tree_rows(graph)
    made = TreeDrawing(graph, rows, Signs(), NOW, "", NO_PATH, narrow=False, cells=100)
    assert made.width == 100
    assert plain(made.line(0)).endswith("…")


@pytest.mark.parametrize(("narrow", "cells"), [(False, 118), (True, 78), (True, 58)])
def test_every_repeat_carries_its_sign_at_any_width(narrow: bool, cells: int) -> None:
    graph = read(NODES, EDGES, ROOT)
    rows = tree_rows(graph)
    made = TreeDrawing(graph, rows, Signs(), NOW, "", NO_PATH, narrow=narrow, cells=cells)
    for y, row in enumerate(rows):
        assert ("⧉" in plain(made.line(y))) == (row.first_at is not None)
