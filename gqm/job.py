"""The job: its states, the record read from Redis, and the checked form of a job to be enqueued."""

from __future__ import annotations

import enum
import functools
import logging
import math
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypedDict, TypeVar

import msgspec

from gqm.errors import InvalidJob, JobStateError, PayloadTooLarge
from gqm.ids import check_job_id, check_name, new_id, new_nonce

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")

log = logging.getLogger("gqm")

MAX_PAYLOAD = 1_048_576
"""Largest encoded payload, in bytes."""
MAX_RESULT = 1_048_576
"""Largest encoded result, in bytes; a larger one is dropped with a note."""
MAX_META = 65_536
"""Largest encoded ``meta``, in bytes."""
MAX_DEPTH = 128
"""Deepest nesting of arrays and objects in a payload, ``meta`` or result."""
MAX_PARENTS = 1000
MAX_BATCH = 1000
MAX_BATCH_BYTES = 64 * 1_048_576
DEFAULT_QUEUE = "default"
DEFAULT_MAX_RETRY = 3

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


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


# ------------------------------------------------------------------------------------------- JSON


class NotJSON(ValueError):
    """The value has no place in JSON as GQM stores it; the text says why."""


def encode_json(value: object) -> bytes:
    """Encode a value as compact UTF-8 JSON.

    Raises `NotJSON` for NaN and infinities, lone surrogates, nesting over 128 levels and types that
    JSON does not know. Dataclasses, msgspec structs, datetimes, UUIDs, decimals and enums are encoded.
    """
    try:
        raw = _encode(value)
    except RecursionError:
        raise NotJSON(f"nested deeper than {MAX_DEPTH} levels") from None
    except UnicodeEncodeError:
        raise NotJSON("text holds a lone surrogate") from None
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as exc:
        raise NotJSON(str(exc)) from None
    # msgspec writes NaN as null and does not limit depth. Both checks walk the value, so they run
    # only when the encoded text says that they could find something.
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        check_depth(raw)
    if b"null" in raw:
        _check_floats(value)
    return raw


def check_depth(raw: bytes) -> None:
    """Raise `NotJSON` if the JSON text nests deeper than 128 levels."""
    depth = 0
    in_text = escaped = False
    for byte in raw:
        if in_text:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_text = False
        elif byte == 0x22:
            in_text = True
        elif byte in b"{[":
            depth += 1
            if depth > MAX_DEPTH:
                raise NotJSON(f"nested deeper than {MAX_DEPTH} levels")
        elif byte in b"}]":
            depth -= 1


def _check_floats(value: object) -> None:
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, float):
            if not math.isfinite(item):
                raise NotJSON(f"{item} is not a JSON number")
        elif isinstance(item, Mapping):
            todo.extend(item.values())
        elif isinstance(item, list | tuple | set | frozenset):
            todo.extend(item)
        elif item is not None and not isinstance(item, str | int | bytes):
            # A dataclass, struct or other object: look at what the encoder would see.
            plain = msgspec.to_builtins(item)
            if plain is not item and type(plain) is not type(item):
                todo.append(plain)


def decode_json(raw: bytes) -> object:
    """Decode JSON text. Raises ``ValueError`` if it is not JSON."""
    try:
        return _decode(raw)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except msgspec.DecodeError as exc:
        raise ValueError(str(exc)) from None


# ----------------------------------------------------------------------------------- the job read


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
        self.id = fields[b"id"].decode("utf-8", "replace")
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
        try:
            return int(raw)
        except ValueError:
            _warn_not_a_number(name, raw[:60])
            return 0

    def _opt(self, name: bytes) -> int | None:
        return self._int(name) if self._fields.get(name) else None

    def _json(self, name: bytes) -> object:
        raw = self._fields.get(name)
        return decode_json(raw) if raw else None

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

        Raises ``msgspec.ValidationError`` naming the path that does not fit.
        """
        return msgspec.json.decode(self._fields.get(b"payload") or b"{}", type=shape)

    @property
    def meta(self) -> dict[str, object]:
        """What the producer attached."""
        return decode_object(self._fields.get(b"meta"))

    @property
    def enqueued_by(self) -> str:
        """Who enqueued it, as the producer says."""
        return self._text(b"enqueued_by")

    @property
    def depends_on(self) -> list[str]:
        """Parent ids in the caller's order."""
        value = self._json(b"depends_on")
        return [str(item) for item in value] if isinstance(value, list) else []

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
        value = self._json(b"retry_intervals")
        return [item for item in value if isinstance(item, int)] if isinstance(value, list) else []

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
        """What the handler returned; ``None`` if nothing or nothing that could be kept."""
        return self._json(b"result")

    @property
    def result_note(self) -> str:
        """Why a result was not kept."""
        return self._text(b"result_note")

    @property
    def progress_made(self) -> tuple[float, float, str] | None:
        """Last reported progress: current, total, message."""
        value = self._json(b"progress")
        if not isinstance(value, list) or len(value) != 3:
            return None
        current, total, message = value
        if not isinstance(current, int | float) or not isinstance(total, int | float):
            return None
        return current, total, str(message)

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


def decode_object(raw: bytes | None) -> dict[str, object]:
    """Decode stored JSON that must be an object; nothing, empty text and ``null`` count as ``{}``.

    Raises ``ValueError`` saying why.
    """
    if not raw or raw == b"{}":
        return {}
    value = decode_json(raw)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"it is {_json_kind(value)}")
    return value


def _json_kind(value: object) -> str:
    for kind, name in ((bool, "a boolean"), (str, "a string"), (list, "an array")):
        if isinstance(value, kind):
            return name
    return "a number"


@functools.lru_cache(maxsize=256)
def _warn_not_a_number(name: bytes, raw: bytes) -> None:
    log.warning("job field %s holds %r, which is no integer; read as 0", name.decode(), raw)


# ------------------------------------------------------------------------------ the job to be made


class Options(TypedDict, total=False):
    """Keyword options of every enqueue call. Durations are seconds (int, float) or ``timedelta``."""

    queue: str
    """Target queue; default ``"default"``, never derived from the type."""
    job_id: str
    """Your own id, ``[A-Za-z0-9._-]{1,256}``; default a UUIDv7."""
    max_retry: int
    """Retries after a counted failure; default: the pool's policy. 0 = none."""
    timeout: float | timedelta
    """Time-out of this job, rounded up to seconds; default: the pool's, then the server's."""
    retry_intervals: Sequence[int]
    """Seconds before the first, second, … retry; the last one repeats."""
    meta: Mapping[str, object]
    """Anything JSON, kept beside the payload, at most 64 KiB."""
    enqueued_by: str
    """Who enqueued it, for the audit; at most 256 characters."""
    enqueue_at_front: bool
    """Run before older jobs of the queue, now and after each promotion or release."""
    unique: bool
    """Refuse while any job of this ``job_id`` exists, also an ended one; needs ``job_id``."""
    depends_on: str | Sequence[str]
    """Ids of the parents that must complete first; at most 1000."""
    allow_failure: bool
    """Run although parents fail, once all have ended."""
    result_ttl: float | timedelta
    """How long the job is kept after completion; negative = for ever, 0 = deleted at once."""
    failure_ttl: float | timedelta
    """How long the job is kept after any other end."""


OPTION_NAMES = frozenset(Options.__annotations__)


class NewJob(NamedTuple):
    """A checked job, ready to be sent: nothing in it can be refused for its form."""

    id: str
    nonce: str
    """Empty for a generated id; else marks one enqueue call, so that a repeated send is recognized."""
    type: str
    queue: str
    fields: tuple[str | bytes | int, ...]
    """Hash fields and values in turn, without those that the script sets."""
    parents: tuple[str, ...] = ()
    unique: bool = False
    front: bool = False
    allow_failure: bool = False


def new_job(
    type: str,  # noqa: A002 - the field's own name, positional in practice
    payload: object = None,
    options: Options | None = None,
) -> NewJob:
    """Check and encode a job. Raises `InvalidJob` or `PayloadTooLarge` naming what is wrong."""
    check_name(type, "job type")
    raw = encode_payload(payload)
    if not options:
        job_id = new_id()
        return NewJob(
            job_id,
            "",
            type,
            DEFAULT_QUEUE,
            (
                "id",
                job_id,
                "type",
                type,
                "queue",
                DEFAULT_QUEUE,
                "payload",
                raw,
                "max_retry",
                DEFAULT_MAX_RETRY,
            ),
        )
    return _new_job(type, raw, options)


def _new_job(type_: str, raw: bytes, options: Options) -> NewJob:
    unknown = options.keys() - OPTION_NAMES
    if unknown:
        raise InvalidJob(
            f"unknown option {sorted(unknown)[0]!r}; there are: {', '.join(sorted(OPTION_NAMES))}"
        )
    queue = options.get("queue", DEFAULT_QUEUE)
    check_name(queue, "queue")
    given_id = options.get("job_id")
    unique = bool(options.get("unique"))
    if given_id is None:
        if unique:
            raise InvalidJob("unique=True needs a job_id")
        job_id, nonce = new_id(), ""
    else:
        check_job_id(given_id)
        job_id, nonce = given_id, new_nonce()
    parents = _parents(options.get("depends_on"), job_id)
    fields: list[str | bytes | int] = ["id", job_id, "type", type_, "queue", queue, "payload", raw]
    if nonce:
        fields += ("nonce", nonce)
    for add in (_retry_fields, _time_fields, _note_fields):
        fields += add(options)
    if parents:
        fields += ("depends_on", _encode(parents))
    front = bool(options.get("enqueue_at_front"))
    allow_failure = bool(options.get("allow_failure"))
    if front:
        fields += ("enqueue_at_front", "1")
    if allow_failure:
        fields += ("allow_failure", "1")
    unique_parents = tuple(dict.fromkeys(parents))
    return NewJob(job_id, nonce, type_, queue, tuple(fields), unique_parents, unique, front, allow_failure)


def encode_payload(payload: object) -> bytes:
    """Encode a payload. Raises `InvalidJob` if it is no JSON object, `PayloadTooLarge` over 1 MiB."""
    if payload is None:
        return b"{}"
    try:
        raw = encode_json(payload)
    except NotJSON as exc:
        raise InvalidJob(f"payload: {exc}") from None
    if not raw.startswith(b"{"):
        raise InvalidJob(
            f"payload must be a JSON object (a dict, dataclass or struct), got {type(payload).__name__}"
        )
    if len(raw) > MAX_PAYLOAD:
        raise PayloadTooLarge(f"payload is {len(raw):,} bytes encoded; the limit is {MAX_PAYLOAD:,}")
    return raw


def _parents(value: str | Sequence[str] | None, job_id: str) -> tuple[str, ...]:
    if value is None:
        return ()
    parents = (value,) if isinstance(value, str) else tuple(value)
    if not parents:
        return ()
    if len(parents) > MAX_PARENTS:
        raise InvalidJob(f"depends_on has {len(parents):,} parents; the limit is {MAX_PARENTS:,}")
    for parent in parents:
        check_job_id(parent, "depends_on")
    if job_id in parents:
        raise InvalidJob(f"job {job_id!r} cannot depend on itself")
    return parents


def _retry_fields(options: Options) -> Iterable[str | int | bytes]:
    max_retry = options.get("max_retry")
    if max_retry is None:
        yield from ("max_retry", DEFAULT_MAX_RETRY)
    else:
        if not _is_int(max_retry) or max_retry < 0:
            raise InvalidJob(f"max_retry must be an int of 0 or more, got {max_retry!r}")
        yield from ("max_retry", max_retry, "max_retry_set", "1")
    intervals = options.get("retry_intervals")
    if intervals is not None:
        items = list(intervals)
        if not items or any(not _is_int(item) or item < 0 for item in items):
            raise InvalidJob(f"retry_intervals must be ints of 0 or more seconds, got {intervals!r}")
        yield from ("retry_intervals", _encode(items))


def _time_fields(options: Options) -> Iterable[str | int]:
    timeout = options.get("timeout")
    if timeout is not None:
        seconds = duration_s(timeout, "timeout")
        if seconds <= 0:
            raise InvalidJob(f"timeout must be more than 0 s, got {timeout!r}")
        yield from ("timeout", math.ceil(seconds))
    for name, value in (
        ("result_ttl", options.get("result_ttl")),
        ("failure_ttl", options.get("failure_ttl")),
    ):
        if value is not None:
            seconds = duration_s(value, name)
            yield from (name, -1 if seconds < 0 else math.ceil(seconds))


def _note_fields(options: Options) -> Iterable[str | bytes]:
    enqueued_by = options.get("enqueued_by")
    if enqueued_by is not None:
        if not isinstance(enqueued_by, str) or len(enqueued_by) > 256 or not enqueued_by.isprintable():
            raise InvalidJob("enqueued_by must be printable text of at most 256 characters")
        yield from ("enqueued_by", enqueued_by)
    meta = options.get("meta")
    if meta is not None:
        try:
            raw = encode_json(meta)
        except NotJSON as exc:
            raise InvalidJob(f"meta: {exc}") from None
        if not raw.startswith(b"{") or len(raw) > MAX_META:
            raise InvalidJob(f"meta must be a JSON object of at most {MAX_META:,} bytes encoded")
        yield from ("meta", raw)


def duration_s(value: float | timedelta, name: str) -> float:
    """Return a duration in seconds. Raises `InvalidJob` if it is none."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidJob(f"{name} must be seconds or a timedelta, got {value!r}")
    return value


def due_ms(when: datetime | float) -> int:
    """Return a point in time as unix milliseconds.

    A datetime without zone is refused: it would mean something else on each machine.
    """
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise InvalidJob("enqueue_at needs a datetime with a time zone, or unix seconds")
        when = when.timestamp()
    if isinstance(when, bool) or not isinstance(when, int | float) or not math.isfinite(when):
        raise InvalidJob(f"enqueue_at needs a datetime with a time zone, or unix seconds, got {when!r}")
    # Far outside any calendar a due time is a mistake of units (milliseconds given as seconds).
    if not 0 <= when < 253_402_300_800:
        raise InvalidJob(f"enqueue_at: {when!r} is not a unix time in seconds (year 1970 to 9999)")
    return math.ceil(when * 1000)


def delay_ms(delay: float | timedelta) -> int:
    """Return a delay as milliseconds, rounded up. Raises `InvalidJob` if it is none."""
    seconds = duration_s(delay, "delay")
    if seconds >= 253_402_300_800 - time.time():
        raise InvalidJob(f"delay: {delay!r} reaches beyond the year 9999")
    return max(0, math.ceil(seconds * 1000))


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
