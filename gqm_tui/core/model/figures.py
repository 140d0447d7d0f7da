"""Sums over everything, counters of minutes, and how the server itself is."""

from gqm_tui.core.model.base import Model


class Stats(Model, frozen=True, kw_only=True):
    """Sums over everything; servers, workers and slots are the live ones."""

    queues: int
    paused_queues: int
    servers: int
    workers: int
    slots: int
    busy: int
    ready: int
    processing: int
    scheduled: int
    retry: int
    deferred: int
    completed: int
    dead_letter: int
    canceled: int
    processed_total: int
    failed_total: int
    oldest_age_ms: int | None
    in_per_min: float | None
    out_per_min: float | None
    failed_per_min: float | None
    uptime_ms: int = 0


class Minute(Model, frozen=True, kw_only=True):
    """Counters of one minute."""

    minute: int
    """When it began."""
    processed: int
    failed: int
    retried: int
    skipped: int
    wait_avg_ms: int | None
    run_avg_ms: int | None


class MinutesSeries(Model, frozen=True, kw_only=True):
    """Minutes of one queue, newest first unless asked otherwise; of all together when it has no name."""

    queue: str | None
    minutes: tuple[Minute, ...]


class RedisInfo(Model, frozen=True, kw_only=True):
    """The Redis server behind the API."""

    version: str
    mode: str
    embedded: bool
    used_memory_bytes: int
    maxmemory_bytes: int
    """0 when there is no limit."""
    ops_per_sec: int
    connected_clients: int
    evicted_keys: int
    aof_enabled: bool
    latency_ms: int


class Runtime(Model, frozen=True, kw_only=True):
    """The process that answers."""

    version: str
    python_version: str
    num_cpu: int
    threads: int
    tasks: int
    rss_bytes: int
    cpu_percent: float
    gc_collections: int
    uptime_ms: int
    redis: RedisInfo
