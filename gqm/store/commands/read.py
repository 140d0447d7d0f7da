"""Commands that read parts of containers and fields of many hashes: the pieces that lists are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from gqm.store.command import Command, Word, call, texts
from gqm.store.scripts import script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqm.keys import Keys

MAX_HASHES = 500
"""Most hashes of one call."""
MAX_RANGE = 5000
"""Most ids of one call."""

Order = Literal["asc", "desc"]
"""``asc`` is oldest first, which in a ready list is the next to run."""

Values = tuple[bytes | None, ...]


def server_time(keys: Keys) -> Command[float]:
    """Return the clock of Redis in unix seconds."""
    return Command(("TIME",), lambda raw: int(raw[0]) + int(raw[1]) / 1e6)


@dataclass(frozen=True, slots=True)
class Range:
    """A part of a ready list, or of a zset within a window of scores."""

    key: str
    kind: Literal["list", "zset"]
    order: Order
    offset: int
    count: int
    least: str = "-inf"
    greatest: str = "+inf"


class Found(NamedTuple):
    """Answer for one range."""

    size: int
    """Ids in all; those within the scores."""
    looked_at: int
    ids: list[tuple[str, float]]
    """Id and score; the score of a list's id is 0."""


def read_ranges(keys: Keys, ranges: Sequence[Range], holding: str = "") -> Command[list[Found]]:
    """Read parts of several containers, together at most about 5000 ids; only ids with the text in them."""
    args: list[Word] = [keys.prefix, holding]
    for item in ranges:
        args += (item.kind, item.order, item.offset, item.count, item.least, item.greatest)

    def read(raw: Any) -> list[Found]:
        return [Found(size, looked_at, _scored(ids)) for size, looked_at, ids in raw]

    return call(script("read_ranges"), tuple(item.key for item in ranges), tuple(args), read)


def _scored(raw: list[bytes]) -> list[tuple[str, float]]:
    words = iter(raw)
    return [(name.decode("utf-8", "replace"), float(score)) for name, score in zip(words, words, strict=True)]


def read_hashes(keys: Keys, names: Sequence[str], fields: Sequence[str]) -> Command[list[Values]]:
    """Read the same fields of up to 500 hashes; a hash that is not there reads as nothing but ``None``."""
    nothing = (None,) * len(fields)

    def read(raw: Any) -> list[Values]:
        return [tuple(row) if row else nothing for row in raw]

    return call(script("read_hashes"), tuple(names), (keys.prefix, *fields), read)


class Row(NamedTuple):
    """What a list needs of one job."""

    values: Values
    """In the order of the fields asked for; empty for a key of a wrong type."""
    payload_bytes: int
    score: float | None
    """Deadline of a running job, due time of a waiting one."""
    lease: float | None
    """When the lease of its holder ends (unix seconds)."""
    pending: list[str]
    """Parents that it waits for."""


class Rows(NamedTuple):
    """Answer of one call."""

    now_s: float
    rows: list[Row]


def read_jobs(keys: Keys, job_ids: Sequence[str], fields: Sequence[str]) -> Command[Rows]:
    """Read up to 100 jobs for a list; the fields begin with ``status``, ``queue``, ``worker_id``."""
    args: tuple[Word, ...] = (keys.prefix, len(fields), *fields, *job_ids)

    def read(raw: Any) -> Rows:
        now_ms, rows = raw
        return Rows(
            now_ms / 1000,
            [Row(tuple(r[0]), r[1], to_float(r[2]), to_float(r[3]), texts(r[4])) for r in rows],
        )

    return call(script("read_jobs"), (keys.leases,), args, read)


def to_float(raw: bytes | None) -> float | None:
    """Read a score; ``None`` stays ``None``."""
    return None if raw is None else float(raw)


class Scanned(NamedTuple):
    """One step over a set or over the key space."""

    cursor: str
    """Where the next step goes on; ``"0"`` = the end."""
    names: list[str]


def scan_set(key: str, cursor: str, count: int) -> Command[Scanned]:
    """Read some members of a set."""
    return Command(("SSCAN", key, cursor, "COUNT", count), _scanned)


def scan_keys(pattern: str, cursor: str, count: int) -> Command[Scanned]:
    """Read some keys that match a glob pattern; about ``count`` keys of any name are looked at."""
    return Command(("SCAN", cursor, "MATCH", pattern, "COUNT", count), _scanned)


def _scanned(raw: Any) -> Scanned:
    return Scanned(raw[0].decode(), texts(raw[1]))


def set_size(key: str) -> Command[int]:
    """Return the number of members of a set."""
    return Command(("SCARD", key), int)


def lease_ends(keys: Keys) -> Command[dict[str, float]]:
    """Return when the lease of each server ends (unix seconds)."""
    return Command(("ZRANGE", keys.leases, 0, 9999, "WITHSCORES"), lambda raw: dict(_scored(raw)))


def is_queue(keys: Keys, queue: str) -> Command[bool]:
    """Tell whether a queue was ever used."""
    return Command(("SISMEMBER", keys.queues, queue), bool)
