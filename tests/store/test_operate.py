"""What operators do to single jobs: in every state, to their families, and sent a second time."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from gqm.errors import JobNotFound, JobStateError, StoreError
from gqm.job import LIVE, Status
from gqm.store.command import Command
from gqm.store.commands.operate import Canceled, cancel, delete, requeue, run_now
from gqm.store.commands.schedule import sweep_roots
from gqm.store.commands.servers import announce
from gqm.store.commands.settle import Completion, complete
from gqm.store.connect import Link
from gqm.store.sync import Store
from tests.support.keyspace import SERVER, Keyspace
from tests.support.listen import Listener
from tests.support.states import MAKE, dead, deferred, processing, scheduled


def run_cancel(space: Keyspace, job_id: str, **options: Any) -> Canceled:
    return space.store.run(cancel(space.keys, job_id, "not needed", **options))


def send_again(space: Keyspace, command: Command[Any]) -> Any:
    """Carry a command out whose answer is lost once: it is sent twice, the second time as a repetition."""
    space.store.send(command)
    assert command.again is not None
    return command.read(space.store.send(command._replace(words=command.again)))


ENDED_BADLY = [Status.DEAD_LETTER, Status.FAILED, Status.CANCELED, Status.STOPPED]


# ----------------------------------------------------------------------------------------- cancel


@pytest.mark.parametrize("state", sorted(LIVE))
def test_a_live_job_is_canceled(space: Keyspace, state: Status) -> None:
    job_id = MAKE[state](space)

    done = run_cancel(space, job_id)

    assert (done.was, done.canceled, done.released) == (state, 0, 0)
    assert space.status(job_id) == "canceled"
    assert space.field(job_id, "cancel_reason") == "not needed"
    assert int(space.field(job_id, "completed_at") or 0) == pytest.approx(space.now(), abs=2)
    assert space.members(space.keys.canceled("default")) == [job_id]
    assert space.raw.ttl(space.keys.job(job_id)) == pytest.approx(2_592_000, abs=2)
    space.assert_sound()


@pytest.mark.parametrize("state", sorted(set(Status) - LIVE))
def test_an_ended_job_is_not_canceled(space: Keyspace, state: Status) -> None:
    job_id = MAKE[state](space)
    before = space.dump()

    with pytest.raises(JobStateError, match=state) as caught:
        run_cancel(space, job_id)

    assert caught.value.state == state
    assert space.dump() == before


@pytest.mark.fault(25)
def test_a_job_that_is_gone_is_not_brought_back(space: Keyspace) -> None:
    job_id = space.enqueue()
    space.raw.delete(space.keys.job(job_id))
    space.raw.hset(space.keys.job("stub"), "error", "left behind")
    before = space.dump()

    for missing in (job_id, "stub", "never"):
        commands: list[Command[Any]] = [act(space.keys, missing) for act in (delete, requeue, run_now)]
        for command in (*commands, cancel(space.keys, missing, "r")):
            with pytest.raises(JobNotFound, match=missing):
                space.store.run(command)

    assert space.dump() == before


@pytest.mark.fault(25)
def test_cancels_beside_heartbeats_and_deletes_leave_no_half_jobs(space: Keyspace) -> None:
    """Each job is canceled and deleted while its server says that it runs it."""
    claims = space.running(60)
    space.raw.hset(space.keys.job(claims[0].id), "started_at", 1)
    stop = threading.Event()

    def beats() -> None:
        while not stop.is_set():
            space.beat(active=claims)

    thread = threading.Thread(target=beats)
    thread.start()
    for item in claims:
        run_cancel(space, item.id)
        space.store.run(delete(space.keys, item.id))
    stop.set()
    thread.join()

    assert [key for key in space.raw.scan_iter(space.keys.job("*"), count=1000)] == []
    space.assert_sound()


def test_the_handler_of_a_running_job_is_told(space: Keyspace) -> None:
    (item,) = space.running()

    with Listener(space.raw, space.keys.control) as control:
        done = run_cancel(space, item.id)
        assert control.heard() == [{"op": "cancel", "id": item.id, "claim": item.token, "sid": SERVER}]

    assert done.server_id == SERVER
    assert space.raw.hlen(space.keys.claims(SERVER)) == 0
    assert space.field(item.id, "claim") is None


def test_the_holder_of_a_canceled_job_cannot_settle(space: Keyspace) -> None:
    (item,) = space.running()
    run_cancel(space, item.id)

    settled = space.store.run(
        complete(space.keys, "default", [Completion(item, 1)], result_ttl=None, failure_ttl=None)
    )

    assert settled.answers == [0]
    assert space.status(item.id) == "canceled"
    space.assert_sound()


def test_a_job_that_another_program_runs_is_canceled_without_a_message(space: Keyspace) -> None:
    space.foreign("go-job", overdue_s=-60)

    with Listener(space.raw, space.keys.control) as control:
        done = run_cancel(space, "go-job")
        assert control.heard() == []

    assert (done.was, done.server_id) == ("processing", "")
    assert space.processing() == []


def test_every_copy_of_an_id_leaves_the_ready_list(space: Keyspace) -> None:
    job_id, other = space.enqueue(), space.enqueue()
    space.raw.lpush(space.keys.ready("default"), job_id)

    run_cancel(space, job_id)

    assert space.ready() == [other]


def test_a_change_is_told(space: Keyspace) -> None:
    job_id = space.enqueue()
    child = space.enqueue(depends_on=[job_id], queue="other")

    with Listener(space.raw, space.keys.events) as events:
        run_cancel(space, job_id)
        (told,) = events.heard()

    assert (told["op"], told["queue"], told["n"]) == ("cancel", "default", 2)
    assert told["ch"] == [[job_id, "ready", "canceled"], [child, "deferred", "canceled"]]


@pytest.mark.fault(38)
def test_without_a_configuration_the_servers_retention_counts(space: Keyspace) -> None:
    space.store.run(announce(space.keys, ["default"], 60, 1234))
    own, servers, callers = space.enqueue(failure_ttl=77), space.enqueue(), space.enqueue()

    run_cancel(space, own)
    run_cancel(space, servers)
    run_cancel(space, callers, failure_ttl=55)

    assert space.raw.ttl(space.keys.job(own)) == pytest.approx(77, abs=1)
    assert space.raw.ttl(space.keys.job(servers)) == pytest.approx(1234, abs=1)
    assert space.raw.ttl(space.keys.job(callers)) == pytest.approx(55, abs=1)


def test_a_job_that_is_not_kept_is_gone_at_once(space: Keyspace) -> None:
    job_id = space.enqueue(failure_ttl=0)

    run_cancel(space, job_id)

    assert space.raw.exists(space.keys.job(job_id)) == 0
    assert space.members(space.keys.canceled("default")) == []
    space.assert_sound()


# ------------------------------------------------------------------------- cancel and the family


@pytest.mark.fault(43)
@pytest.mark.parametrize("act", ["cancel", "delete"])
@pytest.mark.parametrize("state", sorted(LIVE))
def test_the_family_of_a_live_parent_is_settled_in_the_same_call(
    space: Keyspace, state: Status, act: str
) -> None:
    parent = MAKE[state](space)
    child = space.enqueue(depends_on=[parent])
    grandchild = space.enqueue(depends_on=[child])
    tolerant = space.enqueue(depends_on=[child], allow_failure=True)
    waiting = space.enqueue(depends_on=[parent, space.enqueue()], allow_failure=True)
    if act == "delete" and state is Status.PROCESSING:
        with pytest.raises(JobStateError):
            space.store.run(delete(space.keys, parent))
        return

    if act == "cancel":
        done = run_cancel(space, parent)
        assert (done.canceled, done.released) == (2, 1)
    else:
        assert space.store.run(delete(space.keys, parent)) == state

    assert [space.status(job_id) for job_id in (child, grandchild)] == ["canceled", "canceled"]
    assert space.field(child, "cancel_reason") == f"parent failed: {parent}"
    assert space.status(tolerant) == "ready"
    assert space.status(waiting) == "deferred", "its other parent has not ended"
    space.assert_sound()


@pytest.mark.fault(44)
def test_a_canceled_job_waits_for_nothing_any_more(space: Keyspace) -> None:
    child = deferred(space)

    run_cancel(space, child)

    assert space.raw.exists(space.keys.deps(child), space.keys.pending_deps(child)) == 0
    assert space.members(space.keys.deferred) == []


@pytest.mark.fault(47)
def test_a_chain_of_five_thousand_is_canceled_from_its_first(space: Keyspace) -> None:
    first = previous = space.enqueue()
    chain = [first]
    for _ in range(4999):
        previous = space.enqueue(depends_on=[previous])
        chain.append(previous)
    assert space.raw.scard(space.keys.deferred) == 4999

    done = run_cancel(space, first)

    assert done.canceled == 4999
    assert {space.status(job_id) for job_id in chain} == {"canceled"}
    assert space.raw.scard(space.keys.deferred) == 0
    assert space.raw.zcard(space.keys.canceled("default")) == 5000


@pytest.mark.fault(41)
def test_a_child_is_never_left_behind_by_a_cancel_at_the_same_instant(space: Keyspace, link: Link) -> None:
    """Children are registered while their parents are being canceled; each ends with its parent."""
    parents = [space.enqueue() for _ in range(200)]
    children: list[str] = []

    def register() -> None:
        other = Keyspace(Store(link), space.raw)
        children.extend(other.enqueue(depends_on=[parent]) for parent in parents)
        other.store.close()

    thread = threading.Thread(target=register)
    thread.start()
    for parent in parents:
        run_cancel(space, parent)
    thread.join()

    assert {space.status(child) for child in children} == {"canceled"}
    space.assert_sound()


# --------------------------------------------------------------------------------------- run again


@pytest.mark.fault(36)
@pytest.mark.parametrize("state", ENDED_BADLY)
def test_a_job_that_ended_badly_runs_again_like_new(space: Keyspace, state: Status) -> None:
    job_id = MAKE[state](space, max_retry=1, meta={"a": 1})
    older = space.enqueue()
    attempts = space.raw.lrange(space.keys.attempts(job_id), 0, -1)

    assert space.store.run(requeue(space.keys, job_id)) == state

    job = space.fields(job_id)
    assert job["status"] == "ready"
    assert job["retry_count"] == "0"
    assert job["meta"] == '{"a":1}'
    gone = {"error", "traceback", "completed_at", "failed_at", "started_at", "worker_id", "cancel_reason"}
    assert not gone & job.keys()
    assert space.ready() == [older, job_id], "at the back"
    assert space.raw.ttl(space.keys.job(job_id)) == -1
    assert space.raw.lrange(space.keys.attempts(job_id), 0, -1) == attempts
    assert space.raw.ttl(space.keys.attempts(job_id)) in (-1, -2)
    space.assert_sound()


@pytest.mark.parametrize("state", sorted(set(Status) - set(ENDED_BADLY)))
def test_other_jobs_do_not_run_again(space: Keyspace, state: Status) -> None:
    job_id = MAKE[state](space)
    before = space.dump()

    with pytest.raises(JobStateError, match=state):
        space.store.run(requeue(space.keys, job_id))

    assert space.dump() == before


def test_a_canceled_child_that_runs_again_waits_for_nobody(space: Keyspace) -> None:
    parent = space.enqueue()
    child = space.enqueue(depends_on=[parent])
    run_cancel(space, parent)

    space.store.run(requeue(space.keys, child))
    space.store.run(requeue(space.keys, parent))

    assert space.ready() == [child, parent]
    space.assert_sound()


def test_the_members_of_the_terminal_sets_do_not_matter(space: Keyspace) -> None:
    """Another program may have taken an id out of its set."""
    job_id = dead(space)
    space.raw.delete(space.keys.dead_letter("default"))

    space.store.run(requeue(space.keys, job_id))

    assert space.ready() == [job_id]


# ----------------------------------------------------------------------------------------- run now


@pytest.mark.parametrize("state", [Status.SCHEDULED, Status.RETRY])
def test_a_waiting_job_runs_now_with_its_counts(space: Keyspace, state: Status) -> None:
    job_id = MAKE[state](space)
    space.raw.hset(space.keys.job(job_id), "ready_at_ms", 1)
    before = space.fields(job_id)
    older = space.enqueue()

    assert space.store.run(run_now(space.keys, job_id)) == state

    after = space.fields(job_id)
    assert after.pop("status") == "ready"
    assert before.pop("status") == state
    assert int(after.pop("ready_at_ms")) > int(before.pop("ready_at_ms"))
    assert after == before
    assert space.ready() == [older, job_id]
    space.assert_sound()


def test_a_waiting_job_for_the_front_goes_to_the_front(space: Keyspace) -> None:
    job_id = scheduled(space, enqueue_at_front=True)
    older = space.enqueue()

    space.store.run(run_now(space.keys, job_id))

    assert space.ready() == [job_id, older]


@pytest.mark.parametrize("state", sorted(set(Status) - {Status.SCHEDULED, Status.RETRY}))
def test_jobs_that_wait_for_no_time_do_not_run_now(space: Keyspace, state: Status) -> None:
    job_id = MAKE[state](space)
    before = space.dump()

    with pytest.raises(JobStateError, match=state):
        space.store.run(run_now(space.keys, job_id))

    assert space.dump() == before


def test_a_job_that_somebody_is_just_promoting_is_not_pushed_twice(space: Keyspace) -> None:
    """A Go scheduler takes the id out first and changes the state afterwards."""
    job_id = scheduled(space)
    space.raw.zrem(space.keys.scheduled, job_id)

    with pytest.raises(JobStateError):
        space.store.run(run_now(space.keys, job_id))

    assert space.ready() == []


# ------------------------------------------------------------------------------------------ delete


@pytest.mark.parametrize("state", sorted(set(Status) - {Status.PROCESSING}))
def test_a_job_is_deleted_with_all_that_belongs_to_it(space: Keyspace, state: Status) -> None:
    job_id = MAKE[state](space)
    other = space.enqueue()
    space.raw.sadd(space.keys.children(job_id), "child")

    assert space.store.run(delete(space.keys, job_id)) == state

    assert [key for key in space.raw.scan_iter(space.keys.job(job_id) + "*", count=1000)] == []
    assert space.status(other) == "ready"
    space.assert_sound()


def test_a_running_job_is_not_deleted(space: Keyspace) -> None:
    job_id = processing(space)
    before = space.dump()

    with pytest.raises(JobStateError, match="processing"):
        space.store.run(delete(space.keys, job_id))

    assert space.dump() == before


def test_deletion_is_told(space: Keyspace) -> None:
    job_id = dead(space)

    with Listener(space.raw, space.keys.events) as events:
        space.store.run(delete(space.keys, job_id))
        assert [told["ch"] for told in events.heard()] == [[[job_id, "dead_letter", "deleted"]]]


def test_descendants_of_a_deleted_root_become_roots(space: Keyspace) -> None:
    root = space.enqueue()
    middle = space.enqueue(depends_on=[root], allow_failure=True)
    kept = space.enqueue(depends_on=[middle], allow_failure=True)
    space.enqueue(depends_on=[kept], allow_failure=True)
    leaf = space.enqueue(depends_on=[root], allow_failure=True)
    assert space.members(space.keys.dag_roots) == [root]

    space.store.run(delete(space.keys, middle))
    assert space.members(space.keys.dag_roots) == sorted([root, kept]), "its only parent is gone"
    space.store.run(delete(space.keys, root))

    assert space.members(space.keys.dag_roots) == [kept]
    assert space.store.run(sweep_roots(space.keys)).removed == 0
    assert space.status(leaf) == "ready"


# ------------------------------------------------------------------------------------ lost answers


@pytest.mark.parametrize("state", sorted(LIVE))
def test_a_cancel_that_is_sent_again_changes_nothing(space: Keyspace, state: Status) -> None:
    job_id = MAKE[state](space)
    command = cancel(space.keys, job_id, "once")

    done = send_again(space, command)

    assert done == ("", "", 0, 0)
    assert space.status(job_id) == "canceled"
    assert space.raw.hget(space.keys.ledger("default"), "canceled") == b"1"
    space.assert_sound()


def test_a_delete_that_is_sent_again_changes_nothing(space: Keyspace) -> None:
    job_id = space.enqueue()

    assert send_again(space, delete(space.keys, job_id)) == ""

    space.assert_sound()


@pytest.mark.parametrize("claimed", [False, True])
def test_a_retry_that_is_sent_again_changes_nothing(space: Keyspace, claimed: bool) -> None:
    ended, waiting = dead(space, queue="a"), scheduled(space, queue="b")
    for command, queue in ((requeue(space.keys, ended), "a"), (run_now(space.keys, waiting), "b")):
        space.store.send(command)
        if claimed:
            space.claim(queue=queue)
        assert command.again is not None
        assert command.read(space.store.send(command._replace(words=command.again))) == ""
        assert len(space.ready(queue)) + len(space.processing(queue)) == 1
    space.assert_sound()


# ------------------------------------------------------------------------------ broken key spaces


@pytest.mark.parametrize("state", sorted(LIVE))
def test_a_container_of_a_wrong_type_is_named_and_nothing_is_written(space: Keyspace, state: Status) -> None:
    job_id = MAKE[state](space)
    places = {Status.DEFERRED: space.keys.deferred, Status.SCHEDULED: space.keys.scheduled}
    places[Status.RETRY] = space.keys.scheduled
    place = places.get(state, space.keys.ready("default"))
    if state is Status.PROCESSING:
        place = space.keys.processing("default")
    for broken in (place, space.keys.canceled("default")):
        kept = space.raw.dump(broken)
        space.raw.delete(broken)
        space.raw.set(broken, "text")
        before = space.dump()

        with pytest.raises(StoreError, match=broken):
            run_cancel(space, job_id)

        assert space.dump() == before
        space.raw.delete(broken)
        if kept:
            space.raw.restore(broken, 0, kept)
    assert run_cancel(space, job_id).was == state


@pytest.mark.parametrize("act", [requeue, run_now, delete])
def test_a_job_key_of_a_wrong_type_is_named(space: Keyspace, act: Callable[..., Command[str]]) -> None:
    space.raw.set(space.keys.job("j"), "text")

    with pytest.raises(StoreError, match=space.keys.job("j")):
        space.store.run(act(space.keys, "j"))


def test_a_ready_list_of_a_wrong_type_keeps_jobs_where_they_are(space: Keyspace) -> None:
    ended, waiting = dead(space), scheduled(space)
    space.raw.set(space.keys.ready("default"), "text")
    before = space.dump()

    for command in (requeue(space.keys, ended), run_now(space.keys, waiting)):
        with pytest.raises(StoreError, match=space.keys.ready("default")):
            space.store.run(command)

    assert space.dump() == before


# ------------------------------------------------------------------------------------- large sizes


@pytest.mark.fault(11)
def test_a_cancel_in_a_queue_of_a_million_is_quick(space: Keyspace) -> None:
    """What Redis takes for the command is asked, not what the machine takes for the test."""
    pipe = space.raw.pipeline(transaction=False)
    for n in range(1000):
        pipe.lpush(space.keys.ready("default"), *(f"filler-{n}-{m}" for m in range(1000)))
    pipe.execute()
    jobs = [space.enqueue() for _ in range(5)]

    took = []
    for job_id in jobs:
        begun = time.perf_counter()
        run_cancel(space, job_id)
        took.append(time.perf_counter() - begun)

    assert statistics.median(took) < 0.005
    assert {space.status(job_id) for job_id in jobs} == {"canceled"}
    assert space.raw.llen(space.keys.ready("default")) == 1_000_005, "claim passes over them"


def test_ids_that_stay_in_a_long_list_are_passed_over(space: Keyspace) -> None:
    job_id, live = space.enqueue(), space.enqueue()
    pipe = space.raw.pipeline(transaction=False)
    for n in range(101):
        pipe.lpush(space.keys.ready("default"), *(f"filler-{n}-{m}" for m in range(1000)))
    pipe.execute()

    run_cancel(space, job_id)

    assert [item.id for item in space.claim()] == [live]


def test_the_beat_of_the_holder_hears_of_a_cancel(space: Keyspace) -> None:
    """The message on the control channel may be lost; the next beat tells it too."""
    (item,) = space.running()
    run_cancel(space, item.id)

    assert space.beat(active=[item]).lost == [(item.id, item.token)]
