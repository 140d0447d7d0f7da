"""A cron entry whose earlier jobs still live: skipped, side by side, or replaced; and triggers by hand."""

from __future__ import annotations

import pytest

from gqm.errors import StoreError
from gqm.store.commands.cron import fire_slot, trigger
from gqm.store.commands.settle import Completion, complete
from tests.support.crontab import Crontab, entry
from tests.support.keyspace import SERVER, Keyspace
from tests.support.listen import Listener


@pytest.fixture
def tab(space: Keyspace) -> Crontab:
    return Crontab(space)


def make_live(space: Keyspace, job_id: str, state: str) -> None:
    """Bring a ready job of the queue ``night`` into another live state."""
    if state == "ready":
        return
    if state == "processing":
        space.beat()
        assert [item.id for item in space.claim(queue="night")] == [job_id]
        return
    space.raw.lrem(space.keys.ready("night"), 0, job_id)
    space.raw.hset(space.keys.job(job_id), "status", state)
    if state == "deferred":
        space.raw.sadd(space.keys.deferred, job_id)
        space.raw.sadd(space.keys.pending_deps(job_id), "parent")
    else:
        space.raw.zadd(space.keys.scheduled, {job_id: space.now() + 3600})


LIVE_STATES = ["ready", "scheduled", "retry", "deferred", "processing"]


# ---------------------------------------------------------------------------------------- overlap


@pytest.mark.parametrize("state", LIVE_STATES)
def test_skip_makes_no_job_while_one_lives(space: Keyspace, tab: Crontab, state: str) -> None:
    tab.put(entry(overlap_policy="skip"))
    slot = tab.now() - 3
    first = tab.fire(slot).job_id
    make_live(space, first, state)
    stored = tab.row()
    assert stored.entry is not None
    command = fire_slot(space.keys, stored.entry, stored.text, slot + 1, slot + 2)

    answer = space.store.run(command)

    assert (answer.outcome, answer.job_id, answer.jobs, answer.slot) == ("skipped", "", [first], slot + 1)
    skipped = tab.entry()
    assert (skipped.last_run, skipped.last_status, skipped.next_run) == (slot + 2, "skipped", slot + 2)
    assert answer.text == tab.row().text
    assert (tab.row().slot, tab.slots(), len(tab.history())) == (slot + 1, [slot], 1)
    assert space.store.run(command).outcome == "skipped"
    space.assert_sound()


def test_skip_fires_again_after_the_end_of_the_job(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry(overlap_policy="skip"))
    tab.fire(tab.now() - 3)
    assert tab.fire(tab.now() - 2).outcome == "skipped"
    tab.complete()
    assert tab.fire(tab.now() - 1).outcome == "fired"


def test_skip_sees_the_newest_job_of_a_go_scheduler(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry(overlap_policy="skip"))
    job_id = space.enqueue(queue="night")
    space.raw.set(space.keys.cron_current("tidy"), job_id)

    answer = tab.fire(tab.now())

    assert (answer.outcome, answer.jobs) == ("skipped", [job_id])


def test_allow_lets_jobs_live_side_by_side(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry())
    made = [tab.fire(tab.now() - ago).job_id for ago in (3, 2, 1)]
    assert space.ready("night") == made
    assert tab.active() == sorted(made)


@pytest.mark.parametrize("state", LIVE_STATES)
def test_replace_stops_what_lives(space: Keyspace, tab: Crontab, state: str) -> None:
    tab.put(entry(overlap_policy="replace"))
    old = tab.fire(tab.now() - 3).job_id
    make_live(space, old, state)
    child = space.enqueue(depends_on=[old])
    freed = space.enqueue(depends_on=[old], allow_failure=True)
    claim_token = space.field(old, "claim")

    with Listener(space.raw, space.keys.control) as control, Listener(space.raw, space.keys.events) as events:
        answer = tab.fire(tab.now() - 1)
        told = [message for message in control.heard() if message["op"] == "cancel"]
        (event,) = events.heard()

    new = answer.job_id
    assert (answer.outcome, answer.jobs) == ("fired", [old])
    assert space.status(new) == "ready"
    stopped = space.fields(old)
    assert (stopped["status"], stopped["cancel_reason"]) == ("stopped", f"replaced by job {new}")
    assert int(stopped["completed_at"]) == pytest.approx(space.now(), abs=2)
    assert "claim" not in stopped
    assert space.members(space.keys.canceled("night")) == [old]
    assert space.raw.ttl(space.keys.job(old)) == pytest.approx(2_592_000, abs=5)
    assert (space.status(child), space.status(freed)) == ("canceled", "ready")
    assert space.field(child, "cancel_reason") == f"parent failed: {old}"
    running = [{"op": "cancel", "id": old, "claim": claim_token, "sid": SERVER}]
    assert told == (running if state == "processing" else [])
    assert [old, state, "stopped"] in event["ch"]
    assert [new, "", "ready"] in event["ch"]
    assert tab.active() == [new]
    space.assert_sound()


def test_a_job_that_is_stopped_is_nobodys_any_more(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry(overlap_policy="replace"))
    tab.fire(tab.now() - 3)
    space.beat()
    (item,) = space.claim(queue="night")
    tab.fire(tab.now() - 1)

    done = [Completion(item, 5, b"1")]
    settled = space.store.run(complete(space.keys, "night", done, result_ttl=60, failure_ttl=None))

    assert settled.answers == [0]
    assert space.status(item.id) == "stopped"
    assert not space.raw.exists(space.keys.claims(SERVER))


@pytest.mark.fault(28)
def test_a_job_that_completed_just_before_is_not_stopped(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry(overlap_policy="replace"))
    old = tab.fire(tab.now() - 3).job_id
    tab.complete()

    answer = tab.fire(tab.now() - 1)

    assert (answer.outcome, answer.jobs) == ("fired", [])
    assert space.status(old) == "completed"
    space.assert_sound()


def test_a_stopped_job_with_no_retention_is_gone(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry(overlap_policy="replace"))
    old = tab.fire(tab.now() - 3).job_id
    stored = tab.row()
    assert stored.entry is not None
    slot = tab.now() - 1
    space.store.run(fire_slot(space.keys, stored.entry, stored.text, slot, slot, failure_ttl=0))
    assert space.status(old) is None
    space.assert_sound()


def test_replace_stops_any_number_in_steps_and_fires_once(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry(), ago_s=700)
    for ago in range(620, 10, -1):
        tab.fire(tab.now() - ago)
    tab.change("tidy", overlap_policy="replace")
    stored = tab.row()
    assert stored.entry is not None
    slot = tab.now() - 1
    command = fire_slot(space.keys, stored.entry, stored.text, slot, slot)

    first = space.store.run(command)
    assert (first.outcome, len(first.jobs), first.text) == ("more", 500, stored.text)
    assert tab.row() == stored
    second = space.store.run(command)

    assert (second.outcome, len(second.jobs)) == ("fired", 610 - 500)
    assert space.ready("night") == [second.job_id]
    assert tab.active() == [second.job_id]
    assert len(tab.history()) == 611
    space.assert_sound()


def test_a_job_in_a_queue_that_cannot_take_its_end_stops_the_replacement(
    space: Keyspace, tab: Crontab
) -> None:
    tab.put(entry(overlap_policy="replace"))
    tab.fire(tab.now() - 3)
    space.raw.set(space.keys.canceled("night"), "broken")
    before = space.dump()
    with pytest.raises(StoreError, match="canceled"):
        tab.fire(tab.now() - 1)
    assert space.dump() == before


# ----------------------------------------------------------------------------------------- manual


def test_a_trigger_ignores_everything_and_leaves_the_entry_alone(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry(overlap_policy="skip", enabled=False, last_run=5, last_status="skipped"), ago_s=-100)
    space.raw.set(space.keys.cron_lock("tidy"), "go-1")
    before = tab.row()
    first, second = tab.trigger(), tab.trigger()

    assert tab.row() == before
    assert space.ready("night") == [first, second]
    job = space.fields(first)
    assert (job["cron_id"], job["enqueued_by"]) == ("tidy", "cron:tidy")
    assert "cron_slot" not in job
    assert tab.active() == sorted([first, second])
    assert {job_id for job_id, _ in tab.history()} == {first, second}
    assert space.raw.get(space.keys.cron_current("tidy")).decode() == second
    space.assert_sound()


def test_a_resent_trigger_makes_one_job(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry())
    stored = tab.row()
    assert stored.entry is not None
    command = trigger(space.keys, stored.entry, stored.text)

    first, again = space.store.run(command), space.store.run(command)

    assert (first.outcome, again.outcome, first.job_id) == ("fired", "fired", again.job_id)
    assert space.ready("night") == [first.job_id]


def test_a_trigger_makes_the_job_that_the_entry_describes_now(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry())
    stored = tab.row()
    assert stored.entry is not None
    changed = tab.change("tidy", payload=b'{"new":1}')

    answer = space.store.run(trigger(space.keys, stored.entry, stored.text))

    assert (answer.outcome, answer.text, space.ready("night")) == ("changed", changed.write(), [])


@pytest.mark.fault(52)
def test_a_trigger_does_not_hide_the_scheduled_run(space: Keyspace, tab: Crontab) -> None:
    for policy in ("skip", "replace"):
        tab.put(entry(policy, overlap_policy=policy, queue=policy))
        scheduled = tab.fire(tab.now() - 3, entry_id=policy).job_id
        space.beat()
        assert [item.id for item in space.claim(queue=policy)] == [scheduled]
        manual = tab.trigger(policy)
        # The manual run ends; the scheduled one goes on.
        tab.complete(policy)
        assert space.status(manual) == "completed"

        answer = tab.fire(tab.now() - 1, entry_id=policy)

        if policy == "skip":
            assert (answer.outcome, answer.jobs) == ("skipped", [scheduled])
        else:
            assert (answer.outcome, answer.jobs) == ("fired", [scheduled])
            assert space.status(scheduled) == "stopped"
