"""Stops by signals, seen from outside: the exit, its time, and where every job is afterwards."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

import gqm
from tests.engine.jobs import Diary
from tests.engine.workers import Worker
from tests.support.keyspace import Keyspace
from tests.support.wait import eventually

Start = Callable[..., Worker]


@pytest.fixture
def diary(redis_socket: str, prefix: str) -> Diary:
    return Diary(redis_socket, prefix)


def one_slot(*types: str, **keys: object) -> list[dict[str, object]]:
    return [{"name": "p", "job_types": list(types), "queues": ["default"], "concurrency": 1, **keys}]


def started(diary: Diary, n: int = 1) -> None:
    eventually(lambda: len(diary.lines("start")) >= n, 10, message=f"{n} handlers start")


def seconds_to_exit(worker: Worker) -> float:
    begun = time.monotonic()
    assert worker.wait() == 0
    return time.monotonic() - begun


@pytest.mark.fault(23)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_lets_running_jobs_end_and_keeps_the_order_of_the_rest(
    worker: Start, client: gqm.Client, space: Keyspace, diary: Diary, number: signal.Signals
) -> None:
    jobs = [client.enqueue("nap", {"s": 0.5}).id for _ in range(6)]
    running = worker(pools=one_slot("nap"))
    started(diary)
    running.tell(number)
    assert seconds_to_exit(running) < 3
    assert space.status(jobs[0]) == "completed"
    assert space.ready() == jobs[1:]
    assert space.processing() == []
    assert not any(space.field(job_id, "retry_count") for job_id in jobs)
    space.assert_sound()


@pytest.mark.fault(23)
@pytest.mark.parametrize("type_", ["nap", "sleep", "deaf"])
def test_what_does_not_end_in_time_is_handed_back_uncounted(
    worker: Start, client: gqm.Client, space: Keyspace, diary: Diary, type_: str
) -> None:
    job = client.enqueue(type_, {"s": 60}).id
    running = worker(shutdown_timeout=0.3)
    started(diary)
    running.tell()
    assert seconds_to_exit(running) < 0.3 + 1 + 1  # a second for the exit of Python itself
    assert (space.status(job), space.field(job, "retry_count")) == ("ready", None)
    assert space.field(job, "attempt") == "1"
    assert space.processing() == []
    space.assert_sound()


def test_a_second_signal_skips_the_wait(
    worker: Start, client: gqm.Client, space: Keyspace, diary: Diary
) -> None:
    job = client.enqueue("nap", {"s": 60}).id
    running = worker(shutdown_timeout=60)
    started(diary)
    running.tell()
    eventually(lambda: space.raw.hget(space.keys.server(running.server_id), "status") == b"stopping", 10)
    running.tell()
    assert seconds_to_exit(running) < 2
    assert space.status(job) == "ready"


@pytest.mark.fault(21)
def test_a_job_past_its_time_out_ends_as_that_also_when_grace_outlasts_the_stop(
    worker: Start, client: gqm.Client, space: Keyspace, diary: Diary
) -> None:
    again = client.enqueue("sleep", {"s": 60}, timeout=1).id
    last = client.enqueue("sleep", {"s": 60}, timeout=1, max_retry=0).id
    running = worker(shutdown_timeout=0.3, grace_period=60)
    started(diary, 2)
    time.sleep(1.1)  # past their deadline, within grace: nothing shows it from outside
    running.tell()
    assert seconds_to_exit(running) < 3
    assert (space.status(again), space.status(last)) == ("retry", "dead_letter")
    space.assert_sound()


def test_a_frozen_redis_does_not_hold_up_the_exit(
    worker: Start, start_server: Callable[..., object], prefix: str
) -> None:
    redis_server = start_server()
    running = worker(socket=redis_server.socket, shutdown_timeout=0.3)  # type: ignore[attr-defined]
    with redis_server.stop_cont():  # type: ignore[attr-defined]
        running.tell()
        assert seconds_to_exit(running) < 0.3 + 1 + 1.5
