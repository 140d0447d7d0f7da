"""Cron expressions: one example per rule, clock changes, and a comparison with a second implementation."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import time
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gqm.cron import CronSchedule, NeverFires, parse
from tests.support.cron_oracle import ExpressionMaker, Oracle, clock_changes

NEW_YORK = "America/New_York"
BERLIN = "Europe/Berlin"
SAO_PAULO = "America/Sao_Paulo"
LORD_HOWE = "Australia/Lord_Howe"  # moves its clocks by half an hour
APIA = "Pacific/Apia"  # left out a whole day when it changed sides of the date line
ZONES = ["UTC", NEW_YORK, BERLIN, SAO_PAULO, LORD_HOWE]


def instant(text: str, timezone: str = "UTC") -> int:
    """Read ``2026-03-08 03:00:00``, in the zone unless the text ends with an offset from UTC."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(timezone))).timestamp())


def shown(expression: str, after: str, count: int = 4, timezone: str = "UTC") -> list[str]:
    """The next slots as local times; with the offset from UTC in zones that have one."""
    slots = parse(expression, timezone).upcoming(instant(after, timezone), count)
    form = "%Y-%m-%d %H:%M:%S" if timezone == "UTC" else "%m-%d %H:%M %z"
    return [datetime.fromtimestamp(slot, ZoneInfo(timezone)).strftime(form) for slot in slots]


def days(expression: str, count: int = 4, after: str = "2026-11-20 12:00:00") -> list[str]:
    return [slot[2:10] for slot in shown(expression, after, count)]


def times(expression: str, count: int = 4, after: str = "2026-11-20 00:00:00") -> list[str]:
    return [slot[11:] for slot in shown(expression, after, count)]


class TestFields:
    def test_six_fields_begin_with_the_second(self) -> None:
        assert times("30 15 10 * * *", 1) == ["10:15:30"]

    def test_five_fields_fire_at_second_zero(self) -> None:
        assert times("15 10 * * *", 1) == ["10:15:00"]

    def test_a_slot_is_strictly_after(self) -> None:
        schedule = parse("0 0 * * * *")
        assert schedule.next(3600) == 7200
        assert schedule.next(3599) == 3600
        assert schedule.next(3599.999) == 3600
        assert schedule.next(3600.001) == 7200

    def test_a_slot_is_never_before_1970(self) -> None:
        assert parse("0 0 * * * *").next(-1e12) == 0

    @pytest.mark.fault(53)
    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("0 5/20 * * * *", ["00:05:00", "00:25:00", "00:45:00", "01:05:00"]),
            ("0 59/15 * * * *", ["00:59:00", "01:59:00", "02:59:00", "03:59:00"]),
            ("0 */20 * * * *", ["00:20:00", "00:40:00", "01:00:00", "01:20:00"]),
            ("0 */45 * * * *", ["00:45:00", "01:00:00", "01:45:00", "02:00:00"]),
            ("0 10-40/15 * * * *", ["00:10:00", "00:25:00", "00:40:00", "01:10:00"]),
            ("0 7,3,3,50 * * * *", ["00:03:00", "00:07:00", "00:50:00", "01:03:00"]),
            ("0 58-1 * * * *", ["00:01:00", "00:58:00", "00:59:00", "01:00:00"]),
            ("0 0 22-4/5 * * *", ["03:00:00", "22:00:00", "03:00:00", "22:00:00"]),
            ("0 0 */1 * * *", ["01:00:00", "02:00:00", "03:00:00", "04:00:00"]),
            ("0 5-5 * * * *", ["00:05:00", "01:05:00", "02:05:00", "03:05:00"]),
            ("*/30 * * * * *", ["00:00:30", "00:01:00", "00:01:30", "00:02:00"]),
            ("0 0 1-3,23 * * *", ["01:00:00", "02:00:00", "03:00:00", "23:00:00"]),
        ],
    )
    def test_lists_ranges_and_steps(self, expression: str, expected: list[str]) -> None:
        assert times(expression) == expected

    @pytest.mark.fault(53)
    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("0 0 0 1 jan,JUL *", ["27-01-01", "27-07-01", "28-01-01", "28-07-01"]),
            ("0 0 0 1 Nov-Feb *", ["26-12-01", "27-01-01", "27-02-01", "27-11-01"]),
            ("0 0 0 1 nov-jun/3 *", ["27-02-01", "27-05-01", "27-11-01", "28-02-01"]),
            ("0 0 0 1 5/3 *", ["27-05-01", "27-08-01", "27-11-01", "28-05-01"]),
            ("0 0 0 1 jan-jan *", ["27-01-01", "28-01-01", "29-01-01", "30-01-01"]),
            ("0 0 0 * * mon", ["26-11-23", "26-11-30", "26-12-07", "26-12-14"]),
            ("0 0 0 * * 0", ["26-11-22", "26-11-29", "26-12-06", "26-12-13"]),
            ("0 0 0 * * 7", ["26-11-22", "26-11-29", "26-12-06", "26-12-13"]),
            ("0 0 0 * * 7-7", ["26-11-22", "26-11-29", "26-12-06", "26-12-13"]),
            ("0 0 0 * * fri-mon", ["26-11-21", "26-11-22", "26-11-23", "26-11-27"]),
            ("0 0 0 * * 5-7", ["26-11-21", "26-11-22", "26-11-27", "26-11-28"]),
            ("0 0 0 * * 7-1", ["26-11-22", "26-11-23", "26-11-29", "26-11-30"]),
            ("0 0 0 * * 0-7", ["26-11-21", "26-11-22", "26-11-23", "26-11-24"]),
            ("0 0 0 * * 1-5", ["26-11-23", "26-11-24", "26-11-25", "26-11-26"]),
            ("0 0 0 * * mon-fri/2", ["26-11-23", "26-11-25", "26-11-27", "26-11-30"]),
        ],
    )
    def test_months_and_days_of_the_week(self, expression: str, expected: list[str]) -> None:
        assert days(expression) == expected

    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("0 0 0 31 * *", ["26-12-31", "27-01-31", "27-03-31", "27-05-31"]),
            ("0 0 0 29 2 *", ["28-02-29", "32-02-29", "36-02-29", "40-02-29"]),
            ("0 0 0 L * *", ["26-11-30", "26-12-31", "27-01-31", "27-02-28"]),
            ("0 0 0 l,1 * *", ["26-11-30", "26-12-01", "26-12-31", "27-01-01"]),
            ("0 0 0 29-L * *", ["26-11-29", "26-11-30", "26-12-29", "26-12-30"]),
            ("0 0 0 ? * *", ["26-11-21", "26-11-22", "26-11-23", "26-11-24"]),
            ("0 0 0 ? * ?", ["26-11-21", "26-11-22", "26-11-23", "26-11-24"]),
            # Saturday and Sunday move to the nearest working day, but never into another month.
            ("0 0 0 15W 5,8,11 *", ["27-05-14", "27-08-16", "27-11-15", "28-05-15"]),
            ("0 0 0 1w 5,8 *", ["27-05-03", "27-08-02", "28-05-01", "28-08-01"]),
            ("0 0 0 31W 1,7,10 *", ["27-01-29", "27-07-30", "27-10-29", "28-01-31"]),
            ("0 0 0 31W 2 *", ["27-02-26", "28-02-29", "29-02-28", "30-02-28"]),
            ("0 0 0 1W,L * *", ["26-11-30", "26-12-01", "26-12-31", "27-01-01"]),
            ("0 0 0 * * mon#2", ["26-12-14", "27-01-11", "27-02-08", "27-03-08"]),
            ("0 0 0 * * 7#1,3#5", ["26-12-06", "26-12-30", "27-01-03", "27-02-07"]),
            ("0 0 0 * * fri#5", ["27-01-29", "27-04-30", "27-07-30", "27-10-29"]),
            ("0 0 0 * 2 mon#5", ["44-02-29", "72-02-29", "12-02-29", "40-02-29"]),
            ("0 0 0 * * L5", ["26-11-27", "26-12-25", "27-01-29", "27-02-26"]),
        ],
    )
    def test_days_of_the_month(self, expression: str, expected: list[str]) -> None:
        assert days(expression) == expected

    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("0 0 0 13 * fri", ["26-11-27", "26-12-04", "26-12-11", "26-12-13"]),
            ("0 0 0 1 * mon#2", ["26-12-01", "26-12-14", "27-01-01", "27-01-11"]),
            ("0 0 0 L * sun", ["26-11-22", "26-11-29", "26-11-30", "26-12-06"]),
            ("0 0 0 15W * L5", ["26-11-27", "26-12-15", "26-12-25", "27-01-15"]),
            # Only "*" and "?" leave a field open. A range over all of it is set, and so fits every day.
            ("0 0 0 */1 * mon", ["26-11-21", "26-11-22", "26-11-23", "26-11-24"]),
            ("0 0 0 13 * 0-6", ["26-11-21", "26-11-22", "26-11-23", "26-11-24"]),
            ("0 0 0 ? * mon", ["26-11-23", "26-11-30", "26-12-07", "26-12-14"]),
            ("0 0 0 13 * ?", ["26-12-13", "27-01-13", "27-02-13", "27-03-13"]),
            # A day that no month of the field has does not take the other field with it.
            ("0 0 0 31 2 mon", ["27-02-01", "27-02-08", "27-02-15", "27-02-22"]),
        ],
    )
    def test_if_both_day_fields_are_set_either_fits(self, expression: str, expected: list[str]) -> None:
        assert days(expression) == expected

    @pytest.mark.parametrize(
        ("alias", "expression"),
        [
            ("@hourly", "0 0 * * * *"),
            ("@daily", "0 0 0 * * *"),
            ("@midnight", "0 0 0 * * *"),
            ("@weekly", "0 0 0 * * 0"),
            ("@monthly", "0 0 0 1 * *"),
            ("@yearly", "0 0 0 1 1 *"),
            (" @Annually ", "0 0 0 1 1 *"),
        ],
    )
    def test_aliases(self, alias: str, expression: str) -> None:
        assert parse(alias).upcoming(1.7e9, 5) == parse(expression).upcoming(1.7e9, 5)

    def test_a_schedule_knows_its_expression_and_zone(self) -> None:
        schedule = parse("*/5  * * * *", BERLIN)
        assert (schedule.expression, schedule.timezone) == ("*/5  * * * *", BERLIN)
        assert schedule == parse("*/5  * * * *", BERLIN)
        assert parse("* * * * *").timezone == "UTC"


class TestRefusals:
    @pytest.mark.parametrize(
        ("expression", "reason"),
        [
            ("", "it has 0 fields"),
            ("0", "it has 1 field"),
            ("* * * *", "it has 4 fields"),
            ("0 0 0 1 1 * 2030", "it has 7 fields"),
            ("@reboot", "'@reboot' is not one of @yearly, @annually, @monthly, @weekly, @daily"),
            ("R * * * * *", "'r' is not valid in the second field"),
            ("0 R(0-29) * * * *", "'r(0-29)' is not valid in the minute field"),
            ("0 R/15 * * * *", "'r/15' is not valid in the minute field"),
            ("H * * * *", "'h' is not valid in the minute field"),
            ("0 0 5,H * * *", "'h' is not valid in the hour field"),
            ("60 * * * * *", "'60' is not valid in the second field"),
            ("0 0,60 * * * *", "'60' is not valid in the minute field"),
            ("0 5-99 * * * *", "'5-99' is not valid in the minute field"),
            ("0 0 24 * * *", "'24' is not valid in the hour field"),
            ("0 0 0 0 * *", "'0' is not valid in the day-of-month field"),
            ("0 0 0 0-5/2 * *", "'0-5/2' is not valid in the day-of-month field"),
            ("0 0 0 32 * *", "'32' is not valid in the day-of-month field"),
            ("0 0 0 32W * *", "'32w' is not valid in the day-of-month field"),
            ("0 0 0 W15 * *", "'w15' is not valid in the day-of-month field"),
            ("0 0 0 5L * *", "'5l' is not valid in the day-of-month field"),
            ("0 0 0 * 13 *", "'13' is not valid in the month field"),
            ("0 0 0 * mon *", "'mon' is not valid in the month field"),
            ("0 0 0 * january *", "'january' is not valid in the month field"),
            ("0 0 0 * * 8", "'8' is not valid in the day-of-week field"),
            ("0 0 0 * * mon#6", "'mon#6' is not valid in the day-of-week field"),
            ("0 0 0 * * 1,2#3", "'2#3' cannot stand in a list with plain days of the week"),
            ("0 ? * * * *", "'?' is not valid in the minute field"),
            ("0 0 0 ?,5 * *", "'?,5' is not valid in the day-of-month field"),
            ("0 */0 * * * *", "'*/0' is not valid in the minute field"),
            ("0 5-5/0 * * * *", "'5-5/0' is not valid in the minute field"),
            ("0 -1 * * * *", "'-1' is not valid in the minute field"),
            ("0 1.5 * * * *", "'1.5' is not valid in the minute field"),
            ("0 1, * * * *", "'' is not valid in the minute field"),
            ("0 ٣ * * * *", "'٣' is not valid in the minute field"),
        ],
    )
    def test_a_bad_expression_is_refused_with_the_place(self, expression: str, reason: str) -> None:
        with pytest.raises(ValueError, match=re.escape(reason)) as caught:
            parse(expression)
        assert not isinstance(caught.value, NeverFires)

    @pytest.mark.parametrize("expression", ["0 0 0 31 2 *", "0 0 0 30,31 feb ?", "0 0 0 31 4,6,9,11 *"])
    def test_an_expression_without_a_date_never_fires(self, expression: str) -> None:
        with pytest.raises(NeverFires, match="this expression never fires"):
            parse(expression)

    def test_no_slot_lies_beyond_the_end_of_the_calendar(self) -> None:
        with pytest.raises(NeverFires):
            parse("0 0 0 * * *").next(1e15)

    @pytest.mark.parametrize("timezone", ["", "Mars/Olympus", "../UTC", "America", "Local", "UTC\0", "é"])
    def test_an_unknown_zone_is_refused(self, timezone: str) -> None:
        with pytest.raises(ValueError, match="there is no time zone"):
            parse("* * * * *", timezone)

    @settings(deadline=None)
    @given(st.text(st.sampled_from("0123456789*/-,?LWHR#@ janmofri\t"), max_size=40) | st.text(max_size=20))
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        try:
            schedule = parse(text)
        except ValueError:
            return
        assert schedule.next(1.7e9) > 1.7e9


class TestClockChanges:
    @pytest.mark.fault(49)
    @pytest.mark.parametrize(
        ("timezone", "expression", "after", "expected"),
        [
            # The clock jumps over the time: it fires at the first instant after the gap.
            (NEW_YORK, "0 30 2 * * *", "2026-03-07 12:00:00", ["03-08 03:00 -0400", "03-09 02:30 -0400"]),
            (BERLIN, "0 30 2 * * *", "2026-03-28 12:00:00", ["03-29 03:00 +0200", "03-30 02:30 +0200"]),
            (SAO_PAULO, "0 0 0 * * *", "2017-10-14 12:00:00", ["10-15 01:00 -0200", "10-16 00:00 -0200"]),
            (SAO_PAULO, "0 59 0 * * sun", "2017-10-14 12:00:00", ["10-15 01:00 -0200", "10-22 00:59 -0200"]),
            (LORD_HOWE, "0 15 2 * * *", "2026-10-03 12:00:00", ["10-04 02:30 +1100", "10-05 02:15 +1100"]),
            (APIA, "0 0 12 * * *", "2011-12-29 00:00:00", ["12-29 12:00 -1000", "12-31 00:00 +1400"]),
            # All times in the gap fire together, once; a time at its end is the same instant.
            (NEW_YORK, "0 */10 2 * * *", "2026-03-07 12:00:00", ["03-08 03:00 -0400", "03-09 02:00 -0400"]),
            (NEW_YORK, "0 0,30 2,3 * * *", "2026-03-08 00:00:00", ["03-08 03:00 -0400", "03-08 03:30 -0400"]),
            (LORD_HOWE, "0 */15 2 * * *", "2026-10-04 00:00:00", ["10-04 02:30 +1100", "10-04 02:45 +1100"]),
            # An expression for every hour does not know the times in the gap.
            (NEW_YORK, "0 30 * * * *", "2026-03-08 01:00:00", ["03-08 01:30 -0500", "03-08 03:30 -0400"]),
            (NEW_YORK, "0 30 */1 * * *", "2026-03-08 01:00:00", ["03-08 01:30 -0500", "03-08 03:30 -0400"]),
            (NEW_YORK, "0 30 0-23 * * *", "2026-03-08 01:00:00", ["03-08 01:30 -0500", "03-08 03:30 -0400"]),
            (LORD_HOWE, "0 */20 * * * *", "2026-10-04 01:30:00", ["10-04 01:40 +1030", "10-04 02:40 +1100"]),
            (SAO_PAULO, "0 30 * * * *", "2017-10-14 23:00:00", ["10-14 23:30 -0300", "10-15 01:30 -0200"]),
            # The clock shows the time twice: only the first fires.
            (NEW_YORK, "0 30 1 * * *", "2026-10-31 12:00:00", ["11-01 01:30 -0400", "11-02 01:30 -0500"]),
            (BERLIN, "0 30 2 * * *", "2026-10-24 12:00:00", ["10-25 02:30 +0200", "10-26 02:30 +0100"]),
            (SAO_PAULO, "0 30 23 * * *", "2018-02-17 12:00:00", ["02-17 23:30 -0200", "02-18 23:30 -0300"]),
            (LORD_HOWE, "0 45 1 * * *", "2026-04-04 12:00:00", ["04-05 01:45 +1100", "04-06 01:45 +1030"]),
            (NEW_YORK, "0 59 0-22 * * *", "2026-11-01 01:30:00", ["11-01 01:59 -0400", "11-01 02:59 -0500"]),
            # An expression for every hour fires both times.
            (NEW_YORK, "0 30 * * * *", "2026-11-01 01:00:00", ["11-01 01:30 -0400", "11-01 01:30 -0500"]),
            (BERLIN, "0 0 * * * *", "2026-10-25 01:30:00", ["10-25 02:00 +0200", "10-25 02:00 +0100"]),
            (SAO_PAULO, "0 30 * * * *", "2018-02-17 23:00:00", ["02-17 23:30 -0200", "02-17 23:30 -0300"]),
            (LORD_HOWE, "0 */20 * * * *", "2026-04-05 01:30:00", ["04-05 01:40 +1100", "04-05 01:40 +1030"]),
            # The repeated hour is over, and so is its day: the second run of a day's last hour.
            (SAO_PAULO, "0 30 * 17 * *", "2018-02-17 23:00:00", ["02-17 23:30 -0200", "02-17 23:30 -0300"]),
        ],
    )
    def test_gap_and_repeated_hour(
        self, timezone: str, expression: str, after: str, expected: list[str]
    ) -> None:
        assert shown(expression, after, 2, timezone) == expected

    @pytest.mark.fault(49)
    @pytest.mark.parametrize(
        "expression", ["0 */20 * * * *", "0 */20 1 * * *", "0 5,45 0-3 * * *", "* * 1 * * *"]
    )
    @pytest.mark.parametrize(
        ("timezone", "around"),
        [
            (NEW_YORK, "2026-11-01 01:00:00"),
            (NEW_YORK, "2026-03-08 03:00:00"),
            (BERLIN, "2026-10-25 02:00:00"),
            (SAO_PAULO, "2018-02-17 23:00:00"),
            (LORD_HOWE, "2026-04-05 01:30:00"),
            (LORD_HOWE, "2026-10-04 02:30:00"),
        ],
    )
    def test_a_restart_at_any_time_neither_adds_nor_loses_a_slot(
        self, timezone: str, around: str, expression: str
    ) -> None:
        schedule = parse(expression, timezone)
        start = instant(around, timezone) - 7200
        slots = schedule.upcoming(start, 4 if expression.startswith("0") else 10_000)
        for restart in range(start, slots[-1], 61):
            assert schedule.next(restart) == next(slot for slot in slots if slot > restart)

    def test_a_day_of_every_second_has_the_seconds_that_passed(self) -> None:
        schedule = parse("* * * 1 11 *", NEW_YORK)
        start = instant("2026-10-31 23:59:59", NEW_YORK)
        assert schedule.upcoming(start, 25 * 3600) == list(range(start + 1, start + 25 * 3600 + 1))


def assert_equal_to_the_oracle(timezone: str, count: int, seed: str) -> None:
    maker = ExpressionMaker(f"{seed} {timezone}")
    draw = maker.random
    changes = clock_changes(timezone, 1990, 2030) or [instant("2026-03-01 00:00:00")]
    for _ in range(count):
        expression = maker.expression()
        # Most starts lie a little before a change of the clock, where the rules differ.
        after = draw.choice(changes) - draw.choice([1, 60, 1799, 1800, 3600, 7200, 90_000])
        if draw.random() < 0.25:
            after = draw.randrange(instant("1990-01-01 00:00:00"), instant("2030-01-01 00:00:00"))
        oracle = Oracle(expression, timezone)
        try:
            schedule = parse(expression, timezone)
        except NeverFires:
            eight_years = (date(2000, 1, 1) + timedelta(days=i) for i in range(8 * 366))
            assert not any(oracle.day_matches(day) for day in eight_years), expression
            continue
        expected = list(itertools.islice(oracle.fires(after), 20))
        assert schedule.upcoming(after, 20) == expected, f"{expression!r} in {timezone} after {after}"


@pytest.mark.fault(53)
@pytest.mark.parametrize("timezone", ZONES)
def test_next_times_equal_those_of_a_second_implementation(timezone: str) -> None:
    assert_equal_to_the_oracle(timezone, 300, "short")


@pytest.mark.slow
@pytest.mark.fault(53)
@pytest.mark.parametrize("timezone", ZONES)
def test_next_times_equal_those_of_a_second_implementation_at_length(timezone: str) -> None:
    assert_equal_to_the_oracle(timezone, 5000, "long")


@pytest.mark.parametrize(
    ("expression", "timezone"),
    [
        ("* * * * * *", BERLIN),
        ("0 0 2 * * *", NEW_YORK),
        ("0 0 9 15W * mon-fri", LORD_HOWE),
        ("0 0 29 2 *", "UTC"),
    ],
)
def test_the_next_slot_is_found_quickly(expression: str, timezone: str) -> None:
    schedule = parse(expression, timezone)

    def round_of_hundred() -> float:
        started = time.perf_counter()
        for offset in range(100):
            schedule.next(1.78e9 + offset * 1000)
        return time.perf_counter() - started

    # Typically 10 µs; the best of ten rounds, so that a busy machine does not fail it.
    assert min(round_of_hundred() for _ in range(10)) / 100 < 200e-6


def test_the_module_loads_without_the_expression_library() -> None:
    program = "import sys, gqm.cron; sys.exit('croniter' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0


def test_a_schedule_is_a_value() -> None:
    schedule = parse("0 0 * * * *")
    assert isinstance(schedule, CronSchedule)
    with pytest.raises(AttributeError):
        setattr(schedule, "expression", "changed")  # noqa: B010 -- an assignment would not pass the type check
