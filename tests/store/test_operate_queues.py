"""What operators do to whole queues: empty, retry all, clear and pause, in steps that a crash may end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from gqm.errors import QueueNotFound, StoreError
from gqm.store.command import Command
from gqm.store.commands.operate import (
    MAX_BULK,
    Emptied,
    Swept,
    clear_dlq,
    empty_queue,
    pause,
    requeue_dlq,
    resume,
)
from gqm.store.commands.settle import Burial, dead_letter
from gqm.store.sync import Store
from tests.support.keyspace import SERVER, Keyspace
from tests.support.listen import Listener
from tests.support.states import ledger
from tests.support.wait import eventually


def empty(space: Keyspace, queue: str = "default", **options: Any) -> Emptied:
    return space.store.run(empty_queue(space.keys, queue, "emptied", **options))


def bury(space: Keyspace, n: int, queue: str = "default", **options: Any) -> list[str]:
    """Let ``n`` jobs die, the first one earlier than the second and so on."""
    claims = space.running(n, queue=queue, **options)
    burials = [Burial(item, 1, "Oops: x") for item in claims]
    for start in range(0, n, 100):
        part = burials[start : start + 100]
        space.store.run(dead_letter(space.keys, queue, part, failure_ttl=1000))
    now = int(space.now())
    ages = {item.id: now - n + i for i, item in enumerate(claims)}
    if ages:
        space.raw.zadd(space.keys.dead_letter(queue), ages)
    return list(ages)


# ------------------------------------------------------------------------------------------- empty


@pytest.mark.fault(43)
def test_ready_jobs_are_canceled_and_their_families_settled(space: Keyspace) -> None:
    first, second = space.enqueue(), space.enqueue()
    child = space.enqueue(depends_on=[first])
    tolerant = space.enqueue(depends_on=[second], allow_failure=True, queue="other")
    elsewhere = space.enqueue(queue="other")

    done = empty(space)

    assert (done.canceled, done.removed, done.left) == (2, 0, 0)
    assert {space.status(job_id) for job_id in (first, second, child)} == {"canceled"}
    assert space.field(first, "cancel_reason") == "emptied"
    assert space.ready("other") == [elsewhere, tolerant]
    space.assert_sound()


def test_steps_take_the_next_to_run_first_and_say_what_is_left(space: Keyspace) -> None:
    jobs = [space.enqueue() for _ in range(5)]

    done = empty(space, limit=2)

    assert (done.canceled, done.left) == (2, 3)
    assert space.ready() == jobs[2:]
    done = empty(space, limit=2, left=done.left, cutoff_ms=done.cutoff_ms)
    assert (done.canceled, done.left) == (2, 1)
    done = empty(space, limit=2, left=done.left, cutoff_ms=done.cutoff_ms)
    assert (done.canceled, done.left) == (1, 0)
    assert space.ready() == []


@pytest.mark.fault(27)
def test_jobs_that_come_meanwhile_stay(space: Keyspace) -> None:
    old = [space.enqueue() for _ in range(3)]
    done = empty(space, limit=1)
    eventually(lambda: space.now() * 1000 > done.cutoff_ms + 1)
    front = space.enqueue(enqueue_at_front=True)
    new = space.enqueue()

    done = empty(space, left=done.left, cutoff_ms=done.cutoff_ms)

    assert (done.canceled, done.left) == (1, 0), "two ids were left, one of them is now a new one"
    done = empty(space, left=2, cutoff_ms=done.cutoff_ms)
    assert (done.canceled, done.left) == (1, 0)
    assert space.ready() == [front, new]
    assert {space.status(job_id) for job_id in old} == {"canceled"}
    done = empty(space, cutoff_ms=done.cutoff_ms)
    assert (done.canceled, done.removed, done.left) == (0, 0, 0)
    assert space.ready() == [front, new]


def test_ids_without_a_ready_job_are_taken_out_and_not_touched(space: Keyspace) -> None:
    (running,) = space.running()
    space.raw.lpush(space.keys.ready("default"), running.id, "never-there")
    job_id = space.enqueue()
    space.raw.lpush(space.keys.ready("default"), job_id)

    done = empty(space)

    assert (done.canceled, done.removed) == (1, 3)
    assert space.status(running.id) == "processing"
    assert space.raw.exists(space.keys.job("never-there")) == 0
    space.assert_sound()


def test_an_empty_queue_has_nothing_to_empty(space: Keyspace) -> None:
    assert empty(space)[:3] == (0, 0, 0)


@pytest.mark.parametrize("place", ["ready", "canceled"])
def test_emptying_names_a_key_of_a_wrong_type(space: Keyspace, place: str) -> None:
    space.enqueue(queue="other")
    key = getattr(space.keys, place)("default")
    space.raw.set(key, "text")
    before = space.dump()

    with pytest.raises(StoreError, match=key):
        empty(space)

    assert space.dump() == before


# ------------------------------------------------------------------------------------ dead letters


def test_dead_letters_run_again_in_the_order_of_their_death(space: Keyspace) -> None:
    jobs = bury(space, 3)

    done = space.store.run(requeue_dlq(space.keys, "default"))

    assert (done.done, done.removed, done.left) == (3, 0, 0)
    assert space.ready() == jobs
    assert {space.field(job_id, "error") for job_id in jobs} == {None}
    assert ledger(space)["requeued"] == 3
    space.assert_sound()


def test_dead_letters_are_cleared(space: Keyspace) -> None:
    bury(space, 3)
    other = bury(space, 1, queue="other")

    done = space.store.run(clear_dlq(space.keys, "default"))

    assert (done.done, done.removed, done.left) == (3, 0, 0)
    left = [key.decode() for key in space.raw.scan_iter(space.keys.job("*"), count=1000)]
    assert left == [space.keys.job(other[0])]
    space.assert_sound()


def test_children_of_cleared_jobs_become_roots(space: Keyspace) -> None:
    root = space.enqueue()
    child = space.enqueue(depends_on=[root], allow_failure=True)
    space.enqueue(depends_on=[child], allow_failure=True)
    (item,) = space.claim()
    assert item.id == root
    space.store.run(dead_letter(space.keys, "default", [Burial(item, 1, "Oops: x")], failure_ttl=1000))

    space.store.run(clear_dlq(space.keys, "default"))

    assert space.members(space.keys.dag_roots) == [child]


@pytest.mark.fault(26)
@pytest.mark.parametrize("act", [requeue_dlq, clear_dlq])
def test_ids_whose_job_expired_make_no_ghosts(space: Keyspace, act: Any) -> None:
    jobs = bury(space, 4)
    space.raw.delete(space.keys.job(jobs[0]), space.keys.job(jobs[2]))

    done = space.store.run(act(space.keys, "default"))

    assert (done.done, done.removed, done.left) == (2, 2, 0)
    assert space.members(space.keys.dead_letter("default")) == []
    assert space.raw.exists(space.keys.job(jobs[0]), space.keys.job(jobs[2])) == 0


@pytest.mark.fault(27)
def test_a_job_that_runs_again_is_not_cleared(space: Keyspace) -> None:
    """Its id came back into the set by a program that only merged the hash."""
    jobs = bury(space, 2)
    space.store.run(requeue_dlq(space.keys, "default", limit=1))
    space.raw.zadd(space.keys.dead_letter("default"), {jobs[0]: 1})

    done = space.store.run(clear_dlq(space.keys, "default"))

    assert (done.done, done.removed) == (1, 1)
    assert space.status(jobs[0]) == "ready"
    assert space.ready() == [jobs[0]]


@pytest.mark.parametrize("act", [requeue_dlq, clear_dlq])
def test_jobs_that_die_meanwhile_stay(space: Keyspace, act: Any) -> None:
    jobs = bury(space, 3)
    first: Swept = space.store.run(act(space.keys, "default", limit=1))
    assert (first.done, first.left) == (1, 2)
    assert first.cutoff_s == pytest.approx(space.now(), abs=2)
    later = first.cutoff_s + 1
    space.raw.zadd(space.keys.dead_letter("default"), {jobs[2]: later})

    last = space.store.run(act(space.keys, "default", cutoff_s=first.cutoff_s))

    assert (last.done, last.left) == (1, 0)
    assert space.members(space.keys.dead_letter("default")) == [jobs[2]]


@pytest.mark.parametrize("act", [requeue_dlq, clear_dlq])
def test_dead_letters_of_a_wrong_typed_set_are_named(space: Keyspace, act: Any) -> None:
    space.raw.set(space.keys.dead_letter("default"), "text")

    with pytest.raises(StoreError, match=space.keys.dead_letter("default")):
        space.store.run(act(space.keys, "default"))


@pytest.mark.parametrize("act", ["empty", "requeue", "clear"])
def test_a_step_is_bounded_and_quick(space: Keyspace, act: str) -> None:
    if act == "empty":
        for _ in range(1100):
            space.enqueue(meta={"a": 1})
        command: Command[Any] = empty_queue(space.keys, "default", "r")
    else:
        for _ in range(11):
            bury(space, 100)
        command = (requeue_dlq if act == "requeue" else clear_dlq)(space.keys, "default")
    began = time.perf_counter()

    done = space.store.run(command)

    assert time.perf_counter() - began < 0.1
    assert done[0] == MAX_BULK
    assert done.left == 1100 - MAX_BULK


PROGRAM = """
import sys
from gqm.keys import Keys
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from gqm.store.commands.operate import cancel, clear_dlq, empty_queue, requeue_dlq

socket, prefix, act = sys.argv[1:4]
store = Store(plain_link(Keys(prefix), "the test server", {"unix_socket_path": socket}))
print("ready", flush=True)
while True:
    if act == "cancel":
        for line in sys.stdin:
            store.run(cancel(store.keys, line.strip(), "killed"))
        break
    step = {
        "empty": lambda: empty_queue(store.keys, "default", "killed", limit=3),
        "retry": lambda: requeue_dlq(store.keys, "default", limit=3),
        "clear": lambda: clear_dlq(store.keys, "default", limit=3),
    }[act]
    if not store.run(step()).left:
        break
"""


def kill_in_the_middle(space: Keyspace, redis_socket: str, act: str, given: str = "") -> None:
    """Run a program that acts, and end it with SIGKILL after a random time."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, redis_socket, space.keys.prefix, act],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write(given)
        process.stdin.flush()
        time.sleep(random.uniform(0, 0.02))  # the instant of the kill; nothing is waited for
        os.kill(process.pid, signal.SIGKILL)


@pytest.mark.fault(27)
@pytest.mark.parametrize("act", ["empty", "retry", "clear"])
def test_a_killed_bulk_action_leaves_every_job_in_its_old_or_its_new_state(
    space: Keyspace, redis_socket: str, act: str
) -> None:
    states: dict[str, set[str | None]] = {
        "empty": {"ready", "canceled"},
        "retry": {"dead_letter", "ready"},
        "clear": {"dead_letter", None},
    }
    for _ in range(3):
        jobs = [space.enqueue() for _ in range(300)] if act == "empty" else bury(space, 100)

        kill_in_the_middle(space, redis_socket, act)

        assert {space.status(job_id) for job_id in jobs} <= states[act]
        space.assert_sound()


@pytest.mark.fault(39)
def test_a_kill_around_cancels_leaves_no_child_waiting_for_an_ended_parent(
    space: Keyspace, redis_socket: str
) -> None:
    parents = [space.enqueue() for _ in range(200)]
    children = [space.enqueue(depends_on=[parent]) for parent in parents]

    kill_in_the_middle(space, redis_socket, "cancel", "".join(f"{parent}\n" for parent in parents))

    for parent, child in zip(parents, children, strict=True):
        expected = {"ready": "deferred", "canceled": "canceled"}
        assert space.status(child) == expected[str(space.status(parent))]
    space.assert_sound()


# ----------------------------------------------------------------------------------- pause, resume


def test_a_paused_queue_gives_no_jobs(space: Keyspace) -> None:
    job_id = space.enqueue()

    assert space.store.run(pause(space.keys, "default")) is True
    assert space.store.run(pause(space.keys, "default")) is False
    assert space.claim() == []

    with Listener(space.raw, space.keys.control) as control:
        assert space.store.run(resume(space.keys, "default")) is True
        assert control.heard() == [{"op": "wake", "queue": "default"}]
        assert space.store.run(resume(space.keys, "default")) is False
        assert control.heard() == []
    assert [item.id for item in space.claim(server=SERVER)] == [job_id]


@pytest.mark.parametrize("act", [pause, resume])
def test_an_unknown_queue_cannot_be_paused(space: Keyspace, act: Any) -> None:
    with pytest.raises(QueueNotFound, match="nothing"):
        space.store.run(act(space.keys, "nothing"))

    assert space.dump() == {}


def test_a_paused_queue_that_the_registry_lost_can_be_resumed(space: Keyspace) -> None:
    space.raw.sadd(space.keys.paused, "lost")

    assert space.store.run(pause(space.keys, "lost")) is False
    assert space.store.run(resume(space.keys, "lost")) is True


@pytest.mark.parametrize("act", [pause, resume])
def test_a_lost_answer_counts_as_done(space: Keyspace, act: Any) -> None:
    space.enqueue()
    if act is resume:
        space.store.run(pause(space.keys, "default"))
    command = act(space.keys, "default")

    space.store.send(command)
    assert command.read(space.store.send(command._replace(words=command.again))) is True


@pytest.mark.parametrize("act", [pause, resume])
def test_pausing_names_a_key_of_a_wrong_type(space: Keyspace, act: Any) -> None:
    space.raw.set(space.keys.paused, "text")

    with pytest.raises(StoreError, match=space.keys.paused):
        space.store.run(act(space.keys, "default"))


def test_names_of_other_programs_survive_the_wake_message(space: Keyspace) -> None:
    name = 'odd "name" with ü'
    space.raw.sadd(space.keys.queues, name)
    store: Store = space.store
    store.run(pause(space.keys, name))

    with Listener(space.raw, space.keys.control) as control:
        store.run(resume(space.keys, name))
        assert control.heard() == [{"op": "wake", "queue": name}]
