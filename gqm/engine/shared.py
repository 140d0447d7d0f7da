"""What the pools of one engine have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gqm.engine.handlers import Middleware, Registry
    from gqm.engine.lease import Lease
    from gqm.engine.plan import PoolPlan
    from gqm.engine.settle import Settler
    from gqm.engine.waiting import Waiters
    from gqm.store.aio import AsyncStore
    from gqm.store.commands.claim import Claim


@dataclass(slots=True)
class Shared:
    """What all pools of an engine use together."""

    server_id: str
    store: AsyncStore
    settler: Settler
    waiters: Waiters
    lease: Lease
    registry: Registry
    middleware: Sequence[Middleware]
    global_timeout_s: float
    unknown_type_ttl_s: float
    on_claimed: Callable[[PoolPlan], None]
    """Told when a pool has taken jobs from its queues."""
    held: dict[str, Claim] = field(default_factory=dict)
    """Every claim of this process that is not settled yet, by token."""
