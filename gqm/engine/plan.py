"""From configuration and handlers to pools: which there are, what each reads, which types it takes."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gqm.errors import RegistrationError
from gqm.job import DEFAULT_QUEUE
from gqm.retry import RetryPolicy
from gqm.store.commands.claim import TypeRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gqm.config import Config, PoolConfig, QueueConfig
    from gqm.config.model import Isolation, Strategy
    from gqm.engine.handlers import HandlerSpec, Registry

CATCH_ALL = "*"


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """One pool as it will run."""

    name: str
    types: tuple[str, ...] | None
    """Job types it takes; ``None`` = every type that no other pool of this server lists."""
    queues: tuple[str, ...]
    slots: int
    timeout_s: float
    """Its own time-out; 0 = the global one."""
    grace_s: float
    shutdown_s: float
    strategy: Strategy
    isolation: Isolation
    retry: RetryPolicy
    rules: tuple[TypeRule | None, ...] = ()
    """Per queue: which types it may take there."""

    def takes(self, type_: str) -> bool:
        """Whether the pool lists the type (a catch-all lists none)."""
        return self.types is not None and type_ in self.types


def plan_pools(config: Config, registry: Registry) -> list[PoolPlan]:
    """Return all pools of a server: those configured and those that handlers imply.

    Raises `RegistrationError` when names or types clash.
    """
    pools = [_from_config(pool, config.queues) for pool in config.pools]
    explicit = list(pools)
    for spec in registry:
        if spec.workers:
            pools.append(_of_handler(spec, explicit, config))
    homeless = [spec for spec in registry if not any(pool.takes(spec.type) for pool in pools)]
    served = any(pool.types is None or DEFAULT_QUEUE in pool.queues for pool in explicit)
    if homeless and not served:
        pools.append(_plain_pool("default", None, (DEFAULT_QUEUE,), os.cpu_count() or 1, config))
    _check_names(pools)
    return [_with_rules(pool, pools) for pool in pools]


def without_pool(pools: Iterable[PoolPlan], registry: Registry) -> list[str]:
    """Return the handled types that no pool runs."""
    plans = list(pools)
    if any(pool.types is None for pool in plans):
        return []
    return [spec.type for spec in registry if not any(pool.takes(spec.type) for pool in plans)]


def _from_config(pool: PoolConfig, queues: Sequence[QueueConfig]) -> PoolPlan:
    return PoolPlan(
        pool.name,
        None if tuple(pool.job_types) == (CATCH_ALL,) else tuple(pool.job_types),
        tuple(pool.queues) or queues_by_priority(queues),
        pool.slots,
        pool.job_timeout_s,
        pool.grace_period_s,
        pool.shutdown_timeout_s,
        pool.dequeue_strategy,
        pool.isolation,
        pool.retry.policy(),
    )


def queues_by_priority(queues: Sequence[QueueConfig]) -> tuple[str, ...]:
    """Return the queues of a pool that lists none.

    All declared ones and ``default``, highest priority first, ties in file order, if any queue has a
    priority; else only ``default``.
    """
    if all(queue.priority is None for queue in queues):
        return (DEFAULT_QUEUE,)
    priorities = {queue.name: queue.priority or 0 for queue in queues}
    priorities.setdefault(DEFAULT_QUEUE, 0)
    return tuple(sorted(priorities, key=lambda name: -priorities[name]))


def _of_handler(spec: HandlerSpec, explicit: Sequence[PoolPlan], config: Config) -> PoolPlan:
    for pool in explicit:
        if pool.name == spec.type or pool.takes(spec.type):
            raise RegistrationError(
                f"handler of {spec.type!r} asks for workers={spec.workers}, "
                f"but pool {pool.name!r} {'has that name' if pool.name == spec.type else 'lists that type'}"
            )
    queues = tuple(dict.fromkeys((spec.type, DEFAULT_QUEUE)))
    return _plain_pool(spec.type, (spec.type,), queues, spec.workers, config)


def _plain_pool(
    name: str, types: tuple[str, ...] | None, queues: tuple[str, ...], slots: int, config: Config
) -> PoolPlan:
    app = config.app
    policy = RetryPolicy()
    return PoolPlan(
        name,
        types,
        queues,
        slots,
        0,
        app.grace_period_s,
        app.shutdown_timeout_s,
        "weighted",
        "thread",
        policy,
    )


def _check_names(pools: Sequence[PoolPlan]) -> None:
    seen: set[str] = set()
    for pool in pools:
        if pool.name in seen:
            raise RegistrationError(f"there are two pools named {pool.name!r}")
        seen.add(pool.name)


def _with_rules(pool: PoolPlan, pools: Sequence[PoolPlan]) -> PoolPlan:
    return PoolPlan(
        pool.name,
        pool.types,
        pool.queues,
        pool.slots,
        pool.timeout_s,
        pool.grace_s,
        pool.shutdown_s,
        pool.strategy,
        pool.isolation,
        pool.retry,
        tuple(_rule(pool, queue, pools) for queue in pool.queues),
    )


def _rule(pool: PoolPlan, queue: str, pools: Sequence[PoolPlan]) -> TypeRule | None:
    others = [other for other in pools if other is not pool and queue in other.queues]
    if not others:
        return None
    if pool.types is not None and any(other.types is None for other in others):
        return TypeRule(only=True, types=pool.types)
    # Types that nobody lists may go to any pool: it sends them on to another server.
    return TypeRule(only=False, types=tuple(type_ for other in others for type_ in other.types or ()))


def timeout_ms(seconds: float) -> int:
    """Return a time-out in the milliseconds that scripts take; never 0 for a positive one."""
    return math.ceil(seconds * 1000)
