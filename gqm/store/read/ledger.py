"""The census of a key space: reads all of it within bounds, and finds what contradicts itself.

It looks twice, because jobs move while it reads. `collect` goes over everything in small steps and notes what
looks wrong; `confirm` looks at that again, each job with all its containers at one instant. Only what is
still wrong then is a finding. Neither changes anything.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from gqm.store.commands.cron import read_cron
from gqm.store.commands.ledger import (
    MAX_DEEP,
    MAX_JOBS,
    MAX_KEYS,
    MAX_QUEUES,
    Judged,
    Suspect,
    judge_claims,
    judge_jobs,
    ownerless_cron,
    read_keys,
    weigh_queues,
)
from gqm.store.commands.read import Range, lease_ends, read_ranges, scan_keys, scan_set
from gqm.store.plan import Plan, ask
from gqm.store.read.faults import FAULTS
from gqm.store.read.keyparts import KeyPart, part_of
from gqm.store.read.names import queue_names
from gqm.store.read.servers import read_fleet
from gqm.store.read.sources import key_pattern

if TYPE_CHECKING:
    from gqm.keys import Keys

T = TypeVar("T")

PAGE = 1000
MAX_SUSPECTS = 2000
"""Most jobs that are looked at a second time."""
SLACK_S = 25.0
"""How far past its deadline a claim that no lease answers for is overdue."""


class Finding(NamedTuple):
    """One thing that is wrong."""

    kind: str
    """A key of `gqm.store.read.faults.FAULTS`."""
    subject: str
    """Job id, queue, server id, cron entry, or key."""
    detail: str = ""
    queues: frozenset[str] = frozenset()
    """Queues that it has to do with."""


class Census(NamedTuple):
    """What was found."""

    findings: list[Finding]
    jobs: int
    """Jobs that were looked at."""
    queues: int
    complete: bool
    """Whether everything was looked at; else the bounds were reached."""

    def of_kind(self) -> dict[str, list[Finding]]:
        """Return the findings by kind, in the order of the kinds."""
        found: dict[str, list[Finding]] = {kind: [] for kind in FAULTS}
        for finding in self.findings:
            found[finding.kind].append(finding)
        return {kind: items for kind, items in found.items() if items}


@dataclass(slots=True)
class Bounds:
    """How much is looked at."""

    keys: int = 1_000_000
    jobs: int = 200_000
    seconds: float = 30.0


@dataclass(slots=True)
class Suspicion:
    """What the first look has left to be looked at again."""

    jobs: dict[str, set[str]] = field(default_factory=dict)
    """Job ids, with the queues in whose containers they were met."""
    servers: set[str] = field(default_factory=set)
    queues: set[str] = field(default_factory=set)
    names: dict[str, KeyPart] = field(default_factory=dict)
    cron: set[str] = field(default_factory=set)
    looked_at: int = 0
    complete: bool = True
    swept: bool = False
    """Whether a scheduler lives that takes out what has expired."""
    alone: bool = True
    """Whether all servers are ours."""

    def fault_counts(self, kind: str) -> bool:
        """Whether a fault of a kind is one, and not only something that will be swept away."""
        return kind != "expired_entry" or not self.swept

    def __bool__(self) -> bool:
        """Whether anything looked wrong; queues and cron entries are only listed here."""
        return bool(self.jobs or self.servers or self.names)


# ------------------------------------------------------------------------------------- first look


def collect(keys: Keys, bounds: Bounds, slack_s: float = SLACK_S) -> Plan[Suspicion]:
    """Look at the whole key space, and note what looks wrong."""
    return (yield from _Collector(keys, bounds, slack_s).run())


class _Collector:
    """The first look."""

    def __init__(self, keys: Keys, bounds: Bounds, slack_s: float) -> None:
        self._keys = keys
        self._bounds = bounds
        self._slack_s = slack_s
        self._until = time.monotonic() + bounds.seconds
        self._judged: dict[str, Judged] = {}
        self._ready: set[str] = set()  # jobs that say they are ready, and were met in no list so far
        self._met: set[str] = set()  # the ids of all ready lists
        self._servers: set[str] = set()
        self._found = Suspicion()

    def run(self) -> Plan[Suspicion]:
        found = self._found
        fleet = yield from read_fleet(self._keys)
        found.swept = any(server.scheduler and server.status != "stale" for server in fleet.servers)
        # Programs of Go write no ledger.
        found.alone = all("@" in worker.id for worker in fleet.workers)
        listed = yield from queue_names(self._keys)
        found.queues.update(listed.names)
        found.complete &= listed.complete
        yield from self._names()
        for queue in sorted(found.queues):
            yield from self._ready_list(queue)
            for key in self._zsets(queue):
                yield from self._zset(key, queue)
        yield from self._zset(self._keys.scheduled, "")
        yield from self._deferred()
        for job_id in self._ready - self._met:
            found.jobs.setdefault(job_id, set())
        yield from self._leases()
        found.looked_at = len(self._judged)
        return found

    def _time_left(self) -> bool:
        left = time.monotonic() < self._until and len(self._judged) < self._bounds.jobs
        self._found.complete &= left
        return left

    def _zsets(self, queue: str) -> tuple[str, ...]:
        keys = self._keys
        return (keys.processing(queue), keys.completed(queue), keys.dead_letter(queue), keys.canceled(queue))

    # -- by the names of keys

    def _names(self) -> Plan[None]:
        pattern, cursor, looked_at = key_pattern(self._keys.prefix), "0", 0
        while self._time_left() and looked_at < self._bounds.keys:
            step = yield from ask(scan_keys(pattern, cursor, PAGE))
            looked_at += PAGE
            yield from self._named(step.names)
            cursor = step.cursor
            if cursor == "0":
                return
        self._found.complete = False

    def _named(self, names: Sequence[str]) -> Plan[None]:
        begin = len(self._keys.prefix)
        parts = {name: part for name in names if (part := part_of(name[begin:])) is not None}
        jobs: set[str] = set()
        for part in parts.values():
            self._sort(part, jobs)
        yield from self._judge(Suspect(job_id) for job_id in jobs if job_id not in self._judged)
        plain = [name for name, part in parts.items() if part.group != "job"]
        for some in _chunks(plain, MAX_KEYS):
            facts = yield from ask(read_keys(self._keys, some))
            for name, fact in zip(some, facts, strict=True):
                if _key_fault(parts[name], fact.kind, fact.ttl_s):
                    self._found.names[name] = parts[name]

    def _sort(self, part: KeyPart, jobs: set[str]) -> None:
        if part.group in ("job", "side"):
            jobs.add(part.subject)
        elif part.group == "queue":
            self._found.queues.add(part.subject)
        elif part.group == "claims":
            self._servers.add(part.subject)
        elif part.group == "cron":
            self._found.cron.add(part.subject)

    # -- by containers

    def _ready_list(self, queue: str) -> Plan[None]:
        # From the head on: claims take ids from the tail, which moves nothing. New ids at the head move the
        # others on, so a page may begin with what the one before ended with.
        offset, before = 0, frozenset[str]()
        while self._time_left():
            wanted = Range(self._keys.ready(queue), "list", "desc", offset, PAGE)
            (step,) = yield from ask(read_ranges(self._keys, [wanted]))
            page = [job_id for job_id, _ in step.ids]
            ids = list(itertools.dropwhile(before.__contains__, page))
            before = frozenset(page)
            for job_id in ids:
                if job_id in self._met:
                    self._suspect(job_id, queue)
                self._met.add(job_id)
            yield from self._of_container(ids, queue)
            # Most that were in another state before have come here since.
            yield from self._judge(Suspect(job_id, frozenset((queue,))) for job_id in self._not_ready(ids))
            for job_id in self._not_ready(ids):
                self._suspect(job_id, queue)
            offset += step.looked_at
            if step.looked_at < PAGE:
                return

    def _not_ready(self, ids: Sequence[str]) -> list[str]:
        return [job_id for job_id in ids if self._judged[job_id].status != "ready"]

    def _zset(self, key: str, queue: str) -> Plan[None]:
        offset = 0
        while self._time_left():
            (step,) = yield from ask(read_ranges(self._keys, [Range(key, "zset", "asc", offset, PAGE)]))
            yield from self._of_container([job_id for job_id, _ in step.ids], queue)
            offset += step.looked_at
            if step.looked_at < PAGE:
                return

    def _deferred(self) -> Plan[None]:
        cursor = "0"
        while self._time_left():
            step = yield from ask(scan_set(self._keys.deferred, cursor, PAGE))
            yield from self._of_container(step.names, "")
            cursor = step.cursor
            if cursor == "0":
                return

    def _of_container(self, ids: Sequence[str], queue: str) -> Plan[None]:
        """Judge ids that were not, or not as ids of this queue; an empty one is that of all queues."""
        new = [job_id for job_id in dict.fromkeys(ids) if self._is_new(job_id, queue)]
        queues = frozenset((queue,)) if queue else frozenset()
        yield from self._judge(Suspect(job_id, queues) for job_id in new)

    def _is_new(self, job_id: str, queue: str) -> bool:
        known = self._judged.get(job_id)
        return known is None or queue not in ("", known.queue)

    def _judge(self, suspects: Iterable[Suspect]) -> Plan[None]:
        for some in _chunks(list(suspects), MAX_JOBS):
            answer = yield from ask(judge_jobs(self._keys, some, deep=False, slack_s=self._slack_s))
            for suspect, judged in zip(some, answer, strict=True):
                self._note(suspect, judged)

    def _note(self, suspect: Suspect, judged: Judged) -> None:
        self._judged[judged.id] = judged
        if judged.status == "ready":
            self._ready.add(judged.id)
        if any(self._found.fault_counts(kind) for kind, _ in judged.faults):
            self._suspect(judged.id, *suspect.queues)

    def _suspect(self, job_id: str, *queues: str) -> None:
        self._found.jobs.setdefault(job_id, set()).update(queues)

    # -- servers

    def _leases(self) -> Plan[None]:
        self._servers.update((yield from ask(lease_ends(self._keys))))
        for server in sorted(self._servers):
            records = yield from ask(judge_claims(self._keys, server))
            self._found.complete &= records.complete
            if records.stale or records.lease == 1:
                self._found.servers.add(server)


def _key_fault(part: KeyPart, kind: str, ttl_s: int) -> str:
    if kind == "none":
        return ""
    if kind != part.kind:
        return "wrong_type"
    return "no_key_expiry" if part.expires_s and ttl_s == -1 else ""


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


# ------------------------------------------------------------------------------------ second look


def confirm(keys: Keys, suspicion: Suspicion, slack_s: float = SLACK_S) -> Plan[Census]:
    """Look again at what looked wrong, and return what still is."""
    jobs, complete = yield from _jobs(keys, suspicion, slack_s)
    findings = list(jobs)
    findings += yield from _servers(keys, suspicion)
    findings += yield from _names(keys, suspicion)
    findings += yield from _cron(keys, suspicion)
    # Where containers are wrong, the count of live jobs is wrong, too.
    touched = frozenset().union(*(finding.queues for finding in jobs))
    findings += yield from _queues(keys, suspicion, touched)
    return Census(findings, suspicion.looked_at, len(suspicion.queues), suspicion.complete and complete)


def _jobs(keys: Keys, suspicion: Suspicion, slack_s: float) -> Plan[tuple[list[Finding], bool]]:
    suspects = [Suspect(job_id, frozenset(queues)) for job_id, queues in sorted(suspicion.jobs.items())]
    # Most of those that only moved are ruled out without searching a list.
    left: list[Suspect] = []
    for some in _chunks(suspects, MAX_JOBS):
        judged = yield from ask(judge_jobs(keys, some, deep=False, slack_s=slack_s))
        left += [s for s, j in zip(some, judged, strict=True) if j.faults or j.status == "ready" or s.queues]
    findings: list[Finding] = []
    for some in _chunks(left[:MAX_SUSPECTS], MAX_DEEP):
        for suspect, found in zip(
            some, (yield from ask(judge_jobs(keys, some, deep=True, slack_s=slack_s))), strict=True
        ):
            queues = suspect.queues | {found.queue}
            findings += [
                Finding(kind, found.id, detail, queues)
                for kind, detail in found.faults
                if suspicion.fault_counts(kind)
            ]
    return findings, len(left) <= MAX_SUSPECTS


def _servers(keys: Keys, suspicion: Suspicion) -> Plan[list[Finding]]:
    findings: list[Finding] = []
    for server in sorted(suspicion.servers):
        records = yield from ask(judge_claims(keys, server))
        findings += [Finding("stale_record", job_id, server) for job_id in records.stale]
        if records.lease == 1:
            findings.append(Finding("dead_lease", server))
    return findings


def _names(keys: Keys, suspicion: Suspicion) -> Plan[list[Finding]]:
    findings: list[Finding] = []
    for some in _chunks(sorted(suspicion.names), MAX_KEYS):
        for name, fact in zip(some, (yield from ask(read_keys(keys, some))), strict=True):
            kind = _key_fault(suspicion.names[name], fact.kind, fact.ttl_s)
            if kind:
                findings.append(Finding(kind, name.removeprefix(keys.prefix), fact.kind))
    return findings


def _cron(keys: Keys, suspicion: Suspicion) -> Plan[list[Finding]]:
    table = yield from ask(read_cron(keys))
    findings = [Finding("cron_broken", row.id) for row in table.rows if row.text and row.entry is None]
    for some in _chunks(sorted(suspicion.cron), MAX_KEYS):
        findings += [Finding("cron_leftover", item) for item in (yield from ask(ownerless_cron(keys, some)))]
    if not suspicion.cron:
        findings += [Finding("cron_leftover", item) for item in (yield from ask(ownerless_cron(keys, ())))]
    return list(dict.fromkeys(findings))


def _queues(keys: Keys, suspicion: Suspicion, touched: frozenset[str]) -> Plan[list[Finding]]:
    findings: list[Finding] = []
    for some in _chunks(sorted(suspicion.queues), MAX_QUEUES):
        answer = yield from ask(weigh_queues(keys, some))
        for queue in answer.queues:
            if queue.has_keys and not queue.listed:
                findings.append(Finding("unlisted_queue", queue.name))
            off = queue.came - queue.went - queue.live
            weighed = suspicion.alone and answer.weighed and queue.came >= 0
            if weighed and off and queue.name not in touched:
                findings.append(Finding("ledger_off", queue.name, f"{off:+d}"))
    return findings
