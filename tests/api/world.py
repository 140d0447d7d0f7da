"""A key space with something of everything: servers, jobs in every state, cron entries, graphs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

import gqm
from gqm.keys import Keys
from tests.api.support import Api, serve
from tests.engine.running import running
from tests.support.wait import eventually

DAY_S = 86_400
OPTIONS: dict[str, Any] = {
    "timeout": 900,
    "result_ttl": DAY_S,
    "failure_ttl": DAY_S,
    "retry_intervals": [3600],
    "max_retry": 2,
    "meta": {"tenant": "north"},
    "enqueued_by": "shop",
}
"""Everything that can be said of a job."""


class World:
    """A server that runs jobs, and an API over the same key space."""

    def __init__(self, api: Api, raw: redis.Redis, keys: Keys, go_on: threading.Event) -> None:
        self.api = api
        self.raw: Any = raw
        self.keys = keys

    def fill(self) -> None:
        """Make jobs in every state, and wait until they are there."""
        client = self.api.client
        client.enqueue("work.long", {"n": 7}, job_id="processing", queue="busy", **OPTIONS)
        client.enqueue("work.fine", {"n": 7}, job_id="completed", queue="busy", **OPTIONS)
        client.enqueue("work.wrong", {"n": 7}, job_id="retry", queue="busy", **OPTIONS)
        client.enqueue("work.dead", {"n": 7}, job_id="dead_letter", queue="busy", **OPTIONS)
        for job_id in ("canceled", "stopped", "ready", "invalid"):
            client.enqueue("mail.send", {"n": 7}, job_id=job_id, enqueue_at_front=True)
        for job_id in ("canceled", "stopped"):
            assert self.api.post(f"/api/v1/jobs/{job_id}/cancel").status == 200
        self.raw.hset(self.keys.job("stopped"), "status", "stopped")
        self.raw.hset(self.keys.job("invalid"), mapping={"payload": "no json", "result_note": "too large"})
        client.enqueue_in("mail.send", {"n": 7}, 3600, job_id="scheduled")
        client.enqueue("mail.send", job_id="deferred", depends_on=["ready"])
        client.enqueue("mail.send", job_id="child", depends_on=["deferred"], allow_failure=True)
        self._failed()
        self._go_peer()
        self._cron()
        for job_id in ("processing", "completed", "retry", "dead_letter"):
            eventually(lambda job_id=job_id: self.status(job_id) == job_id, 15, message=job_id)  # type: ignore[misc]

    def status(self, job_id: str) -> str:
        """State of a job."""
        return str(self.api.get(f"/api/v1/jobs/{job_id}").data["status"])

    def _failed(self) -> None:
        """A job as a Go worker leaves it: in no container."""
        self.api.client.enqueue("mail.send", {"n": 7}, job_id="failed")
        self.raw.lrem(self.keys.ready("default"), 0, "failed")
        now = int(time.time())
        facts = {"status": "failed", "started_at": now - 5, "failed_at": now, "error": "Oops: it broke"}
        self.raw.hset(self.keys.job("failed"), mapping=facts)

    def _go_peer(self) -> None:
        """A server of Go with one pool, running one job."""
        now = int(time.time())
        times = {"started_at": now - 100, "last_heartbeat": now}
        server = {
            "id": "go-1",
            "hostname": "gohost",
            "go_version": "go1.22",
            "pools": "gopool",
            "num_pools": 1,
        }
        self.raw.hset(
            self.keys.server("go-1"), mapping={**server, **times, "status": "active", "concurrency_total": 5}
        )
        pool = {"id": "gopool", "pool": "gopool", "server_id": "go-1", "queues": "peers", "concurrency": 5}
        beat = {"started_at": now - 100, "last_heartbeat": now * 10**9, "status": "active"}
        self.raw.hset(self.keys.worker("gopool"), mapping={**pool, **beat})
        self.raw.sadd(self.keys.servers, "go-1")
        self.raw.sadd(self.keys.workers, "gopool")
        self.api.client.enqueue("x", job_id="peer", queue="peers")
        self.raw.lrem(self.keys.ready("peers"), 0, "peer")
        facts = {"status": "processing", "worker_id": "gopool", "started_at": now - 60}
        self.raw.hset(self.keys.job("peer"), mapping=facts)
        self.raw.zadd(self.keys.processing("peers"), {"peer": now + 600})

    def _cron(self) -> None:
        """An entry that has fired and one that was run by hand."""
        eventually(lambda: self.api.get("/api/v1/cron/often").data["last_run"], 15, message="the entry fires")
        assert self.api.post("/api/v1/cron/often/disable").status == 200
        assert self.api.post("/api/v1/cron/yearly/trigger").status == 200


def _make_server(redis_url: str, prefix: str, go_on: threading.Event) -> gqm.Server:
    server = gqm.Server(redis_url, prefix=prefix)

    def long(job: gqm.Job) -> None:
        job.progress(3, 10, "page 3")
        go_on.wait(120)

    def fails(job: gqm.Job) -> None:
        raise TimeoutError("took over 30 s")

    def dies(job: gqm.Job) -> None:
        raise gqm.SkipRetry("no such customer")

    server.handle("work.long", long)
    server.handle("work.fine", lambda job: {"pages": 3})
    server.handle("work.wrong", fails)
    server.handle("work.dead", dies)
    server.pool("fast", ["work.long", "work.fine", "work.wrong", "work.dead"], queues=["busy"], concurrency=4)
    server.schedule("often", "* * * * * *", "work.fine", queue="busy", overlap_policy="allow")
    said: dict[str, Any] = {"payload": {"deep": True}, "timeout": 60, "max_retry": 1, "queue": "night"}
    server.schedule(
        "yearly", "0 30 1 1 1 *", "work.fine", name="Once a year", timezone="Asia/Jakarta", **said
    )
    return server


@contextmanager
def world(redis_socket: str, prefix: str, where: str = "", **options: Any) -> Iterator[World]:
    """A live server and an API over one prefix, at ``where`` or at the socket; options are the API's."""
    where = where or f"unix:{redis_socket}"
    go_on = threading.Event()
    keys = Keys(prefix)
    with (
        redis.Redis(unix_socket_path=redis_socket, protocol=2) as raw,
        serve(where, prefix, **options) as api,
        running(_make_server(where, prefix, go_on)),
    ):
        found = World(api, raw, keys, go_on)
        try:
            found.fill()
            yield found
        finally:
            go_on.set()
