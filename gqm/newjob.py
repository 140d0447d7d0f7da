"""The job to be made: options as a producer gives them, checked and encoded before anything is sent."""

from __future__ import annotations

import difflib
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, TypedDict, TypeGuard, cast

from gqm.errors import InvalidJob, PayloadTooLarge
from gqm.ids import check_job_id, check_name, new_id, new_nonce, shown
from gqm.jsontext import NotJSON, encode_json

__all__ = [
    "DEFAULT_MAX_RETRY",
    "DEFAULT_QUEUE",
    "MAX_BATCH",
    "MAX_BATCH_BYTES",
    "MAX_META",
    "MAX_PARENTS",
    "MAX_PAYLOAD",
    "OPTION_NAMES",
    "NewJob",
    "Options",
    "delay_ms",
    "due_ms",
    "duration_s",
    "encode_payload",
    "new_job",
]

MAX_PAYLOAD = 1_048_576
"""Largest encoded payload, in bytes."""
MAX_META = 65_536
"""Largest encoded ``meta``, in bytes."""
MAX_ENQUEUED_BY = 256
"""Longest ``enqueued_by``, in characters."""
MAX_PARENTS = 1000
MAX_BATCH = 1000
MAX_BATCH_BYTES = 64 * 1_048_576
DEFAULT_QUEUE = "default"
DEFAULT_MAX_RETRY = 3

_YEAR_10000_S = 253_402_300_800
"""End of any calendar, in unix seconds: times and durations beyond it are mistakes of units."""
_MAX_COUNT = 2**31 - 1


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

_PAYLOAD = 7
"""Index of the payload in the fields of each new job."""

Words = Iterable[str | bytes | int]


class NewJob(NamedTuple):
    """A checked job, ready to be sent: nothing in it can be refused for its form."""

    id: str
    nonce: str
    """Empty for a generated id; else marks one enqueue call, so that a repeated send is recognized."""
    type: str
    queue: str
    fields: tuple[str | bytes | int, ...]
    """Hash fields and values in turn: id, type, queue, payload, then more. Scripts set further ones."""
    parents: tuple[str, ...] = ()
    unique: bool = False
    front: bool = False
    allow_failure: bool = False

    @property
    def payload(self) -> str | bytes | int:
        """The encoded payload."""
        return self.fields[_PAYLOAD]

    @property
    def more_fields(self) -> tuple[str | bytes | int, ...]:
        """The fields behind those that every job has."""
        return self.fields[_PAYLOAD + 1 :]

    @property
    def size(self) -> int:
        """About how many bytes the fields take."""
        size = 0
        for word in self.fields[_PAYLOAD:]:
            if not isinstance(word, int):
                size += len(word)
        return size


def new_job(
    type: str,
    payload: object = None,
    options: Options | None = None,
    fresh_id: str = "",
) -> NewJob:
    """Check and encode a job. Raises `InvalidJob` or `PayloadTooLarge` naming what is wrong.

    ``fresh_id`` is a new generated id, if the caller made many at once: that is cheaper.
    """
    check_name(type, "job type")
    raw = encode_payload(payload)
    if options:
        return _new_job(type, raw, options, fresh_id)
    job_id = fresh_id or new_id()
    fields = ("id", job_id, "type", type, "queue", DEFAULT_QUEUE, "payload", raw)
    return NewJob(job_id, "", type, DEFAULT_QUEUE, (*fields, "max_retry", DEFAULT_MAX_RETRY))


def _new_job(type_: str, raw: bytes, options: Options, fresh_id: str) -> NewJob:
    _check_options(options)
    queue = options.get("queue", DEFAULT_QUEUE)
    check_name(queue, "queue")
    given_id = options.get("job_id")
    unique = options.get("unique", False)
    if given_id is None:
        if unique:
            raise InvalidJob("unique=True needs a job_id")
        job_id, nonce = fresh_id or new_id(), ""
    else:
        job_id, nonce = check_job_id(given_id), new_nonce()
    parents = _parents(options.get("depends_on"), job_id)
    fields: list[str | bytes | int] = ["id", job_id, "type", type_, "queue", queue, "payload", raw]
    if nonce:
        fields += ("nonce", nonce)
    for add in (_retry_fields, _time_fields, _note_fields):
        fields += add(options)
    if parents:
        fields += ("depends_on", encode_json(parents))
    front = options.get("enqueue_at_front", False)
    allow_failure = options.get("allow_failure", False)
    if front:
        fields += ("enqueue_at_front", "1")
    if allow_failure:
        fields += ("allow_failure", "1")
    unique_parents = tuple(dict.fromkeys(parents))
    return NewJob(job_id, nonce, type_, queue, tuple(fields), unique_parents, unique, front, allow_failure)


def _check_options(options: Options) -> None:
    for name in options:
        if name not in OPTION_NAMES:
            near = difflib.get_close_matches(name, OPTION_NAMES, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"there are: {', '.join(sorted(OPTION_NAMES))}"
            raise InvalidJob(f'unknown option "{name}"; {hint}')
    for flag in ("unique", "enqueue_at_front", "allow_failure"):
        value = options.get(flag, False)
        if not isinstance(value, bool):
            raise InvalidJob(f"{flag} must be True or False, got {shown(value)}")


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


def _parents(value: object, job_id: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, str | Iterable):
        raise InvalidJob(f"depends_on must be one or more job ids, got {shown(value)}")
    parents = (value,) if isinstance(value, str) else tuple(value)
    if len(parents) > MAX_PARENTS:
        raise InvalidJob(f"depends_on has {len(parents):,} parents; the limit is {MAX_PARENTS:,}")
    checked = tuple(check_job_id(parent, "depends_on") for parent in parents)
    if job_id in checked:
        raise InvalidJob(f"job {job_id!r} cannot depend on itself")
    return checked


def _retry_fields(options: Options) -> Words:
    max_retry = options.get("max_retry")
    if max_retry is None:
        yield from ("max_retry", DEFAULT_MAX_RETRY)
    else:
        yield from ("max_retry", _whole(max_retry, "max_retry", _MAX_COUNT), "max_retry_set", "1")
    intervals: object = options.get("retry_intervals")
    if intervals is not None:
        if not isinstance(intervals, Iterable) or isinstance(intervals, str | bytes):
            raise InvalidJob(f"retry_intervals must be a list of seconds, got {shown(intervals)}")
        items = [_whole(item, "retry_intervals", _YEAR_10000_S) for item in intervals]
        if not items:
            raise InvalidJob("retry_intervals is empty; leave it out, or give at least one delay")
        yield from ("retry_intervals", encode_json(items))


def _whole(value: object, name: str, most: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
        return value
    raise InvalidJob(f"{name}: {shown(value)} is not an int from 0 to {most:,}")


def _time_fields(options: Options) -> Words:
    timeout = options.get("timeout")
    if timeout is not None:
        seconds = duration_s(timeout, "timeout")
        if seconds <= 0:
            raise InvalidJob(f"timeout must be more than 0 s, got {shown(timeout)}")
        yield from ("timeout", math.ceil(seconds))
    for name in ("result_ttl", "failure_ttl"):
        # mypy knows the keys of a TypedDict only as literals
        value = cast("Mapping[str, float | timedelta]", options).get(name)
        if value is not None:
            seconds = duration_s(value, name)
            yield from (name, -1 if seconds < 0 else math.ceil(seconds))


def _note_fields(options: Options) -> Words:
    enqueued_by: object = options.get("enqueued_by")
    if enqueued_by is not None:
        if not isinstance(enqueued_by, str):
            raise InvalidJob(f"enqueued_by must be text, got {shown(enqueued_by)}")
        if len(enqueued_by) > MAX_ENQUEUED_BY or not enqueued_by.isprintable():
            raise InvalidJob(f"enqueued_by must be printable text of at most {MAX_ENQUEUED_BY} characters")
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


def duration_s(value: object, name: str) -> float:
    """Return a duration (seconds or ``timedelta``) in seconds. Raises `InvalidJob` if it is none."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if not _is_number(value):
        raise InvalidJob(f"{name} must be seconds or a timedelta, got {shown(value)}")
    if value >= _YEAR_10000_S - time.time():
        raise InvalidJob(f"{name}: {shown(value)} s reaches beyond the year 9999")
    return value


def due_ms(when: datetime | float) -> int:
    """Return a point in time as unix milliseconds, rounded up.

    Raises `InvalidJob` if it is none. A datetime without zone is refused: it would mean something else on
    each machine.
    """
    value: object = when
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidJob("enqueue_at needs a datetime with a time zone, or unix seconds")
        value = value.timestamp()
    if not _is_number(value):
        raise InvalidJob(f"enqueue_at needs a datetime with a time zone, or unix seconds, got {shown(when)}")
    if not 0 <= value < _YEAR_10000_S:
        raise InvalidJob(f"enqueue_at: {shown(when)} is not a unix time in seconds (year 1970 to 9999)")
    return _ceil_ms(value)


def delay_ms(delay: float | timedelta) -> int:
    """Return a delay as milliseconds, rounded up. Raises `InvalidJob` if it is none."""
    return _ceil_ms(max(0, duration_s(delay, "delay")))


def _is_number(value: object) -> TypeGuard[int | float]:
    # An int may be too large for the check of floats.
    return type(value) is not bool and (
        isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    )


def _ceil_ms(seconds: float) -> int:
    # The product of a binary fraction may lie a hair above the whole millisecond that was meant.
    return math.ceil(round(seconds * 1000, 3))
