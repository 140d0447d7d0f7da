"""The scheduler: promotes due jobs when they are due."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gqm.engine.outage import Outage
from gqm.errors import GQMError
from gqm.store.commands.schedule import promote

if TYPE_CHECKING:
    from gqm.store.aio import AsyncStore
    from gqm.store.commands.schedule import Promoted


class Promoter:
    """Moves due jobs to their ready lists; sleeps until the next due time, at most ``poll_interval_s``."""

    def __init__(self, store: AsyncStore, poll_interval_s: float) -> None:
        self._store = store
        self._poll_interval_s = poll_interval_s
        self._due = asyncio.Event()
        self._wake_at = float("inf")

    def due(self, at: float) -> None:
        """A job is due at this unix time of the server: wake up if that is sooner than planned."""
        if at < self._wake_at:
            self._due.set()

    async def run(self) -> None:
        """Promote until cancelled."""
        outage = Outage("promoting due jobs")
        while True:
            self._due.clear()
            self._wake_at = float("inf")  # the answer may miss what falls due during the call
            try:
                done = await self._store.run(promote(self._store.keys))
            except GQMError as exc:
                await outage.pause(exc)
                continue
            outage.over()
            if done.more:
                continue
            await self._sleep(done)

    async def _sleep(self, done: Promoted) -> None:
        # The server's clock decides what is due; ours only measures how long to sleep.
        now_s = done.now_ms / 1000
        wait_s = self._poll_interval_s
        if done.next_due is not None:
            wait_s = min(wait_s, max(0.001, done.next_due - now_s))
        self._wake_at = now_s + wait_s
        try:
            async with asyncio.timeout(wait_s):
                await self._due.wait()
        except TimeoutError:
            return
