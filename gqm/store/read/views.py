"""The answers about jobs: frozen values, named as the REST API names them.

Times are unix seconds unless the name says otherwise. A field that is ``UNSET`` is not there for this job,
and is left out when the value is encoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

T = TypeVar("T")


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A value that is shown."""


class Progress(View, frozen=True, kw_only=True):
    """What a running handler last reported."""

    current: float
    """Of `total`."""
    total: float
    message: str


Raw: TypeAlias = msgspec.Raw | str
"""Stored JSON as it is, to the last digit; stored text that is no JSON as a string."""


class JobView(View, frozen=True, kw_only=True):
    """A job, as in lists; the fields behind `due_at` only where one job is asked for."""

    id: str
    type: str
    queue: str
    status: str
    """One of ten states."""
    payload_bytes: int
    """Size of the payload."""
    retry_count: int
    """Failed runs that counted."""
    max_retry: int
    """Runs after the first that failed."""
    attempt: int
    """Starts so far."""
    created_at: int
    """When it was enqueued."""
    allow_failure: bool
    """Runs although a parent has failed."""
    enqueue_at_front: bool
    """Was put before all that was ready."""
    error: str | UnsetType = UNSET
    """Cut to 500 characters in lists."""
    error_type: str | UnsetType = UNSET
    """What stands before the first colon of the error, when it is a name."""
    cancel_reason: str | UnsetType = UNSET
    """Who canceled it, or why it was."""
    timeout: int | UnsetType = UNSET
    """Longest run in seconds, if set on the job itself."""
    result_ttl: int | UnsetType = UNSET
    """Seconds, if set on the job itself; -1 = for ever."""
    failure_ttl: int | UnsetType = UNSET
    """Seconds, if set on the job itself; -1 = for ever."""
    scheduled_at: int | UnsetType = UNSET
    """When it was to run, in whole seconds."""
    started_at: int | UnsetType = UNSET
    """Begin of the last run."""
    completed_at: int | UnsetType = UNSET
    """When it ended, in whatever way."""
    execution_duration: int | UnsetType = UNSET
    """Milliseconds of the last run."""
    wait_ms: int | UnsetType = UNSET
    """From being ready to the start."""
    elapsed_ms: int | UnsetType = UNSET
    """Running jobs: so far."""
    worker_id: str | UnsetType = UNSET
    """`<pool>@<server id>`; of Go workers the pool only."""
    pool: str | UnsetType = UNSET
    """Pool of the worker."""
    server_id: str | UnsetType = UNSET
    """Server of the worker."""
    last_heartbeat: int | UnsetType = UNSET
    """Running for more than 5 s: the newest sign of life."""
    processing_deadline: float | UnsetType = UNSET
    """Running jobs: when the run is over at the latest."""
    stale: bool | UnsetType = UNSET
    """Running jobs: whether recovery would take the claim back."""
    progress: Progress | UnsetType = UNSET
    """What the handler last reported."""
    enqueued_by: str | UnsetType = UNSET
    """Who asked for it."""
    cron_id: str | UnsetType = UNSET
    """The cron entry that made it."""
    cron_slot: int | UnsetType = UNSET
    """The point in time of the schedule that it was made for."""
    depends_on: Sequence[str] | UnsetType = UNSET
    """Its parents. In lists for deferred jobs only."""
    pending_deps: Sequence[str] | UnsetType = UNSET
    """Parents that it waits for. In lists for deferred jobs only."""
    due_at: float | UnsetType = UNSET
    """Scheduled and retried jobs: when they run."""
    payload: Raw | UnsetType = UNSET
    """As it is stored, to the last digit."""
    payload_invalid: bool | UnsetType = UNSET
    """The stored payload is no JSON, and shown as text."""
    result: Raw | UnsetType = UNSET
    """What the handler returned."""
    result_note: str | UnsetType = UNSET
    """Why a result was not kept."""
    meta: Raw | UnsetType = UNSET
    """What was said about it at enqueueing."""
    traceback: str | UnsetType = UNSET
    """Of the newest failure, at most 16 KiB."""
    retry_intervals: Sequence[int] | UnsetType = UNSET
    """Pauses before its retries, in seconds."""
    expires_at: int | UnsetType = UNSET
    """Ended jobs: when nothing is left of it."""
    children: Sequence[str] | UnsetType = UNSET
    """At most 100 of them."""
    child_count: int | UnsetType = UNSET
    """Jobs that depend on it."""
    rollup: dict[str, int] | UnsetType = UNSET
    """Roots of job graphs: descendants by state."""
    rollup_truncated: bool | UnsetType = UNSET
    """Not all descendants were counted."""


class Page(View, Generic[T], frozen=True, kw_only=True):
    """One page of a list, and what is known about the whole list."""

    items: Sequence[T]
    page: int
    limit: int
    total: int
    """A lower bound when `truncated`."""
    truncated: bool = False
    """The budget ended before everything was looked at."""
    scanned: int | UnsetType = UNSET
    """Job hashes that had to be read for a filter or a sort."""
    server_time: float = 0.0


JobPage: TypeAlias = Page[JobView]


class Attempt(View, frozen=True, kw_only=True):
    """One run that ended without success."""

    attempt: int
    """Which start of the job it was, from 1."""
    outcome: str
    """``retry``, ``dead_letter`` or ``recovered``."""
    counted: bool
    """Whether it used up a retry."""
    started_at: int
    ended_at: float
    duration_ms: int
    """From its start to its end."""
    worker_id: str
    error: str
    error_type: str | UnsetType = UNSET
