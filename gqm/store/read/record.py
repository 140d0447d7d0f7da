"""Turns a stored job hash into what is shown of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from gqm.job import Job, decode_json
from gqm.store.read.views import JobView, Progress, Raw

T = TypeVar("T")

STALE_AFTER_S = 25.0
"""How far past its deadline another program's claim must be to be taken back: the longest grace period, which
counts as 10 s at least, and 15 s more."""
ERROR_IN_LISTS = 500
MAX_CHILDREN = 100

ROW_FIELDS = (
    *("status", "queue", "worker_id", "id", "type", "max_retry", "retry_count", "attempt", "created_at"),
    *("scheduled_at", "started_at", "completed_at", "failed_at", "error", "cancel_reason", "timeout"),
    *("result_ttl", "failure_ttl", "execution_duration", "wait_ms", "last_heartbeat", "claim", "progress"),
    *("enqueued_by", "cron_id", "cron_slot", "allow_failure", "enqueue_at_front", "depends_on"),
)
"""What a list shows of a job."""
_ROW_NAMES = tuple(name.encode() for name in ROW_FIELDS)


class Beside(NamedTuple):
    """What is known about a job beside its hash."""

    now_s: float
    payload_bytes: int = 0
    score: float | None = None
    """Deadline of a running job, due time of a waiting one."""
    lease: float | None = None
    """When the lease of its holder ends."""
    pending: Sequence[str] = ()
    stale_after_s: float = STALE_AFTER_S


class Kin(NamedTuple):
    """What only the view of a single job needs."""

    ttl_s: int
    child_count: int
    children: Sequence[str]


def row_fields(values: Sequence[bytes | None]) -> dict[bytes, bytes]:
    """Return the fields of a list row by name."""
    return {name: value for name, value in zip(_ROW_NAMES, values, strict=False) if value is not None}


def is_stale(job: Job, beside: Beside) -> bool:
    """Whether recovery would take the claim of a running job back.

    The claim of one of our servers ends with its lease, another program's some time after its deadline.
    """
    if job.raw("claim") and "@" in job.worker_id:
        return beside.lease is None or beside.lease < beside.now_s
    return beside.score is not None and beside.now_s > beside.score + beside.stale_after_s


def error_type(error: str) -> str | UnsetType:
    """Return the class name in front of an error text, if there is one."""
    name, colon, _ = error.partition(": ")
    return name if colon and name.isidentifier() else UNSET


def list_view(job_id: str, fields: Mapping[bytes, bytes], beside: Beside) -> JobView:
    """Return a job as lists show it."""
    job = Job({**fields, b"id": job_id.encode()})
    status = status_of(fields)
    running, waiting = status == "processing", status in ("scheduled", "retry")
    pool, at, server = job.worker_id.rpartition("@")
    error = job.error[:ERROR_IN_LISTS]
    made = job.progress_made
    return JobView(
        id=job_id,
        type=job.type,
        queue=job.queue,
        status=status,
        payload_bytes=beside.payload_bytes,
        retry_count=job.retry_count,
        max_retry=job.max_retry,
        attempt=job.attempt,
        created_at=job.created_at,
        allow_failure=job.allow_failure,
        enqueue_at_front=job.enqueue_at_front,
        error=_text(error),
        error_type=error_type(error),
        cancel_reason=_text(job.cancel_reason),
        timeout=_text(job.timeout),
        result_ttl=_given(job.result_ttl),
        failure_ttl=_given(job.failure_ttl),
        scheduled_at=_given(job.scheduled_at),
        started_at=_given(job.started_at),
        completed_at=_given(job.completed_at or whole(fields, b"failed_at")),
        execution_duration=_given(job.duration_ms),
        wait_ms=_given(whole(fields, b"wait_ms")),
        elapsed_ms=_elapsed_ms(job, beside) if running else UNSET,
        worker_id=_text(job.worker_id),
        pool=_text(pool if at else job.worker_id),
        server_id=_text(server if at else ""),
        last_heartbeat=_heartbeat_s(fields) if running else UNSET,
        processing_deadline=_given(beside.score) if running else UNSET,
        stale=is_stale(job, beside) if running else UNSET,
        progress=UNSET if made is None else Progress(current=made[0], total=made[1], message=made[2]),
        enqueued_by=_text(job.enqueued_by),
        cron_id=_text(text(fields, b"cron_id")),
        cron_slot=_given(whole(fields, b"cron_slot")),
        depends_on=job.depends_on if status == "deferred" else UNSET,
        pending_deps=beside.pending if status == "deferred" else UNSET,
        due_at=_given(beside.score) if waiting else UNSET,
    )


def detail_view(job_id: str, fields: Mapping[bytes, bytes], beside: Beside, kin: Kin) -> JobView:
    """Return a job with everything that is known about it."""
    job = Job(fields)
    row = list_view(job_id, fields, beside)
    payload, invalid = _payload(fields.get(b"payload"))
    return msgspec.structs.replace(
        row,
        error=_text(job.error),
        depends_on=job.depends_on,
        pending_deps=beside.pending,
        payload=payload,
        payload_invalid=True if invalid else UNSET,
        result=_stored(fields.get(b"result")),
        result_note=_text(job.result_note),
        meta=_stored(fields.get(b"meta")),
        traceback=_text(job.traceback),
        retry_intervals=job.retry_intervals or UNSET,
        expires_at=int(beside.now_s) + kin.ttl_s if kin.ttl_s >= 0 else UNSET,
        children=kin.children,
        child_count=kin.child_count,
    )


def status_of(fields: Mapping[bytes, bytes]) -> str:
    """Return the stored state, whatever word it is."""
    return text(fields, b"status")


def text(fields: Mapping[bytes, bytes], name: bytes) -> str:
    """Return a field as text; bytes that are none are replaced, a missing one is empty."""
    return fields.get(name, b"").decode("utf-8", "replace")


def whole(fields: Mapping[bytes, bytes], name: bytes) -> int | None:
    """Return a field that holds a whole number, ``None`` if it holds none."""
    return to_int(fields.get(name))


def to_int(raw: bytes | None) -> int | None:
    """Read a whole number of at most 19 digits; anything else is ``None``."""
    if raw and len(raw) < 20 and raw.removeprefix(b"-").isdigit():
        return int(raw)
    return None


def _text(value: T) -> T | UnsetType:
    return value or UNSET


def _given(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value


def _elapsed_ms(job: Job, beside: Beside) -> int | UnsetType:
    if not job.started_at:
        return UNSET
    return max(0, int((beside.now_s - job.started_at) * 1000))


def _heartbeat_s(fields: Mapping[bytes, bytes]) -> int | UnsetType:
    nanoseconds = whole(fields, b"last_heartbeat")
    return nanoseconds // 1_000_000_000 if nanoseconds else UNSET


def _payload(raw: bytes | None) -> tuple[Raw, bool]:
    if not raw or raw == b"null":
        return msgspec.Raw(b"{}"), False
    stored = as_json(raw)
    return stored, isinstance(stored, str)


def _stored(raw: bytes | None) -> Raw | UnsetType:
    return as_json(raw) if raw else UNSET


def as_json(raw: bytes) -> Raw:
    """Return stored JSON as it is; what is no JSON as text."""
    try:
        decode_json(raw)
        raw.decode("utf-8")
    except ValueError:
        return raw.decode("utf-8", "replace")
    return msgspec.Raw(raw)
