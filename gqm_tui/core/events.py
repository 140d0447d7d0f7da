"""The event stream: its bytes cut into events, and the events as values."""

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import msgspec

from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.model import Model, Stats

MAX_PIECE = 1_048_576
"""Bytes that an unfinished event may have; one is small, and memory is not for guests."""
_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")


class Hello(Model, frozen=True, kw_only=True):
    """A stream begins; what was missed is not sent again."""

    server_time: float
    version: str


class JobEvent(Model, frozen=True, kw_only=True):
    """A job changed its state."""

    ts: float
    job_id: str
    queue: str
    type: str | None = None
    was: str | None = msgspec.field(name="from", default=None)
    """``None`` for a new job."""
    to: str
    """A state, or ``deleted``."""
    worker_id: str | None = None
    retry_count: int | None = None
    duration_ms: int | None = None
    error: str | None = None


class QueueEvent(Model, frozen=True, kw_only=True):
    """Somebody acted on a queue."""

    ts: float
    queue: str
    action: str
    count: int | None = None


class CronEvent(Model, frozen=True, kw_only=True):
    """A cron entry fired or was changed."""

    ts: float
    cron_id: str
    action: str
    job_id: str | None = None


class ServerEvent(Model, frozen=True, kw_only=True):
    """A server came or went."""

    ts: float
    server_id: str
    action: str


class Dropped(Model, frozen=True, kw_only=True):
    """Events were left out, so many if it is known."""

    ts: float
    count: int | None = None


class RedisEvent(Model, frozen=True, kw_only=True):
    """Redis went away or came back."""

    ts: float
    up: bool


class Bye(Model, frozen=True, kw_only=True):
    """The server ends the stream."""

    reason: str


Event: TypeAlias = (
    Hello | JobEvent | QueueEvent | CronEvent | ServerEvent | Stats | Dropped | RedisEvent | Bye
)

KINDS: Mapping[str, type[Event]] = {
    "hello": Hello,
    "job": JobEvent,
    "queue": QueueEvent,
    "cron": CronEvent,
    "server": ServerEvent,
    "stats": Stats,
    "dropped": Dropped,
    "redis": RedisEvent,
    "bye": Bye,
}


def decode_event(name: str, data: bytes) -> Event | None:
    """Return an event, ``None`` for a kind that is not known here. Raises `ApiError` (protocol)."""
    kind = KINDS.get(name)
    if kind is None:
        return None
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise ApiError(Kind.PROTOCOL, text=f"event {name}: {exc}") from exc


class EventLines:
    """Cuts the bytes of a ``text/event-stream`` into events, wherever the pieces end.

    Only bytes are looked at: JSON may hold characters that a text reader takes for line ends.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield name and data of each event that a piece completes. Raises `ApiError` for an endless one."""
        *lines, self._rest = _LINE_END.split(self._rest + piece)
        for line in lines:
            if line:
                self._take(line)
            elif self._data:
                name, data = self._name, b"\n".join(self._data)
                self._name, self._data, self._size = "", [], 0
                yield name, data
        if len(self._rest) + self._size > MAX_PIECE:
            raise ApiError(Kind.PROTOCOL, text="the event stream sends one event without an end")

    def _take(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            self._name = value.decode("utf-8", "replace")
        elif field == b"data":
            self._data.append(value)
            self._size += len(value)
