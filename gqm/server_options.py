"""The keyword options of a server: what the configuration file says, for programs without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal, TypedDict

from gqm.client import ConnectionOptions
from gqm.monitor.options import AppOptions


class ServerOptions(ConnectionOptions, AppOptions, total=False):
    """Keyword options of `Server`: the keys of ``redis``, ``app``, ``scheduler``, and those about the API.

    Durations are seconds, texts like ``"5m"``, or timedeltas. See the configuration reference for meanings.
    """

    timezone: str
    log_level: str
    shutdown_timeout: float | str | timedelta
    global_job_timeout: float | str | timedelta
    grace_period: float | str | timedelta
    result_ttl: float | str | timedelta
    failure_ttl: float | str | timedelta
    lease_ttl: float | str | timedelta
    unknown_type_ttl: float | str | timedelta
    handlers: Sequence[str]
    scheduler_enabled: bool
    poll_interval: float | str | timedelta
    misfire_grace: float | str | timedelta
    api: bool
    api_addr: str


class RetryOptions(TypedDict, total=False):
    """The ``retry`` section of a pool."""

    max_retry: int
    backoff: Literal["fixed", "exponential", "custom"]
    backoff_base: float | str | timedelta
    backoff_max: float | str | timedelta
    intervals: Sequence[float | str | timedelta]
    jitter: float


class PoolOptions(TypedDict, total=False):
    """Keyword options of `Server.pool`: the keys of ``pools[]`` of the configuration."""

    queues: Sequence[str]
    concurrency: int
    job_timeout: float | str | timedelta
    grace_period: float | str | timedelta
    shutdown_timeout: float | str | timedelta
    dequeue_strategy: Literal["strict", "round_robin", "weighted"]
    isolation: Literal["thread", "process"]
    retry: RetryOptions


class CronOptions(TypedDict, total=False):
    """Keyword options of `Server.schedule`: the keys of ``scheduler.cron_entries[]`` of the configuration."""

    name: str
    timezone: str
    queue: str
    payload: Mapping[str, object] | str
    timeout: float | str | timedelta
    max_retry: int
    overlap_policy: Literal["skip", "allow", "replace"]
    enabled: bool
