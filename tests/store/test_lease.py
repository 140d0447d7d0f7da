"""Leases: a heartbeat renews, tells what was lost and who is late; a server that stops leaves nothing."""

from __future__ import annotations

import time

import pytest

from gqm.errors import StoreError
from gqm.keys import Keys
from gqm.store.commands.claim import Claim, return_unstarted
from gqm.store.commands.lease import Beat, heartbeat, leave, progress, reap_server
from gqm.store.commands.settle import Completion, complete
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from tests.support.keyspace import LEASE_MS, SERVER, Keyspace
from tests.support.servers import ServerFactory

OTHER = "host-2-bbbbbb"


def say_goodbye(space: Keyspace, server: str = SERVER, *pools: str) -> int:
    return space.store.run(leave(space.keys, server, [f"{pool}@{server}" for pool in pools or "p"], None))


def finish(space: Keyspace, item: Claim) -> int:
    done = space.store.run(
        complete(space.keys, item.queue, [Completion(item, 5)], result_ttl=None, failure_ttl=None)
    )
    return done.answers[0]


# ------------------------------------------------------------------------------------- registration


def test_the_first_beat_registers_the_server(space: Keyspace) -> None:
    pools = [("fast@" + SERVER, {"pool": "fast", "queues": "a,b"}), ("p@" + SERVER, {"pool": "p"})]
    beat = Beat(SERVER, LEASE_MS, {"hostname": "host", "pid": 1, "status": "active"}, pools, [], uptime_s=7)

    pulse = space.store.run(heartbeat(space.keys, beat))

    now = space.now()
    assert pulse.lease_was_lost
    assert pulse[1:5] == ([], [], [], [])
    assert pulse.now_ms / 1000 == pytest.approx(now, abs=2)
    assert space.raw.zscore(space.keys.leases, SERVER) == pytest.approx(pulse.now_ms / 1000 + 8, abs=0.001)
    assert space.members(space.keys.servers) == [SERVER]
    assert space.members(space.keys.workers) == ["fast@" + SERVER, "p@" + SERVER]
    server = space.raw.hgetall(space.keys.server(SERVER))
    assert int(server[b"last_heartbeat"]) == pytest.approx(now, abs=2)
    assert int(server[b"started_at"]) == pytest.approx(now - 7, abs=2)
    assert (server[b"hostname"], server[b"pid"], server[b"status"]) == (b"host", b"1", b"active")
    worker = space.raw.hgetall(space.keys.worker("fast@" + SERVER))
    assert int(worker[b"last_heartbeat"]) == pytest.approx(now * 1e9, abs=2e9)
    assert len(worker[b"last_heartbeat"]) == 19, "nanoseconds, exact"
    assert worker[b"queues"] == b"a,b"
    assert 55 <= space.raw.ttl(space.keys.server(SERVER)) <= 60
    assert 55 <= space.raw.ttl(space.keys.worker("p@" + SERVER)) <= 60


def test_later_beats_renew(space: Keyspace) -> None:
    space.beat()
    space.end_lease(ago_s=-1)
    space.raw.hset(space.keys.server(SERVER), "started_at", 12345)
    space.raw.expire(space.keys.server(SERVER), 5)

    pulse = space.beat(fields={"status": "stopping"})

    assert not pulse.lease_was_lost
    assert space.raw.zscore(space.keys.leases, SERVER) > space.now() + 7
    assert space.raw.hget(space.keys.server(SERVER), "started_at") == b"12345"
    assert space.raw.hget(space.keys.server(SERVER), "status") == b"stopping"
    assert space.raw.ttl(space.keys.server(SERVER)) > 50


def test_a_lease_that_ended_but_was_not_taken_is_not_lost(space: Keyspace) -> None:
    space.beat()
    space.end_lease(ago_s=30)

    assert not space.beat().lease_was_lost


def test_a_lease_that_others_took_is_lost(space: Keyspace) -> None:
    (item,) = space.running()
    score = space.end_lease()
    assert space.store.run(reap_server(space.keys, SERVER, score, False, None))

    pulse = space.beat(active=[item])

    assert pulse.lease_was_lost
    assert pulse.lost == [(item.id, item.token)]


def test_records_of_a_long_lease_outlive_its_beats(space: Keyspace) -> None:
    space.store.run(heartbeat(space.keys, Beat(SERVER, 300_000, {"pid": 1}, [], [])))

    assert space.raw.ttl(space.keys.server(SERVER)) > 290


@pytest.mark.fault(18)
def test_no_time_of_the_caller_is_used(space: Keyspace, monkeypatch: pytest.MonkeyPatch) -> None:
    shifted = time.time() - 3600
    monkeypatch.setattr(time, "time", lambda: shifted)

    space.beat()

    assert space.raw.zscore(space.keys.leases, SERVER) == pytest.approx(space.now() + 8, abs=2)
    assert int(space.raw.hget(space.keys.server(SERVER), "last_heartbeat")) == pytest.approx(
        space.now(), abs=2
    )


# ------------------------------------------------------------------------------------------ claims


def test_held_claims_are_not_lost_and_long_ones_get_a_heartbeat(space: Keyspace) -> None:
    short, long = space.running(2)
    space.age_claim(short, 4)
    space.age_claim(long, 6)

    pulse = space.beat(active=[short, long])

    assert (pulse.lost, pulse.returned) == ([], [])
    assert space.field(short.id, "last_heartbeat") is None
    assert int(space.field(long.id, "last_heartbeat") or 0) == pytest.approx(space.now() * 1e9, abs=2e9)
    space.assert_sound()


def test_more_claims_than_one_command_carries(space: Keyspace) -> None:
    items: list[Claim] = []
    space.beat()
    for n in range(1100):
        space.enqueue(queue=f"q{n % 2}")
    for _ in range(6):
        items += space.claim(100, queue="q0") + space.claim(100, queue="q1")
    space.raw.zrem(space.keys.processing("q1"), items[-1].id)

    pulse = space.beat(active=items)

    assert len(items) == 1100
    assert pulse.lost == [(items[-1].id, items[-1].token)]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"status": "canceled"}, id="canceled by another program"),
        pytest.param({"claim": "0" * 16 + ".9"}, id="claimed again here"),
        pytest.param({"worker_id": "go-pool"}, id="claimed by a program that leaves the token"),
    ],
)
@pytest.mark.fault(17)
def test_a_claim_that_the_hash_denies_is_lost(space: Keyspace, change: dict[str, str]) -> None:
    kept, taken = space.running(2)
    space.raw.hset(space.keys.job(taken.id), mapping=change)

    pulse = space.beat(active=[kept, taken])

    assert pulse.lost == [(taken.id, taken.token)]
    assert list(space.raw.hgetall(space.keys.claims(SERVER))) == [kept.id.encode()]
    assert space.beat(active=[taken]).lost == pulse.lost, "told again when the call is repeated"


def test_a_claim_that_is_not_in_processing_is_lost(space: Keyspace) -> None:
    (item,) = space.running()
    space.raw.zrem(space.keys.processing("default"), item.id)

    assert space.beat(active=[item]).lost == [(item.id, item.token)]


@pytest.mark.fault(25)
def test_a_beat_for_a_deleted_job_makes_no_hash(space: Keyspace) -> None:
    (item,) = space.running()
    space.age_claim(item, 20)
    space.raw.delete(space.keys.job(item.id))
    space.raw.zrem(space.keys.processing("default"), item.id)

    assert space.beat(active=[item]).lost == [(item.id, item.token)]
    assert space.beat().returned == []

    assert space.raw.exists(space.keys.job(item.id), space.keys.claims(SERVER)) == 0
    assert space.ready() == []


def test_unknown_claims_go_back_to_the_front_in_claim_order(space: Keyspace) -> None:
    first, second, known, young = space.running(4)
    waiting = space.enqueue()
    for item in (first, second, known):
        space.age_claim(item, 11)

    pulse = space.beat(active=[known])

    assert pulse.returned == [first.id, second.id]
    assert pulse.lost == []
    assert space.ready() == [first.id, second.id, waiting]
    assert sorted(space.processing()) == sorted([known.id, young.id])
    job = space.fields(first.id)
    assert job["status"] == "ready"
    assert job["attempt"] == "0"
    assert not {"claim", "worker_id", "started_at", "retry_count"} & job.keys()
    space.assert_sound()
    assert space.beat(active=[known]).returned == []
    assert space.ready() == [first.id, second.id, waiting]


def test_claims_of_several_calls_go_back_in_their_order(space: Keyspace) -> None:
    late = space.running(2)
    early = space.running(2)
    for item in early:
        space.age_claim(item, 30)
    for item in late:
        space.age_claim(item, 20)

    space.beat()

    assert space.ready() == [item.id for item in early + late]


@pytest.mark.fault(17)
def test_what_went_back_is_not_the_old_holders_any_more(space: Keyspace) -> None:
    (old,) = space.running()
    space.age_claim(old, 11)
    space.beat()
    (new,) = space.claim(server=OTHER)

    assert finish(space, old) == 0
    assert space.store.run(return_unstarted(space.keys, "default", [(old, False)])) == [2]
    assert space.status(new.id) == "processing"
    assert finish(space, new) == 1


def test_both_claims_of_one_job_may_be_listed(space: Keyspace) -> None:
    (old,) = space.running()
    space.store.run(return_unstarted(space.keys, "default", [(old, True)]))
    (new,) = space.claim()
    space.age_claim(new, 20)

    for order in ([old, new], [new, old]):
        pulse = space.beat(active=order)
        assert pulse.lost == [(old.id, old.token)]
        assert pulse.returned == []
    assert space.status(new.id) == "processing"


def test_records_that_are_none_are_cleared(space: Keyspace) -> None:
    space.beat()
    space.raw.hset(space.keys.claims(SERVER), mapping={"a": "nonsense", "b": "tok|x|1|q", "c": "tok|1|1|q"})

    assert space.beat().returned == []

    assert space.raw.exists(space.keys.claims(SERVER)) == 0


# ---------------------------------------------------------------------------------- other servers


def test_late_servers_are_named_with_their_scores(space: Keyspace) -> None:
    space.beat("far-1-cccccc")
    space.beat(OTHER)
    soon = space.end_lease("soon-1-dddddd", ago_s=-3.9)
    gone = space.end_lease("gone-1-eeeeee", ago_s=5)
    space.end_lease("fine-1-ffffff", ago_s=-4.5)
    space.end_lease(SERVER, ago_s=5)

    late = dict(space.beat().late)

    assert {name: float(score) for name, score in late.items()} == {
        "soon-1-dddddd": float(soon),
        "gone-1-eeeeee": float(gone),
    }


def test_an_observed_score_fits_the_next_call_as_it_is(space: Keyspace) -> None:
    space.raw.zadd(space.keys.leases, {OTHER: "1712345678.123"})

    ((name, score),) = space.beat().late

    assert space.store.run(reap_server(space.keys, name, score, False, None)) is not None


def test_servers_of_this_host_are_named_with_what_proves_their_end(space: Keyspace) -> None:
    proof: dict[str, str | int] = {"host_id": "boot/7", "pid": 2, "proc_start": "99"}
    space.beat(OTHER, fields=proof)
    space.beat("host-1-2-cccccc", fields=proof)
    space.beat("ghost-2-cccccc", fields=proof)
    space.beat("host-3-dddddd", fields={"host_id": "boot/7", "pid": "²", "proc_start": "1"})
    space.end_lease("host-4-eeeeee")

    peers = {peer.id: peer for peer in space.beat().same_host}

    assert sorted(peers) == [OTHER, "host-3-dddddd"]
    assert peers[OTHER][2:] == ("boot/7", 2, "99")
    assert float(peers[OTHER].score) == space.raw.zscore(space.keys.leases, OTHER)
    assert peers["host-3-dddddd"].pid == 0


# -------------------------------------------------------------------------------------- bad ground


@pytest.mark.parametrize("name", ["leases", "servers", "workers"])
def test_a_wrong_typed_registry_is_named_and_nothing_is_written(space: Keyspace, name: str) -> None:
    key = getattr(space.keys, name)
    space.raw.set(key, "wrong")
    before = space.dump()

    with pytest.raises(StoreError, match=key):
        space.beat()
    with pytest.raises(StoreError, match=key):
        say_goodbye(space)

    assert space.dump() == before


def test_a_wrong_typed_claims_key_is_named_and_nothing_is_written(space: Keyspace) -> None:
    space.raw.set(space.keys.claims(SERVER), "wrong")
    before = space.dump()

    with pytest.raises(StoreError, match="claims"):
        space.beat()
    with pytest.raises(StoreError, match="claims"):
        say_goodbye(space)

    assert space.dump() == before


@pytest.mark.fault(55)
@pytest.mark.parametrize("part", ["ready", "processing"])
def test_a_broken_queue_costs_neither_the_lease_nor_a_claim(space: Keyspace, part: str) -> None:
    active, orphan = space.running(2)
    space.age_claim(orphan, 11)
    key = getattr(space.keys, part)("default")
    space.raw.delete(key)
    space.raw.set(key, "wrong")
    space.end_lease(ago_s=5)

    pulse = space.beat(active=[active])

    assert (pulse.lost, pulse.returned) == ([], [])
    assert space.raw.zscore(space.keys.leases, SERVER) > space.now()
    assert space.status(orphan.id) == "processing"
    assert space.raw.hexists(space.keys.claims(SERVER), orphan.id)


@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_beats_and_farewells_go_through_when_memory_is_full(
    start_server: ServerFactory, prefix: str, kind: str
) -> None:
    server = start_server(kind=kind)
    store = Store(plain_link(Keys(prefix), "full", {"unix_socket_path": server.socket}))
    with store.link.make_sync() as raw:
        space = Keyspace(store, raw)
        (item,) = space.running()
        raw.config_set("maxmemory", "1")

        assert space.beat(active=[item]).lost == []
        assert say_goodbye(space) == 1
        assert space.ready() == [item.id]
    store.close()


# ------------------------------------------------------------------------------------------ leaving


def test_a_clean_stop_leaves_nothing(space: Keyspace) -> None:
    (item,) = space.running()
    assert finish(space, item) == 1

    assert say_goodbye(space) == 0

    assert space.raw.exists(space.keys.leases, space.keys.servers, space.keys.workers) == 0
    assert space.raw.exists(space.keys.server(SERVER), space.keys.worker("p@" + SERVER)) == 0
    assert space.raw.exists(space.keys.claims(SERVER)) == 0
    space.assert_sound()


def test_claims_left_over_are_recovered_at_once(space: Keyspace) -> None:
    items = space.running(2)
    (spent,) = space.running(queue="strict", max_retry=0)

    assert say_goodbye(space) == 3

    assert space.ready() == [item.id for item in items]
    assert space.field(items[0].id, "retry_count") == "1"
    assert space.field(items[0].id, "error") == f"worker lost: lease of {SERVER} ended"
    assert space.status(spent.id) == "dead_letter"
    assert space.raw.exists(space.keys.claims(SERVER)) == 0
    space.assert_sound()
    assert say_goodbye(space) == 0, "a repeated call finds nothing to do"
    assert space.ready() == [item.id for item in items]


@pytest.mark.fault(57)
def test_two_servers_of_one_host_and_pid_do_not_touch_each_other(space: Keyspace) -> None:
    twin = "host-1-bbbbbb"
    (mine,) = space.running(server=SERVER)
    (theirs,) = space.running(server=twin)

    assert say_goodbye(space) == 1

    assert space.members(space.keys.servers) == [twin]
    assert space.members(space.keys.workers) == ["p@" + twin]
    assert space.raw.exists(space.keys.server(twin), space.keys.worker("p@" + twin)) == 2
    assert space.beat(twin, active=[theirs]).lost == []
    assert space.ready() == [mine.id]


# ----------------------------------------------------------------------------------------- progress


def test_progress_is_stored_while_the_claim_is_held(space: Keyspace) -> None:
    (item,) = space.running()

    assert space.store.run(progress(space.keys, item, b'[1,2,"half"]'))
    assert space.store.run(progress(space.keys, item, b'[1,2,"half"]')), "and again when the call is repeated"

    assert space.field(item.id, "progress") == '[1,2,"half"]'


@pytest.mark.fault(17)
def test_progress_of_a_lost_claim_is_refused(space: Keyspace) -> None:
    (old,) = space.running()
    space.store.run(return_unstarted(space.keys, "default", [(old, True)]))
    assert not space.store.run(progress(space.keys, old, b"[1,2,3]"))
    (new,) = space.claim()

    assert not space.store.run(progress(space.keys, old, b"[1,2,3]"))
    assert not space.store.run(progress(space.keys, new._replace(worker_id=f"p@{OTHER}"), b"[1,2,3]"))
    assert space.field(new.id, "progress") is None


@pytest.mark.fault(25)
def test_progress_of_a_deleted_job_makes_no_hash(space: Keyspace) -> None:
    (item,) = space.running()
    space.raw.delete(space.keys.job(item.id))

    assert not space.store.run(progress(space.keys, item, b"[1,2,3]"))
    assert space.raw.exists(space.keys.job(item.id)) == 0
