"""Walking over matching jobs in steps: the oldest first, each once, while others come and go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gqm.errors import InvalidQuery
from gqm.job import Status
from gqm.store.commands.operate import cancel, delete, requeue
from gqm.store.plan import follow
from gqm.store.read.match import JobFilter
from gqm.store.read.scan import Budget
from gqm.store.read.walk import Step, survey, walk
from tests.read.test_jobs import put
from tests.support.keyspace import Keyspace
from tests.support.states import MAKE


def go(space: Keyspace, wanted: JobFilter, cursor: str | None = None, limit: int = 1000) -> Step:
    return follow(space.store, walk(space.keys, wanted, cursor, limit))


def all_of(
    space: Keyspace, wanted: JobFilter, limit: int, act: Callable[[str], object] = lambda job_id: None
) -> list[str]:
    """Walk to the end, doing something to each job that is met."""
    met: list[str] = []
    cursor: str | None = None
    for _ in range(1000):
        step = go(space, wanted, cursor, limit)
        assert len(step.hits) <= limit
        for hit in step.hits:
            act(hit.id)
            met.append(hit.id)
        cursor = step.next
        if cursor is None:
            return met
    raise AssertionError("the walk does not end")


def only(*status: str, **more: Any) -> JobFilter:
    return JobFilter(status=status, **more)


@pytest.mark.parametrize("limit", [1, 7, 1000])
@pytest.mark.parametrize("status", [status for status in Status if status is not Status.FAILED])
def test_every_job_of_a_state_is_met_once_and_the_oldest_first(
    space: Keyspace, status: Status, limit: int
) -> None:
    names = put(space, 20, status)

    assert all_of(space, only(status), limit) == names


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_failed_jobs_are_met_once(space: Keyspace, limit: int) -> None:
    names = put(space, 10, "failed")
    put(space, 10, "completed")

    assert sorted(all_of(space, only("failed"), limit)) == names


def test_states_and_queues_are_merged_by_time(space: Keyspace) -> None:
    dead, done = put(space, 6, "dead_letter", "a"), put(space, 6, "completed", "b")
    ready = put(space, 3, "ready", "a") + put(space, 3, "ready", "c")
    failed = put(space, 2, "failed", "a")
    merged = [name for pair in zip(done, dead, strict=True) for name in pair]

    found = all_of(space, only("ready", "dead_letter", "completed", "failed"), 4)

    assert found[:12] == merged
    assert found[12:18] == ready
    assert sorted(found[18:]) == failed


@pytest.mark.parametrize("limit", [1, 4])
@pytest.mark.parametrize(
    ("status", "act"),
    [("ready", "cancel"), ("deferred", "cancel"), ("dead_letter", "retry"), ("completed", "delete")],
)
def test_jobs_that_change_their_state_on_the_way_hide_none(
    space: Keyspace, status: str, act: str, limit: int
) -> None:
    names = put(space, 15, status)
    acts: dict[str, Callable[[str], object]] = {
        "cancel": lambda job_id: space.store.run(cancel(space.keys, job_id, "x")),
        "retry": lambda job_id: space.store.run(requeue(space.keys, job_id)),
        "delete": lambda job_id: space.store.run(delete(space.keys, job_id)),
    }

    assert all_of(space, only(status), limit, acts[act]) == names


def test_claims_between_the_steps_hide_no_ready_job(space: Keyspace) -> None:
    """Workers take jobs from the very end at which the walk is; others of another type stay between."""
    names = put(space, 30, "ready")
    for name in names[::2]:
        space.raw.hset(space.keys.job(name), "type", "meant")
    meant, met, claimed = names[::2], [], []
    cursor: str | None = None
    while True:
        step = go(space, only("ready", type=("meant",)), cursor, 3)
        met += [hit.id for hit in step.hits]
        claimed += [item.id for item in space.claim(4)]
        put(space, 2, "ready", "other")
        cursor = step.next
        if cursor is None:
            break

    assert len(met) == len(set(met))
    assert set(met) | set(claimed) >= set(meant), "each was met, or a worker has it"


def test_jobs_that_come_meanwhile_do_not_move_the_place(space: Keyspace) -> None:
    names = put(space, 10, "ready")
    step = go(space, only("ready"), None, 5)
    space.raw.lpush(space.keys.ready("default"), *(f"new{n}" for n in range(50)))

    assert [hit.id for hit in go(space, only("ready"), step.next).hits] == names[5:]


def test_a_filter_and_a_window_of_time(space: Keyspace) -> None:
    names = put(space, 10, "dead_letter", error="A: x")
    put(space, 5, "dead_letter", "b", error="B: x")
    times = [float(space.raw.zscore(space.keys.dead_letter("default"), name)) for name in names]

    assert all_of(space, only("dead_letter", error="a:"), 3) == names
    assert (
        all_of(space, only("dead_letter", queue=("default",), since=times[2], until=times[5]), 3)
        == names[2:6]
    )
    assert all_of(space, only("dead_letter", q="00007"), 3) == [names[7]]


def test_very_many_queues(space: Keyspace) -> None:
    space.raw.sadd(space.keys.queues, *(f"q{n}" for n in range(600)))
    names = put(space, 5, "dead_letter", "q7")

    assert all_of(space, only("dead_letter"), 2) == names


def test_many_jobs_of_one_second(space: Keyspace) -> None:
    names = put(space, 50, "dead_letter")
    space.raw.zadd(space.keys.dead_letter("default"), dict.fromkeys(names, 1790000000))

    assert all_of(space, only("dead_letter"), 7) == names


def test_a_budget_that_ends_early_loses_no_job(space: Keyspace, monkeypatch: pytest.MonkeyPatch) -> None:
    names = put(space, 60, "dead_letter", "a") + put(space, 60, "ready", "b")
    names += put(space, 60, "completed", "c")
    kept = Budget.__init__

    def small(self: Budget, hashes: int = 0, seconds: float = 0.0) -> None:
        kept(self, 25, 60.0)

    monkeypatch.setattr(Budget, "__init__", small)
    for name in names[::9]:
        space.raw.hset(space.keys.job(name), "type", "rare")

    found = all_of(space, only("dead_letter", "ready", "completed", type=("rare",)), 3)

    assert sorted(found) == sorted(names[::9])
    assert sorted(all_of(space, only("dead_letter", "ready", "completed"), 1000)) == sorted(names)


@pytest.mark.parametrize("cursor", ["", "x", "bm8=", "WyJ4Il0=", "ü"])
def test_a_cursor_of_somebody_elses(space: Keyspace, cursor: str) -> None:
    with pytest.raises(InvalidQuery, match="cursor"):
        go(space, only("ready"), cursor)


# ------------------------------------------------------------------------------------ looking ahead


def test_a_survey_counts_what_an_action_would_meet(space: Keyspace) -> None:
    for status in Status:
        MAKE[status](space, queue=status)

    found = follow(
        space.store, survey(space.keys, JobFilter(status=tuple(Status)), {Status.READY, Status.RETRY})
    )

    assert (found.matched, found.eligible, found.truncated) == (11, 3, False)
    assert len(found.sample) == 3


def test_as_of_keeps_an_action_to_what_was_met(space: Keyspace) -> None:
    names = put(space, 5, "ready") + put(space, 5, "dead_letter") + [MAKE[Status.SCHEDULED](space)]
    wanted = only("ready", "dead_letter", "scheduled")
    found = follow(space.store, survey(space.keys, wanted, set(Status)))
    assert found.matched == 11
    assert found.as_of >= float(space.raw.zscore(space.keys.scheduled, names[-1]))

    ready_only = follow(space.store, survey(space.keys, only("ready"), set(Status)))
    later = space.enqueue()
    space.raw.hset(space.keys.job(later), "ready_at_ms", int(ready_only.as_of * 1000) + 1)

    met = all_of(space, only("ready", until=ready_only.as_of), 3)

    assert met == names[:5]
    assert ready_only.as_of == pytest.approx(space.now(), abs=2)
    assert sorted(all_of(space, only("ready", "dead_letter", "scheduled", until=found.as_of), 3)) == sorted(
        [*names, later]
    )


def test_a_survey_is_bounded(space: Keyspace, monkeypatch: pytest.MonkeyPatch) -> None:
    put(space, 120, "completed")
    monkeypatch.setattr("gqm.store.read.walk.MAX_LOOKED_AT", 50)

    found = follow(space.store, survey(space.keys, only("completed"), {Status.COMPLETED}))

    assert (found.matched, found.eligible, found.truncated) == (50, 50, True)
    assert len(found.sample) == 5
