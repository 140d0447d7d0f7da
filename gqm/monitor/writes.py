"""The calls that change something: operator actions, batches, and enqueueing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gqm.admin import Action, Admin
from gqm.admin.cron import CronAdmin
from gqm.errors import InvalidJob, InvalidQuery
from gqm.job import Status
from gqm.jsontext import decode_json
from gqm.monitor.answers import Data
from gqm.monitor.problems import Problem
from gqm.monitor.queries import (
    MOMENT,
    PRINTABLE,
    ErrorPart,
    Fingerprint,
    IdPart,
    Name,
    Names,
    State,
    WorkerName,
)
from gqm.monitor.reads import job_data
from gqm.newjob import MAX_ENQUEUED_BY, delay_ms, due_ms, new_job
from gqm.store.commands.enqueue import enqueue
from gqm.store.read.match import JobFilter, moment

if TYPE_CHECKING:
    from gqm.monitor.context import Context
    from gqm.monitor.request import Request
    from gqm.newjob import Options
    from gqm.store.commands.enqueue import Mode


Seconds: TypeAlias = Annotated[int, Meta(ge=0)]
Ttl: TypeAlias = Annotated[int, Meta(ge=-1)]
# The rules behind these patterns are checked, and explained, where jobs are made.
NewName: TypeAlias = Annotated[str, Meta(extra_json_schema={"pattern": "^[A-Za-z0-9._:-]{1,128}$"})]
JobId: TypeAlias = Annotated[str, Meta(extra_json_schema={"pattern": "^[A-Za-z0-9._-]{1,256}$"})]
Object: TypeAlias = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "object"})]
Identity: TypeAlias = Annotated[
    str, Meta(max_length=MAX_ENQUEUED_BY, extra_json_schema={"pattern": PRINTABLE})
]


class DryRun(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Whether only to tell what would be changed."""

    dry_run: bool = False
    """Only tell what would be changed."""


def _admin(context: Context, request: Request) -> Admin:
    caller = request.who
    request.note.skip = True  # the actions write their own entries
    return Admin(
        context.backend,
        actor=caller.name,
        role=caller.role,
        source=caller.source,
        address=request.address,
        request_id=request.id,
        failure_ttl=context.settings.failure_ttl_s,
    )


def _changed(context: Context, data: object, **event: object) -> Data:
    context.observed.forget()
    context.hub.nudge(event)
    return Data(data)


# ------------------------------------------------------------------------------------------ queues


def pause(context: Context, request: Request) -> Data:
    """Keep a queue from being worked on."""
    return _changed(context, _admin(context, request).pause(request.name))


def resume(context: Context, request: Request) -> Data:
    """Let a queue be worked on again."""
    return _changed(context, _admin(context, request).resume(request.name))


def empty(context: Context, request: Request) -> Data:
    """Cancel the ready jobs of a queue."""
    params: DryRun = request.params
    admin = _admin(context, request)
    if params.dry_run:
        return Data(admin.preview_queue(request.name, Status.READY))
    done = admin.empty(request.name)
    return _changed(context, done, queue=request.name, action="emptied", count=done.removed)


def retry_dead(context: Context, request: Request) -> Data:
    """Run the dead letters of a queue again."""
    params: DryRun = request.params
    admin = _admin(context, request)
    if params.dry_run:
        return Data(admin.preview_queue(request.name, Status.DEAD_LETTER))
    done = admin.retry_all(request.name)
    return _changed(context, done, queue=request.name, action="dlq_retried", count=done.retried)


def clear_dead(context: Context, request: Request) -> Data:
    """Delete the dead letters of a queue."""
    params: DryRun = request.params
    admin = _admin(context, request)
    if params.dry_run:
        return Data(admin.preview_queue(request.name, Status.DEAD_LETTER))
    done = admin.clear(request.name)
    return _changed(context, done, queue=request.name, action="dlq_cleared", count=done.cleared)


# -------------------------------------------------------------------------------------------- jobs


def retry(context: Context, request: Request) -> Data:
    """Run a job again, or now."""
    return _changed(context, _admin(context, request).retry(request.name))


def cancel(context: Context, request: Request) -> Data:
    """Cancel a job."""
    return _changed(context, _admin(context, request).cancel(request.name))


def delete(context: Context, request: Request) -> Data:
    """Delete a job."""
    return _changed(context, _admin(context, request).delete(request.name))


# -------------------------------------------------------------------------------------------- cron


def _cron(context: Context, request: Request) -> CronAdmin:
    return CronAdmin(context.backend, _admin(context, request).log)


def trigger(context: Context, request: Request) -> Data:
    """Make a job of a cron entry."""
    done = _cron(context, request).trigger(request.name)
    return _changed(context, done, cron_id=request.name, action="triggered", job_id=done.job_id)


def enable(context: Context, request: Request) -> Data:
    """Let a cron entry fire."""
    return _changed(context, _cron(context, request).enable(request.name))


def disable(context: Context, request: Request) -> Data:
    """Keep a cron entry from firing."""
    return _changed(context, _cron(context, request).disable(request.name))


def forget(context: Context, request: Request) -> Data:
    """Delete a cron entry that no server has any more."""
    return _changed(context, _cron(context, request).delete(request.name))


# ------------------------------------------------------------------------------------------- batch

Moment: TypeAlias = float | Annotated[str, Meta(max_length=32, extra_json_schema=MOMENT)]


class FilterBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which jobs are meant; as in the parameters of lists."""

    status: Annotated[tuple[State, ...], Meta(min_length=1, max_length=20)]
    queue: Names | Name = ()
    """One, or a list."""
    type: Names | Name = ()
    """One, or a list; one that ends in `*` is a prefix."""
    q: IdPart = ""
    """Part of the id."""
    error: ErrorPart = ""
    """Part of the error text, in any case."""
    fingerprint: Fingerprint = ""
    """A kind of failure, as `/failed/groups` names it."""
    worker: WorkerName = ""
    """A worker id, pool or server id."""
    since: Moment | None = None
    """Unix seconds, or `-15m` `-24h` `-7d` before now."""
    until: Moment | None = None
    """As `since`; `as_of` of a dry run keeps the action to what it met."""


class BatchBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Jobs by id or by filter."""

    job_ids: Annotated[list[JobId], Meta(min_length=1, max_length=1000)] | UnsetType = UNSET
    """Either these, each once, in this order …"""
    filter: FilterBody | UnsetType = UNSET
    """… or all that fit, the oldest first."""
    dry_run: bool = False
    """Only tell what would be changed."""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 1000
    """By filter: jobs of one call."""
    cursor: Annotated[str, Meta(max_length=2048)] | None = None
    """By filter: `next` of the answer before."""


def batch_retry(context: Context, request: Request) -> Data:
    """Run many jobs again, or now."""
    return _batch(context, request, "retry")


def batch_cancel(context: Context, request: Request) -> Data:
    """Cancel many jobs."""
    return _batch(context, request, "cancel")


def batch_delete(context: Context, request: Request) -> Data:
    """Delete many jobs."""
    return _batch(context, request, "delete")


def _batch(context: Context, request: Request, action: Action) -> Data:
    body: BatchBody = request.params
    by_id, by_filter = body.job_ids is not UNSET, body.filter is not UNSET
    if by_id == by_filter:
        raise InvalidQuery("give exactly one of job_ids and filter")
    if by_id and body.cursor is not None:
        raise InvalidQuery("cursor goes with filter only")
    ids = None if isinstance(body.job_ids, UnsetType) else body.job_ids
    wanted = None if isinstance(body.filter, UnsetType) else _wanted(context, body.filter)
    admin = _admin(context, request)
    if body.dry_run:
        return Data(admin.preview(action, job_ids=ids, wanted=wanted))
    done = admin.batch(action, job_ids=ids, wanted=wanted, limit=body.limit, cursor=body.cursor)
    return _changed(context, done)


def _wanted(context: Context, body: FilterBody) -> JobFilter:
    return JobFilter(
        status=body.status,
        queue=(body.queue,) if isinstance(body.queue, str) else body.queue,
        type=(body.type,) if isinstance(body.type, str) else body.type,
        q=body.q,
        error=body.error,
        fingerprint=body.fingerprint,
        worker=body.worker,
        since=_moment(context, "since", body.since),
        until=_moment(context, "until", body.until),
    )


def _moment(context: Context, name: str, value: float | str | None) -> float | None:
    if value is None:
        return None
    if not isinstance(value, str):
        return float(value)
    try:
        return moment(value, context.backend.now())
    except InvalidQuery as exc:
        raise InvalidQuery(f"filter.{name}: {exc}") from None


# ----------------------------------------------------------------------------------------- enqueue


class JobBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A job to be made. Durations are seconds."""

    type: NewName
    """Which handler runs it. The operator may limit the types that are taken."""
    payload: Object | UnsetType = UNSET
    """For the handler; every digit is kept."""
    queue: NewName = "default"
    job_id: JobId | UnsetType = UNSET
    """An id of your own; generated without it."""
    run_at: float | UnsetType = UNSET
    """Not before this point in time, unix seconds."""
    delay_ms: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    """Not before so many milliseconds from now."""
    max_retry: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    """Runs after the first that failed."""
    timeout: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    """Longest run, in seconds."""
    retry_intervals: Annotated[list[Seconds], Meta(min_length=1, max_length=100)] | UnsetType = UNSET
    """Pauses before the retries, in seconds; the last one is repeated."""
    depends_on: Annotated[list[JobId], Meta(max_length=1000)] | UnsetType = UNSET
    """Jobs that must be completed before; not with a time."""
    allow_failure: bool = False
    """Run although one of them has failed."""
    enqueue_at_front: bool = False
    """Run before all that is ready."""
    unique: bool = False
    """Refuse the id also when its job has ended and is still kept; needs job_id."""
    result_ttl: Ttl | UnsetType = UNSET
    """How long it is kept when completed, in seconds; -1 = for ever."""
    failure_ttl: Ttl | UnsetType = UNSET
    """How long it is kept when it ended otherwise, in seconds; -1 = for ever."""
    meta: Object | UnsetType = UNSET
    """Anything about it, at most 64 KiB."""
    enqueued_by: Identity | UnsetType = UNSET
    """Who asked for it; the caller without it."""


_GIVEN = (
    *("job_id", "max_retry", "timeout", "retry_intervals", "depends_on"),
    *("result_ttl", "failure_ttl", "meta", "enqueued_by"),
)
_FLAGS = ("allow_failure", "enqueue_at_front", "unique")


def add_job(context: Context, request: Request) -> Data:
    """Enqueue a job."""
    body: JobBody = request.params
    _check_type(context, body.type)
    request.note.target = str(body.job_id) if body.job_id is not UNSET else body.type[:128]
    for name in ("payload", "meta"):
        raw = getattr(body, name)
        if isinstance(raw, msgspec.Raw):
            _check_text(name, bytes(raw))
    options: dict[str, object] = {"queue": body.queue}
    options.update({name: getattr(body, name) for name in _GIVEN if getattr(body, name) is not UNSET})
    options.update({name: True for name in _FLAGS if getattr(body, name)})
    options.setdefault("enqueued_by", request.who.name[:MAX_ENQUEUED_BY])
    made = new_job(
        body.type, None if body.payload is UNSET else body.payload, cast("Options", options)
    )  # it checks names and values
    request.note.target = made.id
    mode, when_ms = _when(body)
    state = context.backend.run(enqueue(context.backend.keys, made, mode=mode, when_ms=when_ms))
    request.note.after = state
    context.observed.forget()
    return job_data(context, request, made.id)


def _check_type(context: Context, job_type: str) -> None:
    allowed = context.settings.hooks.enqueue_types
    if allowed is None:
        return
    for name in allowed:
        if job_type == name or (name.endswith("*") and job_type.startswith(name[:-1])):
            return
    raise Problem("FORBIDDEN", f"jobs of type {job_type[:128]!r} are not enqueued over HTTP here")


def _check_text(name: str, raw: bytes) -> None:
    try:
        decode_json(raw)
    except ValueError as exc:
        raise InvalidJob(f"{name}: {exc}") from None


def _when(body: JobBody) -> tuple[Mode, int]:
    at, delay = body.run_at, body.delay_ms
    if isinstance(at, UnsetType) and isinstance(delay, UnsetType):
        return "now", 0
    if not isinstance(body.depends_on, UnsetType):
        raise InvalidJob("run_at and delay_ms are not possible together with depends_on")
    if not isinstance(at, UnsetType):
        if not isinstance(delay, UnsetType):
            raise InvalidJob("give run_at or delay_ms, not both")
        return "at", due_ms(at)
    assert not isinstance(delay, UnsetType)
    return "in", delay_ms(delay / 1000)
