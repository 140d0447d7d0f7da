"""The objects of the REST API as the terminal UI reads them: frozen values, named as the API names them.

A field that the API may leave out has a default, ``None`` unless said otherwise; fields that are not known
here are passed over, so that a newer server can be read. Times are unix seconds, names in ``_ms``
milliseconds. Free JSON is kept as text (`msgspec.Raw`), so that every digit survives; empty means that it was
not there. What calls that change something answer is in `answers`, what the event stream sends in `events`.
"""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec
from msgspec import Raw

Names: TypeAlias = tuple[str, ...]

NO_JSON = Raw(b"")


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A value that the server sent."""


class Meta(Model, frozen=True, kw_only=True):
    """What stands beside the data of an answer."""

    server_time: float
    """The clock of Redis."""
    page: int | None = None
    limit: int | None = None
    total: int | None = None
    """Length of the whole list; a lower bound when `truncated`."""
    truncated: bool = False
    scanned: int | None = None


# -- jobs


class Progress(Model, frozen=True, kw_only=True):
    """What a running handler last reported."""

    current: float
    total: float
    message: str = ""


class Job(Model, frozen=True, kw_only=True):
    """A job, as in lists; what stands after `rollup_truncated` comes only where one job is asked for."""

    id: str
    type: str
    queue: str
    status: str
    payload_bytes: int
    retry_count: int
    max_retry: int
    attempt: int
    """Starts so far."""
    created_at: int
    allow_failure: bool = False
    enqueue_at_front: bool = False
    error: str | None = None
    """Cut to 500 characters in lists."""
    error_type: str | None = None
    cancel_reason: str | None = None
    timeout: int | None = None
    result_ttl: int | None = None
    """Seconds; -1 keeps it. So for `failure_ttl`."""
    failure_ttl: int | None = None
    scheduled_at: int | None = None
    started_at: int | None = None
    completed_at: int | None = None
    due_at: float | None = None
    execution_duration: int | None = None
    """Milliseconds of the last run."""
    wait_ms: int | None = None
    elapsed_ms: int | None = None
    worker_id: str | None = None
    pool: str | None = None
    server_id: str | None = None
    last_heartbeat: int | None = None
    processing_deadline: float | None = None
    stale: bool | None = None
    """Running jobs: whether recovery would take the claim back."""
    progress: Progress | None = None
    enqueued_by: str | None = None
    cron_id: str | None = None
    cron_slot: int | None = None
    depends_on: Names | None = None
    pending_deps: Names | None = None
    child_count: int | None = None
    rollup: Mapping[str, int] | None = None
    """Roots of job graphs: descendants by state."""
    rollup_truncated: bool = False

    payload: Raw = NO_JSON
    payload_invalid: bool = False
    """The stored payload is no JSON, and is given as one string."""
    result: Raw = NO_JSON
    result_note: str | None = None
    meta: Raw = NO_JSON
    traceback: str | None = None
    retry_intervals: tuple[int, ...] | None = None
    expires_at: int | None = None
    children: Names | None = None
    """At most 100 of them."""


class Attempt(Model, frozen=True, kw_only=True):
    """One run that ended without success."""

    attempt: int
    outcome: str
    counted: bool
    started_at: int
    ended_at: float
    duration_ms: int
    worker_id: str
    error: str
    error_type: str | None = None


class FailedGroup(Model, frozen=True, kw_only=True):
    """Jobs that failed in one way."""

    fingerprint: str
    error: str
    error_type: str | None = None
    count: int
    recent_5m: int
    hour: tuple[int, ...]
    """Failures in each 5 minutes of the last hour, oldest first."""
    first: int
    last: int
    types: Names
    types_total: int
    queues: Names
    queues_total: int
    sample_id: str


# -- queues


class TypeCount(Model, frozen=True, kw_only=True):
    """Ready jobs of one type."""

    type: str
    ready: int


class Queue(Model, frozen=True, kw_only=True):
    """A queue; ``None`` means that it cannot be told."""

    name: str
    paused: bool
    ready: int
    processing: int
    scheduled: int
    retry: int
    deferred: int
    completed: int
    dead_letter: int
    canceled: int
    """With the stopped ones."""
    counts_truncated: bool = False
    processed_total: int
    failed_total: int
    oldest_age_ms: int | None
    in_per_min: float | None = None
    out_per_min: float | None
    failed_per_min: float | None
    wait_avg_ms: int | None
    run_avg_ms: int | None
    drain_ms: int | None = None
    priority: int | None = None
    pools: Names
    """Ids of the live workers that read it."""


class QueueDetail(Queue, frozen=True, kw_only=True):
    """A queue that was asked for by name."""

    by_type: tuple[TypeCount, ...] = ()
    """The ten most frequent types of the next 1,000 ready jobs."""


# -- machinery


class Longest(Model, frozen=True, kw_only=True):
    """The job of a worker that has been running longest."""

    id: str
    type: str
    elapsed_ms: int
    over_deadline: bool


class Worker(Model, frozen=True, kw_only=True):
    """A pool on one server."""

    id: str
    pool: str
    server_id: str
    status: str
    queues: Names
    concurrency: int
    active_jobs: int
    longest: Longest | None = None
    isolation: str | None = None
    ahead: int | None = None
    """Jobs claimed and not started yet."""
    abandoned: int | None = None
    """Handlers left behind since the start."""
    started_at: int
    last_heartbeat: int


class ActiveJob(Model, frozen=True, kw_only=True):
    """A job that a worker runs."""

    id: str
    type: str
    queue: str
    started_at: int
    processing_deadline: float
    elapsed_ms: int


class WorkerDetail(Worker, frozen=True, kw_only=True):
    """A worker that was asked for by id."""

    jobs: tuple[ActiveJob, ...] = ()


class Server(Model, frozen=True, kw_only=True):
    """A server process."""

    id: str
    hostname: str
    version: str
    runtime: str
    pid: int
    num_pools: int
    concurrency_total: int
    busy: int
    pools: Names
    types: Names
    scheduler: bool
    status: str
    started_at: int
    last_heartbeat: int


# -- cron


class LastJob(Model, frozen=True, kw_only=True):
    """The newest job of a cron entry."""

    job_id: str
    triggered_at: int
    status: str


class CronEntry(Model, frozen=True, kw_only=True):
    """A cron entry; `next_runs` comes only where one is asked for."""

    id: str
    name: str
    cron_expr: str
    timezone: str
    description: str = ""
    job_type: str
    queue: str
    payload: Raw = NO_JSON
    timeout: int | None = None
    max_retry: int | None = None
    overlap_policy: str
    enabled: bool
    orphaned: bool
    last_run: int | None
    next_run: int | None
    last_status: str | None
    last_job: LastJob | None
    outcomes: Names | None = None
    """States of the newest 20 runs, newest first."""
    next_runs: tuple[int, ...] | None = None
    created_at: int
    updated_at: int


class CronRun(Model, frozen=True, kw_only=True):
    """One run of a cron entry."""

    job_id: str
    triggered_at: int
    slot: int | None
    """``None``: run by hand, or not known any more."""
    outcome: str
    duration_ms: int | None


# -- graphs


class Node(Model, frozen=True, kw_only=True):
    """A job in a graph."""

    id: str
    type: str
    status: str
    queue: str
    allow_failure: bool
    created_at: str
    """Digits, unix seconds; empty when it is not known."""
    layer: int
    order: int
    retry_count: int
    max_retry: int
    hidden_parents: int
    hidden_children: int
    started_at: int | None = None
    completed_at: int | None = None
    execution_duration: int | None = None
    error: str | None = None


class Edge(Model, frozen=True, kw_only=True):
    """From a parent to its child."""

    source: str
    target: str


class Graph(Model, frozen=True, kw_only=True):
    """What is shown of a graph."""

    root_id: str
    """The job that was asked for."""
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    truncated: bool
    hidden: int
    layers: int
    width: int
    counts: Mapping[str, int]


# -- the whole, and who looks at it


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


class Me(Model, frozen=True, kw_only=True):
    """Who asks, and what they may do."""

    username: str
    role: str
    auth: str
    """``session``, ``key``, ``anonymous`` or ``external``."""
    expires_at: int | None = None

    @property
    def is_admin(self) -> bool:
        """Whether changing something is allowed."""
        return self.role == "admin"


class AuditEntry(Model, frozen=True, kw_only=True):
    """One action, and how it went."""

    id: str
    ts: float
    actor: str
    role: str
    source: str
    address: str
    action: str
    target: str
    count: int
    before: str
    after: str
    ok: bool
    code: str | None = None
    request_id: str = ""
