"""Queues and totals as they are told: with rates, which take a second look, and a census some seconds old."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from gqm.errors import QueueNotFound
from gqm.store.read.names import MAX_NAMES
from gqm.store.read.queues import (
    MAX_LISTED,
    Census,
    QueueList,
    QueueView,
    Totals,
    get_queue,
    list_queues,
    take_census,
    totals,
    with_growth,
)
from gqm.store.read.servers import Fleet, read_fleet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gqm.monitor.backend import Backend

CENSUS_S = 5.0
"""How old a census may be."""
FLEET_S = 1.0
SAMPLE_EVERY_S = 5.0
SAMPLES = 13
LEAST_S = 1.0
"""Shortest time over which growth is told."""


class Observed:
    """Reads queues for all requests of one API."""

    def __init__(self, backend: Backend, priorities: Mapping[str, int]) -> None:
        self._backend = backend
        self._priorities = priorities
        self._lock = threading.Lock()
        self._census: tuple[float, Census] | None = None
        self._fleet: tuple[float, Fleet] | None = None
        self._samples: deque[tuple[float, dict[str, int]]] = deque(maxlen=SAMPLES)

    def queues(self, holding: str = "", most: int = MAX_LISTED) -> QueueList:
        """Return all queues, or those with a text in their names; so many at most."""
        census, fleet = self.census(), self.fleet()
        found = self._backend.follow(
            list_queues(self._backend.keys, census=census, fleet=fleet, holding=holding, most=most)
        )
        if not holding:
            self._sample(found)
        return found._replace(queues=[self._complete(queue) for queue in found.queues])

    def queue(self, name: str) -> QueueView:
        """Return one queue. Raises `QueueNotFound`."""
        census, fleet = self.census(), self.fleet()
        found = self._backend.follow(get_queue(self._backend.keys, name, census=census, fleet=fleet))
        if found is None:
            raise QueueNotFound(f"there is no queue {name!r}")
        return self._complete(found)

    def totals(self, uptime_ms: int) -> tuple[Totals, float]:
        """Return the sums over the key space, and the clock of Redis."""
        listed = self.queues(most=MAX_NAMES)
        found = totals(listed, self.census(), self.fleet())
        return msgspec.structs.replace(found, uptime_ms=uptime_ms), listed.server_time

    def census(self) -> Census:
        """Return the waiting jobs by queue, at most 5 s old."""
        with self._lock:
            if self._census is None or time.monotonic() - self._census[0] > CENSUS_S:
                self._census = (time.monotonic(), self._backend.follow(take_census(self._backend.keys)))
            return self._census[1]

    def fleet(self) -> Fleet:
        """Return servers and pools, at most a second old."""
        with self._lock:
            if self._fleet is None or time.monotonic() - self._fleet[0] > FLEET_S:
                self._fleet = (time.monotonic(), self._backend.follow(read_fleet(self._backend.keys)))
            return self._fleet[1]

    def forget(self) -> None:
        """Read everything anew the next time: something was changed here."""
        with self._lock:
            self._census = self._fleet = None

    def _sample(self, found: QueueList) -> None:
        now = time.monotonic()
        with self._lock:
            if not self._samples or now - self._samples[-1][0] >= SAMPLE_EVERY_S:
                self._samples.append((now, {queue.name: queue.ready for queue in found.queues}))

    def _complete(self, queue: QueueView) -> QueueView:
        priority = self._priorities.get(queue.name)
        if priority is not None:
            queue = msgspec.structs.replace(queue, priority=priority)
        now = time.monotonic()
        with self._lock:
            samples = [(now - at, sizes[queue.name]) for at, sizes in self._samples if queue.name in sizes]
        recent = [(age, ready) for age, ready in samples if LEAST_S <= age <= SAMPLES * SAMPLE_EVERY_S]
        return with_growth(queue, recent[0][1], recent[0][0]) if recent else queue
