"""Redis as the API uses it: short calls, and after a failure an answer at once until a probe succeeds."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TypeVar

from gqm.errors import RedisUnavailable
from gqm.monitor.limits import REDIS_S
from gqm.store.commands.read import server_time
from gqm.store.connect import is_lost
from gqm.store.plan import Plan, follow
from gqm.store.sync import Store

if TYPE_CHECKING:
    from gqm.store.command import Command
    from gqm.store.connect import Link

T = TypeVar("T")

PROBE_EVERY_S = 1.0
PROBE_S = 0.3
"""How long a probe goes on trying."""


class Backend(Store):
    """A store that, while Redis is away, lets one call a second try it; the others fail at once."""

    def __init__(self, link: Link) -> None:
        super().__init__(link, limit_s=REDIS_S)
        self._probe = Store(link, limit_s=PROBE_S)
        self._lock = threading.Lock()
        self._away: RedisUnavailable | None = None
        self._probe_at = 0.0

    @property
    def up(self) -> bool:
        """Whether the last call reached Redis."""
        return self._away is None

    def run(self, command: Command[T]) -> T:
        """Carry a command out; raises as `Store.run`."""
        self._enter()
        try:
            answer = super().run(command)
        except RedisUnavailable as exc:
            refused = isinstance(exc.__cause__, Exception) and not is_lost(exc.__cause__)
            self._away = None if refused else exc
            raise
        self._away = None
        return answer

    def follow(self, plan: Plan[T]) -> T:
        """Carry a plan out; raises as `run`."""
        return follow(self, plan)

    def now(self) -> float:
        """Return the clock of Redis in unix seconds."""
        return self.run(server_time(self.keys))

    def _enter(self) -> None:
        away = self._away
        if away is None:
            return
        with self._lock:
            if self._away is None:
                return
            if time.monotonic() < self._probe_at:
                raise RedisUnavailable(str(away))
            self._probe_at = float("inf")  # the others go on failing at once meanwhile
        try:
            self._probe.run(server_time(self.keys))
        finally:
            self._probe_at = time.monotonic() + PROBE_EVERY_S
        self._away = None

    def close(self) -> None:
        """Give the connections back."""
        self._probe.close()
        super().close()
