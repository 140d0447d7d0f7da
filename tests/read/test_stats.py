"""Series over time: minutes and UTC days, filled with zeros, of one queue or folded over all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gqm.errors import InvalidQuery, QueueNotFound
from gqm.store.plan import follow
from gqm.store.read.stats import DaySeries, MinuteSeries, list_days, list_minutes
from tests.support.keyspace import Keyspace


def minutes(space: Keyspace, **options: Any) -> list[MinuteSeries]:
    return follow(space.store, list_minutes(space.keys, **options)).series


def days(space: Keyspace, **options: Any) -> list[DaySeries]:
    return follow(space.store, list_days(space.keys, **options)).series


def count_minutes(space: Keyspace, queue: str, **counters: int) -> int:
    """Store counters for the minute before the present one; return its number."""
    minute = int(space.now()) // 60 - 1
    space.raw.sadd(space.keys.queues, queue)
    space.raw.hset(space.keys.minute(queue, minute), mapping=counters)
    return minute


def test_minutes_of_a_queue(space: Keyspace) -> None:
    minute = count_minutes(
        space, "a", processed=5, failed=1, retried=2, skipped=3, claimed=4, wait_ms=401, run_ms=600
    )

    (series,) = minutes(space, queue="a", minutes=10)

    assert (series.queue, len(series.minutes)) == ("a", 10)
    assert [point.minute % 60 for point in series.minutes] == [0] * 10
    times = [point.minute for point in series.minutes]
    assert times == sorted(times, reverse=True)
    (point,) = [point for point in series.minutes if point.minute == 60 * minute]
    assert (point.processed, point.failed, point.retried, point.skipped) == (5, 1, 2, 3)
    assert (point.wait_avg_ms, point.run_avg_ms) == (100, 100)
    quiet = series.minutes[-1]
    assert (quiet.processed, quiet.wait_avg_ms, quiet.run_avg_ms) == (0, None, None)


def test_minutes_of_all_queues_and_folded(space: Keyspace) -> None:
    count_minutes(space, "a", processed=5, claimed=1, wait_ms=100)
    count_minutes(space, "b", processed=7, claimed=3, wait_ms=500)

    assert [series.queue for series in minutes(space)] == ["a", "b"]
    (folded,) = minutes(space, fold=True, order="asc")

    assert folded.queue is None
    (point,) = [point for point in folded.minutes if point.processed]
    assert (point.processed, point.wait_avg_ms) == (12, 150)
    assert [point.minute for point in folded.minutes] == sorted(point.minute for point in folded.minutes)


def test_days_of_a_queue(space: Keyspace) -> None:
    today = datetime.fromtimestamp(space.now(), UTC).date()
    yesterday = (today - timedelta(days=1)).isoformat()
    space.raw.sadd(space.keys.queues, "a", "b")
    space.raw.set(space.keys.day("a", "processed", yesterday), 412)
    space.raw.set(space.keys.day("a", "failed", yesterday), 3)
    space.raw.set(space.keys.day("b", "processed", yesterday), 8)
    space.raw.hset(space.keys.day("b", "failed", yesterday), "a", "b")

    (series,) = days(space, queue="a", days=3)
    (folded,) = days(space, fold=True, order="asc")

    assert len(series.days) == 3
    point = next(point for point in series.days if point.date == yesterday)
    assert (point.processed, point.failed) == (412, 3)
    assert (folded.queue, len(folded.days)) == (None, 30)
    assert sum(point.processed for point in folded.days) == 420
    assert folded.days[0].date < folded.days[-1].date
    assert [series.queue for series in days(space)] == ["a", "b"]


def test_without_queues_there_is_nothing_to_add_up(space: Keyspace) -> None:
    assert minutes(space) == []
    assert [len(series.minutes) for series in minutes(space, fold=True)] == [60]
    assert [len(series.days) for series in days(space, fold=True, days=7)] == [7]


@pytest.mark.parametrize("read", [minutes, days])
def test_what_cannot_be_told(space: Keyspace, read: Any) -> None:
    what = read.__name__
    for wrong in (0, 181 if read is minutes else 91):
        with pytest.raises(InvalidQuery, match=what):
            read(space, **{what: wrong})
    with pytest.raises(InvalidQuery, match="order"):
        read(space, order="up")
    with pytest.raises(QueueNotFound, match="none"):
        read(space, queue="none")
    space.raw.sadd(space.keys.queues, *(f"q{n}" for n in range(800)))
    with pytest.raises(InvalidQuery, match="points"):
        read(space, **{what: 60})
    assert len(read(space, **{what: 25})) == 800
