"""Commands that read single jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gqm.job import Job
from gqm.store.command import Command, as_dict

if TYPE_CHECKING:
    from gqm.keys import Keys


def get_job(keys: Keys, job_id: str) -> Command[Job | None]:
    """Read a job; ``None`` if there is none (never made, deleted or expired)."""

    def read(raw: Any) -> Job | None:
        fields = as_dict(raw)
        # A hash without status is a stub that some other program left behind, not a job.
        if not fields.get(b"status"):
            return None
        fields.setdefault(b"id", job_id.encode())
        return Job(fields)

    return Command(("HGETALL", keys.job(job_id)), read)


class Outcome(NamedTuple):
    """What a waiting producer needs to know of a job."""

    status: str
    result: bytes | None
    reason: str
    """Error or cancel reason."""


def get_outcome(keys: Keys, job_id: str) -> Command[Outcome | None]:
    """Read how a job stands; ``None`` if there is none."""
    return Command(("HMGET", keys.job(job_id), "status", "result", "error", "cancel_reason"), _outcome)


def _outcome(raw: Any) -> Outcome | None:
    status, result, error, cancel_reason = raw
    if not status:
        return None
    reason = cancel_reason if status in (b"canceled", b"stopped") else error
    return Outcome(status.decode(), result, (reason or b"").decode("utf-8", "replace"))


def list_queues(keys: Keys) -> Command[list[str]]:
    """Return the names of all queues that were ever used, in no order."""
    return Command(("SMEMBERS", keys.queues), lambda raw: [item.decode("utf-8", "replace") for item in raw])
