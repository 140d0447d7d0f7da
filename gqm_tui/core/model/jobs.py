"""Jobs, their attempts, and the groups of those that failed."""

from collections.abc import Mapping

from msgspec import Raw

from gqm_tui.core.model.base import NO_JSON, Model, Names


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
