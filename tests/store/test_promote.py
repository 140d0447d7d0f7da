"""Promotion: due jobs go to their queues in due order, whatever else stands in `scheduled`."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from gqm.errors import StoreError
from gqm.store.commands.schedule import Promoted, promote
from gqm.store.commands.settle import RetryLater, retry
from tests.support.keyspace import Keyspace


def run(space: Keyspace, limit: int = 500) -> Promoted:
    return space.store.run(promote(space.keys, limit))


def schedule(space: Keyspace, in_s: float, **options: Any) -> str:
    """Enqueue a job for later, then set when it falls due; negative = it is due already."""
    job_id = space.enqueue(mode="in", when_ms=3_600_000, **options)
    space.raw.zadd(space.keys.scheduled, {job_id: f"{space.now() + in_s:.3f}"})
    return job_id


def fail_once(space: Keyspace, due_s: float, **options: Any) -> str:
    """Enqueue a job, claim it and send it to retry."""
    space.enqueue(queue="failing", **options)
    (item,) = space.claim(queue="failing")
    space.store.run(retry(space.keys, "failing", [RetryLater(item, 3_600_000, "Oops: x", retry_count=1)]))
    space.raw.zadd(space.keys.scheduled, {item.id: f"{space.now() + due_s:.3f}"})
    return item.id


def test_moves_what_is_due_in_due_order(space: Keyspace) -> None:
    later = schedule(space, 60)
    second = schedule(space, -1)
    first = schedule(space, -2)

    done = run(space)

    assert (done.moved, done.dropped, done.more, done.broken) == (2, 0, False, [])
    assert space.ready() == [first, second]
    assert space.status(later) == "scheduled"
    assert done.next_due == pytest.approx(space.now() + 60, abs=2)
    assert done.now_ms / 1000 == pytest.approx(space.now(), abs=2)
    space.assert_sound()


def test_nothing_waits(space: Keyspace) -> None:
    assert run(space)[:5] == (0, 0, None, False, [])


def test_promotion_leaves_the_counters_of_a_retry_alone(space: Keyspace) -> None:
    job_id = fail_once(space, -1)
    before = space.fields(job_id)

    run(space)

    after = space.fields(job_id)
    assert after.pop("status") == "ready"
    assert int(after.pop("ready_at_ms")) >= int(before.pop("ready_at_ms"))
    assert before.pop("status") == "retry"
    assert after == before
    assert space.ready("failing") == [job_id]


def test_a_job_waits_to_the_millisecond(space: Keyspace) -> None:
    job_id = space.enqueue(mode="in", when_ms=300)
    due = float(space.raw.zscore(space.keys.scheduled, job_id))

    done = run(space)

    assert done.moved == 0
    assert done.next_due == pytest.approx(due, abs=0.0005)
    assert due * 1000 > done.now_ms


@pytest.mark.fault(6)
def test_jobs_for_the_front_are_next_and_the_earliest_of_them_first(space: Keyspace) -> None:
    older = space.enqueue()
    plain = schedule(space, -5)
    front_late = schedule(space, -1, enqueue_at_front=True)
    front_early = schedule(space, -9, enqueue_at_front=True)

    run(space)

    assert space.ready() == [front_early, front_late, older, plain]


@pytest.mark.fault(6)
def test_a_retried_job_for_the_front_is_next(space: Keyspace) -> None:
    again = fail_once(space, -1, enqueue_at_front=True)
    older = space.enqueue(queue="failing")

    run(space)

    assert space.ready("failing") == [again, older]


def test_each_job_goes_to_its_queue(space: Keyspace) -> None:
    jobs = {queue: schedule(space, -1, queue=queue) for queue in ("a", "b:c", "d")}

    assert run(space).moved == 3

    assert {queue: space.ready(queue) for queue in jobs} == {queue: [job] for queue, job in jobs.items()}


@pytest.mark.parametrize("stored", [None, ""])
def test_a_job_without_queue_goes_to_default(space: Keyspace, stored: str | None) -> None:
    job_id = schedule(space, -1)
    if stored is None:
        space.raw.hdel(space.keys.job(job_id), "queue")
    else:
        space.raw.hset(space.keys.job(job_id), "queue", stored)

    run(space)

    assert space.ready("default") == [job_id]
    assert space.field(job_id, "queue") == "default"


@pytest.mark.fault(13, 25)
def test_ids_without_a_waiting_job_are_dropped_and_nothing_else_changes(space: Keyspace) -> None:
    ready = space.enqueue()
    space.raw.set(space.keys.job("text"), "no hash")
    space.raw.hset(space.keys.job("stub"), "error", "left behind")
    space.raw.zadd(space.keys.scheduled, {ready: 1, "deleted": 2, "text": 3, "stub": 4})
    live = schedule(space, -1)

    done = run(space)

    assert (done.moved, done.dropped) == (1, 4)
    assert space.members(space.keys.scheduled) == []
    assert space.ready() == [ready, live], "the ready job keeps its one place"
    assert space.raw.exists(space.keys.job("deleted")) == 0, "no hash comes back to life"
    assert space.fields("stub") == {"error": "left behind"}


def test_a_repeated_call_changes_nothing(space: Keyspace) -> None:
    job_id = schedule(space, -1)

    assert run(space).moved == 1
    assert run(space).moved == 0

    assert space.ready() == [job_id]


def test_a_call_is_bounded_and_says_that_there_is_more(space: Keyspace) -> None:
    jobs = [schedule(space, -10 + n) for n in range(5)]

    done = [run(space, 2) for _ in range(3)]

    assert [(item.moved, item.more) for item in done] == [(2, True), (2, True), (1, False)]
    assert space.ready() == jobs


def test_dropped_ids_count_towards_the_limit(space: Keyspace) -> None:
    space.raw.zadd(space.keys.scheduled, {f"gone-{n}": n for n in range(3)})

    done = run(space, 2)

    assert (done.dropped, done.more) == (2, True)


def test_a_wrong_typed_scheduled_set_is_named_and_nothing_is_written(space: Keyspace) -> None:
    space.raw.set(space.keys.scheduled, "no zset")
    before = space.dump()

    with pytest.raises(StoreError, match=space.keys.scheduled):
        run(space)

    assert space.dump() == before


@pytest.mark.fault(55)
def test_a_queue_that_cannot_take_jobs_does_not_stop_the_others(space: Keyspace) -> None:
    stuck = [schedule(space, -60 + n, queue="broken") for n in range(5)]
    space.raw.set(space.keys.ready("broken"), "no list")
    fine = schedule(space, -1)

    done = run(space, 2)

    assert (done.moved, done.more, done.broken) == (1, False, [space.keys.ready("broken")])
    assert space.ready() == [fine]
    assert space.members(space.keys.scheduled) == sorted(stuck)
    assert {space.status(job_id) for job_id in stuck} == {"scheduled"}

    space.raw.delete(space.keys.ready("broken"))
    assert [run(space, 2).moved for _ in range(3)] == [2, 2, 1]
    assert space.ready("broken") == stuck


@pytest.mark.fault(18)
def test_the_callers_clock_does_not_matter(space: Keyspace, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = schedule(space, 60)
    shifted = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: shifted)

    assert run(space).moved == 0
    assert space.status(job_id) == "scheduled"


@pytest.mark.fault(5)
def test_twenty_thousand_due_jobs_take_forty_calls(space: Keyspace) -> None:
    pipe = space.raw.pipeline(transaction=False)
    for n in range(20_000):
        job = {"id": f"j{n}", "type": "t", "queue": f"q{n % 3}", "status": "scheduled", "payload": "{}"}
        pipe.hset(space.keys.job(f"j{n}"), mapping=job)
        pipe.zadd(space.keys.scheduled, {f"j{n}": n})
    pipe.execute()

    begun, calls = time.monotonic(), 1
    while run(space).more:
        calls += 1
    took = time.monotonic() - begun

    assert calls == 40
    assert took < 4, "5,000 a second at the least"
    assert space.raw.zcard(space.keys.scheduled) == 0
    assert space.ready("q0")[:2] == ["j0", "j3"]
    assert sum(space.raw.llen(space.keys.ready(f"q{n}")) for n in range(3)) == 20_000


def test_what_moved_is_told(space: Keyspace) -> None:
    with space.raw.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(space.keys.events)
        listener.get_message(timeout=1)
        job_id = schedule(space, -1)
        run(space)
        told: list[dict[str, Any]] = []
        while not told or told[-1]["op"] != "promote":
            message = listener.get_message(timeout=2)
            assert message is not None
            told.append(json.loads(message["data"]))

    assert told[-1]["ch"] == [[job_id, "scheduled", "ready"]]
