"""F9 and F10: worker clocks that are wrong or jump, clocks that change in their zone, schedulers that die."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

import gqm
from gqm.keys import Keys
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from tests.engine.running import running
from tests.faults.fleet import Fleet, Member
from tests.faults.ledger import Ledger
from tests.faults.rows import Counts, nightly, record, sizes
from tests.faults.wrong_clock import set_wrong
from tests.faults.zones import SHAPES, Zone, known
from tests.support.crontab import Crontab
from tests.support.keyspace import Keyspace
from tests.support.servers import ServerFactory
from tests.support.wait import eventually, throughout

LONG_S = 60.0
WRONG_S = {"10 min fast": (600.0, 600.0), "10 min slow": (-600.0, -600.0)}
JUMPS_S = {"an hour ahead": (0.0, 3600.0), "an hour back": (0.0, -3600.0)}
ENTRIES = 20


def entries(count: int) -> list[dict[str, str]]:
    """Cron entries that fire every second."""
    common = {"cron_expr": "* * * * * *", "job_type": "made", "queue": "mix", "overlap_policy": "allow"}
    return [{"id": f"entry-{number}", **common} for number in range(count)]


def handled(ledger: Ledger, count: int) -> int:
    """The last slot that all entries have behind them; 0 before the first."""
    slots = ledger.raw.hvals(ledger.keys.cron_slots)
    return min(map(int, slots)) if len(slots) == count else 0


# ------------------------------------------------------------------------------------- wrong clocks


@sizes("F9")
def test_f9_wrong_and_jumping_worker_clocks(fleet: Fleet, ledger: Ledger, size: int) -> None:
    seconds = 2 if size < 10 else 30
    clocks = {**WRONG_S, **JUMPS_S}
    workers = []
    for before_s, _ in clocks.values():
        worker = fleet.worker(handlers="tests.faults.wrong_clock", entries=entries(1), wait=False)
        set_wrong(fleet.folder, worker.pid, before_s)
        workers.append(worker)
    first = int(ledger.space.now()) + 1
    producer = fleet.producer("p", seconds * 60, rate=60, delays_s=(0.3, 1.0))
    eventually(lambda: handled(ledger, 1) > first, LONG_S)
    for worker, (_, after_s) in zip(workers, clocks.values(), strict=True):
        set_wrong(fleet.folder, worker.pid, after_s)
    assert producer.wait(seconds + LONG_S) == 0
    last = int(ledger.space.now())
    eventually(lambda: handled(ledger, 1) >= last, LONG_S)
    ledger.wait_drained()
    fleet.stop()
    for worker, (_, after_s) in zip(workers, clocks.values(), strict=True):
        assert abs(told_s(worker) - time.time() - after_s) < LONG_S + seconds, "the clock was not wrong"
    fires = ledger.check_cron("entry-0", range(first, last + 1))
    ledger.faults = len(clocks)
    counts = ledger.check(
        "F9", note=f"clocks 10 min off and jumping by 1 h: {fires} slots exact, no early run"
    )
    assert ledger.burned == 0, "a lease was thought to have ended"
    record(counts)


def told_s(worker: Member) -> float:
    """The time that a worker's log ends with."""
    text = re.findall(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ ", worker.log(), re.MULTILINE)[-1]
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


# ------------------------------------------------------------------------------- clocks of time zones


@pytest.fixture
def tab(start_server: ServerFactory) -> Iterator[Crontab]:
    """The entries of a server that only this test uses."""
    socket = start_server("--appendonly", "no").socket
    store = Store(plain_link(Keys("gqm:"), "the test server", {"unix_socket_path": socket}))
    with redis.Redis(unix_socket_path=socket, protocol=2) as raw:
        yield Crontab(Keyspace(store, raw))
    store.close()


def expected(zone: Zone) -> dict[str, tuple[str, list[int] | None]]:
    """Expressions around the change of a zone's clock, and the slots of each; ``None`` is every second."""
    change, gap_s = zone.change, zone.after - zone.before
    found: dict[str, tuple[str, list[int] | None]] = {
        "every": ("* * * * * *", None),
        "before": (zone.clock(change - 1, zone.before), [change - 1]),
    }
    if gap_s > 0:
        found["gap"] = (zone.clock(change + gap_s // 2, zone.before), [change])
        found["after"] = (zone.clock(change + 1, zone.after), [change + 1])
    else:
        # The first time that the clock shows this was an hour ago.
        found["again"] = (zone.clock(change + 1, zone.after), [])
    return found


def test_f9_clocks_that_change_both_ways_in_four_zones(tab: Crontab, tmp_path: Path) -> None:
    change = tab.now() + 4
    zones = [
        Zone(f"Test/{name}_{way}", change, *offsets)
        for name, (winter, summer) in SHAPES.items()
        for way, offsets in (("spring", (winter, summer)), ("autumn", (summer, winter)))
    ]
    server = gqm.Server(f"unix:{tab.space.raw.connection_pool.connection_kwargs['path']}")
    server.handle("t", lambda job: None)
    wanted: dict[str, list[int] | None] = {}
    with known(tmp_path, zones):
        for zone in zones:
            for what, (expression, slots) in expected(zone).items():
                entry_id = f"{zone.name.partition('/')[2]}.{what}"
                server.schedule(entry_id, expression, "t", timezone=zone.name, overlap_policy="allow")
                wanted[entry_id] = slots
        with running(server):
            assert tab.now() < change - 1, "this machine is too busy: the change came before the start"
            every = [entry_id for entry_id, slots in wanted.items() if slots is None]
            eventually(lambda: min(tab.row(item).slot or 0 for item in every) >= change + 2, LONG_S)
    for entry_id, slots in wanted.items():
        fired = tab.slots(entry_id)
        if slots is None:
            assert fired[0] < change < fired[-1]
            slots = list(range(fired[0], fired[-1] + 1))
        assert fired == slots, f"{entry_id}: {[slot - change for slot in fired]} around the change"
    record(Counts("F9", len(zones), len(wanted), note="clock changes both ways in 4 zones: all slots exact"))


# ---------------------------------------------------------------------------------- dying schedulers


def schedulers(fleet: Fleet, ledger: Ledger, seconds: float, seed: int) -> tuple[int, int]:
    """Kill schedulers at random for some seconds, each replaced at once; return first and last slot."""
    chance = random.Random(seed)
    options: dict[str, Any] = {"entries": entries(ENTRIES)}
    alive = [fleet.worker(**options) for _ in range(5 if nightly() else 3)]
    first = int(ledger.space.now()) + 1
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        throughout(lambda: alive[0].running, chance.uniform(0.1, 1.0 if seconds < 10 else 3.0))
        victim = alive.pop(chance.randrange(len(alive)))
        server_id = victim.server_id
        victim.kill()
        ledger.hit(server_id)
        alive.append(fleet.worker(wait=False, **options))
    last = int(ledger.space.now())
    eventually(lambda: handled(ledger, ENTRIES) >= last, LONG_S, 0.05)
    ids = {worker.server_id.encode() for worker in alive}
    eventually(lambda: set(ledger.raw.zrange(ledger.keys.leases, 0, -1)) == ids, LONG_S, 0.05)
    return first, last


@sizes("F10")
def test_f10_killed_schedulers_fire_each_slot_once(fleet: Fleet, ledger: Ledger, size: int) -> None:
    fires = 0
    first, last = schedulers(fleet, ledger, size if size > 10 else 2, seed=size)
    ledger.wait_drained()
    fleet.stop()
    for number in range(ENTRIES):
        fires += ledger.check_cron(f"entry-{number}", range(first, last + 1))
    counts = ledger.check("F10", note=f"{fires} slots of {ENTRIES} entries, each fired once")
    record(
        Counts(counts.row, counts.faults, fires, counts.lost, counts.duplicates, counts.bound, counts.note)
    )
