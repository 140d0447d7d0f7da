# ruff: noqa: RUF009 - the calls declare fields, as dataclasses.field does
"""The configuration as frozen values, and the declaration of every key: type, default, bounds, meaning.

Fields that end in ``_s`` are durations in seconds. A loaded configuration is resolved: what a pool or a cron
entry leaves out has the value of the application, the prefix ends as it is used, and paths are absolute.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from gqm.config import formats
from gqm.config.keys import declare, section, sections
from gqm.config.model_http import MonitoringConfig
from gqm.config.values import Bool, Duration, Int, ListOf, Number, Payload, Text, Tls, Ttl, Word

if TYPE_CHECKING:
    from gqm.config.load import Origin
    from gqm.config.problems import Problem
    from gqm.retry import Backoff, RetryPolicy

__all__ = [
    "AppConfig",
    "Config",
    "CronEntryConfig",
    "Isolation",
    "LogLevel",
    "OverlapPolicy",
    "PoolConfig",
    "QueueConfig",
    "RedisConfig",
    "RetryConfig",
    "SchedulerConfig",
    "Strategy",
    "TLSConfig",
]

LogLevel: TypeAlias = Literal["debug", "info", "warn", "error"]
Strategy: TypeAlias = Literal["strict", "round_robin", "weighted"]
Isolation: TypeAlias = Literal["thread", "process"]
OverlapPolicy: TypeAlias = Literal["skip", "allow", "replace"]
_HOUR_S = 3600.0
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSConfig:
    """Encryption of the connections to Redis. Paths are absolute, or empty."""

    enabled: bool = False
    ca: str = declare("", Text(), "file with the certificates to trust", unset="the system's")
    cert: str = declare("", Text(), "file with the client certificate; needs key")
    key: str = declare("", Text(), "file with the client's private key; needs cert")
    insecure: bool = declare(False, Bool(), "do not verify the server's certificate; for tests only")


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisConfig:
    """Where Redis is, and the key space in it. One of ``addr``, ``url`` and ``sentinels`` is filled.

    All three are empty if a client that exists already is used. ``embedded_folder`` is the absolute folder of
    the private server if the address is embedded, else empty.
    """

    addr: str = declare(
        "",
        Text(formats.REDIS_ADDRESS),
        'host:port, or "embedded": a private server in ./.gqm, for one machine only',
        unset="embedded",
        active=True,
    )
    url: str = declare(
        "",
        Text(formats.REDIS_URL),
        "address, user, password and database in one, instead of addr",
        secret=True,
        sample='"${REDIS_URL:-}"',
    )
    username: str = declare("", Text(), "user of Redis", sample='"${REDIS_USERNAME:-}"')
    password: str = declare(
        "",
        Text(),
        "password of Redis; ${NAME} reads the environment",
        secret=True,
        sample='"${REDIS_PASSWORD:-}"',
    )
    db: int = declare(0, Int(0, 65_535), "number of the database; 0 on Cluster and embedded")
    prefix: str = declare(
        "gqm:",
        Text(formats.PREFIX),
        'every key begins with it; a final ":" is added when missing',
        active=True,
    )
    exact_prefix: bool = declare(False, Bool(), "use the prefix as it is written")
    tls: TLSConfig = declare(
        TLSConfig(),
        Tls(TLSConfig),
        "true, or a mapping with any of ca, cert, key (files) and insecure (bool)",
    )
    pool_size: int = declare(0, Int(0, 10_000), "connections of one process; 0 = slots + 8")
    sentinels: tuple[str, ...] = declare(
        (), ListOf(Text(formats.HOST_PORT)), 'Sentinels, instead of addr, such as ["10.0.0.1:26379"]'
    )
    master: str = declare("", Text(), "name of the master that the Sentinels watch")
    embedded_folder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppConfig:
    """What holds for the whole process and for all pools."""

    timezone: str = declare("UTC", Text(formats.TIME_ZONE), "zone of cron entries that name none")
    log_level: LogLevel = declare(
        "info", Word(("debug", "info", "warn", "error"), any_case=True), "least level that is logged"
    )
    shutdown_timeout_s: float = declare(
        30.0, Duration(0, _DAY_S), "time for running jobs to end at a stop; 0 = cancel at once"
    )
    global_job_timeout_s: float = declare(
        1800.0, Duration(positive=True), "longest run of a job without a time-out of its own"
    )
    grace_period_s: float = declare(
        10.0, Duration(0, _HOUR_S), "time for a handler to stop after its time-out; 0 = none"
    )
    result_ttl_s: float = declare(604_800.0, Ttl(), "how long completed jobs are kept")
    failure_ttl_s: float = declare(
        2_592_000.0, Ttl(), "the same for dead-lettered, canceled and stopped jobs"
    )
    handlers: tuple[str, ...] = declare(
        (), ListOf(Text(formats.MODULE)), "modules with @gqm.handler functions", sample='["myapp.jobs"]'
    )
    processes: int = declare(1, Int(0, 64), "engine processes, each with all pools; 0 = CPU count")
    lease_ttl_s: float = declare(10.0, Duration(4, 300), "silence after which a server counts as dead")
    unknown_type_ttl_s: float = declare(
        _HOUR_S,
        Duration(0, 30 * _DAY_S),
        "how long a job waits for a handler; 0 = dead-letter at once",
    )

    @property
    def process_count(self) -> int:
        """The number of engine processes, at least 1."""
        return self.processes or os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueConfig:
    """A queue that pools may read. ``default`` always exists."""

    name: str = declare("", Text(formats.NAME), "name of the queue", required=True, sample='"critical"')
    priority: int | None = declare(
        None,
        Int(-1000, 1000),
        "order for pools that list no queues; with none given they read only default",
        unset="0",
        sample="10",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryConfig:
    """When a failed job of a pool runs again."""

    max_retry: int = declare(3, Int(0, 1000), "retries of jobs that give no number; 0 = none")
    backoff: Backoff = declare(
        "fixed",
        Word(("fixed", "exponential", "custom")),
        "how the delay grows",
    )
    backoff_base_s: float = declare(10.0, Duration(0, 30 * _DAY_S), "first delay")
    backoff_max_s: float = declare(_DAY_S, Duration(), "longest delay; not below backoff_base")
    intervals_s: tuple[float, ...] = declare(
        (),
        ListOf(Duration(signed=True)),
        "delays of backoff custom, the last one repeats",
        sample='["10s", "1m", "10m"]',
    )
    jitter: float = declare(0.0, Number(0, 1), "share by which a delay varies at random")

    def policy(self) -> RetryPolicy:
        """Return the policy that the engine works with."""
        from gqm.retry import RetryPolicy

        return RetryPolicy(
            max_retry=self.max_retry,
            backoff=self.backoff,
            base_s=self.backoff_base_s,
            max_s=self.backoff_max_s,
            intervals_s=self.intervals_s,
            jitter=self.jitter,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolConfig:
    """A group of slots that runs some job types from some queues."""

    name: str = declare(
        "", Text(formats.NAME), "name of the pool", required=True, sample='"default"', active=True
    )
    job_types: tuple[str, ...] = declare(
        (),
        ListOf(Text(formats.JOB_TYPE)),
        'job types it runs; ["*"] = every type that no other pool lists',
        required=True,
        sample='["*"]',
        active=True,
    )
    queues: tuple[str, ...] = declare(
        (),
        ListOf(Text(formats.NAME)),
        "queues it reads, first one first",
        unset="all, or only default",
        sample='["default"]',
    )
    concurrency: int = declare(0, Int(0, 1000), "jobs at a time in each process; 0 = CPU count")
    job_timeout_s: float = declare(0.0, Duration(0, 365 * _DAY_S), "longest run of a job; 0 = the global one")
    grace_period_s: float = declare(
        10.0, Duration(0, _HOUR_S), "as in app, for this pool", unset="app.grace_period"
    )
    shutdown_timeout_s: float = declare(
        30.0, Duration(0, _DAY_S), "as in app, for this pool", unset="app.shutdown_timeout"
    )
    dequeue_strategy: Strategy = declare(
        "weighted", Word(("strict", "round_robin", "weighted")), "how it chooses between its queues"
    )
    isolation: Isolation = declare("thread", Word(("thread", "process")), "where handlers run")
    retry: RetryConfig = section(RetryConfig, "when a failed job runs again")

    @property
    def slots(self) -> int:
        """How many jobs the pool runs at a time in one process, at least 1."""
        return self.concurrency or os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CronEntryConfig:
    """A job that is enqueued again and again."""

    id: str = declare("", Text(formats.CRON_ID), "name of the entry", required=True, sample='"cleanup-daily"')
    name: str = declare("", Text(longest=256), "title for people", sample='"Daily cleanup"')
    cron_expr: str = declare(
        "",
        Text(),
        "sec min hour dom month dow, or 5 fields without sec",
        required=True,
        sample='"0 0 2 * * *"',
    )
    timezone: str = declare("UTC", Text(formats.TIME_ZONE), "zone of the expression", unset="app.timezone")
    job_type: str = declare("", Text(formats.NAME), "type of the job", required=True, sample='"cleanup"')
    queue: str = declare("default", Text(formats.NAME), "queue of the job")
    payload: Mapping[str, object] | None = declare(
        None,
        Payload(),
        "a mapping, or text with a JSON object",
        unset="none",
        sample="{}",
    )
    timeout_s: float = declare(0.0, Duration(0, 365 * _DAY_S), "longest run of the job; 0 = the pool's")
    max_retry: int | None = declare(
        None, Int(0, 1000), "retries of the job; 0 = none", unset="the pool's", sample="3"
    )
    overlap_policy: OverlapPolicy = declare(
        "skip",
        Word(("skip", "allow", "replace")),
        "what to do while the last job still lives",
    )
    enabled: bool = declare(
        True, Bool(), "state at the first registration and on a change; then Redis decides"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerConfig:
    """Delayed jobs, retries and cron."""

    enabled: bool = declare(
        True,
        Bool(),
        "false: this server promotes no jobs and fires no cron; recovery still runs",
        active=True,
    )
    poll_interval_s: float = declare(
        1.0, Duration(0.05, _HOUR_S), "longest sleep between two looks for due jobs"
    )
    misfire_grace_s: float = declare(60.0, Duration(0, 365 * _DAY_S), "how late a cron slot may still fire")
    cron_entries: tuple[CronEntryConfig, ...] = sections(CronEntryConfig, "jobs on a schedule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration, free of errors.

    ``file`` is the file as it was named, empty if there is none; ``folder`` is the absolute folder that
    relative paths start at. ``incomplete`` lists secrets that are still to be filled in, ``warnings`` what
    works but is probably not meant; both in file order.
    """

    redis: RedisConfig = section(RedisConfig, "where Redis is, and the key space in it")
    app: AppConfig = section(AppConfig, "the whole process and all pools")
    queues: tuple[QueueConfig, ...] = sections(
        QueueConfig, "queues that pools may read; default always exists"
    )
    pools: tuple[PoolConfig, ...] = sections(PoolConfig, "what runs the jobs", active=True)
    scheduler: SchedulerConfig = section(SchedulerConfig, "delayed jobs, retries and cron")
    monitoring: MonitoringConfig = section(MonitoringConfig, "REST API, sign-in and dashboard")
    file: str = ""
    folder: str = ""
    incomplete: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    origin: Origin | None = field(default=None, repr=False, compare=False)

    @property
    def startup_warnings(self) -> tuple[Problem, ...]:
        """The warnings to log when a server starts; the rest is for ``gqm check`` only."""
        return tuple(problem for problem in self.warnings if problem.rule != "W12")
