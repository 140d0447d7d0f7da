"""Failed jobs in groups of one kind: the same error but for ids, quoted texts and numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from gqm.errors import InvalidQuery
from gqm.job import Status
from gqm.store.commands.read import server_time
from gqm.store.plan import Plan, ask
from gqm.store.read.listing import Window
from gqm.store.read.match import JobFilter, Match, fingerprint, template
from gqm.store.read.names import queue_names
from gqm.store.read.record import error_type, to_int
from gqm.store.read.scan import MAX_SCAN, Budget, Hit, Scan, gather
from gqm.store.read.sources import MAX_WIDE, gather_failed, needs_queues, places
from gqm.store.read.views import Page, View

if TYPE_CHECKING:
    from gqm.keys import Keys

SORTS = ("count", "last", "first", "recent_5m")
STATES = frozenset({Status.DEAD_LETTER, Status.RETRY, Status.FAILED})
MAX_SHOWN = 10
"""Most types and queues that are named of a group."""
STEP_S = 300
STEPS = 12


class FailedGroup(View, frozen=True, kw_only=True):
    """Jobs that failed in one way."""

    fingerprint: str
    error: str
    """What their errors have in common."""
    error_type: str
    """Empty when the error does not begin with one."""
    count: int
    recent_5m: int
    hour: Sequence[int]
    """Failures in each 5 minutes of the last hour, oldest first."""
    first: int
    last: int
    types: Sequence[str]
    types_total: int
    queues: Sequence[str]
    queues_total: int
    sample_id: str
    """The newest of them."""


class _Group:
    """A group while jobs are being put into it."""

    def __init__(self, error: str, newest: Hit, failed_s: float) -> None:
        self.error = error
        self.sample_id = newest.id
        self.count = 0
        self.first = self.last = failed_s
        self.hour = [0] * STEPS
        self.types: dict[str, int] = {}
        self.queues: dict[str, int] = {}

    def add(self, failed_s: float, now_s: float, job_type: str, queue: str) -> None:
        self.count += 1
        self.first, self.last = min(self.first, failed_s), max(self.last, failed_s)
        age = int(max(0.0, now_s - failed_s)) // STEP_S
        if age < STEPS:
            self.hour[STEPS - 1 - age] += 1
        self.types[job_type] = self.types.get(job_type, 0) + 1
        self.queues[queue] = self.queues.get(queue, 0) + 1

    def view(self) -> FailedGroup:
        return FailedGroup(
            fingerprint=fingerprint(self.error),
            error=template(self.error),
            error_type=error_type(template(self.error)) or "",
            count=self.count,
            recent_5m=self.hour[-1],
            hour=self.hour,
            first=int(self.first),
            last=int(self.last),
            types=_most(self.types),
            types_total=len(self.types),
            queues=_most(self.queues),
            queues_total=len(self.queues),
            sample_id=self.sample_id,
        )


def list_failed_groups(keys: Keys, wanted: JobFilter, window: Window) -> Plan[Page[FailedGroup]]:
    """Return one page of the groups of failed jobs; without a state, of the dead letters.

    At most 10,000 jobs or one second are looked at, the newest first. Times are when the jobs died; those of
    jobs that will be retried are when the run that failed began. Raises `InvalidQuery`.
    """
    wanted = wanted if wanted.status else msgspec.structs.replace(wanted, status=(Status.DEAD_LETTER,))
    wanted.check()
    window.check(SORTS)
    if not set(wanted.statuses()) <= STATES:
        raise InvalidQuery(f"status must be one of {', '.join(sorted(STATES))} here")
    # The window of times is tested here: the due time of a retry says nothing about its failure.
    match = Match(msgspec.structs.replace(wanted, since=None, until=None), _FIELDS)
    budget = Budget()
    hits, truncated = yield from _read(keys, wanted, match, budget)
    now_s = yield from ask(server_time(keys))
    groups = _groups(hits, wanted, match, now_s)
    ordered = sorted(groups, key=_sort_key(window.sort), reverse=window.order == "desc")
    return Page(
        items=ordered[window.start : window.end],
        page=window.page,
        limit=window.limit,
        total=len(ordered),
        truncated=truncated,
        scanned=budget.spent,
        server_time=now_s,
    )


_FIELDS = ("type", "error", "started_at")


def _read(keys: Keys, wanted: JobFilter, match: Match, budget: Budget) -> Plan[tuple[list[Hit], bool]]:
    queues = wanted.queue
    if needs_queues(wanted):
        queues = tuple((yield from queue_names(keys)).names)
    timed = wanted
    if Status.RETRY in wanted.statuses():
        timed = msgspec.structs.replace(wanted, since=None, until=None)
    found = places(keys, timed, queues, MAX_WIDE)
    scan = Scan(keys, [*found.whole, *found.shared], match, "desc", budget)
    hits = yield from gather(scan)
    truncated = scan.truncated
    if found.failed:
        failed = yield from gather_failed(keys, match, budget, MAX_SCAN)
        hits += failed.hits
        truncated = truncated or failed.truncated
    return hits, truncated


def _groups(hits: Sequence[Hit], wanted: JobFilter, match: Match, now_s: float) -> list[FailedGroup]:
    window = Match(wanted)
    groups: dict[str, _Group] = {}
    for hit in sorted(hits, key=lambda hit: _failed_s(hit, match), reverse=True):
        failed_s = _failed_s(hit, match)
        if not window.time_fits(failed_s):
            continue
        error = _text(match.value(hit.values, "error"))
        group = groups.setdefault(template(error), _Group(error, hit, failed_s))
        group.add(failed_s, now_s, _text(match.value(hit.values, "type")), _text(hit.values[1]) or "default")
    return [group.view() for group in groups.values()]


def _failed_s(hit: Hit, match: Match) -> float:
    if hit.values[0] == b"retry":
        return float(to_int(match.value(hit.values, "started_at")) or 0)
    return hit.time_s


def _sort_key(name: str) -> Callable[[FailedGroup], tuple[int, int, str]]:
    return lambda group: (getattr(group, name), group.last, group.fingerprint)


def _most(counts: dict[str, int]) -> list[str]:
    return sorted(counts, key=lambda name: (-counts[name], name))[:MAX_SHOWN]


def _text(raw: bytes | None) -> str:
    return raw.decode("utf-8", "replace") if raw else ""
