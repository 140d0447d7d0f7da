"""A second, slow reading of cron expressions: every day, minute and second is looked at and asked.

It shares nothing with the package: fields are walked value by value, days are judged one by one, and the
instants of a wall-clock time are found by trying. It serves zones whose clocks move by whole half hours.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class Oracle:
    def __init__(self, expression: str, timezone: str) -> None:
        fields = ALIASES.get(expression, expression).lower().split()
        if len(fields) == 5:
            fields.insert(0, "0")
        self.zone = ZoneInfo(timezone)
        self.seconds = walk_field(fields[0], 0, 59)
        self.minutes = walk_field(fields[1], 0, 59)
        self.hours = walk_field(fields[2], 0, 23)
        self.months = walk_field(named(fields[4], MONTHS, 1), 1, 12)
        self.month_day = fields[3]
        self.weekday = named(fields[5], WEEKDAYS, 0)

    def fires(self, after: int) -> Iterator[int]:
        """Yield every slot after an instant, in order."""
        newest = after
        for slot in self.elapsed(after) if len(self.hours) == 24 else self.by_the_clock(after):
            if slot > newest:
                newest = slot
                yield slot

    def day_matches(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        tests = [
            any(test(part, day) for part in text.split(","))
            for text, test in ((self.month_day, month_day_matches), (self.weekday, weekday_matches))
            if text not in ("*", "?")
        ]
        return any(tests) or not tests

    def elapsed(self, after: int) -> Iterator[int]:
        """Look at the clock in every real minute."""
        block = (after + 1) // 1800 * 1800
        while True:
            if self.day_matches(datetime.fromtimestamp(block, self.zone).date()):
                for minute in range(block, block + 1800, 60):
                    if datetime.fromtimestamp(minute, self.zone).minute in self.minutes:
                        yield from (minute + second for second in sorted(self.seconds))
            block += 1800

    def by_the_clock(self, after: int) -> Iterator[int]:
        """Look at every minute of the wall clock, and find out when it is."""
        start = datetime.fromtimestamp(after, self.zone).replace(tzinfo=None) - timedelta(hours=3)
        for day in self.days(start.date()):
            midnight = datetime(day.year, day.month, day.day)
            for minute_of_day in range(24 * 60):
                hour, minute = divmod(minute_of_day, 60)
                if hour in self.hours and minute in self.minutes:
                    for second in sorted(self.seconds):
                        clock = midnight + timedelta(minutes=minute_of_day, seconds=second)
                        if clock >= start:
                            yield self.instant(clock)

    def days(self, day: date) -> Iterator[date]:
        while True:
            if day.month not in self.months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
                continue
            if self.day_matches(day):
                yield day
            day += timedelta(days=1)

    def instant(self, clock: datetime) -> int:
        """Return the first instant at which the wall clock shows this time, or the end of the gap over it."""
        as_utc = int(clock.replace(tzinfo=UTC).timestamp())
        offsets = {offset_at(as_utc + hours * 3600, self.zone) for hours in (-15, 15)}
        shown = [i for i in (as_utc - offset for offset in offsets) if self.shows(i) == clock]
        if shown:
            return min(shown)
        instant = as_utc - max(offsets)
        while self.shows(instant) < clock:
            instant += 1
        return instant

    def shows(self, instant: int) -> datetime:
        return datetime.fromtimestamp(instant, self.zone).replace(tzinfo=None)


def offset_at(instant: int, zone: ZoneInfo) -> int:
    shown = datetime.fromtimestamp(instant, zone).replace(tzinfo=UTC)
    return int(shown.timestamp()) - instant


def clock_changes(timezone: str, first_year: int, last_year: int) -> list[int]:
    """Return the instants, to the minute, at which the clock of a zone moves."""
    zone = ZoneInfo(timezone)
    start = int(datetime(first_year, 1, 1, tzinfo=UTC).timestamp())
    end = int(datetime(last_year + 1, 1, 1, tzinfo=UTC).timestamp())
    changes = []
    for day in range(start, end, 86_400):
        if offset_at(day, zone) != offset_at(day + 86_400, zone):
            before = offset_at(day, zone)
            changes.append(next(i for i in range(day, day + 86_460, 60) if offset_at(i, zone) != before))
    return changes


def named(text: str, names: list[str], low: int) -> str:
    for value, name in enumerate(names, low):
        text = text.replace(name, str(value))
    return text


def walk_field(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        found |= walk_part(part, low, high)
    return found


def walk_part(part: str, low: int, high: int) -> set[int]:
    body, _, step = part.partition("/")
    first, dash, last = body.partition("-")
    if body in ("*", "?"):
        line = list(range(low, high + 1))
    elif dash and int(first) <= int(last):
        line = list(range(int(first), int(last) + 1))
    elif dash:
        line = [*range(int(first), high + 1), *range(low, int(last) + 1)]
    elif step:
        line = list(range(int(first), high + 1))
    else:
        line = [int(first)]
    return set(line[:: int(step or 1)])


def month_day_matches(part: str, day: date) -> bool:
    if part == "l":
        return (day + timedelta(days=1)).day == 1
    if part.endswith("w"):
        month = days_of_month(day)
        target = min(int(part[:-1]), len(month))
        working = [d for d in month if d.isoweekday() <= 5]
        return day == min(working, key=lambda d: abs(d.day - target))
    return day.day in walk_part(part, 1, 31)


def weekday_matches(part: str, day: date) -> bool:
    if part.startswith("l"):
        in_last_week = (day + timedelta(days=7)).month != day.month
        return in_last_week and day.isoweekday() % 7 == int(part[1:]) % 7
    if "#" in part:
        weekday, _, place = part.partition("#")
        return day.isoweekday() % 7 == int(weekday) % 7 and (day.day + 6) // 7 == int(place)
    if part.startswith("7-") and part != "7-7":
        part = f"0{part[1:]}"
    return day.isoweekday() % 7 in {value % 7 for value in walk_part(part, 0, 6)}


def days_of_month(day: date) -> list[date]:
    first = day.replace(day=1)
    month = [first + timedelta(days=i) for i in range(31)]
    return [d for d in month if d.month == day.month]


class ExpressionMaker:
    """Makes expressions at random, every form of every field among them."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)

    def expression(self) -> str:
        pick = self.random.random()
        if pick < 0.02:
            return self.random.choice(sorted(ALIASES))
        fields = [
            self.field(0, 59, mostly="0"),
            self.field(0, 59, mostly="0"),
            self.field(0, 23, mostly="*"),
            self.month_day(),
            self.field(1, 12, mostly="*", names=MONTHS),
            self.weekday(),
        ]
        return " ".join(fields[1:] if pick < 0.2 else fields)

    def field(self, low: int, high: int, mostly: str, names: list[str] | None = None) -> str:
        if self.random.random() < 0.4:
            return mostly
        return self.listed(lambda: self.part(low, high, names))

    def listed(self, part: Callable[[], str]) -> str:
        return ",".join(part() for _ in range(self.random.choice([1, 1, 1, 2, 3])))

    def part(self, low: int, high: int, names: list[str] | None = None) -> str:
        def value() -> str:
            number = self.random.randint(low, high)
            if names and self.random.random() < 0.4:
                name = names[(number - low) % len(names)]
                return self.random.choice([name, name.upper(), name.title()])
            return str(number)

        step = self.random.choice([1, 2, 3, 5, 7, 10, 15, 20, 45])
        return self.random.choice(
            [
                "*",
                f"*/{step}",
                f"{value()}/{step}",
                f"{value()}-{value()}",
                f"{value()}-{value()}/{step}",
                value(),
                value(),
                value(),
            ]
        )

    def month_day(self) -> str:
        pick = self.random.random()
        if pick < 0.45:
            return self.random.choice(["*", "*", "*", "?"])
        if pick < 0.55:
            return self.random.choice(["L", "l", "15,L", "L,1", "1W"])
        if pick < 0.65:
            return f"{self.random.randint(1, 31)}W"
        return self.listed(lambda: self.part(1, 31))

    def weekday(self) -> str:
        pick = self.random.random()
        if pick < 0.5:
            return self.random.choice(["*", "*", "*", "?"])
        if pick < 0.6:
            weekday = self.random.choice(["0", "1", "2", "3", "4", "5", "6", "7", "mon", "FRI"])
            return f"{weekday}#{self.random.randint(1, 5)}"
        if pick < 0.65:
            return f"L{self.random.randint(0, 7)}"
        if pick < 0.8:
            return self.random.choice(
                ["7", "0", "1-5", "5-7", "fri-mon", "sat,sun", "0-7", "1-7/2", "6-2/2", "7-2"]
            )
        return self.listed(lambda: self.part(0, 6, WEEKDAYS))
