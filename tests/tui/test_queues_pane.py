"""The Queues tab from the outside: what stands where when data moves, is late, is missing or is hostile."""

from __future__ import annotations

import random
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable

from gqm_tui.core.client import path
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.widgets.filter_bar import FilterBar
from tests.support.tui import FakeClient, listed
from tests.support.tui_app import NARROW, Scene, World
from tests.support.tui_screen import cursor, drive, footer, lines, table, text, title, toasts
from tests.tui.scenes import jobs
from tests.tui.scenes.queues import QUEUES, REFUSED, ok, routes_for

LIVE = Scene(ok)


def named(name: str) -> dict[str, Any]:
    return next(item for item in QUEUES if item["name"] == name)


@pytest.mark.fault(14)
def test_the_cursor_stays_on_its_queue_over_twenty_reorders() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "j", "j", "j")
        held = cursor(made)
        chance = random.Random(7)
        for _ in range(20):
            shuffled = [{**item, "ready": chance.randrange(9_000)} for item in QUEUES]
            chance.shuffle(shuffled)
            routes_for(shuffled)(made.client)
            await made.tick(pilot)
            assert cursor(made) == held
            assert len(table(made).table.keys) == len(QUEUES)

    drive(LIVE, act)


def test_a_queue_that_leaves_hands_the_cursor_to_the_next_one() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "j")
        order = table(made).table.keys
        routes_for([item for item in QUEUES if item["name"] != order[1]])(made.client)
        await made.tick(pilot)
        assert cursor(made) == order[2]

    drive(LIVE, act)


@pytest.mark.fault(22)
@pytest.mark.fault(9)
def test_every_width_shows_whole_columns_and_keeps_the_cursor() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "j", "j")
        held = cursor(made)
        for width in (120, 80, 59, 120, 60, 99, 100, 200):
            await pilot.resize_terminal(width, 30)
            await made.settle(pilot)
            screen = text(made)
            if width < 60:
                assert "too small, 60x15 needed" in screen
                continue
            assert "too small" not in screen
            assert cursor(made) == held
            head = next(line for line in lines(made) if "QUEUE" in line)
            shown = [str(column.label) for column in table(made).table.columns.values()]
            assert [label for label in shown if label not in head] == []
            assert table(made).table.max_scroll_x == 0

    drive(LIVE, act)


@pytest.mark.fault(3)
def test_slow_replies_never_overlap() -> None:
    def slow(client: FakeClient) -> None:
        ok(client)
        client.slow[path("queues")] = 5.0

    async def act(made: World, pilot: Pilot[Any]) -> None:
        for _ in range(23):
            await made.tick(pilot)
        assert made.client.most_open[path("queues")] == 1
        assert made.client.count("/queues") >= 4
        assert "billing" in text(made)

    drive(Scene(slow), act)


@pytest.mark.fault(1)
def test_the_age_grows_through_errors_and_rows_stay() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.down = REFUSED
        for _ in range(30):
            await made.tick(pilot)
        bar = lines(made)[0]
        assert "DOWN prod-eu" in bar
        assert "refused" in bar
        age = int(bar.split("last data ")[1].split("s ago")[0])
        assert age >= 30
        assert "31,204" in text(made)

    drive(LIVE, act)


@pytest.mark.fault(2)
def test_a_part_that_fails_keeps_the_rest() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.route(
            "GET", "/stats/minutes", ApiError(Kind.UNAVAILABLE, 503, "REDIS_UNAVAILABLE", "away")
        )
        for _ in range(12):
            await made.tick(pilot)
        assert "! minutes: unavailable" in title(made)
        assert "PARTIAL" in lines(made)[0]
        assert "31,204" in text(made)
        routes_for([{**named("billing"), "ready": 5}])(made.client)
        made.client.route(
            "GET", "/stats/minutes", ApiError(Kind.UNAVAILABLE, 503, "REDIS_UNAVAILABLE", "away")
        )
        await made.tick(pilot)
        assert table(made).table.keys == ["billing"]

    drive(LIVE, act)


@pytest.mark.fault(5)
def test_a_server_that_is_away_at_the_start_is_live_when_it_comes() -> None:
    def away(client: FakeClient) -> None:
        ok(client)
        client.down = REFUSED

    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "DOWN" in lines(made)[0]
        assert "connection refused" in text(made)
        assert "No queues" not in text(made)
        made.client.down = None
        await made.press(pilot, "f5")
        await made.tick(pilot)
        assert "LIVE" in lines(made)[0]
        assert "31,204" in text(made)

    drive(Scene(away), act)


def test_the_pace_after_failures_and_f5() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.down = REFUSED
        for _ in range(8):
            await made.tick(pilot)
        asked = made.client.count("/queues")
        assert "retry" in lines(made)[0]
        await made.tick(pilot)
        assert made.client.count("/queues") - asked <= 1
        asked = made.client.count("/queues")
        await made.press(pilot, "f5")
        assert made.client.count("/queues") == asked + 1

    drive(LIVE, act)


def test_retry_after_is_waited_for() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.down = ApiError(
            Kind.UNAVAILABLE, 503, "REDIS_UNAVAILABLE", "redis is away", retry_after=20
        )
        await made.tick(pilot)
        await made.tick(pilot)
        asked = made.client.count("/queues")
        assert "in 1" in lines(made)[0] or "in 20s" in lines(made)[0]
        for _ in range(15):
            await made.tick(pilot)
        assert made.client.count("/queues") == asked
        for _ in range(6):
            await made.tick(pilot)
        assert made.client.count("/queues") == asked + 1

    drive(LIVE, act)


@pytest.mark.fault(4)
@pytest.mark.parametrize("kind", [Kind.UNAUTHORIZED, Kind.FORBIDDEN, Kind.UNAVAILABLE, Kind.TIMEOUT])
def test_empty_is_said_only_after_a_good_reply(kind: Kind) -> None:
    def refuse(client: FakeClient) -> None:
        ok(client)
        client.route("GET", "/queues", ApiError(kind, 400, text=f"told: {kind}"))
        client.route("GET", "/stats/minutes", ApiError(kind, 400, text=f"told: {kind}"))

    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "No queues" not in text(made)
        assert "0 of 0" not in text(made)
        assert "LIVE" not in lines(made)[0]

    drive(Scene(refuse), act)


@pytest.mark.fault(13)
def test_the_filter_takes_spaces_quotes_and_every_operator() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        for typed, want in (
            ("ready>5k state:run", ["billing", "media-thumbnails"]),
            ("webhooks -paused", ["webhooks"]),
            ("name=webhooks", ["webhooks"]),
            ("oldest>9m", ["billing", "emails"]),
            ("dlq<7 dlq>1", ["media-thumbnails", "webhooks"]),
            ('"gdpr-erasure"', ["gdpr-erasure"]),
        ):
            await made.press(pilot, "slash", *typed, "enter")
            assert table(made).table.keys == want, typed
            assert table(made).filter_text == typed
            assert f"{len(want)} of {len(QUEUES)}" in title(made)
            await made.press(pilot, "escape")
            assert table(made).filter_text == ""

    drive(LIVE, act)


def test_a_filter_that_cannot_be_understood_leaves_the_last_good_one() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "slash", *"bill")
        assert table(made).table.keys == ["billing"]
        await made.press(pilot, *" in>")
        assert table(made).table.keys == ["billing"]
        assert table(made).filter_text == "bill in"
        assert "in>: a number is needed" in text(made)
        await made.press(pilot, *["backspace"] * 3, *"colour:red")
        assert "no field colour here" in text(made)
        assert "enter Keep" in footer(made)
        await made.press(pilot, "escape")
        assert len(table(made).table.keys) == len(QUEUES)

    drive(LIVE, act)


@pytest.mark.parametrize("key", ["enter", "tab"])
def test_a_filter_that_cannot_be_understood_is_not_kept_as_another_one(key: str) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "slash", *"bill:x", key)
        await made.tick(pilot)
        assert "no field bill here" in text(made)
        assert "enter Keep" in footer(made)
        await made.press(pilot, *["backspace"] * 2, key)
        assert made.app.screen.focused is table(made).table
        assert table(made).table.keys == ["billing"]

    drive(LIVE, act)


def test_a_toast_hides_no_more_than_its_words_take() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        before = text(made)
        made.app.notify("emails paused", markup=False)
        made.app.notify("emails resumed", markup=False)
        await made.settle(pilot)
        other = [line for line, was in zip(lines(made), before.splitlines(), strict=True) if line != was]
        assert [line.partition("▌")[2].strip(" ─") for line in other] == ["emails paused", "emails resumed"]

    drive(LIVE, act)


def test_another_view_of_a_server_that_has_answered_is_loading_not_connecting() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "● LIVE" in lines(made)[0]
        made.client.hold("/workers")
        await made.press(pilot, "2")
        assert "… LOADING" in lines(made)[0]

    drive(LIVE, act)


def test_keys_are_letters_while_a_filter_is_typed() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "slash", *"q1p")
        assert table(made).filter_text == "q1p"
        assert made.app.is_running
        assert made.app.tab == "queues"
        assert made.client.written == []
        assert "0 of 14 match q1p" in text(made)
        await made.press(pilot, "tab")
        assert made.app.screen.focused is table(made).table

    drive(LIVE, act)


def test_a_hidden_pane_asks_for_nothing() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter")
        before = made.client.count("/queues"), made.client.count("/stats/minutes")
        for _ in range(12):
            await made.tick(pilot)
        assert (made.client.count("/queues"), made.client.count("/stats/minutes")) == before
        await made.press(pilot, "escape")
        assert made.client.count("/queues") == before[0] + 1

    drive(Scene(jobs.ok), act)


def test_another_tab_has_the_focus_in_its_table() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "2")
        asked = made.client.count("/queues")
        await made.tick(pilot)
        assert made.client.count("/queues") == asked
        await made.press(pilot, "1")
        assert made.app.screen.focused is table(made).table
        await made.press(pilot, "j")
        assert cursor(made) == table(made).table.keys[1]

    drive(LIVE, act)


def test_freeze_counts_what_it_holds_and_catches_up() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "f")
        routes_for([{**item, "ready": item["ready"] + 1} for item in QUEUES[:3]])(made.client)
        await made.tick(pilot)
        assert "FROZEN" in lines(made)[0]
        assert "14 changes held" in title(made)
        assert "31,204" in text(made)
        await made.press(pilot, "f")
        assert "LIVE" in lines(made)[0]
        assert table(made).table.keys == ["billing", "crm-sync", "audit-log"]
        assert "31,205" in text(made)

    drive(LIVE, act)


@pytest.mark.fault(22)
def test_the_mouse_selects_opens_sorts_and_presses_footer_keys() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        grid = table(made).table
        await pilot.click(grid, offset=(5, 3))
        await made.settle(pilot)
        assert cursor(made) == grid.keys[2]
        await pilot.click(grid, offset=(5, 0))
        await made.settle(pilot)
        assert grid.keys == sorted(grid.keys)
        await pilot.click("KeyBar", offset=(1, 0))
        await made.settle(pilot)
        assert "›" in title(made)

    drive(Scene(jobs.ok), act)


def test_sorting_by_keys_is_kept_for_the_next_start() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "s")
        assert "ACT ↓" in title(made)
        assert table(made).table.keys[0] == "media-thumbnails"
        await made.press(pilot, "S")
        assert "ACT ↑" in title(made)
        assert made.app.state.sort["queues"] == ("act", False)

    drive(LIVE, act)


@pytest.mark.fault(24)
def test_a_queue_with_signs_in_its_name_opens_and_is_acted_on() -> None:
    name = "a/b c%?#é"

    def strange(client: FakeClient) -> None:
        jobs.ok(client)
        routes_for([{**named("billing"), "name": name}])(client)
        place = "/api/v1/queues/a%2Fb%20c%25%3F%23%C3%A9"
        client.route("GET", place, {**named("billing"), "name": name, "by_type": []})
        client.route("POST", f"{place}/pause", {"queue": name, "status": "paused", "changed": True})

    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "p")
        assert [one.path for one in made.client.written] == ["/api/v1/queues/a%2Fb%20c%25%3F%23%C3%A9/pause"]
        await made.press(pilot, "enter")
        await made.tick(pilot)
        asked = [one for one in made.client.asked if one.path == path("jobs")][-1]
        assert asked.params["queue"] == name
        assert f"{name} › ready" in title(made)
        assert "gone" not in title(made)

    drive(Scene(strange), act)


@pytest.mark.fault(17)
def test_a_viewer_sees_no_key_that_writes_and_is_told_why() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "Pause" not in footer(made)
        await made.press(pilot, "p", "D")
        assert made.client.written == []
        assert toasts(made)[0] == "needs admin (you are viewer apikey:ops)"

    drive(Scene(ok, role="viewer"), act)


def test_a_row_that_is_equal_is_not_built_again() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        grid = table(made).table
        before = [grid.row(key) for key in grid.keys]
        painted: list[str] = []
        grid.update_cell = lambda *_args, **_kwargs: painted.append("cell")  # type: ignore[method-assign]
        for _ in range(3):
            await made.tick(pilot)
        assert painted == []
        assert all(one is other for one, other in zip(before, map(grid.row, grid.keys), strict=True))

    drive(LIVE, act)


@pytest.mark.parametrize("size", [(120, 36), NARROW])
def test_ready_shows_where_it_goes_for_one_interval(size: tuple[int, int]) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        routes_for([{**item, "ready": item["ready"] + 7} for item in QUEUES if item["name"] == "billing"])(
            made.client
        )
        await made.tick(pilot)
        assert "31,211↑" in text(made)
        await made.tick(pilot)
        assert "31,211" in text(made)
        assert "31,211↑" not in text(made)

    drive(LIVE, act, size)


def test_an_event_of_a_hidden_table_moves_no_tab() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        grid = table(made).table
        await made.press(pilot, "2")
        key, column = next(iter(grid.columns.items()))
        grid.post_message(DataTable.HeaderSelected(grid, key, 0, column.label))
        await made.settle(pilot)
        assert made.app.tab == "workers"

    drive(LIVE, act)


def test_the_filter_bar_is_out_of_the_way() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        bar = table(made).query_one(FilterBar)
        assert not bar.display
        await made.press(pilot, "slash")
        assert bar.display
        await made.press(pilot, "enter")
        assert not bar.display

    drive(LIVE, act)


def test_a_collection_that_was_cut_says_so() -> None:
    def many(client: FakeClient) -> None:
        ok(client)
        client.route("GET", "/queues", listed(QUEUES, total=1_400, truncated=True))

    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "14 of ≥1,400" in title(made)

    drive(Scene(many), act)
