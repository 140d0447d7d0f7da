"""Pictures of the Workers, Cron and Servers tabs, and of what opens from them."""

from __future__ import annotations

from urllib.parse import quote

from gqm_tui.core.errors import ApiError, Kind
from tests.support.tui import NOW, FakeClient, cron, cron_run, job, listed, runtime, server, worker
from tests.support.tui_app import NARROW, WIDE, Scene, both

AWAY = ApiError(Kind.UNAVAILABLE, 503, "REDIS_UNAVAILABLE", "redis unavailable")
STALE_ID = "fast@eu3-18231-7f3a"
LONG = {
    "id": "01943c77-1d2e-7aa0-9b61-7788f3a2a91c",
    "type": "smtp.send",
    "elapsed_ms": 372_000,
    "over_deadline": True,
}
WORKERS = [
    worker(
        STALE_ID,
        status="stale",
        queues=["billing"],
        longest=LONG,
        ahead=0,
        last_heartbeat=int(NOW) - 12,
        started_at=int(NOW) - 176_400,
    ),
    worker("fast@eu1-18002-c41e", active_jobs=6, abandoned=1),
    worker(
        "bg@eu1-18002-c41e",
        concurrency=3,
        active_jobs=0,
        longest=None,
        ahead=0,
        queues=["default", "low"],
        isolation="process",
    ),
    worker("fast@eu2-17990-0b22", active_jobs=8, queues=["billing", "default", "emails", "webhooks"]),
    worker(
        "bg@eu2-17990-0b22",
        concurrency=3,
        active_jobs=1,
        ahead=0,
        queues=["default", "low"],
        status="stopping",
    ),
    worker(
        "legacy",
        active_jobs=2,
        ahead=None,
        abandoned=None,
        isolation=None,
        queues=["billing"],
        longest={**LONG, "elapsed_ms": 12_400, "over_deadline": False},
    ),
]
RUNNING = [
    job(
        "01943c77-1d2e-7aa0-9b61-7788f3a2a91c",
        status="processing",
        retry_count=2,
        error=None,
        started_at=int(NOW) - 372,
        processing_deadline=NOW - 340,
        progress={"current": 12, "total": 40, "message": "sending"},
    ),
    job(
        "01943c77-1d2e-7aa0-9b61-77f807be4d1f",
        type="invoice.pdf",
        status="processing",
        retry_count=0,
        max_retry=3,
        error=None,
        started_at=int(NOW) - 5,
        processing_deadline=NOW + 55,
    ),
    job(
        "01943c78-55aa-7c31-8e02-a4f0c3d09e5a",
        type="webhook.post",
        queue="hooks",
        status="processing",
        retry_count=1,
        max_retry=3,
        error=None,
        started_at=int(NOW) - 27,
        processing_deadline=NOW + 3,
    ),
]
ACTIVE = [
    {
        "id": name,
        "type": kind,
        "queue": "billing",
        "started_at": int(NOW) - 4,
        "processing_deadline": NOW + 26,
        "elapsed_ms": 4_100,
    }
    for name, kind in (("j1", "invoice.pdf"), ("j2", "webhook.post"), ("j3", "invoice.pdf"))
]
ENTRIES = [
    cron(
        last_status="missed",
        next_runs=[int(NOW) + 50_397, int(NOW) + 136_797, int(NOW) + 223_197],
        outcomes=["completed"] * 5 + ["dead_letter"] + ["completed"] * 3,
    ),
    cron(
        "old-cleanup",
        cron_expr="0 0 3 * * *",
        description="daily at 03:00",
        job_type="cleanup",
        queue="low",
        enabled=False,
        orphaned=True,
        outcomes=["completed"] * 10,
    ),
    cron(
        "sync-crm",
        cron_expr="*/5 * * * *",
        description="every 5 minutes",
        job_type="crm.sync",
        queue="default",
        next_run=int(NOW) + 117,
        timezone="Europe/Berlin",
        overlap_policy="replace",
        outcomes=["completed", "stopped", "completed", "completed"],
    ),
    cron(
        "rollup",
        cron_expr="*/10 * * * * *",
        description="every 10 seconds",
        job_type="stats.rollup",
        queue="low",
        next_run=int(NOW) - 65,
        outcomes=["completed"] * 20,
    ),
    cron(
        "month-end",
        cron_expr="0 0 1 1 * *",
        description="on day 1 at 01:00",
        job_type="invoice.run",
        queue="billing",
        enabled=False,
        next_run=None,
        last_job=None,
        last_run=None,
        last_status=None,
        outcomes=[],
    ),
]
RUNS = [
    cron_run(),
    cron_run(
        "01943c77-1d2e-7aa0-9b61-77f807be4d1f",
        triggered_at=int(NOW) - 78_534,
        slot=None,
        outcome="dead_letter",
        duration_ms=30_000,
    ),
    cron_run(
        "01943c76-55aa-7c31-8e02-a4f0c3d09e5b",
        triggered_at=int(NOW) - 122_331,
        slot=int(NOW) - 122_403,
        outcome="completed",
        duration_ms=39_800,
    ),
]
SERVERS = [
    server(),
    server(
        "eu3-18231-7f3a",
        version="0.9.1",
        runtime="python 3.11.7",
        scheduler=False,
        pools=["fast"],
        types=["a", "b", "c", "d", "e"],
        concurrency_total=8,
        busy=3,
        status="stale",
        last_heartbeat=int(NOW) - 12,
        started_at=int(NOW) - 176_400,
    ),
    server("eu2-17990-0b22", scheduler=False, busy=9),
]


def workers(client: FakeClient) -> None:
    client.route("GET", "/workers", WORKERS)
    for one in WORKERS:
        client.route("GET", f"/workers/{quote(one['id'], safe='')}", {**one, "jobs": ACTIVE})


def workers_partial(client: FakeClient) -> None:
    workers(client)
    for one in WORKERS:
        client.route("GET", f"/workers/{quote(one['id'], safe='')}", AWAY)


def none(client: FakeClient) -> None:
    for name in ("workers", "servers", "cron"):
        client.route("GET", f"/{name}", [])
    client.route("GET", "/stats/runtime", runtime())


def one_worker(client: FakeClient) -> None:
    workers(client)
    client.route("GET", "/jobs", listed(RUNNING, total=3))


def entries(client: FakeClient) -> None:
    client.route("GET", "/cron", ENTRIES)
    for entry in ENTRIES:
        client.route("GET", f"/cron/{entry['id']}", entry)


def entries_partial(client: FakeClient) -> None:
    entries(client)
    client.route("GET", "/cron/rollup", AWAY)


def history(client: FakeClient) -> None:
    entries(client)
    for entry in ENTRIES:
        client.route("GET", f"/cron/{entry['id']}/history", listed(RUNS, total=3))


def no_history(client: FakeClient) -> None:
    entries(client)
    for entry in ENTRIES:
        client.route("GET", f"/cron/{entry['id']}/history", [])


def servers(client: FakeClient) -> None:
    client.route("GET", "/servers", SERVERS)
    client.route("GET", "/stats/runtime", runtime())


def servers_partial(client: FakeClient) -> None:
    servers(client)
    client.route("GET", "/stats/runtime", AWAY)


SCENES: dict[str, Scene] = {
    **both("workers-ok", routes=workers, tab="workers"),
    "workers-partial-120x36": Scene(workers_partial, tab="workers", size=WIDE),
    "workers-empty-80x24": Scene(none, tab="workers", size=NARROW),
    **both("worker-ok", routes=one_worker, tab="workers", keys=("enter",)),
    **both("cron-ok", routes=entries, tab="cron", keys=("j",)),
    "cron-partial-120x36": Scene(entries_partial, tab="cron", size=WIDE),
    "cron-empty-80x24": Scene(none, tab="cron", size=NARROW),
    **both("cron-history-ok", routes=history, tab="cron", keys=("j", "j", "enter")),
    "cron-history-empty-80x24": Scene(no_history, tab="cron", keys=("j", "j", "enter"), size=NARROW),
    **both("servers-ok", routes=servers, tab="servers"),
    "servers-empty-80x24": Scene(none, tab="servers", size=NARROW),
}
