"""Following the event stream: reconnecting, and saying that it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.events import Bye, Event, Hello, RedisEvent
from gqm_tui.core.follow import Follower
from tests.support.tui import FakeClient, FakeClock, settled

HELLO = Hello(server_time=1.0, version="1.0.0")


class Desk:
    """A follower at work, and what it told."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.client = FakeClient(self.clock)
        self.events: list[Event] = []
        self.lost: list[ApiError] = []
        self.follower = Follower(
            self.client,
            self.clock,
            {"events": ["job"]},
            on_event=self.events.append,
            on_lost=self.lost.append,
        )

    def is_lost(self) -> bool:
        return self.follower.lost is not None


def following(work: Callable[[Desk], Awaitable[None]]) -> None:
    async def both() -> None:
        desk = Desk()
        loop = asyncio.create_task(desk.follower.run())
        await settled()
        await work(desk)
        assert not loop.done()
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)

    asyncio.run(asyncio.wait_for(both(), 20))


def test_a_lost_stream_is_told_and_opened_again_after_three_seconds() -> None:
    async def work(desk: Desk) -> None:
        desk.client.emit(HELLO, RedisEvent(ts=1.0, up=False))
        await settled()
        assert len(desk.events) == 2
        assert desk.client.streams == [{"events": "job"}]
        silent = ApiError(Kind.TIMEOUT, text="no event for 40 s")
        desk.client.cut(silent)
        await settled()
        assert desk.lost == [silent]
        assert desk.is_lost()
        await desk.clock.pass_by(2.9)
        assert len(desk.client.streams) == 1
        await desk.clock.pass_by(0.1)
        assert len(desk.client.streams) == 2
        assert desk.is_lost()
        desk.client.emit(HELLO)
        await settled()
        assert not desk.is_lost()
        desk.client.cut()
        await settled()
        assert desk.lost[-1].sentence == "the event stream was cut"

    following(work)


def test_a_good_bye_is_an_event_and_the_end() -> None:
    async def work(desk: Desk) -> None:
        desk.client.emit(HELLO, Bye(reason="shutdown"))
        desk.client.cut()
        await settled()
        assert desk.events[-1] == Bye(reason="shutdown")
        assert desk.lost[0].sentence == "the server ended the event stream: shutdown"
        await desk.clock.pass_by(3.0)
        assert len(desk.client.streams) == 2

    following(work)


@pytest.mark.parametrize(
    ("error", "wait_s"),
    [
        (ApiError(Kind.REFUSED), 3.0),
        (ApiError(Kind.UNAVAILABLE, 503, "NOT_READY", retry_after=1.0), 3.0),
        (ApiError(Kind.UNAVAILABLE, 503, "NOT_READY", retry_after=9.0), 9.0),
        (ApiError(Kind.UNAVAILABLE, 503, "SERVER_BUSY", retry_after=1.0), 30.0),
        (ApiError(Kind.UNAUTHORIZED, 401), 30.0),
        (ApiError(Kind.NOT_FOUND, 404), 30.0),
    ],
)
def test_how_soon_it_is_tried_again_depends_on_the_reason(error: ApiError, wait_s: float) -> None:
    async def work(desk: Desk) -> None:
        desk.client.cut(error)
        await settled()
        assert desk.clock.next_wake_in == wait_s

    following(work)
