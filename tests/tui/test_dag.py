"""The DAG tab: its lists, and a graph that is walked, panned, turned into a tree and back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from gqm_tui.core.drawing import plain
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.screens.panes.dag import DagPane
from gqm_tui.screens.panes.graph import GraphPane
from tests.support.tui import FakeClient, edge, graph, node
from tests.support.tui_app import NARROW, WIDE, World, world
from tests.tui.scenes.dag import DEFERRED, EDGES, NODES, ROOT, ROOTS, SCAN, lists

Act = Callable[[World, Pilot[Any]], Awaitable[None]]


def drive(act: Act, *, size: tuple[int, int] = WIDE, **given: Any) -> None:
    async def run() -> None:
        made = world(given.pop("routes", lists), tab="dag", **given)
        async with made.app.run_test(size=size, notifications=True) as pilot:
            await made.settle(pilot)
            await made.tick(pilot)
            await act(made, pilot)

    asyncio.run(run())


def shown(made: World) -> GraphPane:
    found = made.app.visible_pane
    assert isinstance(found, GraphPane)
    return found


def picture(made: World) -> str:
    drawing = shown(made)._canvas.drawing
    return "\n".join(plain(drawing.line(y)) for y in range(drawing.height))


def wide_graph(count: int) -> Callable[[FakeClient], None]:
    def routes(client: FakeClient) -> None:
        lists(client)
        nodes = [node(ROOT, type="fan.out"), *(node(f"part-{place:02}", 1, place) for place in range(count))]
        edges = [edge(ROOT, f"part-{place:02}") for place in range(count)]
        client.route("GET", f"/dag/{ROOT}/graph", graph(ROOT, nodes, edges))

    return routes


def test_both_lists_and_their_requests() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        pane = made.app.visible_pane
        assert isinstance(pane, DagPane)
        assert pane.table.keys == [one["id"] for one in ROOTS]
        assert "✓3 ►2 ✗1 ◌3 ▰▰▰▱▱▱▱▱" in pane.table.row(ROOT).cells["jobs"].text  # type: ignore[union-attr]
        asked = next(one for one in made.client.asked if one.path == "/api/v1/dag/roots")
        assert asked.params["rollup"] == "true"
        await made.press(pilot, "right_square_bracket")
        assert pane.table.keys == [one["id"] for one in DEFERRED]
        assert pane._title.plain.startswith("roots 5  [deferred 14]")
        row = pane.table.row(DEFERRED[0]["id"])
        assert row is not None
        assert row.cells["waits"].text == "01943c77…8f3a2a91c +1"
        await made.press(pilot, "left_square_bracket")
        assert pane.section == "roots"

    drive(act)


def test_arrows_select_and_enter_opens_the_job() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter", "down", "right")
        assert shown(made).selected == SCAN
        assert (
            "holds back 3: import.publish, notify.customer, import.cleanup" in shown(made)._panel_text.plain
        )
        await made.press(pilot, "h", "l", "k")
        assert shown(made).selected == ROOT
        await made.press(pilot, "enter")
        assert made.app.visible_pane is not None
        assert made.app.visible_pane.name_of_view == "job"
        assert f"/api/v1/jobs/{ROOT}" in [one.path for one in made.client.asked]
        await made.press(pilot, "escape")
        assert shown(made).selected == ROOT

    drive(act)


@pytest.mark.fault(20)
def test_the_graph_is_fetched_again_while_it_is_open_and_the_selection_stays() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter", "down", "right")
        before = made.client.count(f"/dag/{ROOT}/graph")
        ended = [{**one, "status": "completed"} if one["id"] == "thumb-7" else one for one in NODES]
        more = [*ended, node("extra-7", 1, 4, type="extra")]
        made.client.route("GET", f"/dag/{ROOT}/graph", graph(ROOT, more, [*EDGES, edge(ROOT, "extra-7")]))
        await made.tick(pilot)
        assert made.client.count(f"/dag/{ROOT}/graph") == before + 1
        assert shown(made).selected == SCAN
        assert "extra" in picture(made)
        assert "10 jobs · ►1 ✗1 ◌3" in shown(made)._title.plain

    drive(act)


@pytest.mark.fault(21)
def test_the_canvas_pans_with_the_selection() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter", "down")
        canvas = shown(made)._canvas
        for _ in range(12):
            await made.press(pilot, "right")
        spot = canvas.drawing.spot(shown(made).selected)
        assert spot is not None
        left = canvas.scroll_offset.x
        assert left <= spot.x
        assert spot.x + spot.width <= left + canvas.size.width
        for _ in range(24):
            await made.press(pilot, "left")
        assert canvas.scroll_offset.x < left
        await made.press(pilot, "z")

    drive(act, routes=wide_graph(24))


@pytest.mark.fault(21)
def test_tree_and_boxes_switch_both_ways_and_keep_the_selection() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter", "down", "right", "t")
        assert "⧉ also under parse" in picture(made)
        assert shown(made).selected == SCAN
        assert shown(made).crumb == "import.run › tree"
        await made.press(pilot, "right")
        assert shown(made).selected == "publish-7"
        await made.press(pilot, "left", "t")
        assert "┏━ clam.scan" in picture(made)

    drive(act)


@pytest.mark.fault(21)
def test_more_than_thirty_jobs_are_a_tree_first_and_boxes_when_wanted() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter")
        assert shown(made).shows_tree
        await made.press(pilot, "t")
        assert "part-30" in picture(made)
        assert "╔" in picture(made) or "┏" in picture(made)

    drive(act, routes=wide_graph(31))


@pytest.mark.fault(21)
def test_a_job_whose_parents_are_outside_still_appears() -> None:
    def routes(client: FakeClient) -> None:
        lists(client)
        alone = [node(ROOT, type="import.run"), node("lost", 0, 1, type="lost.child", hidden_parents=2)]
        client.route("GET", f"/dag/{ROOT}/graph", graph(ROOT, alone, [], truncated=True, hidden=2))

    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter")
        assert "lost.child" in picture(made)
        assert "2 ╌╌┐" in picture(made)
        assert "2 not shown" in shown(made)._title.plain
        await made.press(pilot, "t")
        assert "╌ 2 parents not shown" in picture(made)

    drive(act, routes=routes)


def test_the_critical_path_is_marked_and_named() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter", "c")
        assert "» import.run" in picture(made)
        assert "critical 54.00s" in shown(made)._title.plain
        assert "import.run 12.00s › thumbnail 42.00s" in shown(made)._panel_text.plain
        await made.press(pilot, "c")
        assert "»" not in picture(made)

    drive(act)


@pytest.mark.fault(17)
def test_retry_is_offered_where_the_server_takes_it() -> None:
    def routes(client: FakeClient) -> None:
        lists(client)
        client.route("POST", f"/jobs/{SCAN}/retry", {"job_id": SCAN, "status": "ready"})

    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter", "r")
        assert made.client.written == []
        assert any("cannot be retried" in note.message for note in made.app._notifications)
        await made.press(pilot, "down", "right", "r", "y")
        assert [one.path for one in made.client.written] == [f"/api/v1/jobs/{SCAN}/retry"]

    drive(act, routes=routes)


def test_a_viewer_cannot_retry() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter", "down", "right", "r")
        assert made.client.written == []
        assert any("needs admin" in note.message for note in made.app._notifications)

    drive(act, role="viewer")


@pytest.mark.fault(28)
def test_a_graph_that_is_gone_stays_open_and_says_so() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter")
        gone = ApiError(Kind.NOT_FOUND, 404, "NOT_FOUND", "there is no such job")
        made.client.route("GET", f"/dag/{ROOT}/graph", gone)
        await made.tick(pilot)
        assert "gone" in shown(made)._title.plain
        assert "import.run" in picture(made)

    drive(act)


def test_a_job_that_was_never_there_is_told() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.app.doors.graph("nobody")
        await made.settle(pilot)
        await made.tick(pilot)
        assert "There is no job nobody." in shown(made)._state.plain

    drive(act)


def test_a_click_selects_and_a_second_one_opens() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter")
        canvas = shown(made)._canvas
        spot = canvas.drawing.spot("parse-7")
        assert spot is not None
        at = (spot.x + 4 - canvas.scroll_offset.x, spot.y + 1 - canvas.scroll_offset.y)
        await pilot.click(canvas, offset=at)
        await made.settle(pilot)
        assert shown(made).selected == "parse-7"
        await pilot.click(canvas, offset=at)
        await made.settle(pilot)
        assert made.app.visible_pane is not None
        assert made.app.visible_pane.name_of_view == "job"

    drive(act)


def test_a_narrow_terminal_tells_of_the_job_in_one_line() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter", "down", "right")
        text = shown(made)._panel_text.plain
        assert text.startswith("── clam.scan ✗ DLQ 5/5 · OSError: clamd refused")
        assert not shown(made)._panel.display

    drive(act, size=NARROW)


def test_a_frozen_graph_stands_still() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter", "f")
        before = picture(made)
        await made.tick(pilot, 30.0)
        assert picture(made) == before
        await made.press(pilot, "f")
        assert picture(made) != before

    drive(act)


def test_the_id_of_the_selected_job_is_copied() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter", "y")
        assert made.app.clipboard == ROOT

    drive(act)
