"""Every object of the API, field by field: what is documented is there with its type, and nothing else."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest

from tests.api import objects
from tests.api.objects import Seen
from tests.api.support import SIGN_IN, Api
from tests.api.world import World, world
from tests.support.wait import eventually

STATES = ("ready", "scheduled", "deferred", "processing", "retry", "completed", "dead_letter")
ENDED = ("canceled", "stopped", "failed")


@pytest.fixture(scope="module")
def full(redis_socket: str) -> Iterator[World]:
    options = {**SIGN_IN, "rate_limit": -1, "queues": [{"name": "drained", "priority": 5}]}
    with world(redis_socket, f"t-{uuid.uuid4().hex[:12]}:", **options) as found:
        yield found


def assert_documented(seen: Seen) -> None:
    assert not seen.problems, "\n".join(seen.problems)
    assert not seen.never_set, seen.never_set


@pytest.mark.fault(14)
@pytest.mark.fault(15)
@pytest.mark.fault(19)
def test_jobs(full: World) -> None:
    seen, api = Seen(), full.api
    eventually(lambda: "last_heartbeat" in api.get("/api/v1/jobs/processing").data, 15)
    for status in (*STATES, *ENDED):
        found = api.get(f"/api/v1/jobs?status={status}").data
        assert {job["status"] for job in found} == {status}
        seen.check("job in a list", objects.LISTED_JOB, found)
    for job in api.get("/api/v1/jobs?limit=100").data:
        seen.check("job", objects.JOB_DETAIL, api.get(f"/api/v1/jobs/{job['id']}").data)
        seen.check("attempt", objects.ATTEMPT, api.get(f"/api/v1/jobs/{job['id']}/attempts").data)
    for number in range(201):
        api.client.enqueue("mail.send", job_id=f"leaf-{number}", queue="wide", depends_on=["processing"])
    roots = api.get("/api/v1/dag/roots?rollup=true").data
    seen.check("root", objects.ROOT_JOB, roots)
    seen.check("graph", objects.GRAPH, api.get("/api/v1/dag/deferred/graph").data)
    for job_id in ("completed", "dead_letter"):
        seen.check("graph", objects.GRAPH, api.get(f"/api/v1/dag/{job_id}/graph").data)
    cut = api.get("/api/v1/dag/graph/ready?max_nodes=1").data
    assert cut["truncated"]
    seen.check("graph", objects.GRAPH, cut)
    # Roots show the fields of lists; which of them a root has depends on its state.
    of_roots = [name for name in seen.never_set if name.startswith("root.")]
    assert {name.removeprefix("root.") for name in of_roots} <= {
        name.removesuffix("?") for name in objects.LISTED_JOB if name.endswith("?")
    }
    assert not seen.problems, "\n".join(seen.problems)
    assert [name for name in seen.never_set if name not in of_roots] == []


@pytest.mark.fault(14)
def test_queues_and_sums(full: World) -> None:
    seen, api = Seen(), full.api
    minute = int(api.app.context.backend.now()) // 60
    counted = {
        "claimed": 4,
        "wait_ms": 90,
        "processed": 2,
        "failed": 1,
        "retried": 1,
        "run_ms": 120,
        "skipped": 1,
    }
    for at in (minute - 1, minute, minute + 1):
        full.raw.hset(full.keys.minute("drained", at), mapping=counted)
    for number in range(40):
        api.client.enqueue("a", queue="drained", job_id=f"d{number}")
    api.get("/api/v1/queues")
    assert api.post("/api/v1/jobs/batch/cancel", body={"job_ids": [f"d{n}" for n in range(20)]}).status == 200
    eventually(lambda: api.get("/api/v1/queues/drained").data["drain_ms"] is not None, 15)
    listed = api.get("/api/v1/queues").data
    seen.check("queue", objects.QUEUE, listed)
    for queue in listed:
        seen.check("queue in detail", objects.QUEUE_DETAIL, api.get(f"/api/v1/queues/{queue['name']}").data)
    seen.check("sums", objects.STATS, api.get("/api/v1/stats").data)
    seen.check("runtime", objects.RUNTIME, api.get("/api/v1/stats/runtime").data)
    seen.check("minutes", objects.MINUTES, api.get("/api/v1/stats/minutes?minutes=3").data)
    seen.check("minutes", objects.MINUTES, api.get("/api/v1/stats/minutes?minutes=3&sum=true").data)
    seen.check("days", objects.DAYS, api.get("/api/v1/stats/daily?days=2").data)
    now = api.app.context.backend.now()
    full.raw.zadd(full.keys.scheduled, {f"none-{number}": now + 900 for number in range(20_001)})
    api.app.context.observed.forget()
    seen.check("queue", objects.QUEUE, api.get("/api/v1/queues").data)
    seen.check("queue in detail", objects.QUEUE_DETAIL, api.get("/api/v1/queues/drained").data)
    full.raw.zremrangebyrank(full.keys.scheduled, -20_001, -1)
    assert_documented(seen)


@pytest.mark.fault(14)
@pytest.mark.fault(16)
def test_what_runs_the_jobs(full: World) -> None:
    seen, api = Seen(), full.api
    workers = api.get("/api/v1/workers").data
    assert {worker["pool"] for worker in workers} == {"fast", "gopool"}
    seen.check("worker", objects.WORKER, workers)
    for worker in workers:
        seen.check("worker", objects.WORKER_DETAIL, api.get(f"/api/v1/workers/{worker['id']}").data)
    servers = api.get("/api/v1/servers").data
    seen.check("server", objects.SERVER, servers)
    for server in servers:
        assert api.get(f"/api/v1/servers/{server['id']}").data.keys() == server.keys()
    entries = api.get("/api/v1/cron").data
    seen.check("cron entry in a list", objects.CRON, entries)
    seen.check("cron entry in a list with outcomes", objects.CRON_WITH_OUTCOMES, _with_outcomes(api))
    for entry in entries:
        detail = api.get(f"/api/v1/cron/{entry['id']}").data
        seen.check("cron entry", objects.CRON_DETAIL, detail)
        assert {name: detail[name] for name in entry} == entry
        seen.check("cron run", objects.CRON_RUN, api.get(f"/api/v1/cron/{entry['id']}/history").data)
    assert_documented(seen)


def _with_outcomes(api: Api) -> object:
    return api.get("/api/v1/cron?outcomes=true").data


@pytest.mark.fault(14)
def test_failures_audit_and_callers(full: World) -> None:
    seen, api = Seen(), full.api
    api.post("/api/v1/jobs/none/retry")
    for status in ("dead_letter", "retry", "failed"):
        seen.check("failed group", objects.GROUP, api.get(f"/api/v1/failed/groups?status={status}").data)
    seen.check("audit entry", objects.AUDIT, api.get("/api/v1/audit?limit=100").data)
    api.log_in("ana", **{"User-Agent": "Firefox/143"})
    seen.check("session", objects.SESSION, api.get("/auth/sessions", user="ana").data)
    seen.check("caller", objects.ME, api.get("/auth/me", user="ana").data)
    seen.check("caller", objects.ME, api.get("/auth/me").data)
    seen.check("key", objects.KEY, api.get("/auth/keys").data)
    assert_documented(seen)


@pytest.mark.fault(15)
def test_times_are_seconds_and_spans_are_named(full: World) -> None:
    """Points in time lie around now in seconds, so none of them is in milliseconds or nanoseconds."""
    now = time.time()
    checked = 0
    for job_id in (*STATES, *ENDED):
        job = full.api.get(f"/api/v1/jobs/{job_id}").data
        for name in job.keys() & POINTS:
            assert abs(job[name] - now) < MONTH_S, (job_id, name, job[name])
            checked += 1
    for path in ("/api/v1/workers", "/api/v1/servers", "/api/v1/cron"):
        for item in full.api.get(path).data:
            for name in item.keys() & POINTS:
                if name != "next_run" and item[name] is not None:
                    assert abs(item[name] - now) < MONTH_S, (path, name, item[name])
                    checked += 1
    assert checked > 30


MONTH_S = 31 * 86_400
POINTS = {
    *("created_at", "scheduled_at", "started_at", "completed_at", "due_at", "expires_at", "last_heartbeat"),
    *("processing_deadline", "cron_slot", "last_run", "updated_at"),
}
