"""Telling about Redis being away once, not at every try, and the pauses between tries."""

from __future__ import annotations

import asyncio
import logging
import time

from gqm.store.connect import Backoff

log = logging.getLogger("gqm.engine")


class Outage:
    """The state of one loop that needs Redis: logs the first failure and the return, paces the tries."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._since: float | None = None
        self._backoff = Backoff(first_s=0.1, most_s=2.0)

    async def pause(self, exc: Exception) -> None:
        """Note a failed try and wait before the next, 0.1 s growing to 2 s with jitter."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            log.error("%s: %s", self._what, exc, extra={"event": "redis_away"})
        await asyncio.sleep(self._backoff.pause(now) or 0)

    def over(self) -> None:
        """Note a try that succeeded."""
        if self._since is not None:
            away = time.monotonic() - self._since
            log.warning("%s: works again after %.1f s", self._what, away, extra={"event": "redis_back"})
            self._since = None
            self._backoff.reset()
