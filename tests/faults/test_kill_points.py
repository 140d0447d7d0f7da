"""Processes killed exactly between two steps, one point after the other on one key space."""

from __future__ import annotations

import random

from tests.faults import mix
from tests.faults.fleet import Fleet
from tests.faults.ledger import Ledger
from tests.faults.rows import record, sizes
from tests.support.wait import eventually

WORKER_POINTS = (
    "after:claim",
    "before:complete",  # the handler has ended
    "after:complete",  # children are released
    "before:retry",
    "after:retry",
    "before:dead_letter",
    "after:dead_letter",
    "after:promote",
    "before:cron_fire",
    "after:cron_fire",
    "before:heartbeat",
)
PRODUCER_POINTS = ("before:enqueue", "after:enqueue", "before:enqueue_batch", "after:enqueue_batch")
"""``enqueue`` is what makes jobs with ids of their own and parts of diamonds."""


@sizes("F3")
def test_f3_killed_between_steps(fleet: Fleet, ledger: Ledger, size: int) -> None:
    chance = random.Random(size)
    feeder = fleet.producer("feeder", rate=100, delays_s=(0.1, 0.5))
    for turn in range(size):
        for point in WORKER_POINTS:
            # Heartbeats come every 2 s, slots every second, and few jobs die.
            most = 1 if "heartbeat" in point else 2 if "cron" in point or "dead" in point else 6
            victim = fleet.worker(
                wait=False, entries=[mix.TICK], kill_at=f"{point}:{chance.randint(1, most)}"
            )
            server_id = victim.server_id
            victim.wait()
            assert victim.hit, victim.log()
            ledger.hit(server_id)
            ledger.observe()
        for point in PRODUCER_POINTS:
            killed = fleet.producer(
                f"{point.replace(':', '.')}.{turn}",
                delays_s=(0.1, 0.5),
                bulk=50,
                kill_at=f"{point}:{chance.randint(1, 8)}",
            )
            killed.wait()
            assert killed.hit, killed.log()
            ledger.faults += 1
    feeder.terminate()
    feeder.wait()
    fleet.worker(entries=[mix.TICK])
    # Cron goes on for ever, so that only the jobs of producers can be waited for.
    eventually(lambda: ledger.live() <= 1, 60 + 2 * size)
    ledger.finish_cron()
    ledger.check_cron("tick", range(0))
    record(ledger.check("F3", note=f"{len(WORKER_POINTS) + len(PRODUCER_POINTS)} points"))
