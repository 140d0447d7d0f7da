"""What cannot be seen is told: a cursor that was scrolled away, and marks whose jobs had their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from gqm_tui.screens.panes.jobs import JobsPane
from gqm_tui.screens.panes.queues import QueuesPane
from tests.support.tui import NOW, FakeClient, queue
from tests.support.tui_app import NARROW, WIDE, World, world
from tests.tui.scenes import jobs
from tests.tui.scenes.queues import routes_for

Steps = Callable[[World, Pilot[Any]], Awaitable[None]]
MANY = [queue(f"queue-{number:02}", ready=100 - number) for number in range(60)]


def play(made: World, steps: Steps, size: tuple[int, int] = WIDE) -> None:
    """Start the app, let the first data in, and do the steps."""

    async def go() -> None:
        async with made.app.run_test(size=size, notifications=True) as pilot:
            await made.settle(pilot)
            await made.tick(pilot)
            await steps(made, pilot)

    asyncio.run(go())


def queues(made: World) -> QueuesPane:
    pane = made.app.visible_pane
    assert isinstance(pane, QueuesPane)
    return pane


def many(client: FakeClient) -> None:
    routes_for(MANY)(client)
    for item in MANY:
        done = {"queue": item["name"], "paused": True}
        client.route("POST", f"/queues/{item['name']}/pause", done)


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_the_title_names_a_cursor_that_was_scrolled_away(size: tuple[int, int]) -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        pane = queues(made)
        assert "cursor" not in pane._title.plain
        pane.table.scroll_to(y=30, animate=False)
        await made.settle(pilot)
        assert "cursor ↑ queue-00" in pane._title.plain
        await made.press(pilot, "G")
        assert "cursor" not in pane._title.plain
        pane.table.scroll_to(y=0, animate=False)
        await made.settle(pilot)
        assert "cursor ↓ queue-59" in pane._title.plain
        await made.press(pilot, "k")
        assert "cursor" not in pane._title.plain

    play(world(many), steps, size)


@pytest.mark.fault(14)
def test_a_row_that_moves_out_of_sight_keeps_the_cursor_and_is_named() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        pane = queues(made)
        routes_for([{**item, "ready": 0} if item["name"] == "queue-00" else item for item in MANY])(
            made.client
        )
        await made.tick(pilot)
        assert pane.table.cursor_key == "queue-00"
        assert pane.table.scroll_y == 0
        assert "cursor ↓ queue-00" in pane._title.plain

    play(world(many), steps)


@pytest.mark.fault(14)
def test_an_action_key_scrolls_to_the_row_that_it_acts_upon() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        pane = queues(made)
        pane.table.scroll_to(y=30, animate=False)
        await made.settle(pilot)
        await made.press(pilot, "p")
        assert not pane.table.cursor_out
        assert "cursor" not in pane._title.plain
        assert [one.path for one in made.client.written] == ["/api/v1/queues/queue-00/pause"]

    play(world(many), steps)


# -- marks


def dry_run(_params: Any, body: Any) -> Any:
    count = len(body["job_ids"])
    if body.get("dry_run"):
        return {
            "dry_run": True,
            "matched": count,
            "eligible": count,
            "skipped": {},
            "sample": [],
            "truncated": False,
            "as_of": NOW,
        }
    return {"succeeded": count, "failed": 0, "results": [], "next": None}


def writing(client: FakeClient) -> None:
    jobs.ok(client)
    client.route("POST", "/jobs/batch/delete", dry_run)
    client.route("POST", "/queues/billing/pause", {"queue": "billing", "paused": True})


async def open_and_mark(made: World, pilot: Pilot[Any]) -> JobsPane:
    await made.press(pilot, "enter")
    await made.tick(pilot)
    pane = made.app.visible_pane
    assert isinstance(pane, JobsPane)
    await made.press(pilot, "space", "space")
    assert len(pane.marks) == 2
    return pane


def test_marks_go_when_all_marked_jobs_had_their_turn() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        pane = await open_and_mark(made, pilot)
        await made.press(pilot, "d", "y")
        await made.settle(pilot)
        assert [one.body.get("dry_run") for one in made.client.written] == [True, None]
        assert not pane.marks
        assert "marked" not in made.app.visible_frame.keys.prefix  # type: ignore[union-attr]  # it is there

    play(world(writing), steps)


def test_marks_stay_when_it_was_not_done_or_something_else_was() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        pane = await open_and_mark(made, pilot)
        await made.press(pilot, "d", "escape")
        assert len(pane.marks) == 2
        await made.press(pilot, "p")
        await made.settle(pilot)
        assert len(pane.marks) == 2

    play(world(writing), steps)
