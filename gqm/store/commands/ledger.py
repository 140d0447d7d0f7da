"""Commands that look for what is wrong in a key space; none of them changes anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gqm.store.command import Command, Word, call, texts
from gqm.store.scripts import script

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gqm.keys import Keys

MAX_JOBS = 200
"""Most jobs of one call."""
MAX_DEEP = 10
"""Most jobs of one call that searches ready lists."""
MAX_SEARCHED = 200_000
"""Most ids that such a call should pass over: some milliseconds."""
MAX_LIST = 1_000_000
"""Longest ready list that is searched whole, for one job a call."""
MAX_KEYS = 500
"""Most keys of one call."""
MAX_QUEUES = 100
"""Most queues of one call."""
MAX_WAITING = 5000
"""Most waiting jobs that are counted to weigh a ledger."""
MAX_RECORDS = 5000
"""Most claims of one server, and most cron entries, that are looked at."""


class Suspect(NamedTuple):
    """A job to be looked at."""

    id: str
    queues: frozenset[str] = frozenset()
    """Queues in whose containers it was met."""


class Judged(NamedTuple):
    """A job that was looked at."""

    id: str
    status: str
    """Empty if there is no such job."""
    queue: str
    faults: list[tuple[str, str]]
    """Kind and detail of each; the kinds are those of `gqm.store.read.faults`."""


def judge_jobs(
    keys: Keys, suspects: Sequence[Suspect], *, deep: bool, slack_s: float
) -> Command[list[Judged]]:
    """Look at up to 200 jobs, or with ``deep`` at up to 10, each at one instant.

    ``deep`` also searches the ready lists; without it only whether there is a fault is sure, not its kind.
    ``slack_s`` is how far past its deadline a claim that no lease answers for is overdue.
    """
    args: list[Word] = [keys.prefix, int(deep), int(slack_s)]
    for suspect in suspects:
        args += (suspect.id, len(suspect.queues), *sorted(suspect.queues))

    def read(raw: Any) -> list[Judged]:
        return [_judged(suspect.id, texts(row)) for suspect, row in zip(suspects, raw, strict=True)]

    return call(script("ledger_jobs"), (keys.leases,), tuple(args), read)


def _judged(job_id: str, row: list[str]) -> Judged:
    status, queue, *flat = row
    return Judged(job_id, status, queue, list(zip(flat[::2], flat[1::2], strict=True)))


class Records(NamedTuple):
    """The claims of one server."""

    stale: list[str]
    """Jobs whose record has no job behind it that the server holds."""
    complete: bool
    lease: int
    """0 = it has a lease, or had one just now; 1 = that ended long ago; 2 = it has none."""


def judge_claims(keys: Keys, server_id: str) -> Command[Records]:
    """Compare the records of a server's claims with the jobs."""
    return call(
        script("ledger_claims"),
        (keys.claims(server_id), keys.leases),
        (keys.prefix, server_id, MAX_RECORDS),
        lambda raw: Records(texts(raw[0]), bool(raw[1]), raw[2]),
    )


class KeyFacts(NamedTuple):
    """One key."""

    kind: str
    """Redis type; ``none`` if there is no such key."""
    ttl_s: int
    """-1 = it does not expire, -2 = there is no such key."""


def read_keys(keys: Keys, names: Sequence[str]) -> Command[list[KeyFacts]]:
    """Read type and expiry of up to 500 keys."""

    def read(raw: Any) -> list[KeyFacts]:
        return [KeyFacts(kind if isinstance(kind, str) else kind.decode(), ttl) for kind, ttl in raw]

    return call(script("ledger_keys"), tuple(names), (keys.prefix,), read)


class QueueLedger(NamedTuple):
    """One queue's books."""

    name: str
    listed: bool
    has_keys: bool
    came: int
    """Jobs that were accepted or requeued; -1 = the queue has no ledger."""
    went: int
    """Jobs that have ended or were deleted."""
    live: int


class Ledgers(NamedTuple):
    """Answer of one call."""

    weighed: bool
    """Whether `QueueLedger.live` counts the waiting jobs: there may be too many of them."""
    queues: list[QueueLedger]


def weigh_queues(keys: Keys, names: Sequence[str]) -> Command[Ledgers]:
    """Read the ledgers of up to 100 queues and count their live jobs, at one instant."""

    def read(raw: Any) -> Ledgers:
        rows = [
            QueueLedger(name, bool(row[0]), bool(row[1]), *map(int, row[2:]))
            for name, row in zip(names, raw[1], strict=True)
        ]
        return Ledgers(bool(raw[0]), rows)

    fixed = (keys.scheduled, keys.deferred, keys.queues)
    return call(script("ledger_queues"), fixed, (keys.prefix, MAX_WAITING, *names), read)


def ownerless_cron(keys: Keys, met: Iterable[str]) -> Command[list[str]]:
    """Return the ids of which something is kept and no entry is there, also of those that were met."""
    names = (keys.cron_entries, keys.cron_slots, keys.cron_meta)
    return call(script("ledger_cron"), names, (keys.prefix, MAX_RECORDS, *met), texts)
