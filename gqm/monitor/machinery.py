"""The reading calls about what runs the jobs: servers, pools, cron, totals, process; and the probes."""

from __future__ import annotations

import gc
import os
import platform
import threading
import time
from typing import TYPE_CHECKING, Literal

import msgspec

from gqm.errors import CronEntryNotFound, GQMError
from gqm.monitor.answers import Data, Plain
from gqm.monitor.cronwords import in_words
from gqm.monitor.metrics import rss_bytes
from gqm.monitor.problems import Problem
from gqm.monitor.queries import collection, listed
from gqm.store.commands.redisinfo import RedisInfo, redis_info
from gqm.store.read.cron import CronView, get_cron, list_cron, list_runs
from gqm.store.read.servers import Fleet, read_fleet

if TYPE_CHECKING:
    from gqm.monitor.context import Context
    from gqm.monitor.queries import Collection, Cron, Paged, Workers
    from gqm.monitor.request import Request


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """The process that answers, and its Redis."""

    version: str
    python_version: str
    num_cpu: int
    threads: int
    tasks: int
    """On the event loop of the engine."""
    rss_bytes: int
    """Memory in RAM."""
    cpu_percent: float
    """Of one CPU, since the call before or the start."""
    gc_collections: int
    uptime_ms: int
    redis: RedisInfo


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of what `health` says when all is well."""

    status: Literal["ok"] = "ok"


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of what `ready` says when jobs are run, or could be."""

    status: Literal["ready"] = "ready"
    engine: str
    """``running``, or ``none`` where no jobs are run."""


class CpuShare:
    """Tells how much CPU the process took since it was last asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = (time.monotonic(), time.process_time())
        self._share = 0.0

    def percent(self) -> float:
        """Return the share of one CPU, over at least a second."""
        now, used = time.monotonic(), time.process_time()
        with self._lock:
            begun, before = self._last
            if now - begun >= 1.0:
                self._share = round(100 * (used - before) / (now - begun), 1)
                self._last = (now, used)
            return self._share


def _fleet(context: Context) -> Fleet:
    return context.backend.follow(read_fleet(context.backend.keys))


def uptime_ms(context: Context) -> int:
    """Return how long the API has been there."""
    return int((time.monotonic() - context.began) * 1000)


def stats(context: Context, request: Request) -> Data:
    """Show the sums over everything."""
    found, now = context.observed.totals(uptime_ms(context))
    return Data(found, now)


def runtime(context: Context, request: Request) -> Data:
    """Show the process that answers."""
    from gqm import __version__

    begun = time.perf_counter()
    now = context.backend.now()
    latency_ms = round((time.perf_counter() - begun) * 1000)
    info = context.backend.run(redis_info(embedded=context.backend.link.embedded))
    found = Runtime(
        version=__version__,
        python_version=platform.python_version(),
        num_cpu=os.cpu_count() or 1,
        threads=threading.active_count(),
        tasks=context.host.tasks(),
        rss_bytes=rss_bytes(),
        cpu_percent=context.cpu.percent(),
        gc_collections=sum(item["collections"] for item in gc.get_stats()),
        uptime_ms=uptime_ms(context),
        redis=msgspec.structs.replace(info, latency_ms=latency_ms),
    )
    return Data(found, now)


def servers(context: Context, request: Request) -> Data:
    """List the servers."""
    params: Collection = request.params
    fleet = _fleet(context)
    return collection(params, fleet.servers, fleet.server_time, truncated=fleet.truncated)


def server(context: Context, request: Request) -> Data:
    """Show one server."""
    fleet = _fleet(context)
    found = fleet.server(request.name)
    if found is None:
        raise Problem("NOT_FOUND", f"there is no server {request.name!r}")
    return Data(found, fleet.server_time)


def workers(context: Context, request: Request) -> Data:
    """List the pools of all servers."""
    params: Workers = request.params
    fleet = _fleet(context)
    found = [
        worker
        for worker in fleet.workers
        if params.pool in ("", worker.pool)
        and params.server_id in ("", worker.server_id)
        and params.status in (None, worker.status)
    ]
    return collection(params, found, fleet.server_time, truncated=fleet.truncated)


def worker(context: Context, request: Request) -> Data:
    """Show one pool with its running jobs."""
    fleet = _fleet(context)
    found = fleet.worker(request.name)
    if found is None:
        raise Problem("NOT_FOUND", f"there is no worker {request.name!r}")
    return Data(found, fleet.server_time)


def cron(context: Context, request: Request) -> Data:
    """List the cron entries."""
    params: Cron = request.params
    found = context.backend.follow(list_cron(context.backend.keys, outcomes=params.outcomes))
    entries = [
        _described(entry)
        for entry in found.entries
        if params.enabled in (None, entry.enabled) and (params.q in entry.id or params.q in entry.name)
    ]
    return collection(params, entries, found.server_time, truncated=found.truncated)


def cron_entry(context: Context, request: Request) -> Data:
    """Show one cron entry."""
    found = context.backend.follow(get_cron(context.backend.keys, request.name))
    if found is None:
        raise CronEntryNotFound(f"there is no cron entry {request.name!r}")
    return Data(_described(found))


def _described(entry: CronView) -> CronView:
    return msgspec.structs.replace(entry, description=in_words(entry.cron_expr))


def cron_history(context: Context, request: Request) -> Data:
    """List the runs of a cron entry."""
    params: Paged = request.params
    page = context.backend.follow(list_runs(context.backend.keys, request.name, params.page, params.limit))
    if page is None:
        raise CronEntryNotFound(f"there is no cron entry {request.name!r}")
    return listed(page)


# ------------------------------------------------------------------------------------------ probes


def health(context: Context, request: Request) -> Plain:
    """Say whether Redis answers, and nothing else."""
    try:
        context.backend.now()
    except GQMError:
        body = {"status": "degraded", "error": "redis unavailable", "code": "REDIS_UNAVAILABLE"}
        return _unready(body)
    return Plain(msgspec.json.encode(Health()))


def ready(context: Context, request: Request) -> Plain:
    """Say whether jobs are run, or could be."""
    state = context.host.state()
    if state in ("starting", "stopping", "stalled"):
        body = {"status": "not ready", "engine": state, "error": f"engine {state}", "code": "NOT_READY"}
        return Plain(msgspec.json.encode(body), status=503, headers=(("Retry-After", "1"),))
    try:
        context.backend.now()
    except GQMError:
        body = {
            "status": "not ready",
            "engine": state,
            "error": "redis unavailable",
            "code": "REDIS_UNAVAILABLE",
        }
        return _unready(body)
    return Plain(msgspec.json.encode(Readiness(engine=state)))


def _unready(body: dict[str, str]) -> Plain:
    return Plain(msgspec.json.encode(body), status=503, headers=(("Retry-After", "2"),))
