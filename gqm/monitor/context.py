"""What handlers work with: settings, Redis, sign-in, counters; one for each API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from gqm.monitor.auth import Authenticator
    from gqm.monitor.backend import Backend
    from gqm.monitor.login import Passwords
    from gqm.monitor.machinery import CpuShare
    from gqm.monitor.metrics import Metrics
    from gqm.monitor.observed import Observed
    from gqm.monitor.router import Router
    from gqm.monitor.settings import Settings
    from gqm.monitor.sse import Hub
    from gqm.monitor.static import Files

EngineState: TypeAlias = Literal["running", "none", "starting", "stopping", "stalled"]


class Host(Protocol):
    """The process around the API, as far as it is told."""

    def state(self) -> EngineState:
        """Return what the engine is at."""

    def tasks(self) -> int:
        """Return the number of tasks on its event loop."""


class NoEngine:
    """A process that runs no jobs."""

    def state(self) -> EngineState:
        """Return ``none``."""
        return "none"

    def tasks(self) -> int:
        """Return 0: there is no event loop."""
        return 0


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of one API."""

    settings: Settings
    backend: Backend
    auth: Authenticator
    passwords: Passwords
    metrics: Metrics
    observed: Observed
    files: Files
    hub: Hub
    router: Router
    host: Host
    cpu: CpuShare
    began: float
    """On the monotonic clock."""
