"""Queues as people see them: sizes, ages and rates; and the sums over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from gqm.store.commands.overview import (
    MAX_QUEUES,
    Minute,
    QueueSizes,
    Waiting,
    count_deferred,
    count_scheduled,
    count_types,
    read_queues,
)
from gqm.store.commands.read import is_queue
from gqm.store.plan import Plan, ask
from gqm.store.read.names import queue_names
from gqm.store.read.servers import Fleet, read_fleet
from gqm.store.read.views import View

if TYPE_CHECKING:
    from gqm.keys import Keys

MAX_LISTED = 1000
"""Most queues of a list."""
MAX_COUNTED = 20_000
"""Most waiting jobs that are counted by queue."""
MAX_TYPES = 10


class TypeCount(View, frozen=True, kw_only=True):
    """Ready jobs of one type."""

    type: str
    ready: int


class QueueView(View, frozen=True, kw_only=True):
    """A queue. ``None`` means that it cannot be told."""

    name: str
    paused: bool
    """Nothing of it is started."""
    ready: int
    processing: int
    scheduled: int
    """At most 5 s old, as the next two."""
    retry: int
    """Will run again after a failure."""
    deferred: int
    """Wait for other jobs."""
    completed: int
    """Still kept."""
    dead_letter: int
    """Failed for good, still kept."""
    canceled: int
    """With the stopped ones."""
    counts_truncated: bool | UnsetType = UNSET
    """Set when so many jobs wait that not all were counted by queue."""
    processed_total: int
    """Completed since ever."""
    failed_total: int
    """Failed for good since ever."""
    oldest_age_ms: int | None
    """How long the next job to run has been ready."""
    in_per_min: float | None = None
    """See `with_growth`."""
    out_per_min: float | None
    """Jobs that ended in the last full minute."""
    failed_per_min: float | None
    """Of them failed for good."""
    wait_avg_ms: int | None
    """Mean over the jobs that were claimed in the last full minute."""
    run_avg_ms: int | None
    """Mean over the jobs that ended in the last full minute."""
    drain_ms: int | None = None
    """Time until nothing is ready at the present rates; see `with_growth`."""
    priority: int | None = None
    """From the configuration; filled in by who knows it."""
    pools: Sequence[str]
    """Ids of the live pools that read it."""
    by_type: Sequence[TypeCount] | UnsetType = UNSET
    """The ten most frequent types of the first 1,000 ready jobs; where one queue is asked for."""


class QueueList(NamedTuple):
    """All queues, as far as they are listed."""

    queues: list[QueueView]
    total: int
    truncated: bool
    server_time: float


class Census(NamedTuple):
    """Waiting jobs by queue and state. Counting takes a while; an answer may be used for some seconds."""

    counts: Mapping[str, Mapping[str, int]]
    """Queue → state (scheduled, retry, deferred) → number."""
    truncated: bool
    scheduled: int
    """Scheduled and retried jobs in all."""
    deferred: int
    """Deferred jobs in all."""

    def of(self, queue: str, state: str) -> int:
        """Return the number of jobs of a queue that wait in a state."""
        return self.counts.get(queue, {}).get(state, 0)

    def sum(self, state: str) -> int:
        """Return the number of jobs that wait in a state."""
        return sum(states.get(state, 0) for states in self.counts.values())


def take_census(keys: Keys, most: int = MAX_COUNTED) -> Plan[Census]:
    """Count waiting jobs by queue and state; at most 20,000 of them are looked at."""
    counts: dict[str, dict[str, int]] = {}
    sizes: list[int] = []
    looked_at = 0
    truncated = False
    for count in (count_scheduled, count_deferred):
        step = yield from ask(count(keys, ""))
        sizes.append(step.size)
        while True:
            looked_at += step.looked_at
            _add(counts, step)
            if not step.cursor:
                break
            if looked_at >= most:
                truncated = True
                break
            step = yield from ask(count(keys, step.cursor))
    scheduled, deferred = sizes
    return Census(counts, truncated, scheduled, deferred)


def _add(counts: dict[str, dict[str, int]], step: Waiting) -> None:
    for queue, state, number in step.counts:
        states = counts.setdefault(queue, {})
        states[state] = states.get(state, 0) + number


def list_queues(
    keys: Keys,
    *,
    census: Census | None = None,
    fleet: Fleet | None = None,
    holding: str = "",
    most: int = MAX_LISTED,
) -> Plan[QueueList]:
    """Return all queues by name, at most 1,000 if nothing else is said; ``holding`` is a part of their names.

    A census and a fleet that were read some seconds ago may be handed in.
    """
    found = yield from queue_names(keys)
    names = [name for name in found.names if holding in name]
    listed = names[:most]
    census = census or (yield from take_census(keys))
    fleet = fleet or (yield from read_fleet(keys))
    sizes, now_ms = yield from _read_sizes(keys, listed)
    queues = [_view(item, now_ms, census, fleet) for item in sizes]
    return QueueList(queues, len(names), not found.complete or len(listed) < len(names), now_ms / 1000)


def get_queue(
    keys: Keys, name: str, *, census: Census | None = None, fleet: Fleet | None = None
) -> Plan[QueueView | None]:
    """Return one queue with the types of its next jobs; ``None`` if there is none of that name."""
    if not (yield from ask(is_queue(keys, name))):
        return None
    census = census or (yield from take_census(keys))
    fleet = fleet or (yield from read_fleet(keys))
    sizes, now_ms = yield from _read_sizes(keys, [name])
    types = yield from ask(count_types(keys, name))
    most = sorted(types.items(), key=lambda item: (-item[1], item[0]))[:MAX_TYPES]
    view = _view(sizes[0], now_ms, census, fleet)
    return msgspec.structs.replace(view, by_type=[TypeCount(type=name, ready=n) for name, n in most])


def _read_sizes(keys: Keys, names: Sequence[str]) -> Plan[tuple[list[QueueSizes], int]]:
    sizes: list[QueueSizes] = []
    now_ms = 0
    for start in range(0, max(1, len(names)), MAX_QUEUES):
        answer = yield from ask(read_queues(keys, names[start : start + MAX_QUEUES]))
        sizes += answer.queues
        now_ms = answer.now_ms
    return sizes, now_ms


def _view(sizes: QueueSizes, now_ms: int, census: Census, fleet: Fleet) -> QueueView:
    name, minute = sizes.name, sizes.last_minute
    since = sizes.ready_since_ms
    return QueueView(
        name=name,
        paused=sizes.paused,
        ready=sizes.ready,
        processing=sizes.processing,
        scheduled=census.of(name, "scheduled"),
        retry=census.of(name, "retry"),
        deferred=census.of(name, "deferred"),
        completed=sizes.completed,
        dead_letter=sizes.dead_letter,
        canceled=sizes.canceled,
        counts_truncated=True if census.truncated else UNSET,
        processed_total=sizes.processed_total,
        failed_total=sizes.failed_total,
        oldest_age_ms=None if since is None else max(0, now_ms - since),
        out_per_min=float(_ended(minute)),
        failed_per_min=float(minute.failed),
        wait_avg_ms=_mean(minute.wait_ms, minute.claimed),
        run_avg_ms=_mean(minute.run_ms, _ended(minute)),
        pools=fleet.pools_of(name),
    )


def with_growth(queue: QueueView, ready_before: int, seconds: float) -> QueueView:
    """Return a queue with the rates that take a second look.

    ``ready_before`` jobs were ready ``seconds`` ago. What came in is what went out and the growth; what is
    left is worked off at the rate at which it shrinks.
    """
    if seconds <= 0 or queue.out_per_min is None:
        return queue
    growth = (queue.ready - ready_before) * 60 / seconds
    drains = growth < 0 and queue.ready > 0 and not queue.paused
    return msgspec.structs.replace(
        queue,
        in_per_min=round(max(0.0, queue.out_per_min + growth), 1),
        drain_ms=int(queue.ready * 60_000 / -growth) if drains else None,
    )


def _ended(minute: Minute) -> int:
    return minute.processed + minute.failed


def _mean(total: int, number: int) -> int | None:
    return total // number if number else None


# -------------------------------------------------------------------------------------------- sums


class Totals(View, frozen=True, kw_only=True):
    """Sums over the whole key space; servers, workers and slots are the live ones."""

    queues: int
    paused_queues: int
    servers: int
    workers: int
    slots: int
    busy: int
    ready: int
    processing: int
    scheduled: int
    retry: int
    deferred: int
    completed: int
    dead_letter: int
    canceled: int
    processed_total: int
    failed_total: int
    oldest_age_ms: int | None
    in_per_min: float | None
    out_per_min: float | None
    failed_per_min: float | None
    uptime_ms: int = 0
    """Filled in by the process that answers."""


def totals(listed: QueueList, census: Census, fleet: Fleet) -> Totals:
    """Return the sums. What came in is known once every queue knows it."""
    queues = listed.queues
    workers = [worker for worker in fleet.workers if worker.status != "stale"]
    ages = [queue.oldest_age_ms for queue in queues if queue.oldest_age_ms is not None]
    incoming = [queue.in_per_min for queue in queues if queue.in_per_min is not None]
    retried = census.sum("retry")
    return Totals(
        queues=listed.total,
        paused_queues=sum(queue.paused for queue in queues),
        servers=sum(server.status != "stale" for server in fleet.servers),
        workers=len(workers),
        slots=sum(worker.concurrency for worker in workers),
        busy=sum(worker.active_jobs for worker in workers),
        ready=sum(queue.ready for queue in queues),
        processing=sum(queue.processing for queue in queues),
        scheduled=max(0, census.scheduled - retried) if census.truncated else census.sum("scheduled"),
        retry=retried,
        deferred=census.deferred,
        completed=sum(queue.completed for queue in queues),
        dead_letter=sum(queue.dead_letter for queue in queues),
        canceled=sum(queue.canceled for queue in queues),
        processed_total=sum(queue.processed_total for queue in queues),
        failed_total=sum(queue.failed_total for queue in queues),
        oldest_age_ms=max(ages, default=None),
        in_per_min=round(sum(incoming), 1) if len(incoming) == len(queues) else None,
        out_per_min=sum(queue.out_per_min or 0.0 for queue in queues),
        failed_per_min=sum(queue.failed_per_min or 0.0 for queue in queues),
    )
