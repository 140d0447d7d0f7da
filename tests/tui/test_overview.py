"""The Overview from the outside: figures, problems, chart and events, through losses and while frozen."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.eventlines import told
from gqm_tui.core.events import CronEvent, Dropped, Hello, JobEvent, QueueEvent, RedisEvent, ServerEvent
from gqm_tui.core.plot import ceiling, plot
from gqm_tui.core.signs import Signs
from gqm_tui.screens.panes.job import JobPane
from gqm_tui.screens.panes.overview import OverviewPane
from tests.support.tui import NOW, FakeClient, job_detail, minutes, queue, stats
from tests.support.tui_app import NARROW, Scene, World
from tests.support.tui_screen import drive, footer, lines, pane, text
from tests.tui.scenes import overview

HELLO = Hello(server_time=NOW, version="1.0.0")
AWAY = ApiError(Kind.UNAVAILABLE, 503, "REDIS_UNAVAILABLE", "Redis is away")
JOB = "01943c77-1d2e-7aa0-9b61-7788f3a2a91c"


def event(number: int, to: str = "completed") -> JobEvent:
    return JobEvent(ts=NOW + number, job_id=f"job-{number}", queue="billing", type="smtp.send", to=to)


def shown(made: World) -> OverviewPane:
    found = pane(made)
    assert isinstance(found, OverviewPane)
    return found


def head(made: World) -> str:
    """The line above the log."""
    return next(line for line in lines(made) if line.startswith(" EVENTS")).strip()


def busy(act: Any, routes: Any = overview.busy, **more: Any) -> World:
    return drive(Scene(routes, tab="overview", **{k: v for k, v in more.items() if k != "size"}), act)


# -- figures and problems


def test_figures_problems_and_their_count() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        seen = text(made)
        for part in ("READY 48,211", "IN 48.7k/m", "OUT 47.4k/m", "FAIL 994/m", "OLDEST 14m02s", "DLQ 418"):
            assert part in seen
        assert "NEEDS ATTENTION 8" in seen
        assert "oldest 14m02s, limit 5m, not draining" in seen

    busy(act)


@pytest.mark.parametrize("width", [60, 80, 99, 100, 120, 200])
@pytest.mark.fault(9)
def test_figures_are_whole_at_every_width(width: int) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        figures = lines(made)[3]
        assert "DLQ 418" in figures
        assert "…" not in figures

    scene = Scene(overview.busy, tab="overview", size=(width, 24))
    drive(scene, act, (width, 24))


def test_new_dead_letters_stand_beside_their_number() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "/5m" not in text(made)
        made.client.route("GET", "/queues", [queue("billing", dead_letter=391 + 312)])
        await made.tick(pilot)
        await made.tick(pilot)
        assert "DLQ 418 +312/5m" in text(made)

    busy(act)


def test_enter_goes_to_the_row_of_the_problem() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "j", "j", "enter")
        await made.tick(pilot)
        assert made.app.tab == "servers"
        assert made.app.visible_pane.table.cursor_key == "eu3-18231-7f3a"  # type: ignore[union-attr]

    busy(act)


@pytest.mark.fault(14)
def test_the_cursor_stays_on_its_problem() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "j", "j")
        before = shown(made).table.cursor_key
        more = queue("aaa", ready=9, pools=[])
        made.client.route("GET", "/queues", [more, *overview.QUEUES])
        await made.tick(pilot)
        assert "NEEDS ATTENTION 9" in text(made)
        assert shown(made).table.cursor_key == before

    busy(act)


def test_calm_says_what_it_rests_on() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "Nothing needs attention." in text(made)
        assert "2 queues, 1 server, 1 worker and every cron entry are well." in text(made)

    busy(act, overview.calm)


@pytest.mark.fault(4)
@pytest.mark.parametrize("part", ["queues", "servers", "workers", "cron", "stats/runtime"])
def test_before_everything_is_known_nothing_is_said_to_be_well(part: str) -> None:
    def held(client: FakeClient) -> None:
        overview.calm(client)
        client.hold(f"/{part}")

    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "waiting for figures" in text(made)
        assert "Nothing needs attention" not in text(made)

    busy(act, held)


@pytest.mark.fault(2)
def test_a_part_that_fails_is_named_and_the_rest_goes_on() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.route("GET", "/cron", AWAY)
        made.client.route("GET", "/stats", stats(ready=7))
        await made.tick(pilot)
        await made.tick(pilot)
        assert "! cron: unavailable" in text(made)
        assert "READY 7 " in text(made)
        assert "NEEDS ATTENTION 8" in text(made)

    busy(act)


@pytest.mark.fault(4)
def test_a_part_that_fails_is_no_calm() -> None:
    def broken(client: FakeClient) -> None:
        overview.calm(client)
        client.route("GET", "/servers", AWAY)

    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "Nothing needs attention" not in text(made)
        assert "Not known: servers." in text(made)

    busy(act, broken)


def test_forbidden_is_said() -> None:
    def refused(client: FakeClient) -> None:
        overview.busy(client)
        client.route("GET", "/stats", ApiError(Kind.FORBIDDEN, 403, "FORBIDDEN", "needs viewer"))

    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "needs viewer" in text(made)
        assert "FORBIDDEN" in lines(made)[0]

    busy(act, refused)


def test_the_minute_under_way_is_not_drawn() -> None:
    """Half a minute's work would look like a fall."""

    async def act(made: World, pilot: Pilot[Any]) -> None:
        done, failed = shown(made)._minutes()
        assert (len(done), len(failed)) == (14, 14)
        assert done[-1] == 2_292 - 90

    busy(act)


def test_hidden_it_asks_for_nothing_and_closes_its_stream() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "6")
        before = made.client.count("/workers")
        for _ in range(12):
            await made.tick(pilot)
        assert made.client.count("/workers") == before
        assert len(made.client.streams) == 1
        await made.press(pilot, "0")
        assert len(made.client.streams) == 2

    busy(act)


# -- events


def test_events_are_listed_and_followed() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert head(made).startswith("EVENTS connecting")
        made.client.emit(HELLO, *(event(number) for number in range(40)))
        await made.tick(pilot)
        assert head(made).startswith("EVENTS following")
        assert head(made).endswith("all states · 4/s")
        assert "job-39" in text(made)
        assert "job-0 " not in text(made)

    busy(act)


def test_who_reads_further_up_keeps_the_place_and_is_told_of_new_ones() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.emit(HELLO, *(event(number) for number in range(40)))
        await made.tick(pilot)
        await made.press(pilot, "f6", "k", "k", "k")
        assert "job-36" in shown(made).events.chosen
        made.client.emit(*(event(number) for number in range(40, 52)))
        await made.tick(pilot)
        assert "EVENTS 12 new · G follows again" in head(made)
        assert "job-36" in shown(made).events.chosen
        assert "job-51" not in text(made)
        await made.press(pilot, "G")
        assert head(made).startswith("EVENTS following")
        assert "job-51" in text(made)

    busy(act)


def test_a_reader_of_the_oldest_line_is_moved_on_only_when_it_is_dropped() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.emit(HELLO, *(event(number) for number in range(500)))
        await made.tick(pilot)
        await made.press(pilot, "f6", "g")
        assert "job-0 " in shown(made).events.chosen
        made.client.emit(event(500), event(501))
        await made.tick(pilot)
        assert "job-2 " in shown(made).events.chosen
        assert len(shown(made).events.plain) == 500
        assert "2 new" in head(made)

    busy(act)


def test_enter_opens_the_job_of_an_event() -> None:
    def routes(client: FakeClient) -> None:
        overview.busy(client)
        client.route("GET", f"/jobs/{JOB}", job_detail(JOB))

    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.emit(HELLO, *overview.EVENTS[1:])
        await made.tick(pilot)
        await made.press(pilot, "f6")
        assert "enter Job" in footer(made)
        await made.press(pilot, "enter")  # a server went down: nothing to open
        assert isinstance(pane(made), OverviewPane)
        await made.press(pilot, "k", "k", "enter")
        opened = pane(made)
        assert isinstance(opened, JobPane)
        assert opened.job_id == JOB

    busy(act, routes)


def test_the_wheel_and_a_click() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.emit(HELLO, *(event(number) for number in range(40)))
        await made.tick(pilot)
        log = shown(made).events
        await pilot._post_mouse_events([_scroll_up()], log, offset=(5, 2))
        await made.settle(pilot)
        assert "job-36" in log.chosen
        await pilot.click(log, offset=(5, 0))
        await made.settle(pilot)
        assert not log.at_end

    busy(act)


def _scroll_up() -> Any:
    from textual.events import MouseScrollUp

    return MouseScrollUp


def test_a_lost_stream_is_told_and_comes_back() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.emit(HELLO, event(1))
        await made.tick(pilot)
        made.client.cut(ApiError(Kind.TIMEOUT, text="no event for 40 s"))
        await made.settle(pilot)
        assert "EVENTS lost: no event for 40 s, trying again" in head(made)
        assert "job-1" in text(made)
        await made.tick(pilot, 2.9)
        assert len(made.client.streams) == 1
        await made.tick(pilot, 0.2)
        assert len(made.client.streams) == 2
        before = made.client.count("/queues")
        made.client.emit(HELLO, event(2))
        await made.settle(pilot)
        assert head(made).startswith("EVENTS following")
        assert made.client.count("/queues") == before + 1  # nothing is sent again, so all is asked for
        assert "what happened meanwhile is not listed" in text(made)
        assert "job-2" in text(made)

    busy(act)


def test_a_busy_server_is_left_alone_for_half_a_minute() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.cut(ApiError(Kind.UNAVAILABLE, 503, "SERVER_BUSY", "16 streams are open"))
        await made.settle(pilot)
        assert "lost: 16 streams are open" in head(made)
        for _ in range(29):
            await made.tick(pilot)
        assert len(made.client.streams) == 1
        await made.tick(pilot, 1.1)
        assert len(made.client.streams) == 2

    busy(act)


def test_frozen_lines_and_figures_are_held_and_catch_up() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.emit(HELLO, event(1))
        await made.tick(pilot)
        await made.press(pilot, "f")
        made.client.route("GET", "/stats", stats(ready=7))
        made.client.emit(event(2), event(3))
        for _ in range(3):
            await made.tick(pilot)
        assert "EVENTS frozen, 2 held" in head(made)
        assert "READY 48,211" in text(made)
        assert "job-3" not in text(made)
        await made.press(pilot, "f")
        assert "job-3" in text(made)
        assert "READY 7 " in text(made)

    busy(act)


@pytest.mark.fault(1)
def test_an_outage_keeps_everything_and_says_so() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await overview.lost(made, pilot)
        for _ in range(30):
            await made.tick(pilot)
        first = lines(made)[0]
        assert "DOWN" in first
        assert "last data 35s ago" in first or "last data 36s ago" in first
        assert "READY 48,211" in text(made)
        assert "NEEDS ATTENTION 8" in text(made)
        assert "lost: connection refused" in head(made)

    busy(act)


def test_events_fit_on_a_narrow_screen() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await overview.told(made, pilot)
        found = next(line for line in lines(made) if "✗ DLQ" in line)
        assert "billing  01943c…3a2a91c smtp.send   TimeoutError: 30s" in found

    drive(Scene(overview.busy, tab="overview", size=NARROW), act, NARROW)


# -- what an event says, and the chart


@pytest.mark.fault(19)
@pytest.mark.parametrize(
    "one",
    [
        JobEvent(ts=NOW, job_id="\x1b[2J", queue="a\x07", type="\x9b31m", to="\x1b]0;x", error="a\nb\x00"),
        QueueEvent(ts=NOW, queue="\x1b[2J", action="\x1b[31m"),
        CronEvent(ts=NOW, cron_id="\u202eab", action="\x07", job_id="\x1b"),
        ServerEvent(ts=NOW, server_id="\r\n", action="\x1b[31m"),
    ],
)
def test_no_event_steers_the_terminal(one: Any) -> None:
    said = told(one, Signs())
    assert said is not None
    assert (said.sign.text + said.words).isprintable()


def test_what_is_no_news_is_not_said() -> None:
    assert told(HELLO, Signs()) is None


def test_words_of_the_stream_itself() -> None:
    signs = Signs()
    assert [
        said.words
        for said in (
            told(Dropped(ts=NOW, count=120), signs),
            told(Dropped(ts=NOW), signs),
            told(RedisEvent(ts=NOW, up=False), signs),
            told(QueueEvent(ts=NOW, queue="billing", action="emptied", count=1_400), signs),
        )
        if said is not None
    ] == ["120 events, too many to show", "some events, too many to show", "away", "billing emptied 1,400"]


@pytest.mark.parametrize(
    ("largest", "top"), [(0, 1), (1, 1), (7, 8), (94, 100), (101, 150), (2_202, 2_500), (47_400, 50_000)]
)
def test_the_axis_ends_on_a_round_number(largest: float, top: float) -> None:
    assert ceiling(largest) == top


def test_line_and_area_differ_without_colour() -> None:
    drawing = plot([10.0, 10.0, 10.0], [4.0, 4.0, 4.0], 6, 6, ascii_only=True)
    assert [axis + "".join(sign for sign, _ in signs) for axis, signs in drawing.rows] == [
        "    10|******",
        "      |      ",
        "      |######",
        "      |######",
        "      |######",
    ]
    assert drawing.zero == "     0+......"


def test_a_steep_line_has_no_holes() -> None:
    drawing = plot([0.0, 10.0], [], 2, 6, ascii_only=True)
    column = ["".join(sign for sign, _ in signs) for _, signs in drawing.rows]
    assert column == [" *", " *", " *", " *", "* "]


def test_a_chart_without_minutes_is_its_axis() -> None:
    drawing = plot([], [], 4, 3)
    assert all(sign == " " for _, signs in drawing.rows for sign, _ in signs)
    assert minutes(None, 0)["minutes"] == []
