"""A mixed load without a fault, and with worker processes killed under it."""

from __future__ import annotations

import time

from tests.faults.fleet import Fleet
from tests.faults.ledger import Ledger
from tests.faults.rows import record, sizes

KILL_EVERY_S = 2.0


@sizes("F2")
def test_f2_killed_workers_lose_no_job(fleet: Fleet, ledger: Ledger, size: int) -> None:
    workers = [fleet.worker(), fleet.worker()]
    producer = fleet.producer("p", rate=100)
    for _ in range(size):
        time.sleep(1)
        victim = workers.pop(0)
        victim.kill()
        ledger.hit(victim.server_id)
        workers.append(fleet.worker())
        ledger.observe()
    producer.terminate()
    producer.wait()
    ledger.wait_drained()
    fleet.stop()
    record(ledger.check("F2"))
