"""Walks over the containers of jobs in order of time, and finds those that match, within a budget."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from gqm.store.commands.read import MAX_HASHES, MAX_RANGE, Order, Range, Values, read_hashes, read_ranges
from gqm.store.plan import Plan, ask

if TYPE_CHECKING:
    from gqm.keys import Keys
    from gqm.store.read.match import Match

MAX_SCAN = 10_000
"""Most job hashes that a filter or a sort looks at."""
MAX_SCAN_S = 1.0


class Hit(NamedTuple):
    """A job that was found."""

    time_s: float
    """The list's time, see `Match.time_s`."""
    id: str
    values: Values
    """In the order of `Match.fields`."""


class Budget:
    """How many hashes may still be read, and until when."""

    def __init__(self, hashes: int = MAX_SCAN, seconds: float = MAX_SCAN_S) -> None:
        self.spent = 0
        self._hashes = hashes
        self._until = time.monotonic() + seconds

    @property
    def left(self) -> int:
        """Hashes that may still be read."""
        return 0 if time.monotonic() >= self._until else max(0, self._hashes - self.spent)


@dataclass(slots=True)
class Source:
    """One container of jobs and how far it has been read."""

    key: str
    kind: Literal["list", "zset"]
    states: frozenset[bytes]
    """States that a job of this container may be in; a job in another one is passed over."""
    shared: bool = False
    """Whether it holds the jobs of all queues."""
    by_score: bool = False
    """Whether the score is the list's time in every state."""
    least: str = "-inf"
    greatest: str = "+inf"
    offset: int = 0
    """Ids passed over so far."""
    ended: bool = False
    last: tuple[float, str] | None = None
    """Score and id of the last one looked at; only kept by a scan that can be resumed."""
    hits: deque[Hit] = field(default_factory=deque)


Met = tuple[Source, str, float]
"""An id as it was met: where, and with which score."""


class Scan:
    """Yields the matching jobs of all sources, merged by time.

    Each source keeps its own order: that of a ready list need not be the order of the times.
    """

    def __init__(
        self,
        keys: Keys,
        sources: Sequence[Source],
        match: Match,
        order: Order,
        budget: Budget,
        *,
        resumable: bool = False,
    ) -> None:
        self._keys = keys
        self._sources = sources
        self._match = match
        self._order = order
        self._budget = budget
        self._resumable = resumable
        self.truncated = False
        """Whether the budget ended before the sources did."""
        self.reached: tuple[float, str] | None = None
        """Then: up to which score and id everything has been looked at, if that is known."""

    def run(self, chunk: int = MAX_HASHES) -> Plan[list[Hit]]:
        """Return the next matching jobs in order; none = the end. About ``chunk`` more ids are looked at."""
        while True:
            hungry = [source for source in self._sources if not source.hits and not source.ended]
            if not hungry:
                return self._merge()
            if not self._budget.left:
                self._give_up()
                return self._merge()
            # What is left is shared out, so that each source is read about as far as the others.
            share = max(1, self._budget.left // len(hungry))
            yield from self._feed(hungry, min(share, max(16, chunk // len(hungry))))

    def _give_up(self) -> None:
        """Read no further; what has been found is still told."""
        self.truncated = True
        open_ones = [source for source in self._sources if not source.ended]
        places = [source.last for source in open_ones if source.last is not None]
        # If one of them has not been looked at all, nothing is certain.
        self.reached = min(places) if len(places) == len(open_ones) else None
        for source in open_ones:
            source.ended = True

    def _merge(self) -> list[Hit]:
        """Take hits in order, as long as every source that goes on has one to compare with."""
        rank = _oldest if self._order == "asc" else _newest
        heads = [(rank(source.hits[0]), at) for at, source in enumerate(self._sources) if source.hits]
        if len(heads) == 1:
            return _take_all(self._sources[heads[0][1]])
        heapq.heapify(heads)
        taken: list[Hit] = []
        while heads:
            _, at = heads[0]
            source = self._sources[at]
            taken.append(source.hits.popleft())
            if source.hits:
                heapq.heapreplace(heads, (rank(source.hits[0]), at))
            elif source.ended:
                heapq.heappop(heads)
            else:
                break
        return taken

    def _feed(self, hungry: Sequence[Source], count: int) -> Plan[None]:
        """Read on in sources that have no hit left."""
        count = min(count, MAX_RANGE)
        at_once = max(1, MAX_RANGE // count)
        for start in range(0, len(hungry), at_once):
            part = hungry[start : start + at_once]
            ranges = [self._range(source, count) for source in part]
            # Where a scan has come to can only be told if all ids are seen.
            holding = "" if self._resumable else self._match.wanted.q
            answers = yield from ask(read_ranges(self._keys, ranges, holding))
            met: list[Met] = []
            for source, found in zip(part, answers, strict=True):
                source.offset += found.looked_at
                source.ended = source.offset >= found.size or not found.looked_at
                met += [(source, *item) for item in found.ids]
            left = self._budget.left
            for source, _, _ in met[left:]:
                source.ended = False
            for first in range(0, min(left, len(met)), MAX_HASHES):
                yield from self._look(met[first : min(left, first + MAX_HASHES)])

    def _range(self, source: Source, count: int) -> Range:
        window = (source.least, source.greatest)
        return Range(source.key, source.kind, self._order, source.offset, count, *window)

    def _look(self, met: Sequence[Met]) -> Plan[None]:
        """Read the jobs behind ids, and keep those that match."""
        match = self._match
        names = [self._keys.job(job_id) for _, job_id, _ in met]
        rows = yield from ask(read_hashes(self._keys, names, match.fields))
        self._budget.spent += len(met)
        for (source, job_id, score), values in zip(met, rows, strict=True):
            source.last = (score, job_id)
            if values[0] not in source.states or not match.id_fits(job_id):
                continue
            if source.shared and not match.queue_fits(values):
                continue
            time_s = score if source.by_score else match.time_s(values, score)
            if match.fits(values) and match.time_fits(time_s):
                source.hits.append(Hit(time_s, job_id, values))


def _oldest(hit: Hit) -> tuple[float, str]:
    return hit.time_s, hit.id


def _newest(hit: Hit) -> tuple[float, str]:
    return -hit.time_s, ""


def _take_all(source: Source) -> list[Hit]:
    taken = list(source.hits)
    source.hits.clear()
    return taken


def in_order(hits: Sequence[Hit], order: Order) -> list[Hit]:
    """Sort hits by time, equal times by id."""
    return sorted(hits, key=lambda hit: (hit.time_s, hit.id), reverse=order == "desc")


def pile(hits: Sequence[Hit], order: Order) -> Source:
    """Return a source that has been read whole: its hits in order."""
    return Source("", "zset", frozenset(), ended=True, hits=deque(in_order(hits, order)))


def gather(scan: Scan) -> Plan[list[Hit]]:
    """Return all that a scan finds."""
    hits: list[Hit] = []
    while True:
        more = yield from scan.run()
        if not more:
            return hits
        hits += more
