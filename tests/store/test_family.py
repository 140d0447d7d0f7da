"""Parents and children: what the end of a job means for all that waited for it, in one call."""

from __future__ import annotations

import dataclasses
import random
import time
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gqm.job import new_job
from gqm.keys import Keys
from gqm.store.commands.claim import Claim
from gqm.store.commands.enqueue import enqueue
from gqm.store.commands.settle import Burial, Completion, Settled, complete, dead_letter
from gqm.store.connect import Link
from gqm.store.sync import Store
from tests.support.keyspace import Keyspace
from tests.support.listen import Listener


def finish(space: Keyspace, *jobs: Claim, failure_ttl: int | None = None) -> Settled:
    items = [Completion(job, 1) for job in jobs]
    return space.store.run(
        complete(space.keys, jobs[0].queue, items, result_ttl=None, failure_ttl=failure_ttl)
    )


def fail(space: Keyspace, *jobs: Claim, failure_ttl: int | None = None) -> Settled:
    items = [Burial(job, 1, "E: x") for job in jobs]
    return space.store.run(dead_letter(space.keys, jobs[0].queue, items, failure_ttl=failure_ttl))


def claim_of(space: Keyspace, job_id: str) -> Claim:
    """Claim one job that is ready, whatever lies ahead of it."""
    space.raw.lrem(space.keys.ready("default"), 0, job_id)
    space.raw.rpush(space.keys.ready("default"), job_id)
    (job,) = space.claim()
    assert job.id == job_id
    return job


def side_keys(space: Keyspace, job_id: str) -> set[str]:
    start = space.keys.job(job_id) + ":"
    return {key.decode().removeprefix(start) for key in space.raw.scan_iter(start + "*")}


# ------------------------------------------------------------------------------------ release (7)


def test_last_parent_releases_the_child(space: Keyspace) -> None:
    a, b = space.enqueue(), space.enqueue()
    child = space.enqueue(depends_on=[a, b])

    assert finish(space, claim_of(space, a)) == Settled([1], 0, 0)
    assert space.status(child) == "deferred"
    assert space.members(space.keys.pending_deps(child)) == [b]
    assert space.members(space.keys.deps(child)) == sorted([a, b])
    assert side_keys(space, a) == {"children"}
    space.assert_sound()

    assert finish(space, claim_of(space, b)) == Settled([1], 1, 0)
    assert space.status(child) == "ready"
    assert space.ready() == [child]
    assert side_keys(space, child) == set()
    assert abs(int(str(space.field(child, "ready_at_ms"))) / 1000 - space.now()) < 2
    assert space.members(space.keys.deferred) == []
    space.assert_sound()


def test_both_parents_in_one_call(space: Keyspace) -> None:
    a, b = space.enqueue(), space.enqueue()
    child = space.enqueue(depends_on=[a, b])
    assert finish(space, *space.claim(2)) == Settled([1, 1], 1, 0)
    assert space.ready() == [child]
    space.assert_sound()


def test_parents_children_are_kept_for_the_graph_an_hour_longer_than_the_parent(space: Keyspace) -> None:
    a = space.enqueue(result_ttl=100)
    child = space.enqueue(depends_on=a)
    finish(space, *space.claim())
    assert space.members(space.keys.children(a)) == [child]
    assert 3690 <= space.raw.ttl(space.keys.children(a)) <= 3700
    assert space.members(space.keys.dag_roots) == [a]


@pytest.mark.parametrize("how", ["completed", "dead_letter"])
def test_parent_that_is_kept_for_0_seconds_still_tells_its_children(space: Keyspace, how: str) -> None:
    a = space.enqueue(result_ttl=0, failure_ttl=0)
    child = space.enqueue(depends_on=a)
    end = finish if how == "completed" else fail
    assert sum(end(space, *space.claim())[1:]) == 1
    assert space.status(child) == ("ready" if how == "completed" else "canceled")
    assert list(space.raw.scan_iter(space.keys.job(a) + "*")) == []
    space.assert_sound()


@pytest.mark.fault(6)
def test_front_child_runs_before_older_jobs(space: Keyspace) -> None:
    a = space.enqueue()
    late = space.enqueue(depends_on=a)
    front = space.enqueue(depends_on=a, enqueue_at_front=True)
    (job,) = space.claim()
    old = space.enqueue()
    finish(space, job)
    assert space.ready() == [front, old, late]


def test_children_go_to_their_own_queues(space: Keyspace) -> None:
    a = space.enqueue()
    made = {queue: space.enqueue(depends_on=a, queue=queue) for queue in ("x", "y")}
    finish(space, *space.claim())
    assert {queue: space.ready(queue) for queue in made} == {queue: [job] for queue, job in made.items()}
    space.assert_sound()


@pytest.mark.fault(9)
def test_a_thousand_children_are_released_by_one_call(space: Keyspace) -> None:
    a = space.enqueue()
    jobs = [new_job("t", None, {"depends_on": a}) for _ in range(1000)]
    for job in jobs:
        space.store.run(enqueue(space.keys, job))
    (held,) = space.claim()
    before = time.perf_counter()
    assert finish(space, held) == Settled([1], 1000, 0)
    assert time.perf_counter() - before < 0.5, "loose: the machine may be busy"
    assert sorted(space.ready()) == sorted(job.id for job in jobs)
    space.assert_sound()


# ------------------------------------------------------------------------------------- cascade (8)


def test_failed_parent_cancels_the_child_with_its_reason(space: Keyspace) -> None:
    a, b = space.enqueue(), space.enqueue()
    child = space.enqueue(depends_on=[a, b])

    assert fail(space, claim_of(space, a)) == Settled([1], 0, 1)

    found = space.fields(child)
    assert (found["status"], found["cancel_reason"]) == ("canceled", f"parent failed: {a}")
    assert abs(int(found["completed_at"]) - space.now()) < 2
    assert side_keys(space, child) == set()
    assert space.members(space.keys.canceled("default")) == [child]
    assert 2_591_990 < space.raw.ttl(space.keys.job(child)) <= 2_592_000
    assert space.raw.hgetall(space.keys.ledger("default")) == {
        b"accepted": b"3",
        b"dead": b"1",
        b"canceled": b"1",
    }
    space.assert_sound()

    assert finish(space, claim_of(space, b)) == Settled([1], 0, 0), "the canceled child stays canceled"
    assert space.status(child) == "canceled"


@pytest.mark.fault(43)
def test_whole_subtree_is_canceled_in_the_same_call(space: Keyspace) -> None:
    a = space.enqueue()
    b, c = space.enqueue(depends_on=a), space.enqueue(depends_on=a)
    d = space.enqueue(depends_on=[b, c])
    e = space.enqueue(depends_on=d)
    tough = space.enqueue(depends_on=d, allow_failure=True)

    assert fail(space, *space.claim()) == Settled([1], 1, 4)

    assert [space.status(job) for job in (b, c, d, e, tough)] == ["canceled"] * 4 + ["ready"]
    assert space.field(e, "cancel_reason") == f"parent failed: {d}"
    assert all(side_keys(space, job) <= {"children"} for job in (a, b, c, d, e, tough))
    space.assert_sound()


@pytest.mark.fault(47)
def test_chain_of_5000_is_canceled_by_one_call(space: Keyspace) -> None:
    first = space.enqueue()
    keys, pipeline, ids = space.keys, space.raw.pipeline(transaction=False), [first]
    for n in range(5000):
        job_id = f"n{n}"
        pipeline.hset(keys.job(job_id), mapping={"id": job_id, "status": "deferred", "queue": "default"})
        pipeline.sadd(keys.deps(job_id), ids[-1])
        pipeline.sadd(keys.pending_deps(job_id), ids[-1])
        pipeline.sadd(keys.dependents(ids[-1]), job_id)
        pipeline.sadd(keys.deferred, job_id)
        ids.append(job_id)
    pipeline.hincrby(keys.ledger("default"), "accepted", 5000)
    pipeline.execute()

    assert fail(space, *space.claim()) == Settled([1], 0, 5000)

    assert space.raw.zcard(keys.canceled("default")) == 5000
    assert space.field("n4999", "cancel_reason") == "parent failed: n4998"
    space.assert_sound()


@pytest.mark.fault(40)
def test_allow_failure_waits_for_all_parents(space: Keyspace) -> None:
    a, b = space.enqueue(), space.enqueue()
    child = space.enqueue(depends_on=[a, b], allow_failure=True)
    assert fail(space, claim_of(space, a)) == Settled([1], 0, 0)
    assert space.status(child) == "deferred"
    assert fail(space, claim_of(space, b)) == Settled([1], 1, 0)
    assert space.status(child) == "ready"
    space.assert_sound()


@pytest.mark.parametrize(
    ("own", "default", "ttl"), [(None, 70, 70), (50, 70, 50), (-1, 70, -1), (None, -1, -1)]
)
def test_whose_failure_ttl_counts_for_canceled_children(
    space: Keyspace, own: int | None, default: int, ttl: int
) -> None:
    a = space.enqueue()
    options: dict[str, Any] = {} if own is None else {"failure_ttl": own}
    child = space.enqueue(depends_on=a, **options)
    fail(space, *space.claim(), failure_ttl=default)
    found = space.raw.ttl(space.keys.job(child))
    assert found == ttl if ttl < 0 else ttl - 5 <= found <= ttl


def test_canceled_child_that_is_kept_for_0_seconds_takes_its_subtree_along(space: Keyspace) -> None:
    a = space.enqueue()
    b = space.enqueue(depends_on=a, failure_ttl=0)
    c = space.enqueue(depends_on=b)
    assert fail(space, *space.claim()) == Settled([1], 0, 2)
    assert list(space.raw.scan_iter(space.keys.job(b) + "*")) == []
    assert space.status(c) == "canceled"
    space.assert_sound()


# ------------------------------------------------------------------------ what others left behind


@pytest.mark.fault(46)
def test_child_without_a_pending_set_is_not_started_unchecked(space: Keyspace) -> None:
    a, b = space.enqueue(), space.enqueue()
    child = space.enqueue(depends_on=[a, b])
    space.raw.delete(space.keys.pending_deps(child))
    assert finish(space, claim_of(space, a)) == Settled([1], 0, 0)
    assert fail(space, claim_of(space, b)) == Settled([1], 0, 0)
    assert space.status(child) == "deferred"
    assert space.members(space.keys.deferred) == [child]


@pytest.mark.parametrize("status", ["ready", "processing", "completed", "canceled", "scheduled"])
def test_child_in_another_state_is_left_alone(space: Keyspace, status: str) -> None:
    a = space.enqueue()
    child = space.enqueue(depends_on=a)
    space.raw.hset(space.keys.job(child), "status", status)
    before = space.fields(child)
    assert finish(space, *space.claim()) == Settled([1], 0, 0)
    assert space.fields(child) == before


@pytest.mark.fault(25)
def test_child_that_is_gone_does_not_come_back(space: Keyspace) -> None:
    a = space.enqueue()
    child = space.enqueue(depends_on=a)
    space.raw.delete(space.keys.job(child))
    assert finish(space, *space.claim()) == Settled([1], 0, 0)
    assert not space.raw.exists(space.keys.job(child))
    assert space.ready() == []


def test_child_that_does_not_wait_for_this_parent_is_left_alone(space: Keyspace) -> None:
    a, b = space.enqueue(), space.enqueue()
    child = space.enqueue(depends_on=b)
    space.raw.sadd(space.keys.dependents(a), child)
    assert fail(space, claim_of(space, a)) == Settled([1], 0, 0)
    assert space.status(child) == "deferred"


def test_child_of_a_program_that_names_no_queue_goes_to_default(space: Keyspace) -> None:
    a = space.enqueue()
    child = space.enqueue(depends_on=a)
    space.raw.hdel(space.keys.job(child), "queue")
    assert finish(space, *space.claim()) == Settled([1], 1, 0)
    assert space.ready() == [child]


def test_wrong_types_do_not_stop_the_walk_half_way(space: Keyspace) -> None:
    a = space.enqueue()
    blocked = space.enqueue(depends_on=a, queue="blocked")
    hurt = space.enqueue(depends_on=a)
    fine = space.enqueue(depends_on=a)
    space.raw.set(space.keys.ready("blocked"), "text")
    space.raw.delete(space.keys.pending_deps(hurt))
    space.raw.set(space.keys.pending_deps(hurt), "text")
    space.raw.sadd(space.keys.dependents(a), "string")
    space.raw.set(space.keys.job("string"), "text")
    (job,) = space.claim()

    assert finish(space, job) == Settled([1], 1, 0)

    assert [space.status(child) for child in (blocked, hurt, fine)] == ["deferred", "deferred", "ready"]
    assert space.members(space.keys.pending_deps(blocked)) == [a], "dag_sweep finds what to do"
    assert space.members(space.keys.deferred) == sorted([blocked, hurt])


def test_broken_dependents_key_does_not_stop_a_settle(space: Keyspace) -> None:
    a = space.enqueue()
    child = space.enqueue(depends_on=a)
    space.raw.delete(space.keys.dependents(a))
    space.raw.set(space.keys.dependents(a), "text")
    assert finish(space, *space.claim()) == Settled([1], 0, 0)
    assert space.status(child) == "deferred"


# -------------------------------------------------------------------------- the instant of an end


@pytest.mark.fault(41)
@pytest.mark.parametrize("order", ["child first", "end first"])
@pytest.mark.parametrize("how", ["completed", "dead_letter"])
def test_child_registered_as_its_parent_ends_is_never_stuck(space: Keyspace, order: str, how: str) -> None:
    (parent,) = space.running()
    end = finish if how == "completed" else fail
    if order == "end first":
        end(space, parent)
    child = space.enqueue(depends_on=parent.id)
    if order == "child first":
        end(space, parent)
    assert space.status(child) == ("ready" if how == "completed" else "canceled")
    space.assert_sound()


def test_settle_counts_and_names_all_it_changed(space: Keyspace) -> None:
    a = space.enqueue(job_id="a")
    space.enqueue(job_id="b", depends_on=a)
    space.enqueue(job_id="c", depends_on="b")
    jobs = space.claim()
    with Listener(space.raw, space.keys.events) as events:
        fail(space, *jobs)
        (message,) = events.heard()
    assert message["n"] == 3
    assert message["ch"] == [
        ["a", "processing", "dead_letter"],
        ["b", "deferred", "canceled"],
        ["c", "deferred", "canceled"],
    ]


# ------------------------------------------------------------------------------ against the rule

graphs = st.integers(2, 9).flatmap(
    lambda n: st.tuples(
        st.tuples(*[st.sets(st.integers(0, i - 1), max_size=3) if i else st.just(set()) for i in range(n)]),
        st.lists(st.booleans(), min_size=n, max_size=n),
        st.lists(st.booleans(), min_size=n, max_size=n),
    )
)


def expected(parents: Sequence[set[int]], tough: Sequence[bool], fails: Sequence[bool]) -> list[str]:
    """State of each job once everything has run, by the rule alone."""
    states: list[str] = []
    for i, above in enumerate(parents):
        failed = any(states[parent] != "completed" for parent in above)
        if failed and not tough[i]:
            states.append("canceled")
        else:
            states.append("dead_letter" if fails[i] else "completed")
    return states


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(graphs, st.integers(0, 2**32))
def test_any_graph_ends_as_the_rule_says_and_in_order(
    link: Link, raw: redis.Redis, graph: Any, seed: int
) -> None:
    parents, tough, fails = graph
    choose = random.Random(seed)
    store = Store(dataclasses.replace(link, keys=Keys(f"{link.keys.prefix}{uuid.uuid4().hex}:")))
    space = Keyspace(store, raw)
    ids: list[str] = []
    for above, allow in zip(parents, tough, strict=True):
        options: dict[str, Any] = {"depends_on": [ids[i] for i in above]} if above else {}
        ids.append(space.enqueue(allow_failure=allow, **options))
    while ready := space.ready():
        held = space.claim(choose.randint(1, len(ready)))
        for job in held:
            states = {space.status(ids[i]) for i in parents[ids.index(job.id)]}
            assert states <= {"completed", "dead_letter", "canceled"}, "ran before its parents ended"
        bad = [job for job in held if fails[ids.index(job.id)]]
        good = [job for job in held if job not in bad]
        for group, end in choose.sample([(bad, fail), (good, finish)], 2):
            if group:
                end(space, *group)
        space.assert_sound()
    assert [space.status(job_id) for job_id in ids] == expected(parents, tough, fails)
    assert space.members(space.keys.deferred) == []
    for job_id in ids:
        assert side_keys(space, job_id) <= {"children"}
    store.close()
