"""The table of routes: everything that can be asked for, with who may ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gqm.monitor import login, machinery, metrics, openapi, queries, reads, sse, static
from gqm.monitor.actions import actions
from gqm.monitor.table import V1, Access, Row
from gqm.store.read.audit import AuditView
from gqm.store.read.cron import CronRun, CronView
from gqm.store.read.failed import FailedGroup
from gqm.store.read.graph import Graph
from gqm.store.read.queues import QueueView, Totals
from gqm.store.read.servers import ServerView, WorkerView
from gqm.store.read.stats import DaySeries, MinuteSeries
from gqm.store.read.views import Attempt, JobView

if TYPE_CHECKING:
    from gqm.monitor.settings import Settings


def rows(settings: Settings) -> tuple[Row, ...]:
    """Return all rows of an API with these settings."""
    return (*_reads(), *actions(), *_auth(), *_open(settings))


def _reads() -> Iterator[Row]:
    yield Row(
        "GET",
        f"{V1}/queues",
        "viewer",
        reads.queues,
        "List the queues",
        query=queries.Queues,
        answer=list[QueueView],
        lists=True,
    )
    yield Row(
        "GET", f"{V1}/queues/{{name}}", "viewer", reads.queue, "Show a queue", names="queue", answer=QueueView
    )
    yield Row(
        "GET",
        f"{V1}/queues/{{name}}/jobs",
        "viewer",
        reads.queue_jobs,
        "List the jobs of a queue",
        names="queue",
        query=queries.QueueJobs,
        answer=list[JobView],
        lists=True,
    )
    yield Row(
        "GET",
        f"{V1}/queues/{{name}}/dead-letter",
        "viewer",
        reads.dead_jobs,
        "List the dead letters of a queue",
        names="queue",
        query=queries.DeadJobs,
        answer=list[JobView],
        lists=True,
    )
    yield Row(
        "GET",
        f"{V1}/jobs",
        "viewer",
        reads.all_jobs,
        "List jobs",
        query=queries.Jobs,
        answer=list[JobView],
        lists=True,
    )
    yield Row("GET", f"{V1}/jobs/{{id}}", "viewer", reads.job, "Show a job", names="job", answer=JobView)
    yield Row(
        "GET",
        f"{V1}/jobs/{{id}}/attempts",
        "viewer",
        reads.attempts,
        "List the failed runs of a job",
        names="job",
        answer=list[Attempt],
        lists=True,
    )
    yield Row(
        "GET",
        f"{V1}/failed/groups",
        "viewer",
        reads.failed_groups,
        "List the kinds of failures",
        query=queries.Groups,
        answer=list[FailedGroup],
        lists=True,
    )
    yield from _graphs()
    yield from _machinery()
    yield Row(
        "GET",
        f"{V1}/audit",
        "admin",
        reads.audit,
        "List what was done, by whom",
        query=queries.AuditEntries,
        answer=list[AuditView],
        lists=True,
    )
    yield Row(
        "GET",
        f"{V1}/events",
        "viewer",
        sse.events,
        "A stream of events",
        query=sse.EventsQuery,
        media_type="text/event-stream",
    )


def _graphs() -> Iterator[Row]:
    yield Row(
        "GET",
        f"{V1}/dag/deferred",
        "viewer",
        reads.deferred_jobs,
        "List the jobs that wait for others",
        query=queries.DeferredJobs,
        answer=list[JobView],
        lists=True,
    )
    yield Row(
        "GET",
        f"{V1}/dag/roots",
        "viewer",
        reads.root_jobs,
        "List the jobs that graphs begin with",
        query=queries.Roots,
        answer=list[JobView],
        lists=True,
    )
    for path in ("dag/{id}/graph", "dag/graph/{id}"):
        yield Row(
            "GET",
            f"{V1}/{path}",
            "viewer",
            reads.job_graph,
            "Show the jobs around a job",
            names="job",
            query=queries.GraphSize,
            answer=Graph,
        )


def _machinery() -> Iterator[Row]:
    yield Row(
        "GET",
        f"{V1}/workers",
        "viewer",
        machinery.workers,
        "List the pools",
        query=queries.Workers,
        answer=list[WorkerView],
        lists=True,
    )
    yield Row(
        "GET",
        f"{V1}/workers/{{id}}",
        "viewer",
        machinery.worker,
        "Show a pool with its running jobs",
        names="worker",
        answer=WorkerView,
    )
    yield Row(
        "GET",
        f"{V1}/servers",
        "viewer",
        machinery.servers,
        "List the servers",
        query=queries.Collection,
        answer=list[ServerView],
        lists=True,
    )
    yield Row(
        "GET",
        f"{V1}/servers/{{id}}",
        "viewer",
        machinery.server,
        "Show a server",
        names="server",
        answer=ServerView,
    )
    yield from _series()


def _series() -> Iterator[Row]:
    yield Row("GET", f"{V1}/stats", "viewer", machinery.stats, "Show the sums over everything", answer=Totals)
    yield Row(
        "GET",
        f"{V1}/stats/runtime",
        "viewer",
        machinery.runtime,
        "Show the process that answers",
        answer=machinery.Runtime,
    )
    yield Row(
        "GET",
        f"{V1}/stats/daily",
        "viewer",
        reads.days,
        "Show counters by day",
        query=queries.Days,
        answer=list[DaySeries],
        refusals=(404,),
    )
    yield Row(
        "GET",
        f"{V1}/stats/minutes",
        "viewer",
        reads.minutes,
        "Show counters by minute",
        query=queries.Minutes,
        answer=list[MinuteSeries],
        refusals=(404,),
    )
    yield from _cron()


def _cron() -> Iterator[Row]:
    yield Row(
        "GET",
        f"{V1}/cron",
        "viewer",
        machinery.cron,
        "List the cron entries",
        query=queries.Cron,
        answer=list[CronView],
        lists=True,
    )
    yield Row(
        "GET",
        f"{V1}/cron/{{id}}",
        "viewer",
        machinery.cron_entry,
        "Show a cron entry",
        names="cron",
        answer=CronView,
    )
    yield Row(
        "GET",
        f"{V1}/cron/{{id}}/history",
        "viewer",
        machinery.cron_history,
        "List the runs of a cron entry",
        names="cron",
        query=queries.Paged,
        answer=list[CronRun],
        lists=True,
    )


def _auth() -> Iterator[Row]:
    yield Row(
        "POST",
        "/auth/login",
        "none",
        login.log_in,
        "Sign in",
        body=login.LoginBody,
        action="auth.login",
        answer=login.LoggedIn,
        refusals=(401, 403),
    )
    yield Row(
        "POST",
        "/auth/logout",
        "viewer",
        login.log_out,
        "Sign out",
        action="auth.logout",
        session_only=True,
        answer=login.LoggedOut,
    )
    yield Row(
        "POST",
        "/auth/logout-all",
        "viewer",
        login.log_out_all,
        "End all sessions of a user",
        body=login.UserBody,
        body_optional=True,
        action="auth.logout_all",
        session_only=True,
        answer=login.Ended,
        refusals=(404,),
    )
    yield Row("GET", "/auth/me", "viewer", login.me, "Show the caller", answer=login.Me)
    yield Row(
        "GET",
        "/auth/sessions",
        "viewer",
        login.sessions,
        "List sessions",
        query=login.SessionsQuery,
        session_only=True,
        answer=list[login.SessionView],
        refusals=(404,),
    )
    yield Row(
        "GET",
        "/auth/keys",
        "admin",
        login.keys,
        "List API keys and their last use",
        answer=list[login.KeyView],
    )


def _open(settings: Settings) -> Iterator[Row]:
    for path, handler, words, answer in (
        ("/health", machinery.health, "Whether Redis answers", machinery.Health),
        ("/ready", machinery.ready, "Whether jobs are run", machinery.Readiness),
        ("/openapi.json", openapi.description, "This description", dict[str, Any]),
    ):
        yield Row("GET", path, "none", handler, words, answer=answer, enveloped=False)
    access: Access = "none" if settings.metrics_public else "viewer"
    words = "Everything as Prometheus text"
    yield Row("GET", "/metrics", access, metrics.metrics, words, media_type="text/plain")
    if settings.dashboard:
        yield from _dashboard(settings.path_prefix)


def _dashboard(prefix: str) -> Iterator[Row]:
    for path in ("/", prefix):
        words = "To the dashboard"
        yield Row("GET", path, "none", static.to_dashboard, words, any_query=True, media_type="")
    words = "The files of the dashboard"
    yield Row("GET", f"{prefix}/*", "none", static.file, words, any_query=True, media_type="")
