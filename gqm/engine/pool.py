"""One pool: claims jobs into its slots and keeps them moving until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from gqm.engine.claiming import LookAhead, Turns
from gqm.engine.outage import Outage
from gqm.engine.plan import timeout_ms
from gqm.engine.slots import Slots
from gqm.errors import GQMError
from gqm.ids import new_nonce
from gqm.store.commands.claim import ClaimPlan, claim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqm.engine.plan import PoolPlan
    from gqm.engine.shared import Shared
    from gqm.store.commands.claim import Claimed

log = logging.getLogger("gqm.engine")

MAX_ABANDONED = 100
"""A pool with so many handlers that never came back claims no more."""
MAX_BACKLOG = 2000
"""Unwritten outcomes above which no pool claims: Redis is slow or away."""
BUSY_RETRY_S = 0.1
BROKEN_RETRY_S = 1.0


class Pool:
    """Claims jobs of one pool while there is room, and sleeps while there are none."""

    def __init__(self, plan: PoolPlan, shared: Shared) -> None:
        self.plan = plan
        self.worker_id = f"{plan.name}@{shared.server_id}"
        self._shared = shared
        self._turns = Turns(plan.strategy, len(plan.queues))
        self._ahead = LookAhead(plan.slots, enabled=plan.isolation == "thread")
        self._room = asyncio.Event()
        self._wake = asyncio.Event()
        self._stopping = False
        self._busy: frozenset[str] = frozenset()
        self._skip_log = 0.0
        self._stuck_logged = False
        self.slots = Slots(plan, shared, self._ahead, self._room)
        self._claim_plan = ClaimPlan(
            shared.server_id,
            self.worker_id,
            tuple(zip(plan.queues, plan.rules, strict=True)),
            self._turns.wrap,
            timeout_ms(shared.global_timeout_s),
            timeout_ms(plan.timeout_s),
            timeout_ms(plan.grace_s),
            plan.retry.max_retry,
        )

    @property
    def stuck(self) -> bool:
        """Whether too many handlers never came back, so that the pool no longer claims."""
        return self.slots.abandoned >= MAX_ABANDONED

    async def run(self) -> None:
        """Claim until `stop` is called."""
        outage = Outage(f"pool {self.plan.name!r}: claiming")
        while not self._stopping:
            try:
                await self._step()
            except GQMError as exc:
                await outage.pause(exc)
            except Exception:
                # A mistake of ours must not end the pool: it is logged in full and tried again.
                log.exception("pool %r: unexpected error while claiming", self.plan.name)
                await asyncio.sleep(BROKEN_RETRY_S)
            else:
                outage.over()

    async def _step(self) -> None:
        if self._held_back():
            await asyncio.sleep(BUSY_RETRY_S)
            return
        n = self._ahead.want(self.slots.held)
        if n == 0:
            self._room.clear()
            await self._room.wait()
            return
        plan, turns = self._open_queues(n)
        if not plan.queues:
            await asyncio.sleep(BROKEN_RETRY_S)
            return
        # A claim is as old as its call: the answer may have lain unread while something blocked the loop.
        sent = time.monotonic()
        store = self._shared.store
        claimed = await store.run(claim(store.keys, plan, new_nonce(), n, turns))
        self._note(claimed)
        if self._stopping:
            self.slots.refuse(claimed)
            return
        self.slots.accept(claimed, sent)
        if claimed.jobs:
            self._shared.on_claimed(self.plan)
        if len(claimed.jobs) < n and not claimed.more:
            await self._sleep(claimed)

    def _open_queues(self, n: int) -> tuple[ClaimPlan, Sequence[int]]:
        """Return what to claim from, and the turns: not from queues whose jobs could not be settled."""
        broken = self._shared.settler.broken
        if broken.isdisjoint(self.plan.queues):
            return self._claim_plan, self._turns.next(n)
        queues = tuple(entry for entry in self._claim_plan.queues if entry[0] not in broken)
        return replace(self._claim_plan, queues=queues), ()

    def _held_back(self) -> bool:
        """Whether the pool must not claim at present although it has room."""
        shared = self._shared
        if self.stuck and not self._stuck_logged:
            log.error(
                "pool %r: %d handlers never came back; it claims no more until some do",
                self.plan.name,
                self.slots.abandoned,
                extra={"event": "pool_stuck", "pool": self.plan.name},
            )
        self._stuck_logged = self.stuck
        return not shared.lease.alive() or shared.settler.backlog > MAX_BACKLOG or self.stuck

    async def _sleep(self, claimed: Claimed) -> None:
        """Sleep until one of the queues may hold a job for this pool."""
        self._wake.clear()
        self._busy = frozenset(claimed.passed)
        waiters, keys = self._shared.waiters, self._shared.store.keys
        limit_s: float | None = BUSY_RETRY_S if self._busy else None
        broken = self._shared.settler.broken
        for queue in self.plan.queues:
            names = {keys.ready(queue), keys.processing(queue)}
            if queue in broken or not names.isdisjoint(claimed.broken):
                limit_s = limit_s or BROKEN_RETRY_S
            elif queue in claimed.paused:
                waiters.listen_paused(queue, self._wake)
            elif queue not in self._busy:
                waiters.listen(queue, self._wake)
        try:
            async with asyncio.timeout(limit_s):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._busy = frozenset()
            waiters.unlisten(self.plan.queues, self._wake)

    def other_claimed(self, queues: Sequence[str]) -> None:
        """Another pool took jobs: a queue that held only its types may hold ours now."""
        if not self._busy.isdisjoint(queues):
            self._wake.set()

    def _note(self, claimed: Claimed) -> None:
        if claimed.skip_count:
            self.slots.skipped += claimed.skip_count
            log.warning(
                "pool %r: took %d ids without a ready job out of its queues: %s",
                self.plan.name,
                claimed.skip_count,
                ", ".join(claimed.skipped),
                extra={"event": "stale_ids", "pool": self.plan.name},
            )
        if claimed.broken and time.monotonic() - self._skip_log > 60:
            self._skip_log = time.monotonic()
            log.error(
                "pool %r: %s has a Redis type that GQM never writes; its queue is left out",
                self.plan.name,
                ", ".join(claimed.broken),
                extra={"event": "wrong_type", "pool": self.plan.name},
            )

    def stop(self) -> None:
        """Claim no more and hand back what has not started."""
        self._stopping = True
        self._room.set()
        self._wake.set()
        self.slots.hand_back_waiting()
