"""The fields of a cron expression: how they are read, and the search on a clock without a time zone."""

from __future__ import annotations

import re
from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple, TypeAlias

__all__ = ["NeverFires", "Pattern", "read_pattern"]

_DAY_S = 86_400
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_SEARCH_YEARS = 50  # the rarest date, a fifth weekday of February, comes at least every 40 years

_ALIASES = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}


class NeverFires(ValueError):
    """No date matches the cron expression."""

    def __init__(self) -> None:
        super().__init__("this expression never fires")


_Values: TypeAlias = Sequence[int | Literal["*", "l"]]


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def number(self, word: str) -> int | None:
        """Return what a name or a number of this field stands for, ``None`` for anything else."""
        if word.isdecimal():
            return int(word)
        return self.names.index(word) + self.low if word in self.names else None


_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SECOND, _MINUTE, _HOUR = _Field("second", 0, 59), _Field("minute", 0, 59), _Field("hour", 0, 23)
_DAY, _MONTH = _Field("day-of-month", 1, 31), _Field("month", 1, 12, _MONTH_NAMES)
_WEEKDAY = _Field("day-of-week", 0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat"))
_FIELDS = (_SECOND, _MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)

_RANGE = re.compile(r"(\w+)(?:-(\w+))?(?:/(\d+))?", re.ASCII)
_NEAREST_WEEKDAY = re.compile(r"(0?[1-9]|[12][0-9]|3[01])w")


@dataclass(frozen=True, slots=True)
class _Days:
    """The day rule of an expression. Weekdays count from Sunday = 0.

    ``by_month_day`` and ``by_weekday`` tell which of the two fields is set, that is neither ``*`` nor ``?``.
    If both are, a day that fits either one fires. ``nth`` holds weekday and place in the month, -1 for last.
    """

    by_month_day: bool
    by_weekday: bool
    month_days: tuple[int, ...]
    last_day: bool
    nearest_weekday: tuple[int, ...]
    weekdays: tuple[int, ...]
    nth: tuple[tuple[int, int], ...]

    def of_month(self, year: int, month: int) -> Sequence[int]:
        """Return the days of a month that fire, in order."""
        first_weekday, length = monthrange(year, month)
        if not (self.by_month_day or self.by_weekday):
            return range(1, length + 1)
        found: set[int] = set()
        if self.by_month_day:
            found.update(day for day in self.month_days if day <= length)
            found.update(_nearest_weekday(day, first_weekday, length) for day in self.nearest_weekday)
            if self.last_day:
                found.add(length)
        if self.by_weekday:
            found.update(self._by_weekday(first_weekday, length))
        return sorted(found)

    def _by_weekday(self, first_weekday: int, length: int) -> Iterator[int]:
        def all_of(weekday: int) -> range:
            return range(1 + (weekday - 1 - first_weekday) % 7, length + 1, 7)  # monthrange: Monday is 0

        for weekday in self.weekdays:
            yield from all_of(weekday)
        for weekday, place in self.nth:
            days = all_of(weekday)
            if place <= len(days):
                yield days[place - 1] if place > 0 else days[-1]


@dataclass(frozen=True, slots=True)
class Pattern:
    """The fields of an expression, expanded, and the search on a clock that knows no time zone.

    Times of that clock are "local seconds": seconds since 1970-01-01 00:00 of the wall clock itself.
    """

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: tuple[int, ...]
    days: _Days

    def next(self, local: int) -> int:
        """Return the first local second after ``local`` that matches; raise :class:`NeverFires`."""
        day, second = divmod(local + 1, _DAY_S)
        second_today = self._second_of_day(second)
        earliest = day if second_today is not None else day + 1
        for matching in self._days_from(date.fromordinal(day + _EPOCH_DAY)):
            if matching == day and second_today is not None:
                return day * _DAY_S + second_today
            if matching >= earliest:
                return matching * _DAY_S + _seconds(self.hours[0], self.minutes[0], self.seconds[0])
        raise NeverFires

    def _days_from(self, today: date) -> Iterator[int]:
        for year in range(today.year, today.year + _SEARCH_YEARS + 1):
            for month in self.months:
                if year > today.year or month >= today.month:
                    first = date(year, month, 1).toordinal() - _EPOCH_DAY
                    yield from (first + day - 1 for day in self.days.of_month(year, month))

    def _second_of_day(self, second: int) -> int | None:
        """Return the first matching second of a day from ``second`` on, ``None`` if the day has none."""
        minute, second = divmod(second, 60)
        hour, minute = divmod(minute, 60)
        if hour in self.hours:
            if minute in self.minutes:
                found = _at_least(self.seconds, second)
                if found is not None:
                    return _seconds(hour, minute, found)
            found = _at_least(self.minutes, minute + 1)
            if found is not None:
                return _seconds(hour, found, self.seconds[0])
        found = _at_least(self.hours, hour + 1)
        return None if found is None else _seconds(found, self.minutes[0], self.seconds[0])


def _split(expression: str) -> list[str]:
    text = expression.strip().lower()
    fields = _ALIASES.get(text, text).split()
    if len(fields) == 5:
        return ["0", *fields]
    if len(fields) == 6:
        return fields
    if text.startswith("@"):
        raise ValueError(f"{text[:40]!r} is not one of {', '.join(_ALIASES)}")
    raise ValueError(f"it has {len(fields)} field{'' if len(fields) == 1 else 's'}")


def read_pattern(expression: str) -> Pattern:
    """Read an expression of five or six fields, or an alias; raise ``ValueError`` with the reason."""
    texts = _split(expression)
    elements = [
        [_plain(element, field) for element in text.split(",")]
        for text, field in zip(texts, _FIELDS, strict=True)
    ]
    month_days = elements[3]
    nearest = [int(day[:-1]) for day in month_days if _NEAREST_WEEKDAY.fullmatch(day)]
    elements[3] = [day for day in month_days if not _NEAREST_WEEKDAY.fullmatch(day)] or ["?"]
    values, nth = _expand(elements)
    by_month_day, by_weekday = (text not in ("*", "?") for text in (texts[3], texts[5]))
    return Pattern(
        seconds=_all(values[0], _SECOND),
        minutes=_all(values[1], _MINUTE),
        hours=_all(values[2], _HOUR),
        months=_all(values[4], _MONTH),
        days=_Days(
            by_month_day,
            by_weekday,
            month_days=() if elements[3] == ["?"] else _all(values[3], _DAY),
            last_day="l" in values[3],
            nearest_weekday=tuple(nearest),
            weekdays=() if nth else _all(values[5], _WEEKDAY),
            nth=nth,
        ),
    )


def _plain(element: str, field: _Field) -> str:
    """Write a range with a step, or of one value, as the values it means.

    The library steps wrongly over the end of a field (``22-4/5`` is 22 and 3), and takes ``5-5`` for ``*``.
    """
    match = _RANGE.fullmatch(element)
    if not match or not (match[2] or match[3]):
        return element
    first, last = field.number(match[1]), field.number(match[2] or str(field.high))
    step = int(match[3] or 1)
    if first is None or last is None or not step:
        return element
    if not (_in_field(first, field) and _in_field(last, field)):
        return element
    if first == last:
        return str(first)
    span = field.high - field.low + 1
    end = last if last >= first else last + span
    return ",".join(str((value - field.low) % span + field.low) for value in range(first, end + 1, step))


def _in_field(value: int, field: _Field) -> bool:
    return field.low <= value <= field.high + (field is _WEEKDAY)  # Sunday is 0 and 7


def _expand(elements: Sequence[Sequence[str]]) -> tuple[list[_Values], tuple[tuple[int, int], ...]]:
    """Let the library expand the fields; return their values in our order, and the weekdays with a place."""
    from croniter import CroniterError, croniter

    for field, parts in zip(_FIELDS, elements, strict=True):
        for part in parts:
            # "H" and "R" stand for a value of the library's own choice, which would differ between servers.
            # What is left of "W" is a spelling that only some versions of the library take.
            if part[:1] in ("h", "r") or (field is _DAY and "w" in part):
                raise _not_valid(part, field)
    special = [part for part in elements[5] if "#" in part or part.startswith("l")]
    if special and len(special) < len(elements[5]):
        raise ValueError(f"{special[0]!r} cannot stand in a list with plain days of the week")
    try:
        expanded, nth = croniter.expand(" ".join(map(",".join, elements)), second_at_beginning=True)
    except (CroniterError, OverflowError) as error:
        raise _culprit(elements) from error
    places = {(int(day), -1 if str(place) == "l" else int(place)) for day in nth for place in nth[day]}
    return [expanded[-1], *expanded[:-1]], tuple(sorted(places))


def _culprit(elements: Sequence[Sequence[str]]) -> ValueError:
    """Find out which element, or else which field, the library did not take."""
    from croniter import croniter

    for index, parts in enumerate(elements):
        for part in (*parts, ",".join(parts)):
            alone = ["*"] * len(_FIELDS)
            alone[index] = part
            if not part or not croniter.is_valid(" ".join(alone), second_at_beginning=True):
                return _not_valid(part, _FIELDS[index])
    return ValueError("its fields do not go together")


def _not_valid(part: str, field: _Field) -> ValueError:
    return ValueError(f"{part[:40]!r} is not valid in the {field.name} field")


def _all(values: _Values, field: _Field) -> tuple[int, ...]:
    if "*" in values:
        return tuple(range(field.low, field.high + 1))
    return tuple(sorted(value for value in values if isinstance(value, int)))


def _nearest_weekday(day: int, first_weekday: int, length: int) -> int:
    """Return the day from Monday to Friday nearest to ``day`` that lies in the same month."""
    day = min(day, length)
    weekday = (first_weekday + day - 1) % 7
    if weekday == 5:
        return day - 1 if day > 1 else day + 2
    if weekday == 6:
        return day + 1 if day < length else day - 2
    return day


def _at_least(values: Sequence[int], lowest: int) -> int | None:
    place = bisect_left(values, lowest)
    return values[place] if place < len(values) else None


def _seconds(hour: int, minute: int, second: int) -> int:
    return (hour * 60 + minute) * 60 + second
