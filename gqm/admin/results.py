"""The answers of operator actions: frozen values, named as the REST API names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from gqm.errors import (
    CronEntryNotFound,
    CyclicDependency,
    DependencyNotFound,
    DuplicateJobID,
    InvalidJob,
    InvalidQuery,
    JobNotFound,
    JobStateError,
    PayloadTooLarge,
    QueueNotFound,
    RedisUnavailable,
    StoreError,
)
from gqm.job import LIVE, Status

Action = Literal["retry", "cancel", "delete"]
"""What can be done to many jobs at once."""

ALLOWED: Mapping[Action, frozenset[Status]] = {
    "retry": frozenset(
        {Status.DEAD_LETTER, Status.FAILED, Status.CANCELED, Status.STOPPED, Status.RETRY, Status.SCHEDULED}
    ),
    "cancel": LIVE,
    "delete": frozenset(Status) - {Status.PROCESSING},
}
"""States in which each action is possible."""

BECOMES: Mapping[Action, str] = {"retry": "ready", "cancel": "canceled", "delete": "deleted"}


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """An answer."""


class Switched(Result, frozen=True, kw_only=True):
    """A queue was paused or resumed."""

    queue: str
    status: str
    """``paused`` or ``active``."""
    changed: bool


class Emptied(Result, frozen=True, kw_only=True):
    """Ready jobs of a queue were canceled."""

    queue: str
    removed: int
    remaining: int
    """Jobs that there was no time for: call again."""


class RetriedAll(Result, frozen=True, kw_only=True):
    """Dead letters of a queue run again."""

    queue: str
    retried: int
    remaining: int


class Cleared(Result, frozen=True, kw_only=True):
    """Dead letters of a queue were deleted."""

    queue: str
    cleared: int
    remaining: int


class QueuePreview(Result, frozen=True, kw_only=True):
    """What an action on a whole queue would meet; nothing was changed."""

    queue: str
    dry_run: bool = True
    matched: int


class Retried(Result, frozen=True, kw_only=True):
    """A job runs again, or now."""

    job_id: str
    status: str = "ready"


class Canceled(Result, frozen=True, kw_only=True):
    """A job was canceled."""

    job_id: str
    status: str = "canceled"
    was: str
    """State before; empty when the first answer of Redis was lost."""
    signalled: bool
    """Whether its handler is told to stop."""
    cascaded: int
    """Jobs that waited for it and are canceled too."""
    released: int
    """Jobs that waited for it and run although it failed."""


class Deleted(Result, frozen=True, kw_only=True):
    """A job was deleted."""

    job_id: str
    deleted: bool = True


class JobResult(Result, frozen=True, kw_only=True):
    """How the action on one job of a batch went; refused unless `ok`."""

    job_id: str
    ok: bool
    status: str | UnsetType = UNSET
    """State afterwards."""
    code: str | UnsetType = UNSET
    error: str | UnsetType = UNSET


class Batch(Result, frozen=True, kw_only=True):
    """How an action on many jobs went. Each job was one step; the whole was not."""

    succeeded: int
    failed: int
    results: Sequence[JobResult]
    next: str | None = None
    """By filter: hand it on as ``cursor`` until it is ``None``."""


class Preview(Result, frozen=True, kw_only=True):
    """What an action on many jobs would meet; nothing was changed."""

    dry_run: bool = True
    matched: int
    eligible: int
    skipped: Mapping[str, int]
    """Refusals by code."""
    sample: Sequence[str]
    truncated: bool
    """The numbers are lower bounds."""
    as_of: float
    """As ``until`` of the filter it keeps the action to the jobs that were met."""


_CODES: Sequence[tuple[type[Exception], str]] = (
    (JobNotFound, "NOT_FOUND"),
    (QueueNotFound, "NOT_FOUND"),
    (CronEntryNotFound, "NOT_FOUND"),
    (JobStateError, "CONFLICT"),
    (DuplicateJobID, "DUPLICATE_JOB_ID"),
    (DependencyNotFound, "DEPENDENCY_NOT_FOUND"),
    (CyclicDependency, "CYCLIC_DEPENDENCY"),
    (PayloadTooLarge, "PAYLOAD_TOO_LARGE"),
    (InvalidJob, "BAD_REQUEST"),
    (InvalidQuery, "BAD_REQUEST"),
    (RedisUnavailable, "REDIS_UNAVAILABLE"),
    (StoreError, "CONFLICT"),
)
"""Errors and their codes; a class stands before those that it is derived from."""


def code_of(error: Exception) -> str:
    """Return the code by which the API and the audit log name an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), "INTERNAL")
