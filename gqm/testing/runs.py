"""Running jobs of an inline queue, one at a time, here and now, by the rules of the engine."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias, cast

from gqm.config import default_config
from gqm.engine.attempt import Attempt, Judge, begin, current_job
from gqm.engine.callbacks import call_back
from gqm.engine.handlers import Handler, Registry, make_spec, marked, wrap
from gqm.engine.plan import plan_pools
from gqm.engine.runners.thread import Threads
from gqm.errors import Retry, SkipRetry
from gqm.job import DEFAULT_MAX_RETRY, DEFAULT_QUEUE, Job
from gqm.server import Server
from gqm.store.commands.claim import Claim
from gqm.store.commands.settle import Completion

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from gqm.config import Config
    from gqm.engine.attempt import Outcome
    from gqm.engine.handlers import HandlerSpec, Middleware
    from gqm.engine.plan import PoolPlan
    from gqm.engine.runners.thread import Work
    from gqm.testing.clock import Clock
    from gqm.testing.memory import Fields, Memory

Handlers: TypeAlias = Server | ModuleType | Mapping[str, Handler] | Iterable[ModuleType] | None
"""A server with its handlers, pools and middleware; a module (or several) with functions that `gqm.handler`
marks; or functions by job type. ``None``: jobs are only recorded."""


class Rules:
    """What a server would run, and how: handlers, pools, middleware."""

    def __init__(self, handlers: Handlers) -> None:
        self.config: Config = handlers.config if isinstance(handlers, Server) else default_config()
        self.registry: Registry = handlers.handlers if isinstance(handlers, Server) else _registry(handlers)
        self.middleware: Sequence[Middleware] = handlers.middleware if isinstance(handlers, Server) else ()
        self._plans = plan_pools(self.config, self.registry)
        self._any_queue = not isinstance(handlers, Server)
        """Without a server there are no pools whose queues could matter."""

    def plan_of(self, stored: Fields) -> PoolPlan | None:
        """Return the pool that runs a job, ``None`` if none reads its queue or takes its type there."""
        type_ = stored.get(b"type", b"").decode()
        queue = stored.get(b"queue", b"").decode() or DEFAULT_QUEUE
        if self._any_queue:
            known = self.registry.get(type_) is not None
            return next((plan for plan in self._plans if known and plan.types in (None, (type_,))), None)
        for plan in self._plans:
            for name, rule in zip(plan.queues, plan.rules, strict=True):
                if name == queue and (rule is None or (type_ in rule.types) is rule.only):
                    return plan
        return None


def _registry(handlers: ModuleType | Mapping[str, Handler] | Iterable[ModuleType] | None) -> Registry:
    registry = Registry()
    if isinstance(handlers, Mapping):
        for type_, function in handlers.items():
            registry.add(make_spec(type_, function, {}))
        return registry
    modules: Iterable[ModuleType] = (handlers,) if isinstance(handlers, ModuleType) else handlers or ()
    for module in modules:
        for spec in marked(module):
            registry.add(spec)
    return registry


class Runs:
    """Takes ready jobs out of the memory and runs them."""

    def __init__(self, memory: Memory, rules: Rules, clock: Clock, *, raise_errors: bool) -> None:
        self._memory = memory
        self._rules = rules
        self._clock = clock
        self._raise_errors = raise_errors
        self._number = 0
        self._here = _Here()

    def take(self) -> Attempt | None:
        """Take the next job that some pool runs."""
        self._memory.promote()
        stored = self._memory.take(lambda fields: self._rules.plan_of(fields) is not None)
        if stored is None:
            return None
        self._number += 1
        claim = self._claim(stored)
        spec = self._rules.registry.get(stored[b"type"].decode())
        return Attempt(claim, spec, self._clock.now_ms, time.monotonic())

    def _claim(self, stored: Fields) -> Claim:
        plan = self._plan(stored)
        timeout_s = (
            int(stored.get(b"timeout", b"0")) or plan.timeout_s or self._rules.config.app.global_job_timeout_s
        )
        return Claim(
            stored[b"id"].decode(),
            f"inline.{self._number}",
            _budget(stored, plan),
            round(timeout_s * 1000),
            int(stored.get(b"attempt", b"0")) + 1,
            stored[b"queue"].decode(),
            stored,
            f"{plan.name}@inline",
        )

    def _plan(self, stored: Fields) -> PoolPlan:
        plan = self._rules.plan_of(stored)
        assert plan is not None
        return plan

    def put_back(self, attempt: Attempt) -> None:
        """Undo `take`."""
        self._memory.put_back(attempt.claim.id)

    def needs_loop(self, attempt: Attempt) -> bool:
        """Whether running this job takes an event loop."""
        spec = attempt.spec
        return spec is not None and (spec.is_async or spec.has_callbacks or bool(self._rules.middleware))

    async def run(self, attempt: Attempt) -> None:
        """Run a job and store what becomes of it. Raises the handler's error if that was asked for."""
        plan, spec = self._plan(attempt.claim.fields), attempt.spec
        judge = Judge(plan.retry, plan.grace_s, self._rules.config.app.unknown_type_ttl_s)
        if spec is None:
            self._memory.settle(judge.no_handler(attempt, time.monotonic()), attempt.claim.worker_id)
            return
        begin(attempt)
        outcome, raised = await self._judged(judge, spec, attempt)
        if attempt.pending_progress is not None:
            self._memory.report(attempt.claim.id, attempt.pending_progress)
        self._memory.settle(outcome, attempt.claim.worker_id)
        if spec.has_callbacks:
            error = None if isinstance(outcome, Completion) else attempt.error
            await call_back(self._here, spec, attempt.job, error)
        if raised is not None and self._raise_errors and not isinstance(raised, Retry | SkipRetry):
            raise raised

    async def _judged(
        self, judge: Judge, spec: HandlerSpec, attempt: Attempt
    ) -> tuple[Outcome, BaseException | None]:
        """Call the handler; return what becomes of the job, and what was raised."""
        known = current_job.set(attempt.job)
        try:
            value = await self._call(spec, attempt.job)
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - an error of the handler ends its job, not the test
            return judge.raised(attempt, exc, time.monotonic()), exc
        finally:
            current_job.reset(known)
        return judge.returned(attempt, value, time.monotonic()), attempt.error

    async def _call(self, spec: HandlerSpec, job: Job) -> object:
        async def innermost(job: Job) -> object:
            result = spec.function(job)
            return await cast("Awaitable[object]", result) if spec.is_async else result

        return await wrap(self._rules.middleware, innermost)(job)


def _budget(stored: Fields, plan: PoolPlan) -> int:
    given = int(stored.get(b"max_retry", b"3"))
    if given == DEFAULT_MAX_RETRY and stored.get(b"max_retry_set") != b"1":
        return plan.retry.max_retry
    return given


class _Here(Threads):
    """Does a pool's work in the calling thread."""

    def __init__(self) -> None:
        super().__init__("inline", 0)

    def submit(self, work: Work) -> None:
        """Do it at once."""
        work.run()
        work.done()
