"""The event stream: cutting it into events, and losing it."""

from __future__ import annotations

import pytest

from gqm_tui.core import events
from gqm_tui.core.client import HttpClient
from gqm_tui.core.errors import ApiError, Kind
from tests.support.tui_http import CUT, SILENCE, Pretended, answer
from tests.support.wait import aeventually
from tests.tui.talking import KEY, talk

# -- events


def stream(*lines: str) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    return head + "".join(lines).encode()


HELLO = 'retry: 3000\n\nid: 1\nevent: hello\ndata: {"server_time":5.5,"version":"1.0.0"}\n\n'
BYE = 'id: 9\nevent: bye\ndata: {"reason":"shutdown"}\n\n'


async def collect(client: HttpClient, into: list[events.Event]) -> ApiError | None:
    try:
        async for event in client.events({"queue": ["a", "b"]}):
            into.append(event)
    except ApiError as exc:
        return exc
    return None


def test_events_come_as_values_and_unknown_ones_are_passed_over() -> None:
    job_line = (
        'id: 2\r\nevent: job\r\ndata: {"ts":1.5,"job_id":"x","queue":"a","from":"ready","to":"retry",'
        '"error":"a\u2028b\u0085c"}\r\n\r\n'
    )

    async def follow(client: HttpClient, server: Pretended) -> list[events.Event]:
        seen: list[events.Event] = []
        assert await collect(client, seen) is None
        assert server.heads[0].startswith("GET /api/v1/events?queue=a%2Cb ")
        assert server.field("X-API-Key") == KEY
        return seen

    seen = talk(
        follow,
        stream(HELLO, ":\n\n", job_line, "event: novel\ndata: {}\n\n", BYE) + SILENCE,
        api_key=KEY,
    )
    assert seen == [
        events.Hello(server_time=5.5, version="1.0.0"),
        events.JobEvent(ts=1.5, job_id="x", queue="a", was="ready", to="retry", error="a\u2028b\u0085c"),
        events.Bye(reason="shutdown"),
    ]


def test_a_silent_stream_is_lost() -> None:
    async def follow(client: HttpClient, _: Pretended) -> ApiError | None:
        seen: list[events.Event] = []
        error = await collect(client, seen)
        assert len(seen) == 1
        return error

    error = talk(follow, stream(HELLO) + SILENCE, silence_s=0.1)
    assert error is not None
    assert error.kind is Kind.TIMEOUT
    assert error.sentence.endswith("no event for 0.1 s")


def test_a_stream_that_ends_without_a_word_is_lost() -> None:
    async def follow(client: HttpClient, _: Pretended) -> ApiError | None:
        return await collect(client, [])

    error = talk(follow, stream(HELLO) + CUT)
    assert error is not None
    assert (error.kind, error.sentence) == (Kind.REFUSED, "the event stream was cut")


def test_a_refused_stream_is_told_by_its_code() -> None:
    async def follow(client: HttpClient, _: Pretended) -> ApiError | None:
        return await collect(client, [])

    body = b'{"error":"there are 16 event streams already","code":"SERVER_BUSY"}'
    error = talk(follow, answer(body, "503 Service Unavailable", "Retry-After: 1"))
    assert error is not None
    assert (error.kind, error.code, error.retry_after) == (Kind.UNAVAILABLE, "SERVER_BUSY", 1.0)


def test_leaving_a_stream_frees_its_connection() -> None:
    async def follow(client: HttpClient, server: Pretended) -> None:
        found = client.events()
        assert isinstance(await anext(found), events.Hello)
        await found.aclose()
        await aeventually(lambda: not server.open)

    talk(follow, stream(HELLO) + SILENCE)


def test_a_wrong_event_is_named() -> None:
    with pytest.raises(ApiError, match=r"event job: .*missing required field"):
        events.decode_event("job", b"{}")
    with pytest.raises(ApiError, match="event stats: "):
        events.decode_event("stats", b"\xff")
    assert events.decode_event("novel", b"\xff") is None


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_events_are_cut_the_same_wherever_their_pieces_end(end: str) -> None:
    text = "data: a\nevent: one\ndata: b\n\n:x\n\nevent: two\n\nevent: three\ndata:c\nid: 7\n\nx"
    raw = text.replace("\n", end).encode()
    for size in (1, 2, 3, 7, len(raw)):
        lines = events.EventLines()
        pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
        found = [event for piece in pieces for event in lines.feed(piece)]
        assert found == [("one", b"a\nb"), ("three", b"c")], size


@pytest.mark.parametrize("line", [b"data: " + b"x" * 994, b"data: " + b"x" * 993 + b"\n"])
def test_an_event_without_end_is_given_up(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_PIECE", 10_000)
    lines = events.EventLines()
    for _ in range(10):
        assert list(lines.feed(line)) == []
    with pytest.raises(ApiError, match="without an end"):
        list(lines.feed(line))
