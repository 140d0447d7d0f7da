"""The actions of an operator on jobs and queues."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gqm.admin.cron import CronAdmin
from gqm.admin.log import AuditLog, Note
from gqm.admin.results import (
    ALLOWED,
    BECOMES,
    Action,
    Batch,
    Canceled,
    Cleared,
    Deleted,
    Emptied,
    JobResult,
    Preview,
    QueuePreview,
    Retried,
    RetriedAll,
    Switched,
    code_of,
)
from gqm.errors import (
    BatchTooLarge,
    InvalidJob,
    InvalidQuery,
    JobNotFound,
    JobStateError,
    QueueNotFound,
    StoreError,
)
from gqm.ids import check_job_id
from gqm.job import Status
from gqm.store.commands.operate import (
    cancel,
    clear_dlq,
    delete,
    empty_queue,
    pause,
    requeue,
    requeue_dlq,
    resume,
    run_now,
)
from gqm.store.commands.overview import read_queues
from gqm.store.commands.read import MAX_HASHES, is_queue, read_hashes, server_time
from gqm.store.plan import follow
from gqm.store.read.match import JobFilter
from gqm.store.read.walk import SAMPLES, survey, walk

if TYPE_CHECKING:
    from gqm.store.command import Command
    from gqm.store.commands.operate import Swept
    from gqm.store.sync import Store

MAX_BATCH = 1000
"""Most jobs of one batch call."""
MAX_S = 5.0
"""How long one call on a whole queue goes on."""
_WAITING = (Status.RETRY, Status.SCHEDULED)
_NAMED = 10  # ids of a batch that its audit entry names


class Admin:
    """Acts on jobs and queues on behalf of somebody, and writes each action into the audit log.

    ``actor`` is who acts (``ana``, ``apikey:grafana``, ``cli:ana``), ``role`` as what, ``source`` how they
    signed in (session, key, anonymous, external, cli), ``address`` from where. ``request_id`` (16 hexadecimal
    digits) ties audit entries to the log of a request; without it each action gets its own. ``failure_ttl``
    (seconds) is how long canceled jobs are kept that say nothing themselves; without it the servers' setting
    counts.

    Every action raises `RedisUnavailable` when Redis is away, and `StoreError` when a key has a wrong type.
    May be shared between threads.
    """

    def __init__(
        self,
        store: Store,
        *,
        actor: str,
        role: str = "admin",
        source: str = "cli",
        address: str = "",
        request_id: str = "",
        failure_ttl: int | None = None,
    ) -> None:
        self._store = store
        self._keys = store.keys
        self._actor = actor
        self._failure_ttl = failure_ttl
        self.log = AuditLog(
            store, actor=actor, role=role, source=source, address=address, request_id=request_id
        )
        """The audit log, for actions that are done elsewhere."""
        self.cron = CronAdmin(store, self.log)
        """The actions on cron entries."""

    # ------------------------------------------------------------------------------------- queues

    def pause(self, queue: str) -> Switched:
        """Keep all servers from claiming jobs of a queue. Raises `QueueNotFound`."""
        with self.log.action("queue.pause", queue) as note:
            changed = self._store.run(pause(self._keys, queue))
            note.before, note.after = "active" if changed else "paused", "paused"
        return Switched(queue=queue, status="paused", changed=changed)

    def resume(self, queue: str) -> Switched:
        """Let servers claim jobs of a queue again. Raises `QueueNotFound`."""
        with self.log.action("queue.resume", queue) as note:
            changed = self._store.run(resume(self._keys, queue))
            note.before, note.after = "paused" if changed else "active", "active"
        return Switched(queue=queue, status="active", changed=changed)

    def empty(self, queue: str) -> Emptied:
        """Cancel the ready jobs of a queue, those that are there now. Raises `QueueNotFound`."""
        with self.log.action("queue.empty", queue) as note:
            note.count = 0
            head = self._head(queue)
            left, until = head.ready, time.monotonic() + MAX_S
            while left and time.monotonic() < until:
                step = self._store.run(
                    empty_queue(
                        self._keys,
                        queue,
                        f"queue emptied by {self._actor}",
                        left=left,
                        cutoff_ms=head.now_ms,
                        failure_ttl=self._failure_ttl,
                    )
                )
                note.count, left = note.count + step.canceled, step.left
            note.before, note.after = "ready", "canceled"
        return Emptied(queue=queue, removed=note.count, remaining=left)

    def retry_all(self, queue: str) -> RetriedAll:
        """Run the dead letters of a queue again, those that are there now. Raises `QueueNotFound`."""
        with self.log.action("dlq.retry_all", queue) as note:
            remaining = self._sweep(queue, note, requeue_dlq)
            note.before, note.after = "dead_letter", "ready"
        return RetriedAll(queue=queue, retried=note.count, remaining=remaining)

    def clear(self, queue: str) -> Cleared:
        """Delete the dead letters of a queue, those that are there now. Raises `QueueNotFound`."""
        with self.log.action("dlq.clear", queue) as note:
            remaining = self._sweep(queue, note, clear_dlq)
            note.before, note.after = "dead_letter", "deleted"
        return Cleared(queue=queue, cleared=note.count, remaining=remaining)

    def preview_queue(self, queue: str, state: Status) -> QueuePreview:
        """Return how many jobs `empty` (ready), `retry_all` or `clear` (dead_letter) would meet.

        Raises `QueueNotFound`.
        """
        head = self._head(queue)
        return QueuePreview(queue=queue, matched=head.ready if state is Status.READY else head.dead_letter)

    def _sweep(self, queue: str, note: Note, step: Callable[..., Command[Swept]]) -> int:
        """Go on over dead letters until none is left or the time is over; return how many are left."""
        note.count = 0
        head = self._head(queue)
        until = time.monotonic() + MAX_S
        left = head.dead_letter
        while left and time.monotonic() < until:
            done = self._store.run(step(self._keys, queue, cutoff_s=head.now_ms // 1000))
            note.count, left = note.count + done.done, done.left
        return left

    def _head(self, queue: str) -> _Head:
        if not self._store.run(is_queue(self._keys, queue)):
            raise QueueNotFound(f"there is no queue {queue!r}")
        answer = self._store.run(read_queues(self._keys, [queue]))
        sizes = answer.queues[0]
        return _Head(sizes.ready, sizes.dead_letter, answer.now_ms)

    # --------------------------------------------------------------------------------- single jobs

    def retry(self, job_id: str) -> Retried:
        """Run an ended job again, or a waiting one (scheduled, retry) now.

        Raises `InvalidJob`, `JobNotFound`, `JobStateError`.
        """
        check_job_id(job_id)
        with self.log.action("job.retry", job_id) as note:
            note.before, note.after = self._retry(job_id), "ready"
        return Retried(job_id=job_id)

    def cancel(self, job_id: str, reason: str = "") -> Canceled:
        """End a live job as canceled, and with it the jobs that need it.

        Raises `InvalidJob`, `JobNotFound`, `JobStateError`.
        """
        check_job_id(job_id)
        with self.log.action("job.cancel", job_id) as note:
            done = self._store.run(
                cancel(self._keys, job_id, reason or f"canceled by {self._actor}", self._failure_ttl)
            )
            note.before, note.after = done.was, "canceled"
        return Canceled(
            job_id=job_id,
            was=done.was,
            signalled=bool(done.server_id),
            cascaded=done.canceled,
            released=done.released,
        )

    def delete(self, job_id: str) -> Deleted:
        """Delete a job that is not running, with all that belongs to it.

        Raises `InvalidJob`, `JobNotFound`, `JobStateError`.
        """
        check_job_id(job_id)
        with self.log.action("job.delete", job_id) as note:
            note.before = self._store.run(delete(self._keys, job_id, self._failure_ttl))
            note.after = "deleted"
        return Deleted(job_id=job_id)

    def _retry(self, job_id: str) -> str:
        """Let a job run again or now; return its state before."""
        try:
            return self._store.run(requeue(self._keys, job_id))
        except JobStateError as exc:
            if exc.state not in _WAITING:
                raise
        return self._store.run(run_now(self._keys, job_id))

    # ------------------------------------------------------------------------------------- batches

    def batch(
        self,
        action: Action,
        *,
        job_ids: Sequence[str] | None = None,
        wanted: JobFilter | None = None,
        limit: int = MAX_BATCH,
        cursor: str | None = None,
    ) -> Batch:
        """Act on up to 1,000 jobs, named or found by a filter; refusals are part of the answer.

        By filter the oldest come first; call again with `Batch.next` until it is ``None``. Raises
        `InvalidJob` naming the place of an id that is none, `BatchTooLarge`, `InvalidQuery`.
        """
        if job_ids is not None and wanted is None:
            ids, following, target = _checked(job_ids), None, _names(job_ids)
        else:
            wanted = _checked_filter(job_ids, wanted, limit)
            step = follow(self._store, walk(self._keys, wanted, cursor, limit))
            ids, following, target = [hit.id for hit in step.hits], step.next, _told(wanted)
        with self.log.action(f"batch.{action}", target) as note:
            note.count, note.after = 0, BECOMES[action]
            results = []
            for job_id in ids:
                results.append(self._one(action, job_id))
                note.count += results[-1].ok
        return Batch(succeeded=note.count, failed=len(results) - note.count, results=results, next=following)

    def preview(
        self, action: Action, *, job_ids: Sequence[str] | None = None, wanted: JobFilter | None = None
    ) -> Preview:
        """Return what `batch` would meet; nothing is changed and nothing is recorded. Raises as `batch`."""
        if job_ids is not None and wanted is None:
            return self._preview_ids(action, _checked(job_ids))
        found = follow(
            self._store, survey(self._keys, _checked_filter(job_ids, wanted, MAX_BATCH), ALLOWED[action])
        )
        conflicts = found.matched - found.eligible
        return Preview(
            matched=found.matched,
            eligible=found.eligible,
            skipped={"CONFLICT": conflicts} if conflicts else {},
            sample=found.sample,
            truncated=found.truncated,
            as_of=found.as_of,
        )

    def _preview_ids(self, action: Action, ids: Sequence[str]) -> Preview:
        states: list[bytes | None] = []
        for start in range(0, len(ids), MAX_HASHES):
            names = [self._keys.job(job_id) for job_id in ids[start : start + MAX_HASHES]]
            states += [row[0] for row in self._store.run(read_hashes(self._keys, names, ("status",)))]
        words = {state.encode() for state in ALLOWED[action]}
        fit = [job_id for job_id, state in zip(ids, states, strict=True) if state in words]
        missing = sum(not state for state in states)
        skipped = {"CONFLICT": len(ids) - len(fit) - missing, "NOT_FOUND": missing}
        return Preview(
            matched=len(ids) - missing,
            eligible=len(fit),
            skipped={code: count for code, count in skipped.items() if count},
            sample=fit[:SAMPLES],
            truncated=False,
            as_of=self._store.run(server_time(self._keys)),
        )

    def _one(self, action: Action, job_id: str) -> JobResult:
        try:
            match action:
                case "retry":
                    self._retry(job_id)
                case "cancel":
                    reason = f"canceled by {self._actor}"
                    self._store.run(cancel(self._keys, job_id, reason, self._failure_ttl))
                case "delete":
                    self._store.run(delete(self._keys, job_id, self._failure_ttl))
        except (JobNotFound, JobStateError, StoreError) as exc:
            return JobResult(job_id=job_id, ok=False, code=code_of(exc), error=str(exc))
        return JobResult(job_id=job_id, ok=True, status=BECOMES[action])


class _Head(NamedTuple):
    """A queue when an action on it begins."""

    ready: int
    dead_letter: int
    now_ms: int


def _checked(job_ids: Sequence[str]) -> list[str]:
    """Return the ids without repetition, in their order."""
    if not job_ids:
        raise InvalidJob("job_ids is empty; name at least one job")
    if len(job_ids) > MAX_BATCH:
        raise BatchTooLarge(f"job_ids names {len(job_ids):,} jobs; at most {MAX_BATCH:,} at once")
    for index, job_id in enumerate(job_ids):
        check_job_id(job_id, f"job_ids[{index}]")
    return list(dict.fromkeys(job_ids))


def _checked_filter(job_ids: Sequence[str] | None, wanted: JobFilter | None, limit: int) -> JobFilter:
    if wanted is None or job_ids is not None:
        raise InvalidQuery("a batch takes either job_ids or a filter")
    if not wanted.status:
        raise InvalidQuery("a filter must name at least one status")
    if not 1 <= limit <= MAX_BATCH:
        raise InvalidQuery(f"limit must be 1 to {MAX_BATCH:,}, not {limit}")
    return wanted


def _names(job_ids: Sequence[str]) -> str:
    more = len(job_ids) - _NAMED
    return ",".join(job_ids[:_NAMED]) + (f",… ({more} more)" if more > 0 else "")


def _told(wanted: JobFilter) -> str:
    """Return a filter in words: what it asks for, as JSON."""
    given = {
        name: value for name, value in msgspec.structs.asdict(wanted).items() if value not in ((), "", None)
    }
    return msgspec.json.encode(given).decode()
