"""The engine of one process: starts its parts in order, connects them, leaves nothing behind at a stop."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import platform
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from gqm import __version__
from gqm.engine.control import Message, listen
from gqm.engine.cron import Cron
from gqm.engine.host import host_id, hostname, process_start
from gqm.engine.lease import Lease
from gqm.engine.plan import plan_pools
from gqm.engine.pool import Pool
from gqm.engine.scheduler import Promoter
from gqm.engine.settle import Settler
from gqm.engine.shared import Shared
from gqm.engine.sweeps import OVERDUE_EVERY_S, SWEEP_EVERY_S, Sweeps, repeat
from gqm.engine.waiting import Waiters
from gqm.ids import new_server_id
from gqm.job import encode_json
from gqm.store.aio import AsyncStore
from gqm.store.commands.facts import Facts, check_facts, facts
from gqm.store.commands.lease import progress
from gqm.store.commands.servers import announce
from gqm.store.sync import Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from gqm.config import Config
    from gqm.engine.handlers import Middleware, Registry
    from gqm.engine.plan import PoolPlan
    from gqm.store.command import Command
    from gqm.store.commands.claim import Claim
    from gqm.store.connect import Link

log = logging.getLogger("gqm.engine")

ANNOUNCE_EVERY_S = 3600.0
PROGRESS_EVERY_S = 0.5
FLUSH_LIMIT_S = 0.5
"""How long a stop waits for claims and outcomes in flight, once handlers have had their time."""
RESTART_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What a stop found."""

    seconds: float
    finished: int
    """Runs ended since the start."""
    handed_back: int
    """Claims handed back by the stop."""
    abandoned: int
    """Handlers that did not react."""


class Engine:
    """Claims, runs and settles jobs in one process, on the loop that `start` is called on."""

    def __init__(
        self,
        config: Config,
        registry: Registry,
        middleware: Sequence[Middleware],
        link: Link,
    ) -> None:
        """Plan the pools; nothing is sent yet. Raises `RegistrationError` when pools and handlers clash."""
        self.config = config
        self.registry = registry
        self.server_id = new_server_id()
        self.plans = plan_pools(config, registry)
        self.facts: Facts | None = None
        self.ping_ms = 0.0
        self._middleware = tuple(middleware)
        self._link = link
        self._undo = AsyncExitStack()
        self._pools: list[Pool] = []
        self._pool_tasks: list[asyncio.Task[None]] = []
        self._hurry = asyncio.Event()
        self._stopping = False
        self._identity = _identity(self, [entry.id for entry in config.scheduler.cron_entries])

    # ------------------------------------------------------------------------------------ start

    async def start(self) -> None:
        """Start everything, or nothing: a failed step undoes the earlier ones and raises."""
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as undo:
            store = AsyncStore(self._link)
            undo.push_async_callback(store.close)
            await self._check(store)
            await store.run(self._announcement(store))
            self._assemble(store)
            for pool in self._pools:
                undo.push_async_callback(pool.slots.close)
            await asyncio.gather(*(pool.slots.start() for pool in self._pools))
            await self._shared.lease.start()
            undo.push_async_callback(self._shared.lease.stop)
            undo.push_async_callback(self._shared.waiters.close)
            await self._cron.register()
            for work in self._background():
                undo.push_async_callback(_end_task, loop.create_task(_kept_going(work)))
            self._undo = undo.pop_all()
        self._pool_tasks = [loop.create_task(pool.run()) for pool in self._pools]

    async def _check(self, store: AsyncStore) -> None:
        begun = time.perf_counter()
        self.facts = await store.run(facts())
        self.ping_ms = (time.perf_counter() - begun) * 1000
        check_facts(self.facts, store.keys, self._link.where)
        if self.facts.policy != "noeviction":
            log.warning(
                "Redis at %s has maxmemory-policy %s: it may throw jobs away; set it to noeviction",
                self._link.where,
                self.facts.policy,
                extra={"event": "evicting_redis"},
            )

    def _announcement(self, store: AsyncStore) -> Command[int]:
        app = self.config.app
        queues = {queue for plan in self.plans for queue in plan.queues}
        queues.update(queue.name for queue in self.config.queues)
        return announce(store.keys, sorted(queues), math.ceil(app.result_ttl_s), math.ceil(app.failure_ttl_s))

    def _assemble(self, store: AsyncStore) -> None:
        app = self.config.app
        result_ttl, failure_ttl = math.ceil(app.result_ttl_s), math.ceil(app.failure_ttl_s)
        lease = Lease(self, Store(self._link), asyncio.get_running_loop(), app.lease_ttl_s, failure_ttl)
        waiters = Waiters(store)
        settler = Settler(store, result_ttl=result_ttl, failure_ttl=failure_ttl, settled=self._settled)
        self._shared = Shared(
            self.server_id,
            store,
            settler,
            waiters,
            lease,
            self.registry,
            self._middleware,
            app.global_job_timeout_s,
            app.unknown_type_ttl_s,
            on_claimed=self._claimed,
        )
        self._pools = [Pool(plan, self._shared) for plan in self.plans]
        self._cron = Cron(store, self.config.scheduler, failure_ttl=failure_ttl)

    def _background(self) -> list[Callable[[], Awaitable[None]]]:
        store, scheduler = self._shared.store, self.config.scheduler
        grace_s = max((plan.grace_s for plan in self.plans), default=0.0)
        sweeps = Sweeps(store, failure_ttl=math.ceil(self.config.app.failure_ttl_s), grace_s=grace_s)
        self._promoter = Promoter(store, scheduler.poll_interval_s)
        work: list[Callable[[], Awaitable[None]]] = [
            partial(listen, store, self._receive),
            partial(repeat, "recovering overdue claims", OVERDUE_EVERY_S, sweeps.overdue),
            partial(repeat, "announcing queues", ANNOUNCE_EVERY_S, self._announce),
            partial(repeat, "storing progress", PROGRESS_EVERY_S, self._store_progress),
        ]
        if scheduler.enabled:
            work += [self._promoter.run, self._cron.run]
            work.append(partial(repeat, "sweeping", SWEEP_EVERY_S, sweeps.whole_pass))
        return work

    # ---------------------------------------------------------------------------------- running

    def _settled(self, claim: Claim) -> None:
        self._shared.held.pop(claim.token, None)

    def _claimed(self, plan: PoolPlan) -> None:
        for other in self._pools:
            if other.plan is not plan:
                other.other_claimed(plan.queues)

    def _receive(self, message: Message) -> None:
        match message.op:
            case "cancel" if message.sid == self.server_id:
                self.claims_lost([(message.id, message.claim)])
            case "wake":
                self._shared.waiters.wake(message.queue)
            case "due":
                self._promoter.due(message.at)
            case "cron":
                self._cron.changed(message.id)

    async def _announce(self) -> None:
        store = self._shared.store
        await store.run(self._announcement(store))

    async def _store_progress(self) -> None:
        store = self._shared.store
        for pool in self._pools:
            for attempt in pool.slots.active:
                text = attempt.pending_progress
                if text is not attempt.stored_progress and text is not None:
                    attempt.stored_progress = text
                    await store.run(progress(store.keys, attempt.claim, text))

    # ------------------------------------------------------- what the lease's thread asks and tells

    def server_record(self) -> dict[str, str | int]:
        """Return the fields of the server's record."""
        return {
            **self._identity,
            "status": "stopping" if self._stopping else "active",
            "recovered": self._shared.lease.recovered,
        }

    def pool_records(self) -> list[tuple[str, dict[str, str | int]]]:
        """Return worker id and fields of each pool."""
        return [(pool.worker_id, self._pool_record(pool)) for pool in self._pools]

    def _pool_record(self, pool: Pool) -> dict[str, str | int]:
        plan, slots = pool.plan, pool.slots
        return {
            "id": pool.worker_id,
            "pool": plan.name,
            "server_id": self.server_id,
            "queues": ",".join(plan.queues),
            "status": "stopping" if self._stopping else "stuck" if pool.stuck else "active",
            "concurrency": plan.slots,
            "active_jobs": len(slots.active),
            "ahead": slots.ahead,
            "abandoned": slots.abandoned,
            "skipped": slots.skipped,
            "isolation": plan.isolation,
        }

    def active_claims(self) -> list[tuple[str, str]]:
        """Return job id and token of every claim that is not settled."""
        return [(claim.id, claim.token) for claim in list(self._shared.held.values())]

    def claims_lost(self, lost: Sequence[tuple[str, str]]) -> None:
        """Stop the handlers of claims that are somebody else's by now."""
        for job_id, token in lost:
            for pool in self._pools:
                pool.slots.cancel(job_id, token)

    # ------------------------------------------------------------------------------------- stop

    def hurry(self) -> None:
        """Skip the waits of a stop that is under way."""
        self._hurry.set()

    async def stop(self) -> Summary:
        """Claim no more, hand back what has not started, give running jobs their time, then sign off."""
        begun = time.monotonic()
        self._stopping = True
        for pool in self._pools:
            pool.stop()
        await asyncio.gather(*(self._drain(pool) for pool in self._pools))
        abandoned = sum(await asyncio.gather(*(pool.slots.cancel_rest() for pool in self._pools)))
        until = time.monotonic() + FLUSH_LIMIT_S
        await self._end_pools(until)
        await self._flush(until)
        await self._undo.aclose()
        return Summary(
            time.monotonic() - begun,
            sum(pool.slots.finished for pool in self._pools),
            sum(pool.slots.handed_back for pool in self._pools),
            abandoned,
        )

    async def _drain(self, pool: Pool) -> None:
        waits = [
            asyncio.ensure_future(pool.slots.drain(pool.plan.shutdown_s)),
            asyncio.ensure_future(self._hurry.wait()),
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _end_pools(self, until: float) -> None:
        """Let claim calls that are under way come back, so that their jobs can be handed back too."""
        if self._pool_tasks:
            _, late = await asyncio.wait(self._pool_tasks, timeout=max(0.0, until - time.monotonic()))
            for task in late:
                task.cancel()
            await asyncio.gather(*self._pool_tasks, return_exceptions=True)

    async def _flush(self, until: float) -> None:
        try:
            async with asyncio.timeout(max(FLUSH_LIMIT_S / 2, until - time.monotonic())):
                await self._shared.settler.flush()
        except TimeoutError:
            left = self._shared.settler.give_up()
            log.error("Redis did not take %d outcomes in time; their jobs will be recovered", left)


async def _kept_going(work: Callable[[], Awaitable[None]]) -> None:
    """Do work that never ends, and begin it again should a mistake of ours end it."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("unexpected error in the background; it goes on in %g s", RESTART_PAUSE_S)
        await asyncio.sleep(RESTART_PAUSE_S)


async def _end_task(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _identity(engine: Engine, cron_ids: Sequence[str]) -> dict[str, str | int]:
    """Return the part of the server's record that never changes."""
    plans = engine.plans
    return {
        "id": engine.server_id,
        "hostname": hostname(),
        "pid": os.getpid(),
        "go_version": f"python {platform.python_version()}",  # the field's name is Go's
        "pools": ",".join(plan.name for plan in plans),
        "num_pools": len(plans),
        "concurrency_total": sum(plan.slots for plan in plans),
        "runtime": "python",
        "version": __version__,
        "types": encode_json([spec.type for spec in engine.registry]).decode(),
        "cron_ids": encode_json(list(cron_ids)).decode(),
        "scheduler": int(engine.config.scheduler.enabled),
        "host_id": host_id(),
        "proc_start": process_start(os.getpid()),
    }
