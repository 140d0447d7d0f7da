"""The slots of a pool: run claimed jobs, watch their deadlines, pass on their outcomes."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections import deque
from typing import TYPE_CHECKING

from gqm.engine.attempt import Attempt, Judge, Stop, begin, current_job, describe
from gqm.engine.callbacks import call_back
from gqm.engine.deadlines import NEVER, Deadlines
from gqm.engine.runners.async_ import AsyncRunner
from gqm.engine.runners.process import ProcessRunner
from gqm.engine.runners.thread import ThreadRunner, Threads
from gqm.engine.settle import Return

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from gqm.engine.attempt import Outcome
    from gqm.engine.claiming import LookAhead
    from gqm.engine.handlers import CallNext, HandlerSpec, Middleware
    from gqm.engine.plan import PoolPlan
    from gqm.engine.pool import Shared
    from gqm.engine.runners import Runner
    from gqm.job import Job
    from gqm.store.commands.claim import Claimed

log = logging.getLogger("gqm.engine")

FRESH_S = 5.0
"""A claim whose answer is older is not started: it may have been somebody else's for a while."""
HOARD_S = 1.0
"""A claim that waits longer for a slot goes back, so that another server can run it."""
LAST_CHANCE_S = 0.5
"""What a handler gets after it was cancelled at a stop."""


class Slots:
    """Up to ``plan.slots`` handlers at a time, and the claims that wait for a slot.

    If all handlers of the pool are plain `def` functions, waiting claims lie with the threads, which take
    the next one by themselves. Otherwise they lie in ``_waiting`` and the loop starts them as slots get free.
    """

    def __init__(self, plan: PoolPlan, shared: Shared, ahead: LookAhead, room: asyncio.Event) -> None:
        self._plan = plan
        self._shared = shared
        self._ahead = ahead
        self._room = room
        self._judge = Judge(plan.retry, plan.grace_s, shared.unknown_type_ttl_s)
        self._threads = Threads(plan.name, plan.slots)
        self._on_loop: Runner = AsyncRunner()
        self._in_threads: Runner = ThreadRunner(self._threads)
        if plan.isolation == "process":
            self._on_loop = self._in_threads = ProcessRunner(
                plan.name, plan.slots, self._specs(), self._threads
            )
        plain = plan.isolation == "thread" and not shared.middleware
        self._direct = plain and all(_is_plain(spec) for spec in self._specs())
        self._waiting: deque[Attempt] = deque()
        self._running = 0
        self._watched = Deadlines(plan.grace_s, self._runner, self._leave, self._hand_back_hoarded)
        """Attempts whose handler runs, or that lie with the threads."""
        self._abandoned: set[Attempt] = set()
        self._concluding: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._unknown_warned: set[str] = set()
        self.finished = 0
        self.handed_back = 0
        self.skipped = 0

    def _specs(self) -> list[HandlerSpec]:
        plan = self._plan
        return [spec for spec in self._shared.registry if plan.types is None or spec.type in plan.types]

    # ------------------------------------------------------------------------------- in and out

    @property
    def held(self) -> int:
        """Claims that take a slot or wait for one."""
        return self._running + len(self._waiting)

    @property
    def abandoned(self) -> int:
        """Handlers that were given up and have not come back."""
        return len(self._abandoned)

    @property
    def active(self) -> list[Attempt]:
        """Attempts whose handler runs."""
        return [attempt for attempt in self._watched if attempt.started]

    @property
    def ahead(self) -> int:
        """Claims that wait for a slot."""
        return len(self._waiting) + self._threads.waiting()

    def accept(self, claimed: Claimed, now: float) -> None:
        """Take over the jobs of a claim."""
        registry, held = self._shared.registry, self._shared.held
        for item in claimed.jobs:
            held[item.id] = item
            attempt = Attempt(
                item,
                registry.get(item.fields.get(b"type", b"").decode("utf-8", "replace")),
                claimed.now_ms,
                now,
            )
            if not self._runnable(attempt, now):
                continue
            if self._direct:
                self._running += 1
                self._watched.add(attempt, now)
                self._threads.submit(_Direct(self, attempt))
            else:
                self._waiting.append(attempt)
        if self._running:
            self._idle.clear()
        self._fill()
        if self.ahead:
            self._watched.look_at(now + HOARD_S)

    def _runnable(self, attempt: Attempt, now: float) -> bool:
        """Settle at once what no handler can run."""
        if attempt.spec is None:
            self._warn_unknown(attempt.job.type)
            self._settle(attempt, self._judge.no_handler(attempt, now))
            return False
        try:
            attempt.job.payload  # noqa: B018 - decodes it: a broken record must not reach a handler
        except ValueError as exc:
            self._settle(attempt, self._judge.unusable(attempt, str(exc)))
            return False
        return True

    def _warn_unknown(self, type_: str) -> None:
        if type_ not in self._unknown_warned and len(self._unknown_warned) < 1000:
            self._unknown_warned.add(type_)
            log.warning(
                "pool %r: no handler for type %r; its jobs wait for another server, then are dead letters",
                self._plan.name,
                type_,
                extra={"event": "no_handler", "pool": self._plan.name, "type": type_},
            )

    def _settle(self, attempt: Attempt, outcome: Outcome | Return) -> None:
        self._shared.settler.submit(outcome)

    def _fill(self) -> None:
        loop = None
        while self._waiting and self._running < self._plan.slots:
            attempt = self._waiting.popleft()
            if time.monotonic() - attempt.claimed_at > FRESH_S:
                self._return(attempt, started=False)
                continue
            loop = loop or asyncio.get_running_loop()
            self._running += 1
            self._idle.clear()
            attempt.task = loop.create_task(self._run(attempt))

    def _return(self, attempt: Attempt, *, started: bool) -> None:
        self.handed_back += 1
        self._shared.settler.submit(Return(attempt.claim, started))

    def hand_back_waiting(self, older_than: float = float("inf")) -> None:
        """Hand back claims that wait for a slot: all, or those claimed before a point of the clock."""
        kept = deque(attempt for attempt in self._waiting if attempt.claimed_at >= older_than)
        back = [attempt for attempt in self._waiting if attempt.claimed_at < older_than]
        self._waiting = kept
        for work in self._threads.take_back():
            if isinstance(work, _Direct) and work.attempt.claimed_at < older_than:
                self._running -= 1
                self._watched.remove(work.attempt)
                back.append(work.attempt)
            else:
                self._threads.submit(work)
        for attempt in back:
            self._return(attempt, started=False)
        self._freed()

    def _freed(self) -> None:
        """A slot may be free: start what waits, and let the pool claim if there is room."""
        if self._waiting:
            self._fill()
        if self._running == 0:
            self._idle.set()
        if not self._room.is_set() and self._ahead.want(self.held):
            self._room.set()

    # -------------------------------------------------------------------- running, on the loop

    async def _run(self, attempt: Attempt) -> None:
        spec, job = attempt.spec, attempt.job
        assert spec is not None
        begin(attempt)
        self._watched.add(attempt, attempt.started)
        current_job.set(job)
        outcome: Outcome | Return | None
        try:
            value = await self._call(attempt, job)
        except GeneratorExit:
            raise
        except BaseException as exc:  # noqa: BLE001 - whatever a handler raises ends its job, never the pool
            outcome = self._raised(attempt, exc)
        else:
            outcome = self._judge.returned(attempt, value, time.monotonic())
        await self._conclude(attempt, outcome)

    def _runner(self, attempt: Attempt) -> Runner:
        assert attempt.spec is not None
        return self._on_loop if attempt.spec.is_async else self._in_threads

    def _call(self, attempt: Attempt, job: Job) -> Awaitable[object]:
        runner = self._runner(attempt)
        if not self._shared.middleware:
            return runner.run(attempt)

        async def innermost(_: Job) -> object:
            return await runner.run(attempt)

        call: CallNext = innermost
        for middleware in reversed(self._shared.middleware):
            call = _wrapped(middleware, call)
        return call(job)

    def _raised(self, attempt: Attempt, exc: BaseException) -> Outcome | Return | None:
        if isinstance(exc, asyncio.CancelledError) and attempt.stop is not None and attempt.task is not None:
            attempt.task.uncancel()
        if attempt.stop is Stop.SHUTDOWN:
            return Return(attempt.claim, started=True)
        return self._judge.raised(attempt, exc, time.monotonic())

    async def _conclude(self, attempt: Attempt, outcome: Outcome | Return | None) -> None:
        """Settle, then call back, then free the slot."""
        if attempt.abandoned:
            self.came_back(attempt)
            return
        self._watched.remove(attempt)
        self._ended(attempt, outcome)
        spec = attempt.spec
        if outcome is None or attempt.dropped:
            self._shared.held.pop(attempt.claim.id, None)
        elif spec is not None and spec.has_callbacks and not isinstance(outcome, Return):
            await self._settle_and_call_back(attempt, spec, outcome)
        else:
            self._shared.settler.submit(outcome)
        self._running -= 1
        self._freed()

    async def _settle_and_call_back(self, attempt: Attempt, spec: HandlerSpec, outcome: Outcome) -> None:
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def told(ours: bool) -> None:
            if not written.done():
                written.set_result(ours)

        self._shared.settler.submit(outcome, told)
        if await written:
            await call_back(spec, attempt.job, attempt.error)

    def _ended(self, attempt: Attempt, outcome: Outcome | Return | None) -> None:
        duration_s = attempt.duration_s(time.monotonic())
        self._ahead.observe(duration_s)
        if isinstance(outcome, Return):
            self.handed_back += 1
            return
        self.finished += 1
        _log_end(self._plan.name, attempt, duration_s)

    # -------------------------------------------------------------------- running, in the threads

    def work(self, attempt: Attempt) -> None:
        """Run a whole attempt in a thread; the outcome is kept in the attempt."""
        if time.monotonic() - attempt.claimed_at > FRESH_S:
            return
        begin(attempt)
        contextvars.copy_context().run(self._work, attempt)

    def _work(self, attempt: Attempt) -> None:
        spec, job = attempt.spec, attempt.job
        assert spec is not None
        current_job.set(job)
        try:
            value = spec.function(job)
        except BaseException as exc:  # noqa: BLE001 - whatever a handler raises ends its job, never the pool
            attempt.outcome = self._judge.raised(attempt, exc, time.monotonic())
        else:
            attempt.outcome = self._judge.returned(attempt, value, time.monotonic())

    def worked(self, attempt: Attempt) -> None:
        """Take over an attempt that a thread has ended."""
        self._watched.remove(attempt)
        outcome: Outcome | Return | None = attempt.outcome
        if outcome is None:
            outcome = Return(attempt.claim, started=False)
        elif attempt.stop is Stop.SHUTDOWN and attempt.error is not None:
            outcome = Return(attempt.claim, started=True)
        self._ended(attempt, outcome)
        if attempt.dropped:
            self._shared.held.pop(attempt.claim.id, None)
        else:
            self._shared.settler.submit(outcome)
        self._running -= 1
        self._freed()

    def came_back(self, attempt: Attempt) -> None:
        """A handler that had been given up has ended after all."""
        self._abandoned.discard(attempt)

    # -------------------------------------------------------------------- out of time

    def _hand_back_hoarded(self, now: float) -> float:
        """Hand back claims that have waited too long for a slot; return when to look again."""
        if not self.ahead:
            return NEVER
        self.hand_back_waiting(now - HOARD_S)
        return now + HOARD_S

    def cancel(self, job_id: str, token: str) -> None:
        """Stop the handler of a job whose claim was taken away."""
        for attempt in self._watched:
            if attempt.claim.id == job_id and attempt.claim.token == token:
                self._watched.tell_stop(attempt, Stop.CANCELED)

    def _leave(self, attempt: Attempt) -> None:
        """Go on without a handler that cannot be ended."""
        attempt.abandoned = True
        self._abandoned.add(attempt)
        log.warning(
            "job %s: handler of %r did not stop within %gs; it was abandoned",
            attempt.claim.id,
            attempt.job.type,
            self._plan.grace_s,
            extra=_facts("abandoned", self._plan.name, attempt, 0),
        )
        if attempt.dropped:
            self._shared.held.pop(attempt.claim.id, None)
            self._running -= 1
            self._freed()
            return
        outcome = self._judge.overran(attempt, time.monotonic())
        task = asyncio.get_running_loop().create_task(self._conclude_abandoned(attempt, outcome))
        self._concluding.add(task)
        task.add_done_callback(self._concluding.discard)

    async def _conclude_abandoned(self, attempt: Attempt, outcome: Outcome) -> None:
        self._ended(attempt, outcome)
        spec = attempt.spec
        if spec is not None and spec.has_callbacks:
            await self._settle_and_call_back(attempt, spec, outcome)
        else:
            self._shared.settler.submit(outcome)
        self._running -= 1
        self._freed()

    # -------------------------------------------------------------------- stopping

    async def drain(self, limit_s: float) -> None:
        """Wait until no handler runs, at most ``limit_s`` seconds."""
        try:
            async with asyncio.timeout(limit_s):
                await self._idle.wait()
        except TimeoutError:
            return

    async def cancel_rest(self) -> int:
        """Stop what still runs and hand it back, uncounted; returns how many handlers did not react."""
        for attempt in self._watched:
            self._watched.tell_stop(attempt, Stop.SHUTDOWN)
        await self.drain(LAST_CHANCE_S)
        killed = [
            attempt for attempt in self._watched if attempt.started and self._runner(attempt).end(attempt)
        ]
        if killed:
            await self.drain(LAST_CHANCE_S)
        stuck = list(self._watched)
        for attempt in stuck:
            attempt.abandoned = True
            self._watched.remove(attempt)
            if attempt.stop is Stop.TIMEOUT:
                self._shared.settler.submit(self._judge.overran(attempt, time.monotonic()))
            elif not attempt.dropped:
                self._return(attempt, started=True)
        return len(stuck)

    def close(self) -> None:
        """Let threads and processes end, and stop watching."""
        self._watched.close()
        self._in_threads.close()
        self._threads.close()


def _is_plain(spec: HandlerSpec) -> bool:
    return not spec.is_async and not spec.has_callbacks


def _wrapped(middleware: Middleware, call: CallNext) -> CallNext:
    async def layer(job: Job) -> object:
        return await middleware(job, call)

    return layer


def _log_end(pool: str, attempt: Attempt, duration_s: float) -> None:
    job, ms = attempt.job, round(duration_s * 1000)
    if attempt.error is None:
        if log.isEnabledFor(logging.INFO):
            log.info("%s done %d ms", job.type, ms, extra=_facts("done", pool, attempt, ms))
    else:
        error = describe(attempt.error)
        extra = {**_facts("failed", pool, attempt, ms), "error": error}
        log.warning("%s failed after %d ms: %s", job.type, ms, error, extra=extra)


def _facts(event: str, pool: str, attempt: Attempt, ms: int) -> dict[str, object]:
    claim = attempt.claim
    return {
        "event": event,
        "pool": pool,
        "job": claim.id,
        "type": attempt.job.type,
        "queue": claim.queue,
        "attempt": claim.attempt,
        "ms": ms,
    }


class _Direct:
    """A whole attempt as work for a thread."""

    __slots__ = ("_slots", "attempt")

    def __init__(self, slots: Slots, attempt: Attempt) -> None:
        self._slots = slots
        self.attempt = attempt
        attempt.work = self

    def run(self) -> None:
        self._slots.work(self.attempt)

    def done(self) -> None:
        self._slots.worked(self.attempt)

    def came_back(self) -> None:
        self._slots.came_back(self.attempt)
