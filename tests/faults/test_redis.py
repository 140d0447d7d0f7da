"""Redis killed under load and started again, and Redis frozen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.fleet import Fleet
from tests.faults.ledger import Ledger
from tests.faults.rows import record, sizes
from tests.support.servers import Server, ServerFactory
from tests.support.wait import eventually, throughout

ANSWERED_S = 5.0
BUSY_S = 2.0
"""What a busy machine may add to a limit."""
LAST_SECOND_S = 1.0
FREEZES_S = (2.0, 8.0, 20.0)


@contextmanager
def ground(server: Server) -> Iterator[tuple[Fleet, Ledger]]:
    """A fleet and its ledger on a Redis that only this test uses."""
    with Fleet(f"unix:{server.socket}", "f:") as fleet:
        ledger = Ledger(server.socket, fleet)
        try:
            yield fleet, ledger
        finally:
            ledger.close()


def wait_asked(ledger: Ledger, jobs: int) -> None:
    """Wait until producers have asked for so many more jobs."""
    known = len(ledger.asked())
    eventually(lambda: len(ledger.asked()) >= known + jobs, 60, message="producers go on")


@sizes("F4")
@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_f4_redis_killed_and_restarted(start_server: ServerFactory, policy: str, size: int) -> None:
    server = start_server("--appendfsync", policy)
    with ground(server) as (fleet, ledger):
        workers = [fleet.worker(), fleet.worker()]
        producer = fleet.producer("p", rate=100, delays_s=(0.1, 1))
        may_lose = []
        for _ in range(size):
            wait_asked(ledger, 50)
            server.kill()
            died = time.time()
            ledger.faults += 1
            if policy == "everysec":
                may_lose.append((died - LAST_SECOND_S, died))
            server.start()
        wait_asked(ledger, 20)
        producer.terminate()
        producer.wait()
        ledger.wait_drained()
        assert all(worker.running for worker in workers)
        fleet.stop()
        # What was being written when Redis died may be unknown to its writer, and is done again.
        record(ledger.check("F4", may_lose=tuple(may_lose), note=f"AOF {policy}"))


@sizes("F5")
def test_f5_frozen_redis(start_server: ServerFactory, size: int) -> None:
    server = start_server()
    with ground(server) as (fleet, ledger):
        for _ in range(2):
            fleet.worker()
        producer = fleet.producer("p", rate=50, delays_s=(0.1, 1))
        for turn in range(size):
            wait_asked(ledger, 50)
            with server.stop_cont():
                throughout(lambda: producer.running, FREEZES_S[turn % len(FREEZES_S)])
            ledger.faults += 1
        wait_asked(ledger, 20)
        producer.terminate()
        producer.wait()
        ledger.wait_drained()
        fleet.stop()
        longest_s = ledger.longest_answer_s()
        assert longest_s <= ANSWERED_S + BUSY_S, f"a producer waited {longest_s:.1f} s for its answer"
        counts = ledger.check("F5", note=f"a producer's longest wait {longest_s:.1f} s")
        assert not ledger.burned, f"the outage cost {ledger.burned} attempts"
        record(counts)
