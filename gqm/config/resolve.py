"""A checked configuration with everything filled in that follows from something else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gqm.config.model import AppConfig, Config, CronEntryConfig, PoolConfig, RedisConfig
from gqm.config.model_http import MonitoringConfig
from gqm.config.review import Review
from gqm.config.rules import api_is_on, is_embedded

__all__ = ["pool_queues", "resolve"]

_EMBEDDED_FOLDER = ".gqm"
_EMBEDDED_SCHEME = "embedded://"


def resolve(review: Review) -> Config:
    """Return the configuration as it works."""
    config = review.config
    return replace(
        config,
        redis=_redis(review),
        app=replace(config.app, handlers=tuple(dict.fromkeys(config.app.handlers))),
        pools=tuple(_pool(review, i, pool) for i, pool in enumerate(config.pools)),
        scheduler=replace(
            config.scheduler,
            cron_entries=tuple(
                _cron_entry(review, i, entry) for i, entry in enumerate(config.scheduler.cron_entries)
            ),
        ),
        monitoring=_monitoring(review),
    )


def pool_queues(config: Config, pool: PoolConfig) -> tuple[str, ...]:
    """Return the queues that a pool reads, most important first.

    Its own list decides. Without one it reads ``default``; but if any queue has a priority, it reads all
    declared queues and ``default``, highest priority first and those of one priority in file order.
    """
    if pool.queues:
        return pool.queues
    if all(queue.priority is None for queue in config.queues):
        return ("default",)
    priorities = {queue.name: queue.priority or 0 for queue in config.queues}
    priorities.setdefault("default", 0)
    return tuple(sorted(priorities, key=lambda name: -priorities[name]))


def _redis(review: Review) -> RedisConfig:
    redis = review.config.redis
    prefix = redis.prefix
    if not redis.exact_prefix and not prefix.endswith(":"):
        prefix += ":"
    addr = redis.addr
    if not (addr or redis.url or redis.sentinels or review.own_client):
        addr = "embedded"
    embedded = ""
    if is_embedded(addr):
        named = addr.removeprefix(_EMBEDDED_SCHEME)
        embedded = str(review.folder / (_EMBEDDED_FOLDER if named == addr else named))
    tls = replace(
        redis.tls,
        ca=_absolute(review.folder, redis.tls.ca),
        cert=_absolute(review.folder, redis.tls.cert),
        key=_absolute(review.folder, redis.tls.key),
    )
    return replace(redis, addr=addr, prefix=prefix, tls=tls, embedded_folder=embedded)


def _absolute(folder: Path, path: str) -> str:
    return str(folder / path) if path else ""


def _pool(review: Review, index: int, pool: PoolConfig) -> PoolConfig:
    app: AppConfig = review.config.app
    path = f"pools[{index}]"
    retry = pool.retry
    return replace(
        pool,
        queues=pool_queues(review.config, pool),
        job_timeout_s=pool.job_timeout_s or app.global_job_timeout_s,
        grace_period_s=pool.grace_period_s if review.given(f"{path}.grace_period") else app.grace_period_s,
        shutdown_timeout_s=(
            pool.shutdown_timeout_s if review.given(f"{path}.shutdown_timeout") else app.shutdown_timeout_s
        ),
        # Only a fixed delay can be longer than a limit that nobody gave; see the rule for backoff_max.
        retry=replace(retry, backoff_max_s=max(retry.backoff_max_s, retry.backoff_base_s)),
    )


def _cron_entry(review: Review, index: int, entry: CronEntryConfig) -> CronEntryConfig:
    if review.given(f"scheduler.cron_entries[{index}].timezone"):
        return entry
    return replace(entry, timezone=review.config.app.timezone)


def _monitoring(review: Review) -> MonitoringConfig:
    monitoring = review.config.monitoring
    dashboard = monitoring.dashboard
    return replace(
        monitoring,
        api=replace(monitoring.api, enabled=api_is_on(review)),
        dashboard=replace(dashboard, custom_dir=_absolute(review.folder, dashboard.custom_dir)),
    )
