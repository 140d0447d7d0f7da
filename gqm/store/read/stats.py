"""Series over time: counters of minutes and of days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from gqm.errors import InvalidQuery, QueueNotFound
from gqm.store.command import Command
from gqm.store.commands.overview import MINUTE_FIELDS, Minute, read_minute
from gqm.store.commands.read import MAX_HASHES, is_queue, read_hashes, server_time
from gqm.store.plan import Plan, ask
from gqm.store.read.names import queue_names
from gqm.store.read.sources import sort_of
from gqm.store.read.views import View

if TYPE_CHECKING:
    from gqm.keys import Keys

MAX_MINUTES = 180
MAX_DAYS = 90
MAX_POINTS = 20_000
"""Most points of one answer: queues × minutes, or queues × days."""


class MinutePoint(View, frozen=True, kw_only=True):
    """Counters of one minute."""

    minute: int
    """When it began."""
    processed: int
    failed: int
    retried: int
    skipped: int
    wait_avg_ms: int | None
    """``None`` when nothing was claimed."""
    run_avg_ms: int | None
    """``None`` when nothing ended."""


class MinuteSeries(View, frozen=True, kw_only=True):
    """Minutes of one queue, or of all together."""

    queue: str | None
    minutes: Sequence[MinutePoint]


class DayPoint(View, frozen=True, kw_only=True):
    """Counters of one UTC day."""

    date: str
    processed: int
    failed: int


class DaySeries(View, frozen=True, kw_only=True):
    """Days of one queue, or of all together."""

    queue: str | None
    days: Sequence[DayPoint]


class MinuteList(NamedTuple):
    """Answer about minutes."""

    series: list[MinuteSeries]
    server_time: float


class DayList(NamedTuple):
    """Answer about days."""

    series: list[DaySeries]
    server_time: float


def list_minutes(
    keys: Keys, *, queue: str | None = None, minutes: int = 60, fold: bool = False, order: str = "desc"
) -> Plan[MinuteList]:
    """Return the counters of the last minutes, the one that is running included, of one queue or of all.

    ``fold`` adds all queues up into one series. Raises `QueueNotFound`, and `InvalidQuery` for a number out
    of range or too many points.
    """
    _check("minutes", minutes, MAX_MINUTES)
    newest_first = sort_of(order) == "desc"
    queues = yield from _queues(keys, queue, minutes)
    now_s = yield from ask(server_time(keys))
    newest = int(now_s) // 60
    wanted = [newest - age for age in range(minutes)]
    rows = yield from _read_minutes(keys, [(name, minute) for name in queues for minute in wanted])
    tables = {name: [next(rows) for _ in wanted] for name in queues}
    if fold:
        tables = {
            "": [_added(column) for column in zip(*tables.values(), strict=True)] or [Minute()] * minutes
        }
    series = []
    for name, counted in tables.items():
        points = [_minute_point(60 * minute, row) for minute, row in zip(wanted, counted, strict=True)]
        shown = points if newest_first else points[::-1]
        series.append(MinuteSeries(queue=None if fold else name, minutes=shown))
    return MinuteList(series, now_s)


def list_days(
    keys: Keys, *, queue: str | None = None, days: int = 30, fold: bool = False, order: str = "desc"
) -> Plan[DayList]:
    """Return what was processed and what died on the last UTC days, today included; as `list_minutes`."""
    _check("days", days, MAX_DAYS)
    newest_first = sort_of(order) == "desc"
    queues = yield from _queues(keys, queue, days)
    now_s = yield from ask(server_time(keys))
    today = datetime.fromtimestamp(now_s, UTC).date()
    dates = [(today - timedelta(days=age)).isoformat() for age in range(days)]
    names = [
        keys.day(name, what, date) for name in queues for date in dates for what in ("processed", "failed")
    ]
    counts = yield from _read_counters(names)
    tables = {name: [(next(counts), next(counts)) for _ in dates] for name in queues}
    if fold:
        columns = zip(*tables.values(), strict=True)
        tables = {"": [(sum(p for p, _ in c), sum(f for _, f in c)) for c in columns] or [(0, 0)] * days}
    series = []
    for name, counted in tables.items():
        points = [
            DayPoint(date=date, processed=processed, failed=failed)
            for date, (processed, failed) in zip(dates, counted, strict=True)
        ]
        series.append(DaySeries(queue=None if fold else name, days=points if newest_first else points[::-1]))
    return DayList(series, now_s)


def _check(what: str, number: int, most: int) -> None:
    if not 1 <= number <= most:
        raise InvalidQuery(f"{what} must be 1 to {most}, not {number}")


def _queues(keys: Keys, queue: str | None, points: int) -> Plan[list[str]]:
    if queue is not None:
        if not (yield from ask(is_queue(keys, queue))):
            raise QueueNotFound(f"there is no queue {queue!r}")
        return [queue]
    names = (yield from queue_names(keys)).names
    if len(names) * points > MAX_POINTS:
        raise InvalidQuery(
            f"that is {len(names) * points:,} points, at most {MAX_POINTS:,} can be told; name a queue"
        )
    return names


def _read_minutes(keys: Keys, places: Sequence[tuple[str, int]]) -> Plan[Iterator[Minute]]:
    rows: list[Minute] = []
    for start in range(0, len(places), MAX_HASHES):
        names = [keys.minute(queue, minute) for queue, minute in places[start : start + MAX_HASHES]]
        rows += map(read_minute, (yield from ask(read_hashes(keys, names, MINUTE_FIELDS))))
    return iter(rows)


def _read_counters(names: Sequence[str]) -> Plan[Iterator[int]]:
    counts: list[int] = []
    for start in range(0, len(names), MAX_HASHES):
        counts += yield from ask(_counters(names[start : start + MAX_HASHES]))
    return iter(counts)


def _counters(names: Sequence[str]) -> Command[list[int]]:
    """Read integers; a key that is none, or is missing, reads as 0."""
    return Command(("MGET", *names), lambda raw: [int(v) if v and v.isdigit() else 0 for v in raw])


def _added(rows: Sequence[Minute]) -> Minute:
    return Minute(*(sum(column) for column in zip(*rows, strict=True)))


def _minute_point(begun: int, row: Minute) -> MinutePoint:
    ended = row.processed + row.failed
    return MinutePoint(
        minute=begun,
        processed=row.processed,
        failed=row.failed,
        retried=row.retried,
        skipped=row.skipped,
        wait_avg_ms=row.wait_ms // row.claimed if row.claimed else None,
        run_avg_ms=row.run_ms // ended if ended else None,
    )
