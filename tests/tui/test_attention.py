"""The key that walks from problem to problem: from every tab, with parts away, and never behind a back."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.model import Queue
from gqm_tui.screens.panes.failed import FailedPane
from gqm_tui.screens.panes.jobs import JobsPane
from tests.support.tui import FakeClient, listed, queue
from tests.support.tui_app import Scene, World
from tests.support.tui_screen import cursor, drive, pane, table, toasts
from tests.tui.scenes import overview

AWAY = ApiError(Kind.UNAVAILABLE, 503, "REDIS_UNAVAILABLE", "Redis is away")
WALK = [
    ("queues", "billing"),
    ("queues", "emails"),
    ("servers", "eu3-18231-7f3a"),
    ("cron", "rollup"),
    ("workers", "fast@eu1-18002-c41e"),
    ("servers", "eu3-18231-7f3a"),
    ("cron", "nightly-report"),
    ("cron", "old-cleanup"),
    ("queues", "billing"),
]


def lists(client: FakeClient) -> None:
    """Everything that a tab may ask for."""
    overview.busy(client)
    client.route("GET", "/failed/groups", listed([]))
    client.route("GET", "/dag/roots", listed([]))
    for item in overview.QUEUES:
        client.route("GET", f"/queues/{item['name']}", {**item, "by_type": []})


def calm(client: FakeClient) -> None:
    lists(client)
    overview.calm(client)


@pytest.mark.parametrize("tab", ["queues", "workers", "failed", "cron", "dag", "servers", "overview"])
def test_the_key_works_from_every_tab(tab: str) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "exclamation_mark")
        await made.tick(pilot)
        assert (made.app.tab, cursor(made)) == WALK[0]
        assert toasts(made) == ["billing: oldest 14m02s, limit 5m, not draining"]

    drive(Scene(lists, tab=tab), act)


def test_each_press_goes_one_problem_further_and_round() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        seen = []
        for _ in WALK:
            await made.press(pilot, "exclamation_mark")
            await made.tick(pilot)
            seen.append((made.app.tab, cursor(made)))
        assert seen == WALK

    drive(Scene(lists, tab="dag"), act)


def test_a_drill_down_is_left_for_the_problem() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.app.doors.jobs("crm-sync")
        await made.settle(pilot)
        assert isinstance(pane(made), JobsPane)
        await made.press(pilot, "exclamation_mark")
        await made.tick(pilot)
        assert (made.app.tab, cursor(made)) == WALK[0]

    drive(Scene(lists), act)


def test_quick_presses_ask_once() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        gate = made.client.hold("/cron")
        await made.press(pilot, *["exclamation_mark"] * 3)
        assert made.client.count("/cron") == 1
        gate.set()
        await made.settle(pilot)
        assert (made.app.tab, cursor(made)) == WALK[0]
        await made.press(pilot, "exclamation_mark")
        assert cursor(made) == "emails"
        assert made.client.count("/cron") == 1  # looked at just now

    drive(Scene(lists), act)


def test_who_went_elsewhere_meanwhile_is_left_there() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        gate = made.client.hold("/servers")
        await made.press(pilot, "exclamation_mark", "5")
        gate.set()
        await made.settle(pilot)
        assert made.app.tab == "dag"
        assert toasts(made) == []

    drive(Scene(lists), act)


def test_nothing_is_asked_for_without_the_key() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        for _ in range(30):
            await made.tick(pilot)
        assert made.client.count("/servers") == made.client.count("/cron") == 0

    drive(Scene(lists), act)


@pytest.mark.fault(2)
def test_a_part_that_fails_leaves_the_other_rules_as_they_are() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.route("GET", "/cron", AWAY)
        await made.press(pilot, "exclamation_mark")
        assert (made.app.tab, cursor(made)) == WALK[0]

    drive(Scene(lists), act)


def test_nothing_is_said_to_be_well_when_a_part_is_not_known() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.route("GET", "/cron", AWAY)
        await made.press(pilot, "exclamation_mark")
        assert toasts(made) == ["nothing else needs attention; not known: cron"]

    drive(Scene(calm), act)


def test_calm_is_said() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "exclamation_mark")
        assert (made.app.tab, toasts(made)) == ("dag", ["nothing needs attention"])

    drive(Scene(calm, tab="dag"), act)


@pytest.mark.fault(18)
def test_a_server_that_is_away_is_told_in_one_sentence() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.down = ApiError(Kind.REFUSED, text="connection refused")
        await made.press(pilot, "exclamation_mark")
        assert toasts(made) == ["problems are not known: connection refused"]

    drive(Scene(lists), act)


def test_dead_letters_lead_to_their_queue_in_failed() -> None:
    """Two replies of the Queues tab are what the rule knows them from."""

    async def act(made: World, pilot: Pilot[Any]) -> None:
        more = queue("crm-sync", ready=0, oldest_age_ms=None, dead_letter=150)
        made.client.route("GET", "/queues", [more])
        await made.tick(pilot)
        await made.press(pilot, "exclamation_mark")
        shown = pane(made)
        assert isinstance(shown, FailedPane)
        assert (shown.queue, shown.status) == ("crm-sync", "dead_letter")
        assert toasts(made) == ["dead letters: +150 in 5 min, most in crm-sync"]

    def quiet(client: FakeClient) -> None:
        calm(client)
        client.route("GET", "/failed/groups", listed([]))
        client.route("GET", "/queues", [queue("crm-sync", ready=0, oldest_age_ms=None, dead_letter=0)])
        client.route("GET", "/queues/crm-sync", {**queue("crm-sync"), "by_type": []})

    drive(Scene(quiet), act)


@pytest.mark.fault(14)
def test_a_row_that_never_came_does_not_pull_the_cursor_later() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        rest = [item for item in overview.QUEUES if item["name"] != "billing"]
        made.client.route("GET", "/queues", rest)
        await made.press(pilot, "1")
        await made.tick(pilot)
        table(made).seek("billing")
        here = cursor(made)
        await made.tick(pilot)
        made.client.route("GET", "/queues", overview.QUEUES)
        await made.tick(pilot)
        assert "billing" in table(made).table.keys
        assert cursor(made) == here != "billing"

    drive(Scene(lists, tab="dag"), act)


def test_a_filter_that_hides_the_row_is_dropped() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "slash", *"name:crm", "enter")
        assert cursor(made) == "crm-sync"
        await made.press(pilot, "exclamation_mark")
        assert cursor(made) == "billing"
        assert table(made).filter_text == ""

    drive(Scene(lists), act)


@pytest.mark.fault(19)
def test_names_from_the_server_stay_harmless() -> None:
    name = "\x1b]0;owned\x07[b]x"

    def hostile(client: FakeClient) -> None:
        calm(client)
        client.route("GET", "/queues", [queue(name, ready=5, pools=[])])

    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "exclamation_mark")
        assert toasts(made)[0].startswith("␛]0;owned␇[b]x: ")

    drive(Scene(hostile, tab="dag"), act)


def test_only_queues_of_a_list_are_remembered() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        view = pane(made).view
        view.add("queues", Queue)
        made.app.attention.note(view)
        assert made.app.attention.buried() == 0

    drive(Scene(lists, tab="cron"), act)


def test_a_clock_that_is_known_a_little_differently_forgets_nothing() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        watch = made.app.attention
        made.client.server_ahead = -0.4  # the next replies took another way
        more = [{**item, "dead_letter": item["dead_letter"] + 5} for item in overview.QUEUES]
        made.client.route("GET", "/queues", more)
        await made.press(pilot, "f5")
        await made.tick(pilot)
        assert watch.buried() == 5 * len(more)

    drive(Scene(lists), act)
