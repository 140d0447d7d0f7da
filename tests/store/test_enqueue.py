"""Enqueueing one job: the state it gets, whose id it may take, and that a second send changes nothing."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis

from gqm.errors import (
    CyclicDependency,
    DependencyNotFound,
    DuplicateJobID,
    InvalidJob,
    RedisUnavailable,
    StoreError,
)
from gqm.job import NewJob, Status, new_job
from gqm.keys import Keys
from gqm.store.commands.enqueue import Mode, enqueue
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from tests.support.keyspace import Keyspace
from tests.support.listen import Listener
from tests.support.servers import ServerFactory


def make(**options: Any) -> NewJob:
    return new_job("t", {"n": 1}, options)  # type: ignore[arg-type]


def put(space: Keyspace, job: NewJob, mode: Mode = "now", when_ms: int = 0, **defaults: int) -> Status:
    return space.store.run(enqueue(space.keys, job, mode=mode, when_ms=when_ms, **defaults))


def ledger(space: Keyspace, queue: str = "default") -> dict[str, int]:
    return {name.decode(): int(n) for name, n in space.raw.hgetall(space.keys.ledger(queue)).items()}


def end(space: Keyspace, job_id: str, state: str) -> None:
    """Let a ready job have ended, as its own scripts would leave it."""
    space.raw.lrem(space.keys.ready("default"), 0, job_id)
    space.raw.hset(space.keys.job(job_id), mapping={"status": state, "completed_at": int(time.time())})
    place = {"stopped": "canceled", "failed": None}.get(state, state)
    if place:
        space.raw.zadd(f"{space.keys.prefix}queue:default:{place}", {job_id: 1})
    ledger_name = {"completed": "processed", "dead_letter": "dead", "failed": "dead"}.get(state, "canceled")
    space.raw.hincrby(space.keys.ledger("default"), ledger_name, 1)
    space.raw.expire(space.keys.job(job_id), 100)


# ------------------------------------------------------------------------------------ to ready (1)


@pytest.mark.parametrize("job_id", [None, "mine"])
def test_job_becomes_ready(space: Keyspace, job_id: str | None) -> None:
    job = make(queue="mail", timeout=7) if job_id is None else make(queue="mail", timeout=7, job_id=job_id)
    before = space.now()

    assert put(space, job) is Status.READY

    found = space.fields(job.id)
    assert before - 1 <= int(found.pop("created_at")) <= space.now()
    assert before * 1000 - 1 <= int(found.pop("ready_at_ms")) <= space.now() * 1000
    assert found.pop("nonce", "") == job.nonce
    assert found == {
        "id": job.id,
        "type": "t",
        "queue": "mail",
        "status": "ready",
        "payload": '{"n":1}',
        "max_retry": "3",
        "timeout": "7",
    }
    assert space.ready("mail") == [job.id]
    assert space.members(space.keys.queues) == ["mail"]
    assert ledger(space, "mail") == {"accepted": 1}
    space.assert_sound()


def test_jobs_run_in_the_order_they_came_but_front_ones_first(space: Keyspace) -> None:
    first, second = make(), make(job_id="second")
    front, later_front = make(enqueue_at_front=True), make(enqueue_at_front=True, job_id="front")
    for job in (first, second, front, later_front):
        put(space, job)
    assert space.ready() == [later_front.id, front.id, first.id, second.id]


@pytest.mark.fault(31)
@pytest.mark.parametrize("job_id", [None, "mine"])
def test_lost_queues_set_comes_back_with_the_next_job(space: Keyspace, job_id: str | None) -> None:
    put(space, make())
    space.raw.delete(space.keys.queues)
    put(space, make() if job_id is None else make(job_id=job_id))
    assert space.members(space.keys.queues) == ["default"]


def test_huge_and_odd_payloads_are_stored_byte_for_byte(space: Keyspace) -> None:
    payload = {"text": "x" * 1_000_000, "odd": '\0‮𝄞"\\', "n": 2**63 - 1}
    job = new_job("t", payload)
    put(space, job)
    stored = dict(zip(job.fields[::2], job.fields[1::2], strict=True))["payload"]
    assert space.raw.hget(space.keys.job(job.id), "payload") == stored


# -------------------------------------------------------------------------------- to scheduled (2)


def test_future_job_is_scheduled_with_milliseconds(space: Keyspace) -> None:
    when_ms = int(space.now() * 1000) + 60_123
    job = make()
    with Listener(space.raw, space.keys.control) as control:
        assert put(space, job, "at", when_ms) is Status.SCHEDULED
        assert control.heard() == [{"op": "due", "at": when_ms / 1000}]
    assert space.raw.zscore(space.keys.scheduled, job.id) == when_ms / 1000
    assert space.field(job.id, "scheduled_at") == str(when_ms // 1000)
    assert space.field(job.id, "ready_at_ms") is None
    assert space.members(space.keys.queues) == ["default"]
    space.assert_sound()


@pytest.mark.fault(8)
def test_delay_counts_from_the_server_clock_in_milliseconds(space: Keyspace) -> None:
    job = make()
    before = space.now()
    assert put(space, job, "in", 300) is Status.SCHEDULED
    assert before + 0.3 <= space.raw.zscore(space.keys.scheduled, job.id) + 0.001
    assert space.raw.zscore(space.keys.scheduled, job.id) <= space.now() + 0.3


def test_only_the_first_due_job_wakes_the_scheduler(space: Keyspace) -> None:
    put(space, make(), "in", 10_000)
    with Listener(space.raw, space.keys.control) as control:
        put(space, make(), "in", 20_000)
        assert control.heard() == []
        put(space, make(), "in", 5_000)
        assert [message["op"] for message in control.heard()] == ["due"]


@pytest.mark.parametrize(("mode", "when_ms"), [("at", 1_000), ("in", 0)])
def test_due_now_or_earlier_is_ready_at_once(space: Keyspace, mode: Mode, when_ms: int) -> None:
    job = make()
    assert put(space, job, mode, when_ms) is Status.READY
    assert space.ready() == [job.id]
    assert space.field(job.id, "scheduled_at") is not None
    space.assert_sound()


def test_depends_on_with_a_time_is_refused_before_anything_is_sent(space: Keyspace) -> None:
    with pytest.raises(InvalidJob, match="depends_on is not possible together with"):
        enqueue(space.keys, make(depends_on="a"), mode="in", when_ms=5)


# --------------------------------------------------------------------- behind parents (3, 4)


def test_child_of_live_parents_waits(space: Keyspace) -> None:
    a, b = space.enqueue(), space.enqueue()
    created = space.field(a, "created_at")
    child = make(depends_on=[b, a, b])

    assert put(space, child) is Status.DEFERRED

    keys = space.keys
    assert space.members(keys.deferred) == [child.id]
    assert space.members(keys.deps(child.id)) == space.members(keys.pending_deps(child.id)) == sorted([a, b])
    for parent in (a, b):
        assert space.members(keys.dependents(parent)) == space.members(keys.children(parent)) == [child.id]
        assert space.raw.ttl(keys.children(parent)) == -1
        assert str(int(space.raw.zscore(keys.dag_roots, parent))) == created
    assert space.field(child.id, "depends_on") == f'["{b}","{a}","{b}"]'
    assert space.ready() == [a, b]
    space.assert_sound()


def test_middle_of_a_chain_is_no_root(space: Keyspace) -> None:
    a = space.enqueue()
    b = space.enqueue(depends_on=a)
    space.enqueue(depends_on=b)
    assert space.members(space.keys.dag_roots) == [a]


def test_parent_whose_own_parents_are_gone_is_a_root(space: Keyspace) -> None:
    a = space.enqueue()
    b = space.enqueue(depends_on=a)
    space.raw.delete(space.keys.job(a))
    space.enqueue(depends_on=b)
    assert space.members(space.keys.dag_roots) == sorted([a, b])


def test_completed_parent_is_resolved(space: Keyspace) -> None:
    a, b = space.enqueue(), space.enqueue()
    end(space, a, "completed")
    space.raw.expire(space.keys.job(a), 1000)

    waiting = space.enqueue(depends_on=[a, b])
    free = space.enqueue(depends_on=[a])

    assert space.members(space.keys.pending_deps(waiting)) == [b]
    assert space.members(space.keys.deps(waiting)) == sorted([a, b])
    assert space.status(free) == "ready"
    assert not space.raw.exists(space.keys.deps(free), space.keys.dependents(a))
    assert space.members(space.keys.children(a)) == sorted([waiting, free])
    assert 4590 <= space.raw.ttl(space.keys.children(a)) <= 4600, "an hour more than the parent"
    space.assert_sound()


@pytest.mark.parametrize("state", ["dead_letter", "canceled", "stopped", "failed"])
def test_failed_parent_cancels(space: Keyspace, state: str) -> None:
    a, b = space.enqueue(), space.enqueue()
    end(space, a, state)
    child = make(depends_on=[b, a], failure_ttl=50)

    assert put(space, child) is Status.CANCELED

    assert space.field(child.id, "cancel_reason") == f"parent failed: {a}"
    assert space.field(child.id, "completed_at") is not None
    assert child.id in space.members(space.keys.canceled("default"))
    assert 45 <= space.raw.ttl(space.keys.job(child.id)) <= 50
    assert not space.raw.exists(space.keys.deps(child.id), space.keys.pending_deps(child.id))
    assert ledger(space)["accepted"] == 3
    space.assert_sound()


@pytest.mark.parametrize(
    ("own", "default", "setting", "ttl"),
    [
        (None, None, None, 2_592_000),
        (None, None, 77, 77),
        (None, 88, 77, 88),
        (99, 88, 77, 99),
        (-1, 88, 77, -1),
    ],
)
@pytest.mark.fault(38)
def test_whose_failure_ttl_counts(
    space: Keyspace, own: int | None, default: int | None, setting: int | None, ttl: int
) -> None:
    a = space.enqueue()
    end(space, a, "dead_letter")
    if setting is not None:
        space.raw.hset(space.keys.settings, "failure_ttl", setting)
    child = make(depends_on=a) if own is None else make(depends_on=a, failure_ttl=own)
    space.store.run(enqueue(space.keys, child, failure_ttl=default))
    found = space.raw.ttl(space.keys.job(child.id))
    assert found == ttl if ttl < 0 else ttl - 5 <= found <= ttl


def test_child_that_is_kept_for_0_seconds_leaves_nothing(space: Keyspace) -> None:
    a = space.enqueue()
    end(space, a, "dead_letter")
    child = make(depends_on=a, failure_ttl=0)
    assert put(space, child) is Status.CANCELED
    assert not space.raw.exists(space.keys.job(child.id))
    assert child.id not in space.members(space.keys.canceled("default"))
    space.assert_sound()


@pytest.mark.fault(40)
def test_allow_failure_runs_behind_failed_parents_once_all_have_ended(space: Keyspace) -> None:
    a, b = space.enqueue(), space.enqueue()
    end(space, a, "dead_letter")
    waits = space.enqueue(depends_on=[a, b], allow_failure=True)
    assert space.status(waits) == "deferred"
    assert space.members(space.keys.pending_deps(waits)) == [b]
    end(space, b, "canceled")
    assert space.status(space.enqueue(depends_on=[a, b], allow_failure=True)) == "ready"


@pytest.mark.fault(42)
@pytest.mark.parametrize("ghost", ["never-was", "stub"])
def test_unknown_parent_is_refused_and_nothing_written(space: Keyspace, ghost: str) -> None:
    a = space.enqueue()
    space.raw.hset(space.keys.job("stub"), "last_heartbeat", 1)
    before = space.dump()
    with pytest.raises(DependencyNotFound, match=f"depends on '{ghost}', which does not exist"):
        put(space, make(depends_on=[a, ghost]))
    assert space.dump() == before


@pytest.mark.fault(45)
def test_cycle_is_refused_and_nothing_written(space: Keyspace) -> None:
    root = space.enqueue()
    a = space.enqueue(job_id="a", depends_on=root)
    b = space.enqueue(job_id="b", depends_on=a)
    c = space.enqueue(job_id="c", depends_on=[root, b])
    # The record of a is lost: its id is free again while others still wait for it.
    space.raw.delete(space.keys.job(a))
    before = space.dump()
    with pytest.raises(CyclicDependency, match="'a' would wait for itself: its parent 'c' leads back to it"):
        put(space, make(job_id="a", depends_on=[root, c]))
    assert space.dump() == before


def test_two_jobs_that_would_wait_for_each_other_cannot_both_be(space: Keyspace) -> None:
    for first, second in (("a", "b"), ("b", "a")):
        with pytest.raises(DependencyNotFound):
            put(space, make(job_id=first, depends_on=second))
    assert space.dump() == {}


@pytest.mark.fault(10)
def test_ladder_of_20_layers_visits_each_node_once(space: Keyspace) -> None:
    layer = [space.enqueue(job_id="l0a"), space.enqueue(job_id="l0b")]
    for n in range(1, 20):
        layer = [space.enqueue(job_id=f"l{n}{side}", depends_on=layer) for side in "ab"]
    job = make(job_id="end", depends_on=layer)
    space.raw.config_resetstat()
    before = time.perf_counter()
    assert put(space, job) is Status.DEFERRED
    assert time.perf_counter() - before < 0.5, "with 2^20 paths it would take minutes"
    assert space.raw.info("commandstats")["cmdstat_smembers"]["calls"] == 40


@pytest.mark.fault(47)
def test_depth_alone_is_no_cycle(space: Keyspace) -> None:
    keys, pipeline = space.keys, space.raw.pipeline(transaction=False)
    for n in range(5000):
        pipeline.hset(keys.job(f"n{n}"), mapping={"id": f"n{n}", "status": "deferred"})
        pipeline.sadd(keys.deps(f"n{n}"), f"n{n + 1}")
    pipeline.execute()
    assert put(space, make(job_id="deep", depends_on="n0")) is Status.DEFERRED
    with pytest.raises(CyclicDependency):
        put(space, make(job_id="n5000", depends_on="n0"))


def test_a_thousand_parents(space: Keyspace) -> None:
    parents = [space.enqueue() for _ in range(1000)]
    child = space.enqueue(depends_on=parents)
    assert len(space.members(space.keys.pending_deps(child))) == 1000
    assert space.members(space.keys.dependents(parents[500])) == [child]


# ------------------------------------------------------------------------ the id is taken (5, §7)


@pytest.mark.parametrize("state", ["ready", "scheduled", "retry", "deferred", "processing"])
@pytest.mark.parametrize("unique", [False, True])
def test_live_job_keeps_its_id(space: Keyspace, state: str, unique: bool) -> None:
    put(space, make(job_id="a"))
    space.raw.hset(space.keys.job("a"), "status", state)
    before = space.dump()
    with pytest.raises(DuplicateJobID, match=f"job id 'a' is taken: that job is {state}"):
        put(space, make(job_id="a", unique=unique))
    assert space.dump() == before


@pytest.mark.parametrize("state", ["completed", "dead_letter", "canceled", "stopped", "failed"])
def test_ended_job_keeps_its_id_from_unique_ones(space: Keyspace, state: str) -> None:
    put(space, make(job_id="a"))
    end(space, "a", state)
    before = space.dump()
    with pytest.raises(DuplicateJobID, match=f"that job is {state}"):
        put(space, make(job_id="a", unique=True))
    assert space.dump() == before


@pytest.mark.fault(16)
@pytest.mark.parametrize("state", ["completed", "dead_letter", "canceled", "stopped", "failed"])
@pytest.mark.parametrize("target", ["ready", "scheduled", "deferred", "canceled"])
def test_ended_job_makes_room_with_all_that_belonged_to_it(space: Keyspace, state: str, target: str) -> None:
    keys, raw = space.keys, space.raw
    parent, failed = space.enqueue(), space.enqueue()
    end(space, failed, "dead_letter")
    put(space, make(job_id="a", meta={"old": 1}))
    end(space, "a", state)
    raw.hset(keys.job("a"), mapping={"error": "old", "result": "1", "retry_count": 2, "traceback": "old"})
    raw.rpush(keys.attempts("a"), "{}")
    for side in (keys.deps, keys.pending_deps, keys.dependents, keys.children):
        raw.sadd(side("a"), "x")
    raw.zadd(keys.dag_roots, {"a": 1})

    if target == "scheduled":
        put(space, make(job_id="a"), "in", 60_000)
    else:
        parents = {"ready": [], "deferred": [parent], "canceled": [failed]}[target]
        put(space, make(job_id="a", depends_on=parents))

    found = space.fields("a")
    assert found["status"] == target
    assert not found.keys() & {"error", "result", "retry_count", "traceback", "meta"}
    assert (raw.ttl(keys.job("a")) == -1) == (target != "canceled")
    assert not raw.exists(keys.attempts("a"), keys.dependents("a"), keys.children("a"))
    assert space.members(keys.deps("a")) == ([parent] if target == "deferred" else [])
    assert "a" not in space.members(keys.dag_roots)
    space.assert_sound()


@pytest.mark.fault(15)
@pytest.mark.parametrize("unique", [False, True])
def test_stub_without_status_blocks_no_id(space: Keyspace, unique: bool) -> None:
    space.raw.hset(space.keys.job("a"), mapping={"last_heartbeat": 1, "nonce": "old"})
    space.raw.expire(space.keys.job("a"), 50)
    assert put(space, make(job_id="a", unique=unique)) is Status.READY
    assert space.field("a", "last_heartbeat") is None
    assert space.raw.ttl(space.keys.job("a")) == -1
    space.assert_sound()


@pytest.mark.fault(15)
@pytest.mark.parametrize("parents", [0, 1])
def test_stub_of_a_generated_id_is_cleared_too(space: Keyspace, parents: int) -> None:
    job = make(depends_on=[space.enqueue() for _ in range(parents)])
    space.raw.hset(space.keys.job(job.id), "last_heartbeat", 1)
    put(space, job)
    assert space.field(job.id, "last_heartbeat") is None


# -------------------------------------------------------------------------------- sent once more


def variants(space: Keyspace) -> list[tuple[NewJob, Mode, int]]:
    parent, failed = space.enqueue(), space.enqueue()
    end(space, failed, "dead_letter")
    return [
        (make(), "now", 0),
        (make(job_id="own"), "now", 0),
        (make(job_id="own-unique", unique=True), "now", 0),
        (make(), "in", 60_000),
        (make(job_id="own-later"), "in", 60_000),
        (make(depends_on=parent), "now", 0),
        (make(job_id="own-child", depends_on=parent), "now", 0),
        (make(depends_on=failed), "now", 0),
    ]


@pytest.mark.fault(15)
@pytest.mark.parametrize("index", range(8))
def test_second_send_reports_the_first_outcome_and_changes_nothing(space: Keyspace, index: int) -> None:
    job, mode, when_ms = variants(space)[index]
    first = put(space, job, mode, when_ms)
    before = space.dump()
    assert put(space, job, mode, when_ms) is first
    assert space.dump() == before


@pytest.mark.parametrize("job_id", [None, "own"])
@pytest.mark.parametrize("state", ["processing", "completed", "dead_letter"])
def test_second_send_tells_what_the_job_has_come_to(space: Keyspace, job_id: str | None, state: str) -> None:
    job = make() if job_id is None else make(job_id=job_id)
    put(space, job)
    space.raw.hset(space.keys.job(job.id), "status", state)
    before = space.dump()
    assert put(space, job) == state
    assert space.dump() == before


# -------------------------------------------------------------------- wrong types, no memory


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("queues", "plain"),
        ("queue:default:ready", "plain"),
        ("queues", "own"),
        ("queue:default:ready", "own"),
        ("job:own", "own"),
        ("scheduled", "later"),
        ("deferred", "child"),
        ("dag:roots", "child"),
        ("job:parent:children", "child"),
        ("job:parent:dependents", "child"),
        ("queue:default:canceled", "canceled"),
    ],
)
def test_key_of_a_wrong_type_is_named_and_nothing_written(space: Keyspace, name: str, kind: str) -> None:
    space.enqueue(job_id="parent")
    if kind == "canceled":
        end(space, "parent", "dead_letter")
    job = {
        "plain": make(),
        "own": make(job_id="own"),
        "later": make(),
        "child": make(depends_on="parent"),
        "canceled": make(depends_on="parent"),
    }[kind]
    key = space.keys.prefix + name
    space.raw.delete(key)
    space.raw.set(key, "text")
    before = space.dump()
    with pytest.raises(StoreError, match=f"key {key} at .* has a Redis type that GQM never writes"):
        put(space, job, "in" if kind == "later" else "now", 60_000)
    assert space.dump() == before


@pytest.mark.parametrize("name", ["stats:default:ledger", "events:rate"])
def test_broken_counters_do_not_stop_jobs(space: Keyspace, name: str) -> None:
    space.raw.lpush(space.keys.prefix + name, "x")
    for job in (make(), make(job_id="own")):
        assert put(space, job) is Status.READY
    assert len(space.ready()) == 2


@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_full_memory_refuses_the_whole_job(start_server: ServerFactory, kind: str) -> None:
    server = start_server(kind=kind)
    store = Store(plain_link(Keys("t:"), "full", {"unix_socket_path": server.socket}))
    space = Keyspace(store, redis.Redis(unix_socket_path=server.socket, protocol=2))
    parent = space.enqueue()
    jobs = [make(), make(job_id="own"), make(depends_on=parent), make()]
    before = space.dump()
    space.raw.config_set("maxmemory", 1)
    for job in jobs:
        with pytest.raises(RedisUnavailable, match=r"does not serve requests now: .*maxmemory"):
            put(space, job)
    with pytest.raises(RedisUnavailable, match=r"does not serve requests now: .*maxmemory"):
        put(space, jobs[3], "in", 60_000)
    assert space.dump() == before
    space.raw.config_set("maxmemory", 0)
    assert [put(space, job) for job in jobs] == ["ready", "ready", "deferred", "ready"]
    space.assert_sound()
    space.raw.close()
    store.close()


# ------------------------------------------------------------------------------ events


def test_each_enqueue_is_one_message(space: Keyspace) -> None:
    parent, plain, later = make(job_id="p"), make(queue="mail"), make()
    with Listener(space.raw, space.keys.events) as events:
        put(space, parent)
        put(space, plain)
        put(space, later, "in", 60_000)
        put(space, make(job_id="c", depends_on="p"))
        heard = events.heard()
    assert [(m["v"], m["op"], m["queue"], m["n"], m["ch"]) for m in heard] == [
        (1, "enqueue", "default", 1, [["p", "", "ready"]]),
        (1, "enqueue", "mail", 1, [[plain.id, "", "ready"]]),
        (1, "enqueue", "default", 1, [[later.id, "", "scheduled"]]),
        (1, "enqueue", "default", 1, [["c", "", "deferred"]]),
    ]
    assert all(abs(m["t"] / 1000 - space.now()) < 5 for m in heard)


def test_a_hundred_messages_a_second_then_one_overflow(space: Keyspace) -> None:
    keys, raw = space.keys, space.raw
    with Listener(raw, keys.events) as events:
        raw.set(keys.events_rate, 97, ex=1)
        for n in range(8):
            put(space, make() if n % 2 else make(job_id=f"own{n}"))
            raw.persist(keys.events_rate)  # this second does not end
        assert [message["op"] for message in events.heard()] == ["enqueue"] * 3 + ["overflow"]
        raw.delete(keys.events_rate)  # the next second
        put(space, make())
        assert [message["op"] for message in events.heard()] == ["enqueue"]
    assert raw.ttl(keys.events_rate) == 1
