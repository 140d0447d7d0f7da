"""Slow repair work in the background: overdue claims, ids whose job expired, children whose parents ended untold."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from gqm.engine.outage import Outage
from gqm.errors import GQMError
from gqm.store.commands.jobs import list_queues
from gqm.store.commands.lease import MAX_REAP_QUEUES, reap_overdue, reap_server
from gqm.store.commands.schedule import sweep_dag, sweep_registry, sweep_roots, sweep_terminal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gqm.store.aio import AsyncStore
    from gqm.store.command import Command
    from gqm.store.commands.schedule import Mended, Swept

OVERDUE_EVERY_S = 5.0
SWEEP_EVERY_S = 30.0
STEP_PAUSE_S = 0.01
SLACK_S = 15.0
"""How far past its deadline, with the longest grace on top, a claim that no lease answers for must be."""


async def repeat(what: str, every_s: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do something again and again until cancelled; Redis being away only delays it.

    The first time comes after a random part of the interval, so that servers do not work in step.
    """
    outage = Outage(what)
    await asyncio.sleep(every_s * random.random())
    while True:
        try:
            await work()
        except GQMError as exc:
            await outage.pause(exc)
            continue
        outage.over()
        await asyncio.sleep(every_s)


class Sweeps:
    """The passes over the whole key space that every server, or every scheduler, makes now and then."""

    def __init__(self, store: AsyncStore, *, failure_ttl: int, grace_s: float) -> None:
        self._store = store
        self._failure_ttl = failure_ttl
        self._slack_s = max(grace_s, 10.0) + SLACK_S

    async def overdue(self) -> None:
        """Recover claims that no server answers for, in all queues."""
        keys = self._store.keys
        queues = await self._store.run(list_queues(keys))
        random.shuffle(queues)
        for start in range(0, len(queues), MAX_REAP_QUEUES):
            part = queues[start : start + MAX_REAP_QUEUES]
            more = True
            while more:
                found = await self._store.run(reap_overdue(keys, part, self._slack_s, self._failure_ttl))
                for server in found.unleased:
                    await self._store.run(reap_server(keys, server, "", False, self._failure_ttl))
                more = found.more

    async def whole_pass(self) -> None:
        """Take out what has no job or server behind it, and judge jobs that wait for ended parents."""
        keys = self._store.keys
        for queue in await self._store.run(list_queues(keys)):
            for which in ("completed", "dead_letter", "canceled"):
                await self._steps(lambda cursor, q=queue, w=which: sweep_terminal(keys, q, w, cursor))
        for registry in ("servers", "workers"):
            await self._steps(lambda cursor, r=registry: sweep_registry(keys, r, cursor))
        await self._steps(lambda cursor: sweep_roots(keys, cursor))
        await self._steps(lambda cursor: sweep_dag(keys, cursor, failure_ttl=self._failure_ttl))

    async def _steps(self, step: Callable[[str], Command[Swept] | Command[Mended]]) -> None:
        cursor = ""
        while True:
            cursor = (await self._store.run(step(cursor))).cursor
            if not cursor:
                return
            await asyncio.sleep(STEP_PAUSE_S)
