"""Commands that make jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from gqm.errors import BatchTooLarge, CyclicDependency, DependencyNotFound, DuplicateJobID, InvalidJob
from gqm.job import MAX_BATCH, MAX_BATCH_BYTES, NewJob, Status
from gqm.store.command import Command, Word, call, optional
from gqm.store.scripts import script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqm.keys import Keys

Mode = Literal["now", "at", "in"]


def enqueue(
    keys: Keys,
    job: NewJob,
    *,
    mode: Mode = "now",
    when_ms: int = 0,
    result_ttl: int | None = None,
    failure_ttl: int | None = None,
) -> Command[Status]:
    """Enqueue one job; the answer is the state it got.

    ``when_ms`` is unix milliseconds for ``at``, a delay for ``in``. The TTLs (seconds) are the caller's
    defaults, ``None`` leaves them to the servers. Raises on reading: `DuplicateJobID`,
    `DependencyNotFound`, `CyclicDependency`.
    """
    if mode == "now" and not job.nonce and not job.parents:
        return _enqueue_plain(keys, job)
    if mode != "now" and job.parents:
        raise InvalidJob("depends_on is not possible together with enqueue_at or enqueue_in")
    args: tuple[Word, ...] = (
        keys.prefix,
        mode,
        when_ms,
        int(job.unique),
        int(job.front),
        int(job.allow_failure),
        job.nonce,
        len(job.parents),
        optional(result_ttl),
        optional(failure_ttl),
        job.id,
        job.queue,
        *job.parents,
        *job.fields,
    )
    names = (keys.queues, keys.job(job.id), keys.ready(job.queue), keys.scheduled, keys.deferred)
    return call(script("enqueue"), names, args, lambda raw: _made(job, raw))


def _enqueue_plain(keys: Keys, job: NewJob) -> Command[Status]:
    found = script("enqueue_plain")
    names = (keys.queues, keys.job(job.id), keys.ready(job.queue))
    args = (keys.prefix, job.id, job.queue, job.type, job.payload, int(job.front), *job.more_fields)
    return Command(("EVALSHA", found.sha, 3, *names, *args), _state, found)


def _state(raw: Any) -> Status:
    return Status.READY if raw == b"ready" else Status(raw.decode("utf-8", "replace"))


def _made(job: NewJob, raw: Any) -> Status:
    outcome, detail = raw[0], raw[1].decode("utf-8", "replace")
    if outcome in (b"ok", b"already"):
        return Status(detail)
    if outcome == b"duplicate":
        raise DuplicateJobID(f"job id {job.id!r} is taken: that job is {detail}")
    if outcome == b"missing_parent":
        raise DependencyNotFound(f"job {job.id!r} depends on {detail!r}, which does not exist")
    raise CyclicDependency(f"job {job.id!r} would wait for itself: its parent {detail!r} leads back to it")


def enqueue_batch(keys: Keys, jobs: Sequence[NewJob]) -> Command[int]:
    """Enqueue 1 to 1000 plain jobs, all or nothing; the answer is their number.

    Raises at once: `BatchTooLarge`, `InvalidJob` naming the item. Raises on reading: `DuplicateJobID`.
    """
    check_batch(jobs)
    queues = {name: index for index, name in enumerate(dict.fromkeys(job.queue for job in jobs), 1)}
    args: list[Word] = [keys.prefix, len(jobs), len(queues), *queues]
    for job in jobs:
        more = job.more_fields
        args += (job.id, queues[job.queue], job.nonce, job.type, job.payload, len(more))
        args += more
    names = (keys.queues, *(keys.ready(queue) for queue in queues))

    def read(raw: Any) -> int:
        if raw[0] == b"ok":
            return int(raw[1])
        index, state = int(raw[1]), raw[2].decode()
        raise DuplicateJobID(f"item {index}: job id {jobs[index].id!r} is taken: that job is {state}")

    return call(script("enqueue_batch"), names, tuple(args), read)


def check_batch(jobs: Sequence[NewJob]) -> None:
    """Raise `BatchTooLarge` or `InvalidJob` for what a batch cannot carry."""
    if len(jobs) > MAX_BATCH:
        raise BatchTooLarge(
            f"a batch holds at most {MAX_BATCH:,} jobs, got {len(jobs):,}; enqueue_many sends any number"
        )
    seen: set[str] = set()
    size = 0
    for index, job in enumerate(jobs):
        size += job.size
        if job.parents or job.unique or job.front:
            name = "depends_on" if job.parents else "unique" if job.unique else "enqueue_at_front"
            raise InvalidJob(f"item {index}: {name} is not possible in a batch; enqueue the job alone")
        if job.nonce:
            if job.id in seen:
                raise InvalidJob(f"item {index}: job id {job.id!r} is twice in the batch")
            seen.add(job.id)
    if size > MAX_BATCH_BYTES:
        raise BatchTooLarge(f"the batch is {size:,} bytes; the limit is {MAX_BATCH_BYTES:,}")
