"""Going back in time while the picture is held: the memory of it, its bounds, and what the screen shows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot

from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.model import Job, Meta, Queue
from gqm_tui.core.rewind import MOST_BYTES, SPAN_S, History, Past
from gqm_tui.core.store import PaneState, View
from gqm_tui.screens.panes.table_pane import TablePane
from tests.support.tui import FakeClient, job, job_detail, listed, queue
from tests.support.tui_app import WIDE, World, world

# The memory.


def queues(*ready: int) -> list[Queue]:
    names = (f"q{at}" for at in range(len(ready)))
    return [
        msgspec.convert(queue(name, ready=count), Queue) for name, count in zip(names, ready, strict=True)
    ]


def view_of(kind: Any = list[Queue]) -> View:
    view = View("a", "queues")
    view.add("main", kind)
    return view


def put(view: View, value: object, now: float) -> None:
    view.put("main", value, Meta(server_time=1_000.0 + now), now, 0.0, 0.0)


def test_moments_come_in_order_and_end_on_both_sides() -> None:
    history, view = History(), view_of()
    for now in (10.0, 11.0, 12.0):
        put(view, queues(int(now)), now)
        history.note(view, now)
    assert history.step(13.0, 1) is None
    latest = history.step(13.0, 0)
    assert latest is not None
    assert latest.at == 12.0
    earlier = history.step(12.0, -1)
    assert earlier is not None
    assert earlier.server_time == 1_011.0
    first = history.step(11.0, -1)
    assert first is not None
    assert history.step(first.at, -1) is None
    assert history.step(5.0, -1) is None
    assert history.step(5.0, 1) is first


def test_a_past_view_has_the_values_and_the_clock_of_its_moment() -> None:
    history, view = History(), view_of()
    put(view, queues(1), 10.0)
    history.note(view, 10.0)
    put(view, queues(2), 20.0)
    view.fail("main", ApiError(Kind.REFUSED, text="away"))
    moment = history.step(10.0, 0)
    assert moment is not None
    past = Past(view, moment)
    (known,) = past.value("main", list[Queue]) or []
    assert known.ready == 1
    assert past.server_now(500.0) == 1_010.0
    assert past.age(500.0) == 0.0
    assert past.error() is None
    assert past.state(500.0, 1.0, 1, 1, frozen=True) is PaneState.FROZEN
    assert past.tag == view.tag


def test_five_minutes_are_held_and_no_more() -> None:
    history, view = History(), view_of()
    for second in range(1_000):
        put(view, queues(second), float(second))
        history.note(view, float(second))
    assert len(history) == SPAN_S + 1


def test_errors_and_replies_of_one_round_make_no_moment_of_their_own() -> None:
    history, view = History(), view_of()
    view.add("more", list[Queue])
    put(view, queues(1), 10.0)
    history.note(view, 10.0)
    view.put("more", queues(5), Meta(server_time=1.0), 10.2, 0.0, 0.0)
    history.note(view, 10.2)
    view.fail("main", ApiError(Kind.REFUSED, text="away"))
    history.note(view, 11.0)
    assert len(history) == 1
    moment = history.step(10.0, 0)
    assert moment is not None
    assert moment.parts.keys() == {"main", "more"}


def test_what_did_not_change_is_held_once() -> None:
    history, view = History(), view_of()
    put(view, queues(1, 2, 3), 1.0)
    history.note(view, 1.0)
    put(view, queues(1, 9, 3), 2.0)
    history.note(view, 2.0)
    before, after = history.step(1.0, 0), history.step(2.0, 0)
    assert before is not None
    assert after is not None
    old, new = before.parts["main"].value, after.parts["main"].value
    assert isinstance(old, list)
    assert isinstance(new, list)
    assert [one is other for one, other in zip(old, new, strict=True)] == [True, False, True]
    assert after.size < before.size


def test_large_objects_that_change_are_held_for_less_long() -> None:
    history, view = History(), view_of(Job)
    for second in range(50):
        whole = job_detail("j1", payload={"text": "x" * (1 << 20)}, last_heartbeat=second)
        put(view, msgspec.json.decode(msgspec.json.encode(whole), type=Job), float(second))
        history.note(view, float(second))
    assert 1 <= len(history) <= MOST_BYTES / (1 << 20)
    assert history.step(49.0, 0) is not None


# The screen.


def routes(client: FakeClient) -> None:
    def counted(_params: Any, _body: Any) -> Any:
        return [queue("billing", ready=int(client.clock.now)), queue("emails", ready=5)]

    client.route("GET", "/queues", counted)
    client.route("GET", "/stats/minutes", [])
    client.route("GET", "/queues/billing", {**queue("billing"), "by_type": []})
    client.route("GET", "/jobs", [job("j1"), job("j2")])


def drive(act: Callable[[World, Pilot[Any]], Awaitable[None]], **given: Any) -> None:
    async def run() -> None:
        made = world(given.pop("routes", routes), **given)
        async with made.app.run_test(size=WIDE, notifications=True) as pilot:
            await made.settle(pilot)
            for _ in range(5):
                await made.tick(pilot)
            await act(made, pilot)

    asyncio.run(run())


def shown(made: World) -> str:
    return "\n".join(
        "".join(segment.text for segment in strip) for strip in made.app.screen._compositor.render_strips()
    )


def ready(made: World) -> str:
    pane = made.app.visible_pane
    assert isinstance(pane, TablePane)
    row = pane.table.row("billing")
    assert row is not None
    return row.cells["ready"].text.rstrip("↑↓")


def toasts(made: World) -> list[str]:
    return [note.message for note in made.app._notifications]


def test_a_frozen_screen_goes_back_and_forth_and_catches_up() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert ready(made) == "1,005"
        await made.press(pilot, "f")
        await made.tick(pilot)
        await made.tick(pilot)
        assert ready(made) == "1,005"
        assert "FROZEN prod-eu · shows 12:00:08Z, 2s ago" in shown(made)
        await made.press(pilot, "ctrl+left")
        assert ready(made) == "1,004"
        assert "shows 12:00:07Z, 3s ago" in shown(made)
        await made.press(pilot, "ctrl+left", "ctrl+left")
        assert ready(made) == "1,002"
        # Time goes on and the moment stays.
        await made.tick(pilot)
        assert ready(made) == "1,002"
        assert "shows 12:00:05Z, 6s ago" in shown(made)
        await made.press(pilot, "ctrl+right")
        assert ready(made) == "1,003"
        await made.press(pilot, *["ctrl+left"] * 9)
        assert ready(made) == "1,000"
        assert toasts(made)[-1] == "nothing older is held"
        await made.press(pilot, "f")
        assert ready(made) == "1,008"
        assert "shows" not in shown(made)
        assert "LIVE" in shown(made)

    drive(act)


def test_what_came_while_the_screen_stood_still_can_be_stepped_through() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "f")
        await made.tick(pilot)
        await made.tick(pilot)
        await made.press(pilot, "ctrl+right", "ctrl+right")
        assert ready(made) == "1,007"
        await made.press(pilot, "ctrl+right")
        assert toasts(made)[-1] == "nothing newer is held"

    drive(act)


def test_the_keys_do_nothing_to_a_screen_that_goes_on() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "ctrl+left")
        assert toasts(made)[-1] == "freeze first; then the keys go back in time and forth"
        await made.tick(pilot)
        assert ready(made) == "1,006"

    drive(act)


def test_nothing_is_changed_by_the_look_of_the_past() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "f", "ctrl+left", "p")
        assert made.client.written == []
        assert toasts(made)[-1] == "this is how it was; unfreeze first"
        assert "p Pause" not in shown(made)
        await made.press(pilot, "f")
        assert "p Pause" in shown(made)

    drive(act)


@pytest.mark.fault(1)
def test_an_outage_is_told_whatever_moment_is_shown() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "f", "ctrl+left")
        made.client.down = ApiError(Kind.REFUSED, text="127.0.0.1:8080: connection refused")
        await made.tick(pilot)
        await made.tick(pilot)
        assert "DOWN prod-eu" in shown(made)
        assert made.app.locked == "the server is away; nothing can be changed now"
        assert ready(made) == "1,004"

    drive(act)


@pytest.mark.fault(15)
def test_another_page_is_not_held_back_by_the_rows_of_the_one_before() -> None:
    def many(client: FakeClient) -> None:
        routes(client)

        def page(params: Any, _body: Any) -> Any:
            return listed([job(f"j{params['page']}")], total=150, page=int(params["page"]))

        client.route("GET", "/jobs", page)

    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter")
        await made.tick(pilot)
        await made.press(pilot, "f", "n")
        await made.tick(pilot)
        pane = made.app.visible_pane
        assert isinstance(pane, TablePane)
        assert pane.table.keys == ["j2"]

    drive(act, routes=many)


def test_a_pane_that_comes_into_sight_again_shows_now() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "f", "ctrl+left", "ctrl+left", "enter", "escape")
        await made.tick(pilot)
        pane = made.app.visible_pane
        assert pane is not None
        assert pane.moment is None
        await made.press(pilot, "f")
        assert ready(made) == "1,006"

    drive(act)


def test_the_rules_of_the_overview_are_not_fed_with_the_past() -> None:
    def stale(client: FakeClient) -> None:
        def waiting(_params: Any, _body: Any) -> Any:
            age = 900_000 if client.clock.now < 1_003 else 1_000
            return [queue("billing", ready=7, oldest_age_ms=age)]

        client.route("GET", "/queues", waiting)
        for name in ("servers", "workers", "cron"):
            client.route("GET", f"/{name}", [])

    async def act(made: World, pilot: Pilot[Any]) -> None:
        pane = made.app.visible_pane
        assert pane is not None
        table = pane.query_one("LiveTable")
        now = [str(key) for key in getattr(table, "keys", ())]
        assert not any("oldest" in key for key in now)
        await made.press(pilot, "f", "ctrl+left", "ctrl+left", "ctrl+left")
        then = [str(key) for key in getattr(table, "keys", ())]
        assert any("oldest" in key for key in then)
        await made.press(pilot, "f")
        assert [str(key) for key in getattr(table, "keys", ())] == now

    drive(act, routes=stale, tab="overview")
