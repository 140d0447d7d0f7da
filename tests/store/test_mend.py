"""The repairs, each script alone: a sound key space stays as it is, and what is repaired is repaired once."""

from __future__ import annotations

import pytest

from gqm.errors import StoreError
from gqm.job import Status
from gqm.store.commands.ledger import Suspect, judge_jobs
from gqm.store.commands.mend import (
    Placed,
    Told,
    mend_claims,
    mend_cron,
    mend_expiry,
    mend_family,
    mend_place,
    mend_queue,
    mend_record,
)
from tests.support.corruptions import CORRUPTIONS
from tests.support.keyspace import SERVER, Keyspace
from tests.support.states import MAKE

STATES = pytest.mark.parametrize("status", list(Status))


@STATES
def test_a_sound_job_is_left_alone(space: Keyspace, status: Status) -> None:
    job = MAKE[status](space)
    before = space.dump()

    assert space.store.run(mend_place(space.keys, job, ["default", "mail"])) == Placed(0, False)
    assert space.store.run(mend_record(space.keys, job)) == 0
    assert space.store.run(mend_family(space.keys, job)) == Told(0, 0, 0)
    assert space.store.run(mend_queue(space.keys, "default")) == 0

    assert space.dump() == before


def test_what_is_not_there_is_left_alone(space: Keyspace) -> None:
    assert space.store.run(mend_place(space.keys, "none")) == Placed(0, False)
    assert space.store.run(mend_record(space.keys, "none")) == 0
    assert space.store.run(mend_family(space.keys, "none")) == Told(0, 0, 0)
    assert space.store.run(mend_claims(space.keys, SERVER, ["none"])) == 0
    assert space.store.run(mend_queue(space.keys, "none")) == 0
    assert space.store.run(mend_cron(space.keys, "none")) == 0
    assert space.store.run(mend_expiry(space.keys, space.keys.job("none"), 60)) == 0
    assert space.dump() == {}


@STATES
def test_a_job_that_lost_its_place_gets_it_back(space: Keyspace, status: Status) -> None:
    """Failed jobs of Go have none."""
    job = MAKE[status](space)
    keys = space.keys
    space.raw.lrem(keys.ready("default"), 0, job)
    space.raw.srem(keys.deferred, job)
    for key in (keys.processing, keys.completed, keys.dead_letter, keys.canceled):
        space.raw.zrem(key("default"), job)
    space.raw.zrem(keys.scheduled, job)

    assert space.store.run(mend_place(keys, job)) == Placed(0, status is not Status.FAILED)
    assert space.store.run(mend_place(keys, job)) == Placed(0, False)

    space.assert_sound()


def test_a_running_job_that_lost_its_deadline_may_still_be_settled(space: Keyspace) -> None:
    (item,) = space.running()
    space.raw.zrem(space.keys.processing("default"), item.id)

    space.store.run(mend_place(space.keys, item.id))

    assert space.beat(active=[item]).lost == []
    assert space.raw.zscore(space.keys.processing("default"), item.id) == pytest.approx(space.now(), abs=5)


def test_a_scheduled_job_gets_its_time_back(space: Keyspace) -> None:
    job = MAKE[Status.SCHEDULED](space)
    due = space.raw.zscore(space.keys.scheduled, job)
    space.raw.zrem(space.keys.scheduled, job)

    space.store.run(mend_place(space.keys, job))

    assert space.raw.zscore(space.keys.scheduled, job) == pytest.approx(due, abs=1)


def test_of_several_copies_the_next_to_run_stays(space: Keyspace) -> None:
    job, other = space.enqueue(), space.enqueue()
    space.raw.lpush(space.keys.ready("default"), job, job)

    assert space.store.run(mend_place(space.keys, job)) == Placed(2, False)
    assert space.ready() == [job, other]


def test_a_job_is_not_put_into_a_container_of_a_wrong_type(space: Keyspace) -> None:
    job = space.enqueue()
    space.raw.delete(space.keys.ready("default"))
    space.raw.set(space.keys.ready("default"), "x")
    before = space.dump()

    with pytest.raises(StoreError, match="ready"):
        space.store.run(mend_place(space.keys, job))
    assert space.dump() == before


@pytest.mark.parametrize("allow_failure", [False, True])
def test_a_child_of_a_parent_that_is_gone(space: Keyspace, allow_failure: bool) -> None:
    parent = space.enqueue()
    child = space.enqueue(depends_on=[parent], allow_failure=allow_failure)
    grandchild = space.enqueue(depends_on=[child])
    space.raw.delete(space.keys.job(parent))

    told = space.store.run(mend_family(space.keys, child))

    assert told == (Told(1, 0, 0) if allow_failure else Told(0, 2, 0))
    assert space.status(child) == ("ready" if allow_failure else "canceled")
    assert space.status(grandchild) == ("deferred" if allow_failure else "canceled")
    if not allow_failure:
        assert space.field(child, "cancel_reason") == f"parent missing: {parent}"


def test_a_child_with_another_live_parent_goes_on_waiting(space: Keyspace) -> None:
    first, second = space.enqueue(), space.enqueue()
    child = space.enqueue(depends_on=[first, second], allow_failure=True)
    space.raw.delete(space.keys.job(first), space.keys.dependents(second))

    assert space.store.run(mend_family(space.keys, child)) == Told(0, 0, 1)

    assert space.status(child) == "deferred"
    assert space.members(space.keys.pending_deps(child)) == [second]
    assert space.members(space.keys.dependents(second)) == [child]


def test_a_pending_set_is_made_again(space: Keyspace) -> None:
    parents = [space.enqueue(), space.enqueue()]
    child = space.enqueue(depends_on=parents)
    space.raw.delete(space.keys.pending_deps(child))

    assert space.store.run(mend_family(space.keys, child)) == Told(0, 0, 2)

    assert space.members(space.keys.pending_deps(child)) == sorted(parents)
    assert space.status(child) == "deferred"


def test_a_held_claim_keeps_its_record(space: Keyspace) -> None:
    (item,) = space.running()
    CORRUPTIONS["claim record without a job"].seed(space)
    (stale,) = set(space.raw.hkeys(space.keys.claims(SERVER))) - {item.id.encode()}

    assert space.store.run(mend_claims(space.keys, SERVER, [item.id, stale.decode()])) == 1
    assert space.raw.hkeys(space.keys.claims(SERVER)) == [item.id.encode()]


def test_a_cron_entry_that_is_there_keeps_its_data(space: Keyspace) -> None:
    space.raw.hset(space.keys.cron_entries, "daily", "{}")
    space.raw.set(space.keys.cron_current("daily"), "job")

    assert space.store.run(mend_cron(space.keys, "daily")) == 0
    assert space.raw.get(space.keys.cron_current("daily")) == b"job"


def test_a_key_that_expires_keeps_its_time(space: Keyspace) -> None:
    name = space.keys.login_address("192.0.2.7")
    space.raw.set(name, 1)

    assert space.store.run(mend_expiry(space.keys, name, 300)) == 1
    assert space.store.run(mend_expiry(space.keys, name, 9000)) == 0
    assert 290 < space.raw.ttl(name) <= 300


@pytest.mark.parametrize(("others", "found"), [(150_000, True), (1_000_000, False)])
def test_an_id_in_a_very_long_list(space: Keyspace, others: int, found: bool) -> None:
    """Behind a million others it is not searched for; then it is neither called lost nor put anywhere."""
    job, lost = space.enqueue(), space.enqueue()
    space.raw.lrem(space.keys.ready("default"), 0, lost)
    for start in range(0, others, 50_000):
        space.raw.rpush(space.keys.ready("default"), *range(start, start + 50_000))

    both = [Suspect(job), Suspect(lost)]
    judged = space.store.run(judge_jobs(space.keys, both, deep=True, slack_s=25))

    lost_faults = [("nowhere", "queue:default:ready")] if found else []
    assert [item.faults for item in judged] == [[], lost_faults]
    assert space.store.run(mend_place(space.keys, job)) == Placed(0, False)
    assert space.store.run(mend_place(space.keys, lost)) == Placed(0, found)
    space.raw.unlink(space.keys.ready("default"))
