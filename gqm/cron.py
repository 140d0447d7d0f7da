"""Cron expressions: what they mean, and when they fire next in their time zone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from gqm.cronfields import NeverFires, Pattern, read_pattern

__all__ = ["CronSchedule", "NeverFires", "parse"]

_EPOCH = datetime(1970, 1, 1)
_LAST_S = int(datetime(9900, 1, 1, tzinfo=UTC).timestamp())
_LONGEST_REPEAT_S = 25 * 3600  # a clock is set back by an hour as a rule, by a day at the date line


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """A cron expression in a time zone; made by :func:`parse`.

    When clocks change, an expression that fires in every hour follows elapsed time: it skips the times that
    the clock skips and fires twice where the clock repeats itself. Any other expression fires once a day at
    its times: a time that the clock skips fires at the first instant after the gap (all such times together,
    once), and of a repeated time only the first occurrence fires.
    """

    expression: str
    timezone: str
    _pattern: Pattern = field(repr=False)
    _zone: ZoneInfo = field(repr=False)

    def next(self, after: float) -> int:
        """Return the first slot strictly after ``after``; both are unix seconds.

        Raises :class:`NeverFires` if none comes within 50 years.
        """
        start = max(math.floor(after), -1)
        if start >= _LAST_S:
            raise NeverFires
        if len(self._pattern.hours) == 24:
            return self._next_elapsed(start)
        return self._next_on_the_clock(start)

    def upcoming(self, after: float, count: int) -> list[int]:
        """Return the first ``count`` slots strictly after ``after``, in unix seconds."""
        slots: list[int] = []
        while len(slots) < count:
            after = self.next(after)
            slots.append(after)
        return slots

    def _next_on_the_clock(self, start: int) -> int:
        local = start + self._offset_at(start)
        while True:
            local = self._pattern.next(local)
            before, after = self._offsets_of(local)
            if before < after:  # the clock skips this time
                return self._change_between(local - after, local - before)
            if local - before > start:
                return local - before
            # This is the second run of a repeated hour: go on where it ends.
            local = self._change_between(local - before, local - after) + before - 1

    def _next_elapsed(self, start: int) -> int:
        offset = self._offset_at(start)
        local = self._pattern.next(start + offset)
        before, after = self._offsets_of(local)
        while before < after:  # the clock skips this time, so it does not exist
            gap_end = self._change_between(local - after, local - before) + after
            local = self._pattern.next(gap_end - 1)
            before, after = self._offsets_of(local)
        slot = local - before if local - before > start else local - after
        return self._repeated(start, offset, until=slot) or slot

    def _repeated(self, start: int, offset: int, until: int) -> int | None:
        """Return the slot before ``until`` that the clock reaches by being set back, if there is one."""
        until = min(until, start + _LONGEST_REPEAT_S)
        new_offset = self._offset_at(until)
        if new_offset >= offset:
            return None
        local = self._pattern.next(self._change_between(start, until) + new_offset - 1)
        return local - new_offset if local <= start + offset else None

    def _offset_at(self, instant: int) -> int:
        """Return the seconds that local time is ahead of UTC at an instant."""
        return _whole_seconds(datetime.fromtimestamp(instant, self._zone))

    def _offsets_of(self, local: int) -> tuple[int, int]:
        """Return the offsets of a local time: both the same, or those before and after a change of the clock.

        The first is greater for a local time that is repeated, and smaller for one that is skipped.
        """
        clock = (_EPOCH + timedelta(seconds=local)).replace(tzinfo=self._zone)
        return _whole_seconds(clock), _whole_seconds(clock.replace(fold=1))

    def _change_between(self, earlier: int, later: int) -> int:
        """Return the first instant that has the offset of ``later``; ``earlier`` has another one."""
        offset = self._offset_at(later)
        while later - earlier > 1:
            middle = (earlier + later) // 2
            if self._offset_at(middle) == offset:
                later = middle
            else:
                earlier = middle
        return later


def parse(expression: str, timezone: str = "UTC") -> CronSchedule:
    """Read a cron expression: ``sec min hour dom month dow``, or five fields with second 0.

    Fields hold numbers, names (``jan``, ``mon``), ``*``, lists, ranges (``fri-mon`` and ``22-4`` wrap), and
    steps (``*/5``, ``10-40/10``; ``5/20`` runs to the end of the field). Day of month also takes ``?``, ``L``
    (last day) and ``15W`` (nearest working day); day of week takes ``?``, 0 or 7 for Sunday, ``mon#2``
    (second Monday) and ``L5`` (last Friday). ``@hourly``, ``@daily``, ``@midnight``, ``@weekly``,
    ``@monthly``, ``@yearly`` and ``@annually`` stand for whole expressions. If neither day field is ``*`` or
    ``?``, a day that fits either one fires.

    ``timezone`` is an IANA name. Raises ``ValueError`` with the reason, or :class:`NeverFires`.
    """
    schedule = CronSchedule(expression, timezone, read_pattern(expression), _load_zone(timezone))
    schedule.next(0)
    return schedule


def _load_zone(timezone: str) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:  # unknown, malformed, a folder of the zone database
        raise ValueError(f"there is no time zone {timezone[:60]!r}") from error


def _whole_seconds(clock: datetime) -> int:
    offset = clock.utcoffset()
    if offset is None:
        raise ValueError("a clock without a time zone has no offset")
    return offset.days * 86_400 + offset.seconds
