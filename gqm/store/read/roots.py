"""The roots of job graphs: jobs with children and no parent that is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import UNSET

from gqm.job import Job
from gqm.store.command import Command, Word, call
from gqm.store.commands.read import MAX_HASHES, read_hashes, scan_keys, to_float
from gqm.store.plan import Plan, ask
from gqm.store.read.jobs import list_rows, page_of
from gqm.store.read.listing import Listing, Window
from gqm.store.read.match import JobFilter, Match
from gqm.store.read.record import STALE_AFTER_S, to_int
from gqm.store.read.scan import Budget, Hit, Source
from gqm.store.read.sources import Gathered, key_pattern, score_window
from gqm.store.read.views import JobPage
from gqm.store.scripts import script

if TYPE_CHECKING:
    from gqm.keys import Keys

MAX_BELOW = 200
"""Most descendants of a root that are counted."""
AT_ONCE = 5
MAX_KEYS = 10_000
"""Most keys that are looked at for parents that only another program knows as such."""


def list_roots(
    keys: Keys,
    wanted: JobFilter,
    window: Window,
    *,
    rollup: bool = False,
    stale_after_s: float = STALE_AFTER_S,
) -> Plan[JobPage]:
    """Return one page of the roots that match, by the time at which they were made.

    Parents that another program made stand in no list: the key space is looked through for them within a
    bound, and the page is marked as truncated when that ended it. ``rollup`` counts the descendants by state.
    Raises `InvalidQuery`.
    """
    wanted.check()
    window.check()
    states = frozenset(status.encode() for status in wanted.statuses())
    known = Source(keys.dag_roots, "zset", states, True, True, *score_window(wanted))
    listing = Listing(keys, wanted, window)
    unknown = yield from _unlisted(keys, states, listing.match, listing.budget)
    if listing.reads_all or wanted.status or wanted.queue:
        part = yield from listing.filtered([known], [unknown])
    else:
        part = yield from listing.exact([known], [], [unknown])
    jobs, now_s = yield from list_rows(keys, [hit.id for hit in part.hits], stale_after_s)
    below = yield from _roll_up(keys, [job.id for job in jobs])
    views = [
        msgspec.structs.replace(
            job,
            child_count=item.child_count,
            rollup=item.counts if rollup else UNSET,
            rollup_truncated=True if rollup and item.truncated else UNSET,
        )
        for job, item in zip(jobs, below, strict=True)
    ]
    return page_of(part, window, views, now_s)


class _Below(NamedTuple):
    child_count: int
    truncated: bool
    counts: dict[str, int]


def _roll_up(keys: Keys, job_ids: Sequence[str]) -> Plan[list[_Below]]:
    found: list[_Below] = []
    for start in range(0, len(job_ids), AT_ONCE):
        part = job_ids[start : start + AT_ONCE]
        args: tuple[Word, ...] = (keys.prefix, MAX_BELOW, *part)
        found += yield from ask(call(script("roll_up"), (keys.job(part[0]),), args, _below))
    return found


def _below(raw: Any) -> list[_Below]:
    return [
        _Below(count, bool(cut), dict(zip((s.decode() for s in flat[::2]), flat[1::2], strict=True)))
        for count, cut, flat in raw
    ]


# ----------------------------------------------------------------------- parents of other programs


def _unlisted(keys: Keys, states: frozenset[bytes], match: Match, budget: Budget) -> Plan[Gathered]:
    """Look through the key space for parents that are in no list of roots."""
    begin, end = len(keys.job("")), len(keys.dependents("")) - len(keys.job(""))
    pattern = key_pattern(keys.job(""), keys.dependents("")[-end:])
    hits: list[Hit] = []
    cursor = "0"
    for _ in range(MAX_KEYS // 1000):
        step = yield from ask(scan_keys(pattern, cursor, 1000))
        ids = [name[begin:-end] for name in step.names]
        for start in range(0, len(ids), MAX_HASHES):
            hits += yield from _look(keys, ids[start : start + MAX_HASHES], states, match, budget)
        cursor = step.cursor
        if cursor == "0":
            break
    return Gathered(hits, len(hits), cursor != "0")


def _look(
    keys: Keys, ids: Sequence[str], states: frozenset[bytes], match: Match, budget: Budget
) -> Plan[list[Hit]]:
    """Return those parents that match, are no listed roots, and have no parent that is kept."""
    places = yield from ask(_scores(keys, ids))
    ids = [job_id for job_id, place in zip(ids, places, strict=True) if place is None]
    if not ids:
        return []
    names = [keys.job(job_id) for job_id in ids]
    rows = yield from ask(read_hashes(keys, names, match.fields))
    origins = yield from ask(read_hashes(keys, names, ("created_at", "depends_on")))
    budget.spent += len(ids)
    above = [Job({b"depends_on": depends_on or b""}).depends_on for _, depends_on in origins]
    kept = yield from _kept(keys, [parent for parents in above for parent in parents])
    hits: list[Hit] = []
    for job_id, values, (created_at, _), parents in zip(ids, rows, origins, above, strict=True):
        time_s = float(to_int(created_at) or 0)
        fits = values[0] in states and match.queue_fits(values) and match.fits(values)
        if fits and match.id_fits(job_id) and match.time_fits(time_s) and kept.isdisjoint(parents):
            hits.append(Hit(time_s, job_id, values))
    return hits


def _kept(keys: Keys, job_ids: Sequence[str]) -> Plan[set[str]]:
    """Return those of the jobs that are still there."""
    ids = list(dict.fromkeys(job_ids))
    kept: set[str] = set()
    for start in range(0, len(ids), MAX_HASHES):
        part = ids[start : start + MAX_HASHES]
        rows = yield from ask(read_hashes(keys, [keys.job(job_id) for job_id in part], ("status",)))
        kept.update(job_id for job_id, (status,) in zip(part, rows, strict=True) if status is not None)
    return kept


def _scores(keys: Keys, ids: Sequence[str]) -> Command[list[float | None]]:
    """Return the places of ids among the roots."""
    return Command(("ZMSCORE", keys.dag_roots, *ids), lambda raw: [to_float(score) for score in raw])
