"""Slow repair work in the background: overdue claims, ids without a job, children that nobody told."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gqm.engine.outage import Outage
from gqm.errors import GQMError
from gqm.store.commands.jobs import list_queues
from gqm.store.commands.lease import MAX_REAP_QUEUES, reap_overdue, reap_server
from gqm.store.commands.schedule import (
    Mended,
    Registry,
    Swept,
    Terminal,
    sweep_dag,
    sweep_registry,
    sweep_roots,
    sweep_terminal,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gqm.store.aio import AsyncStore
    from gqm.store.command import Command

S = TypeVar("S", Swept, Mended)

TERMINAL: tuple[Terminal, ...] = ("completed", "dead_letter", "canceled")
REGISTRIES: tuple[Registry, ...] = ("servers", "workers")
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
            for which in TERMINAL:
                await self._steps(partial(sweep_terminal, keys, queue, which))
        for registry in REGISTRIES:
            await self._steps(partial(sweep_registry, keys, registry))
        await self._steps(partial(sweep_roots, keys))
        await self._steps(partial(sweep_dag, keys, failure_ttl=self._failure_ttl))

    async def _steps(self, step: Callable[[str], Command[S]]) -> None:
        cursor = ""
        while True:
            cursor = (await self._store.run(step(cursor))).cursor
            if not cursor:
                return
            await asyncio.sleep(STEP_PAUSE_S)
