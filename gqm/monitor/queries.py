"""The parameters of the reading calls, as models; and lists with the place of their page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta

from gqm.errors import InvalidQuery
from gqm.monitor.answers import Data
from gqm.store.read.listing import Window
from gqm.store.read.match import JobFilter, moment
from gqm.store.read.views import Page

if TYPE_CHECKING:
    from gqm.monitor.backend import Backend

T = TypeVar("T")

Order: TypeAlias = Literal["asc", "desc"]
JobSort: TypeAlias = Literal["time", "id", "type", "created_at", "retry_count", "execution_duration"]
State: TypeAlias = Literal[
    "ready",
    "scheduled",
    "deferred",
    "processing",
    "retry",
    "completed",
    "dead_letter",
    "canceled",
    "stopped",
    "failed",
]
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*$"
"""What no parameter breaks, in the form of JSON Schema."""
_SAID: dict[str, object] = {"pattern": PRINTABLE}
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128, extra_json_schema=_SAID)]
States: TypeAlias = Annotated[tuple[State, ...], Meta(min_length=1, max_length=20)]
Names: TypeAlias = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=20)]
IdPart: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256, extra_json_schema=_SAID)]
ErrorPart: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200, extra_json_schema=_SAID)]
Failures: TypeAlias = Annotated[
    tuple[Literal["dead_letter", "retry", "failed"], ...], Meta(min_length=1, max_length=3)
]
Fingerprint: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
WorkerName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256, extra_json_schema=_SAID)]
MOMENT: dict[str, object] = {"pattern": r"^([0-9]{1,12}(\.[0-9]{1,9})?|-[0-9]{1,9}[smhd])$"}
"""A point in time as text, in the form of JSON Schema."""
When: TypeAlias = Annotated[str, Meta(min_length=1, max_length=32, extra_json_schema=MOMENT)]
PageNumber: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000)]
Limit: TypeAlias = Annotated[int, Meta(ge=1, le=100)]

MAX_LISTED = 1000


class Paged(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One page of a list."""

    page: PageNumber = 1
    """From 1. `page` × `limit` is at most 1,000,000; 10,000 over several states or queues."""
    limit: Limit = 20
    """Items of a page."""


class Collection(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A list that comes whole, unless a page is asked for."""

    page: PageNumber | None = None
    """Without `page` and `limit` the list comes whole, up to 1,000 items."""
    limit: Limit | None = None
    """Items of a page; 20 when only `page` is given."""


class DeadJobs(Paged, kw_only=True, forbid_unknown_fields=True):
    """Filter, sort and page of a list of jobs in one state and one queue."""

    sort: JobSort = "time"
    """`time` is the time that belongs to the state; see paging."""
    order: Order = "desc"
    """`desc`: newest or largest first."""
    type: Names = ()
    """Job types; one that ends in `*` is a prefix."""
    q: IdPart = ""
    """Part of the id."""
    error: ErrorPart = ""
    """Part of the error text, in any case."""
    fingerprint: Fingerprint = ""
    """A kind of failure, as `/failed/groups` names it."""
    worker: WorkerName = ""
    """A worker id, pool or server id."""
    since: When = ""
    """Unix seconds, or `-15m` `-24h` `-7d` before now; tested against the time of the list."""
    until: When = ""
    """As `since`. Page 1's `server_time` keeps later pages stable."""


class QueueJobs(DeadJobs, kw_only=True, forbid_unknown_fields=True):
    """The same over all states."""

    status: States = ("ready",)
    """States."""


class DeferredJobs(DeadJobs, kw_only=True, forbid_unknown_fields=True):
    """The same over all queues, in one state."""

    queue: Names = ()
    """Queues."""


class Jobs(DeferredJobs, kw_only=True, forbid_unknown_fields=True):
    """The same over all queues and states."""

    status: States = ()
    """States; all without it."""


class Roots(Jobs, kw_only=True, forbid_unknown_fields=True):
    """As jobs; with the descendants by state if asked for."""

    rollup: bool = False
    """Whether to count the descendants of each by state; at most 200 are looked at."""


class Queues(Collection, kw_only=True, forbid_unknown_fields=True):
    """Which queues, and how they are sorted."""

    q: Name = ""
    """Part of the name."""
    paused: bool | None = None
    """Only those that are paused, or are not."""
    sort: Literal["name", "ready", "processing", "dead_letter", "oldest_age_ms"] | None = None
    """By name, ascending, without it."""
    order: Order = "desc"
    """`desc`: newest or largest first."""


class Workers(Collection, kw_only=True, forbid_unknown_fields=True):
    """Which pools."""

    pool: Name = ""
    """Name of the pool."""
    server_id: WorkerName = ""
    """Of this server."""
    status: Literal["active", "stopping", "stale"] | None = None
    """In this state."""


class Cron(Collection, kw_only=True, forbid_unknown_fields=True):
    """Which entries."""

    enabled: bool | None = None
    """Only those that are enabled, or are not."""
    q: IdPart = ""
    """Part of the id or the name."""
    outcomes: bool = False
    """Whether to tell the states of the newest 20 runs."""


class GraphSize(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How much of a graph."""

    depth: Annotated[int, Meta(ge=1, le=50)] = 10
    """Steps from the job that is asked for, both ways."""
    max_nodes: Annotated[int, Meta(ge=1, le=500)] = 50
    """Most nodes that are shown."""


class Days(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which days."""

    queue: Name | None = None
    """One queue; all without it."""
    days: Annotated[int, Meta(ge=1, le=90)] = 30
    """Newest days, today included."""
    sum: bool = False
    """Whether to add all queues up into one series."""
    order: Order = "desc"
    """`desc`: newest or largest first."""


class Minutes(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which minutes."""

    queue: Name | None = None
    """One queue; all without it."""
    minutes: Annotated[int, Meta(ge=1, le=180)] = 60
    """Newest minutes, the running one included."""
    sum: bool = False
    """Whether to add all queues up into one series."""
    order: Order = "desc"
    """`desc`: newest or largest first."""


class Groups(Paged, kw_only=True, forbid_unknown_fields=True):
    """Which failed jobs, and how their groups are sorted."""

    queue: Names = ()
    """Queues."""
    type: Names = ()
    """Job types; one that ends in `*` is a prefix."""
    error: ErrorPart = ""
    """Part of the error text, in any case."""
    status: Failures = ()
    """States; dead letters without it."""
    since: When = ""
    """Unix seconds, or `-15m` `-24h` `-7d` before now; tested against the time of the list."""
    until: When = ""
    """As `since`. Page 1's `server_time` keeps later pages stable."""
    sort: Literal["count", "last", "first", "recent_5m"] = "count"
    """Which groups come first."""
    order: Order = "desc"
    """`desc`: newest or largest first."""


class AuditEntries(Paged, kw_only=True, forbid_unknown_fields=True):
    """Which entries of the audit."""

    actor: IdPart = ""
    """Exactly this one."""
    action: Name = ""
    """Exactly this one; `job.*` is a prefix."""
    target: Annotated[str, Meta(min_length=1, max_length=1024)] = ""
    """Exactly this one."""
    ok: bool | None = None
    """Only what was done, or only what was refused."""
    since: When = ""
    """Unix seconds, or `-15m` `-24h` `-7d` before now; tested against the time of the list."""
    until: When = ""
    """As `since`. Page 1's `server_time` keeps later pages stable."""


def times(backend: Backend, params: Any) -> tuple[float | None, float | None]:
    """Return ``since`` and ``until`` of parameters. Raises `InvalidQuery` naming the wrong one."""
    if not (params.since or params.until):
        return None, None
    now = backend.now()
    found: list[float | None] = []
    for name in ("since", "until"):
        text = getattr(params, name)
        try:
            found.append(moment(text, now) if text else None)
        except InvalidQuery as exc:
            raise InvalidQuery(f"parameter {name}: {exc}") from None
    return found[0], found[1]


def job_filter(
    backend: Backend, params: DeadJobs | Groups, *, queue: Sequence[str] = (), status: Sequence[str] = ()
) -> JobFilter:
    """Return the filter of a list; what the path fixes beats the parameters. Raises `InvalidQuery`."""
    since, until = times(backend, params)
    return JobFilter(
        status=tuple(status or getattr(params, "status", ())),
        queue=tuple(queue or getattr(params, "queue", ())),
        type=params.type,
        q=getattr(params, "q", ""),
        error=params.error,
        fingerprint=getattr(params, "fingerprint", ""),
        worker=getattr(params, "worker", ""),
        since=since,
        until=until,
    )


def window(params: DeadJobs | Groups) -> Window:
    """Return page and sort of a list."""
    return Window(params.page, params.limit, params.sort, params.order)


def listed(page: Page[T], data: Sequence[object] | None = None) -> Data:
    """Answer with a page."""
    meta: dict[str, object] = {
        "page": page.page,
        "limit": page.limit,
        "total": page.total,
        "truncated": page.truncated,
    }
    if page.scanned is not UNSET:
        meta["scanned"] = page.scanned
    return Data(page.items if data is None else data, page.server_time, meta)


def collection(
    params: Collection,
    items: Sequence[object],
    server_time: float,
    *,
    truncated: bool,
    total: int | None = None,
) -> Data:
    """Answer with everything, or with one page of it."""
    count = len(items) if total is None else total
    if params.page is None and params.limit is None:
        meta = {"page": 1, "limit": MAX_LISTED, "total": count, "truncated": truncated}
        return Data(items, server_time, meta)
    page, limit = params.page or 1, params.limit or 20
    if page * limit > 1_000_000:
        raise InvalidQuery("page × limit can be at most 1,000,000")
    meta = {"page": page, "limit": limit, "total": count, "truncated": truncated}
    return Data(items[(page - 1) * limit : page * limit], server_time, meta)
