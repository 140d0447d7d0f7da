"""Commands by which operators act on jobs and queues: cancel, delete, run again, empty, pause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from gqm.errors import JobNotFound, JobStateError, QueueNotFound
from gqm.store.command import Command, Word, call, optional
from gqm.store.scripts import script

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqm.keys import Keys

T = TypeVar("T")

MAX_BULK = 500
"""Most jobs of one bulk call."""


# ----------------------------------------------------------------------------------------- one job


class Canceled(NamedTuple):
    """Answer of a cancel call."""

    was: str
    """State before. Empty when the first answer was lost; then the numbers are 0 too."""
    server_id: str
    """Server whose handler is told to stop; empty when none runs."""
    canceled: int
    """Jobs that needed this one, directly or not, and are canceled with it."""
    released: int
    """Jobs that waited for this one and run although it failed."""


def cancel(keys: Keys, job_id: str, reason: str, failure_ttl: int | None = None) -> Command[Canceled]:
    """End a live job as canceled. ``failure_ttl`` (seconds) is the default for jobs without their own.

    Raises on reading: `JobNotFound`, `JobStateError` for a job that has ended.
    """
    args = (keys.prefix, job_id, reason, optional(failure_ttl))

    def read(raw: Any) -> Canceled:
        was, server, canceled, released = _done(raw, job_id, "canceled")
        return Canceled(was.decode(), server.decode("utf-8", "replace"), canceled, released)

    return _act("cancel", keys, job_id, args, read)


def delete(keys: Keys, job_id: str, failure_ttl: int | None = None) -> Command[str]:
    """Delete a job with all that belongs to it; jobs that waited for it are canceled or released.

    The answer is its state before, empty when the first answer was lost. Raises on reading: `JobNotFound`,
    `JobStateError` for a running job.
    """
    args = (keys.prefix, job_id, optional(failure_ttl))
    return _act("delete", keys, job_id, args, lambda raw: _was(raw, job_id, "deleted"))


def requeue(keys: Keys, job_id: str) -> Command[str]:
    """Run a job again that ended otherwise than as completed: its counts and its error are forgotten.

    Answer and errors as `delete`.
    """
    args = (keys.prefix, job_id)
    return _act("requeue", keys, job_id, args, lambda raw: _was(raw, job_id, "run again"))


def run_now(keys: Keys, job_id: str) -> Command[str]:
    """Run a job now that waits for its time (scheduled, retry); its counts stay.

    Answer and errors as `delete`.
    """
    args = (keys.prefix, job_id)
    return _act("run_now", keys, job_id, args, lambda raw: _was(raw, job_id, "run now"))


def _act(name: str, keys: Keys, job_id: str, args: tuple[Word, ...], read: Callable[[Any], T]) -> Command[T]:
    """Return the call of a script on one job; its last argument says whether an answer was lost."""
    return call(script(name), (keys.job(job_id),), (*args, 0), read, again=(*args, 1))


def _was(raw: Any, job_id: str, what: str) -> str:
    return str(_done(raw, job_id, what)[0].decode())


def _done(raw: Any, job_id: str, what: str) -> list[Any]:
    """Return what stands behind ``ok`` in an answer, or raise."""
    outcome: bytes = raw[0]
    rest: list[Any] = raw[1:]
    if outcome == b"ok":
        return rest
    if outcome == b"missing":
        raise JobNotFound(f"there is no job {job_id!r}: it never existed, expired or was deleted")
    state = rest[0].decode("utf-8", "replace")
    raise JobStateError(f"job {job_id} is {state}; it cannot be {what}", state=state)


# -------------------------------------------------------------------------------------- whole queues


class Emptied(NamedTuple):
    """Answer of one step of emptying a queue."""

    canceled: int
    removed: int
    """Ids that no ready job stood behind."""
    left: int
    """Most ids of the steps to come; 0 = done."""
    cutoff_ms: int


def empty_queue(
    keys: Keys,
    queue: str,
    reason: str,
    *,
    left: int | None = None,
    cutoff_ms: int | None = None,
    failure_ttl: int | None = None,
    limit: int = MAX_BULK,
) -> Command[Emptied]:
    """Cancel ready jobs of a queue, the next to run first: one step.

    The first step says how many ids are there and what the time is; handed on as ``left`` and ``cutoff_ms``
    they keep the steps from reaching jobs that come meanwhile.
    """
    bounds = (optional(left), optional(cutoff_ms))
    args = (keys.prefix, queue, limit, *bounds, reason, optional(failure_ttl))
    return call(script("empty_queue"), (keys.ready(queue),), args, _emptied)


def _emptied(raw: Any) -> Emptied:
    canceled, removed, left, cutoff_ms = raw
    return Emptied(canceled, removed, left, int(cutoff_ms))


class Swept(NamedTuple):
    """Answer of one step over the dead letters of a queue."""

    done: int
    """Jobs that run again, or are deleted."""
    removed: int
    """Ids that no dead letter stood behind."""
    left: int
    """Ids that are still there of those that died until the cut-off; 0 = done."""
    cutoff_s: int


def requeue_dlq(
    keys: Keys, queue: str, *, cutoff_s: int | None = None, limit: int = MAX_BULK
) -> Command[Swept]:
    """Run dead letters of a queue again, those that died first in front: one step.

    The cut-off that the first step returns, handed on, keeps the steps from jobs that die meanwhile.
    """
    return _dead_letters("requeue_dlq", keys, queue, cutoff_s, limit)


def clear_dlq(
    keys: Keys, queue: str, *, cutoff_s: int | None = None, limit: int = MAX_BULK
) -> Command[Swept]:
    """Delete dead letters of a queue, those that died first before the others: one step, as `requeue_dlq`."""
    return _dead_letters("clear_dlq", keys, queue, cutoff_s, limit)


def _dead_letters(name: str, keys: Keys, queue: str, cutoff_s: int | None, limit: int) -> Command[Swept]:
    args = (keys.prefix, queue, limit, optional(cutoff_s))
    return call(script(name), (keys.dead_letter(queue),), args, _swept)


def _swept(raw: Any) -> Swept:
    done, removed, left, cutoff_s = raw
    return Swept(done, removed, left, int(cutoff_s))


def pause(keys: Keys, queue: str) -> Command[bool]:
    """Keep all servers from claiming jobs of a queue; False = it was paused before.

    Raises on reading: `QueueNotFound`.
    """
    return _switch("pause", keys, queue)


def resume(keys: Keys, queue: str) -> Command[bool]:
    """Let servers claim jobs of a queue again; False = it was not paused.

    Raises on reading: `QueueNotFound`.
    """
    return _switch("resume", keys, queue)


def _switch(name: str, keys: Keys, queue: str) -> Command[bool]:
    def read(raw: Any) -> bool:
        if raw == b"missing":
            raise QueueNotFound(f"there is no queue {queue!r}")
        return bool(raw)

    args = (keys.prefix, queue)
    return call(script(name), (keys.paused, keys.queues), (*args, 0), read, again=(*args, 1))
