"""One page of a list of jobs: merged from exact containers, or filtered and sorted within a budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gqm.errors import InvalidQuery
from gqm.store.commands.read import Order, Range, read_ranges
from gqm.store.plan import Plan, ask
from gqm.store.read.match import JobFilter, Match
from gqm.store.read.record import to_int
from gqm.store.read.scan import Budget, Hit, Scan, Source, gather, pile
from gqm.store.read.sources import Gathered, sort_of

if TYPE_CHECKING:
    from gqm.keys import Keys

MAX_LIMIT = 100
MAX_DEPTH = 1_000_000
"""Furthest place in a list that a page reaches."""
MAX_MERGED = 10_000
"""The same where several containers are merged, or a filter reads jobs."""
CHUNK = 1000
CHUNK_OF_IDS = 5000
"""Ids that are looked at in one step; more where most are passed over by their id alone."""
SORTS = ("time", "id", "type", "created_at", "retry_count", "execution_duration")


class Window(NamedTuple):
    """Which part of a list is wanted, and how it is sorted."""

    page: int = 1
    limit: int = 20
    sort: str = "time"
    order: str = "desc"
    """``desc``: newest or largest first."""

    @property
    def start(self) -> int:
        """Place of the first item, from 0."""
        return (self.page - 1) * self.limit

    @property
    def end(self) -> int:
        """Place behind the last item."""
        return self.page * self.limit

    def check(self, sorts: Sequence[str] = SORTS) -> None:
        """Raise `InvalidQuery` naming what is out of its range."""
        if not 1 <= self.limit <= MAX_LIMIT:
            raise InvalidQuery(f"limit must be 1 to {MAX_LIMIT}, not {self.limit}")
        if self.page < 1 or self.end > MAX_DEPTH:
            raise InvalidQuery(f"page must be at least 1, and page × limit at most {MAX_DEPTH:,}")
        if self.sort not in sorts:
            raise InvalidQuery(f"sort must be one of {', '.join(sorts)}, not {self.sort!r}")
        sort_of(self.order)


class Part(NamedTuple):
    """The jobs of a page, and what is known of the whole list."""

    hits: list[Hit]
    total: int
    truncated: bool
    scanned: int | None
    """Hashes that were read for a filter or a sort."""


class Listing:
    """One list on its way: its filter, the page that is wanted, and what it may cost."""

    def __init__(self, keys: Keys, wanted: JobFilter, window: Window) -> None:
        self.match = Match(wanted, (window.sort,) if window.sort not in ("time", "id") else ())
        self.budget = Budget()
        self._keys = keys
        self._wanted = wanted
        self._window = window
        self._order: Order = sort_of(window.order)

    @property
    def reads_all(self) -> bool:
        """Whether the filter or the sort takes reading every job, whatever container it is in."""
        return bool(self.match.reads_hashes or self._wanted.q or self._window.sort != "time")

    def exact(
        self, whole: Sequence[Source], shared: Sequence[Source], piles: Sequence[Gathered]
    ) -> Plan[Part]:
        """Merge containers up to the page: their sizes are the total; shared ones are read first."""
        piles = list(piles)
        if shared:
            scan = Scan(self._keys, shared, self.match, "desc", self.budget)
            hits = yield from gather(scan)
            piles.append(Gathered(hits, len(hits), scan.truncated))
        total = sum(item.total for item in piles)
        ranges = [Range(s.key, s.kind, self._order, 0, 0, s.least, s.greatest) for s in whole]
        if ranges:
            sizes = yield from ask(read_ranges(self._keys, ranges))
            total += sum(found.size for found in sizes)
        filled = [pile(item.hits, self._order) for item in piles if item.hits]
        hits = yield from self._walk([*whole, *filled])
        scanned = self.budget.spent if piles else None
        return Part(hits, total, any(item.truncated for item in piles), scanned)

    def filtered(self, sources: Sequence[Source], piles: Sequence[Gathered]) -> Plan[Part]:
        """Read everything within the budget, the newest first, then sort."""
        merged = [*sources, *(pile(item.hits, "desc") for item in piles)]
        scan = Scan(self._keys, merged, self.match, "desc", self.budget)
        chunk = CHUNK_OF_IDS if self._wanted.q else CHUNK
        hits: dict[str, Hit] = {}
        while more := (yield from scan.run(chunk)):
            hits.update((hit.id, hit) for hit in more)
        window = self._window
        ordered = self._sorted(list(hits.values()))
        truncated = scan.truncated or any(item.truncated for item in piles)
        return Part(ordered[window.start : window.end], len(ordered), truncated, self.budget.spent)

    def _sorted(self, hits: list[Hit]) -> list[Hit]:
        if self._window.sort == "time":
            return hits if self._order == "desc" else hits[::-1]
        return sorted(hits, key=self._sort_key(), reverse=self._order == "desc")

    def _sort_key(self) -> Callable[[Hit], tuple[Any, ...]]:
        name, value = self._window.sort, self.match.value
        if name == "id":
            return lambda hit: (hit.id,)
        if name == "type":
            return lambda hit: (value(hit.values, name) or b"", hit.time_s, hit.id)
        return lambda hit: (to_int(value(hit.values, name)) or 0, hit.time_s, hit.id)

    def _walk(self, sources: Sequence[Source]) -> Plan[list[Hit]]:
        """Return the hits of the page; ids without a job are passed over, also before it."""
        window = self._window
        start = window.start
        if window.end > MAX_MERGED:
            if len(sources) > 1:
                raise InvalidQuery(
                    f"page × limit can be at most {MAX_MERGED:,} over several states or queues; name one"
                )
            # So far down nobody counts which ids before the page are gone.
            if sources and not sources[0].ended:
                sources[0].offset, start = start, 0
        scan = Scan(self._keys, sources, self.match, self._order, Budget(4 * MAX_MERGED, 5.0))
        end = start + window.limit
        hits: dict[str, Hit] = {}
        while len(hits) < end:
            more = yield from scan.run(min(CHUNK, max(32, end - len(hits))))
            if not more:
                break
            hits.update((hit.id, hit) for hit in more)
        return list(hits.values())[start:end]
