"""The rules of a job's life once more, in plain Python: what the key space must look like after each step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gqm.job import TERMINAL, Status

__all__ = ["Model", "ModelJob"]


@dataclass
class ModelJob:
    """One job as the model sees it."""

    id: str
    queue: str
    status: Status
    parents: tuple[str, ...] = ()
    pending: set[str] = field(default_factory=set)
    front: bool = False
    allow_failure: bool = False
    gone_at_end: bool = False
    retry_count: int = 0
    budget: int = 3
    holder: str = ""
    claim_order: int = 0

    @property
    def live(self) -> bool:
        """Whether the job has not ended."""
        return self.status not in TERMINAL


class Refused(Exception):
    """The model says that this operation is refused; its text is the name of the error class."""


class Model:
    """Jobs by id, and the order of each ready list; the next to run first."""

    def __init__(self) -> None:
        self.jobs: dict[str, ModelJob] = {}
        self.ready: dict[str, list[str]] = {}
        self.paused: set[str] = set()
        self.pushed_back: dict[str, set[str]] = {}
        self.pushed_front: dict[str, set[str]] = {}
        self._claims = 0

    # -- what a step begins and ends with

    def begin(self) -> None:
        """Forget which jobs the last step pushed."""
        self.pushed_back, self.pushed_front = {}, {}

    def _push(self, job: ModelJob, *, front: bool) -> None:
        job.status = Status.READY
        job.holder = ""
        where = self.pushed_front if front else self.pushed_back
        where.setdefault(job.queue, set()).add(job.id)
        queue = self.ready.setdefault(job.queue, [])
        if front:
            queue.insert(0, job.id)
        else:
            queue.append(job.id)

    def _unready(self, job: ModelJob) -> None:
        self.ready[job.queue].remove(job.id)

    # -- families

    def _tell(self, parent: str, ok: bool) -> None:
        todo = [(parent, ok)]
        while todo:
            ended, good = todo.pop(0)
            for child in list(self.jobs.values()):
                if child.status is not Status.DEFERRED or ended not in child.pending:
                    continue
                if good or child.allow_failure:
                    child.pending.discard(ended)
                    if not child.pending:
                        self._push(child, front=child.front)
                else:
                    child.pending.clear()
                    self._end(child, Status.CANCELED)
                    todo.append((child.id, False))

    def _end(self, job: ModelJob, status: Status) -> None:
        job.status = status
        job.holder = ""
        if job.gone_at_end:
            del self.jobs[job.id]

    # -- operations

    def enqueue(self, job: ModelJob, *, unique: bool, later: bool) -> Status:
        """A new job; raises `Refused`."""
        old = self.jobs.get(job.id)
        if old is not None and (old.live or unique):
            raise Refused("DuplicateJobID")
        if any(parent not in self.jobs for parent in job.parents):
            raise Refused("DependencyNotFound")
        live = [parent for parent in job.parents if self.jobs[parent].live]
        if self._reaches(live, job.id):
            raise Refused("CyclicDependency")
        failed = any(
            not self.jobs[p].live and self.jobs[p].status is not Status.COMPLETED for p in job.parents
        )
        self.jobs[job.id] = job
        if later:
            job.status = Status.SCHEDULED
        elif failed and not job.allow_failure:
            self._end(job, Status.CANCELED)
            return Status.CANCELED
        elif live:
            job.status = Status.DEFERRED
            job.pending = set(live)
        else:
            self._push(job, front=job.front)
        return job.status

    def _reaches(self, start: Iterable[str], goal: str) -> bool:
        seen: set[str] = set()
        todo = list(start)
        while todo:
            node = todo.pop()
            if node == goal:
                return True
            if node in seen or node not in self.jobs:
                continue
            seen.add(node)
            if self.jobs[node].status is Status.DEFERRED:
                todo.extend(self.jobs[node].parents)
        return False

    def claim(self, queue: str, n: int, server: str) -> list[str]:
        """Take the next jobs of a queue."""
        if queue in self.paused:
            return []
        taken = self.ready.get(queue, [])[:n]
        del self.ready.get(queue, [])[:n]
        for job_id in taken:
            self._claims += 1
            job = self.jobs[job_id]
            job.status, job.holder, job.claim_order = Status.PROCESSING, server, self._claims
        return taken

    def complete(self, job_id: str) -> None:
        """The holder's handler returned."""
        self._end(self.jobs[job_id], Status.COMPLETED)
        self._tell(job_id, True)

    def bury(self, job_id: str) -> None:
        """The holder gave up."""
        self._end(self.jobs[job_id], Status.DEAD_LETTER)
        self._tell(job_id, False)

    def retry(self, job_id: str, count: int | None) -> None:
        """The holder wants it to run again later."""
        job = self.jobs[job_id]
        job.status, job.holder = Status.RETRY, ""
        if count is not None:
            job.retry_count = count

    def hand_back(self, job_id: str) -> None:
        """The holder hands the claim back."""
        self._push(self.jobs[job_id], front=True)

    def promote(self, due: list[str]) -> None:
        """Due jobs, in due order, go to their queues."""
        for job_id in due:
            job = self.jobs[job_id]
            if not job.front:
                self._push(job, front=False)
        for job_id in reversed(due):
            job = self.jobs[job_id]
            if job.front:
                self._push(job, front=True)

    def run_now(self, job_id: str) -> None:
        """An operator runs a job that waits for its time."""
        job = self._find(job_id)
        if job.status not in (Status.SCHEDULED, Status.RETRY):
            raise Refused("JobStateError")
        self._push(job, front=job.front)

    def cancel(self, job_id: str) -> None:
        """An operator ends a live job."""
        job = self._find(job_id)
        if not job.live:
            raise Refused("JobStateError")
        if job.status is Status.READY:
            self._unready(job)
        job.pending.clear()
        self._end(job, Status.CANCELED)
        self._tell(job_id, False)

    def delete(self, job_id: str) -> None:
        """An operator deletes a job."""
        job = self._find(job_id)
        if job.status is Status.PROCESSING:
            raise Refused("JobStateError")
        if job.status is Status.READY:
            self._unready(job)
        live = job.live
        del self.jobs[job_id]
        if live:
            self._tell(job_id, False)

    def requeue(self, job_id: str) -> None:
        """An operator runs an ended job again."""
        job = self._find(job_id)
        if job.live or job.status is Status.COMPLETED:
            raise Refused("JobStateError")
        self._again(job)

    def _again(self, job: ModelJob) -> None:
        job.retry_count = 0
        self._push(job, front=False)

    def requeue_dead(self, queue: str, order: list[str]) -> None:
        """An operator runs all dead letters of a queue again."""
        for job_id in order:
            if self.jobs[job_id].queue == queue:
                self._again(self.jobs[job_id])

    def clear_dead(self, queue: str) -> None:
        """An operator deletes all dead letters of a queue."""
        for job in [job for job in self.jobs.values() if job.queue == queue]:
            if job.status is Status.DEAD_LETTER:
                del self.jobs[job.id]

    def empty(self, queue: str) -> None:
        """An operator cancels all ready jobs of a queue."""
        taken = list(self.ready.get(queue, []))
        self.ready[queue] = []
        for job_id in taken:
            self._end(self.jobs[job_id], Status.CANCELED)
        for job_id in taken:
            self._tell(job_id, False)

    def lose_server(self, server: str) -> None:
        """A server died; its claims are recovered."""
        held = sorted((j for j in self.jobs.values() if j.holder == server), key=lambda j: -j.claim_order)
        buried = []
        for job in held:
            if job.retry_count + 1 <= job.budget:
                job.retry_count += 1
                self._push(job, front=True)
            else:
                self._end(job, Status.DEAD_LETTER)
                buried.append(job.id)
        for job_id in buried:
            self._tell(job_id, False)

    def _find(self, job_id: str) -> ModelJob:
        if job_id not in self.jobs:
            raise Refused("JobNotFound")
        return self.jobs[job_id]
