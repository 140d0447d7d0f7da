"""How a pool claims: the order of its queues, and how many jobs to take now."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from gqm.store.commands.claim import MAX_CLAIM

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqm.config.model import Strategy

AHEAD_S = 0.05
"""Look-ahead is bounded by so many seconds of work, so that nothing is hoarded behind a slow handler."""
MAX_AHEAD = 256
FIRST_CLAIM = 50
"""Most jobs of a claim for empty slots whose handlers take longer than claiming does: some start sooner."""
_QUICK_S = 0.001
_SLOWEST_S = 0.025
_FASTEST_S = 0.0002
_WEIGHT = 0.2


class Turns:
    """Which queue each claimed job comes from first."""

    def __init__(self, strategy: Strategy, queues: int, rng: Callable[[], float] = random.random) -> None:
        self._strategy = strategy
        self._queues = queues
        self._rng = rng
        self._counter = 0
        # Weight of queue i of k is k-i; drawn by looking a random share up in the running sums.
        total = queues * (queues + 1) / 2
        self._bounds: list[float] = []
        passed = 0
        for index in range(queues):
            passed += queues - index
            self._bounds.append(passed / total)

    @property
    def wrap(self) -> bool:
        """Whether an empty queue's turn goes to the next one in cyclic order, not to the first."""
        return self._strategy == "round_robin"

    def next(self, n: int) -> list[int]:
        """Return queue indexes for ``n`` jobs; an empty list means the first queue for all."""
        if self._queues == 1 or self._strategy == "strict":
            return []
        if self._strategy == "round_robin":
            start = self._counter
            self._counter = (start + n) % self._queues
            return [(start + turn) % self._queues for turn in range(n)]
        return [self._draw() for _ in range(n)]

    def _draw(self) -> int:
        share = self._rng()
        for index, bound in enumerate(self._bounds):
            if share < bound:
                return index
        return self._queues - 1


class LookAhead:
    """How many jobs beyond its free slots a pool may hold, from how long its handlers take."""

    def __init__(self, slots: int, *, enabled: bool = True) -> None:
        self._slots = slots
        self._enabled = enabled
        self._mean_s: float | None = None
        self._first = FIRST_CLAIM
        self.size = 0
        """Jobs to hold beyond the free slots."""

    def observe(self, duration_s: float) -> None:
        """Take the duration of an ended handler into the mean (EWMA, weight 0.2)."""
        if not self._enabled:
            return
        mean = self._mean_s
        mean = duration_s if mean is None else mean + _WEIGHT * (duration_s - mean)
        self._mean_s = mean
        self._first = MAX_CLAIM if mean < _QUICK_S else FIRST_CLAIM
        if mean > _SLOWEST_S:
            self.size = 0
        else:
            self.size = min(MAX_AHEAD, int(self._slots * AHEAD_S / max(mean, _FASTEST_S)))

    def want(self, held: int) -> int:
        """Return how many jobs to claim now, if the pool holds ``held`` (running and waiting).

        While slots would stay empty, as many as there is room for. Else the claim is put off until half of
        the look-ahead is used up: a few large claims cost Redis far less than many small ones.
        """
        room = self._slots + self.size - held
        if held >= self._slots and room * 2 < self.size:
            return 0
        return max(0, min(room, MAX_CLAIM if held >= self._slots else self._first))
