"""Failed jobs in groups of one kind: the same error but for ids, quoted texts and numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

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
    """The same for the same kind of failure; a filter of job lists."""
    error: str
    """What their errors have in common."""
    error_type: str
    """Empty when the error does not begin with one."""
    count: int
    recent_5m: int
    """Of the last 5 minutes."""
    hour: Sequence[int]
    """Failures in each 5 minutes of the last hour, oldest first."""
    first: int
    """Oldest of them."""
    last: int
    """Newest of them."""
    types: Sequence[str]
    """At most 10, the most frequent first."""
    types_total: int
    queues: Sequence[str]
    """At most 10, the most frequent first."""
    queues_total: int
    sample_id: str
    """The newest of them."""


class _Failure(NamedTuple):
    """A job that failed, and when."""

    at: float
    hit: Hit


class _Group(NamedTuple):
    """Failures of one kind, the newest first."""

    template: str
    failures: list[_Failure]

    def hour(self, now_s: float) -> list[int]:
        """Return how many there were in each 5 minutes of the last hour, oldest first."""
        counts = [0] * STEPS
        for failure in self.failures:
            step = int(max(0.0, now_s - failure.at)) // STEP_S
            if step >= STEPS:
                break
            counts[STEPS - 1 - step] += 1
        return counts

    def view(self, match: Match, now_s: float) -> FailedGroup:
        newest, hour = self.failures[0], self.hour(now_s)
        types = Counter(_text(match.value(hit.values, "type")) for _, hit in self.failures)
        queues = Counter(_text(hit.values[1]) or "default" for _, hit in self.failures)
        return FailedGroup(
            fingerprint=fingerprint(_error(newest.hit, match)),
            error=self.template,
            error_type=error_type(self.template) or "",
            count=len(self.failures),
            recent_5m=hour[-1],
            hour=hour,
            first=int(self.failures[-1].at),
            last=int(newest.at),
            types=_most(types),
            types_total=len(types),
            queues=_most(queues),
            queues_total=len(queues),
            sample_id=newest.hit.id,
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
    groups = _groups(hits, wanted, match)
    ordered = sorted(groups, key=_sort_key(window.sort, now_s), reverse=window.order == "desc")
    return Page(
        items=[group.view(match, now_s) for group in ordered[window.start : window.end]],
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


def _groups(hits: Sequence[Hit], wanted: JobFilter, match: Match) -> list[_Group]:
    window = Match(wanted)
    found = [_Failure(_failed_s(hit, match), hit) for hit in hits]
    groups: dict[str, list[_Failure]] = {}
    for failure in sorted(found, key=lambda item: item.at, reverse=True):
        if window.time_fits(failure.at):
            groups.setdefault(template(_error(failure.hit, match)), []).append(failure)
    return [_Group(kind, failures) for kind, failures in groups.items()]


def _error(hit: Hit, match: Match) -> str:
    return _text(match.value(hit.values, "error"))


def _failed_s(hit: Hit, match: Match) -> float:
    if hit.values[0] == b"retry":
        return float(to_int(match.value(hit.values, "started_at")) or 0)
    return hit.time_s


def _sort_key(name: str, now_s: float) -> Callable[[_Group], tuple[float, float, str]]:
    values: dict[str, Callable[[_Group], float]] = {
        "count": lambda group: len(group.failures),
        "last": lambda group: group.failures[0].at,
        "first": lambda group: group.failures[-1].at,
        "recent_5m": lambda group: group.hour(now_s)[-1],
    }
    value = values[name]
    return lambda group: (value(group), group.failures[0].at, group.template)


def _most(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda name: (-counts[name], name))[:MAX_SHOWN]


def _text(raw: bytes | None) -> str:
    return raw.decode("utf-8", "replace") if raw else ""
