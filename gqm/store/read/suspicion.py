"""The first look of a census: goes over the whole key space in small steps, and notes what looks wrong.

Jobs move while it reads, so most of what it notes is nothing; `gqm.store.read.ledger` looks at it again.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from gqm.store.commands.ledger import (
    MAX_JOBS,
    MAX_KEYS,
    MAX_LIST,
    Judged,
    Suspect,
    judge_claims,
    judge_jobs,
    read_keys,
)
from gqm.store.commands.read import Range, lease_ends, read_ranges, scan_keys, scan_set
from gqm.store.plan import Plan, ask
from gqm.store.read.keyparts import KeyPart, part_of
from gqm.store.read.names import queue_names
from gqm.store.read.servers import read_fleet
from gqm.store.read.sources import key_pattern

if TYPE_CHECKING:
    from gqm.keys import Keys

T = TypeVar("T")

PAGE = 1000
SLACK_S = 25.0
"""How far past its deadline a claim that no lease answers for is overdue."""


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
    listed: set[str] = field(default_factory=set)
    """Those of them that were met in a ready list that should not hold them, or not as they do."""
    servers: set[str] = field(default_factory=set)
    queues: set[str] = field(default_factory=set)
    names: dict[str, KeyPart] = field(default_factory=dict)
    cron: set[str] = field(default_factory=set)
    longest: int = 0
    """Length of the longest ready list."""
    looked_at: int = 0
    complete: bool = True
    swept: bool = False
    """Whether a scheduler lives that takes out what has expired."""
    alone: bool = True
    """Whether all servers are ours."""
    broken: frozenset[str] = frozenset()
    """Keys of the whole key space that are of a wrong type."""

    def can_read(self, *names: str) -> bool:
        """Whether keys of the whole key space are of the types that they should be."""
        return self.broken.isdisjoint(names)

    def fault_counts(self, kind: str) -> bool:
        """Whether a fault of a kind is one, and not only something that the next sweep sets right."""
        # Programs of Go tell children nothing when a parent is canceled or deleted.
        passing = ("expired_entry",) if self.alone else ("expired_entry", "parent_ended", "parent_gone")
        return not self.swept or kind not in passing

    def __bool__(self) -> bool:
        """Whether anything looked wrong; queues and cron entries are only listed here."""
        return bool(self.jobs or self.servers or self.names)


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
        found, keys = self._found, self._keys
        found.broken = yield from _broken(keys)
        if found.can_read(keys.servers, keys.workers, keys.leases):
            fleet = yield from read_fleet(keys)
            found.swept = any(server.scheduler and server.status != "stale" for server in fleet.servers)
            # Programs of Go write no ledger.
            found.alone = all("@" in worker.id for worker in fleet.workers)
        if found.can_read(keys.queues):
            listed = yield from queue_names(keys)
            found.queues.update(listed.names)
            found.complete &= listed.complete
        yield from self._names()
        for queue in sorted(found.queues):
            yield from self._ready_list(queue)
            for key in self._zsets(queue):
                yield from self._zset(key, queue)
        yield from self._zset(keys.scheduled, "")
        if found.can_read(keys.deferred):
            yield from self._deferred()
        for job_id in self._ready - self._met:
            found.jobs.setdefault(job_id, set())
        if found.can_read(keys.leases):
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
        for some in chunks(plain, MAX_KEYS):
            facts = yield from ask(read_keys(self._keys, some))
            for name, fact in zip(some, facts, strict=True):
                if key_fault(parts[name], fact.kind, fact.ttl_s):
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
            self._found.longest = max(self._found.longest, step.size)
            self._found.complete &= step.size <= MAX_LIST
            page = [job_id for job_id, _ in step.ids]
            ids = list(itertools.dropwhile(before.__contains__, page))
            before = frozenset(page)
            for job_id in ids:
                if job_id in self._met:
                    self._suspect_listed(job_id, queue)
                self._met.add(job_id)
            yield from self._of_container(ids, queue)
            # Most that were in another state before have come here since.
            yield from self._judge(Suspect(job_id, frozenset((queue,))) for job_id in self._not_ready(ids))
            for job_id in self._not_ready(ids):
                self._suspect_listed(job_id, queue)
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
        for some in chunks(list(suspects), MAX_JOBS):
            answer = yield from ask(judge_jobs(self._keys, some, deep=False, slack_s=self._slack_s))
            for suspect, judged in zip(some, answer, strict=True):
                self._note(suspect, judged)

    def _note(self, suspect: Suspect, judged: Judged) -> None:
        self._judged[judged.id] = judged
        if judged.status == "ready":
            self._ready.add(judged.id)
        if any(self._found.fault_counts(kind) for kind, _ in judged.faults):
            self._suspect(judged.id, *suspect.queues)

    def _suspect_listed(self, job_id: str, queue: str) -> None:
        self._found.listed.add(job_id)
        self._suspect(job_id, queue)

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


def key_fault(part: KeyPart, kind: str, ttl_s: int) -> str:
    """Return what is wrong with a key of this type and expiry; empty if nothing is."""
    if kind == "none":
        return ""
    if kind != part.kind:
        return "wrong_type"
    return "no_key_expiry" if part.expires_s and ttl_s == -1 else ""


def _broken(keys: Keys) -> Plan[frozenset[str]]:
    """Return the keys of the whole key space that are of a wrong type, so that they cannot be read."""
    begin = len(keys.prefix)
    names = [
        *(keys.queues, keys.deferred, keys.servers, keys.workers, keys.leases),
        *(keys.cron_entries, keys.cron_slots, keys.cron_meta),
    ]
    facts = yield from ask(read_keys(keys, names))
    parts = ((name, part_of(name[begin:]), fact) for name, fact in zip(names, facts, strict=True))
    return frozenset(name for name, part, fact in parts if part and key_fault(part, fact.kind, fact.ttl_s))


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield items in groups of a size; the last may be smaller."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
