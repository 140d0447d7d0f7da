"""Cron expressions in words, as far as words are clearer than the expression."""

from __future__ import annotations

import re

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ALIASES = {
    "@hourly": "0 0 * * * *",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@weekly": "0 0 0 * * 0",
    "@monthly": "0 0 0 1 * *",
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
}


def in_words(expression: str) -> str:
    """Return an expression of 5 or 6 fields in words; empty if it cannot be said shortly."""
    text = expression.strip().lower()
    fields = _ALIASES.get(text, text).replace("?", "*").split()
    if len(fields) == 5:
        fields.insert(0, "0")
    if len(fields) != 6:
        return ""
    second, minute, hour, day, month, weekday = fields
    time = _time(second, minute, hour)
    date = _date(day, month, weekday)
    return f"{time}{date}" if time is not None and date is not None else ""


def _time(second: str, minute: str, hour: str) -> str | None:
    numbers = [part for part in (second, minute, hour) if part.isdigit()]
    if len(numbers) == 3:
        clock = f"{int(hour):02}:{int(minute):02}"
        return f"at {clock}:{int(second):02}" if int(second) else f"at {clock}"
    if (minute, hour) == ("*", "*"):
        return "every minute" if second == "0" else _every(second, "second")
    if second != "0":
        return None
    if hour == "*":
        every = _every(minute, "minute")
        return f"every hour at minute {int(minute)}" if minute.isdigit() and int(minute) else every
    every = _every(hour, "hour")
    if every is None or not minute.isdigit():
        return None
    return f"{every} at minute {int(minute)}" if int(minute) else every


def _every(field: str, unit: str) -> str | None:
    step = re.fullmatch(r"(?:\*|0)/([1-9][0-9]?)", field)
    if field == "*" or (step and step[1] == "1"):
        return f"every {unit}"
    if step:
        return f"every {step[1]} {unit}s"
    return "every hour" if field == "0" and unit == "minute" else None


def _date(day: str, month: str, weekday: str) -> str | None:
    if day != "*" and weekday != "*":
        return None
    months = "" if month == "*" else _names(month, _MONTHS, 1)
    days = "" if weekday == "*" else _names(weekday, _DAYS, 0)
    if months is None or days is None:
        return None
    text = f" on {days}" if days else ""
    if day == "l":
        text = " on the last day of the month"
    elif day.isdigit():
        text = f" on day {int(day)} of the month"
    elif day != "*":
        return None
    return text + (f" in {months}" if months else "")


def _names(field: str, names: tuple[str, ...], first: int) -> str | None:
    short = {name[:3].lower(): name for name in names}
    found = []
    for part in field.split(","):
        ends = [_name(word, names, short, first) for word in part.split("-")]
        if len(ends) > 2 or None in ends:
            return None
        found.append(" to ".join(str(end) for end in ends))
    return " and ".join([", ".join(found[:-1]), found[-1]]) if len(found) > 1 else found[0]


def _name(word: str, names: tuple[str, ...], short: dict[str, str], first: int) -> str | None:
    if word.isdigit() and first <= int(word) < len(names) + first:
        return names[int(word) - first]
    return short.get(word)
