"""Settling: complete, retry, dead_letter and return, each done once and only by the holder of the claim."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from gqm.errors import StoreError
from gqm.job import new_job
from gqm.keys import Keys
from gqm.store.command import Command
from gqm.store.commands.claim import Claim, return_unstarted
from gqm.store.commands.enqueue import enqueue
from gqm.store.commands.settle import (
    MAX_SETTLE,
    Burial,
    Completion,
    RetryLater,
    Settled,
    complete,
    dead_letter,
    retry,
)
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from tests.support.keyspace import SERVER, Keyspace
from tests.support.listen import Listener
from tests.support.servers import ServerFactory

ENTRY = b'{"attempt":1,"outcome":"retry","counted":true,"duration_ms":5,"worker_id":"p@s","error":"E: x"}'


def finish(
    space: Keyspace, items: Sequence[Completion], queue: str = "default", **ttl: int | None
) -> Settled:
    ttls = {"result_ttl": None, "failure_ttl": None, **ttl}
    return space.store.run(complete(space.keys, queue, items, **ttls))


def again(space: Keyspace, items: Sequence[RetryLater]) -> Settled:
    return space.store.run(retry(space.keys, "default", items))


def bury(space: Keyspace, items: Sequence[Burial], failure_ttl: int | None = None) -> Settled:
    return space.store.run(dead_letter(space.keys, "default", items, failure_ttl=failure_ttl))


def counters(space: Keyspace, queue: str = "default") -> dict[str, Any]:
    """Ledger, days and totals, and the sum of all minutes of a queue."""
    start = f"{space.keys.prefix}stats:{queue}:"
    found: dict[str, Any] = {"minute": {}}
    for key in space.raw.scan_iter(start + "*"):
        name = key.decode().removeprefix(start)
        if name.startswith("minute:"):
            for field, value in space.raw.hgetall(key).items():
                found["minute"][field.decode()] = found["minute"].get(field.decode(), 0) + int(value)
        elif name == "ledger":
            found["ledger"] = {field.decode(): int(value) for field, value in space.raw.hgetall(key).items()}
        else:
            found[name] = int(space.raw.get(key))
    return found


def held_by(space: Keyspace, server: str = SERVER) -> list[str]:
    return sorted(field.decode() for field in space.raw.hkeys(space.keys.claims(server)))


# ----------------------------------------------------------------------------------- complete (10)


def test_everything_a_completion_writes(space: Keyspace) -> None:
    (job,) = space.running()
    before = space.fields(job.id)

    assert finish(space, [Completion(job, 1500, b'{"ok":1}')]) == Settled([1], 0, 0)

    found = space.fields(job.id)
    assert abs(int(found.pop("completed_at")) - space.now()) < 2
    expected = {**before, "status": "completed", "result": '{"ok":1}', "execution_duration": "1500"}
    del expected["claim"]
    assert found == {**expected, "settled": f"{job.token}/complete"}
    assert space.members(space.keys.completed("default")) == [job.id]
    assert abs(space.raw.zscore(space.keys.completed("default"), job.id) - space.now()) < 2
    assert space.processing() == held_by(space) == []
    assert 604_790 < space.raw.ttl(space.keys.job(job.id)) <= 604_800
    today = datetime.fromtimestamp(space.now(), UTC).strftime("%Y-%m-%d")
    found_counters = counters(space)
    wait_ms = int(before["wait_ms"])
    minute = {"claimed": 1, "wait_ms": wait_ms, "processed": 1, "run_ms": 1500}
    assert found_counters.pop("minute") == {name: n for name, n in minute.items() if n}
    assert found_counters == {
        "ledger": {"accepted": 1, "processed": 1},
        f"processed:{today}": 1,
        "processed_total": 1,
    }
    assert 7_775_990 < space.raw.ttl(space.keys.day("default", "processed", today)) <= 7_776_000
    assert space.raw.ttl(space.keys.total("default", "processed")) == -1
    space.assert_sound()


def test_completion_wipes_what_earlier_runs_left(space: Keyspace) -> None:
    (job,) = space.running()
    again(space, [RetryLater(job, 0, "E: x", "trace", 1, ENTRY, transient=True, unknown=True)])
    space.raw.zrem(space.keys.scheduled, job.id)
    space.raw.hset(space.keys.job(job.id), "status", "ready")
    space.raw.lpush(space.keys.ready("default"), job.id)
    (second,) = space.claim()
    assert space.fields(job.id).keys() >= {"error", "traceback", "transient_since", "unknown_since"}

    finish(space, [Completion(second, 5)])

    assert not space.fields(job.id).keys() & {
        "error", "traceback", "transient_since", "unknown_since", "claim", "result"
    }  # fmt: skip
    assert space.field(job.id, "retry_count") == "1"
    assert 604_790 < space.raw.ttl(space.keys.attempts(job.id)) <= 604_800
    space.assert_sound()


@pytest.mark.parametrize("field", ["error", "traceback", "transient_since", "unknown_since"])
def test_first_run_here_wipes_what_other_programs_left(space: Keyspace, field: str) -> None:
    job_id = space.enqueue()
    space.raw.hset(space.keys.job(job_id), field, "1")
    finish(space, [Completion(space.claim()[0], 5)])
    assert space.field(job_id, field) is None


def test_dropped_result_leaves_a_note(space: Keyspace) -> None:
    (job,) = space.running()
    finish(space, [Completion(job, 5, b"", "too large")])
    assert space.field(job.id, "result_note") == "too large"
    assert space.field(job.id, "result") is None


def test_batch_of_all_kinds(space: Keyspace) -> None:
    space.enqueue(result_ttl=50)
    jobs = [*space.claim(), *space.running(3, server="other-2-bbbbbb"), *space.running(2)]
    items = [
        Completion(jobs[0], 1),
        Completion(jobs[1], 2, b"[1]"),
        Completion(jobs[2], 3, b"", "note"),
        Completion(jobs[3], 4),
        Completion(jobs[4], 5, b'"x"'),
        Completion(jobs[5], 6),
    ]
    assert finish(space, items).answers == [1] * 6
    assert [space.field(job.id, "execution_duration") for job in jobs] == list("123456")
    assert [space.field(job.id, "result") for job in jobs] == [None, "[1]", None, None, '"x"', None]
    assert space.field(jobs[2].id, "result_note") == "note"
    assert space.raw.ttl(space.keys.job(jobs[0].id)) <= 50
    assert held_by(space) == held_by(space, "other-2-bbbbbb") == []
    assert counters(space)["minute"]["run_ms"] == 21
    space.assert_sound()


def test_full_batch(space: Keyspace) -> None:
    jobs = space.running(MAX_SETTLE)
    assert finish(space, [Completion(job, 1, b"1") for job in jobs]).answers == [1] * MAX_SETTLE
    assert len(space.members(space.keys.completed("default"))) == MAX_SETTLE
    assert counters(space)["processed_total"] == MAX_SETTLE


@pytest.mark.fault(34)
@pytest.mark.parametrize(
    ("own", "default", "setting", "ttl"),
    [
        (None, None, None, 604_800),
        (None, None, 77, 77),
        (None, 88, 77, 88),
        (99, 88, 77, 99),
        (None, -1, None, -1),
        (-1, 88, 77, -1),
        (None, None, -1, -1),
    ],
)
def test_whose_result_ttl_counts(
    space: Keyspace, own: int | None, default: int | None, setting: int | None, ttl: int
) -> None:
    keep = space.running()
    finish(space, [Completion(keep[0], 1)], result_ttl=1000)
    if setting is not None:
        space.raw.hset(space.keys.settings, "result_ttl", setting)
    (job,) = space.running(result_ttl=own) if own is not None else space.running()
    finish(space, [Completion(job, 1)], result_ttl=default)
    found = space.raw.ttl(space.keys.job(job.id))
    assert found == ttl if ttl < 0 else ttl - 5 <= found <= ttl
    assert space.members(space.keys.completed("default")) == sorted([job.id, keep[0].id])
    space.assert_sound()


@pytest.mark.fault(34)
@pytest.mark.parametrize("own", [True, False])
def test_kept_for_0_seconds_leaves_nothing_but_the_counts(space: Keyspace, own: bool) -> None:
    (other,) = space.running()
    finish(space, [Completion(other, 1)])
    (job,) = space.running(result_ttl=0) if own else space.running()
    space.raw.rpush(space.keys.attempts(job.id), "{}")
    item = [Completion(job, 1, b'"r"')]
    assert finish(space, item, result_ttl=None if own else 0).answers == [1]
    assert list(space.raw.scan_iter(space.keys.job(job.id) + "*")) == []
    assert space.members(space.keys.completed("default")) == [other.id]
    assert counters(space)["ledger"] == {"accepted": 2, "processed": 2}
    assert finish(space, item).answers == [0], "nothing is left that could tell"
    space.assert_sound()


def test_ttl_that_is_no_number_does_not_delete(space: Keyspace) -> None:
    (job,) = space.running()
    space.raw.hset(space.keys.job(job.id), "result_ttl", "soon")
    finish(space, [Completion(job, 1)])
    assert space.status(job.id) == "completed"


def test_live_job_that_was_given_a_ttl_by_others_loses_it_when_kept_for_ever(space: Keyspace) -> None:
    (job,) = space.running(result_ttl=-1)
    space.raw.expire(space.keys.job(job.id), 50)
    finish(space, [Completion(job, 1)])
    assert space.raw.ttl(space.keys.job(job.id)) == -1


# -------------------------------------------------------------------------------------- retry (11)


def test_everything_a_retry_writes(space: Keyspace) -> None:
    (job,) = space.running()
    before = space.fields(job.id)
    with Listener(space.raw, space.keys.control) as control:
        sent = space.now()
        assert again(space, [RetryLater(job, 1500, "E: x", "trace", 1, ENTRY)]).answers == [1]
        (hint,) = control.heard()

    found = space.fields(job.id)
    expected = {**before, "status": "retry", "error": "E: x", "traceback": "trace", "retry_count": "1"}
    del expected["claim"]
    assert found == {**expected, "settled": f"{job.token}/retry"}
    due = space.raw.zscore(space.keys.scheduled, job.id)
    assert sent + 1.5 - 0.002 <= due <= space.now() + 1.5
    assert hint == {"op": "due", "at": due}
    assert space.processing() == held_by(space) == []
    (entry,) = space.raw.lrange(space.keys.attempts(job.id), 0, -1)
    assert json.loads(entry) == {
        **json.loads(ENTRY),
        "started_at": int(before["started_at"]),
        "ended_at": pytest.approx(space.now(), abs=2),
    }
    assert entry.startswith(ENTRY[:-1])
    assert len(entry.rpartition(b".")[2]) == len("123}"), "three decimals"
    assert counters(space)["minute"]["retried"] == 1
    assert counters(space)["ledger"] == {"accepted": 1}
    assert space.raw.ttl(space.keys.job(job.id)) == space.raw.ttl(space.keys.attempts(job.id)) == -1
    space.assert_sound()


def test_uncounted_retry_notes_when_the_first_one_was(space: Keyspace) -> None:
    (job,) = space.running()
    space.raw.hset(space.keys.job(job.id), "transient_since", 5)
    again(space, [RetryLater(job, 10, "E: x", transient=True, unknown=True)])
    found = space.fields(job.id)
    assert found["transient_since"] == "5"
    assert abs(int(found["unknown_since"]) - space.now()) < 2
    assert "retry_count" not in found
    assert not space.raw.exists(space.keys.attempts(job.id))


@pytest.mark.parametrize("stored", ["", "0", "soon", "-5", "1e3", "99999999999", "9" * 400])
def test_a_first_time_that_is_none_does_not_make_it_try_for_ever(space: Keyspace, stored: str) -> None:
    (job,) = space.running()
    space.raw.hset(space.keys.job(job.id), mapping={"transient_since": stored, "unknown_since": stored})
    again(space, [RetryLater(job, 10, "E: x", transient=True, unknown=True)])
    for name in ("transient_since", "unknown_since"):
        assert abs(int(space.field(job.id, name) or 0) - space.now()) < 60


def test_retry_without_traceback_removes_an_older_one(space: Keyspace) -> None:
    (job,) = space.running()
    space.raw.hset(space.keys.job(job.id), "traceback", "old")
    again(space, [RetryLater(job, 10, "E: x")])
    assert space.field(job.id, "traceback") is None


def test_only_20_attempts_are_kept_newest_first(space: Keyspace) -> None:
    (job,) = space.running()
    for n in range(25):
        space.raw.lpush(space.keys.attempts(job.id), n)
    again(space, [RetryLater(job, 10, "E: x", "", 1, ENTRY)])
    kept = space.raw.lrange(space.keys.attempts(job.id), 0, -1)
    assert len(kept) == 20
    assert kept[0].startswith(ENTRY[:-1])
    assert kept[1] == b"24"


@pytest.mark.parametrize("count", [None, "2", "many"])
def test_crashes_are_counted(space: Keyspace, count: str | None) -> None:
    (job,) = space.running()
    if count:
        space.raw.hset(space.keys.job(job.id), "crashes", count)
    assert again(space, [RetryLater(job, 10, "E: x", "", 1, ENTRY, crashed=True)]).answers == [1]
    assert space.field(job.id, "crashes") == {None: "1", "2": "3", "many": "many"}[count]
    space.assert_sound()


def test_retries_of_one_call_wake_the_scheduler_for_the_first(space: Keyspace) -> None:
    jobs = space.running(3)
    with Listener(space.raw, space.keys.control) as control:
        again(space, [RetryLater(job, delay, "E") for job, delay in zip(jobs, (900, 300, 600), strict=True)])
        (hint,) = control.heard()
    assert hint["at"] == space.raw.zscore(space.keys.scheduled, jobs[1].id)


# -------------------------------------------------------------------------------- dead_letter (12)


def test_everything_a_dead_letter_writes(space: Keyspace) -> None:
    (job,) = space.running()
    before = space.fields(job.id)

    assert bury(space, [Burial(job, 30, "E: x", "trace", ENTRY)]) == Settled([1], 0, 0)

    found = space.fields(job.id)
    assert abs(int(found.pop("completed_at")) - space.now()) < 2
    expected = {**before, "status": "dead_letter", "error": "E: x", "traceback": "trace"}
    del expected["claim"]
    assert found == {**expected, "execution_duration": "30", "settled": f"{job.token}/dead_letter"}
    assert space.members(space.keys.dead_letter("default")) == [job.id]
    assert abs(space.raw.zscore(space.keys.dead_letter("default"), job.id) - space.now()) < 2
    assert space.processing() == held_by(space) == []
    assert space.raw.llen(space.keys.attempts(job.id)) == 1
    for key in (space.keys.job(job.id), space.keys.attempts(job.id)):
        assert 2_591_990 < space.raw.ttl(key) <= 2_592_000
    today = datetime.fromtimestamp(space.now(), UTC).strftime("%Y-%m-%d")
    found_counters = counters(space)
    assert found_counters.pop("minute").items() >= {"failed": 1, "run_ms": 30}.items()
    assert found_counters == {"ledger": {"accepted": 1, "dead": 1}, f"failed:{today}": 1, "failed_total": 1}
    assert 7_775_990 < space.raw.ttl(space.keys.day("default", "failed", today)) <= 7_776_000
    space.assert_sound()


def test_burial_of_a_job_that_never_ran_here(space: Keyspace) -> None:
    (job,) = space.running()
    space.raw.hset(space.keys.job(job.id), mapping={"traceback": "old", "retry_count": 2})
    assert bury(space, [Burial(job, None, "payload is not a JSON object: it is an array")]).answers == [1]
    found = space.fields(job.id)
    assert not found.keys() & {"execution_duration", "traceback"}
    assert found["retry_count"] == "2"
    assert not space.raw.exists(space.keys.attempts(job.id))


def test_burial_counts_crashes(space: Keyspace) -> None:
    (job,) = space.running()
    space.raw.hset(space.keys.job(job.id), "crashes", 2)
    bury(space, [Burial(job, 5, "worker process exited: SIGSEGV", crashed=True)])
    assert space.field(job.id, "crashes") == "3"


@pytest.mark.fault(34)
@pytest.mark.parametrize(
    ("own", "default", "ttl"), [(1, None, 1), (None, 40, 40), (None, -1, -1), (-1, 40, -1)]
)
def test_end_of_one_job_removes_no_other_from_the_set(
    space: Keyspace, own: int | None, default: int | None, ttl: int
) -> None:
    others = space.running(3)
    bury(space, [Burial(job, 1, "E") for job in others])
    (job,) = space.running(failure_ttl=own) if own is not None else space.running()
    bury(space, [Burial(job, 1, "E")], default)
    assert len(space.members(space.keys.dead_letter("default"))) == 4
    found = space.raw.ttl(space.keys.job(job.id))
    assert found == ttl if ttl < 0 else 0 <= found <= ttl


def test_burial_kept_for_0_seconds_leaves_nothing_but_the_counts(space: Keyspace) -> None:
    (job,) = space.running(failure_ttl=0)
    assert bury(space, [Burial(job, 1, "E", "tb", ENTRY)]).answers == [1]
    assert list(space.raw.scan_iter(space.keys.job(job.id) + "*")) == []
    assert not space.raw.exists(space.keys.dead_letter("default"))
    assert counters(space)["ledger"] == {"accepted": 1, "dead": 1}
    space.assert_sound()


# --------------------------------------------------------------------------- return unstarted (13)


@pytest.mark.fault(23)
def test_returned_claims_are_next_again_in_claim_order_and_uncounted(space: Keyspace) -> None:
    jobs = space.running(3)
    last = space.enqueue()

    answers = space.store.run(return_unstarted(space.keys, "default", [(job, False) for job in jobs]))

    assert answers == [1, 1, 1]
    assert space.ready() == [*[job.id for job in jobs], last]
    found = space.fields(jobs[0].id)
    assert found["settled"] == f"{jobs[0].token}/return"
    assert not found.keys() & {"claim", "worker_id", "started_at", "retry_count"}
    assert found["attempt"] == "0"
    assert abs(int(found["ready_at_ms"]) / 1000 - space.now()) < 2
    assert held_by(space) == []
    assert space.claim()[0].attempt == 1
    space.assert_sound()


def test_returned_job_that_had_started_keeps_its_attempt(space: Keyspace) -> None:
    (job,) = space.running()
    assert space.store.run(return_unstarted(space.keys, "default", [(job, True)])) == [1]
    assert space.field(job.id, "attempt") == "1"
    assert space.field(job.id, "started_at") is not None
    assert space.claim()[0].attempt == 2


# ---------------------------------------------------------- only the holder, and only once (fence)


def completion(keys: Keys, job: Claim) -> Command[Settled]:
    return complete(keys, "default", [Completion(job, 5, b"1")], result_ttl=None, failure_ttl=None)


def retrying(keys: Keys, job: Claim) -> Command[Settled]:
    return retry(keys, "default", [RetryLater(job, 1000, "E: x", "tb", 1, ENTRY)])


def burial(keys: Keys, job: Claim) -> Command[Settled]:
    return dead_letter(keys, "default", [Burial(job, 5, "E: x", "tb", ENTRY)], failure_ttl=None)


def hand_back(keys: Keys, job: Claim) -> Command[Settled]:
    command = return_unstarted(keys, "default", [(job, False)])
    return Command(command.words, lambda raw: Settled(raw, 0, 0), command.script)


Way = Callable[[Keys, Claim], Command[Settled]]
WAYS = pytest.mark.parametrize("way", [completion, retrying, burial, hand_back])
STATES: dict[Way, str] = {
    completion: "completed",
    retrying: "retry",
    burial: "dead_letter",
    hand_back: "ready",
}


@WAYS
def test_second_send_answers_2_and_changes_nothing(space: Keyspace, way: Way) -> None:
    (job,) = space.running()
    assert space.store.run(way(space.keys, job)).answers == [1]
    before = space.dump()
    for _ in range(2):
        assert space.store.run(way(space.keys, job)) == Settled([2], 0, 0)
    assert space.dump() == before
    assert space.status(job.id) == STATES[way]


@WAYS
@pytest.mark.parametrize("other", WAYS.args[1])
def test_settle_of_another_kind_comes_too_late(space: Keyspace, way: Way, other: Way) -> None:
    (job,) = space.running()
    space.store.run(way(space.keys, job))
    before = space.dump()
    assert space.store.run(other(space.keys, job)).answers == [2 if other is way else 0]
    assert space.dump() == before


@WAYS
@pytest.mark.fault(17)
@pytest.mark.parametrize(
    "change",
    [
        {"claim": "somebody-else.1"},
        {"claim": None},
        {"worker_id": "p@other-2-bbbbbb"},
        {"worker_id": "go-pool"},
        {"status": "ready"},
        {"status": "completed"},
        {"status": None},
    ],
)
def test_job_that_is_not_held_any_more_is_left_alone(
    space: Keyspace, way: Way, change: dict[str, str | None]
) -> None:
    (job,) = space.running()
    for name, value in change.items():
        if value is None:
            space.raw.hdel(space.keys.job(job.id), name)
        else:
            space.raw.hset(space.keys.job(job.id), name, value)
    before = space.dump()
    assert space.store.run(way(space.keys, job)).answers == [0]
    assert space.dump() == before


@WAYS
@pytest.mark.fault(25)
def test_job_that_is_gone_stays_gone(space: Keyspace, way: Way) -> None:
    (job,) = space.running()
    space.raw.delete(space.keys.job(job.id))
    space.raw.zrem(space.keys.processing("default"), job.id)
    assert space.store.run(way(space.keys, job)).answers == [0]
    assert not space.raw.exists(space.keys.job(job.id))


@WAYS
def test_job_that_is_not_in_processing_is_not_held(space: Keyspace, way: Way) -> None:
    (job,) = space.running()
    space.raw.zrem(space.keys.processing("default"), job.id)
    assert space.store.run(way(space.keys, job)).answers == [0]


@WAYS
@pytest.mark.fault(17)
def test_second_claim_stands_when_the_first_holder_wakes_up(space: Keyspace, way: Way) -> None:
    (first,) = space.running()
    space.store.run(return_unstarted(space.keys, "default", [(first, False)]))
    (second,) = space.claim(server="other-2-bbbbbb")
    before = space.dump()
    assert space.store.run(way(space.keys, first)).answers == [2 if way is hand_back else 0]
    assert space.dump() == before
    assert space.store.run(completion(space.keys, second)).answers == [1]
    space.assert_sound()


def test_same_job_twice_in_one_call_is_done_once(space: Keyspace) -> None:
    (job,) = space.running()
    assert finish(space, [Completion(job, 5), Completion(job, 7)]).answers == [1, 0]
    assert space.field(job.id, "execution_duration") == "5"
    assert counters(space)["ledger"] == {"accepted": 1, "processed": 1}


def test_mixed_batch_answers_each_item_for_itself(space: Keyspace) -> None:
    done, lost, gone, broken, mine = space.running(5)
    finish(space, [Completion(done, 1)])
    space.raw.hset(space.keys.job(lost.id), "claim", "other.1")
    space.raw.delete(space.keys.job(gone.id), space.keys.job(broken.id))
    space.raw.set(space.keys.job(broken.id), "text")
    items = [Completion(job, 1) for job in (done, lost, gone, broken, mine)]
    assert finish(space, items).answers == [2, 0, 0, 0, 1]
    assert again(space, [RetryLater(job, 1, "E") for job in (broken, mine)]).answers == [0, 0]
    assert bury(space, [Burial(job, 1, "E") for job in (broken, mine)]).answers == [0, 0]


# ----------------------------------------------------------------------------------- wrong types


@WAYS
@pytest.mark.fault(33)
@pytest.mark.parametrize("place", ["target", "processing"])
def test_wrong_type_is_named_before_the_first_write_and_the_claim_stays(
    space: Keyspace, way: Way, place: str
) -> None:
    (job,) = space.running()
    keys = space.keys
    targets: dict[Way, str] = {
        completion: keys.completed("default"),
        retrying: keys.scheduled,
        burial: keys.dead_letter("default"),
        hand_back: keys.ready("default"),
    }
    key = targets[way] if place == "target" else keys.processing("default")
    kept = space.raw.dump(key)
    space.raw.delete(key)
    space.raw.set(key, "text")
    before = space.dump()
    with pytest.raises(StoreError, match=f"key {key} at "):
        space.store.run(way(keys, job))
    assert space.dump() == before
    space.raw.delete(key)
    if kept:
        space.raw.restore(key, 0, kept)
    assert space.store.run(way(keys, job)).answers == [1]
    space.assert_sound()


@WAYS
@pytest.mark.parametrize("part", ["attempts", "claims", "settings", "ledger", "minute"])
def test_broken_side_keys_do_not_stop_a_settle_half_way(space: Keyspace, way: Way, part: str) -> None:
    (job,) = space.running()
    keys = space.keys
    minute = next(iter(space.raw.scan_iter(keys.prefix + "stats:default:minute:*"))).decode()
    key = {
        "attempts": keys.attempts(job.id),
        "claims": keys.claims(SERVER),
        "settings": keys.settings,
        "ledger": keys.ledger("default"),
        "minute": minute,
    }[part]
    space.raw.delete(key)
    space.raw.set(key, "text")
    assert space.store.run(way(keys, job)).answers == [1]
    assert space.status(job.id) == STATES[way]
    assert space.processing() == []


@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_settles_go_through_when_memory_is_full(start_server: ServerFactory, kind: str) -> None:
    server = start_server(kind=kind)
    store = Store(plain_link(Keys("t:"), "full", {"unix_socket_path": server.socket}))
    space = Keyspace(store, redis.Redis(unix_socket_path=server.socket, protocol=2))
    jobs = space.running(4)
    space.raw.config_set("maxmemory", 1)
    for job, way in zip(jobs, STATES, strict=True):
        assert store.run(way(space.keys, job)).answers == [1]
    space.raw.config_set("maxmemory", 0)
    assert [space.status(job.id) for job in jobs] == list(STATES.values())
    space.assert_sound()
    space.raw.close()
    store.close()


# --------------------------------------------------------------------------------------- messages


@WAYS
def test_a_settle_is_one_message(space: Keyspace, way: Way) -> None:
    jobs = space.running(2)
    with Listener(space.raw, space.keys.events) as events:
        space.store.run(way(space.keys, jobs[0]))
        space.store.run(way(space.keys, jobs[0]))
        (message,) = events.heard()
    ops: dict[Way, str] = {
        completion: "complete",
        retrying: "retry",
        burial: "dead_letter",
        hand_back: "return",
    }
    op = ops[way]
    assert (message["op"], message["queue"], message["n"]) == (op, "default", 1)
    assert message["ch"] == [[jobs[0].id, "processing", STATES[way]]]


def calls(space: Keyspace) -> dict[str, int]:
    """Commands that the server has carried out since the last reset, by name."""
    found = space.raw.info("commandstats")
    return {name.removeprefix("cmdstat_"): stats["calls"] for name, stats in found.items()}


def test_few_commands_a_job_decide_how_many_jobs_a_redis_can_carry(space: Keyspace) -> None:
    """What is done once a call may grow; what is done for each job may not."""
    space.beat()
    for _ in range(100):
        space.enqueue()
    space.raw.config_resetstat()
    jobs = space.claim(100)
    claiming = calls(space)
    assert claiming["hgetall"] == 100
    assert claiming["hset"] == 100 + 1, "each job, and the claims of all"
    assert sum(claiming.values()) <= 2 * 100 + 20
    space.raw.config_resetstat()
    finish(space, [Completion(job, 1) for job in jobs])
    settling = calls(space)
    assert [settling[name] for name in ("hmget", "hset", "hdel")] == [100, 100, 100 + 1]
    assert settling["expire"] <= 100 + 3, "each job, and those of counters"
    assert sum(settling.values()) <= 4 * 100 + 30
    space.raw.config_resetstat()
    space.enqueue()
    assert sum(calls(space).values()) <= 11 + 2, "the plain way of a producer"


def test_job_goes_all_the_way(space: Keyspace) -> None:
    job = new_job("t", {"n": 1})
    space.store.run(enqueue(space.keys, job))
    for n in range(3):
        (held,) = space.claim()
        assert (held.attempt, held.fields.get(b"retry_count")) == (n + 1, b"%d" % n if n else None)
        again(space, [RetryLater(held, 0, "E", "tb", n + 1, ENTRY)])
        space.assert_sound()
        space.raw.zrem(space.keys.scheduled, job.id)
        space.raw.hset(space.keys.job(job.id), "status", "ready")
        space.raw.lpush(space.keys.ready("default"), job.id)
    (held,) = space.claim()
    bury(space, [Burial(held, 1, "E", "tb", ENTRY)])
    assert space.raw.llen(space.keys.attempts(job.id)) == 4
    space.assert_sound()
