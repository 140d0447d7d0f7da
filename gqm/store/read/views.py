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
    payload_bytes: int
    retry_count: int
    max_retry: int
    attempt: int
    """Starts so far."""
    created_at: int
    allow_failure: bool
    enqueue_at_front: bool
    error: str | UnsetType = UNSET
    """Cut to 500 characters in lists."""
    error_type: str | UnsetType = UNSET
    cancel_reason: str | UnsetType = UNSET
    timeout: int | UnsetType = UNSET
    result_ttl: int | UnsetType = UNSET
    failure_ttl: int | UnsetType = UNSET
    scheduled_at: int | UnsetType = UNSET
    started_at: int | UnsetType = UNSET
    completed_at: int | UnsetType = UNSET
    execution_duration: int | UnsetType = UNSET
    """Milliseconds of the last run."""
    wait_ms: int | UnsetType = UNSET
    elapsed_ms: int | UnsetType = UNSET
    worker_id: str | UnsetType = UNSET
    pool: str | UnsetType = UNSET
    server_id: str | UnsetType = UNSET
    last_heartbeat: int | UnsetType = UNSET
    processing_deadline: float | UnsetType = UNSET
    stale: bool | UnsetType = UNSET
    """Running jobs: whether recovery would take the claim back."""
    progress: Progress | UnsetType = UNSET
    enqueued_by: str | UnsetType = UNSET
    cron_id: str | UnsetType = UNSET
    cron_slot: int | UnsetType = UNSET
    depends_on: Sequence[str] | UnsetType = UNSET
    pending_deps: Sequence[str] | UnsetType = UNSET
    due_at: float | UnsetType = UNSET
    payload: Raw | UnsetType = UNSET
    payload_invalid: bool | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    result_note: str | UnsetType = UNSET
    meta: Raw | UnsetType = UNSET
    traceback: str | UnsetType = UNSET
    retry_intervals: Sequence[int] | UnsetType = UNSET
    expires_at: int | UnsetType = UNSET
    children: Sequence[str] | UnsetType = UNSET
    """At most 100 of them."""
    child_count: int | UnsetType = UNSET
    rollup: dict[str, int] | UnsetType = UNSET
    """Roots of job graphs: descendants by state."""
    rollup_truncated: bool | UnsetType = UNSET


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
    outcome: str
    """``retry``, ``dead_letter`` or ``recovered``."""
    counted: bool
    started_at: int
    ended_at: float
    duration_ms: int
    worker_id: str
    error: str
    error_type: str | UnsetType = UNSET
