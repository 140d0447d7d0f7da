"""The slots of a pool: run claimed jobs, watch their deadlines, pass on their outcomes."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections import deque
from typing import TYPE_CHECKING

from gqm.engine import report
from gqm.engine.attempt import Attempt, Judge, Stop, begin, current_job, loop_is_ending
from gqm.engine.callbacks import call_back
from gqm.engine.deadlines import NEVER, Deadlines
from gqm.engine.handlers import wrap
from gqm.engine.runners.async_ import AsyncRunner
from gqm.engine.runners.process import ProcessRunner
from gqm.engine.runners.thread import ThreadRunner, Threads
from gqm.engine.runners.wire import NotStarted, Returned
from gqm.engine.settle import Return
from gqm.job import decode_json

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from gqm.engine.attempt import Outcome
    from gqm.engine.claiming import LookAhead
    from gqm.engine.handlers import HandlerSpec
    from gqm.engine.plan import PoolPlan
    from gqm.engine.runners import Runner
    from gqm.engine.shared import Shared
    from gqm.job import Job
    from gqm.store.commands.claim import Claim, Claimed

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
                plan.name, plan.slots, self._specs(), self._freed
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
        self._last_returns: list[Return] | None = None
        """During the last part of a stop: what is handed back, to be written in one go."""
        self.finished = 0
        self.handed_back = 0
        self.skipped = 0

    def _specs(self) -> list[HandlerSpec]:
        plan = self._plan
        return [spec for spec in self._shared.registry if plan.types is None or spec.type in plan.types]

    # ------------------------------------------------------------------------------- in and out

    @property
    def held(self) -> int:
        """Claims that take a slot or wait for one, and slots that cannot run anything at present."""
        return self._running + len(self._waiting) + self._in_threads.missing

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
        """Take over the jobs of a claim that was sent at a time of the monotonic clock."""
        registry, held = self._shared.registry, self._shared.held
        for item in claimed.jobs:
            held[item.token] = item
            type_ = item.fields.get(b"type", b"").decode("utf-8", "replace")
            attempt = Attempt(item, registry.get(type_), claimed.now_ms, now)
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

    def refuse(self, claimed: Claimed) -> None:
        """Hand back the jobs of a claim whose answer came after the pool was told to stop."""
        for item in claimed.jobs:
            self._shared.held[item.token] = item
            self._return(item, started=False)

    def _runnable(self, attempt: Attempt, now: float) -> bool:
        """Settle at once what no handler can run."""
        if attempt.spec is None:
            self._warn_unknown(attempt.job.type)
            self._shared.settler.submit(self._judge.no_handler(attempt, now))
            return False
        try:
            attempt.job.payload  # noqa: B018 - decodes it: a broken record must not reach a handler
        except ValueError as exc:
            self._shared.settler.submit(self._judge.unusable(attempt, str(exc)))
            return False
        return True

    def _warn_unknown(self, type_: str) -> None:
        if type_ not in self._unknown_warned and len(self._unknown_warned) < 1000:
            self._unknown_warned.add(type_)
            report.no_handler(self._plan.name, type_)

    def _fill(self) -> None:
        loop = None
        while self._waiting and self._running < self._plan.slots:
            attempt = self._waiting.popleft()
            if attempt.dropped:
                self._forget(attempt)
                continue
            if time.monotonic() - attempt.claimed_at > FRESH_S:
                self._return(attempt.claim, started=False)
                continue
            loop = loop or asyncio.get_running_loop()
            self._running += 1
            self._idle.clear()
            attempt.task = loop.create_task(self._run(attempt))

    def _return(self, claim: Claim, *, started: bool) -> None:
        self.handed_back += 1
        self._write(Return(claim, started))

    def _write(self, outcome: Outcome | Return) -> None:
        if self._last_returns is not None and isinstance(outcome, Return):
            self._last_returns.append(outcome)
        else:
            self._shared.settler.submit(outcome)

    def _forget(self, attempt: Attempt) -> None:
        """Let go of a claim that is somebody else's by now: nothing is to be written for it."""
        self._shared.held.pop(attempt.claim.token, None)

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
            self._return(attempt.claim, started=False)
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
        try:
            value = await self._call(attempt, job)
        except BaseException as exc:
            if attempt.stop is None and loop_is_ending(exc):
                if isinstance(
                    exc, asyncio.CancelledError
                ):  # then the loop still runs; nothing may be awaited
                    self._release(attempt, self._outcome(attempt, None, exc))
                raise
            outcome = self._outcome(attempt, None, exc)
        else:
            outcome = self._outcome(attempt, value, None)
        if attempt.abandoned:
            self.came_back(attempt)
        elif spec.has_callbacks:
            await self._conclude(attempt, outcome)
        else:
            self._release(attempt, outcome)

    def _runner(self, attempt: Attempt) -> Runner:
        assert attempt.spec is not None
        return self._on_loop if attempt.spec.is_async else self._in_threads

    def _call(self, attempt: Attempt, job: Job) -> Awaitable[object]:
        runner = self._runner(attempt)
        if not self._shared.middleware:
            return runner.run(attempt)

        async def innermost(_: Job) -> object:
            value = await runner.run(attempt)
            if isinstance(value, Returned):  # middleware gets what the handler returned, not how it travelled
                attempt.note = value.note
                return decode_json(value.result) if value.result else None
            return value

        return wrap(self._shared.middleware, innermost)(job)

    def _outcome(self, attempt: Attempt, value: object, exc: BaseException | None) -> Outcome | Return:
        """Judge what the handler returned or raised; foreign code has a say in that, too."""
        if isinstance(exc, NotStarted):
            return Return(attempt.claim, started=False)
        if exc is not None and attempt.stop is Stop.SHUTDOWN:
            return Return(attempt.claim, started=True)
        now = time.monotonic()
        try:
            if exc is None:
                return self._judge.returned(attempt, value, now)
            return self._judge.raised(attempt, exc, now)
        except BaseException as broken:
            log.exception("job %s: its end could not be judged", attempt.claim.id)
            stand_in = RuntimeError(f"the end of the handler could not be judged: {type(broken).__name__}")
            return self._judge.raised(attempt, stand_in, now)

    async def _conclude(self, attempt: Attempt, outcome: Outcome | Return) -> None:
        """Settle, then call back, then free the slot."""
        if attempt.task is not None:
            while attempt.task.cancelling():  # by us: it has been heard, and callbacks are to run
                attempt.task.uncancel()
        self._watched.remove(attempt)
        self._ended(attempt, outcome)
        try:
            await self._settle(attempt, outcome)
        finally:
            self._running -= 1
            self._freed()

    async def _settle(self, attempt: Attempt, outcome: Outcome | Return) -> None:
        """Have the outcome written; if there are callbacks, wait for that and call them."""
        spec = attempt.spec
        if spec is None or not spec.has_callbacks or attempt.dropped or isinstance(outcome, Return):
            self._submit(attempt, outcome)
        else:
            await self._settle_and_call_back(attempt, spec, outcome)

    def _submit(self, attempt: Attempt, outcome: Outcome | Return) -> None:
        if attempt.dropped:
            self._forget(attempt)
        else:
            self._write(outcome)

    def _release(self, attempt: Attempt, outcome: Outcome | Return) -> None:
        """Conclude an attempt without callbacks, and without waiting for anything."""
        self._watched.remove(attempt)
        self._ended(attempt, outcome)
        self._submit(attempt, outcome)
        self._running -= 1
        self._freed()

    async def _settle_and_call_back(self, attempt: Attempt, spec: HandlerSpec, outcome: Outcome) -> None:
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def told(ours: bool) -> None:
            if not written.done():
                written.set_result(ours)

        self._shared.settler.submit(outcome, told)
        if await written:
            await call_back(self._threads, spec, attempt.job, attempt.error)

    def _ended(self, attempt: Attempt, outcome: Outcome | Return) -> None:
        duration_s = attempt.duration_s(time.monotonic())
        if attempt.started:
            self._ahead.observe(duration_s)
        if isinstance(outcome, Return):
            self.handed_back += 1
            return
        self.finished += 1
        report.end(self._plan.name, attempt, duration_s)

    # -------------------------------------------------------------------- running, in the threads

    def work(self, attempt: Attempt) -> None:
        """Run a whole attempt in a thread; the outcome is kept in the attempt."""
        if attempt.stop is None and time.monotonic() - attempt.claimed_at <= FRESH_S:
            begin(attempt)
            contextvars.copy_context().run(self._work, attempt)

    def _work(self, attempt: Attempt) -> None:
        spec, job = attempt.spec, attempt.job
        assert spec is not None
        current_job.set(job)
        try:
            value = spec.function(job)
        except BaseException as exc:  # noqa: BLE001 - whatever a handler raises ends its job, never the pool
            attempt.outcome = self._outcome(attempt, None, exc)
        else:
            attempt.outcome = self._outcome(attempt, value, None)

    def worked(self, attempt: Attempt) -> None:
        """Take over an attempt that a thread has ended, or did not begin because it came too late."""
        if attempt.abandoned:
            self.came_back(attempt)
            return
        self._release(attempt, attempt.outcome or Return(attempt.claim, started=False))

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
        """Stop the handler of a job whose claim was taken away; one that waits for a slot does not start."""
        for attempt in (*self._watched, *self._waiting):
            if attempt.claim.id == job_id and attempt.claim.token == token:
                self._watched.tell_stop(attempt, Stop.CANCELED)

    def _leave(self, attempt: Attempt) -> None:
        """Go on without a handler that cannot be ended."""
        attempt.abandoned = True
        self._abandoned.add(attempt)
        report.abandoned(self._plan.name, attempt, self._plan.grace_s)
        outcome = self._judge.overran(attempt, time.monotonic())
        task = asyncio.get_running_loop().create_task(self._conclude_abandoned(attempt, outcome))
        self._concluding.add(task)
        task.add_done_callback(self._concluding.discard)

    async def _conclude_abandoned(self, attempt: Attempt, outcome: Outcome) -> None:
        self._ended(attempt, outcome)
        try:
            await self._settle(attempt, outcome)
        finally:
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
        """Stop what still runs and hand it back, uncounted; returns how many handlers did not react.

        The claims go back together and in the order in which they were made, so that the queue is as it was.
        """
        self._last_returns = []
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
                self._return(attempt.claim, started=True)
        order = {token: place for place, token in enumerate(self._shared.held)}
        for item in sorted(self._last_returns, key=lambda item: order.get(item.claim.token, 0)):
            self._shared.settler.submit(item)
        self._last_returns = None
        return len(stuck)

    async def start(self) -> None:
        """Start what runs handlers. Raises `RegistrationError` if it cannot run them."""
        await self._in_threads.start()

    async def close(self) -> None:
        """Let threads and processes end, and stop watching."""
        self._watched.close()
        await self._in_threads.close()
        self._threads.close()


def _is_plain(spec: HandlerSpec) -> bool:
    return not spec.is_async and not spec.has_callbacks


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
