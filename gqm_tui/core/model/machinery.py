"""Queues, and the workers and servers that empty them."""

from gqm_tui.core.model.base import Model, Names


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
