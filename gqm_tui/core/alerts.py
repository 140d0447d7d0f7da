"""What needs attention: rules over what is known, each with the place where something can be done."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from gqm_tui.core import fmt
from gqm_tui.core.config import Settings, Slo
from gqm_tui.core.history import History
from gqm_tui.core.model import CronEntry, Queue, RedisInfo, Server, Worker
from gqm_tui.core.table import natural

BURIED_WARN, BURIED_ERROR = 10, 100
"""Dead letters of the last five minutes from which they are a warning, and an error."""
LATE_S = 60
SKEW_MS = 5_000
MEMORY_SHARE = 0.85


class Severity(IntEnum):
    """How much it matters; every alert wants to be looked at."""

    WARNING = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that needs attention: what, why, and the tab and row where it can be looked at.

    `subject` and `text` may hold names from the server: they become safe where they are drawn. `key` is the
    row's; empty when the tab as a whole is meant.
    """

    severity: Severity
    subject: str
    text: str
    tab: str
    key: str = ""
    rule: str = field(default="", compare=False)

    @property
    def id(self) -> str:
        """The same for one problem as long as it lasts, whatever its text says meanwhile."""
        return f"{self.rule}:{self.tab}:{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known at a moment; None stands for what was not fetched, and its rules are silent then."""

    now: float
    """The server's time, unix seconds."""
    queues: Sequence[Queue] | None = None
    workers: Sequence[Worker] | None = None
    servers: Sequence[Server] | None = None
    cron: Sequence[CronEntry] | None = None
    redis: RedisInfo | None = None
    skew_ms: float | None = None
    """The server's clock minus this machine's."""
    top_error: str = ""
    """The most frequent error type among the new dead letters, if that is known."""


@dataclass(slots=True)
class Watch:
    """The rules with what they remember, for one context."""

    settings: Settings
    history: History = field(default_factory=History)

    def look(self, facts: Facts) -> list[Alert]:
        """Remember the facts, and return what needs attention, errors first."""
        if facts.queues is not None:
            self.history.note_queues(facts.now, facts.queues)
        if facts.redis is not None:
            self.history.note_evicted(facts.now, facts.redis.evicted_keys)
        return alerts(facts, self.history, self.settings)


def alerts(facts: Facts, history: History, settings: Settings) -> list[Alert]:
    """Return what needs attention: errors first, then by the order of the rules, then by name."""
    found = [
        *_dead_letters(facts.queues or (), history, settings, facts.top_error),
        *(alert for queue in _named(facts.queues or ()) for alert in _queue(queue, history, settings)),
        *_machines(facts),
        *(alert for entry in _cron_named(facts.cron or ()) for alert in _cron(entry, facts.now)),
        *_clock(facts.skew_ms),
        *(_redis(facts.redis, history.evicted(facts.now)) if facts.redis else ()),
    ]
    return sorted(found, key=lambda alert: -alert.severity)


def following(found: Sequence[Alert], last: str | None) -> Alert | None:
    """Return the alert behind the one of an id, round and round; the first one if that is over by now."""
    if not found:
        return None
    at = next((index for index, alert in enumerate(found) if alert.id == last), -1)
    return found[(at + 1) % len(found)]


def _named(queues: Sequence[Queue]) -> list[Queue]:
    return sorted(queues, key=lambda queue: natural(queue.name))


def _cron_named(entries: Sequence[CronEntry]) -> list[CronEntry]:
    return sorted(entries, key=lambda entry: natural(entry.id))


# -- queues


def fail_share(queue: Queue) -> float | None:
    """Return the share of failures among the runs of the last full minute, or None if nothing ran."""
    failed, out = queue.failed_per_min, queue.out_per_min
    # Failures that are tried again do not leave the queue, so they are not in `out`.
    runs = None if failed is None else max(failed, out or 0)
    return failed / runs if failed is not None and runs else None


def _fails_too_much(queue: Queue, slo: Slo) -> bool:
    share = fail_share(queue)
    return slo.fail_rate is not None and share is not None and share > slo.fail_rate


def _dead_letters(
    queues: Sequence[Queue], history: History, settings: Settings, top_error: str
) -> Iterator[Alert]:
    came = Counter({queue.name: history.buried(queue.name) for queue in queues})
    if came.total() < BURIED_WARN:
        return
    severe = came.total() >= BURIED_ERROR or any(
        came[queue.name] and _fails_too_much(queue, settings.slo_of(queue.name)) for queue in queues
    )
    worst = came.most_common(1)[0][0]
    most = top_error or f"in {worst}"
    text = f"+{came.total():,} in 5 min, most {most}"
    severity = Severity.ERROR if severe else Severity.WARNING
    yield Alert(severity, "dead letters", text, "failed", worst, "buried")


def _queue(queue: Queue, history: History, settings: Settings) -> Iterator[Alert]:
    slo = settings.slo_of(queue.name)

    def alert(rule: str, severity: Severity, text: str, tab: str = "queues") -> Alert:
        return Alert(severity, queue.name, text, tab, queue.name, rule)

    late = queue.oldest_age_ms is not None and queue.oldest_age_ms > slo.oldest_s * 1_000
    age = f"oldest {fmt.age((queue.oldest_age_ms or 0) / 1_000)}, limit {_limit(slo.oldest_s)}"
    if queue.ready and queue.paused:
        text = f"paused with {queue.ready:,} ready"
        yield alert(
            "paused", Severity.ERROR if late else Severity.WARNING, f"{text}, {age}" if late else text
        )
    elif queue.ready and not queue.pools:
        text = f"no live worker reads it, {queue.ready:,} ready"
        yield alert("unread", Severity.ERROR, f"{text}, {age}" if late else text)
    elif late:
        yield alert("oldest", Severity.ERROR, age if queue.drain_ms is not None else f"{age}, not draining")
    if _grows(queue, history):
        grown = history.grown(queue.name) or 0
        rates = f"in {queue.in_per_min or 0:,.0f}/m, out {queue.out_per_min or 0:,.0f}/m"
        yield alert("growth", Severity.WARNING, f"grew by {grown:,} in 60s, {rates}")
    if _fails_too_much(queue, slo):
        share, limit = (fail_share(queue) or 0.0) * 100, (slo.fail_rate or 0.0) * 100
        yield alert(
            "failures", Severity.ERROR, f"{share:.3g} % of the runs fail, limit {limit:.3g} %", "failed"
        )
    if queue.counts_truncated:
        yield alert(
            "counts", Severity.WARNING, "too long to count; scheduled, retry and deferred are lower bounds"
        )


def _grows(queue: Queue, history: History) -> bool:
    if queue.paused or queue.in_per_min is None or queue.out_per_min is None:
        return False  # a paused queue that fills up is told as paused
    return (history.grown(queue.name) or 0) > 0 and queue.out_per_min < queue.in_per_min


def _limit(seconds: float) -> str:
    """Write a limit as somebody would set it: `5m`, not `5m00s`."""
    for unit, span in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= span and seconds % span == 0:
            return f"{seconds / span:.0f}{unit}"
    return f"{seconds:g}s" if seconds < 60 else fmt.age(seconds)


# -- servers and workers


def _machines(facts: Facts) -> Iterator[Alert]:
    servers = sorted(facts.servers or (), key=lambda server: natural(server.id))
    gone = {server.id for server in servers if server.status == "stale"}
    if facts.servers is not None:
        yield from _scheduler(servers)
    for server in servers:
        if server.id in gone:
            text = _silent(facts.now - server.last_heartbeat, server.busy)
            yield Alert(Severity.ERROR, server.id, text, "servers", server.id, "stale")
    for worker in sorted(facts.workers or (), key=lambda worker: natural(worker.id)):
        yield from _worker(worker, facts.now, told=worker.server_id in gone)
    yield from _versions(servers)


def _scheduler(servers: Sequence[Server]) -> Iterator[Alert]:
    active = [server for server in servers if server.status == "active"]
    if not active:
        yield Alert(Severity.ERROR, "servers", "none is active: no job runs", "servers", rule="none")
    elif not any(server.scheduler for server in active):
        text = "no active server has it: nothing scheduled, retried or repeated starts"
        yield Alert(Severity.ERROR, "scheduler", text, "servers", rule="scheduler")


def _silent(seconds: float, jobs: int) -> str:
    held = f", {jobs} {'job' if jobs == 1 else 'jobs'} held" if jobs else ""
    return f"no heartbeat for {fmt.age(seconds)}{held}"


def _worker(worker: Worker, now: float, *, told: bool) -> Iterator[Alert]:
    # When a whole server is silent, that is one problem and not one for each of its pools.
    if worker.status == "stale" and not told:
        text = _silent(now - worker.last_heartbeat, worker.active_jobs)
        yield Alert(Severity.ERROR, worker.id, text, "workers", worker.id, "stale")
    if worker.abandoned:
        what = "handler" if worker.abandoned == 1 else "handlers"
        text = f"{worker.abandoned} {what} left behind after their time-out"
        yield Alert(Severity.WARNING, worker.id, text, "workers", worker.id, "abandoned")


def _versions(servers: Sequence[Server]) -> Iterator[Alert]:
    versions = Counter(server.version for server in servers)
    if len(versions) < 2:
        return
    # The row to look at is the odd one out: a server of the rarest version.
    rarest = min(versions, key=lambda version: (versions[version], natural(version)))
    odd = next(server.id for server in servers if server.version == rarest)
    text = f"{len(versions)} versions: {', '.join(sorted(versions, key=natural))}"
    yield Alert(Severity.WARNING, "servers", text, "servers", odd, "versions")


# -- cron, clock, Redis


def _cron(entry: CronEntry, now: float) -> Iterator[Alert]:
    def alert(rule: str, severity: Severity, text: str) -> Alert:
        return Alert(severity, entry.id, text, "cron", entry.id, rule)

    if entry.orphaned:
        yield alert("orphaned", Severity.WARNING, "gone from the configuration, never fires")
    if entry.orphaned or not entry.enabled:
        return
    if entry.next_run is not None and now - entry.next_run > LATE_S:
        yield alert("late", Severity.ERROR, f"due {fmt.age(now - entry.next_run)} ago and not fired")
    if entry.last_status == "error":
        yield alert("last", Severity.ERROR, "the last run could not be enqueued")
    elif entry.last_status == "missed":
        yield alert("last", Severity.WARNING, "the last run was missed")


def _clock(skew_ms: float | None) -> Iterator[Alert]:
    if skew_ms is not None and abs(skew_ms) > SKEW_MS:
        way = "behind" if skew_ms > 0 else "ahead of"
        text = f"this machine is {fmt.age(abs(skew_ms) / 1_000)} {way} the server"
        yield Alert(Severity.WARNING, "clock", text, "servers", rule="clock")


def _redis(redis: RedisInfo, evicted: int) -> Iterator[Alert]:
    if evicted:
        text = f"{evicted:,} keys evicted in 5 min: jobs are lost"
        yield Alert(Severity.ERROR, "redis", text, "servers", rule="evicted")
    used, most = redis.used_memory_bytes, redis.maxmemory_bytes
    if most and used > MEMORY_SHARE * most:
        text = f"memory {fmt.size(used)} of {fmt.size(most)}, {used / most:.0%}"
        yield Alert(Severity.WARNING, "redis", text, "servers", rule="memory")
