"""Deadlines: tells handlers to stop when their time is over, and gives up on those that do not."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from gqm.engine.attempt import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gqm.engine.attempt import Attempt
    from gqm.engine.runners import Runner

NEVER = float("inf")


class Deadlines:
    """Watches the attempts of one pool with a single timer, set for the earliest thing to do.

    Times are of the monotonic clock. Attempts that lie with the threads start without telling the loop, so
    for them the timer is set for the earliest possible deadline and looks again.
    """

    def __init__(
        self,
        grace_s: float,
        runner: Callable[[Attempt], Runner],
        left: Callable[[Attempt], None],
        also: Callable[[float], float],
    ) -> None:
        """``left`` gets attempts that could not be ended; ``also`` is asked when to look again."""
        self._grace_s = grace_s
        self._runner = runner
        self._left = left
        self._also = also
        self._attempts: set[Attempt] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER

    def __iter__(self) -> Iterator[Attempt]:
        return iter(list(self._attempts))

    def add(self, attempt: Attempt, now: float) -> None:
        """Watch an attempt that starts now or later."""
        self._attempts.add(attempt)
        if now + attempt.timeout_s < self._timer_at:
            self.look_at(now + attempt.timeout_s)

    def remove(self, attempt: Attempt) -> None:
        """Stop watching an attempt."""
        self._attempts.discard(attempt)

    def look_at(self, at: float) -> None:
        """Look at the attempts at this time, or earlier if that was planned already."""
        if at >= self._timer_at:
            return
        self.close()
        self._timer_at = at
        self._timer = asyncio.get_running_loop().call_later(max(0.0, at - time.monotonic()), self._look)

    def close(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, NEVER

    def _look(self) -> None:
        self._timer, self._timer_at = None, NEVER
        now = time.monotonic()
        following = min((self._inspect(attempt, now) for attempt in self), default=NEVER)
        following = min(following, self._also(now))
        if following < NEVER:
            self.look_at(following)

    def _inspect(self, attempt: Attempt, now: float) -> float:
        """Do what is due for an attempt; return when to look at it again."""
        if not attempt.started:
            return now + attempt.timeout_s
        if attempt.stop is None:
            if now < attempt.deadline:
                return attempt.deadline
            self.tell_stop(attempt, Stop.TIMEOUT)
        if attempt.stop is Stop.SHUTDOWN:
            return NEVER  # the stop of the pool has its own clock
        end = attempt.stopped_at + self._grace(attempt)
        if now < end:
            return end
        if not self._runner(attempt).end(attempt):
            self.remove(attempt)
            self._left(attempt)
        return NEVER

    def _grace(self, attempt: Attempt) -> float:
        return min(self._grace_s, self._runner(attempt).max_grace_s)

    def tell_stop(self, attempt: Attempt, why: Stop) -> None:
        """Tell a handler to stop. A time-out stays one at shutdown, a canceled job stays canceled."""
        if attempt.stop is Stop.CANCELED or (attempt.stop is Stop.TIMEOUT and why is Stop.SHUTDOWN):
            return
        attempt.stop = why
        attempt.stopped_at = time.monotonic()
        self._runner(attempt).tell_stop(attempt)
        if why is not Stop.SHUTDOWN:
            self.look_at(attempt.stopped_at + self._grace(attempt))
