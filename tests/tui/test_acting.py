"""Changes from the screen: asked for the named thing, sent once, told in words, undone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot

from gqm_tui.core.actions import Action, filter_plan, job_filter, job_plan
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.model import Job
from gqm_tui.screens.confirm import ConfirmScreen
from tests.support.tui import FakeClient, job, queue
from tests.support.tui_app import WIDE, World, world

NOW = 1_790_000_000.0


def routes(client: FakeClient) -> None:
    client.route("GET", "/queues", [queue("billing"), queue("emails", paused=True)])
    client.route("GET", "/stats/minutes", [])
    client.route("POST", "/queues/billing/pause", {"queue": "billing", "status": "paused", "changed": True})
    client.route("POST", "/queues/billing/resume", {"queue": "billing", "status": "active", "changed": True})
    client.route("POST", "/jobs/j1/retry", {"job_id": "j1", "status": "ready"})


def drive(act: Callable[[World, Pilot[Any]], Awaitable[None]], **given: Any) -> None:
    async def run() -> None:
        made = world(given.pop("routes", routes), **given)
        async with made.app.run_test(size=WIDE, notifications=True) as pilot:
            await made.settle(pilot)
            await made.tick(pilot)
            made.app.query("LiveTable")
            await act(made, pilot)

    asyncio.run(run())


def toasts(made: World) -> list[str]:
    return [note.message for note in made.app._notifications]


def a_job(**changes: Any) -> Job:
    return msgspec.convert(job("j1", status="dead_letter", **changes), Job)


def batch(pages: int) -> Callable[[Any, Any], Any]:
    """Answer a dry run with 250 eligible jobs, then this many pages of a hundred."""

    def answer(_params: Any, body: Any) -> Any:
        if body.get("dry_run"):
            return {
                "dry_run": True,
                "matched": 253,
                "eligible": 250,
                "skipped": {"CONFLICT": 3},
                "sample": ["j1"],
                "truncated": False,
                "as_of": NOW,
            }
        page = int(body.get("cursor") or "1")
        results = [{"job_id": f"j{n}", "ok": True, "status": "ready"} for n in range(100)]
        return {
            "succeeded": 100,
            "failed": 0,
            "results": results,
            "next": str(page + 1) if page < pages else None,
        }

    return answer


def bulk_plan() -> Any:
    return filter_plan(Action.RETRY, job_filter(["dead_letter"], {}, NOW), 253)


def test_pause_runs_at_once_and_u_takes_it_back() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        table = made.app.visible_pane
        assert table is not None
        await made.press(pilot, "g", "p")
        assert [asked.path for asked in made.client.written] == ["/api/v1/queues/billing/pause"]
        assert "billing paused · u undoes it" in toasts(made)
        await made.press(pilot, "u")
        assert made.client.written[-1].path == "/api/v1/queues/billing/resume"
        await made.press(pilot, "u")
        assert "nothing to undo" in toasts(made)

    drive(act)


def test_in_production_even_a_pause_is_asked() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "p")
        assert isinstance(made.app.screen, ConfirmScreen)
        assert made.client.written == []
        await made.press(pilot, "y")
        assert len(made.client.written) == 1

    drive(act, context={"production": True})


def test_second_press_within_half_a_second_is_a_slip() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "p", "p")
        assert len(made.client.written) == 1
        await made.tick(pilot, 1)
        await made.press(pilot, "p")
        assert len(made.client.written) == 2

    drive(act)


def test_the_question_names_the_job_and_starts_on_cancel() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.app.perform(job_plan(Action.RETRY, a_job()))
        await made.settle(pilot)
        box = made.app.screen.query_one("#box")
        assert "j1" in str(box.border_title)
        assert made.app.focused is not None
        assert made.app.focused.id == "no"
        await made.press(pilot, "enter")
        assert made.client.written == []
        assert not isinstance(made.app.screen, ConfirmScreen)

    drive(act)


def test_a_dialog_takes_every_key_but_its_own_and_ctrl_c() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.app.perform(job_plan(Action.RETRY, a_job()))
        await made.settle(pilot)
        await made.press(pilot, "q", "2", "0", "question_mark", "r", "f")
        assert isinstance(made.app.screen, ConfirmScreen)
        assert made.app.tab == "queues"
        await pilot.press("ctrl+c")
        assert made.app.return_code == 0

    drive(act)


@pytest.mark.fault(28)
def test_a_dialog_stays_through_polls_and_an_outage() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.app.perform(job_plan(Action.RETRY, a_job()))
        await made.settle(pilot)
        made.client.down = ApiError(Kind.REFUSED, text="connection refused")
        for _ in range(8):
            await made.tick(pilot)
        assert isinstance(made.app.screen, ConfirmScreen)

    drive(act)


@pytest.mark.fault(18)
def test_a_conflict_is_told_in_one_sentence() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.route(
            "POST", "/jobs/j1/retry", ApiError(Kind.CONFLICT, 409, "CONFLICT", "job is\nprocessing")
        )
        made.app.perform(job_plan(Action.RETRY, a_job()))
        await made.settle(pilot)
        await made.press(pilot, "y")
        assert "job is processing" in toasts(made)
        assert [entry.result for entry in made.app.acting.log] == ["failed"]

    drive(act)


def test_no_answer_is_told_as_unknown_and_never_sent_again() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.route("POST", "/jobs/j1/retry", ApiError(Kind.TIMEOUT, text="no answer within 5 s"))
        made.app.perform(job_plan(Action.RETRY, a_job()))
        await made.settle(pilot)
        await made.press(pilot, "y")
        before = made.client.count("/queues")
        await made.tick(pilot)
        assert "outcome unknown: no answer within 5 s" in toasts(made)
        assert made.client.count("/jobs/j1/retry", "POST") == 1
        assert made.client.count("/queues") > before

    drive(act)


def test_a_large_bulk_action_is_typed_and_never_takes_more_than_was_confirmed() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.route("POST", "/jobs/batch/retry", batch(3))
        made.app.perform(bulk_plan())
        await made.settle(pilot)
        await made.press(pilot, "y", "2", "5", "enter")
        assert [asked.body.get("dry_run") for asked in made.client.written] == [True]
        await made.press(pilot, "0", "enter")
        await made.settle(pilot)
        sent = made.client.written[1:]
        assert [asked.body["filter"]["until"] for asked in sent] == [NOW] * 3
        assert [asked.body.get("cursor") for asked in sent] == [None, "2", "3"]
        assert "300 retried" in str(made.app.screen.query_one("#lines").content.columns[1]._cells[-1])

    drive(act)


def test_esc_stops_between_two_calls() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.route("POST", "/jobs/batch/retry", batch(9))
        made.app.perform(bulk_plan())
        await made.settle(pilot)
        gate = made.client.hold("/jobs/batch/retry")
        await made.press(pilot, "2", "5", "0", "enter", "escape")
        gate.set()
        await made.settle(pilot)
        assert made.client.count("/jobs/batch/retry", "POST") == 2  # the dry run, and one call
        (entry,) = made.app.acting.log
        assert (entry.result, entry.text) == ("stopped", "100 retried, then stopped")

    drive(act)


@pytest.mark.fault(17)
@pytest.mark.parametrize("given", [{"role": "viewer"}, {"context": {"read_only": True}}])
def test_who_may_not_sends_nothing_and_is_told_why(given: dict[str, Any]) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        frame = made.app.visible_frame
        assert frame is not None
        shown = [label for _, _, label in frame.keys.offered()]
        assert "Pause" not in shown
        await made.press(pilot, "p", "D")
        made.app.perform(job_plan(Action.RETRY, a_job()))
        await made.settle(pilot)
        assert made.client.written == []
        assert not isinstance(made.app.screen, ConfirmScreen)
        wanted = "needs admin (you are viewer" if "role" in given else "read-only"
        assert any(wanted in toast for toast in toasts(made))

    drive(act, **given)
