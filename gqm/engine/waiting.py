"""Waking idle pools: one waiter per queue, shared by the pools of the process that read it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from gqm.engine.outage import Outage
from gqm.errors import GQMError
from gqm.store.commands.claim import are_paused, wait_ready

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gqm.store.aio import AsyncStore

log = logging.getLogger("gqm.engine")

BLOCK_S = 5.0
PAUSE_CHECK_S = 1.0


class Waiters:
    """Sets a pool's event when one of the queues it listens to holds a job.

    A waiter runs only while somebody listens; a paused queue is not waited on, since its list is not empty
    and would answer at once. It is looked at once a second until it is resumed.
    """

    def __init__(self, store: AsyncStore) -> None:
        self._store = store
        self._listeners: dict[str, set[asyncio.Event]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._paused: dict[str, set[asyncio.Event]] = {}
        self._pause_task: asyncio.Task[None] | None = None

    def listen(self, queue: str, event: asyncio.Event) -> None:
        """Set the event once when the queue holds a job."""
        self._listeners.setdefault(queue, set()).add(event)
        if queue not in self._tasks:
            self._tasks[queue] = asyncio.get_running_loop().create_task(self._wait(queue))

    def listen_paused(self, queue: str, event: asyncio.Event) -> None:
        """Set the event once when the queue is no longer paused."""
        self._paused.setdefault(queue, set()).add(event)
        if self._pause_task is None:
            self._pause_task = asyncio.get_running_loop().create_task(self._watch_paused())

    def unlisten(self, queues: Iterable[str], event: asyncio.Event) -> None:
        """The owner of the event is awake: a waiter without listeners ends at its next answer."""
        for listeners in (self._listeners, self._paused):
            for queue in queues:
                events = listeners.get(queue)
                if events is not None:
                    events.discard(event)
                    if not events:
                        del listeners[queue]

    def wake(self, queue: str) -> None:
        """Wake everybody who listens to a queue."""
        for listeners in (self._listeners, self._paused):
            for event in listeners.pop(queue, ()):
                event.set()

    async def close(self) -> None:
        """End all waiters."""
        tasks = [*self._tasks.values(), *([self._pause_task] if self._pause_task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait(self, queue: str) -> None:
        outage = Outage(f"waiting for jobs of queue {queue!r}")
        try:
            while queue in self._listeners:
                try:
                    ready = await self._store.run(wait_ready(self._store.keys, queue, BLOCK_S))
                except GQMError as exc:
                    await outage.pause(exc)
                    await asyncio.sleep(1.0)
                else:
                    outage.over()
                    if ready:
                        self.wake(queue)
        finally:
            del self._tasks[queue]

    async def _watch_paused(self) -> None:
        outage = Outage("looking for resumed queues")
        try:
            while self._paused:
                await asyncio.sleep(PAUSE_CHECK_S)
                queues = list(self._paused)
                if not queues:
                    return
                try:
                    paused = await self._store.run(are_paused(self._store.keys, queues))
                except GQMError as exc:
                    await outage.pause(exc)
                    continue
                outage.over()
                for queue, still in zip(queues, paused, strict=True):
                    if not still:
                        self.wake(queue)
        finally:
            self._pause_task = None
