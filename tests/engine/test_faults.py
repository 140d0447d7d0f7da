"""Faults that only show with a whole server: how much it asks of Redis, and how it bears Redis being away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

import gqm
from gqm.keys import Keys
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from tests.engine.running import running
from tests.support.keyspace import Keyspace
from tests.support.servers import Server, ServerFactory
from tests.support.wait import eventually, throughout


@pytest.fixture
def own(start_server: ServerFactory) -> Server:
    """A Redis that only this test uses."""
    return start_server()


@pytest.fixture
def raw(own: Server) -> Iterator[redis.Redis]:
    """A plain client of it."""
    with redis.Redis(unix_socket_path=own.socket, protocol=2) as client:
        yield client


@pytest.fixture
def client(own: Server) -> Iterator[gqm.Client]:
    """A producer."""
    with gqm.Client(f"unix:{own.socket}") as client:
        yield client


@pytest.fixture
def make(own: Server) -> Callable[..., gqm.Server]:
    """Makes servers on it."""
    return lambda **options: gqm.Server(f"unix:{own.socket}", **options)


def calls(raw: redis.Redis, *names: str) -> int:
    """How often commands were called since the counters were reset; all of them without names."""
    stats: dict[str, Any] = raw.info("commandstats")
    own = {"cmdstat_info", "cmdstat_config|resetstat", "cmdstat_get", "cmdstat_zcard"}
    wanted = {f"cmdstat_{name}" for name in names} or set(stats) - own
    return sum(int(stats[name]["calls"]) for name in wanted if name in stats)


@pytest.mark.fault(2)
@pytest.mark.parametrize("kind", ["def", "async"])
def test_a_thousand_jobs_cost_few_scripts(make: Any, client: gqm.Client, raw: redis.Redis, kind: str) -> None:
    server = make()
    server.pool("p", ["noop"], queues=["default"], concurrency=16)

    async def on_loop(job: gqm.Job) -> None: ...

    server.handle("noop", on_loop if kind == "async" else lambda job: None)
    client.enqueue_batch([("noop", {"i": i}) for i in range(1000)])
    raw.config_resetstat()
    with running(server):
        eventually(lambda: raw.zcard("gqm:queue:default:completed") == 1000, 30)
        assert calls(raw, "evalsha", "eval") < 400


@pytest.mark.fault(3)
def test_an_idle_server_hardly_asks_and_nobody_waits_on_a_paused_queue(
    make: Any, client: gqm.Client, raw: redis.Redis
) -> None:
    # The scheduler adds one look a second, and a pass of the sweeps every 30 s that would blur a short count.
    server = make(scheduler_enabled=False)
    for n in range(10):
        server.pool(f"p{n}", [f"t{n}"], queues=["a", "b", "stopped"], concurrency=2)
        server.handle(f"t{n}", lambda job: None)
    raw.sadd("gqm:queues", "stopped")
    raw.sadd("gqm:paused", "stopped")
    raw.hset("gqm:job:x", mapping={"id": "x", "type": "t0", "queue": "stopped", "status": "ready"})
    raw.lpush("gqm:queue:stopped:ready", "x")

    def waiters() -> list[str]:
        return [item["cmd"] for item in raw.client_list() if item["cmd"] == "blmove"]

    with running(server):
        # One waiter per queue and process, none for the paused one.
        eventually(lambda: len(waiters()) == 2, 10)
        raw.config_resetstat()
        begun = time.monotonic()
        # What scripts call themselves is not sent.
        throughout(lambda: len(waiters()) <= 2, 5)
        sent = calls(raw, "evalsha", "eval", "blmove", "smismember", "ping")
        assert sent / (time.monotonic() - begun) < 4
        assert raw.llen("gqm:queue:stopped:ready") == 1


PRODUCER = """
import itertools, sys, gqm
client = gqm.Client(sys.argv[1])
parent = client.enqueue("t", queue="held")
for n in itertools.count():
    client.enqueue("t", {"n": n}, job_id=f"own-{n}", meta={"a": "b"})
    client.enqueue_in("t", None, 600)
    client.enqueue("t", depends_on=parent.id)
    client.enqueue_batch([("t", {"n": i}) for i in range(20)])
    print(n, flush=True)
"""


@pytest.mark.fault(14)
def test_a_producer_killed_at_any_instant_leaves_whole_jobs(own: Server, raw: redis.Redis) -> None:
    address = f"unix:{own.socket}"
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", PRODUCER, address], stdout=subprocess.PIPE)
        assert process.stdout is not None
        for _ in range(10):
            assert process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        store = Store(plain_link(Keys("gqm:"), "the test server", {"unix_socket_path": own.socket}))
        space = Keyspace(store, raw)
        space.assert_sound()
        for job_id, job in space._jobs().items():
            assert {"id", "type", "queue", "status", "payload", "max_retry", "created_at"} <= job.keys(), (
                job_id
            )
        store.close()
        for key in raw.scan_iter("gqm:*"):
            raw.unlink(key)


@pytest.mark.fault(20)
@pytest.mark.parametrize("freeze_s", [6.0, pytest.param(20.0, marks=pytest.mark.slow)])
def test_a_frozen_redis_at_settle_time_costs_no_job(
    make: Any, client: gqm.Client, own: Server, raw: redis.Redis, freeze_s: float
) -> None:
    server, started, go, runs = make(), threading.Event(), threading.Event(), []

    def work(job: gqm.Job) -> str:
        runs.append(job.id)
        started.set()
        go.wait(10)
        return "done"

    server.handle("work", work)
    server.handle("child", lambda job: "ran")
    with running(server):
        job = client.enqueue("work")
        child = client.enqueue("child", depends_on=job.id)
        assert started.wait(10)
        own.freeze()
        thawing = threading.Timer(freeze_s, own.thaw)
        thawing.start()
        go.set()
        thawing.join()
        eventually(lambda: client.get(child.id).status is gqm.Status.COMPLETED, 30)  # type: ignore[union-attr]
        parent = client.get(job.id)
        assert parent is not None
        assert (parent.status, parent.result, parent.retry_count) == (gqm.Status.COMPLETED, "done", 0)
    assert runs == [job.id]


@pytest.mark.fault(22)
def test_no_cap_shortens_the_time_out_of_a_job(make: Any, client: gqm.Client) -> None:
    server = make(global_job_timeout=1, grace_period=1, shutdown_timeout=1)
    server.handle("work", lambda job: time.sleep(2.5) or "whole")
    with running(server):
        job = client.enqueue("work", timeout=20)
        assert client.wait(job.id, 15) == "whole"


@pytest.mark.fault(55)
def test_a_server_goes_on_after_redis_was_away(
    make: Any, client: gqm.Client, own: Server, raw: redis.Redis
) -> None:
    server = make()
    server.handle("work", lambda job: "ran")
    with running(server):
        client.wait(client.enqueue("work").id, 10)
        own.stop()
        away = time.monotonic()
        with pytest.raises(gqm.RedisUnavailable):
            client.enqueue("work")
        assert time.monotonic() - away < 5.5
        own.start()

        def enqueued() -> gqm.Enqueued | None:
            try:
                return client.enqueue("work")
            except gqm.RedisUnavailable:
                return None

        job = eventually(enqueued, 10)
        assert job is not None
        assert client.wait(job.id, 15) == "ran"


@pytest.mark.fault(55)
def test_a_broken_queue_key_stops_only_its_queue(make: Any, client: gqm.Client, raw: redis.Redis) -> None:
    server = make()
    server.pool("p", ["work"], queues=["broken", "good"], concurrency=2)
    server.handle("work", lambda job: "ran")
    raw.set("gqm:queue:broken:ready", "not a list")
    with running(server):
        for _ in range(3):
            assert client.wait(client.enqueue("work", queue="good").id, 10) == "ran"
        raw.delete("gqm:queue:broken:ready")
        assert client.wait(client.enqueue("work", queue="broken").id, 10) == "ran"
