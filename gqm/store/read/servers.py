"""Servers and their pools as people see them: who lives, who is stale, and what runs where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from gqm.store.commands.overview import MAX_CLAIM_SERVERS, read_claims
from gqm.store.commands.read import (
    MAX_HASHES,
    Range,
    Values,
    lease_ends,
    read_hashes,
    read_jobs,
    read_ranges,
    scan_set,
    server_time,
)
from gqm.store.plan import Plan, ask
from gqm.store.read.record import text, to_int, whole
from gqm.store.read.views import View

if TYPE_CHECKING:
    from gqm.keys import Keys

MAX_LISTED = 1000
"""Most servers, and most pools, of a list."""
MAX_CLAIMS = 200
"""Most running jobs of one server, or of one queue of other programs, that are looked at."""
PEER_SERVER_S = 20.0
"""How long a server of another program may be silent; ours have leases."""
PEER_POOL_S = 10.0

SERVER_FIELDS = (
    *("id", "hostname", "pid", "go_version", "version", "runtime", "started_at", "last_heartbeat", "pools"),
    *("num_pools", "concurrency_total", "status", "types", "cron_ids", "scheduler", "recovered"),
)
WORKER_FIELDS = (
    *("id", "pool", "server_id", "queues", "status", "last_heartbeat", "concurrency", "started_at"),
    *("active_jobs", "ahead", "abandoned", "skipped", "isolation"),
)
_CLAIM_FIELDS = ("status", "queue", "worker_id", "type", "started_at")


class ActiveJob(View, frozen=True, kw_only=True):
    """A job that is running."""

    id: str
    type: str
    queue: str
    started_at: int
    processing_deadline: float
    """When the run is over at the latest."""
    elapsed_ms: int


class Longest(View, frozen=True, kw_only=True):
    """The job of a pool that has been running longest."""

    id: str
    type: str
    elapsed_ms: int
    over_deadline: bool
    """It should have ended already."""


class WorkerView(View, frozen=True, kw_only=True):
    """A pool of one server."""

    id: str
    """`<pool>@<server id>`; of Go workers the pool only."""
    pool: str
    server_id: str
    status: str
    """``active``, ``stopping``, or ``stale``: its server's lease has ended."""
    queues: Sequence[str]
    """Queues that it reads."""
    concurrency: int
    """Slots."""
    active_jobs: int
    """Running jobs."""
    longest: Longest | UnsetType = UNSET
    """The job that has been running longest."""
    isolation: str | UnsetType = UNSET
    """`thread` or `process`."""
    ahead: int | UnsetType = UNSET
    """Claimed jobs that have not started."""
    abandoned: int | UnsetType = UNSET
    """Handlers that never came back, since the start."""
    started_at: int
    last_heartbeat: int
    jobs: Sequence[ActiveJob] | UnsetType = UNSET
    """Where one pool is asked for."""


class ServerView(View, frozen=True, kw_only=True):
    """A server process."""

    id: str
    """Another one for each start of a process."""
    hostname: str
    version: str
    runtime: str
    """Name and version of the language."""
    pid: int
    num_pools: int
    concurrency_total: int
    busy: int
    """Running jobs of its pools."""
    pools: Sequence[str]
    types: Sequence[str]
    """Job types that it has handlers for."""
    scheduler: bool
    """Whether it promotes due jobs and fires cron entries."""
    status: str
    """`active`, `stopping`, or `stale`: its lease has ended."""
    started_at: int
    last_heartbeat: int


class Fleet(NamedTuple):
    """All servers and pools whose records are there."""

    servers: list[ServerView]
    workers: list[WorkerView]
    jobs: Mapping[str, list[ActiveJob]]
    """Running jobs by worker id, the longest running first."""
    truncated: bool
    recovered: int
    """Jobs of dead servers that the live ones have recovered since their starts."""
    skipped: Mapping[str, int]
    """Ids without a ready job that the live pools have met, by pool name."""
    server_time: float

    def pools_of(self, queue: str) -> list[str]:
        """Return the ids of the live pools that read a queue."""
        return [w.id for w in self.workers if w.status != "stale" and queue in w.queues]

    def worker(self, worker_id: str) -> WorkerView | None:
        """Return a pool with its running jobs; ``None`` if there is none of that id."""
        for worker in self.workers:
            if worker.id == worker_id:
                return msgspec.structs.replace(worker, jobs=self.jobs.get(worker_id, []))
        return None

    def server(self, server_id: str) -> ServerView | None:
        """Return a server; ``None`` if there is none of that id."""
        return next((server for server in self.servers if server.id == server_id), None)


def read_fleet(keys: Keys) -> Plan[Fleet]:
    """Read all servers and pools, by id; those without a record are gone and are not listed."""
    now_s = yield from ask(server_time(keys))
    leases = yield from ask(lease_ends(keys))
    servers, servers_cut = yield from _members(keys.servers)
    workers, workers_cut = yield from _members(keys.workers)
    server_rows = yield from _records([keys.server(name) for name in servers], SERVER_FIELDS, keys)
    worker_rows = yield from _records([keys.worker(name) for name in workers], WORKER_FIELDS, keys)
    crew = [_Member(name, row) for name, row in zip(workers, worker_rows, strict=True) if row]
    jobs = yield from _running(keys, servers, crew, now_s)
    views = [_worker(member, leases, now_s, jobs.get(member.id, [])) for member in crew]
    processes = [
        (_server(_Member(name, row), leases, now_s, views), row)
        for name, row in zip(servers, server_rows, strict=True)
        if row
    ]
    alive = [row for view, row in processes if view.status != "stale"]
    return Fleet(
        [view for view, _ in processes],
        views,
        jobs,
        servers_cut or workers_cut,
        sum(whole(row, b"recovered") or 0 for row in alive),
        _skipped(crew, views),
        now_s,
    )


class _Member(NamedTuple):
    """A server or pool with the fields of its record."""

    id: str
    fields: Mapping[bytes, bytes]

    def text(self, name: str) -> str:
        return text(self.fields, name.encode())

    def number(self, name: str) -> int:
        return whole(self.fields, name.encode()) or 0

    def names(self, name: str) -> list[str]:
        return [part for part in self.text(name).split(",") if part]


def _members(key: str) -> Plan[tuple[list[str], bool]]:
    found: set[str] = set()
    cursor = "0"
    while True:
        step = yield from ask(scan_set(key, cursor, MAX_LISTED))
        found.update(step.names)
        cursor = step.cursor
        if cursor == "0" or len(found) > MAX_LISTED:
            return sorted(found)[:MAX_LISTED], cursor != "0" or len(found) > MAX_LISTED


def _records(names: Sequence[str], fields: Sequence[str], keys: Keys) -> Plan[list[dict[bytes, bytes]]]:
    """Return the records behind the names; empty for those that are gone."""
    rows: list[Values] = []
    for start in range(0, len(names), MAX_HASHES):
        rows += yield from ask(read_hashes(keys, names[start : start + MAX_HASHES], fields))
    words = [name.encode() for name in fields]
    return [{w: v for w, v in zip(words, row, strict=True) if v is not None} for row in rows]


def _worker(
    member: _Member, leases: Mapping[str, float], now_s: float, jobs: Sequence[ActiveJob]
) -> WorkerView:
    pool, at, server = member.id.rpartition("@")
    beat_s = member.number("last_heartbeat") // 1_000_000_000
    own = bool(at)
    alive = leases.get(server, 0.0) >= now_s if own else now_s - beat_s <= PEER_POOL_S
    first = jobs[0] if jobs else None
    return WorkerView(
        id=member.id,
        pool=pool if own else member.text("pool") or member.id,
        server_id=server if own else member.text("server_id"),
        status=_status(member, alive),
        queues=member.names("queues"),
        concurrency=member.number("concurrency"),
        active_jobs=member.number("active_jobs") if own else len(jobs),
        longest=UNSET if first is None else _longest(first, now_s),
        isolation=member.text("isolation") or UNSET,
        ahead=member.number("ahead") if own else UNSET,
        abandoned=member.number("abandoned") if own else UNSET,
        started_at=member.number("started_at"),
        last_heartbeat=beat_s,
    )


def _longest(job: ActiveJob, now_s: float) -> Longest:
    over = now_s > job.processing_deadline
    return Longest(id=job.id, type=job.type, elapsed_ms=job.elapsed_ms, over_deadline=over)


def _server(
    member: _Member, leases: Mapping[str, float], now_s: float, workers: Sequence[WorkerView]
) -> ServerView:
    beat_s = member.number("last_heartbeat")
    own = bool(member.text("runtime"))
    alive = leases.get(member.id, 0.0) >= now_s if own else now_s - beat_s <= PEER_SERVER_S
    return ServerView(
        id=member.id,
        hostname=member.text("hostname"),
        version=member.text("version"),
        runtime=member.text("go_version"),
        pid=member.number("pid"),
        num_pools=member.number("num_pools"),
        concurrency_total=member.number("concurrency_total"),
        busy=sum(worker.active_jobs for worker in workers if worker.server_id == member.id),
        pools=member.names("pools"),
        types=_json_texts(member.fields.get(b"types")),
        scheduler=member.text("scheduler") in ("1", "true"),
        status=_status(member, alive),
        started_at=member.number("started_at"),
        last_heartbeat=beat_s,
    )


def _status(member: _Member, alive: bool) -> str:
    if not alive:
        return "stale"
    return "stopping" if member.text("status") == "stopping" else "active"


def _json_texts(raw: bytes | None) -> list[str]:
    try:
        return msgspec.json.decode(raw or b"[]", type=list[str])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []


def _skipped(crew: Sequence[_Member], views: Sequence[WorkerView]) -> dict[str, int]:
    skipped: dict[str, int] = {}
    for member, view in zip(crew, views, strict=True):
        if view.status != "stale":
            skipped[view.pool] = skipped.get(view.pool, 0) + member.number("skipped")
    return skipped


# ------------------------------------------------------------------------------------- running jobs


def _running(
    keys: Keys, servers: Sequence[str], crew: Sequence[_Member], now_s: float
) -> Plan[dict[str, list[ActiveJob]]]:
    """Return the running jobs by worker id: what our servers have claimed, and what other programs run."""
    ids: list[str] = []
    for start in range(0, len(servers), MAX_CLAIM_SERVERS):
        part = servers[start : start + MAX_CLAIM_SERVERS]
        for claimed in (yield from ask(read_claims(keys, part, MAX_CLAIMS))):
            ids += claimed
    queues = sorted({queue for member in crew if "@" not in member.id for queue in member.names("queues")})
    for start in range(0, len(queues), MAX_CLAIM_SERVERS):
        ranges = [
            Range(keys.processing(queue), "zset", "asc", 0, MAX_CLAIMS)
            for queue in queues[start : start + MAX_CLAIM_SERVERS]
        ]
        for found in (yield from ask(read_ranges(keys, ranges))):
            ids += [job_id for job_id, _ in found.ids]
    ids = list(dict.fromkeys(ids))
    jobs: dict[str, list[ActiveJob]] = {}
    for start in range(0, len(ids), MAX_HASHES):
        part = ids[start : start + MAX_HASHES]
        answer = yield from ask(read_jobs(keys, part, _CLAIM_FIELDS))
        for job_id, row in zip(part, answer.rows, strict=True):
            job = _active(job_id, row.values, row.score, now_s)
            if job is not None:
                jobs.setdefault(_text(row.values[2]), []).append(job)
    for running in jobs.values():
        running.sort(key=lambda job: (job.started_at, job.processing_deadline, job.id))
    return jobs


def _active(job_id: str, values: Values, deadline: float | None, now_s: float) -> ActiveJob | None:
    if not values or values[0] != b"processing" or deadline is None:
        return None
    started_at = to_int(values[4]) or 0
    return ActiveJob(
        id=job_id,
        type=_text(values[3]),
        queue=_text(values[1]) or "default",
        started_at=started_at,
        processing_deadline=deadline,
        elapsed_ms=max(0, int((now_s - started_at) * 1000)),
    )


def _text(raw: bytes | None) -> str:
    return raw.decode("utf-8", "replace") if raw else ""
