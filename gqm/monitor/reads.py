"""The reading calls about queues, jobs, graphs and failures; thin over the plans that read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gqm.errors import JobNotFound, QueueNotFound
from gqm.monitor.answers import Data
from gqm.monitor.queries import collection, job_filter, listed, times, window
from gqm.monitor.redaction import all_redacted, redacted
from gqm.store.commands.read import is_queue
from gqm.store.read import failed, graph, jobs, roots, stats
from gqm.store.read.audit import AuditFilter, list_audit

if TYPE_CHECKING:
    from gqm.monitor.context import Context
    from gqm.monitor.queries import (
        AuditEntries,
        Days,
        DeadJobs,
        DeferredJobs,
        GraphSize,
        Groups,
        Jobs,
        Minutes,
        QueueJobs,
        Queues,
        Roots,
    )
    from gqm.monitor.request import Request
    from gqm.store.read.match import JobFilter
    from gqm.store.read.queues import QueueView


def queues(context: Context, request: Request) -> Data:
    """List the queues."""
    params: Queues = request.params
    found = context.observed.queues(params.q)
    items = [queue for queue in found.queues if params.paused in (None, queue.paused)]
    name = params.sort
    if name is not None:
        items.sort(key=lambda queue: _sort_value(queue, name), reverse=params.order == "desc")
    total = found.total if params.paused is None else len(items)
    return collection(params, items, found.server_time, truncated=found.truncated, total=total)


def _sort_value(queue: QueueView, name: str) -> tuple[bool, object, str]:
    value = getattr(queue, name)
    return (value is not None, 0 if value is None else value, queue.name)


def queue(context: Context, request: Request) -> Data:
    """Show one queue."""
    return Data(context.observed.queue(request.name))


def _check_queue(context: Context, name: str) -> None:
    if not context.backend.run(is_queue(context.backend.keys, name)):
        raise QueueNotFound(f"there is no queue {name!r}")


def _jobs(context: Context, request: Request, wanted: JobFilter, params: DeadJobs) -> Data:
    page = context.backend.follow(jobs.list_jobs(context.backend.keys, wanted, window(params)))
    return listed(page, all_redacted(context, request.who.role, page.items))


def queue_jobs(context: Context, request: Request) -> Data:
    """List the jobs of a queue."""
    params: QueueJobs = request.params
    _check_queue(context, request.name)
    wanted = job_filter(context.backend, params, queue=(request.name,))
    return _jobs(context, request, wanted, params)


def dead_jobs(context: Context, request: Request) -> Data:
    """List the dead letters of a queue."""
    params: DeadJobs = request.params
    _check_queue(context, request.name)
    wanted = job_filter(context.backend, params, queue=(request.name,), status=("dead_letter",))
    return _jobs(context, request, wanted, params)


def all_jobs(context: Context, request: Request) -> Data:
    """List the jobs of all queues."""
    params: Jobs = request.params
    return _jobs(context, request, job_filter(context.backend, params), params)


def deferred_jobs(context: Context, request: Request) -> Data:
    """List the jobs that wait for others."""
    params: DeferredJobs = request.params
    return _jobs(context, request, job_filter(context.backend, params, status=("deferred",)), params)


def root_jobs(context: Context, request: Request) -> Data:
    """List the jobs that graphs begin with."""
    params: Roots = request.params
    wanted = job_filter(context.backend, params)
    plan = roots.list_roots(context.backend.keys, wanted, window(params), rollup=params.rollup)
    page = context.backend.follow(plan)
    return listed(page, all_redacted(context, request.who.role, page.items))


def job(context: Context, request: Request) -> Data:
    """Show one job."""
    return job_data(context, request, request.name)


def job_data(context: Context, request: Request, job_id: str) -> Data:
    """Answer with everything about a job. Raises `JobNotFound`."""
    found = context.backend.run(jobs.get_job(context.backend.keys, job_id))
    if found is None:
        raise JobNotFound(f"there is no job {job_id!r}: it never existed, expired or was deleted")
    return Data(redacted(context, request.who.role, found.job), found.server_time)


def attempts(context: Context, request: Request) -> Data:
    """List the runs of a job that ended without success."""
    found = context.backend.run(jobs.get_job(context.backend.keys, request.name))
    if found is None:
        raise JobNotFound(f"there is no job {request.name!r}: it never existed, expired or was deleted")
    ended = context.backend.run(jobs.list_attempts(context.backend.keys, request.name))
    meta = {"page": 1, "limit": 20, "total": len(ended), "truncated": False}
    return Data(all_redacted(context, request.who.role, ended), found.server_time, meta)


def job_graph(context: Context, request: Request) -> Data:
    """Show the jobs around a job."""
    params: GraphSize = request.params
    plan = graph.get_graph(context.backend.keys, request.name, depth=params.depth, max_nodes=params.max_nodes)
    found = context.backend.follow(plan)
    nodes = all_redacted(context, request.who.role, found.nodes)
    return Data(msgspec.structs.replace(found, nodes=nodes))


def failed_groups(context: Context, request: Request) -> Data:
    """List the kinds of failures."""
    params: Groups = request.params
    wanted = job_filter(context.backend, params)
    page = context.backend.follow(failed.list_failed_groups(context.backend.keys, wanted, window(params)))
    return listed(page, all_redacted(context, request.who.role, page.items))


def days(context: Context, request: Request) -> Data:
    """Show the counters of the last days."""
    params: Days = request.params
    found = context.backend.follow(
        stats.list_days(
            context.backend.keys,
            queue=params.queue,
            days=params.days,
            fold=params.sum,
            order=params.order,
        )
    )
    return Data(found.series, found.server_time)


def minutes(context: Context, request: Request) -> Data:
    """Show the counters of the last minutes."""
    params: Minutes = request.params
    found = context.backend.follow(
        stats.list_minutes(
            context.backend.keys,
            queue=params.queue,
            minutes=params.minutes,
            fold=params.sum,
            order=params.order,
        )
    )
    return Data(found.series, found.server_time)


def audit(context: Context, request: Request) -> Data:
    """List what was done, by whom."""
    params: AuditEntries = request.params
    since, until = times(context.backend, params)
    wanted = AuditFilter(
        actor=params.actor,
        action=params.action,
        target=params.target,
        ok=params.ok,
        since=since,
        until=until,
    )
    return listed(context.backend.follow(list_audit(context.backend.keys, wanted, params.page, params.limit)))
