"""Recovery: jobs whose worker is lost run again or end, once, and nobody else's claim is touched."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from gqm.errors import StoreError
from gqm.keys import Keys
from gqm.store.commands.claim import Claim
from gqm.store.commands.lease import MAX_REAP, Overdue, Reaped, leave, progress, reap_overdue, reap_server
from gqm.store.commands.schedule import (
    promote,
    sweep_dag,
    sweep_registry,
    sweep_roots,
    sweep_terminal,
)
from gqm.store.commands.settle import Burial, Completion, RetryLater, complete, dead_letter, retry
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from tests.support.keyspace import SERVER, Keyspace
from tests.support.servers import ServerFactory

OTHER = "host-2-bbbbbb"
LEASE_TEXT = f"worker lost: lease of {SERVER} ended"
DEADLINE_TEXT = "worker lost: deadline passed"


def reap(
    space: Keyspace, score: str | None = None, *, proof: bool = False, ttl: int | None = None
) -> Reaped | None:
    """Reap the usual server; without a score let its lease have ended a second ago."""
    score = space.end_lease() if score is None else score
    return space.store.run(reap_server(space.keys, SERVER, score, proof, ttl))


def overdue(space: Keyspace, *queues: str, slack_s: float = 25) -> Overdue:
    return space.store.run(reap_overdue(space.keys, queues or ("default",), slack_s, None))


def attempts(space: Keyspace, job_id: str) -> list[dict[str, Any]]:
    return [json.loads(item) for item in space.raw.lrange(space.keys.attempts(job_id), 0, -1)]


def settle_all_ways(space: Keyspace, item: Claim) -> list[int]:
    """Try to end a job in each way; return the answers."""
    keys, queue = space.keys, item.queue
    commands = [
        complete(keys, queue, [Completion(item, 1)], result_ttl=None, failure_ttl=None),
        retry(keys, queue, [RetryLater(item, 1, "x")]),
        dead_letter(keys, queue, [Burial(item, 1, "x")], failure_ttl=None),
    ]
    return [space.store.run(command).answers[0] for command in commands]


# --------------------------------------------------------------------------------- a dead server


@pytest.mark.fault(12)
def test_claims_run_again_once_the_lease_has_ended_whatever_their_time_out(space: Keyspace) -> None:
    items = space.running(3, timeout=86_400)
    waiting = space.enqueue()

    assert reap(space) == (3, 0, 0, [])

    assert space.ready() == [*[item.id for item in items], waiting], "in front, in claim order"
    assert space.processing() == []
    assert space.raw.exists(space.keys.leases, space.keys.claims(SERVER)) == 0
    assert space.raw.exists(space.keys.server(SERVER)) == 1, "its record stays until it expires"
    space.assert_sound()


def test_a_recovered_job_says_what_happened(space: Keyspace) -> None:
    (item,) = space.running(max_retry=2)
    space.raw.hset(space.keys.job(item.id), "traceback", "of an earlier failure")
    space.age_claim(item, 20)

    reap(space)

    job = space.fields(item.id)
    assert (job["status"], job["retry_count"], job["error"]) == ("ready", "1", LEASE_TEXT)
    assert int(job["ready_at_ms"]) == pytest.approx(space.now() * 1000, abs=2000)
    assert job["worker_id"] == f"p@{SERVER}"
    assert not {"claim", "traceback", "settled", "completed_at"} & job.keys()
    (entry,) = attempts(space, item.id)
    assert entry.pop("duration_ms") == pytest.approx(20_000, abs=2000)
    assert entry.pop("ended_at") == pytest.approx(space.now(), abs=2)
    assert entry == {
        "attempt": 1,
        "outcome": "recovered",
        "counted": True,
        "started_at": int(job["started_at"]),
        "worker_id": f"p@{SERVER}",
        "error": LEASE_TEXT,
    }


def test_the_budget_of_the_claim_decides(space: Keyspace) -> None:
    space.beat()
    for n, budget in enumerate((1, 2)):
        job_id = space.enqueue(queue=f"q{n}")
        space.raw.hset(space.keys.job(job_id), "retry_count", 1)
        space.claim(queue=f"q{n}", budget=budget)

    assert reap(space) == (1, 1, 0, [])

    assert (len(space.ready("q0")), len(space.ready("q1"))) == (0, 1)
    space.assert_sound()


def test_a_spent_budget_ends_the_job_and_tells_its_children(space: Keyspace) -> None:
    (item,) = space.running(max_retry=0, failure_ttl=500)
    child = space.enqueue(depends_on=item.id)
    grandchild = space.enqueue(depends_on=[child, item.id])
    tolerant = space.enqueue(depends_on=item.id, allow_failure=True)

    assert reap(space) == (0, 1, 0, [])

    job = space.fields(item.id)
    assert (job["status"], job["error"]) == ("dead_letter", LEASE_TEXT)
    assert int(job["completed_at"]) == pytest.approx(space.now(), abs=2)
    assert "retry_count" not in job
    assert "claim" not in job
    assert [entry["outcome"] for entry in attempts(space, item.id)] == ["recovered"]
    for key in (space.keys.job(item.id), space.keys.attempts(item.id)):
        assert 490 <= space.raw.ttl(key) <= 500
    assert {space.status(child), space.status(grandchild)} == {"canceled"}
    assert space.field(child, "cancel_reason") == f"parent failed: {item.id}"
    assert space.ready() == [tolerant]
    ledger = space.raw.hgetall(space.keys.ledger("default"))
    assert (ledger[b"dead"], ledger[b"canceled"]) == (b"1", b"2")
    assert space.raw.get(space.keys.total("default", "failed")) == b"1"
    space.assert_sound()


@pytest.mark.fault(44)
def test_a_canceled_child_keeps_no_dependency_sets(space: Keyspace) -> None:
    (item,) = space.running(max_retry=0)
    child = space.enqueue(depends_on=item.id)

    reap(space)

    assert space.raw.exists(space.keys.deps(child), space.keys.pending_deps(child)) == 0
    assert space.raw.exists(space.keys.dependents(item.id)) == 0
    assert space.members(space.keys.deferred) == []


@pytest.mark.fault(46)
def test_a_child_without_a_pending_set_is_not_started_unchecked(space: Keyspace) -> None:
    (item,) = space.running(max_retry=0)
    alive = space.enqueue(queue="other")
    child = space.enqueue(depends_on=[item.id, alive], allow_failure=True)
    space.raw.delete(space.keys.pending_deps(child))

    reap(space)

    assert space.status(child) == "deferred"


def test_a_child_whose_queue_is_broken_waits_for_the_sweep(space: Keyspace) -> None:
    (item,) = space.running(max_retry=0)
    child = space.enqueue(queue="other", depends_on=item.id, allow_failure=True)
    space.raw.set(space.keys.ready("other"), "wrong")

    assert reap(space) == (0, 1, 0, [])
    assert space.status(child) == "deferred"

    space.raw.delete(space.keys.ready("other"))
    space.age_job(child, 61)
    assert space.store.run(sweep_dag(space.keys)).released == 1
    assert space.ready("other") == [child]
    space.assert_sound()


@pytest.mark.parametrize(("own", "default", "left"), [(0, None, False), (None, 0, False), (-1, 5, True)])
def test_retention_of_a_job_that_ends(
    space: Keyspace, own: int | None, default: int | None, left: bool
) -> None:
    options: dict[str, Any] = {} if own is None else {"failure_ttl": own}
    (item,) = space.running(max_retry=0, **options)

    assert reap(space, ttl=default) == (0, 1, 0, [])

    assert space.members(space.keys.dead_letter("default")) == ([item.id] if left else [])
    assert space.raw.exists(space.keys.job(item.id)) == left
    assert space.raw.exists(space.keys.attempts(item.id)) == left
    if left:
        assert space.raw.ttl(space.keys.job(item.id)) == -1


@pytest.mark.fault(19)
def test_a_living_lease_protects_jobs_past_their_deadline(space: Keyspace) -> None:
    (item,) = space.running(timeout=1)
    space.raw.zadd(space.keys.processing("default"), {item.id: space.now() - 60})
    score = repr(space.raw.zscore(space.keys.leases, SERVER))

    assert reap(space, score) is None
    assert overdue(space) == (0, 0, 0, [], False, [])

    assert space.status(item.id) == "processing"
    space.assert_sound()


@pytest.mark.fault(12)
def test_with_proof_the_lease_need_not_have_ended(space: Keyspace) -> None:
    (item,) = space.running()
    score = repr(space.raw.zscore(space.keys.leases, SERVER))

    assert reap(space, score, proof=True) == (1, 0, 0, [])
    assert space.ready() == [item.id]


@pytest.mark.parametrize("proof", [False, True])
def test_a_renewed_lease_stops_the_call(space: Keyspace, proof: bool) -> None:
    (item,) = space.running()
    seen = space.end_lease(ago_s=5)
    space.end_lease(ago_s=1)
    before = space.dump()

    assert reap(space, seen, proof=proof) is None

    assert space.dump() == before
    assert space.status(item.id) == "processing"


def test_a_repeated_call_does_nothing(space: Keyspace) -> None:
    (item,) = space.running()
    score = space.end_lease()

    assert reap(space, score) == (1, 0, 0, [])
    (again,) = space.claim(server=OTHER)
    assert reap(space, score) == (0, 0, 0, [])

    assert again.id == item.id
    assert space.status(item.id) == "processing"
    assert len(attempts(space, item.id)) == 1


@pytest.mark.fault(17)
def test_the_old_holder_cannot_settle_and_the_second_claim_stays(space: Keyspace) -> None:
    (old,) = space.running()
    reap(space)
    assert settle_all_ways(space, old) == [0, 0, 0]
    (new,) = space.claim(server=OTHER)

    assert settle_all_ways(space, old) == [0, 0, 0]
    assert space.beat(active=[old]).lost == [(old.id, old.token)]

    assert space.field(new.id, "claim") == new.token
    assert space.status(new.id) == "processing"
    assert settle_all_ways(space, new)[0] == 1


@pytest.mark.fault(17)
def test_the_old_holder_cannot_take_the_end_for_its_own(space: Keyspace) -> None:
    (old,) = space.running(max_retry=0)
    reap(space)

    assert settle_all_ways(space, old) == [0, 0, 0]
    assert space.status(old.id) == "dead_letter"


@pytest.mark.fault(24)
def test_it_takes_no_pool_of_the_queue(space: Keyspace) -> None:
    (item,) = space.running(queue="nobody-reads-this")

    assert reap(space) == (1, 0, 0, [])
    assert space.ready("nobody-reads-this") == [item.id]


@pytest.mark.fault(13, 25)
def test_records_without_their_job_are_cleared_and_touch_nothing(space: Keyspace) -> None:
    ended, reclaimed, foreign, deleted, held = space.running(5)
    space.raw.hset(space.keys.job(ended.id), mapping={"status": "canceled"})
    space.raw.hset(space.keys.job(reclaimed.id), "claim", "f" * 16 + ".1")
    space.raw.hset(space.keys.job(foreign.id), "worker_id", "go")
    space.raw.delete(space.keys.job(deleted.id))
    space.raw.hset(space.keys.claims(SERVER), "nonsense", "no record")
    before = [space.fields(item.id) for item in (ended, reclaimed, foreign)]

    assert reap(space) == (1, 0, 5, [])

    assert [space.fields(item.id) for item in (ended, reclaimed, foreign)] == before
    assert space.raw.exists(space.keys.job(deleted.id), space.keys.claims(SERVER)) == 0
    assert space.ready() == [held.id]


def test_attempts_are_kept_to_twenty(space: Keyspace) -> None:
    (item,) = space.running()
    space.raw.rpush(space.keys.attempts(item.id), *(["{}"] * 20))

    reap(space)

    kept = attempts(space, item.id)
    assert len(kept) == 20
    assert kept[0]["outcome"] == "recovered"


def test_more_claims_than_one_command_carries(space: Keyspace) -> None:
    space.beat()
    for _ in range(1100):
        space.enqueue()
    items = [item for _ in range(11) for item in space.claim(100)]

    assert reap(space) == (1100, 0, 0, [])
    assert space.ready() == [item.id for item in items]
    space.assert_sound()


@pytest.mark.parametrize("name", ["leases", "claims"])
def test_a_wrong_typed_key_is_named_and_nothing_is_written(space: Keyspace, name: str) -> None:
    space.running()
    key = space.keys.leases if name == "leases" else space.keys.claims(SERVER)
    space.raw.set(key, "wrong")
    before = space.dump()

    with pytest.raises(StoreError, match=key):
        reap(space, "1.5")

    assert space.dump() == before


@pytest.mark.fault(33, 55)
@pytest.mark.parametrize("part", ["ready", "processing", "dead_letter"])
def test_a_broken_queue_keeps_its_claims_and_stops_no_other(space: Keyspace, part: str) -> None:
    (stuck,) = space.running(queue="broken", max_retry=0)
    (fine,) = space.running()
    key = getattr(space.keys, part)("broken")
    saved = space.raw.dump(key)
    space.raw.delete(key)
    space.raw.set(key, "wrong")

    assert reap(space) == (1, 0, 0, [key])
    assert space.ready() == [fine.id]
    assert space.status(stuck.id) == "processing"
    assert space.raw.hexists(space.keys.claims(SERVER), stuck.id)

    space.raw.delete(key)
    if saved:
        space.raw.restore(key, 0, saved)
    assert reap(space, "") == (0, 1, 0, [])
    assert space.status(stuck.id) == "dead_letter"
    space.assert_sound()


def test_wrong_typed_side_keys_do_not_stop_half_way(space: Keyspace) -> None:
    first, second = space.running(2, max_retry=0)
    space.raw.set(space.keys.attempts(first.id), "wrong")
    space.raw.set(space.keys.dependents(first.id), "wrong")
    space.raw.hset(space.keys.total("default", "failed"), "wrong", 1)

    assert reap(space) == (0, 2, 0, [])

    assert {space.status(first.id), space.status(second.id)} == {"dead_letter"}
    space.assert_sound()


# --------------------------------------------------------------------- claims no lease answers for


def test_a_foreign_claim_is_recovered_after_its_deadline_and_the_slack(space: Keyspace) -> None:
    space.foreign("late", overdue_s=26)
    space.foreign("soon", overdue_s=24)
    waiting = space.enqueue()

    assert overdue(space) == (1, 0, 0, [], False, [])

    assert space.ready() == ["late", waiting]
    assert space.processing() == ["soon"]
    assert (space.field("late", "retry_count"), space.field("late", "error")) == ("1", DEADLINE_TEXT)
    assert attempts(space, "late")[0]["worker_id"] == "go"
    assert overdue(space) == (0, 0, 0, [], False, [])


@pytest.mark.fault(18)
def test_the_callers_clock_does_not_make_claims_overdue(
    space: Keyspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    space.foreign("running", overdue_s=-60)
    shifted = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: shifted)

    assert overdue(space).recovered == 0


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "ready"),
        ({"retry_count": 2}, "ready"),
        ({"retry_count": 3}, "dead_letter"),
        ({"max_retry": 0}, "dead_letter"),
        ({"max_retry": 5, "retry_count": 4}, "ready"),
        ({"max_retry": "many"}, "ready"),
    ],
)
def test_the_budget_of_a_foreign_claim_is_its_max_retry(
    space: Keyspace, fields: dict[str, int], state: str
) -> None:
    space.foreign("late", overdue_s=100, **fields)

    overdue(space)

    assert space.status("late") == state


def test_a_token_without_a_server_is_foreign_too(space: Keyspace) -> None:
    space.foreign("late", overdue_s=100, claim="0" * 16 + ".1")

    assert overdue(space).recovered == 1
    assert space.field("late", "claim") is None


@pytest.mark.fault(24)
def test_servers_that_hold_claims_and_have_no_lease_are_named(space: Keyspace) -> None:
    (item,) = space.running(queue="nobody-reads-this", timeout=86_400)
    space.raw.zrem(space.keys.leases, SERVER)

    found = overdue(space, "nobody-reads-this")

    assert found == (0, 0, 0, [SERVER], False, [])
    assert reap(space, "") == (1, 0, 0, [])
    assert space.ready("nobody-reads-this") == [item.id]


@pytest.mark.parametrize("record", [None, "0123456789abcdef.9|3|1|default", "nonsense"])
def test_a_claim_in_no_record_waits_for_its_deadline(space: Keyspace, record: str | None) -> None:
    (item,) = space.running()
    space.raw.zrem(space.keys.leases, SERVER)
    space.raw.delete(space.keys.claims(SERVER))
    if record:
        space.raw.hset(space.keys.claims(SERVER), item.id, record)
    assert overdue(space) == (0, 0, 0, [], False, [])

    space.raw.zadd(space.keys.processing("default"), {item.id: space.now() - 26})

    assert overdue(space) == (1, 0, 0, [], False, [])
    assert space.ready() == [item.id]
    space.assert_sound()


@pytest.mark.fault(13, 25)
def test_ids_that_do_not_run_are_taken_out_and_nothing_else_changes(space: Keyspace) -> None:
    (running,) = space.running()
    ready = space.enqueue()
    far = space.now() + 10_000
    space.raw.set(space.keys.job("text"), "no hash")
    space.raw.zadd(space.keys.processing("default"), {ready: far, "deleted": far, "text": 1})

    assert overdue(space) == (0, 0, 3, [], False, [])

    assert space.processing() == [running.id]
    assert space.ready() == [ready]
    assert space.raw.exists(space.keys.job("deleted")) == 0


def test_a_call_is_bounded_and_says_that_there_is_more(space: Keyspace) -> None:
    for n in range(MAX_REAP + 20):
        space.foreign(f"j{n:03}", overdue_s=1000 - n)

    first, second = overdue(space), overdue(space)

    assert (first.recovered, first.more) == (MAX_REAP, True)
    assert (second.recovered, second.more) == (20, False)


def test_ids_behind_many_protected_ones_have_their_turn(space: Keyspace) -> None:
    space.beat()
    for n in range(200):
        job = {"worker_id": f"p@{SERVER}", "claim": "0" * 16 + f".{n}"}
        space.foreign(f"own{n}", overdue_s=1000, **job)
    space.foreign("late", overdue_s=100)

    for _ in range(200):
        if overdue(space).recovered:
            break

    assert space.ready() == ["late"]
    assert space.raw.zcard(space.keys.processing("default")) == 200


@pytest.mark.fault(55)
def test_a_wrong_typed_processing_set_stops_no_other_queue(space: Keyspace) -> None:
    space.raw.set(space.keys.processing("broken"), "wrong")
    space.foreign("late", overdue_s=100, queue="fine")

    found = overdue(space, "broken", "fine", "unknown")

    assert (found.recovered, found.broken) == (1, [space.keys.processing("broken")])
    assert space.ready("fine") == ["late"]


@pytest.mark.fault(39)
def test_no_child_stays_behind_parents_that_ended(space: Keyspace) -> None:
    space.foreign("parent", overdue_s=100, max_retry=0, created_at=1)
    waits, tolerant = (
        space.enqueue(depends_on="parent"),
        space.enqueue(depends_on="parent", allow_failure=True),
    )

    assert overdue(space).dead == 1

    assert (space.status(waits), space.status(tolerant)) == ("canceled", "ready")
    assert space.raw.scard(space.keys.deferred) == 0


# ------------------------------------------------------------------------- the other kind of server


@pytest.fixture
def on_redis(start_server: ServerFactory, prefix: str) -> Iterator[Keyspace]:
    server = start_server(kind="redis")
    store = Store(plain_link(Keys(prefix), "Redis", {"unix_socket_path": server.socket}))
    with store.link.make_sync() as raw:
        yield Keyspace(store, raw)
    store.close()


def test_each_script_runs_on_redis(on_redis: Keyspace) -> None:
    space = on_redis
    run, keys = space.store.run, space.keys
    due = space.enqueue(mode="in", when_ms=3_600_000)
    space.raw.zadd(keys.scheduled, {due: 1})
    assert run(promote(keys)).moved == 1
    first, second = space.running(1)[0], space.claim()[0]
    assert first.id == due
    assert run(progress(keys, first, b'[1,2,"x"]'))
    assert space.beat(active=[first, second]).lost == []
    child = space.enqueue(depends_on=first.id)
    score = space.end_lease()
    assert [name for name, _ in space.beat(OTHER).late] == [SERVER]
    assert run(reap_server(keys, SERVER, score, False, None)) == (2, 0, 0, [])
    assert space.ready() == [first.id, second.id]
    assert len(space.claim(2, server=OTHER)) == 2
    space.foreign("late", overdue_s=100)
    assert run(reap_overdue(keys, ["default"], 25, None)).recovered == 1
    assert run(leave(keys, OTHER, [f"p@{OTHER}"], None)) == 2
    space.raw.delete(keys.pending_deps(child))
    space.age_job(child, 100)
    assert run(sweep_dag(keys)) == (0, 0, 0, "")
    assert space.members(keys.pending_deps(child)) == [first.id]
    space.raw.zadd(keys.completed("default"), {"expired": 1})
    assert run(sweep_terminal(keys, "default", "completed")) == (1, "")
    space.raw.delete(keys.server(SERVER))
    assert run(sweep_registry(keys, "servers")) == (1, "")
    assert run(sweep_roots(keys)) == (0, "")
    space.assert_sound()
