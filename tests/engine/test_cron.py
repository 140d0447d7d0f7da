"""The cron task of a server: which slots it handles, over restarts, changes, clock changes, broken keys."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest

from gqm.config import CronEntryConfig, SchedulerConfig
from gqm.cronentry import CronEntry
from gqm.engine.cron import HELD_BACK_S, Cron, ServerClock
from gqm.errors import StoreError
from gqm.store.aio import AsyncStore
from gqm.store.commands.cron import fire_slot
from gqm.store.sync import Store
from tests.support.cron_oracle import Oracle
from tests.support.crontab import Crontab, entry
from tests.support.keyspace import Keyspace

T = TypeVar("T")


class Clock(ServerClock):
    """A clock that a test moves."""

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at = at

    def tell(self, now_ms: int) -> None:
        """The test knows better."""

    def now(self) -> float:
        return self.at


@pytest.fixture
def tab(space: Keyspace) -> Crontab:
    return Crontab(space)


@pytest.fixture
def run(store: Store) -> Callable[[Callable[[AsyncStore], Coroutine[Any, Any, T]]], T]:
    """Runs a coroutine with an async store on the test's key space."""

    def run(main: Callable[[AsyncStore], Coroutine[Any, Any, T]]) -> T:
        async def with_store() -> T:
            async_store = AsyncStore(store.link)
            try:
                return await asyncio.wait_for(main(async_store), 30)
            finally:
                await async_store.close()

        return asyncio.run(with_store())

    return run


Run = Callable[[Callable[[AsyncStore], Coroutine[Any, Any, Any]]], Any]


def config(*entries: CronEntry, misfire_grace_s: float = 60.0) -> SchedulerConfig:
    """The configuration in which stored entries stand as they are."""
    return SchedulerConfig(
        misfire_grace_s=misfire_grace_s,
        cron_entries=tuple(
            CronEntryConfig(
                id=item.id,
                name=item.name,
                cron_expr=item.cron_expr,
                timezone=item.timezone or "UTC",
                job_type=item.job_type,
                queue=item.queue,
                payload=item.payload_object,
                overlap_policy=item.overlap_policy,
                enabled=item.enabled,
            )
            for item in entries
        ),
    )


def handle(run: Run, cron_config: SchedulerConfig, clock: Clock, times: int = 1) -> float:
    """Let a server that has just started handle what is due."""

    async def main(store: AsyncStore) -> float:
        cron = Cron(store, cron_config, clock=clock)
        return [await cron.handle_due() for _ in range(times)][-1]

    wait_s: float = run(main)
    return wait_s


# ------------------------------------------------------------------------------------ slots in time


def test_due_slots_fire_oldest_first_and_the_next_is_waited_for(run: Run, tab: Crontab) -> None:
    now = tab.now()
    tab.put(entry("a"), slot=now - 3)
    tab.put(entry("b"), slot=now - 2)
    first = now - 2

    wait_s = handle(run, config(entry("a"), entry("b")), Clock(now + 0.25))

    assert tab.slots("a") == [first, first + 1, first + 2]
    assert tab.slots("b") == [first + 1, first + 2]
    order = [int(tab.space.field(job_id, "cron_slot") or 0) for job_id in tab.space.ready("night")]
    assert order == sorted(order)
    assert wait_s == pytest.approx(0.75)
    assert tab.entry("a").last_run == now


@pytest.mark.fault(48)
def test_servers_share_the_slots(run: Run, tab: Crontab) -> None:
    now = tab.now()
    tab.put(entry(), slot=now - 40)

    async def main(store: AsyncStore) -> None:
        clock = Clock(now)
        servers = [Cron(store, config(entry()), clock=clock) for _ in range(5)]
        for step in range(40, -1, -1):
            clock.at = now - step
            waits = {0.0}
            while 0.0 in waits:
                waits = set(await asyncio.gather(*(server.handle_due() for server in servers)))

    run(main)

    assert tab.slots() == list(range(now - 39, now + 1))
    assert len(tab.history()) == 40


@pytest.mark.fault(51)
def test_a_slot_that_was_missed_a_little_fires_once(run: Run, tab: Crontab) -> None:
    item = entry(cron_expr="0 * * * * *", last_run=5, created_at=7)
    now = tab.now()
    minute = now - now % 60
    tab.put(item, slot=minute - 1)
    clock = Clock(min(minute + 59.0, now))

    handle(run, config(item), clock)
    handle(run, config(item), clock)

    assert tab.slots() == [minute]
    assert (tab.entry().last_status, tab.entry().created_at) == ("triggered", 7)


def test_slots_that_are_too_old_are_counted_and_passed_over(
    run: Run, tab: Crontab, caplog: pytest.LogCaptureFixture
) -> None:
    item = entry(last_run=5)
    now = tab.now()
    tab.put(item, slot=now - 100)
    with caplog.at_level(logging.WARNING, "gqm.engine"):
        handle(run, config(item, misfire_grace_s=10), Clock(now))

    # Of the slots from now - 99 on, the last 11 are at most 10 s late.
    (record,) = caplog.records
    assert tab.slots() == list(range(now - 10, now + 1))
    assert record.getMessage() == "cron entry 'tidy': 89 slots were missed by over 10 s and do not fire"
    assert record.missed == 89  # type: ignore[attr-defined]  # given to the log as extra
    assert (tab.entry().last_status, tab.row().slot) == ("triggered", now)


def test_only_missed_slots_leave_a_mark_and_no_job(run: Run, tab: Crontab) -> None:
    item = entry(cron_expr="0 0 * * * *", last_run=5, last_status="triggered")
    now = tab.now()
    hour = now - now % 3600
    tab.put(item, slot=hour - 1)
    clock = Clock(hour + 20)

    handle(run, config(item, misfire_grace_s=10), clock)

    assert tab.jobs() == []
    missed = tab.entry()
    assert (missed.last_run, missed.last_status, missed.next_run) == (5, "missed", hour + 3600)
    assert tab.row().slot == hour + 9


def test_very_many_missed_slots_are_counted_up_to_a_limit(
    run: Run, tab: Crontab, caplog: pytest.LogCaptureFixture
) -> None:
    tab.put(entry(), ago_s=86_400)
    with caplog.at_level(logging.WARNING, "gqm.engine"):
        handle(run, config(entry(), misfire_grace_s=0), Clock(tab.now()))
    assert "1000 or more slots were missed" in caplog.text


def test_no_grace_still_lets_a_slot_fire_in_its_second(run: Run, tab: Crontab) -> None:
    now = tab.now()
    tab.put(entry(), slot=now - 3)
    handle(run, config(entry(), misfire_grace_s=0), Clock(now + 0.9))
    assert tab.slots() == [now]


# ---------------------------------------------------------------------------------- clock changes

# Nights on which clocks change: zone, a day around which they do, so that all of it lies in the past.
NIGHTS = [
    ("America/New_York", 2024, 3, 10),
    ("America/New_York", 2024, 11, 3),
    ("Europe/Berlin", 2024, 3, 31),
    ("Europe/Berlin", 2024, 10, 27),
    ("America/Sao_Paulo", 2018, 11, 4),
    ("America/Sao_Paulo", 2018, 2, 18),
    ("Australia/Lord_Howe", 2024, 10, 6),
    ("Australia/Lord_Howe", 2024, 4, 7),
]
AT_NIGHT = ["0 30 2 * * *", "0 15,45 1 * * *", "0 10 0 * * *", "0 */20 * * * *", "0 45 23 * * *"]


@pytest.mark.fault(49)
@pytest.mark.parametrize(("zone", "year", "month", "day"), NIGHTS)
def test_each_entry_fires_as_its_zone_says_over_restarts(
    run: Run, tab: Crontab, zone: str, year: int, month: int, day: int
) -> None:
    midnight = int(datetime(year, month, day, tzinfo=ZoneInfo(zone)).timestamp())
    start, end = midnight - 6 * 3600, midnight + 30 * 3600
    items = [entry(f"e{n}", cron_expr=expression, timezone=zone) for n, expression in enumerate(AT_NIGHT)]
    # Others begin in each half hour of the night, as if an operator had enabled them then.
    begins = {item.id: start for item in items}
    for at in range(midnight - 3600, midnight + 4 * 3600, 1800):
        for item in items[:3]:
            items.append(dataclasses.replace(item, id=f"{item.id}-{at}"))
            begins[items[-1].id] = at
    for item in items:
        tab.put(item, slot=begins[item.id])

    async def main(store: AsyncStore) -> None:
        clock = Clock(start)
        server = Cron(store, config(*items, misfire_grace_s=86_400), clock=clock)
        for at in range(start, end + 1, 600):
            clock.at = at
            await server.handle_due()
            if at % 1800 == 0:  # a restart: it registers, and begins with what stands in Redis
                server = Cron(store, config(*items, misfire_grace_s=86_400), clock=clock)
                await server.register()

    run(main)

    for item in items:
        fires = Oracle(item.cron_expr, zone).fires(begins[item.id])
        assert tab.slots(item.id) == list(itertools.takewhile(lambda slot: slot <= end, fires)), (
            item.cron_expr
        )


# --------------------------------------------------------------------------- changes by other hands


def test_a_change_is_seen_when_it_is_told(run: Run, tab: Crontab) -> None:
    item = entry(cron_expr="0 0 2 * * *")
    tab.put(item)
    now = tab.now()

    async def main(store: AsyncStore) -> list[float]:
        cron = Cron(store, config(item), clock=Clock(now))
        waits = [await cron.handle_due()]
        tab.change("tidy", cron_expr="* * * * * *")
        waits.append(await cron.handle_due())
        cron.changed("another")
        waits.append(await cron.handle_due())
        assert tab.slots() == []
        cron.changed("tidy")
        waits.append(await cron.handle_due())
        return waits

    waits = run(main)

    assert waits[:3] == [5.0, 5.0, 5.0]
    assert waits[3] == 1.0
    assert tab.slots()[-1] == now


def test_a_change_that_nobody_told_is_seen_within_five_seconds(run: Run, tab: Crontab) -> None:
    item = entry(cron_expr="0 0 2 * * *")
    tab.put(item)
    clock = Clock(tab.now() - 5)

    async def main(store: AsyncStore) -> None:
        cron = Cron(store, config(item), clock=clock)
        await cron.handle_due()
        tab.change("tidy", cron_expr="* * * * * *")
        clock.at += 5
        await cron.handle_due()

    run(main)

    assert tab.slots()[-1] == clock.at


@pytest.mark.fault(50)
def test_a_disabled_entry_fires_nowhere_and_stays_so_over_restarts(run: Run, tab: Crontab) -> None:
    now = tab.now()
    tab.put(entry(), slot=now - 30)

    async def main(store: AsyncStore) -> None:
        clock = Clock(now - 20)
        servers = [Cron(store, config(entry()), clock=clock) for _ in range(2)]
        for server in servers:
            await server.handle_due()
        tab.change("tidy", enabled=False)  # by an operator; the other servers may not have heard of it
        for at in range(now - 19, now - 10):
            clock.at = at
            for server in servers:
                await server.handle_due()
        servers = [Cron(store, config(entry()), clock=clock) for _ in range(2)]
        for server in servers:
            await server.register()
        for at in range(now - 9, now + 1):
            clock.at = at
            for server in servers:
                await server.handle_due()

    run(main)

    assert max(tab.slots()) == now - 20
    assert not tab.entry().enabled


@pytest.mark.fault(51)
def test_an_entry_that_is_configured_no_more_never_fires(run: Run, tab: Crontab) -> None:
    tab.put(entry("gone"))
    tab.put(entry("kept"))

    handle(run, config(entry("kept")), Clock(tab.now()))

    assert tab.slots("gone") == []
    assert len(tab.slots("kept")) >= 10


def test_an_entry_that_changes_between_look_and_fire_fires_as_it_is_then(run: Run, tab: Crontab) -> None:
    clock = Clock(tab.now() - 2)
    tab.put(entry(), slot=int(clock.at) - 1)

    async def main(store: AsyncStore) -> None:
        cron = Cron(store, config(entry()), clock=clock)
        await cron.handle_due()
        tab.change("tidy", queue="morning")
        clock.at += 1
        assert await cron.handle_due() == 0.0
        await cron.handle_due()

    run(main)

    assert [job["queue"] for job in tab.jobs()] == ["night", "morning"]


def test_a_locked_entry_is_tried_again_after_a_second(run: Run, tab: Crontab) -> None:
    clock = Clock(tab.now() - 2)
    for name in ("tidy", "free"):
        tab.put(entry(name), slot=int(clock.at) - 1)
    tab.space.raw.set(tab.keys.cron_lock("tidy"), "go-1")

    async def main(store: AsyncStore) -> tuple[float, float]:
        cron = Cron(store, config(entry(), entry("free")), clock=clock)
        locked = await cron.handle_due()
        tab.space.raw.delete(tab.keys.cron_lock("tidy"))
        clock.at += HELD_BACK_S / 2
        still = await cron.handle_due()
        assert tab.slots() == []
        clock.at += HELD_BACK_S / 2
        await cron.handle_due()
        return locked, still

    assert run(main) == (HELD_BACK_S, HELD_BACK_S / 2)
    assert tab.slots() == [clock.at - 1, clock.at]
    assert tab.slots("free") == tab.slots()


def test_entries_that_are_lost_with_the_key_space_are_registered_again(run: Run, tab: Crontab) -> None:
    clock = Clock(tab.now() - 10)

    async def main(store: AsyncStore) -> None:
        cron = Cron(store, config(entry()), clock=clock)
        await cron.register()
        await cron.handle_due()
        tab.space.raw.delete(tab.keys.cron_entries, tab.keys.cron_slots, tab.keys.cron_meta)
        clock.at += 5
        await cron.handle_due()

    run(main)

    assert tab.entry().enabled
    assert tab.row().slot is not None
    assert tab.row().meta is not None


# ------------------------------------------------------------------------------------ what is broken


def test_an_entry_of_which_no_job_can_be_made_does_not_hold_up_others(
    run: Run, tab: Crontab, caplog: pytest.LogCaptureFixture
) -> None:
    bad = entry("bad", payload=b"[1]")
    tab.put(bad, ago_s=3)
    tab.put(entry("good"), ago_s=3)
    now = tab.now()

    with caplog.at_level(logging.ERROR, "gqm.engine"):
        handle(run, config(dataclasses.replace(bad, payload=b""), entry("good")), Clock(now))

    assert tab.slots("bad") == []
    assert tab.slots("good")[-1] == now
    assert (tab.entry("bad").last_status, tab.row("bad").slot) == ("error", now)
    (record,) = caplog.records
    assert "payload must be a JSON object" in record.getMessage()


@pytest.mark.fault(55)
def test_a_broken_queue_stops_no_other_entry(run: Run, tab: Crontab) -> None:
    tab.put(entry("bad", queue="broken"), ago_s=3)
    tab.put(entry("good"), ago_s=3)
    tab.space.raw.set(tab.keys.ready("broken"), "not a list")
    now = tab.now()

    handle(run, config(entry("bad", queue="broken"), entry("good")), Clock(now))

    assert tab.slots("good")[-1] == now
    assert (tab.entry("bad").last_status, tab.slots("bad")) == ("error", [])


def test_an_expression_that_cannot_be_read_is_told_once(
    run: Run, tab: Crontab, caplog: pytest.LogCaptureFixture
) -> None:
    tab.put(entry("bad", cron_expr="at noon"), ago_s=3)
    tab.put(entry("good"), ago_s=3)
    clock = Clock(tab.now() - 5)

    async def main(store: AsyncStore) -> None:
        cron = Cron(store, config(entry("bad"), entry("good")), clock=clock)
        for _ in range(2):
            await cron.handle_due()
            clock.at += 5

    with caplog.at_level(logging.ERROR, "gqm.engine"):
        run(main)

    (record,) = caplog.records
    assert record.getMessage().startswith("cron entry 'bad': it cannot fire: ")
    assert tab.slots("good")


def test_keys_of_a_wrong_type_are_an_error_of_the_whole_task(run: Run, tab: Crontab) -> None:
    tab.space.raw.set(tab.keys.cron_slots, "broken")
    with pytest.raises(StoreError, match="cron:slots"):
        handle(run, config(entry()), Clock(tab.now()))


def test_a_fire_whose_answer_was_lost_is_not_repeated(run: Run, tab: Crontab) -> None:
    """The task tries the slot again with another job id; the script has noted the slot."""
    slot = tab.now()
    tab.put(entry(), slot=slot - 1)
    stored = tab.row()
    assert stored.entry is not None
    tab.space.store.run(fire_slot(tab.keys, stored.entry, stored.text, slot, slot))

    handle(run, config(entry()), Clock(slot))

    assert tab.slots() == [slot]
