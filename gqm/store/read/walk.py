"""Walks over all jobs that match a filter, the oldest first, in steps that a later call goes on from.

It is made for bulk actions: what has been met is not met again, while jobs come, go and change their places.
Jobs that have ended, run or wait for something come first, by time; then ready ones, queue by queue; then
failed ones, which only other programs make.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from gqm.errors import InvalidQuery
from gqm.job import Status
from gqm.store.command import Command, Word, call
from gqm.store.commands.read import scan_keys, server_time
from gqm.store.plan import Plan, ask
from gqm.store.read.match import JobFilter, Match
from gqm.store.read.names import queue_names
from gqm.store.read.scan import Budget, Hit, Scan, Source, pile
from gqm.store.read.sources import (
    MAX_WIDE,
    Gathered,
    Places,
    gather_deferred,
    gather_failed,
    gather_running,
    job_ids_of,
    key_pattern,
    look_at,
    needs_queues,
    places,
)
from gqm.store.scripts import script

if TYPE_CHECKING:
    from gqm.keys import Keys

MAX_LOOKED_AT = 100_000
"""Most jobs that one call looks at."""
MAX_S = 5.0
MAX_SEARCH = 100_000
"""How far from the tail a place in a ready list is looked for."""
SAMPLES = 5
_NEAR = 3
_SCANNED_AT_ONCE = 500


class _Timed(msgspec.Struct, frozen=True, tag="t", array_like=True):
    """Behind a job in the order of time."""

    time_s: float = 0.0
    id: str = ""


class _Ready(msgspec.Struct, frozen=True, tag="r", array_like=True):
    """Somewhere in a ready list."""

    queue: str = ""
    near: tuple[str, ...] = ()
    """The next jobs; some of them may be claimed before the place is looked for."""
    last: str = ""
    """The last one that was looked at."""


class _Failed(msgspec.Struct, frozen=True, tag="f", array_like=True):
    """Somewhere in the key space."""

    cursor: str = "0"
    last: str = ""
    """The last id that was met in the step that the cursor begins."""


_Place: TypeAlias = _Timed | _Ready | _Failed
_decode_place: Callable[[bytes], _Place] = msgspec.json.Decoder(_Place).decode
_encode_place = msgspec.json.Encoder().encode


class Step(NamedTuple):
    """What one call has met."""

    hits: list[Hit]
    next: str | None
    """Where the next call goes on; ``None`` = the end."""


def walk(keys: Keys, wanted: JobFilter, cursor: str | None, limit: int) -> Plan[Step]:
    """Return up to ``limit`` further jobs that match; ``cursor`` is the `Step.next` of the call before.

    A call looks at 100,000 jobs or for 5 s at most, and may return none although there are more. Raises
    `InvalidQuery`.
    """
    wanted.check()
    place: _Place | None = _Timed() if cursor is None else _read_cursor(cursor)
    queues = wanted.queue
    if needs_queues(wanted):
        queues = tuple((yield from queue_names(keys)).names)
    walker = _Walker(keys, wanted, sorted(queues))
    hits: list[Hit] = []
    while place is not None and len(hits) < limit and walker.budget.left:
        more, place = yield from walker.go_on(place, limit - len(hits))
        hits += more
    return Step(hits, None if place is None else _write_cursor(place))


def _read_cursor(text: str) -> _Place:
    try:
        return _decode_place(base64.urlsafe_b64decode(text.encode("ascii")))
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise InvalidQuery("cursor is none that a call before this one returned") from None


def _write_cursor(place: _Place) -> str:
    return base64.urlsafe_b64encode(_encode_place(place)).decode()


_Leg: TypeAlias = tuple[list[Hit], _Place | None]


class _Walker:
    """The walk of one call."""

    def __init__(self, keys: Keys, wanted: JobFilter, queues: Sequence[str]) -> None:
        self.budget = Budget(MAX_LOOKED_AT, MAX_S)
        self._keys = keys
        self._wanted = wanted
        self._queues = queues
        self._match = Match(wanted)
        self._states = wanted.statuses()

    def go_on(self, place: _Place, want: int) -> Plan[_Leg]:
        """Return at most ``want`` jobs behind a place, and the place behind them."""
        match place:
            case _Timed():
                return (yield from self._timed(place, want))
            case _Ready():
                return (yield from self._ready(place, want))
            case _Failed():
                return (yield from self._failed(place, want))

    def _timed(self, place: _Timed, want: int) -> Plan[_Leg]:
        begin = (place.time_s, place.id)
        since = max(place.time_s, self._wanted.since or 0.0)
        narrowed = msgspec.structs.replace(self._wanted, since=since)
        found = places(self._keys, narrowed, self._queues, MAX_WIDE)
        sources = [source for source in (*found.whole, *found.shared) if source.kind == "zset"]
        for gathered in (yield from gather_unordered(self._keys, found, self._match)):
            sources.append(pile([hit for hit in gathered.hits if (hit.time_s, hit.id) > begin], "asc"))
        scan = Scan(self._keys, sources, self._match, "asc", self.budget, resumable=True)
        hits: list[Hit] = []
        while len(hits) <= want and (more := (yield from scan.run())):
            hits += [hit for hit in more if (hit.time_s, hit.id) > begin]
        if scan.truncated:
            # What was found beyond will be found again from there.
            reached = max(begin, scan.reached or begin)
            hits = [hit for hit in hits if (hit.time_s, hit.id) <= reached]
        if len(hits) > want:
            return hits[:want], _Timed(hits[want - 1].time_s, hits[want - 1].id)
        return hits, _Timed(*reached) if scan.truncated else self._queue_from("")

    def _queue_from(self, name: str) -> _Place | None:
        """Return the begin of the first queue from a name on, or what comes behind all queues."""
        if Status.READY in self._states:
            for queue in self._queues:
                if queue >= name:
                    return _Ready(queue)
        return _Failed() if Status.FAILED in self._states else None

    def _ready(self, place: _Ready, want: int) -> Plan[_Leg]:
        key = self._keys.ready(place.queue)
        offset = yield from self._offset(key, place)
        source = Source(key, "list", frozenset((b"ready",)), offset=offset)
        scan = Scan(self._keys, [source], self._match, "asc", self.budget, resumable=True)
        hits: list[Hit] = []
        while len(hits) <= want and (more := (yield from scan.run())):
            hits += more
        if len(hits) > want:
            near = tuple(hit.id for hit in hits[want : want + _NEAR])
            return hits[:want], _Ready(place.queue, near, hits[want - 1].id)
        if scan.truncated:
            return hits, _Ready(place.queue, (), source.last[1] if source.last else place.last)
        return hits, self._queue_from(place.queue + "\0")

    def _offset(self, key: str, place: _Ready) -> Plan[int]:
        """Find a place again. If all that mark it are gone, what stood before them was claimed as well."""
        if not place.last:
            return 0
        marks = [*place.near, place.last]
        which, offset = yield from ask(_find_in_list(self._keys, key, marks))
        return offset + 1 if which == len(marks) else offset

    def _failed(self, place: _Failed, want: int) -> Plan[_Leg]:
        pattern = key_pattern(self._keys.job(""))
        step = yield from ask(scan_keys(pattern, place.cursor, _SCANNED_AT_ONCE))
        ids = sorted(job_id for job_id in job_ids_of(self._keys, step.names) if job_id > place.last)
        hits = yield from look_at(self._keys, ids, Status.FAILED, self._match, self.budget)
        if len(hits) > want:
            return hits[:want], _Failed(place.cursor, hits[want - 1].id)
        return hits, None if step.cursor == "0" else _Failed(step.cursor)


def _find_in_list(keys: Keys, key: str, ids: Sequence[str]) -> Command[tuple[int, int]]:
    """Find the first of some ids: which one it is, from 1, and how far from the tail; 0 = none is there."""
    args: tuple[Word, ...] = (keys.prefix, MAX_SEARCH, *ids)
    return call(script("find_in_list"), (key,), args, lambda raw: (int(raw[0]), int(raw[1])))


def gather_unordered(keys: Keys, found: Places, match: Match) -> Plan[list[Gathered]]:
    """Read running and deferred jobs, whose containers are not in the order of their times."""
    piles: list[Gathered] = []
    if found.running:
        budget = Budget(MAX_LOOKED_AT, MAX_S)
        piles.append((yield from gather_running(keys, found.running, match, budget)))
    if found.deferred:
        piles.append((yield from gather_deferred(keys, match, Budget(MAX_LOOKED_AT, MAX_S))))
    return piles


# ------------------------------------------------------------------------------------- looking ahead


class Survey(NamedTuple):
    """What an action on a filter would meet."""

    matched: int
    eligible: int
    """Those in a state that the action can change."""
    sample: list[str]
    """Some of those, the oldest."""
    truncated: bool
    """The numbers are lower bounds."""
    as_of: float
    """As ``until`` of the filter it keeps the action to the jobs that were met."""


def survey(keys: Keys, wanted: JobFilter, allowed: Collection[str]) -> Plan[Survey]:
    """Count the jobs that match, and those in an allowed state; 100,000 jobs or 5 s at most.

    Raises `InvalidQuery`.
    """
    wanted.check()
    now_s = yield from ask(server_time(keys))
    queues = wanted.queue
    if needs_queues(wanted):
        queues = tuple((yield from queue_names(keys)).names)
    match = Match(wanted)
    found = places(keys, wanted, queues, MAX_WIDE)
    piles = yield from gather_unordered(keys, found, match)
    budget = Budget(MAX_LOOKED_AT, MAX_S)
    if found.failed:
        piles.append((yield from gather_failed(keys, match, budget, MAX_LOOKED_AT)))
    sources = [*found.whole, *found.shared, *(pile(item.hits, "asc") for item in piles)]
    scan = Scan(keys, sources, match, "asc", budget)
    words = {state.encode() for state in allowed}
    matched, eligible = 0, 0
    sample: list[str] = []
    as_of = math.ceil(now_s * 1000) / 1000
    while more := (yield from scan.run()):
        fit = [hit for hit in more if hit.values[0] in words]
        matched += len(more)
        eligible += len(fit)
        sample += [hit.id for hit in fit[: SAMPLES - len(sample)]]
        # A job that waits for its time has one ahead, and that is what the filter tests.
        as_of = max([as_of, *(hit.time_s for hit in more if hit.values[0] in (b"scheduled", b"retry"))])
    truncated = scan.truncated or any(item.truncated for item in piles)
    return Survey(matched, eligible, sample, truncated, as_of)
