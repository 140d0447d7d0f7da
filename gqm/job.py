"""The job: its states, and the record as it is read from Redis; how one is made is in `gqm.newjob`."""

from __future__ import annotations

import enum
import functools
import logging
import re
from collections.abc import Mapping
from typing import Protocol, TypeVar

import msgspec

from gqm.errors import InvalidPayload, JobStateError
from gqm.jsontext import MAX_DEPTH, NotJSON, check_depth, decode_json, decode_object, encode_json
from gqm.newjob import (
    DEFAULT_MAX_RETRY,
    DEFAULT_QUEUE,
    MAX_BATCH,
    MAX_BATCH_BYTES,
    MAX_META,
    MAX_PARENTS,
    MAX_PAYLOAD,
    OPTION_NAMES,
    NewJob,
    Options,
    delay_ms,
    due_ms,
    duration_s,
    encode_payload,
    new_job,
)

T = TypeVar("T")

__all__ = [
    "DEFAULT_MAX_RETRY",
    "DEFAULT_QUEUE",
    "LIVE",
    "MAX_BATCH",
    "MAX_BATCH_BYTES",
    "MAX_DEPTH",
    "MAX_META",
    "MAX_PARENTS",
    "MAX_PAYLOAD",
    "MAX_RESULT",
    "OPTION_NAMES",
    "TERMINAL",
    "Job",
    "NewJob",
    "NotJSON",
    "Options",
    "Run",
    "Status",
    "check_depth",
    "decode_json",
    "decode_object",
    "delay_ms",
    "due_ms",
    "duration_s",
    "encode_json",
    "encode_payload",
    "new_job",
]

log = logging.getLogger("gqm")

_INTEGER = re.compile(rb"-?[0-9]{1,19}")

MAX_RESULT = 1_048_576
"""Largest encoded result, in bytes; a larger one is dropped with a note."""


class Status(enum.StrEnum):
    """The states of a job. A job id is always in exactly the one container that its status names."""

    READY = "ready"
    SCHEDULED = "scheduled"
    RETRY = "retry"
    DEFERRED = "deferred"
    PROCESSING = "processing"
    COMPLETED = "completed"
    DEAD_LETTER = "dead_letter"
    CANCELED = "canceled"
    STOPPED = "stopped"
    FAILED = "failed"  # written by Go workers only

    @property
    def terminal(self) -> bool:
        """Whether a job in this state never changes by itself."""
        return self in TERMINAL


TERMINAL = frozenset({Status.COMPLETED, Status.DEAD_LETTER, Status.CANCELED, Status.STOPPED, Status.FAILED})
LIVE = frozenset(Status) - TERMINAL


class Run(Protocol):
    """What a job that is running here knows about its run; the engine provides it."""

    @property
    def cancelled(self) -> bool:
        """Whether the handler was told to stop."""

    def progress(self, text: bytes) -> None:
        """Store a progress entry (JSON) at the next chance."""


class Job:
    """A job as it stood when it was read: values, never a handle that changes by itself.

    Handlers get one too. `payload` is decoded on first use. Times are unix seconds unless the name
    says otherwise; a field that is not set reads as ``None``, ``0``, ``""`` or empty.
    """

    __slots__ = ("_fields", "_payload", "_run", "id", "type")

    def __init__(self, fields: Mapping[bytes, bytes], run: Run | None = None) -> None:
        self._fields = fields
        self._run = run
        self._payload: dict[str, object] | None = None
        self.id = fields.get(b"id", b"").decode("utf-8", "replace")
        self.type = fields.get(b"type", b"").decode("utf-8", "replace")

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.type} {self._text(b'status')}>"

    # -- raw access

    def _text(self, name: bytes) -> str:
        return self._fields.get(name, b"").decode("utf-8", "replace")

    def _int(self, name: bytes, default: int = 0) -> int:
        raw = self._fields.get(name)
        if not raw:
            return default
        if _INTEGER.fullmatch(raw):
            return int(raw)
        _warn_not_a_number(name, raw[:60])
        return 0

    def _opt(self, name: bytes) -> int | None:
        return self._int(name) if self._fields.get(name) else None

    def _list(self, name: bytes) -> list[object]:
        """Read a field that holds a JSON array; anything else, also broken JSON, reads as empty."""
        try:
            value = decode_json(self._fields.get(name) or b"[]")
        except ValueError:
            return []
        return value if isinstance(value, list) else []

    def raw(self, name: str) -> bytes | None:
        """Return a field of the stored hash as it is, also one that this version does not know."""
        return self._fields.get(name.encode())

    # -- what it is

    @property
    def queue(self) -> str:
        """Name of the queue."""
        return self._text(b"queue") or DEFAULT_QUEUE

    @property
    def status(self) -> Status:
        """State when read. Raises ``ValueError`` for a word that no GQM writes."""
        return Status(self._text(b"status"))

    @property
    def payload(self) -> dict[str, object]:
        """The payload. Raises ``ValueError`` if what is stored is not a JSON object."""
        if self._payload is None:
            self._payload = decode_object(self._fields.get(b"payload"))
        return self._payload

    def decode(self, shape: type[T]) -> T:
        """Return the payload as ``shape``: a dataclass, TypedDict, msgspec struct or any annotated type.

        Raises `InvalidPayload` naming the path that does not fit. It is a `SkipRetry`: a handler that lets it
        pass sends the job to the dead-letter set at once, since the payload will be the same at every retry.
        """
        raw = self._fields.get(b"payload")
        try:
            return msgspec.json.decode(b"{}" if raw in (None, b"", b"null") else raw, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            name = getattr(shape, "__name__", None) or str(shape)
            raise InvalidPayload(f"payload does not fit {name}: {exc}") from exc

    @property
    def meta(self) -> dict[str, object]:
        """What the producer attached. Raises ``ValueError`` if what is stored is not a JSON object."""
        return decode_object(self._fields.get(b"meta"))

    @property
    def enqueued_by(self) -> str:
        """Who enqueued it, as the producer says."""
        return self._text(b"enqueued_by")

    @property
    def depends_on(self) -> list[str]:
        """Parent ids in the caller's order."""
        return [item for item in self._list(b"depends_on") if isinstance(item, str)]

    @property
    def allow_failure(self) -> bool:
        """Whether it runs although a parent failed."""
        return self._fields.get(b"allow_failure") == b"1"

    @property
    def enqueue_at_front(self) -> bool:
        """Whether it goes in front of its queue."""
        return self._fields.get(b"enqueue_at_front") == b"1"

    # -- how it may run

    @property
    def timeout(self) -> int:
        """Time-out of this job in seconds; 0 = the pool's."""
        return self._int(b"timeout")

    @property
    def max_retry(self) -> int:
        """Retries this job may use; 3 when the producer gave none (then the pool's policy decides)."""
        return self._int(b"max_retry", DEFAULT_MAX_RETRY)

    @property
    def retry_intervals(self) -> list[int]:
        """Delays before the retries, in seconds, as the producer gave them."""
        return [item for item in self._list(b"retry_intervals") if type(item) is int]

    @property
    def result_ttl(self) -> int | None:
        """Seconds the job is kept after completion; -1 for ever; None = the servers' default."""
        return self._opt(b"result_ttl")

    @property
    def failure_ttl(self) -> int | None:
        """Seconds the job is kept after any other end; -1 for ever; None = the servers' default."""
        return self._opt(b"failure_ttl")

    # -- what happened

    @property
    def attempt(self) -> int:
        """Number of starts, the present one included."""
        return self._int(b"attempt")

    @property
    def retry_count(self) -> int:
        """Counted failures and recoveries so far."""
        return self._int(b"retry_count")

    @property
    def crashes(self) -> int:
        """Isolated processes that died under this job."""
        return self._int(b"crashes")

    @property
    def created_at(self) -> int:
        """When it was enqueued."""
        return self._int(b"created_at")

    @property
    def scheduled_at(self) -> int | None:
        """When it was asked to run, rounded down."""
        return self._opt(b"scheduled_at")

    @property
    def started_at(self) -> int | None:
        """When it was last claimed."""
        return self._opt(b"started_at")

    @property
    def completed_at(self) -> int | None:
        """When it ended, in whatever state."""
        return self._opt(b"completed_at")

    @property
    def duration_ms(self) -> int | None:
        """Handler time of the last run, in milliseconds."""
        return self._opt(b"execution_duration")

    @property
    def worker_id(self) -> str:
        """``{pool}@{server}`` of the last claim."""
        return self._text(b"worker_id")

    @property
    def error(self) -> str:
        """Text of the last failure."""
        return self._text(b"error")

    @property
    def traceback(self) -> str:
        """Traceback of the last failure; the middle of a long one is cut out."""
        return self._text(b"traceback")

    @property
    def cancel_reason(self) -> str:
        """Why it was canceled or stopped."""
        return self._text(b"cancel_reason")

    @property
    def result(self) -> object:
        """What the handler returned; ``None`` if nothing or nothing that could be kept.

        Raises ``ValueError`` if what is stored is not JSON.
        """
        raw = self._fields.get(b"result")
        return decode_json(raw) if raw else None

    @property
    def result_note(self) -> str:
        """Why a result was not kept."""
        return self._text(b"result_note")

    @property
    def progress_made(self) -> tuple[float, float, str] | None:
        """Last reported progress: current, total, message."""
        match self._list(b"progress"):
            case [int() | float() as current, int() | float() as total, message]:
                return current, total, str(message)
        return None

    # -- while it runs here

    @property
    def cancelled(self) -> bool:
        """True once the handler should stop: deadline passed, job canceled, or claim lost."""
        return self._run is not None and self._run.cancelled

    def progress(self, current: float, total: float = 100, message: str = "") -> None:
        """Report progress from inside the handler; at most two reports a second are stored.

        Never blocks. Raises `JobStateError` outside a running handler.
        """
        if self._run is None:
            raise JobStateError(f"job {self.id} is not running here; only its handler can report progress")
        self._run.progress(encode_json([current, total, str(message)]))


@functools.lru_cache(maxsize=256)
def _warn_not_a_number(name: bytes, raw: bytes) -> None:
    log.warning("job field %s holds %r, which is no integer; read as 0", name.decode(), raw)
