"""Failed jobs in groups: counts, times, types and queues of each kind of error."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gqm.errors import InvalidQuery
from gqm.store.plan import follow
from gqm.store.read.failed import FailedGroup, list_failed_groups
from gqm.store.read.listing import Window
from gqm.store.read.match import JobFilter, fingerprint
from gqm.store.read.views import Page
from tests.support.keyspace import Keyspace


def groups(
    space: Keyspace, wanted: JobFilter | None = None, sort: str = "count", **window: Any
) -> Page[FailedGroup]:
    plan = list_failed_groups(space.keys, wanted or JobFilter(), Window(sort=sort, **window))
    return follow(space.store, plan)


def die(space: Keyspace, name: str, error: str, ago_s: int, *, queue: str = "a", type_: str = "t") -> None:
    now = int(space.now())
    job = {"id": name, "type": type_, "queue": queue, "status": "dead_letter", "error": error}
    space.raw.hset(space.keys.job(name), mapping={**job, "completed_at": now - ago_s})
    space.raw.zadd(space.keys.dead_letter(queue), {name: now - ago_s})
    space.raw.sadd(space.keys.queues, queue)


def test_a_group_tells_how_many_when_and_where(space: Keyspace) -> None:
    die(space, "one", "TimeoutError: took over 30 s", 10)
    die(space, "two", "TimeoutError: took over 31 s", 400, queue="b", type_="u")
    die(space, "three", "TimeoutError: took over 32 s", 7200)
    die(space, "other", "ValueError: no", 5)

    page = groups(space)

    assert (page.total, page.scanned, page.truncated) == (2, 4, False)
    first = page.items[0]
    assert (first.error, first.error_type) == ("TimeoutError: took over <n> s", "TimeoutError")
    assert first.fingerprint == fingerprint("TimeoutError: took over 99 s")
    assert (first.count, first.recent_5m, first.sample_id) == (3, 1, "one")
    assert first.hour == [0] * 10 + [1, 1]
    assert (first.types, first.types_total) == (["t", "u"], 2)
    assert (first.queues, first.queues_total) == (["a", "b"], 2)
    assert first.last == pytest.approx(space.now() - 10, abs=2)
    assert first.first == pytest.approx(space.now() - 7200, abs=2)


def test_sorts_and_pages(space: Keyspace) -> None:
    for n in range(3):
        die(space, f"old{n}", "A: x", 1000 + n)
    die(space, "new", "B: x", 1)

    def order(sort: str, **window: Any) -> list[str]:
        return [group.error for group in groups(space, sort=sort, **window).items]

    assert order("count") == ["A: x", "B: x"]
    assert order("count", order="asc") == ["B: x", "A: x"]
    assert order("last") == order("first") == order("recent_5m") == ["B: x", "A: x"]
    assert order("count", page=2, limit=1) == ["B: x"]
    with pytest.raises(InvalidQuery, match="sort"):
        order("time")


def test_filters(space: Keyspace) -> None:
    die(space, "a", "A: x", 10, type_="mail.send")
    die(space, "b", "B: x", 3000, queue="b")

    def found(**wanted: Any) -> list[str]:
        return [group.error for group in groups(space, JobFilter(**wanted)).items]

    assert found(queue=("b",)) == ["B: x"]
    assert found(type=("mail.*",)) == ["A: x"]
    assert found(error="a:") == ["A: x"]
    assert found(since=space.now() - 100) == ["A: x"]
    assert found(until=space.now() - 100) == ["B: x"]
    assert found(fingerprint=fingerprint("B: x")) == ["B: x"]


def test_jobs_that_will_be_retried_and_failed_ones_of_other_programs(space: Keyspace) -> None:
    now = int(space.now())
    retry = {"id": "r", "type": "t", "queue": "a", "status": "retry", "error": "R: 1", "started_at": now - 50}
    space.raw.hset(space.keys.job("r"), mapping=retry)
    space.raw.zadd(space.keys.scheduled, {"r": now + 9999})
    failed = {
        "id": "f",
        "type": "t",
        "queue": "a",
        "status": "failed",
        "error": "F: 1",
        "failed_at": now - 60,
    }
    space.raw.hset(space.keys.job("f"), mapping=failed)

    both = groups(space, JobFilter(status=("retry", "failed"), since=float(now - 100)))

    assert {(group.error, group.last) for group in both.items} == {("R: <n>", now - 50), ("F: <n>", now - 60)}
    assert groups(space).total == 0
    with pytest.raises(InvalidQuery, match="status"):
        groups(space, JobFilter(status=("completed",)))


def test_groups_over_very_many_queues(space: Keyspace) -> None:
    space.raw.sadd(space.keys.queues, *(f"q{n}" for n in range(600)))
    die(space, "j", "A: x", 1, queue="q7")

    assert [group.queues for group in groups(space).items] == [["q7"]]


def test_a_group_names_ten_types_at_most(space: Keyspace) -> None:
    for n in range(12):
        die(space, f"j{n}", "A: x", 1, type_=f"t{n:02}")

    (group,) = groups(space).items

    assert (len(group.types), group.types_total) == (10, 12)
    assert msgspec.to_builtins(group)["types"][0] == "t00"
