"""The works of an inline queue: what its clients put in, and the runs that follow."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, TypeVar

from gqm.job import Job, NewJob, Status
from gqm.testing.clock import Clock
from gqm.testing.matching import Produced
from gqm.testing.memory import Answer, Fields, Memory
from gqm.testing.runs import Handlers, Rules, Runs

if TYPE_CHECKING:
    from gqm.engine.attempt import Attempt
    from gqm.store.commands.enqueue import Mode

T = TypeVar("T")

MAX_RUNS = 10_000
"""A call that has run so many jobs gives up: a job probably enqueues itself."""


class Bench:
    """Holds the jobs and runs them."""

    def __init__(self, handlers: Handlers, clock: Clock, *, immediately: bool, raise_errors: bool) -> None:
        self.clock = clock
        rules = Rules(handlers)
        app = rules.config.app
        self.memory = Memory(clock, app.result_ttl_s, app.failure_ttl_s)
        self.enqueued: list[Produced] = []
        self._runs = Runs(self.memory, rules, clock, raise_errors=raise_errors)
        self._immediately = immediately
        self._running = False
        self._loop: asyncio.Runner | None = None

    def close(self) -> None:
        """End the event loop on which async handlers ran."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def get(self, job_id: str) -> Job | None:
        """Return a job as it stands."""
        stored = self.memory.fields(job_id)
        return None if stored is None else Job(stored)

    def due_in(self, job_id: str) -> float | None:
        """Return in how many seconds a job falls due; ``None`` if it does not wait for its time."""
        due_ms = self.memory.due_ms(job_id)
        return None if due_ms is None else (due_ms - self.clock.now_ms) / 1000

    def found(self, ids: Sequence[str]) -> list[Job]:
        """Return those of the jobs that are kept."""
        jobs = (self.get(job_id) for job_id in ids)
        return [job for job in jobs if job is not None]

    # ------------------------------------------------------------------------------------ running

    def run_all(self) -> list[Job]:
        """Run what is due and what comes of it; return the jobs in the order of their runs."""
        done: list[str] = []
        while (attempt := self._next(done)) is not None:
            try:
                self._drive(attempt)
            finally:
                self._running = False
        return self.found(done)

    async def arun_all(self) -> list[Job]:
        """As `run_all`, in the running event loop."""
        done: list[str] = []
        while (attempt := self._next(done)) is not None:
            try:
                await self._runs.run(attempt)
            finally:
                self._running = False
        return self.found(done)

    def drain(self) -> list[Job]:
        """Run everything to its end, moving the clock on to whatever falls due next."""
        done: list[Job] = []
        while True:
            done += self.run_all()
            if not self._move_on(len(done)):
                return done

    async def adrain(self) -> list[Job]:
        """As `drain`, in the running event loop."""
        done: list[Job] = []
        while True:
            done += await self.arun_all()
            if not self._move_on(len(done)):
                return done

    def _next(self, done: list[str]) -> Attempt | None:
        if self._running:
            return None  # a handler enqueues: whoever runs it runs what it enqueues after it
        _check_number(len(done))
        attempt = self._runs.take()
        if attempt is not None:
            self._running = True
            done.append(attempt.claim.id)
        return attempt

    def _move_on(self, number: int) -> bool:
        """Move the clock on to the next due job; returns whether there is one."""
        _check_number(number)
        due_ms = self.memory.next_due_ms()
        if due_ms is None:
            return False
        self.clock.move_to(max(due_ms, self.clock.now_ms) / 1000)
        return True

    def _drive(self, attempt: Attempt) -> None:
        if not self._runs.needs_loop(attempt):
            _without_loop(self._runs.run(attempt))
            return
        if _in_loop():
            self._runs.put_back(attempt)
            raise RuntimeError(
                f"job {attempt.claim.id} ({attempt.job.type}) needs an event loop of its own, and one runs "
                "already here: use await queue.arun_all(), or enqueue with queue.async_client"
            )
        if self._loop is None:
            self._loop = asyncio.Runner()
        self._loop.run(self._runs.run(attempt))

    # ------------------------------------------------------------------- what the clients ask for

    def take_in(self, job: NewJob, mode: Mode, when_ms: int) -> Answer:
        """Store a job for a client."""
        answer = self.memory.enqueue(job, mode, when_ms)
        if answer[0] == "ok":
            self.enqueued.append(Produced(job, mode, when_ms, self.clock.now_ms))
        return answer

    def take_in_batch(self, jobs: Sequence[NewJob]) -> tuple[int, Answer] | None:
        """Store jobs for a client, all or none."""
        refused = self.memory.enqueue_batch(jobs)
        if refused is None:
            self.enqueued += (Produced(job, "now", 0, self.clock.now_ms) for job in jobs)
        return refused

    def fields(self, job_id: str) -> Fields | None:
        """Return what is stored of a job."""
        return self.memory.fields(job_id)

    def after_call(self) -> None:
        """Run what a client has enqueued, if jobs are to run immediately."""
        if self._immediately:
            self.run_all()

    async def after_async_call(self) -> None:
        """Run what an async client has enqueued, if jobs are to run immediately."""
        if self._immediately:
            await self.arun_all()

    def before_wait(self, job_id: str) -> None:
        """Run what is due. Raises ``TimeoutError`` if the job has not ended by that."""
        self.run_all()
        self._refuse_wait(job_id)

    async def before_async_wait(self, job_id: str) -> None:
        """As `before_wait`, in the running event loop."""
        await self.arun_all()
        self._refuse_wait(job_id)

    def _refuse_wait(self, job_id: str) -> None:
        job = self.get(job_id)
        if job is None or job.status.terminal:
            return
        due_in = self.due_in(job_id)
        if due_in is not None:
            why = f"it falls due in {due_in:g} s; move the clock on"
        elif job.status is Status.READY:
            why = f"nothing here runs {job.type!r} from queue {job.queue!r}"
        else:
            why = "it cannot end by waiting"
        raise TimeoutError(f"job {job_id} is {job.status}: {why}")


def _check_number(number: int) -> None:
    if number >= MAX_RUNS:
        raise RuntimeError(f"{number:,} jobs were run and there are still more; does a job enqueue itself?")


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _without_loop(coroutine: Coroutine[object, None, T]) -> T:
    """Run a coroutine that never waits for anything."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise RuntimeError("this handler waits for something, and needs an event loop")
