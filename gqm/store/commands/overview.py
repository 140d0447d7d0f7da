"""Commands that read sizes and counters of queues, and what servers have claimed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gqm.store.command import Command, call, texts
from gqm.store.scripts import script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqm.keys import Keys

MAX_QUEUES = 100
"""Most queues of one call."""
MAX_CLAIM_SERVERS = 20
"""Most servers of one call."""


class Minute(NamedTuple):
    """Counters of one minute of one queue."""

    processed: int = 0
    failed: int = 0
    claimed: int = 0
    wait_ms: int = 0
    """Sum over the claimed jobs."""
    run_ms: int = 0
    """Sum over the ended jobs."""
    retried: int = 0
    skipped: int = 0


MINUTE_FIELDS = Minute._fields


class QueueSizes(NamedTuple):
    """One queue as it stands."""

    name: str
    paused: bool
    ready: int
    processing: int
    completed: int
    dead_letter: int
    canceled: int
    processed_total: int
    failed_total: int
    ready_since_ms: int | None
    """Since when the next job to run is ready (unix ms)."""
    last_minute: Minute


class Sizes(NamedTuple):
    """Answer of one call."""

    now_ms: int
    queues: list[QueueSizes]


def read_queues(keys: Keys, names: Sequence[str]) -> Command[Sizes]:
    """Read sizes and counters of up to 100 queues."""

    def read(raw: Any) -> Sizes:
        now_ms, rows = raw
        return Sizes(now_ms, [_sizes(name, row) for name, row in zip(names, rows, strict=True)])

    return call(script("read_queues"), (keys.paused,), (keys.prefix, *names), read)


def _sizes(name: str, row: list[Any]) -> QueueSizes:
    since_ms = None if row[8] is None else int(row[8])
    sizes: tuple[int, int, int, int, int, int, int] = tuple(row[1:8])
    return QueueSizes(name, bool(row[0]), *sizes, since_ms, read_minute(row[9]))


def read_minute(values: Sequence[bytes | None]) -> Minute:
    """Read counters in the order of the fields; what is no number counts as 0."""
    return Minute(*(int(value) if value and value.isdigit() else 0 for value in values))


def count_types(keys: Keys, queue: str, most: int = 1000) -> Command[dict[str, int]]:
    """Count the types of the next jobs of a queue."""

    def read(raw: Any) -> dict[str, int]:
        return dict(zip(texts(raw[::2]), raw[1::2], strict=True))

    return call(script("count_types"), (keys.ready(queue),), (keys.prefix, most), read)


class Waiting(NamedTuple):
    """One step of counting waiting jobs."""

    cursor: str
    """Where the next step goes on; empty = the end."""
    looked_at: int
    counts: list[tuple[str, str, int]]
    """Queue, state, number."""
    size: int
    """Waiting jobs in all."""


def count_scheduled(keys: Keys, cursor: str, limit: int = 500) -> Command[Waiting]:
    """Count scheduled and retried jobs by queue: one step."""
    return call(script("count_waiting"), (keys.scheduled,), (keys.prefix, "zset", cursor, limit), _waiting)


def count_deferred(keys: Keys, cursor: str, limit: int = 500) -> Command[Waiting]:
    """Count deferred jobs by queue: one step."""
    return call(script("count_waiting"), (keys.deferred,), (keys.prefix, "set", cursor, limit), _waiting)


def _waiting(raw: Any) -> Waiting:
    cursor, looked_at, flat, size = raw
    words = iter(flat)
    counts = [
        (q.decode("utf-8", "replace"), state.decode(), n)
        for q, state, n in zip(words, words, words, strict=True)
    ]
    return Waiting(cursor.decode(), looked_at, counts, size)


def read_claims(keys: Keys, server_ids: Sequence[str], most: int) -> Command[list[list[str]]]:
    """Read the ids of the jobs that up to 20 servers have claimed, the longest held first."""
    names = tuple(keys.claims(server) for server in server_ids)
    return call(script("read_claims"), names, (keys.prefix, most), lambda raw: [texts(ids) for ids in raw])
