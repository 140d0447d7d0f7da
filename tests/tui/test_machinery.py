"""Workers, Cron and Servers from the outside: every key, every clock, every loss."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from textual.pilot import Pilot

from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.model import CronEntry, Server
from gqm_tui.screens.confirm import ConfirmScreen
from gqm_tui.screens.panes.base import Pane
from gqm_tui.screens.panes.cron import CronPane, until
from gqm_tui.screens.panes.cron_history import CronHistoryPane
from gqm_tui.screens.panes.servers import common_version, skew_text
from gqm_tui.screens.panes.table_pane import TablePane
from gqm_tui.screens.panes.worker import WorkerPane
from gqm_tui.screens.panes.workers import WorkersPane, beat_rank
from tests.support.tui import NOW, FakeClient, cron, listed, runtime, server, worker
from tests.support.tui_app import WIDE, World, world
from tests.tui.scenes import machinery

GONE = ApiError(Kind.NOT_FOUND, 404, "NOT_FOUND", "worker not found")


def routes(client: FakeClient) -> None:
    machinery.one_worker(client)
    machinery.history(client)
    machinery.servers(client)
    client.route("GET", "/queues", [])
    client.route("GET", "/stats/minutes", [])
    client.route("POST", "/cron/sync-crm/trigger", {"cron_id": "sync-crm", "job_id": "j-77"})
    for action, enabled in (("enable", True), ("disable", False)):
        client.route(
            "POST",
            f"/cron/sync-crm/{action}",
            {"cron_id": "sync-crm", "enabled": enabled, "changed": True, "next_run": None},
        )
    client.route("DELETE", "/cron/old-cleanup", {"cron_id": "old-cleanup", "deleted": True})
    client.route(
        "POST",
        "/jobs/01943c77-1d2e-7aa0-9b61-7788f3a2a91c/cancel",
        {"job_id": "01943c77-1d2e-7aa0-9b61-7788f3a2a91c", "status": "canceled", "was": "processing"},
    )


def drive(act: Callable[[World, Pilot[Any]], Awaitable[None]], tab: str, **given: Any) -> None:
    async def run() -> None:
        made = world(given.pop("routes", routes), tab=tab, **given)
        async with made.app.run_test(size=WIDE, notifications=True) as pilot:
            await made.settle(pilot)
            await made.tick(pilot)
            await act(made, pilot)

    asyncio.run(run())


def pane(made: World) -> TablePane:
    shown: Pane | None = made.app.visible_pane
    assert isinstance(shown, TablePane)
    return shown


def cell(made: World, key: str, column: str) -> str:
    row = pane(made).table.row(key)
    assert row is not None
    return row.cells[column].text


def toasts(made: World) -> list[str]:
    return [note.message for note in made.app._notifications]


def title(made: World) -> str:
    return pane(made)._title.plain


@pytest.mark.fault(11)
def test_slots_show_the_running_jobs() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert cell(made, machinery.STALE_ID, "slots").endswith(" 3/8")
        assert "5 of 6 alive · 17 of 30 slots busy" in title(made)

    drive(act, "workers")


@pytest.mark.fault(10)
def test_a_silent_worker_comes_first_and_is_told() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert pane(made).table.keys[0] == machinery.STALE_ID
        assert cell(made, machinery.STALE_ID, "state") == "! stale"
        assert cell(made, machinery.STALE_ID, "beat") == "13s"
        strip = pane(made)._strip_text.plain
        assert "no heartbeat for 13s, 3 jobs held" in strip
        assert "smtp.send 6m12s, over" in strip

    drive(act, "workers")


def test_live_workers_do_not_change_places_with_every_beat() -> None:
    assert beat_rank(0.2) == beat_rank(3.9) == 0.0
    assert beat_rank(12.4) == 10.0
    assert beat_rank(None) is None


def test_enter_opens_a_worker_and_x_cancels_its_job() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter")
        assert isinstance(pane(made), WorkerPane)
        asked = next(one for one in reversed(made.client.asked) if one.path == "/api/v1/jobs")
        assert dict(asked.params)["worker"] == machinery.STALE_ID
        assert dict(asked.params)["status"] == "processing"
        await made.press(pilot, "x")
        assert isinstance(made.app.screen, ConfirmScreen)
        await made.press(pilot, "y")
        assert made.client.written[-1].path.endswith("7788f3a2a91c/cancel")
        await made.press(pilot, "escape")
        assert isinstance(pane(made), WorkersPane)

    drive(act, "workers")


def test_deadline_and_elapsed_follow_the_servers_clock() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter")
        assert cell(made, machinery.RUNNING[0]["id"], "deadline").endswith("over")
        assert cell(made, machinery.RUNNING[1]["id"], "elapsed") == "6s"
        assert cell(made, machinery.RUNNING[1]["id"], "deadline").endswith("10%")
        made.client.down = ApiError(Kind.REFUSED, text="connection refused")
        for _ in range(10):
            await made.tick(pilot)
        assert cell(made, machinery.RUNNING[1]["id"], "elapsed") == "16s"

    drive(act, "workers")


@pytest.mark.fault(28)
def test_a_worker_that_vanishes_stays_open_and_says_so() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter")
        made.client.route("GET", f"/workers/{quote(machinery.STALE_ID, safe='')}", GONE)
        made.client.route("GET", "/jobs", listed([], total=0))
        await made.tick(pilot)
        assert isinstance(pane(made), WorkerPane)
        assert "gone" in title(made)
        assert "This worker is gone." in pane(made)._state.plain

    drive(act, "workers")


@pytest.mark.fault(2)
def test_a_failing_cron_call_changes_nothing_on_workers() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.route("GET", "/cron", ApiError(Kind.UNAVAILABLE, 503, "REDIS_UNAVAILABLE", "away"))
        await made.press(pilot, "4")
        await made.tick(pilot)
        await made.press(pilot, "2")
        await made.tick(pilot)
        assert len(pane(made).table.keys) == 6
        assert "!" not in title(made)

    drive(act, "workers")


@pytest.mark.fault(12)
def test_cron_shows_words_and_times_for_five_and_six_fields() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert cell(made, "sync-crm", "meaning") == "every 5 minutes"
        assert cell(made, "rollup", "meaning") == "every 10 seconds"
        assert cell(made, "sync-crm", "next") == "1m56s"
        assert cell(made, "rollup", "next") == "-1m06s"
        assert cell(made, "nightly-report", "last") == "✗ missed"
        assert cell(made, "nightly-report", "type") == "report.build"
        await made.press(pilot, "j", "j")
        await made.tick(pilot)
        strip = pane(made)._strip_text.plain
        assert "queue reports · overlap skip · max_retry 3 · then 11-26 02:00:00Z" in strip

    drive(act, "cron")


LONG = {
    "cron_expr": "*/15 8-18 * * 1-5",
    "description": "every 15 minutes from 08:00 to 18:59, Monday to Friday",
    "timezone": "Europe/Stockholm",
}


@pytest.mark.parametrize(
    ("width", "changes", "told"),
    [
        (120, LONG, "skip · */15 8-18 * * 1-5 · Europe/Stockholm · every 15 minutes from 0"),
        (80, LONG, "skip · */15 8-18 * * 1-5 · Eur"),
        (80, {**LONG, "description": ""}, "skip · */15 8-18 * * 1-5 · Eur"),
        (80, {"timezone": "UTC"}, "overlap skip ──"),
    ],
)
def test_what_a_column_of_cron_cuts_is_told_below(width: int, changes: dict[str, Any], told: str) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await pilot.resize_terminal(width, 24)
        await made.settle(pilot)
        assert told in pane(made)._strip_text.plain

    def one(client: FakeClient) -> None:
        client.route("GET", "/cron", [cron(**changes)])
        client.route("GET", "/cron/nightly-report", cron(**changes))

    drive(act, "cron", routes=one)


def test_the_strip_is_as_wide_as_its_tab_from_the_first_moment_on() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        for key in ("2", "6", "1"):
            await made.press(pilot, key)
            strip = pane(made)._strip_text
            assert not strip.plain or strip.cell_len == WIDE[0] - 2

    drive(act, "cron")


def test_the_facts_of_a_worker_fit_its_line() -> None:
    queues = [f"a-queue-of-many-{number}" for number in range(9)]

    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter")
        await made.tick(pilot)
        told = pane(made)._told()
        assert len(told) <= WIDE[0] - 2
        assert "queues a-queue-of-many" in told
        assert told.endswith("abandoned ·")

    def many(client: FakeClient) -> None:
        routes(client)
        name = "fast@a-server-with-quite-a-long-name"
        client.route("GET", "/workers", [worker(name, queues=queues)])
        client.route("GET", f"/workers/{quote(name, safe='')}", worker(name, queues=queues, jobs=[]))

    drive(act, "workers", routes=many)


def test_cron_keys_do_what_they_say() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "j", "t")
        assert isinstance(made.app.screen, ConfirmScreen)
        await made.press(pilot, "y")
        assert "sync-crm triggered: job j-77" in toasts(made)
        await made.press(pilot, "e")
        assert made.client.written[-1].path.endswith("/cron/sync-crm/disable")
        await made.press(pilot, "u")
        assert made.client.written[-1].path.endswith("/cron/sync-crm/enable")
        await made.press(pilot, "enter")
        assert isinstance(pane(made), CronHistoryPane)
        assert cell(made, pane(made).table.keys[1], "by") == "manual"

    drive(act, "cron")


@pytest.mark.fault(17)
def test_only_an_orphaned_entry_can_be_deleted_and_it_never_fires() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "d")
        assert "only an orphaned entry can be deleted" in toasts(made)
        pane(made).table.move_to("old-cleanup")
        await made.settle(pilot)
        await made.tick(pilot)
        await made.press(pilot, "t", "e")
        assert made.client.written == []
        assert "old-cleanup is orphaned and never fires" in toasts(made)
        await made.press(pilot, "d", "y")
        assert made.client.written[-1].path.endswith("/cron/old-cleanup")

    drive(act, "cron")


def test_next_counts_down_between_polls_and_by_the_server() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.server_ahead = 100.0
        await made.tick(pilot)
        assert cell(made, "sync-crm", "next") == "15s"

    drive(act, "cron")


def test_a_disabled_entry_has_no_next_run() -> None:
    shown = msgspec.json.decode(msgspec.json.encode(cron(enabled=False)), type=CronEntry)
    assert until(shown, NOW).text == "·"


def test_servers_mark_the_odd_version_and_open_their_workers() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert cell(made, "eu3-18231-7f3a", "version") == "0.9.1 !"
        assert cell(made, "eu1-18002-c41e", "role") == "scheduler"
        assert "2 of 3 alive · 2 versions !" in title(made)
        assert "redis 7.2.5" in pane(made)._strip_text.plain
        await made.press(pilot, "enter")
        await made.tick(pilot)
        asked = next(one for one in reversed(made.client.asked) if one.path == "/api/v1/workers")
        assert dict(asked.params) == {"server_id": "eu1-18002-c41e"}
        assert title(made).startswith("Servers › eu1-18002-c41e")

    drive(act, "servers")


def test_skew_and_versions_in_words() -> None:
    assert skew_text(3) == "+3 ms"
    assert skew_text(-0.2) == "+0 ms"
    assert skew_text(-6_200) == "-6.2 s !"
    versions = {"s0": "1.0.0", "s1": "1.0.0", "s2": "0.9.1"}
    found = [msgspec.convert(server(name, version=version), Server) for name, version in versions.items()]
    assert common_version(found) == "1.0.0"


@pytest.mark.parametrize("tab", ["workers", "cron", "servers"])
def test_filter_narrows_and_esc_gives_all_back(tab: str) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        before = len(pane(made).table.keys)
        await made.press(pilot, "slash", *"legacy", "enter")
        after = len(pane(made).table.keys)
        assert after < before
        assert f"{after} of {before} match" in title(made)
        await made.press(pilot, "escape")
        assert len(pane(made).table.keys) == before

    drive(act, tab)


def test_a_hidden_tab_asks_for_nothing() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "6")
        before = made.client.count("/cron")
        for _ in range(5):
            await made.tick(pilot)
        assert made.client.count("/cron") == before
        assert made.client.count("/servers") > 4
        await made.press(pilot, "4")
        assert isinstance(pane(made), CronPane)
        assert made.app.focused is pane(made).table

    drive(act, "cron")


def test_an_old_peer_without_counts_is_told_as_unknown() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert cell(made, "legacy", "ahead") == "…"

    def old(client: FakeClient) -> None:
        client.route("GET", "/workers", [worker("legacy", ahead=None, isolation=None)])
        client.route("GET", "/stats/runtime", runtime())

    drive(act, "workers", routes=old)
