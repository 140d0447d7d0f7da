"""The clock of an inline queue: it stands still until the test moves it."""

from __future__ import annotations

import datetime as dt
import time


class Clock:
    """Time as the inline queue sees it. Moving it runs nothing; what has become due waits for `run_all`."""

    def __init__(self, start: dt.datetime | float | None = None) -> None:
        """Start at a time: a datetime with zone, or unix seconds; default now."""
        self._now_ms = _ms(time.time() if start is None else start)

    @property
    def now(self) -> float:
        """Unix seconds."""
        return self._now_ms / 1000

    @property
    def now_ms(self) -> int:
        """Unix milliseconds."""
        return self._now_ms

    @property
    def datetime(self) -> dt.datetime:
        """The time in UTC."""
        return dt.datetime.fromtimestamp(self.now, dt.UTC)

    def advance(self, seconds: float | dt.timedelta) -> None:
        """Move on by so many seconds. Raises ``ValueError`` for less than 0."""
        if isinstance(seconds, dt.timedelta):
            seconds = seconds.total_seconds()
        self.move_to(self.now + seconds)

    def move_to(self, when: dt.datetime | float) -> None:
        """Move on to a time. Raises ``ValueError`` if it has passed already."""
        target = _ms(when)
        if target < self._now_ms:
            raise ValueError(
                f"the clock of a queue does not go back: it is {self.datetime:%Y-%m-%d %H:%M:%S} UTC"
            )
        self._now_ms = target


def _ms(when: dt.datetime | float) -> int:
    if isinstance(when, dt.datetime):
        if when.tzinfo is None:
            raise ValueError("a datetime needs a time zone")
        when = when.timestamp()
    return round(when * 1000)
