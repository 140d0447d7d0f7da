"""The census of a key space: what contradicts itself, found without changing anything.

It takes two looks, because jobs move while it reads. The first (`gqm.store.read.suspicion`) goes over
everything in small steps and notes what looks wrong; the second looks at that again, each job with all its
containers at one instant. Only what is still wrong then is a finding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gqm.store.commands.cron import read_cron
from gqm.store.commands.ledger import (
    MAX_DEEP,
    MAX_JOBS,
    MAX_KEYS,
    MAX_QUEUES,
    MAX_SEARCHED,
    Judged,
    Suspect,
    judge_claims,
    judge_jobs,
    ownerless_cron,
    read_keys,
    weigh_queues,
)
from gqm.store.plan import Plan, ask
from gqm.store.read.faults import FAULTS
from gqm.store.read.suspicion import SLACK_S, Suspicion, chunks, key_fault

if TYPE_CHECKING:
    from gqm.keys import Keys

MAX_DEEP_SUSPECTS = 5000
"""Most jobs that ready lists are searched for."""


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
    """Look at the jobs again; ready lists are searched only for those that they have to do with."""
    suspects = [Suspect(job_id, frozenset(queues)) for job_id, queues in sorted(suspicion.jobs.items())]
    findings: list[Finding] = []
    deep: list[Suspect] = []
    for some in chunks(suspects, MAX_JOBS):
        judged = yield from ask(judge_jobs(keys, some, deep=False, slack_s=slack_s))
        for suspect, found in zip(some, judged, strict=True):
            if found.status == "ready" or suspect.id in suspicion.listed:
                deep.append(suspect)
            else:
                findings += _findings(suspicion, suspect, found)
    at_once = max(1, min(MAX_DEEP, MAX_SEARCHED // max(1, suspicion.longest)))
    for some in chunks(deep[:MAX_DEEP_SUSPECTS], at_once):
        judged = yield from ask(judge_jobs(keys, some, deep=True, slack_s=slack_s))
        for suspect, found in zip(some, judged, strict=True):
            findings += _findings(suspicion, suspect, found)
    return findings, len(deep) <= MAX_DEEP_SUSPECTS


def _findings(suspicion: Suspicion, suspect: Suspect, found: Judged) -> list[Finding]:
    queues = suspect.queues | {found.queue}
    faults = [(kind, detail) for kind, detail in found.faults if suspicion.fault_counts(kind)]
    return [Finding(kind, found.id, detail, queues) for kind, detail in faults]


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
    for some in chunks(sorted(suspicion.names), MAX_KEYS):
        for name, fact in zip(some, (yield from ask(read_keys(keys, some))), strict=True):
            kind = key_fault(suspicion.names[name], fact.kind, fact.ttl_s)
            if kind:
                findings.append(Finding(kind, name.removeprefix(keys.prefix), fact.kind))
    return findings


def _cron(keys: Keys, suspicion: Suspicion) -> Plan[list[Finding]]:
    if not suspicion.can_read(keys.cron_entries, keys.cron_slots, keys.cron_meta, keys.leases):
        return []
    table = yield from ask(read_cron(keys))
    findings = [Finding("cron_broken", row.id) for row in table.rows if row.text and row.entry is None]
    for some in chunks(sorted(suspicion.cron), MAX_KEYS):
        findings += [Finding("cron_leftover", item) for item in (yield from ask(ownerless_cron(keys, some)))]
    if not suspicion.cron:
        findings += [Finding("cron_leftover", item) for item in (yield from ask(ownerless_cron(keys, ())))]
    return list(dict.fromkeys(findings))


def _queues(keys: Keys, suspicion: Suspicion, touched: frozenset[str]) -> Plan[list[Finding]]:
    findings: list[Finding] = []
    for some in chunks(sorted(suspicion.queues), MAX_QUEUES):
        answer = yield from ask(weigh_queues(keys, some))
        for queue in answer.queues:
            if queue.has_keys and not queue.listed:
                findings.append(Finding("unlisted_queue", queue.name))
            off = queue.came - queue.went - queue.live
            weighed = suspicion.alone and answer.weighed and queue.came >= 0
            if weighed and off and queue.name not in touched:
                findings.append(Finding("ledger_off", queue.name, f"{off:+d}"))
    return findings
