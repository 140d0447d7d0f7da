"""The Failed tab: the ring of queues, groups and jobs, and what its keys change."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot

from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.failures import Stop, moment, ring, ring_text, sample_lines, turned
from gqm_tui.core.model import Job, Queue
from gqm_tui.screens.panes.failed import FailedPane
from gqm_tui.widgets.key_bar import KeyBar
from tests.support.tui import NOW, FakeClient, job, job_detail, listed, queue
from tests.support.tui_app import WIDE, World, world
from tests.tui.scenes.failed import FLAT, GROUPS, JOBS, ok

Act = Callable[[World, Pilot[Any]], Awaitable[None]]


def drive(act: Act, *, size: tuple[int, int] = WIDE, **given: Any) -> None:
    async def run() -> None:
        made = world(given.pop("routes", ok), tab="failed", **given)
        async with made.app.run_test(size=size, notifications=True) as pilot:
            await made.settle(pilot)
            await made.tick(pilot)
            await act(made, pilot)

    asyncio.run(run())


def pane(made: World) -> FailedPane:
    found = made.app.visible_pane
    assert isinstance(found, FailedPane)
    return found


def title(made: World) -> str:
    return pane(made)._title.plain


def last(made: World, path: str) -> dict[str, str]:
    return dict(next(one.params for one in reversed(made.client.asked) if one.path == f"/api/v1{path}"))


def toasts(made: World) -> list[str]:
    return [note.message for note in made.app._notifications]


def dry_run(_params: Any, body: Any) -> Any:
    if body.get("dry_run"):
        return {
            "dry_run": True,
            "matched": 3,
            "eligible": 3,
            "skipped": {},
            "sample": [],
            "truncated": False,
            "as_of": NOW,
        }
    return {"succeeded": 3, "failed": 0, "results": [], "next": None}


def writing(client: FakeClient) -> None:
    ok(client)
    for verb in ("retry", "delete"):
        client.route("POST", f"/jobs/batch/{verb}", dry_run)
    client.route("POST", f"/jobs/{JOBS[0]['id']}/retry", {"job_id": JOBS[0]["id"], "status": "ready"})


# -- the ring


@pytest.mark.fault(26)
@pytest.mark.parametrize("keys", [("l", "h"), ("right", "left")])
def test_a_key_moves_one_queue_and_the_ring_has_no_end(keys: tuple[str, str]) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        onward, back = keys
        assert title(made).startswith("‹ all queues 418 › billing 391 · emails 27 · 5 groups · COUNT ↓")
        for wanted in ("billing", "emails", None, "billing"):
            await made.press(pilot, onward)
            assert pane(made).queue == wanted
        assert last(made, "/failed/groups")["queue"] == "billing"
        assert "all queues 418 ‹ billing 391 › emails 27" in title(made)
        await made.press(pilot, back, back)
        assert pane(made).queue == "emails"

    drive(act)


@pytest.mark.fault(26)
def test_a_key_moves_one_queue_also_where_the_table_can_scroll_sideways() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        table = pane(made).table
        table.styles.overflow_x = "auto"
        next(iter(table.columns.values())).width = 300
        table._require_update_dimensions = True
        table.refresh(layout=True)
        await made.settle(pilot)
        await made.press(pilot, "right")
        assert pane(made).queue == "billing"
        await made.press(pilot, "left")
        assert pane(made).queue is None
        assert table.scroll_x == 0

    drive(act)


@pytest.mark.fault(15)
def test_the_old_rows_leave_at_once_and_a_late_reply_is_dropped() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        gate = made.client.hold("/failed/groups")
        await made.press(pilot, "l")
        assert pane(made).table.keys == []
        await made.press(pilot, "l")
        gate.set()
        await made.settle(pilot)
        assert pane(made).queue == "emails"
        assert last(made, "/failed/groups")["queue"] == "emails"
        assert len(pane(made).table.keys) == len(GROUPS)

    drive(act)


def test_the_ring_has_queues_with_failures_and_the_chosen_one() -> None:
    queues = [msgspec.convert(queue(name, dead_letter=count), Queue) for name, count in (("b", 2), ("a", 0))]
    assert ring(queues, "dead_letter", None) == [Stop(None, 2), Stop("b", 2)]
    assert ring(queues, "dead_letter", "a") == [Stop(None, 2), Stop("a", 0), Stop("b", 2)]
    assert ring(queues, "failed", None) == [Stop(None), Stop("a"), Stop("b")]
    assert turned([Stop(None), Stop("b")], "gone", 1) == "b"


def test_a_ring_that_has_no_room_shows_what_is_around_the_chosen_queue() -> None:
    stops = [Stop(None, 60), *(Stop(f"queue-{place:02}", place) for place in range(1, 30))]
    text = ring_text(stops, "queue-15", 60, narrow=False)
    assert len(text) <= 60
    assert "‹ queue-15 15 ›" in text
    assert text.endswith("…")
    assert ring_text(stops[:3], "queue-01", 60, narrow=True) == "‹ queue-01 1 › queue-02 2"


def test_a_queue_with_a_comma_is_asked_for_as_one_and_shown_flat() -> None:
    def routes(client: FakeClient) -> None:
        ok(client)
        client.route("GET", "/queues", [queue("a,b", dead_letter=3), queue("c", dead_letter=1)])
        client.route("GET", "/queues/a%2Cb/jobs", [JOBS[0]])

    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "l")
        assert pane(made).queue == "a,b"
        assert pane(made).table.keys == [JOBS[0]["id"]]
        await made.press(pilot, "l")
        assert pane(made).grouped

    drive(act, routes=routes)


# -- both views


def test_b_changes_the_view_and_enter_on_a_group_lists_its_jobs() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "b")
        assert not pane(made).grouped
        assert pane(made).table.keys == [one["id"] for one in JOBS]
        await made.press(pilot, "b", "enter")
        assert last(made, "/jobs")["fingerprint"] == GROUPS[0]["fingerprint"]
        assert title(made).startswith("Failed › TimeoutError: <n>s exceeded · newest first")
        await made.press(pilot, "escape")
        assert pane(made).grouped

    drive(act)


@pytest.mark.fault(8)
def test_one_request_sorted_by_the_server_lists_each_state() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        for wanted in ("dead_letter", "retry", "failed", "dead_letter"):
            asked = last(made, "/jobs")
            assert (asked["status"], asked["sort"], asked["order"]) == (wanted, "time", "desc")
            assert pane(made).status == wanted
            await made.press(pilot, "right_square_bracket")
        await made.press(pilot, "left_square_bracket")
        assert pane(made).status == "dead_letter"

    drive(act, settings=FLAT)


@pytest.mark.fault(7)
def test_a_job_that_fails_now_is_the_first_row_at_the_next_poll_and_the_cursor_stays() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "j")
        here = pane(made).table.cursor_key
        fresh = job("fresh", completed_at=int(NOW) + 2)
        made.client.route("GET", "/jobs", listed([fresh, *JOBS], total=419))
        await made.tick(pilot)
        assert pane(made).table.keys[0] == "fresh"
        assert pane(made).table.cursor_key == here

    drive(act, settings=FLAT)


def test_words_of_a_group_filter_mean_the_error_of_the_jobs_too() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "slash", *"Timeout", "enter")
        assert last(made, "/failed/groups")["error"] == "Timeout"
        await made.press(pilot, "b")
        assert last(made, "/jobs")["error"] == "Timeout"
        assert "q" not in last(made, "/jobs")

    drive(act)


def test_the_sample_of_the_group_under_the_cursor_is_told() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        shown = pane(made)._strip_text.plain
        assert "sample 01943c77…8f3a2a91c · 5/5 · fast@eu3-18231-7f3a ── enter 386 jobs" in shown
        assert "TimeoutError: 30s exceeded" in shown
        other = GROUPS[1]["sample_id"]
        made.client.route("GET", f"/jobs/{other}", job_detail(other, traceback="ConnectionError: redis-2"))
        await made.press(pilot, "j")
        await made.tick(pilot)
        assert "ConnectionError: redis-2" in pane(made)._strip_text.plain
        gone = ApiError(Kind.NOT_FOUND, 404, "NOT_FOUND", "no such job")
        made.client.route("GET", f"/jobs/{GROUPS[2]['sample_id']}", gone)
        await made.press(pilot, "j")
        await made.tick(pilot)
        assert "the sample is gone" in pane(made)._strip_text.plain

    drive(act)


def test_the_end_of_a_traceback_is_made_safe() -> None:
    one = msgspec.convert(job(traceback="a\n\n\tb\x1b[31m\nc\n"), Job)
    assert sample_lines(one, 2, 40) == ["    b␛[31m", "c"]
    assert sample_lines(None, 2, 40) == []


def test_a_moment_of_another_day_is_told_by_its_day() -> None:
    assert moment(int(NOW) - 2, NOW) == "12:00:01"
    assert moment(int(NOW) - 100_000, NOW) == "11-23"


# -- changes


@pytest.mark.fault(16)
@pytest.mark.parametrize(("key", "verb"), [("r", "retry"), ("d", "delete")])
def test_a_group_is_changed_by_its_fingerprint(key: str, verb: str) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "l", key)
        await made.settle(pilot)
        asked = made.client.written[-1]
        assert asked.path == f"/api/v1/jobs/batch/{verb}"
        assert asked.body["dry_run"] is True
        assert asked.body["filter"] == {
            "status": ["dead_letter"],
            "queue": ["billing"],
            "fingerprint": GROUPS[0]["fingerprint"],
        }
        await made.press(pilot, "y")
        assert made.client.written[-1].body["filter"]["until"] == NOW

    drive(act, routes=writing)


@pytest.mark.fault(16)
def test_all_that_match_are_retried() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "R")
        assert made.client.written[-1].body["filter"] == {"status": ["dead_letter"]}

    drive(act, routes=writing)


def test_a_row_is_retried_by_its_id_and_marks_by_theirs() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "r", "y")
        assert made.client.written[-1].path == f"/api/v1/jobs/{JOBS[0]['id']}/retry"
        await made.press(pilot, "g", "space", "space", "d")
        assert made.client.written[-1].body["job_ids"] == [JOBS[0]["id"], JOBS[1]["id"]]

    drive(act, routes=writing, settings=FLAT)


def test_all_matching_jobs_of_a_queue_are_deleted_by_filter() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "l", "a")
        assert made.app.screen.query_one(KeyBar).prefix == "all 391 matching"
        await made.press(pilot, "d")
        assert made.client.written[-1].body["filter"] == {"status": ["dead_letter"], "queue": ["billing"]}

    drive(act, routes=writing, settings=FLAT)


@pytest.mark.fault(17)
@pytest.mark.parametrize("key", ["r", "R", "d"])
def test_a_viewer_changes_nothing_and_is_told_why(key: str) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, key)
        assert made.client.written == []
        assert any("needs admin" in text for text in toasts(made))
        assert "Retry" not in [label for _, _, label in made.app.screen.query_one(KeyBar).offered()]

    drive(act, routes=writing, role="viewer")


def test_what_waits_for_a_retry_runs_now() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "right_square_bracket")
        assert title(made).startswith("retry ‹ all queues 44 ›")
        assert "Run now" in [label for _, _, label in made.app.screen.query_one(KeyBar).offered()]

    drive(act, routes=writing, settings=FLAT)


def test_a_filter_that_names_the_queue_and_the_ring_do_not_contradict_each_other() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "slash", *"queue:emails", "enter")
        assert last(made, "/failed/groups")["queue"] == "emails"
        await made.press(pilot, "l")
        assert pane(made).queue is None
        assert any("esc clears it" in text for text in toasts(made))
        await made.press(pilot, "escape", "l", "slash", *"queue:emails", "enter")
        assert last(made, "/failed/groups")["queue"] == "billing"

    drive(act)
