"""Sweeps: whole sets are looked through in bounded steps, and only what has nothing behind it goes."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from gqm.errors import StoreError
from gqm.store.command import Command
from gqm.store.commands.lease import reap_server
from gqm.store.commands.schedule import (
    MAX_DAG_SWEEP,
    Mended,
    Swept,
    Terminal,
    sweep_dag,
    sweep_registry,
    sweep_roots,
    sweep_terminal,
)
from gqm.store.commands.settle import Completion, complete
from tests.support.keyspace import SERVER, Keyspace


def terminal_pass(
    space: Keyspace, which: Terminal = "completed", limit: int = 500, queue: str = "default"
) -> list[Swept]:
    """One pass over a terminal set: the answers of its steps."""
    steps = [space.store.run(sweep_terminal(space.keys, queue, which, "", limit))]
    while steps[-1].cursor:
        steps.append(space.store.run(sweep_terminal(space.keys, queue, which, steps[-1].cursor, limit)))
    return steps


def fill(space: Keyspace, key: str, names: list[str], *, alive: bool) -> None:
    """Put ids into a terminal set, with or without their hashes."""
    pipe = space.raw.pipeline(transaction=False)
    for n, name in enumerate(names):
        pipe.zadd(key, {name: n})
        if alive:
            pipe.hset(space.keys.job(name), "id", name)
    pipe.execute()


def dag_pass(space: Keyspace, limit: int = MAX_DAG_SWEEP) -> Mended:
    """One pass over the waiting jobs: the sums of its steps."""
    released = canceled = removed = 0
    cursor = ""
    while True:
        step = space.store.run(sweep_dag(space.keys, cursor, limit))
        released, canceled, removed = released + step[0], canceled + step[1], removed + step[2]
        cursor = step.cursor
        if not cursor:
            return Mended(released, canceled, removed, "")


def roots_pass(space: Keyspace) -> int:
    step = space.store.run(sweep_roots(space.keys))
    removed = step.removed
    while step.cursor:
        step = space.store.run(sweep_roots(space.keys, step.cursor))
        removed += step.removed
    return removed


# ------------------------------------------------------------------------------------ terminal sets


@pytest.mark.fault(35)
@pytest.mark.parametrize("which", get_args(Terminal))
def test_ids_go_when_their_job_is_gone(space: Keyspace, which: Terminal) -> None:
    key = getattr(space.keys, which)("default")
    fill(space, key, ["a", "b", "c"], alive=True)
    space.raw.delete(space.keys.job("b"))

    assert terminal_pass(space, which) == [(1, "")]

    assert space.members(key) == ["a", "c"]
    assert terminal_pass(space, which) == [(0, "")]


def test_an_empty_set_is_one_step(space: Keyspace) -> None:
    assert terminal_pass(space) == [(0, "")]


def test_an_ended_job_stays_as_long_as_its_hash(space: Keyspace) -> None:
    (item,) = space.running()
    space.store.run(complete(space.keys, "default", [Completion(item, 1)], result_ttl=100, failure_ttl=None))
    assert terminal_pass(space) == [(0, "")]

    space.raw.pexpireat(space.keys.job(item.id), 1)

    assert terminal_pass(space) == [(1, "")]


@pytest.mark.fault(35)
def test_expired_ids_behind_ten_thousand_permanent_ones_go_in_one_pass(space: Keyspace) -> None:
    key = space.keys.completed("default")
    fill(space, key, [f"kept{n}" for n in range(10_000)], alive=True)
    fill(space, key, [f"expired{n}" for n in range(1200)], alive=False)

    steps = terminal_pass(space)

    assert sum(step.removed for step in steps) == 1200
    assert space.raw.zcard(key) == 10_000
    assert len(steps) <= 25, "500 members a step"


def test_a_pass_sees_every_member_wherever_it_begins(space: Keyspace) -> None:
    key = space.keys.completed("default")
    for _ in range(20):
        fill(space, key, [f"m{n}" for n in range(23)], alive=False)
        steps = terminal_pass(space, limit=5)
        assert sum(step.removed for step in steps) == 23
        assert len(steps) <= 6


def test_passes_begin_at_different_places(space: Keyspace) -> None:
    key = space.keys.completed("default")
    fill(space, key, [f"m{n}" for n in range(1000)], alive=True)

    cursors = {
        space.store.run(sweep_terminal(space.keys, "default", "completed", "", 1)).cursor for _ in range(9)
    }

    assert len(cursors) > 1


def test_a_pass_goes_on_when_the_set_shrinks_below_its_cursor(space: Keyspace) -> None:
    fill(space, space.keys.completed("default"), ["a", "b"], alive=False)

    assert space.store.run(sweep_terminal(space.keys, "default", "completed", "900-4", 10)) == (2, "0-2")


def test_a_wrong_typed_set_is_named(space: Keyspace) -> None:
    for key in (
        space.keys.completed("default"),
        space.keys.servers,
        space.keys.dag_roots,
        space.keys.deferred,
    ):
        space.raw.set(key, "wrong")
    before = space.dump()

    commands: list[Command[Any]] = [
        sweep_terminal(space.keys, "default", "completed"),
        sweep_registry(space.keys, "servers"),
        sweep_roots(space.keys),
        sweep_dag(space.keys),
    ]
    for command in commands:
        with pytest.raises(StoreError, match=space.keys.prefix):
            space.store.run(command)

    assert space.dump() == before


# --------------------------------------------------------------------------------------- registries


@pytest.mark.fault(37)
def test_a_crashed_server_leaves_the_registries_when_its_record_expires(space: Keyspace) -> None:
    space.running()
    space.beat("host-2-bbbbbb")
    score = space.end_lease()
    space.store.run(reap_server(space.keys, SERVER, score, False, None))
    assert space.processing() == [], "live counts are right once the lease has ended"
    for name in ("servers", "workers"):
        assert space.store.run(sweep_registry(space.keys, name)) == (0, "")

    assert 0 < space.raw.ttl(space.keys.server(SERVER)) <= 60
    assert 0 < space.raw.ttl(space.keys.worker(f"p@{SERVER}")) <= 60
    space.raw.delete(space.keys.server(SERVER), space.keys.worker(f"p@{SERVER}"))

    assert space.store.run(sweep_registry(space.keys, "servers")) == (1, "")
    assert space.store.run(sweep_registry(space.keys, "workers")) == (1, "")
    assert space.members(space.keys.servers) == ["host-2-bbbbbb"]
    assert space.members(space.keys.workers) == ["p@host-2-bbbbbb"]


def test_a_large_registry_is_swept_in_steps(space: Keyspace) -> None:
    space.raw.sadd(space.keys.workers, *(f"p@gone{n}" for n in range(2000)))
    space.beat()

    removed, steps, cursor = 0, 0, ""
    while cursor or not steps:
        step = space.store.run(sweep_registry(space.keys, "workers", cursor, 100))
        removed, steps, cursor = removed + step.removed, steps + 1, step.cursor

    assert removed == 2000
    assert steps > 5
    assert space.members(space.keys.workers) == [f"p@{SERVER}"]


# -------------------------------------------------------------------------------------- graph roots


def test_a_root_that_is_gone_gives_its_place_to_children_with_children(space: Keyspace) -> None:
    root = space.enqueue()
    inner = space.enqueue(depends_on=root)
    leaf = space.enqueue(depends_on=inner)
    single = space.enqueue(depends_on=root)
    assert space.members(space.keys.dag_roots) == [root]
    assert roots_pass(space) == 0
    space.assert_sound()
    created = int(space.field(inner, "created_at") or 0)

    space.raw.delete(space.keys.job(root))

    assert roots_pass(space) == 1
    assert space.members(space.keys.dag_roots) == [inner]
    assert space.raw.zscore(space.keys.dag_roots, inner) == created
    assert space.status(leaf) == space.status(single) == "deferred"


def test_a_child_with_another_kept_parent_is_no_root(space: Keyspace) -> None:
    gone, kept = space.enqueue(), space.enqueue()
    child = space.enqueue(depends_on=[gone, kept])
    space.enqueue(depends_on=child)
    space.raw.delete(space.keys.job(gone))

    assert roots_pass(space) == 1
    assert space.members(space.keys.dag_roots) == [kept]


def test_a_root_is_found_below_descendants_that_are_gone_too(space: Keyspace) -> None:
    chain = [space.enqueue()]
    for _ in range(4):
        chain.append(space.enqueue(depends_on=chain[-1]))
    space.raw.delete(*(space.keys.job(item) for item in chain[:3]))

    assert roots_pass(space) == 1
    assert space.members(space.keys.dag_roots) == [chain[3]]


def test_a_root_without_descendants_just_goes(space: Keyspace) -> None:
    space.raw.zadd(space.keys.dag_roots, {"gone": 1})

    assert roots_pass(space) == 1
    assert space.raw.exists(space.keys.dag_roots) == 0


# -------------------------------------------------------------------------------------- waiting jobs


def end_untold(space: Keyspace, parent: str, status: str) -> None:
    """End a parent as a program does that tells no children: only its state changes."""
    space.raw.hset(space.keys.job(parent), "status", status)
    space.raw.lrem(space.keys.ready("default"), 0, parent)
    space.raw.delete(space.keys.dependents(parent))


def waiting(space: Keyspace, *parents: str, age_s: int = 61, **options: Any) -> str:
    """Enqueue a job that waits for parents, made some seconds ago."""
    job_id = space.enqueue(depends_on=list(parents), **options)
    space.age_job(job_id, age_s)
    return job_id


@pytest.mark.fault(39, 41)
@pytest.mark.parametrize(
    ("parent_ends", "allow_failure", "becomes"),
    [
        ("completed", False, "ready"),
        ("dead_letter", False, "canceled"),
        ("canceled", False, "canceled"),
        ("stopped", False, "canceled"),
        ("failed", False, "canceled"),
        ("failed", True, "ready"),
    ],
)
def test_a_child_that_nobody_told_is_told(
    space: Keyspace, parent_ends: str, allow_failure: bool, becomes: str
) -> None:
    parent = space.enqueue()
    child = waiting(space, parent, allow_failure=allow_failure)
    assert dag_pass(space) == (0, 0, 0, "")
    end_untold(space, parent, parent_ends)

    found = dag_pass(space)

    assert found[:2] == ((1, 0) if becomes == "ready" else (0, 1))
    assert space.status(child) == becomes
    assert space.raw.exists(space.keys.deps(child), space.keys.pending_deps(child)) == 0
    assert space.members(space.keys.deferred) == []
    if becomes == "ready":
        assert space.ready() == [child]
    else:
        assert space.field(child, "cancel_reason") == f"parent failed: {parent}"
        assert space.raw.ttl(space.keys.job(child)) > 0
    assert dag_pass(space) == (0, 0, 0, "")


@pytest.mark.fault(6)
def test_a_released_job_for_the_front_is_next(space: Keyspace) -> None:
    parent, older = space.enqueue(), space.enqueue()
    child = waiting(space, parent, enqueue_at_front=True)
    end_untold(space, parent, "completed")

    dag_pass(space)

    assert space.ready() == [child, older]


def test_young_children_are_left_alone(space: Keyspace) -> None:
    parent = space.enqueue()
    child = waiting(space, parent, age_s=50)
    end_untold(space, parent, "completed")

    assert dag_pass(space) == (0, 0, 0, "")
    assert space.status(child) == "deferred"


@pytest.mark.fault(40)
def test_one_ended_parent_of_two_does_not_start_the_child(space: Keyspace) -> None:
    ended, alive = space.enqueue(), space.enqueue()
    child = waiting(space, ended, alive, allow_failure=True)
    end_untold(space, ended, "failed")

    assert dag_pass(space) == (0, 0, 0, "")

    assert space.status(child) == "deferred"
    assert space.members(space.keys.pending_deps(child)) == [alive]


def test_the_subtree_of_a_canceled_child_is_canceled_too(space: Keyspace) -> None:
    parent = space.enqueue()
    child = waiting(space, parent)
    grandchild = waiting(space, child, age_s=0)
    tolerant = waiting(space, grandchild, age_s=0, allow_failure=True)
    end_untold(space, parent, "canceled")

    assert dag_pass(space) == (1, 2, 0, "")

    assert [space.status(item) for item in (child, grandchild, tolerant)] == ["canceled", "canceled", "ready"]
    assert space.field(grandchild, "cancel_reason") == f"parent failed: {child}"


def test_a_missing_parent_counts_as_failed_on_a_later_pass(space: Keyspace) -> None:
    parent = space.enqueue()
    child, tolerant = waiting(space, parent), waiting(space, parent, allow_failure=True)
    space.raw.delete(space.keys.job(parent))
    space.raw.lrem(space.keys.ready("default"), 0, parent)

    assert dag_pass(space) == (0, 0, 0, ""), "first it is only noted"
    assert dag_pass(space) == (0, 0, 0, ""), "another server's pass right after proves nothing"
    for item in (child, tolerant):
        space.raw.hincrby(space.keys.job(item), "parent_missing_since", -25)
    assert dag_pass(space) == (1, 1, 0, "")

    assert space.field(child, "cancel_reason") == f"parent missing: {parent}"
    assert space.status(tolerant) == "ready"
    assert space.field(child, "parent_missing_since") is None
    assert space.field(tolerant, "parent_missing_since") is None


def test_a_parent_that_comes_back_is_waited_for(space: Keyspace) -> None:
    parent = space.enqueue()
    child = waiting(space, parent)
    job = space.raw.dump(space.keys.job(parent))
    space.raw.delete(space.keys.job(parent))
    dag_pass(space)
    space.raw.hincrby(space.keys.job(child), "parent_missing_since", -25)
    space.raw.restore(space.keys.job(parent), 0, job)

    assert dag_pass(space) == (0, 0, 0, "")

    assert space.status(child) == "deferred"
    assert space.field(child, "parent_missing_since") is None


@pytest.mark.fault(46)
def test_a_missing_pending_set_is_made_again(space: Keyspace) -> None:
    done, alive = space.enqueue(), space.enqueue()
    child = waiting(space, done, alive)
    end_untold(space, done, "completed")
    space.raw.delete(space.keys.pending_deps(child), space.keys.dependents(alive))

    assert dag_pass(space) == (0, 0, 0, "")

    assert space.members(space.keys.pending_deps(child)) == [alive]
    assert space.members(space.keys.dependents(alive)) == [child]
    (item,) = space.claim()
    space.store.run(complete(space.keys, "default", [Completion(item, 1)], result_ttl=None, failure_ttl=None))
    assert space.status(child) == "ready"


@pytest.mark.fault(46)
@pytest.mark.parametrize(("ends", "becomes"), [("completed", "ready"), ("failed", "canceled")])
def test_without_a_pending_set_the_parents_are_judged_as_at_enqueue(
    space: Keyspace, ends: str, becomes: str
) -> None:
    parents = [space.enqueue(), space.enqueue()]
    child = waiting(space, *parents)
    end_untold(space, parents[0], "completed")
    end_untold(space, parents[1], ends)
    space.raw.delete(space.keys.pending_deps(child))

    dag_pass(space)

    assert space.status(child) == becomes
    assert space.raw.exists(space.keys.pending_deps(child), space.keys.deps(child)) == 0


def test_the_parents_are_taken_from_deps_if_the_record_names_none(space: Keyspace) -> None:
    alive = space.enqueue()
    child = waiting(space, alive)
    space.raw.hset(space.keys.job(child), "depends_on", "[broken")
    space.raw.delete(space.keys.pending_deps(child))

    assert dag_pass(space) == (0, 0, 0, "")
    assert space.members(space.keys.pending_deps(child)) == [alive]


def test_a_child_that_waits_for_nothing_is_released(space: Keyspace) -> None:
    child = waiting(space, space.enqueue())
    space.raw.hdel(space.keys.job(child), "depends_on")
    space.raw.delete(space.keys.pending_deps(child), space.keys.deps(child))

    assert dag_pass(space) == (1, 0, 0, "")
    assert space.status(child) == "ready"


@pytest.mark.fault(25)
def test_ids_that_do_not_wait_are_taken_out(space: Keyspace) -> None:
    ready = space.enqueue()
    space.raw.set(space.keys.job("text"), "no hash")
    space.raw.sadd(space.keys.deferred, ready, "deleted", "text")

    assert dag_pass(space) == (0, 0, 3, "")

    assert space.members(space.keys.deferred) == []
    assert space.raw.exists(space.keys.job("deleted")) == 0
    assert space.ready() == [ready]


@pytest.mark.fault(25, 44)
def test_a_child_that_is_deleted_at_its_end_leaves_nothing(space: Keyspace) -> None:
    parent = space.enqueue()
    child = waiting(space, parent, failure_ttl=0)
    space.raw.delete(space.keys.job(parent))
    dag_pass(space)
    space.raw.hincrby(space.keys.job(child), "parent_missing_since", -25)

    assert dag_pass(space) == (0, 1, 0, "")

    assert [key for key in space.dump() if child.encode() in key] == []


def test_unreadable_keys_of_a_child_stop_no_other(space: Keyspace) -> None:
    parent = space.enqueue()
    unreadable, fine = waiting(space, parent), waiting(space, parent)
    space.raw.delete(space.keys.pending_deps(unreadable))
    space.raw.set(space.keys.pending_deps(unreadable), "wrong")
    end_untold(space, parent, "completed")

    assert dag_pass(space) == (1, 0, 0, "")
    assert (space.status(unreadable), space.status(fine)) == ("deferred", "ready")


def test_many_children_are_judged_in_steps(space: Keyspace) -> None:
    parent = space.enqueue()
    children = [waiting(space, parent) for _ in range(700)]
    end_untold(space, parent, "completed")

    first = space.store.run(sweep_dag(space.keys))
    assert first.cursor
    assert 0 < first.released < 400

    assert first.released + dag_pass(space).released == 700
    assert sorted(space.ready()) == sorted(children)


def test_steps_with_very_many_parents_are_bounded_and_all_have_their_turn(space: Keyspace) -> None:
    alive = [space.enqueue() for _ in range(2000)]
    children = [waiting(space, *alive[n * 500 : n * 500 + 1000]) for n in range(3)]
    for n in range(30):
        job = {"id": f"wide{n}", "type": "t", "queue": "default", "status": "deferred", "created_at": 1}
        space.raw.hset(space.keys.job(f"wide{n}"), mapping=job)
        space.raw.sadd(space.keys.pending_deps(f"wide{n}"), *(f"none{n}-{i}" for i in range(1000)))
        space.raw.sadd(space.keys.deferred, f"wide{n}")

    noted = 0
    for _ in range(200):
        dag_pass(space)
        noted = sum(space.field(f"wide{n}", "parent_missing_since") is not None for n in range(30))
        if noted == 30:
            break

    assert noted == 30
    assert {space.status(child) for child in children} == {"deferred"}
