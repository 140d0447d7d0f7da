"""One key space with Go processes: their records moved by our scripts, and ours as they read them."""

from __future__ import annotations

from typing import Any

from gqm.job import Status, new_job
from gqm.store.commands import operate
from gqm.store.commands.enqueue import enqueue
from gqm.store.commands.jobs import get_job
from gqm.store.commands.lease import reap_overdue
from gqm.store.commands.schedule import promote, sweep_dag
from gqm.store.commands.settle import Completion, complete
from tests.support.keyspace import Keyspace

WHOLE_NUMBERS = (
    "max_retry",
    "created_at",
    "retry_count",
    "timeout",
    "scheduled_at",
    "started_at",
    "completed_at",
)


def go_enqueue(space: Keyspace, job_id: str, **fields: str | int) -> None:
    """Write a job and push it as a Go producer does: HSET, SADD, LPUSH, none of our own fields."""
    created = int(space.now())
    job = {"id": job_id, "type": "t", "queue": "default", "status": "ready", "payload": "{}", "max_retry": 3}
    space.raw.hset(space.keys.job(job_id), mapping={**job, "created_at": created, **fields})
    space.raw.sadd(space.keys.queues, "default")
    space.raw.lpush(space.keys.ready("default"), job_id)


def test_a_job_of_a_go_producer_is_claimed_with_the_pools_budget(space: Keyspace) -> None:
    go_enqueue(space, "go-1")
    go_enqueue(space, "go-2", max_retry=7, timeout=90)
    first, second = space.claim(2, budget=5)
    assert (first.id, first.budget, first.attempt) == ("go-1", 5, 1)
    assert (second.id, second.budget, second.timeout_ms) == ("go-2", 7, 90_000)


def test_what_go_reads_is_whole_numbers_as_text(space: Keyspace, store: Any) -> None:
    (claim,) = space.running(1, max_retry=0, timeout=1.2)
    store.run(
        complete(space.keys, "default", [Completion(claim, 5, b"[1]")], result_ttl=None, failure_ttl=None)
    )
    fields = space.fields(claim.id)
    for name in WHOLE_NUMBERS:
        assert fields.get(name, "0").isdecimal(), name
    assert (fields["timeout"], fields["max_retry"], fields["status"]) == ("2", "0", "completed")
    assert fields["result"] == "[1]"
    counter = space.raw.get(space.keys.total("default", "processed"))
    assert counter == b"1"
    assert space.raw.zscore(space.keys.completed("default"), claim.id).is_integer()


def test_a_go_worker_that_ends_our_claim_leaves_the_holder_without_it(space: Keyspace, store: Any) -> None:
    (claim,) = space.running()
    # A Go reaper takes the job from processing and pushes it again; it knows no tokens and leaves ours.
    space.raw.zrem(space.keys.processing("default"), claim.id)
    space.raw.hset(space.keys.job(claim.id), mapping={"status": "ready"})
    space.raw.lpush(space.keys.ready("default"), claim.id)
    settled = store.run(
        complete(space.keys, "default", [Completion(claim, 5)], result_ttl=None, failure_ttl=None)
    )
    assert settled.answers == [0]
    assert space.status(claim.id) == "ready"
    assert space.beat(active=[claim]).lost == [(claim.id, claim.token)]


def test_a_go_cancel_reaches_the_handler_with_the_next_heartbeat(space: Keyspace) -> None:
    (claim,) = space.running()
    space.raw.zrem(space.keys.processing("default"), claim.id)
    space.raw.hset(space.keys.job(claim.id), "status", "canceled")
    assert space.beat(active=[claim]).lost == [(claim.id, claim.token)]


def test_a_claim_of_a_go_worker_is_only_taken_once_it_is_overdue(space: Keyspace, store: Any) -> None:
    space.foreign("fresh", overdue_s=5, max_retry=3)
    space.foreign("late", overdue_s=60, max_retry=3)
    found = store.run(reap_overdue(space.keys, ["default"], 25, None))
    assert (found.recovered, found.dead) == (1, 0)
    assert (space.status("fresh"), space.status("late")) == ("processing", "ready")
    assert space.field("late", "retry_count") == "1"


def test_a_retry_that_go_scheduled_is_promoted(space: Keyspace, store: Any) -> None:
    go_enqueue(space, "go-1")
    space.raw.lrem(space.keys.ready("default"), 0, "go-1")
    space.raw.hset(space.keys.job("go-1"), mapping={"status": "retry", "retry_count": 1, "error": "boom"})
    space.raw.zadd(space.keys.scheduled, {"go-1": int(space.now()) - 1})
    assert store.run(promote(space.keys)).moved == 1
    (claim,) = space.claim()
    assert claim.id == "go-1"


def test_a_cascade_that_go_leaves_out_is_made_by_the_sweep(space: Keyspace, store: Any) -> None:
    parent = space.enqueue()
    child = space.enqueue(depends_on=parent)
    # Go cancels a ready parent without telling its children.
    space.raw.lrem(space.keys.ready("default"), 0, parent)
    space.raw.hset(space.keys.job(parent), "status", "canceled")
    space.age_job(child, 120)
    cursor = ""
    while True:
        mended = store.run(sweep_dag(space.keys, cursor))
        cursor = mended.cursor
        if not cursor:
            break
    assert space.status(child) == "canceled"


def test_failed_jobs_of_go_run_again_when_an_operator_says_so(space: Keyspace, store: Any) -> None:
    go_enqueue(space, "go-1")
    space.raw.lrem(space.keys.ready("default"), 0, "go-1")
    space.raw.hset(space.keys.job("go-1"), mapping={"status": "failed", "failed_at": 1, "error": "x"})
    job = store.run(get_job(space.keys, "go-1"))
    assert job is not None
    assert job.status is Status.FAILED
    assert store.run(operate.requeue(space.keys, "go-1")) == "failed"
    assert space.ready() == ["go-1"]


def test_unknown_fields_of_other_programs_are_kept(space: Keyspace, store: Any) -> None:
    go_enqueue(space, "go-1", go_only="kept")
    (claim,) = space.claim()
    assert claim.fields[b"go_only"] == b"kept"
    store.run(complete(space.keys, "default", [Completion(claim, 5)], result_ttl=None, failure_ttl=None))
    assert space.field("go-1", "go_only") == "kept"


def test_our_jobs_have_all_that_a_go_worker_reads(space: Keyspace, store: Any) -> None:
    job = new_job("t", {"n": 1}, {"meta": {"k": "v"}, "retry_intervals": [1, 2], "enqueue_at_front": True})
    store.run(enqueue(space.keys, job))
    fields = space.fields(job.id)
    assert {"id", "type", "queue", "status", "payload", "max_retry", "created_at"} <= fields.keys()
    assert (fields["payload"], fields["meta"]) == ('{"n":1}', '{"k":"v"}')
    assert (fields["retry_intervals"], fields["enqueue_at_front"]) == ("[1,2]", "1")
