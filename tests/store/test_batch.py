"""Enqueueing many jobs in one call: all or nothing, and never twice."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from gqm.errors import BatchTooLarge, DuplicateJobID, InvalidJob, RedisUnavailable, StoreError
from gqm.job import MAX_BATCH, NewJob, new_job
from gqm.keys import Keys
from gqm.store.commands.enqueue import enqueue_batch
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from tests.support.keyspace import Keyspace
from tests.support.listen import Listener
from tests.support.servers import ServerFactory


def make(**options: Any) -> NewJob:
    return new_job("t", {"n": 1}, options)  # type: ignore[arg-type]


def put(space: Keyspace, jobs: list[NewJob]) -> int:
    return space.store.run(enqueue_batch(space.keys, jobs))


def test_jobs_of_several_queues_keep_their_order(space: Keyspace) -> None:
    jobs = [make(queue="ab"[n % 2], timeout=n + 1) for n in range(10)]
    jobs.append(make(queue="a", job_id="own", meta={"x": 1}))

    assert put(space, jobs) == 11

    assert space.ready("a") == [job.id for job in jobs if job.queue == "a"]
    assert space.ready("b") == [job.id for job in jobs if job.queue == "b"]
    assert space.members(space.keys.queues) == ["a", "b"]
    found = space.fields("own")
    assert found.pop("nonce") == jobs[-1].nonce
    assert abs(int(found.pop("created_at")) - space.now()) < 2
    assert abs(int(found.pop("ready_at_ms")) / 1000 - space.now()) < 2
    assert found == {
        "id": "own",
        "type": "t",
        "queue": "a",
        "status": "ready",
        "payload": '{"n":1}',
        "max_retry": "3",
        "meta": '{"x":1}',
    }
    assert space.raw.hgetall(space.keys.ledger("a")) == {b"accepted": b"6"}
    space.assert_sound()


def test_full_batch_of_a_thousand(space: Keyspace) -> None:
    jobs = [make() for _ in range(MAX_BATCH)]
    assert put(space, jobs) == 1000
    assert space.ready() == [job.id for job in jobs]


@pytest.mark.parametrize("own", [False, True])
def test_second_send_changes_nothing(space: Keyspace, own: bool) -> None:
    jobs = [make(job_id=f"own{n}") if own else make() for n in range(5)]
    assert put(space, jobs) == 5
    before = space.dump()
    assert put(space, jobs) == 5
    assert space.dump() == before


@pytest.mark.parametrize("own", [False, True])
def test_second_send_after_jobs_have_run_and_gone_makes_none_again(space: Keyspace, own: bool) -> None:
    jobs = [make(job_id=f"own{n}") if own else make() for n in range(700)]
    put(space, jobs)
    for job in jobs[:-1]:
        space.raw.delete(space.keys.job(job.id))
    before = space.dump()
    assert put(space, jobs) == 700
    assert space.dump() == before


@pytest.mark.parametrize("state", ["ready", "scheduled", "deferred", "processing", "retry"])
def test_taken_id_refuses_all(space: Keyspace, state: str) -> None:
    space.enqueue(job_id="taken")
    space.raw.hset(space.keys.job("taken"), "status", state)
    before = space.dump()
    jobs = [make(), make(job_id="free"), make(job_id="taken"), make()]
    with pytest.raises(DuplicateJobID, match=f"item 2: job id 'taken' is taken: that job is {state}"):
        put(space, jobs)
    assert space.dump() == before


@pytest.mark.fault(16)
@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("what", ["ended", "stub"])
def test_ended_job_or_stub_makes_room(space: Keyspace, position: int, what: str) -> None:
    keys, raw = space.keys, space.raw
    if what == "ended":
        space.enqueue(job_id="own")
        claimed = space.claim()[0]
        raw.zrem(keys.processing("default"), "own")
        raw.hdel(keys.claims("host-1-aaaaaa"), "own")
        raw.zadd(keys.dead_letter("default"), {"own": 1})
        raw.hincrby(keys.ledger("default"), "dead", 1)
        raw.hset(keys.job("own"), mapping={"status": "dead_letter", "error": "x", "claim": claimed.token})
        raw.rpush(keys.attempts("own"), "{}")
        raw.sadd(keys.children("own"), "x")
        raw.zadd(keys.dag_roots, {"own": 1})
    else:
        raw.hset(keys.job("own"), "last_heartbeat", 1)
    raw.expire(keys.job("own"), 50)

    jobs = [make(), make()]
    jobs.insert(position, make(job_id="own"))
    assert put(space, jobs) == 3

    assert space.status("own") == "ready"
    assert not space.fields("own").keys() & {"error", "claim", "attempt", "last_heartbeat"}
    assert raw.ttl(keys.job("own")) == -1
    assert not raw.exists(keys.attempts("own"), keys.children("own"), keys.dag_roots)
    space.assert_sound()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"depends_on": "a"}, "depends_on"),
        ({"unique": True, "job_id": "u"}, "unique"),
        ({"enqueue_at_front": True}, "enqueue_at_front"),
    ],
)
def test_what_a_batch_cannot_carry_is_refused_by_item(keys: Keys, options: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidJob, match=f"item 1: {name} is not possible in a batch"):
        enqueue_batch(keys, [make(), make(**options)])


def test_same_id_twice_is_refused(keys: Keys) -> None:
    with pytest.raises(InvalidJob, match="item 2: job id 'a' is twice in the batch"):
        enqueue_batch(keys, [make(job_id="a"), make(), make(job_id="a")])


def test_limits_of_a_batch(keys: Keys) -> None:
    with pytest.raises(BatchTooLarge, match="at most 1,000 jobs, got 1,001"):
        enqueue_batch(keys, [make()] * 1001)
    large = new_job("t", {"a": "x" * 1_048_000})
    assert enqueue_batch(keys, [large._replace(id=str(n)) for n in range(64)])
    with pytest.raises(BatchTooLarge, match="the limit is 67,108,864"):
        enqueue_batch(keys, [large._replace(id=str(n)) for n in range(65)])


@pytest.mark.parametrize("name", ["queues", "queue:b:ready", "job:own"])
def test_key_of_a_wrong_type_is_named_and_nothing_written(space: Keyspace, name: str) -> None:
    key = space.keys.prefix + name
    space.raw.set(key, "text")
    before = space.dump()
    with pytest.raises(StoreError, match=f"key {key} at "):
        put(space, [make(queue="a"), make(queue="b", job_id="own")])
    assert space.dump() == before


@pytest.mark.parametrize("kind", ["valkey", "redis"])
@pytest.mark.parametrize("own", [False, True])
def test_full_memory_refuses_the_whole_batch(start_server: ServerFactory, kind: str, own: bool) -> None:
    server = start_server(kind=kind)
    store = Store(plain_link(Keys("t:"), "full", {"unix_socket_path": server.socket}))
    space = Keyspace(store, redis.Redis(unix_socket_path=server.socket, protocol=2))
    if own:
        space.raw.hset("t:job:own", "last_heartbeat", 1)
    jobs = [make(job_id="own") if own else make(), make()]
    before = space.dump()
    space.raw.config_set("maxmemory", 1)
    with pytest.raises(RedisUnavailable, match="does not serve requests now"):
        put(space, jobs)
    assert space.dump() == before
    space.raw.config_set("maxmemory", 0)
    assert put(space, jobs) == 2
    space.assert_sound()
    space.raw.close()
    store.close()


def test_one_message_names_the_first_twenty(space: Keyspace) -> None:
    jobs = [make(queue="ab"[n % 2]) for n in range(50)]
    with Listener(space.raw, space.keys.events) as events:
        put(space, jobs)
        (message,) = events.heard()
    assert (message["op"], message["queue"], message["n"]) == ("enqueue", "a", 50)
    assert message["ch"] == [[job.id, "", "ready"] for job in jobs[:20]]
