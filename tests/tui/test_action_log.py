"""The action log: what was done from here, how to do it again, and what the server's audit holds."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot

from gqm_tui.core.actionlog import Entry
from gqm_tui.core.actions import Action, Plan, cron_plan, filter_plan, job_filter, job_plan, queue_plan
from gqm_tui.core.credentials import KeySource
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.logrows import mine_row, place_of, short_path
from gqm_tui.core.model import CronEntry, Job, Queue
from gqm_tui.core.signs import Signs
from gqm_tui.outside import Outside, Tools
from gqm_tui.screens.panes.action_log import ActionLogPane
from gqm_tui.screens.panes.cron_history import CronHistoryPane
from gqm_tui.screens.panes.job import JobPane
from gqm_tui.screens.panes.jobs import JobsPane
from tests.support.tui import FakeClient, audit, cron, job, listed, queue
from tests.support.tui_app import NARROW, WIDE, World, world
from tests.tui.scenes.action_log import JOB, done, perform
from tests.tui.scenes.action_log import routes as log_routes

QUEUE = msgspec.convert(queue("emails"), Queue)


def routes(client: FakeClient) -> None:
    log_routes(client)
    client.slow = {}
    client.route("POST", "/queues/emails/resume", {"queue": "emails", "status": "active", "changed": True})


def drive(
    act: Callable[[World, Pilot[Any]], Awaitable[None]], size: tuple[int, int] = WIDE, **given: Any
) -> None:
    async def run() -> None:
        made = world(given.pop("routes", routes), **given)
        async with made.app.run_test(size=size, notifications=True) as pilot:
            await made.settle(pilot)
            await made.tick(pilot)
            await act(made, pilot)

    asyncio.run(run())


def shown(made: World) -> str:
    return "\n".join(
        "".join(segment.text for segment in strip) for strip in made.app.screen._compositor.render_strips()
    )


def toasts(made: World) -> list[str]:
    return [note.message for note in made.app._notifications]


def in_sight(made: World) -> type[object]:
    return type(made.app.visible_pane)


def log(made: World) -> ActionLogPane:
    pane = made.app.visible_pane
    assert isinstance(pane, ActionLogPane)
    return pane


def test_what_was_done_is_listed_newest_first_and_nothing_is_asked_for_it() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await done(made, pilot)
        await made.press(pilot, "L")
        pane = log(made)
        assert pane.table.keys == ["1", "0"]
        assert "[mine 2]" in shown(made)
        asked = [one.path for one in made.client.asked]
        await made.tick(pilot, 4)
        await made.tick(pilot, 4)
        assert {one.path for one in made.client.asked[len(asked) :]} <= {"/api/v1/stats", "/auth/me"}
        assert "LIVE prod-eu" in shown(made)

    drive(act)


def test_the_bar_tells_of_an_outage_while_the_log_is_read() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await done(made, pilot)
        await made.press(pilot, "L")
        made.client.down = ApiError(Kind.REFUSED, text="127.0.0.1:8080: connection refused")
        await made.tick(pilot, 6)
        await made.tick(pilot, 60)
        assert "DOWN prod-eu · refused · retry" in shown(made)
        assert "pause emails" in shown(made)

    drive(act)


def test_the_bar_stays_live_however_long_the_log_is_read() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "L")
        for _ in range(40):
            await made.tick(pilot)
            assert "LIVE" in shown(made).splitlines()[0]

    drive(act)


def test_what_is_done_meanwhile_appears_at_once_and_the_log_opens_only_once() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "L")
        assert "Nothing was changed from here yet." in shown(made)
        assert "Copy as curl" not in shown(made)
        assert "enter Open" not in shown(made)
        made.app.perform(queue_plan(Action.PAUSE, QUEUE))
        await made.settle(pilot)
        assert "pause emails" in shown(made)
        depth = len(made.app.screen_stack)
        await made.press(pilot, "L")
        assert len(made.app.screen_stack) == depth
        await made.press(pilot, "escape")
        assert len(made.app.screen_stack) == depth - 1

    drive(act)


def test_a_command_is_copied_that_holds_no_key() -> None:
    copied: list[str] = []

    def take(text: str) -> bool:
        copied.append(text)
        return True

    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.app.outside = Outside(made.app, Tools(clipboard=take))
        made.app.perform(queue_plan(Action.PAUSE, QUEUE))
        await made.settle(pilot)
        await made.press(pilot, "L", "y")
        (text,) = copied
        assert "gqm_secret" not in text
        words = shlex.split(text)
        assert words[:4] == ["curl", "-sS", "-X", "POST"]
        assert "X-API-Key: $GQM_API_KEY" in words
        assert words[-1] == "https://q.example:8080/api/v1/queues/emails/pause"

    drive(act, context={"key": KeySource(given="gqm_secret")})


def test_the_action_under_the_cursor_is_taken_back_and_no_other() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.app.perform(queue_plan(Action.PAUSE, QUEUE))
        await made.settle(pilot)
        one = msgspec.convert(job(JOB, status="dead_letter"), Job)
        await perform(made, pilot, job_plan(Action.RETRY, one), 0.0, "y")
        await made.press(pilot, "L", "u")
        assert toasts(made)[-1] == "this cannot be taken back"
        await made.press(pilot, "j", "u")
        assert made.client.written[-1].path == "/api/v1/queues/emails/resume"
        assert next(iter(made.app.acting.log)).target == "resume emails"
        # Taken back once, it is not offered again.
        assert shown(made).count("u Undo") == 1
        written = len(made.client.written)
        await made.press(pilot, "j", "u")
        assert len(made.client.written) == written

    drive(act)


def test_rows_are_filtered_and_sorted() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await done(made, pilot)
        await made.press(pilot, "L", "slash", *"result:failed", "enter")
        assert log(made).table.keys == ["0"]
        await made.press(pilot, "escape", "S")
        assert log(made).table.keys == ["0", "1"]

    drive(act)


def test_enter_opens_what_it_was_done_to() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await done(made, pilot)
        await made.press(pilot, "L", "enter")
        assert in_sight(made) is JobsPane
        await made.press(pilot, "escape", "j", "enter")
        assert in_sight(made) is JobPane

    drive(act)


def test_the_audit_is_the_servers_own_page_with_its_filter() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "L", "right_square_bracket")
        asked = made.client.asked[-1]
        assert (asked.path, dict(asked.params)) == ("/api/v1/audit", {"page": "1", "limit": "100"})
        assert log(made).table.keys == ["9-0", "8-0", "7-0", "6-0", "5-0"]
        assert "[server audit]" in shown(made)
        await made.tick(pilot, 4.5)
        assert made.client.count("/audit") == 1
        await made.tick(pilot, 1)
        assert made.client.count("/audit") == 2
        assert "LIVE" in shown(made)
        await made.press(pilot, "slash", *"actor:ana", "enter")
        assert made.client.asked[-1].params["actor"] == "ana"
        await made.press(pilot, "escape", "G", "enter")
        assert in_sight(made) is CronHistoryPane

    drive(act)


def test_later_pages_of_the_audit_look_at_the_list_as_it_was() -> None:
    def many(client: FakeClient) -> None:
        routes(client)

        def page(params: Any, _body: Any) -> Any:
            first = (int(params["page"]) - 1) * 100
            rows = [audit(id=f"{9_000 - n}-0") for n in range(first, min(250, first + 100))]
            return listed(rows, total=250, page=int(params["page"]))

        client.route("GET", "/audit", page)

    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "L", "right_square_bracket", "n", "n")
        params = made.client.asked[-1].params
        assert params["page"] == "3"
        assert "until" in params
        assert "201-250 of 250" in shown(made)

    drive(act, routes=many)


@pytest.mark.fault(17)
def test_a_viewer_reads_the_own_log_and_asks_for_no_audit() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "L", "right_square_bracket")
        assert toasts(made)[-1] == "needs admin (you are viewer apikey:ops)"
        assert made.client.count("/audit") == 0
        assert "server audit (admin)" in shown(made)

    drive(act, role="viewer")


def test_a_refused_audit_says_what_is_needed() -> None:
    def refusing(client: FakeClient) -> None:
        routes(client)
        client.route("GET", "/audit", ApiError(Kind.FORBIDDEN, 403, "FORBIDDEN", "this needs the role admin"))

    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "L", "right_square_bracket")
        await made.tick(pilot)
        assert "this needs the role admin" in shown(made)

    drive(act, routes=refusing, size=NARROW)


def entry(plan: Plan, **changes: Any) -> Entry:
    given = {"number": 3, "at": 0.0, "context": "a", "origin": "https://a", "result": "done", "status": 200}
    return Entry(**{**given, "plan": plan, "took_ms": 1.0, "text": "fine", **changes})


JOB_PLAN = job_plan(Action.RETRY, msgspec.convert(job("j 1/2"), Job))
CRON_PLAN = cron_plan(Action.TRIGGER, msgspec.json.decode(msgspec.json.encode(cron("tidy")), type=CronEntry))
MANY = filter_plan(Action.RETRY, job_filter(["dead_letter"], {}, 0.0), 3)


@pytest.mark.parametrize(
    ("plan", "place"),
    [
        (queue_plan(Action.PAUSE, msgspec.convert(queue("a/b c%?#é"), Queue)), ("queue", "a/b c%?#é")),
        (JOB_PLAN, ("job", "j 1/2")),
        (CRON_PLAN, ("cron", "tidy")),
        (MANY, None),
    ],
)
def test_an_action_leads_to_what_it_was_done_to(plan: Plan, place: Any) -> None:
    assert place_of(entry(plan)) == place


@pytest.mark.parametrize(
    ("changes", "sign", "said"),
    [
        ({}, "✓", "fine"),
        ({"text": "j 1/2 is ready again"}, "✓", "is ready again"),
        ({"undoable": True}, "✓", "u Undo"),
        ({"result": "failed", "text": "job is processing"}, "✗", "job is processing"),
        ({"result": "unknown", "status": 0}, "?", "fine"),
        ({"result": "stopped"}, "⊘", "fine"),
        ({"context": "b", "undoable": True}, "✓", "at b: fine"),
    ],
)
def test_a_row_says_how_it_ended(changes: Any, sign: str, said: str) -> None:
    cells = mine_row(entry(JOB_PLAN, **changes), "a", Signs(), narrow=False, local=False).cells
    assert cells["sign"].text == sign
    assert cells["text"].text == said
    assert cells["status"].text == ("·" if changes.get("status") == 0 else "200")


def test_ids_in_a_path_are_cut_and_words_are_not() -> None:
    assert short_path(f"/api/v1/jobs/{JOB}/retry") == "/api/v1/jobs/01943c77…/retry"
    assert short_path("/api/v1/queues/emails/pause") == "/api/v1/queues/emails/pause"
