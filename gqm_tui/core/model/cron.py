"""What runs by the clock, and its runs."""

from msgspec import Raw

from gqm_tui.core.model.base import NO_JSON, Model, Names


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
