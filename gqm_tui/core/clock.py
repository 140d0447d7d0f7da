"""Time, sleep and chance in one place, so that tests can have all of them in hand."""

import asyncio
import random
import time
from typing import Protocol


class Clock(Protocol):
    """The only source of time and chance."""

    def monotonic(self) -> float:
        """Return seconds that never go back, for ages and intervals."""
        ...

    def wall(self) -> float:
        """Return this machine's time, unix seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; a negative span counts as 0."""
        ...

    def jitter(self, fraction: float) -> float:
        """Return a random factor from ``1 - fraction`` to ``1 + fraction``."""
        ...


class SystemClock:
    """The clock of this machine."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def wall(self) -> float:
        """Return unix seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait; a negative span counts as 0."""
        await asyncio.sleep(max(0.0, seconds))

    def jitter(self, fraction: float) -> float:
        """Return a random factor from ``1 - fraction`` to ``1 + fraction``."""
        return random.uniform(1.0 - fraction, 1.0 + fraction)
