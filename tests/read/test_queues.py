"""Queues as people see them: sizes, ages, rates, and the sums over all."""

from __future__ import annotations

import time
from typing import Any

import pytest
from msgspec import UNSET

from gqm.job import Status
from gqm.store.commands.operate import pause
from gqm.store.plan import follow
from gqm.store.read.queues import QueueView, get_queue, list_queues, take_census, totals, with_growth
from gqm.store.read.servers import read_fleet
from tests.support.keyspace import SERVER, Keyspace
from tests.support.states import MAKE


def queue_of(space: Keyspace, name: str) -> QueueView:
    found = follow(space.store, get_queue(space.keys, name))
    assert found is not None
    return found


def all_queues(space: Keyspace, **options: Any) -> list[QueueView]:
    return follow(space.store, list_queues(space.keys, **options)).queues


def test_the_sizes_of_a_queue(space: Keyspace) -> None:
    for status in Status:
        if status is not Status.READY:
            MAKE[status](space, queue="q")
    space.enqueue(queue="q")
    space.enqueue(queue="q")

    queue = queue_of(space, "q")

    assert (queue.name, queue.paused) == ("q", False)
    assert (queue.ready, queue.processing, queue.completed, queue.dead_letter) == (2, 1, 1, 1)
    assert (queue.scheduled, queue.retry, queue.deferred, queue.canceled) == (1, 1, 1, 2)
    assert (queue.processed_total, queue.failed_total) == (1, 1)
    assert queue.counts_truncated is UNSET
    space.store.run(pause(space.keys, "q"))
    assert queue_of(space, "q").paused is True


def test_the_age_is_that_of_the_next_job_to_run(space: Keyspace) -> None:
    space.enqueue(queue="q")
    oldest = space.ready("q")[0]
    space.raw.hset(space.keys.job(oldest), "ready_at_ms", int((space.now() - 60) * 1000))
    space.enqueue(queue="q")
    space.raw.rpush(space.keys.ready("q"), "no-job", "nor-this")

    assert queue_of(space, "q").oldest_age_ms == pytest.approx(60_000, abs=2000)


def test_a_job_of_another_program_ages_from_when_it_was_made(space: Keyspace) -> None:
    job_id = space.enqueue(queue="q")
    space.raw.hdel(space.keys.job(job_id), "ready_at_ms")
    space.age_job(job_id, 30)

    assert queue_of(space, "q").oldest_age_ms == pytest.approx(30_000, abs=2000)


def test_rates_and_means_are_those_of_the_last_full_minute(space: Keyspace) -> None:
    space.enqueue(queue="q")
    minute = int(space.now()) // 60 - 1
    counters = {"processed": 8, "failed": 2, "claimed": 5, "wait_ms": 1001, "run_ms": 3000, "retried": 9}
    # The minute may turn before the answer is made, so the one behind it says the same.
    for at in (minute, minute + 1):
        space.raw.hset(space.keys.minute("q", at), mapping=counters)

    queue = queue_of(space, "q")

    assert (queue.out_per_min, queue.failed_per_min) == (10.0, 2.0)
    assert (queue.wait_avg_ms, queue.run_avg_ms) == (200, 300)
    assert (queue.in_per_min, queue.drain_ms) == (None, None)


def test_a_quiet_queue_has_no_means(space: Keyspace) -> None:
    space.raw.sadd(space.keys.queues, "q")

    queue = queue_of(space, "q")

    assert (queue.oldest_age_ms, queue.wait_avg_ms, queue.run_avg_ms) == (None, None, None)
    assert queue.out_per_min == 0.0


def test_growth_tells_what_came_in_and_when_it_is_worked_off(space: Keyspace) -> None:
    for _ in range(10):
        space.enqueue(queue="q")
    queue = queue_of(space, "q")

    growing = with_growth(queue, 5, 30.0)
    draining = with_growth(queue, 20, 60.0)

    assert (growing.in_per_min, growing.drain_ms) == (10.0, None)
    assert (draining.in_per_min, draining.drain_ms) == (0.0, 60_000)
    assert with_growth(queue, 5, 0.0) == queue
    space.store.run(pause(space.keys, "q"))
    assert with_growth(queue_of(space, "q"), 20, 60.0).drain_ms is None


def test_the_types_of_the_next_jobs(space: Keyspace) -> None:
    for n in range(15):
        job_id = space.enqueue(queue="q")
        space.raw.hset(space.keys.job(job_id), "type", "often" if n < 3 else f"t{n:02}")
    space.raw.rpush(space.keys.ready("q"), "gone")

    by_type = queue_of(space, "q").by_type

    assert by_type is not UNSET
    assert [(item.type, item.ready) for item in by_type][:2] == [("often", 3), ("t03", 1)]
    assert len(by_type) == 10
    assert all_queues(space)[0].by_type is UNSET


def test_an_unknown_queue(space: Keyspace) -> None:
    assert follow(space.store, get_queue(space.keys, "none")) is None


def test_all_queues_by_name(space: Keyspace) -> None:
    for name in ("b", "a", "mail:x", "c"):
        space.enqueue(queue=name)

    assert [queue.name for queue in all_queues(space)] == ["a", "b", "c", "mail:x"]
    assert [queue.name for queue in all_queues(space, holding="a")] == ["a", "mail:x"]


def test_the_pools_that_read_a_queue(space: Keyspace) -> None:
    space.enqueue(queue="q")
    space.beat()
    space.raw.hset(space.keys.worker(f"p@{SERVER}"), "queues", "a,q")

    assert queue_of(space, "q").pools == [f"p@{SERVER}"]
    space.end_lease()
    assert queue_of(space, "q").pools == []


def test_a_thousand_queues_are_listed_in_few_calls(space: Keyspace) -> None:
    names = [f"q{n:04}" for n in range(1200)]
    space.raw.sadd(space.keys.queues, *names)
    begun = time.monotonic()

    found = follow(space.store, list_queues(space.keys))

    assert time.monotonic() - begun < 1
    assert [queue.name for queue in found.queues] == names[:1000]
    assert (found.total, found.truncated) == (1200, True)


def test_a_key_of_a_wrong_type_reads_as_nothing(space: Keyspace) -> None:
    space.enqueue(queue="q")
    for key in (space.keys.ready("q"), space.keys.completed("q"), space.keys.total("q", "processed")):
        space.raw.delete(key)
        space.raw.hset(key, "a", "b")
    space.raw.set(space.keys.scheduled, "text")
    space.raw.set(space.keys.minute("q", int(space.now()) // 60 - 1), "text")

    queue = queue_of(space, "q")

    assert (queue.ready, queue.completed, queue.processed_total, queue.scheduled) == (0, 0, 0, 0)


def test_waiting_jobs_are_counted_up_to_a_bound(space: Keyspace) -> None:
    for _ in range(600):
        MAKE[Status.SCHEDULED](space, queue="a")
    MAKE[Status.RETRY](space, queue="b")
    MAKE[Status.DEFERRED](space, queue="b")

    census = follow(space.store, take_census(space.keys))
    cut = follow(space.store, take_census(space.keys, most=0))

    assert (census.of("a", "scheduled"), census.of("b", "retry"), census.of("b", "deferred")) == (600, 1, 1)
    assert (census.truncated, census.scheduled, census.deferred) == (False, 601, 1)
    assert (cut.truncated, cut.scheduled, cut.deferred) == (True, 601, 1)
    assert all_queues(space, census=cut)[0].counts_truncated is True


def test_the_sums(space: Keyspace) -> None:
    for status in Status:
        MAKE[status](space, queue=status)
    space.raw.hset(space.keys.worker(f"p@{SERVER}"), mapping={"concurrency": 7, "active_jobs": 3})
    space.store.run(pause(space.keys, "ready"))
    census = follow(space.store, take_census(space.keys))
    fleet = follow(space.store, read_fleet(space.keys))

    found = totals(follow(space.store, list_queues(space.keys, census=census, fleet=fleet)), census, fleet)

    assert (found.queues, found.paused_queues, found.servers, found.workers) == (11, 1, 1, 1)
    assert (found.slots, found.busy) == (7, 3)
    assert (found.ready, found.processing, found.scheduled, found.retry, found.deferred) == (2, 1, 1, 1, 1)
    assert (found.completed, found.dead_letter, found.canceled) == (1, 1, 2)
    assert (found.processed_total, found.failed_total) == (1, 1)
    assert found.oldest_age_ms is not None
    assert found.in_per_min is None, "nobody has looked twice"
