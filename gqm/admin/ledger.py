"""The ledger: does a key space contradict itself, and what is to be done where there is one right answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from gqm.store.commands.lease import reap_overdue, reap_server
from gqm.store.commands.mend import (
    mend_claims,
    mend_cron,
    mend_expiry,
    mend_family,
    mend_place,
    mend_queue,
    mend_record,
)
from gqm.store.commands.servers import lease_score
from gqm.store.plan import follow
from gqm.store.read.faults import FAULTS, Repair
from gqm.store.read.keyparts import part_of
from gqm.store.read.ledger import Census, Finding, confirm
from gqm.store.read.suspicion import SLACK_S, Bounds, collect

if TYPE_CHECKING:
    from gqm.admin.log import AuditLog
    from gqm.store.sync import Store

__all__ = ["Repaired", "examine", "repair"]

SETTLE_S = 2.5
"""Between the two looks: other programs change a job in several steps, and heartbeats come every 2 s."""
_AT_ONCE = 500
_ORDER: tuple[Repair, ...] = (
    *("record", "queue", "place", "server", "overdue", "family", "claims", "cron", "expiry"),
)
"""Live jobs must not expire meanwhile; recovery needs ids in their places; families come after that."""


class Repaired(NamedTuple):
    """What became of the findings of one kind."""

    kind: str
    found: int
    changed: int
    """Those where something was changed: the others were sound again when the repair looked at them."""


def examine(
    store: Store, *, bounds: Bounds | None = None, slack_s: float = SLACK_S, settle_s: float = SETTLE_S
) -> Census:
    """Look for what is wrong in the key space, twice, ``settle_s`` seconds apart if anything looks wrong.

    Reads only, in steps that take a few milliseconds each. ``slack_s`` is how far past its deadline a claim
    that no lease answers for is overdue: the longest grace period and 15 s. Raises `RedisUnavailable`.
    """
    suspicion = follow(store, collect(store.keys, bounds or Bounds(), slack_s))
    if suspicion:
        time.sleep(settle_s)
    return follow(store, confirm(store.keys, suspicion, slack_s))


def repair(
    store: Store, log: AuditLog, census: Census, *, slack_s: float = SLACK_S, failure_ttl: int | None = None
) -> list[Repaired]:
    """Repair every finding that has one right answer; each kind is one entry of the audit log.

    Each repair is one script that looks again before it changes anything, so a job that has moved on since
    the census is left alone. ``failure_ttl`` (seconds) is how long jobs are kept that end by it and say
    nothing themselves; without it the servers' setting counts. Raises `RedisUnavailable`, `StoreError`.
    """
    work = _Work(store, slack_s, failure_ttl)
    done = []
    groups = census.of_kind()
    for way in _ORDER:
        for kind in (kind for kind in groups if FAULTS[kind].repair == way):
            with log.action("ledger.repair", kind) as note:
                note.count = 0
                note.count = work.repair(way, groups[kind])
            done.append(Repaired(kind, len(groups[kind]), note.count))
    return done


class _Work:
    """The repairs of one call."""

    def __init__(self, store: Store, slack_s: float, failure_ttl: int | None) -> None:
        self._store = store
        self._keys = store.keys
        self._slack_s = slack_s
        self._failure_ttl = failure_ttl
        self._ways: dict[Repair, Callable[[Sequence[Finding]], int]] = {
            "record": self._records,
            "queue": self._queues,
            "place": self._places,
            "server": self._servers,
            "overdue": self._overdue,
            "family": self._families,
            "claims": self._claims,
            "cron": self._cron,
            "expiry": self._expiry,
        }

    def repair(self, way: Repair, findings: Sequence[Finding]) -> int:
        """Repair findings of one kind; return in how many cases something was changed."""
        return self._ways[way](findings)

    def _records(self, findings: Sequence[Finding]) -> int:
        return sum(self._store.run(mend_record(self._keys, job)) > 0 for job in _subjects(findings))

    def _queues(self, findings: Sequence[Finding]) -> int:
        return sum(self._store.run(mend_queue(self._keys, queue)) for queue in _subjects(findings))

    def _places(self, findings: Sequence[Finding]) -> int:
        by_job: dict[str, list[Finding]] = {}
        for finding in findings:
            by_job.setdefault(finding.subject, []).append(finding)
        changed = 0
        for job, of_job in by_job.items():
            met = frozenset[str]().union(*(finding.queues for finding in of_job))
            placed = self._store.run(mend_place(self._keys, job, met))
            changed += len(of_job) if placed.taken or placed.put else 0
        return changed

    def _servers(self, findings: Sequence[Finding]) -> int:
        changed = 0
        for server in _servers_of(findings):
            score = self._store.run(lease_score(self._keys, server))
            reaped = self._store.run(reap_server(self._keys, server, score, False, self._failure_ttl))
            if reaped is not None:
                changed += reaped.recovered + reaped.dead + (1 if score else 0)
        return min(changed, len(findings))

    def _overdue(self, findings: Sequence[Finding]) -> int:
        changed = 0
        for queue in dict.fromkeys(finding.detail for finding in findings):
            more = True
            while more:
                found = self._store.run(reap_overdue(self._keys, [queue], self._slack_s, self._failure_ttl))
                changed += found.recovered + found.dead
                more = found.more
        return changed

    def _families(self, findings: Sequence[Finding]) -> int:
        changed = 0
        for job in _subjects(findings):
            told = self._store.run(mend_family(self._keys, job, self._failure_ttl))
            changed += told.released + told.canceled + told.links > 0
        return changed

    def _claims(self, findings: Sequence[Finding]) -> int:
        changed = 0
        for server in dict.fromkeys(finding.detail for finding in findings):
            jobs = [finding.subject for finding in findings if finding.detail == server]
            for start in range(0, len(jobs), _AT_ONCE):
                changed += self._store.run(mend_claims(self._keys, server, jobs[start : start + _AT_ONCE]))
        return changed

    def _cron(self, findings: Sequence[Finding]) -> int:
        return sum(self._store.run(mend_cron(self._keys, entry)) > 0 for entry in _subjects(findings))

    def _expiry(self, findings: Sequence[Finding]) -> int:
        changed = 0
        for name in _subjects(findings):
            part = part_of(name)
            if part is not None and part.expires_s:
                changed += self._store.run(mend_expiry(self._keys, self._keys.prefix + name, part.expires_s))
        return changed


def _subjects(findings: Iterable[Finding]) -> list[str]:
    return list(dict.fromkeys(finding.subject for finding in findings))


def _servers_of(findings: Iterable[Finding]) -> list[str]:
    """Return the servers that claims are of, or that are found themselves."""
    return list(dict.fromkeys(finding.detail or finding.subject for finding in findings))
