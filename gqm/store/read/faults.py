"""What can be wrong in a key space: each kind with what it means and what can be done about it."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["FAULTS", "Fault", "Repair"]

Repair = Literal["place", "record", "family", "claims", "queue", "cron", "expiry", "server", "overdue"]
"""How a fault is repaired: by the command ``mend_…`` of that name; ``server`` and ``overdue`` by recovery."""


class Fault(NamedTuple):
    """One kind of fault."""

    text: str
    """What is wrong."""
    advice: str
    """What the repair does; without a repair what a person can do."""
    repair: Repair | None = None
    grave: bool = True
    """Whether jobs are lost, stuck or run wrongly by it; else it only leaves something behind."""


_PUT = "put the id where the state says, and nowhere else"

FAULTS: dict[str, Fault] = {
    # places
    "no_hash": Fault("ids without a job in a container of live jobs", "take the id out", "place"),
    "two_places": Fault("jobs in two containers", _PUT, "place"),
    "wrong_place": Fault("jobs in a container that their state does not name", _PUT, "place"),
    "nowhere": Fault("live jobs in no container, which nothing would ever run", _PUT, "place"),
    "twice_ready": Fault(
        "jobs more than once in their ready list", "keep the copy that is next to run", "place"
    ),
    "unlisted": Fault("ended jobs that no list shows", _PUT, "place", False),
    "expired_entry": Fault(
        "ended jobs that have expired and are still listed, and no scheduler runs to sweep them",
        "take the id out",
        "place",
        False,
    ),
    # records
    "live_ttl": Fault("live jobs that would expire", "take the expiry away", "record"),
    "no_expiry": Fault(
        "ended jobs without expiry, although the retention has an end",
        'delete them with "gqm job delete", or leave them: they may come from a time of another retention',
        None,
        False,
    ),
    "stub": Fault("job records without a state", "delete the record", "record", False),
    "orphan_keys": Fault("keys left over from jobs that are gone", "delete the keys", "record", False),
    "leftover_deps": Fault(
        "jobs that wait for nothing and still have parent sets", "delete the sets", "record", False
    ),
    "unknown_status": Fault(
        "jobs in a state that is none",
        "look at the record with redis-cli HGETALL; set its status, or delete the key",
    ),
    "wrong_type": Fault("keys of a Redis type that GQM never writes", "rename or delete the key"),
    # families
    "no_pending": Fault(
        "waiting jobs without the set of parents they wait for",
        "make the set again from the job's record, and judge each parent",
        "family",
    ),
    "alien_parent": Fault(
        "waiting jobs that wait for jobs which are not their parents",
        "let them wait for their parents only",
        "family",
    ),
    "parent_gone": Fault(
        "waiting jobs whose parent is gone", "treat the parent as failed: cancel or release the job", "family"
    ),
    "parent_ended": Fault(
        "waiting jobs that were not told of their parent's end",
        "release or cancel the job, as the end says",
        "family",
    ),
    "unlinked": Fault(
        "waiting jobs that their parent does not know", "make the job known to its parent", "family"
    ),
    "untold_children": Fault(
        "ended jobs with children still to be told", "tell the children", "family", False
    ),
    # claims
    "no_fence": Fault(
        "running jobs whose server can prove no claim",
        "wait: they are recovered after their deadline; or cancel them",
    ),
    "no_record": Fault(
        "running jobs missing in their server's records",
        "none needed while the server lives; after its loss they are recovered at their deadline",
        None,
        False,
    ),
    "stale_record": Fault("claim records without a running job", "delete the record", "claims", False),
    "dead_claim": Fault(
        "running jobs of a server whose lease is gone", "recover the claims of the server", "server"
    ),
    "overdue_claim": Fault(
        "running jobs that nobody answers for, past their deadline", "recover the job", "overdue"
    ),
    "dead_lease": Fault(
        "servers that died and that no other has cleared away", "clear the server away", "server", False
    ),
    # the rest
    "unlisted_queue": Fault("queues with jobs that are in no list of queues", "list the queue", "queue"),
    "cron_broken": Fault(
        "cron entries that cannot be read",
        "restart the server whose configuration has the entry after redis-cli HDEL of it",
    ),
    "cron_leftover": Fault(
        "cron entries that are gone and left data behind", "delete the data", "cron", False
    ),
    "no_key_expiry": Fault(
        "short-lived keys that would never expire", "give the key its time", "expiry", False
    ),
    "ledger_off": Fault(
        "queues whose counters do not agree with their jobs",
        "nothing to repair: another program enqueued jobs, or some were deleted or evicted behind GQM's back",
        None,
        False,
    ),
}
