"""Jobs in memory: the places that Redis has for them, and the moves between these places.

Nothing is decided here. What may be enqueued is checked by `gqm.newjob`, what becomes of a run is decided by
the engine's `Judge`; this module only keeps the books, as the scripts do in Redis.
"""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from gqm.job import TERMINAL, Status
from gqm.store.commands.settle import Burial, Completion, RetryLater

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gqm.engine.attempt import Outcome
    from gqm.job import NewJob
    from gqm.store.commands.enqueue import Mode
    from gqm.testing.clock import Clock

Fields: TypeAlias = dict[bytes, bytes]

Answer: TypeAlias = tuple[str, str]
"""As the script of the same call answers: a word, then a state or an id."""


class Memory:
    """All jobs of one inline queue, each in exactly one place."""

    def __init__(self, clock: Clock, result_ttl_s: float, failure_ttl_s: float) -> None:
        """The TTLs are for jobs without their own."""
        self._clock = clock
        self._ttl_s = {b"result_ttl": result_ttl_s, b"failure_ttl": failure_ttl_s}
        self._jobs: dict[str, Fields] = {}
        self._attempts: dict[str, list[dict[str, object]]] = {}
        self._ready: deque[str] = deque()
        """The next job is at the right end."""
        self._due_ms: dict[str, int] = {}
        self._waits_for: dict[str, set[str]] = {}
        self._parents: dict[str, set[str]] = {}
        self._children: dict[str, list[str]] = {}
        self._expires_ms: dict[str, int] = {}

    # ------------------------------------------------------------------------------------ reading

    def fields(self, job_id: str) -> Fields | None:
        """Return a copy of what is stored of a job."""
        self._expire()
        stored = self._jobs.get(job_id)
        return None if stored is None else dict(stored)

    def ids(self) -> list[str]:
        """Return the ids of all jobs, in the order in which they were made."""
        self._expire()
        return list(self._jobs)

    def attempts(self, job_id: str) -> list[dict[str, object]]:
        """Return the ended attempts of a job that did not complete, oldest first."""
        return list(self._attempts.get(job_id, ()))

    def next_due_ms(self) -> int | None:
        """Return when the next job that waits for its time falls due."""
        return min(self._due_ms.values(), default=None)

    def due_ms(self, job_id: str) -> int | None:
        """Return when a job falls due that waits for its time."""
        return self._due_ms.get(job_id)

    def _status(self, job_id: str) -> Status | None:
        stored = self._jobs.get(job_id)
        return None if stored is None else Status(stored[b"status"].decode())

    # ---------------------------------------------------------------------------------- enqueueing

    def enqueue(self, job: NewJob, mode: Mode, when_ms: int) -> Answer:
        """Store a new job."""
        self._expire()
        refused = self._refuse(job) or self._refuse_parents(job)
        if refused is not None:
            return refused
        due_ms = self._clock.now_ms + when_ms if mode == "in" else when_ms
        live = {parent for parent in job.parents if self._status(parent) not in TERMINAL}
        failed = next((parent for parent in job.parents if self._failed(parent)), None)
        self._make(job)
        if mode != "now":
            self._set(job.id, scheduled_at=due_ms // 1000)
        if mode != "now" and due_ms > self._clock.now_ms:
            self._due_ms[job.id] = due_ms
            return "ok", self._set(job.id, status="scheduled")
        if failed is not None and not job.allow_failure:
            return "ok", self._cancel(job.id, failed)
        if live:
            self._waits_for[job.id], self._parents[job.id] = live, set(job.parents)
            for parent in live:
                self._children.setdefault(parent, []).append(job.id)
            return "ok", self._set(job.id, status="deferred")
        return "ok", self._push(job.id)

    def enqueue_batch(self, jobs: Sequence[NewJob]) -> tuple[int, Answer] | None:
        """Store new jobs, all or none; returns index and answer of the first that is refused."""
        self._expire()
        for index, job in enumerate(jobs):
            refused = self._refuse(job)
            if refused is not None:
                return index, refused
        for job in jobs:
            self._make(job)
            self._push(job.id)
        return None

    def _refuse(self, job: NewJob) -> Answer | None:
        old = self._status(job.id)
        if old is not None and (job.unique or old not in TERMINAL):
            return "duplicate", old
        return None

    def _refuse_parents(self, job: NewJob) -> Answer | None:
        for parent in job.parents:
            if parent not in self._jobs:
                return "missing_parent", parent
        for parent in job.parents:
            if job.id in self._ancestors(parent):
                return "cycle", parent
        return None

    def _ancestors(self, job_id: str) -> set[str]:
        """Return a job and all that it and its parents waited for when they were enqueued."""
        found, todo = set(), [job_id]
        while todo:
            node = todo.pop()
            if node not in found:
                found.add(node)
                todo.extend(self._parents.get(node, ()))
        return found

    def _failed(self, job_id: str) -> bool:
        status = self._status(job_id)
        return status in TERMINAL and status is not Status.COMPLETED

    def _make(self, job: NewJob) -> None:
        self._forget(job.id)
        words = [_word(word) for word in job.fields]
        self._jobs[job.id] = dict(zip(words[::2], words[1::2], strict=True))
        self._set(job.id, created_at=self._clock.now_ms // 1000)

    # ------------------------------------------------------------------------------------ running

    def promote(self) -> None:
        """Make ready what is due, in due order; jobs that go in front keep their order there."""
        due = sorted((at, job_id) for job_id, at in self._due_ms.items() if at <= self._clock.now_ms)
        front = [job_id for _, job_id in due if self._front(job_id)]
        back = [job_id for _, job_id in due if not self._front(job_id)]
        for job_id in (*back, *reversed(front)):
            del self._due_ms[job_id]
            self._push(job_id)

    def take(self, wanted: Callable[[Fields], bool]) -> Fields | None:
        """Take the next ready job that is wanted; the fields are as they were stored before."""
        for job_id in reversed(self._ready):
            stored = dict(self._jobs[job_id])
            if wanted(stored):
                self._ready.remove(job_id)
                now_s = self._clock.now_ms // 1000
                attempt = int(stored.get(b"attempt", b"0")) + 1
                self._set(job_id, status="processing", started_at=now_s, attempt=attempt)
                return stored
        return None

    def put_back(self, job_id: str) -> None:
        """Undo `take`."""
        attempt = int(self._jobs[job_id][b"attempt"]) - 1
        self._set(job_id, status="ready", attempt=attempt)
        self._ready.append(job_id)

    def settle(self, outcome: Outcome, worker_id: str) -> None:
        """End a run as it was judged."""
        job_id = outcome.claim.id
        self._set(job_id, worker_id=worker_id)
        match outcome:
            case Completion():
                self._complete(job_id, outcome)
            case RetryLater():
                self._retry(job_id, outcome)
            case Burial():
                self._bury(job_id, outcome)

    def report(self, job_id: str, progress: bytes) -> None:
        """Store progress."""
        self._set(job_id, progress=progress)

    def _complete(self, job_id: str, done: Completion) -> None:
        self._unset(job_id, "error", "traceback", "transient_since", "unknown_since")
        self._set(job_id, status="completed", execution_duration=done.duration_ms)
        if done.result:
            self._set(job_id, result=done.result)
        if done.note:
            self._set(job_id, result_note=done.note)
        self._end(job_id, b"result_ttl")

    def _retry(self, job_id: str, later: RetryLater) -> None:
        now_s = self._clock.now_ms // 1000
        stored = self._jobs[job_id]
        self._fail(job_id, later)
        self._set(job_id, status="retry")
        if later.retry_count is not None:
            self._set(job_id, retry_count=later.retry_count)
        if later.transient and b"transient_since" not in stored:
            self._set(job_id, transient_since=now_s)
        if later.unknown and b"unknown_since" not in stored:
            self._set(job_id, unknown_since=now_s)
        self._due_ms[job_id] = self._clock.now_ms + later.delay_ms

    def _bury(self, job_id: str, burial: Burial) -> None:
        self._fail(job_id, burial)
        self._set(job_id, status="dead_letter")
        if burial.duration_ms is not None:
            self._set(job_id, execution_duration=burial.duration_ms)
        self._end(job_id, b"failure_ttl")

    def _fail(self, job_id: str, failed: RetryLater | Burial) -> None:
        self._set(job_id, error=failed.error)
        if failed.traceback:
            self._set(job_id, traceback=failed.traceback)
        else:
            self._unset(job_id, "traceback")
        if failed.entry:
            entry: dict[str, object] = json.loads(failed.entry)
            self._attempts.setdefault(job_id, []).append({**entry, "ended_at": self._clock.now})

    # --------------------------------------------------------------------------------------- ends

    def _end(self, job_id: str, ttl: bytes) -> None:
        ok = self._status(job_id) is Status.COMPLETED
        self._set(job_id, completed_at=self._clock.now_ms // 1000)
        ended = deque([(job_id, ok)])
        while ended:
            parent, ok = ended.popleft()
            for child in self._children.pop(parent, ()):
                if self._tell(child, parent, ok=ok) == "canceled":
                    ended.append((child, False))
        self._retain(job_id, ttl)

    def _tell(self, child: str, parent: str, *, ok: bool) -> str:
        """A child hears that its parent has ended; returns the state that it comes to by that."""
        pending = self._waits_for.get(child)
        if pending is None or parent not in pending:
            return ""
        if not ok and self._jobs[child].get(b"allow_failure") != b"1":
            return self._cancel(child, parent)
        pending.discard(parent)
        if pending:
            return ""
        self._stop_waiting(child)
        return self._push(child)

    def _cancel(self, job_id: str, parent: str) -> str:
        self._stop_waiting(job_id)
        reason = f"parent failed: {parent}"
        state = self._set(job_id, status="canceled", cancel_reason=reason)
        self._set(job_id, completed_at=self._clock.now_ms // 1000)
        self._retain(job_id, b"failure_ttl")
        return state

    def _stop_waiting(self, job_id: str) -> None:
        self._waits_for.pop(job_id, None)
        self._parents.pop(job_id, None)

    def _retain(self, job_id: str, ttl: bytes) -> None:
        own = self._jobs[job_id].get(ttl)
        seconds = self._ttl_s[ttl] if own is None else float(own)
        if seconds == 0:
            self._forget(job_id)
        elif seconds > 0:
            self._expires_ms[job_id] = self._clock.now_ms + round(seconds * 1000)

    def _expire(self) -> None:
        for job_id in [key for key, at in self._expires_ms.items() if at <= self._clock.now_ms]:
            self._forget(job_id)

    def _forget(self, job_id: str) -> None:
        for place in (self._jobs, self._attempts, self._expires_ms):
            place.pop(job_id, None)

    # -------------------------------------------------------------------------------------- parts

    def _push(self, job_id: str) -> str:
        if self._front(job_id):
            self._ready.append(job_id)
        else:
            self._ready.appendleft(job_id)
        return self._set(job_id, status="ready")

    def _front(self, job_id: str) -> bool:
        return self._jobs[job_id].get(b"enqueue_at_front") == b"1"

    def _set(self, job_id: str, **values: str | bytes | int) -> str:
        """Set fields of a job; returns its state."""
        stored = self._jobs[job_id]
        stored.update((name.encode(), _word(value)) for name, value in values.items())
        return stored.get(b"status", b"").decode()

    def _unset(self, job_id: str, *names: str) -> None:
        for name in names:
            self._jobs[job_id].pop(name.encode(), None)


def _word(value: str | bytes | int) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
