"""The polling loop: one request in flight, parts side by side, back-off, and answers that come too late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from gqm_tui.core.client import path
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.model import MinutesSeries, Queue, QueueDetail
from gqm_tui.core.poll import PartSpec, Poller
from gqm_tui.core.store import PaneState, Tag, View
from tests.support.tui import FakeClient, FakeClock, minutes, queue, settled

AWAY = ApiError(Kind.REFUSED, text="connection refused")
BUSY = ApiError(Kind.UNAVAILABLE, 503, "REDIS_UNAVAILABLE", "redis unavailable")

QUEUES = PartSpec("queues", path("queues"), None, list[Queue])
MINUTES = PartSpec("minutes", path("stats", "minutes"), {"minutes": 15}, list[MinutesSeries], every=10.0)
PARTS = (QUEUES, MINUTES)


def types_of(name: str) -> PartSpec:
    return PartSpec("types", path("queues", name), None, QueueDetail, every=5.0)


class Desk:
    """A poller at work, and what it reported."""

    def __init__(self, interval: float = 1.0) -> None:
        self.clock = FakeClock()
        self.client = FakeClient(
            self.clock,
            {
                "/queues": [queue("billing"), queue("emails")],
                "/stats/minutes": [minutes()],
                "/queues/a": queue("a"),
                "/queues/b": queue("b"),
            },
        )
        self.refreshed: list[tuple[Tag, str]] = []
        self.failed: list[Tag] = []
        self.poller = Poller(
            self.client,
            self.clock,
            interval,
            on_refreshed=lambda tag, part: self.refreshed.append((tag, part)),
            on_failed=self.failed.append,
        )
        self.view = View("prod", "queues")

    def asked(self, name: str = "/queues") -> int:
        return self.client.count(name)

    async def show(self, *parts: PartSpec) -> None:
        self.poller.show(self.view, parts)
        await settled()

    def state(self, rows: int = 2) -> PaneState:
        return self.view.state(self.clock.now, self.poller.interval, rows, rows)

    def rows(self) -> list[str]:
        return [one.name for one in self.view.value("queues", list[Queue]) or []]


def polling(
    work: Callable[[Desk], Awaitable[None]], *, parts: Sequence[PartSpec] = PARTS, interval: float = 1.0
) -> None:
    """Run a test while a poller polls; whatever it raises fails the test."""

    async def both() -> None:
        desk = Desk(interval)
        loop = asyncio.create_task(desk.poller.run())
        if parts:
            await desk.show(*parts)
        await work(desk)
        assert not loop.done() or loop.exception() is None
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        assert not any(desk.client.open.values()), "a request outlives the loop"
        assert not any(part.in_flight for part in desk.view.parts.values())
        assert desk.clock.next_wake_in is None, "a sleeper outlives the loop"

    asyncio.run(asyncio.wait_for(both(), 20))


def test_parts_are_fetched_together_and_then_at_their_own_pace() -> None:
    async def work(desk: Desk) -> None:
        assert desk.state() is PaneState.LIVE
        assert {part for _, part in desk.refreshed} == {"queues", "minutes"}
        assert {tag for tag, _ in desk.refreshed} == {desk.view.tag}
        for _ in range(10):
            await desk.clock.pass_by(1.0)
        assert (desk.asked(), desk.asked("/stats/minutes")) == (11, 2)
        assert desk.client.asked[1].params == {"minutes": "15"}

    polling(work)


@pytest.mark.fault(2)
def test_a_slow_part_does_not_hold_up_the_others() -> None:
    async def work(desk: Desk) -> None:
        gate = desk.client.hold("/stats/minutes")
        await desk.show(*PARTS)
        assert desk.state() is PaneState.LIVE
        for _ in range(3):
            await desk.clock.pass_by(1.0)
        assert desk.asked() == 4
        assert desk.view.parts["minutes"].in_flight
        gate.set()
        await settled()
        assert desk.view.value("minutes", list[MinutesSeries])

    polling(work, parts=())


@pytest.mark.fault(3)
def test_replies_slower_than_the_interval_never_overlap() -> None:
    async def work(desk: Desk) -> None:
        desk.client.slow[path("queues")] = 5.0
        await desk.show(*PARTS)
        for _ in range(205):
            await desk.clock.pass_by(0.1)
            assert desk.client.open[path("queues")] <= 1
        # 5 s for a reply and then the least pause: the interval has long passed.
        assert desk.client.most_open[path("queues")] == 1
        assert desk.asked() == 5
        assert desk.rows() == ["billing", "emails"]

    polling(work, parts=())


def test_the_interval_counts_from_the_begin_of_a_request() -> None:
    async def work(desk: Desk) -> None:
        desk.client.slow[path("queues")] = 0.4
        await desk.show(QUEUES)
        await desk.clock.pass_by(0.4)
        assert desk.clock.next_wake_in == pytest.approx(0.6)
        desk.client.slow[path("queues")] = 0.99
        await desk.clock.pass_by(0.6)
        await desk.clock.pass_by(0.99)
        assert desk.clock.next_wake_in == pytest.approx(0.05)

    polling(work, parts=())


@pytest.mark.fault(15)
def test_a_late_reply_of_another_view_is_dropped() -> None:
    async def work(desk: Desk) -> None:
        gate = desk.client.hold("/queues/a")
        first = desk.view
        await desk.show(types_of("a"))
        desk.view = View("prod", "queues", "b")
        await desk.show(types_of("b"))
        gate.set()
        await settled()
        detail = desk.view.value("types", QueueDetail)
        assert detail is not None
        assert detail.name == "b"
        assert first.value("types", QueueDetail) is None
        assert {tag.query for tag, _ in desk.refreshed} == {"b"}
        assert first.tag.seq < desk.view.tag.seq

    polling(work, parts=())


@pytest.mark.fault(15)
def test_a_late_reply_is_dropped_even_if_its_request_cannot_be_stopped() -> None:
    """The client may have the reply in hand when the view changes, so that there is nothing to cancel."""

    async def work(desk: Desk) -> None:
        started, go_on = asyncio.Event(), asyncio.Event()
        get = desk.client.get

        async def stubborn(*args: object) -> object:
            started.set()
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                await go_on.wait()
            return await get(*args)  # type: ignore[arg-type]  # handed on as they came

        desk.client.get = stubborn  # type: ignore[method-assign, assignment]
        await desk.show(QUEUES)
        await started.wait()
        old, desk.view = desk.view, View("prod", "queues", "other")
        await desk.show(QUEUES)
        go_on.set()
        await settled()
        assert old.value("queues", list[Queue]) is None
        assert desk.rows() == ["billing", "emails"]
        assert len(desk.refreshed) == 1

    polling(work, parts=())


def test_a_new_view_is_empty_at_once_and_asked_for_at_once() -> None:
    async def work(desk: Desk) -> None:
        assert desk.rows()
        desk.view = View("prod", "queues", "name:bill")
        desk.poller.show(desk.view, PARTS)
        assert desk.state() is PaneState.LOADING
        await settled()
        assert desk.state() is PaneState.LIVE
        assert desk.asked() == 2

    polling(work)


def test_a_view_that_is_shown_again_has_its_rows_at_once() -> None:
    async def work(desk: Desk) -> None:
        desk.poller.hide()
        await desk.clock.pass_by(60.0)
        assert desk.asked() == 1
        desk.poller.show(desk.view, PARTS)
        assert (desk.rows(), desk.state()) == (["billing", "emails"], PaneState.STALE)
        await settled()
        assert desk.state() is PaneState.LIVE

    polling(work)


def test_a_hidden_pane_does_not_poll() -> None:
    async def work(desk: Desk) -> None:
        gate = desk.client.hold("/queues")
        await desk.clock.pass_by(1.0)
        desk.poller.hide()
        await settled()
        assert desk.client.open[path("queues")] == 0
        gate.set()
        asked = len(desk.client.asked)
        for _ in range(20):
            await desk.clock.pass_by(1.0)
        desk.poller.wake()
        await settled()
        assert len(desk.client.asked) == asked
        assert desk.poller.view is None

    polling(work)


def test_back_off_grows_to_fifteen_seconds_and_ends_with_the_first_success() -> None:
    async def work(desk: Desk) -> None:
        desk.client.down = AWAY
        await desk.clock.pass_by(1.0)
        waits = []
        for _ in range(7):
            wait = desk.view.retry_in(desk.clock.now)
            assert wait is not None
            assert wait == desk.clock.next_wake_in
            waits.append(wait)
            await desk.clock.pass_by(wait - 0.01)
            asked = len(desk.client.asked)
            await desk.clock.pass_by(0.01)
            assert len(desk.client.asked) == asked + 2
        assert waits == pytest.approx([1, 2, 4, 8, 15, 15, 15])
        assert desk.view.fails == 8
        assert len(desk.failed) == 8
        assert desk.state() is PaneState.DOWN
        assert desk.rows() == ["billing", "emails"]
        desk.client.down = None
        await desk.clock.pass_by(15.0)
        assert (desk.view.fails, desk.view.retry_at, desk.state()) == (0, None, PaneState.LIVE)
        await desk.clock.pass_by(1.0)
        desk.client.down = AWAY
        await desk.clock.pass_by(1.0)
        assert desk.view.retry_in(desk.clock.now) == pytest.approx(1.0)

    polling(work)


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_back_off_is_spread(factor: float) -> None:
    async def work(desk: Desk) -> None:
        desk.clock.factor = factor
        desk.client.down = AWAY
        await desk.clock.pass_by(1.0)
        assert desk.view.retry_in(desk.clock.now) == pytest.approx(factor)

    polling(work)


@pytest.mark.fault(1)
def test_the_age_grows_through_errors() -> None:
    async def work(desk: Desk) -> None:
        desk.client.down = AWAY
        for second in range(1, 31):
            await desk.clock.pass_by(1.0)
            assert desk.view.age(desk.clock.now) == second
        assert desk.rows() == ["billing", "emails"]

    polling(work)


@pytest.mark.fault(5)
def test_a_server_that_is_away_at_the_start_is_live_when_it_comes() -> None:
    async def work(desk: Desk) -> None:
        desk.client.down = AWAY
        await desk.show(*PARTS)
        assert desk.state(0) is PaneState.DOWN
        desk.client.down = None
        await desk.clock.pass_by(1.0)
        assert desk.state() is PaneState.LIVE

    polling(work, parts=())


def test_a_part_that_fails_alone_leaves_the_rows_and_is_tried_at_its_pace() -> None:
    async def work(desk: Desk) -> None:
        desk.client.route("GET", "/queues", BUSY)
        await desk.clock.pass_by(1.0)
        # The other part was asked at once, to learn whether the server is away: it is not.
        assert desk.asked("/stats/minutes") == 2
        assert desk.state() is PaneState.PARTIAL
        assert not desk.failed
        for _ in range(5):
            await desk.clock.pass_by(1.0)
        assert (desk.asked(), desk.asked("/stats/minutes")) == (7, 2)
        desk.client.route("GET", "/queues", [queue("back")])
        await desk.clock.pass_by(1.0)
        assert (desk.rows(), desk.state()) == (["back"], PaneState.LIVE)

    polling(work)


def test_all_parts_are_known_to_fail_as_soon_as_the_first_does() -> None:
    async def work(desk: Desk) -> None:
        desk.client.down = AWAY
        await desk.clock.pass_by(1.0)
        assert desk.state() is PaneState.DOWN
        assert len(desk.failed) == 1

    polling(work)


def test_a_part_that_the_server_refuses_does_not_wake_the_others() -> None:
    async def work(desk: Desk) -> None:
        desk.client.route("GET", "/queues", ApiError(Kind.FORBIDDEN, 403, "FORBIDDEN", "admin only"))
        await desk.clock.pass_by(1.0)
        assert desk.asked("/stats/minutes") == 1
        assert desk.state() is PaneState.FORBIDDEN

    polling(work)


def test_retry_after_is_obeyed_by_one_part_and_by_all() -> None:
    limited = ApiError(Kind.LIMITED, 429, "RATE_LIMITED", "slow down", retry_after=7.0)

    async def work(desk: Desk) -> None:
        desk.client.route("GET", "/queues", limited)
        await desk.clock.pass_by(1.0)
        for _ in range(6):
            await desk.clock.pass_by(1.0)
        assert desk.asked() == 2
        await desk.clock.pass_by(1.0)
        assert desk.asked() == 3
        desk.client.down = limited
        await desk.clock.pass_by(7.0)
        assert desk.view.retry_in(desk.clock.now) == pytest.approx(7.0)
        await desk.clock.pass_by(6.9)
        assert len(desk.failed) == 1
        await desk.clock.pass_by(0.1)
        assert len(desk.failed) == 2

    polling(work)


def test_a_retry_after_of_nothing_is_no_permission_to_rush() -> None:
    async def work(desk: Desk) -> None:
        desk.client.down = ApiError(Kind.UNAVAILABLE, 503, "NOT_READY", "starting", retry_after=0.0)
        await desk.clock.pass_by(1.0)
        assert desk.view.retry_in(desk.clock.now) == pytest.approx(1.0)

    polling(work)


def test_waking_asks_at_once_also_during_back_off() -> None:
    async def work(desk: Desk) -> None:
        desk.poller.wake()
        await settled()
        assert (desk.asked(), desk.asked("/stats/minutes")) == (2, 2)
        desk.poller.wake("minutes")
        await settled()
        assert (desk.asked(), desk.asked("/stats/minutes")) == (2, 3)
        desk.client.down = AWAY
        for wait in (1.0, 1.0, 2.0, 4.0):
            await desk.clock.pass_by(wait)
        desk.client.down = None
        desk.poller.wake()
        await settled()
        assert desk.state() is PaneState.LIVE

    polling(work)


def test_waking_during_a_request_asks_once_more_after_it() -> None:
    """The reply under way may be older than what was just changed."""

    async def work(desk: Desk) -> None:
        gate = desk.client.hold("/queues")
        await desk.clock.pass_by(1.0)
        desk.client.route("GET", "/queues", [queue("changed")])
        for _ in range(3):
            desk.poller.wake()
            await settled()
        assert desk.asked() == 2
        gate.set()
        await settled()
        assert desk.asked() == 3
        assert desk.rows() == ["changed"]

    polling(work)


def test_another_interval_counts_at_once() -> None:
    async def work(desk: Desk) -> None:
        desk.poller.set_interval(30.0)
        await settled()
        assert desk.asked() == 2
        await desk.clock.pass_by(29.0)
        assert (desk.asked(), desk.asked("/stats/minutes")) == (2, 2)
        await desk.clock.pass_by(1.0)
        # Nothing is asked more often than the interval, also what has a pace of its own.
        assert (desk.asked(), desk.asked("/stats/minutes")) == (3, 3)

    polling(work)


def test_a_part_is_left_out_while_it_is_not_wanted() -> None:
    wanted = False
    part = PartSpec("minutes", path("stats", "minutes"), None, list[MinutesSeries], when=lambda view: wanted)

    async def work(desk: Desk) -> None:
        nonlocal wanted
        await desk.clock.pass_by(1.0)
        assert desk.asked("/stats/minutes") == 0
        assert desk.state() is PaneState.LIVE
        wanted = True
        await desk.clock.pass_by(1.0)
        assert desk.asked("/stats/minutes") == 1

    polling(work, parts=(QUEUES, part))


def test_a_part_for_another_row_is_empty_and_asked_for_where_the_cursor_stops() -> None:
    async def work(desk: Desk) -> None:
        desk.poller.put(types_of("a"))
        await settled()
        assert desk.asked("/queues/a") == 1
        assert desk.view.value("types", QueueDetail)
        for name in ("x", "y", "a", "b"):
            desk.poller.put(types_of(name))
            assert desk.view.value("types", QueueDetail) is None
        await desk.clock.pass_by(0.15)
        assert desk.client.count("/queues/x") == desk.client.count("/queues/y") == 0
        assert (desk.asked("/queues/a"), desk.asked("/queues/b")) == (1, 1)
        desk.poller.put(types_of("b"))
        await desk.clock.pass_by(0.15)
        assert desk.asked("/queues/b") == 1
        desk.poller.drop("types")
        desk.poller.drop("types")
        await desk.clock.pass_by(5.0)
        assert desk.asked("/queues/b") == 1
        assert list(desk.view.parts) == ["queues", "minutes"]

    polling(work)


def test_nothing_is_put_into_no_view() -> None:
    async def work(desk: Desk) -> None:
        desk.poller.put(types_of("a"))
        desk.poller.drop("types")
        desk.poller.wake()
        desk.poller.hide()
        await desk.clock.pass_by(10.0)
        assert desk.client.asked == []

    polling(work, parts=())


def test_what_was_shown_before_the_loop_began_is_polled() -> None:
    async def work() -> None:
        desk = Desk()
        desk.poller.show(desk.view, PARTS)
        loop = asyncio.create_task(desk.poller.run())
        await settled()
        assert desk.state() is PaneState.LIVE
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        again = asyncio.create_task(desk.poller.run())
        await settled()
        await desk.clock.pass_by(1.0)
        assert desk.asked() == 2
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)

    asyncio.run(work())


def test_what_is_no_refusal_ends_the_loop_loudly() -> None:
    async def work() -> None:
        desk = Desk()

        def broken(params: object, body: object) -> object:
            raise KeyError("a fault in the program")

        desk.client.route("GET", "/queues", broken)
        desk.poller.show(desk.view, PARTS)
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(desk.poller.run(), 5)
        assert caught.group_contains(KeyError)

    asyncio.run(work())


def test_a_thousand_random_turns_keep_one_request_and_the_right_rows() -> None:
    import random

    rng = random.Random(7)

    async def work(desk: Desk) -> None:
        names = ["a", "b"]
        shown = ""
        for _ in range(1_000):
            turn = rng.random()
            if turn < 0.2:
                shown = rng.choice(names)
                desk.client.slow[path("queues", shown)] = rng.choice([0.0, 0.3, 1.7])
                desk.view = View("prod", "queue", shown)
                desk.poller.show(desk.view, (types_of(shown), MINUTES))
            elif turn < 0.3:
                desk.client.down = rng.choice([None, AWAY])
            elif turn < 0.4:
                desk.poller.wake()
            elif turn < 0.45:
                desk.poller.hide()
            else:
                await desk.clock.pass_by(rng.choice([0.05, 0.5, 1.0, 5.0]))
            detail = desk.view.value("types", QueueDetail) if shown else None
            assert detail is None or detail.name == shown
            assert max(desk.client.open.values(), default=0) <= 1
        await settled()
        for name in names:
            assert desk.asked(f"/queues/{name}") > 20

    polling(work, parts=())
