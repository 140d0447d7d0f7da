"""Counters of the API itself, and everything as Prometheus text."""

from __future__ import annotations

import os
import platform
import resource
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from gqm.errors import RedisUnavailable
from gqm.monitor.answers import Plain
from gqm.monitor.request import Request
from gqm.store.read.cron import list_cron
from gqm.store.read.names import MAX_NAMES

if TYPE_CHECKING:
    from gqm.monitor.context import Context
    from gqm.store.read.cron import CronView
    from gqm.store.read.queues import QueueView
    from gqm.store.read.servers import Fleet

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
STATES = ("ready", "processing", "scheduled", "retry", "deferred", "completed", "dead_letter", "canceled")

MAX_QUEUES = 1000
"""Most queues that have a label of their own."""
OTHER = "_other"

Labels = tuple[tuple[str, str], ...]
Sample = tuple[Labels, float]


class Metrics:
    """What the API counts about itself. Shared by all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._sums: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}
        self._logins = 0
        self.connections: Callable[[], int] = lambda: 0
        """Number of open connections, where GQM's own server serves."""
        self.rate_limited: Callable[[], int] = lambda: 0

    def count(self, method: str, route: str, code: int, seconds: float) -> None:
        """Count an answered request."""
        with self._lock:
            self._requests[(method, route, str(code))] += 1
            buckets = self._buckets.setdefault(route, [0] * (len(BOUNDS) + 1))
            buckets[bisect_left(BOUNDS, seconds)] += 1
            self._seconds[route] = self._seconds.get(route, 0.0) + seconds

    def login_failed(self) -> None:
        """Count a wrong password."""
        with self._lock:
            self._logins += 1

    def own(self, clients: int) -> Iterator[str]:
        """Yield the lines about the API."""
        with self._lock:
            requests = sorted(self._requests.items())
            buckets = sorted((route, list(counts)) for route, counts in self._buckets.items())
            seconds, logins = dict(self._seconds), self._logins
        labeled = [
            ((("method", method), ("route", route), ("code", code)), float(count))
            for (method, route, code), count in requests
        ]
        yield from family("gqm_http_requests_total", "counter", "Answered requests.", labeled)
        yield from _histogram(buckets, seconds)
        singles = (
            ("gqm_http_connections", "gauge", "Open connections.", self.connections()),
            ("gqm_sse_clients", "gauge", "Open event streams.", clients),
            ("gqm_login_failures_total", "counter", "Sign-ins with a wrong name or password.", logins),
            ("gqm_rate_limited_total", "counter", "Requests over the rate limit.", self.rate_limited()),
        )
        for name, kind, words, value in singles:
            yield from family(name, kind, words, [((), float(value))])


def _histogram(buckets: Iterable[tuple[str, list[int]]], seconds: Mapping[str, float]) -> Iterator[str]:
    name = "gqm_http_request_duration_seconds"
    yield f"# HELP {name} Time to answer a request."
    yield f"# TYPE {name} histogram"
    for route, counts in buckets:
        total = 0
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
            total += count
            yield f"{name}_bucket{_labels((('route', route), ('le', bound)))} {total}"
        yield f"{name}_sum{_labels((('route', route),))} {seconds.get(route, 0.0):.6f}"
        yield f"{name}_count{_labels((('route', route),))} {total}"


def family(name: str, kind: str, words: str, samples: Iterable[Sample]) -> Iterator[str]:
    """Yield the lines of one metric."""
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        text = str(int(value)) if value == int(value) else repr(value)
        yield f"{name}{_labels(labels)} {text}"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


# --------------------------------------------------------------------------------------- the answer


def metrics(context: Context, request: Request) -> Plain:
    """Answer with everything; without Redis, with what the process knows of itself."""
    from gqm import __version__

    version = (("version", __version__), ("python", platform.python_version()))
    lines = list(family("gqm_build_info", "gauge", "Version of GQM and Python.", [(version, 1.0)]))
    try:
        found = list(_from_redis(context))
        up = 1.0
    except RedisUnavailable:
        found, up = [], 0.0
    lines += family("gqm_redis_up", "gauge", "Whether Redis answers.", [((), up)])
    lines += found
    lines += context.metrics.own(context.hub.clients)
    lines += _process()
    return Plain(("\n".join(lines) + "\n").encode(), MEDIA_TYPE)


def _from_redis(context: Context) -> Iterator[str]:
    context.backend.now()
    yield from _of_queues(Labeled(context.observed.queues(most=MAX_NAMES).queues))
    yield from _of_fleet(context.observed.fleet())
    cron = context.backend.follow(list_cron(context.backend.keys)).entries
    cron_values: tuple[tuple[str, str, Callable[[CronView], float]], ...] = (
        ("enabled", "Whether the entry fires.", lambda entry: float(entry.enabled)),
        ("last_run_timestamp_seconds", "Newest run.", lambda entry: float(entry.last_run or 0)),
        ("next_run_timestamp_seconds", "Next run.", lambda entry: float(entry.next_run or 0)),
    )
    for name, words, value in cron_values:
        samples = [((("id", entry.id),), value(entry)) for entry in cron]
        yield from family(f"gqm_cron_{name}", "gauge", words, samples)


class Labeled:
    """Queues under their names, as many as a scrape bears, and the rest under one name."""

    def __init__(self, queues: Sequence[QueueView]) -> None:
        self._shown = queues[:MAX_QUEUES]
        self._rest: Sequence[QueueView] = ()
        if len(queues) > MAX_QUEUES:
            # A queue that is really called so must not be there twice.
            named = [queue for queue in queues if queue.name != OTHER]
            self._shown = named[:MAX_QUEUES]
            self._rest = [*named[MAX_QUEUES:], *(queue for queue in queues if queue.name == OTHER)]

    def samples(
        self,
        value: Callable[[QueueView], float | None],
        fold: Callable[[Sequence[float]], float] | None = sum,
        *labels: tuple[str, str],
    ) -> list[Sample]:
        """Return a value of each queue; that of the rest is ``fold`` of theirs, none without it."""
        found = [(queue.name, value(queue)) for queue in self._shown]
        rest = [number for number in map(value, self._rest) if number is not None]
        if rest and fold is not None:
            found.append((OTHER, fold(rest)))
        return [((("queue", name), *labels), number) for name, number in found if number is not None]


def _of_queues(queues: Labeled) -> Iterator[str]:
    jobs: list[Sample] = []
    for state in STATES:
        jobs += queues.samples(attrgetter(state), sum, ("status", state))
    yield from family("gqm_jobs", "gauge", "Jobs that are kept.", jobs)
    # Means of many queues cannot be told from their means.
    for name, kind, words, samples in (
        ("jobs_processed_total", "counter", "Completed jobs.", queues.samples(lambda q: q.processed_total)),
        ("jobs_failed_total", "counter", "Dead jobs.", queues.samples(lambda q: q.failed_total)),
        ("queue_paused", "gauge", "Whether the queue is paused.", queues.samples(lambda q: q.paused)),
        (
            "queue_oldest_ready_age_seconds",
            "gauge",
            "How long the next job has been ready.",
            queues.samples(lambda q: _seconds(q.oldest_age_ms), max),
        ),
        (
            "queue_wait_seconds",
            "gauge",
            "Mean wait of the last full minute.",
            queues.samples(lambda q: _seconds(q.wait_avg_ms), None),
        ),
        (
            "queue_run_seconds",
            "gauge",
            "Mean run of the last full minute.",
            queues.samples(lambda q: _seconds(q.run_avg_ms), None),
        ),
    ):
        yield from family(f"gqm_{name}", kind, words, samples)


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


def _of_fleet(fleet: Fleet) -> Iterator[str]:
    states = Counter(server.status for server in fleet.servers)
    servers = [((("status", state),), float(states[state])) for state in ("active", "stopping", "stale")]
    yield from family("gqm_servers", "gauge", "Servers by state.", servers)
    slots: Counter[str] = Counter()
    busy: Counter[str] = Counter()
    abandoned: Counter[str] = Counter()
    for worker in fleet.workers:
        if worker.status != "stale":
            slots[worker.pool] += worker.concurrency
            busy[worker.pool] += worker.active_jobs
            abandoned[worker.pool] += worker.abandoned if isinstance(worker.abandoned, int) else 0

    def by_pool(counts: Mapping[str, int]) -> list[Sample]:
        return [((("pool", pool),), float(count)) for pool, count in sorted(counts.items())]

    yield from family("gqm_pool_slots", "gauge", "Slots of the live pools.", by_pool(slots))
    yield from family("gqm_pool_busy", "gauge", "Running jobs of the live pools.", by_pool(busy))
    recovered = [((), float(fleet.recovered))]
    yield from family("gqm_jobs_recovered_total", "counter", "Jobs of dead servers taken back.", recovered)
    skipped = by_pool(fleet.skipped)
    yield from family("gqm_claims_skipped_total", "counter", "Ids without a ready job.", skipped)
    words = "Handlers that never came back."
    yield from family("gqm_handlers_abandoned_total", "counter", words, by_pool(abandoned))


# -------------------------------------------------------------------------------------- the process


def rss_bytes() -> int:
    """Return the memory that the process has in RAM."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if platform.system() == "Darwin" else most * 1024
    return pages * os.sysconf("SC_PAGESIZE")


def _open_fds() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(folder))
        except OSError:
            continue
    return 0


def _started_at() -> float:
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return time.time() - time.process_time()
    return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")


def _process() -> Iterator[str]:
    for name, kind, words, value in (
        ("cpu_seconds_total", "counter", "CPU time of the process.", time.process_time()),
        ("resident_memory_bytes", "gauge", "Memory in RAM.", float(rss_bytes())),
        ("open_fds", "gauge", "Open files and sockets.", float(_open_fds())),
        ("start_time_seconds", "gauge", "Start of the process, unix seconds.", round(_started_at(), 2)),
    ):
        yield from family(f"process_{name}", kind, words, [((), value)])
