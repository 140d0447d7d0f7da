"""Servers that die, stand still or block: their jobs run elsewhere, and their late results change nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

import gqm
from tests.engine.jobs import Diary
from tests.engine.running import running
from tests.engine.workers import Worker
from tests.support.keyspace import Keyspace
from tests.support.wait import eventually

Start = Callable[..., Worker]
SHORT = {"lease_ttl": 4}


@pytest.fixture
def diary(redis_socket: str, prefix: str) -> Diary:
    return Diary(redis_socket, prefix)


def starts_of(diary: Diary, job_id: str) -> list[int]:
    return [pid for found, pid in diary.lines("start") if found == job_id]


@pytest.mark.fault(12)
def test_jobs_of_a_killed_neighbour_run_within_3_seconds(
    worker: Start, client: gqm.Client, space: Keyspace, diary: Diary
) -> None:
    first = worker()
    job = client.enqueue("sleep", {"s": 4}, timeout=3600).id
    eventually(lambda: starts_of(diary, job), 10)
    second = worker()
    begun = time.monotonic()
    first.kill()
    eventually(lambda: len(starts_of(diary, job)) == 2, 10)
    assert time.monotonic() - begun < 3
    assert starts_of(diary, job) == [first.pid, second.pid]
    client.wait(job, 10)
    stored = client.get(job)
    assert stored is not None
    assert (stored.retry_count, stored.attempt) == (1, 2)
    space.assert_sound()


@pytest.mark.fault(12)
def test_jobs_of_a_killed_server_run_when_its_lease_ends(
    worker: Start, client: gqm.Client, space: Keyspace, diary: Diary
) -> None:
    first = worker(**SHORT)
    job = client.enqueue("sleep", {"s": 2}).id
    eventually(lambda: starts_of(diary, job), 10)
    space.raw.hdel(space.keys.server(first.server_id), "host_id")  # as if it ran on another machine
    first.kill()
    begun = time.monotonic()
    second = worker(**SHORT)
    eventually(lambda: starts_of(diary, job) == [first.pid, second.pid], 10)
    assert time.monotonic() - begun < 4 + 1
    assert space.field(job, "retry_count") == "1"
    assert second.server_id in (space.field(job, "worker_id") or "")


@pytest.mark.fault(17)
def test_a_server_that_stood_still_past_its_lease_cannot_settle(
    worker: Start, client: gqm.Client, space: Keyspace, diary: Diary
) -> None:
    first = worker(**SHORT)
    job = client.enqueue("sleep", {"s": 6}).id
    eventually(lambda: starts_of(diary, job), 10)
    second = worker(**SHORT)
    first.freeze()
    eventually(lambda: len(starts_of(diary, job)) == 2, 10)
    first.thaw()
    eventually(lambda: (job, first.pid) in diary.lines("end"), 15)
    assert client.wait(job, 15) is None
    stored = client.get(job)
    assert stored is not None
    assert (stored.attempt, stored.retry_count) == (2, 1)
    assert stored.worker_id.endswith(second.server_id)
    space.assert_sound()


def test_code_that_blocks_the_loop_keeps_the_lease_and_is_named(
    worker: Start, client: gqm.Client, diary: Diary
) -> None:
    first, second = worker(**SHORT), worker(**SHORT)
    job = client.enqueue("block", {"s": 7}).id
    assert client.wait(job, 15) is None
    assert len(starts_of(diary, job)) == 1
    blocked = first if starts_of(diary, job) == [first.pid] else second
    assert "blocked for" in blocked.log()
    assert "by block_the_loop (" in blocked.log()


@pytest.mark.fault(24)
def test_claims_of_dead_servers_are_recovered_in_queues_that_nobody_reads(
    make: Callable[..., gqm.Server], space: Keyspace
) -> None:
    (claim,) = space.running(server="elsewhere-1-aaaaaa", queue="forgotten")
    space.end_lease("elsewhere-1-aaaaaa")
    server = make(scheduler_enabled=False, lease_ttl=4)
    server.handle("other", print)
    with running(server):
        eventually(lambda: space.status(claim.id) == "ready", 5)
    assert space.ready("forgotten") == [claim.id]
    space.assert_sound()


@pytest.mark.fault(19)
def test_a_job_in_its_grace_is_nobody_elses(make: Any, client: gqm.Client, space: Keyspace) -> None:
    server = make(grace_period=60, lease_ttl=4)
    runs: list[str] = []

    @server.handle("slow")
    def slow(job: gqm.Job) -> None:
        runs.append(job.id)
        time.sleep(6.5)

    other = make(grace_period=60, lease_ttl=4)
    other.handle("slow", slow)
    with running(server), running(other):
        job = client.enqueue("slow", timeout=1).id
        space.raw.zadd(space.keys.processing("default"), {job: 1}, xx=True)
        client.wait(job, 15)
    assert runs == [job]
    assert space.field(job, "attempt") == "1"


def test_a_job_whose_claim_is_gone_is_told_to_stop_by_the_next_heartbeat(
    make: Any, client: gqm.Client, space: Keyspace
) -> None:
    server = make(lease_ttl=4)
    told: list[bool] = []

    @server.handle("work")
    def work(job: gqm.Job) -> None:
        until = time.monotonic() + 10
        while time.monotonic() < until and not job.cancelled:
            time.sleep(0.01)
        told.append(job.cancelled)

    with running(server):
        job = client.enqueue("work").id
        eventually(lambda: space.status(job) == "processing")
        space.raw.hset(space.keys.job(job), "claim", "0123456789abcdef.1")
        eventually(lambda: told == [True], 5)
