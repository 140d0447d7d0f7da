"""Workers stopped past their lease, replaced by deploys, and blocked by their own handlers."""

from __future__ import annotations

import functools
import os
import sys
import time

import gqm
from tests.faults import mix
from tests.faults.fleet import Fleet, Member
from tests.faults.ledger import Ledger
from tests.faults.rows import record, sizes
from tests.support.wait import eventually, throughout

SHORTEST_LEASE_S = 4.0
BLOCKED = "the event loop has been blocked"
TOGETHER = 4
"""Workers that are stopped at the same time, to save time."""


def handlers(server: gqm.Server, effects: mix.Effects) -> None:
    """Register a handler that blocks the event loop, as careless code does.

    ``s`` says how many seconds, ``until_told`` to end it when the warning about it is in the log.
    """

    def told() -> bool:
        return BLOCKED.encode() in os.pread(sys.stderr.fileno(), 1 << 20, 0)

    async def careless(job: gqm.Job) -> int:
        effects.write("start", job)
        until = time.monotonic() + float(str(job.payload["s"]))
        while time.monotonic() < until and not (job.payload["until_told"] and told()):
            time.sleep(0.1)  # noqa: ASYNC251 - that is the mistake
        effects.write("end", job)
        return job.attempt

    server.handle("careless", careless)


@sizes("F7")
def test_f7_worker_stopped_past_its_lease(fleet: Fleet, ledger: Ledger, size: int) -> None:
    steady = fleet.worker(lease_ttl=SHORTEST_LEASE_S)
    sleepers = [fleet.worker(lease_ttl=SHORTEST_LEASE_S) for _ in range(min(size, TOGETHER))]
    producer = fleet.producer("p", rate=100, takes_ms=(0, 100), delays_s=(0.1, 0.5))
    for _ in range(0, size, TOGETHER):
        wait_holding(ledger, sleepers)
        for sleeper in sleepers:
            sleeper.freeze()
            ledger.hit(sleeper.server_id)
        wait_given_up(ledger, sleepers)
        for sleeper in sleepers:
            sleeper.thaw()
        wait_back(ledger, sleepers)
        ledger.observe()
    producer.terminate()
    producer.wait()
    ledger.wait_drained()
    dropped = sum(sleeper.log().count("no longer held by this server") for sleeper in sleepers)
    assert steady.running
    fleet.stop()
    record(ledger.check("F7", note=f"{dropped} stale outcomes were dropped"))


def wait_holding(ledger: Ledger, workers: list[Member]) -> None:
    """Wait until each worker holds a job."""
    for worker in workers:
        eventually(functools.partial(ledger.held_by, worker.server_id), 60)


def wait_given_up(ledger: Ledger, workers: list[Member]) -> None:
    """Wait until others have recovered the jobs of stopped workers."""
    eventually(lambda: not any(ledger.held_by(worker.server_id) for worker in workers), 60)


def wait_back(ledger: Ledger, workers: list[Member]) -> None:
    """Wait until workers have their leases again."""
    servers = [worker.server_id for worker in workers]
    eventually(lambda: None not in ledger.raw.zmscore(ledger.keys.leases, servers), 60)


@sizes("F15")
def test_f15_rolling_deploys(fleet: Fleet, ledger: Ledger, size: int) -> None:
    full = size > 5
    shutdown_s = 3.0 if full else 0.5
    start = functools.partial(fleet.worker, shutdown_timeout=shutdown_s, grace_period=0.5)
    workers = [start(), start()]
    takes_ms = (100, 8000) if full else (50, 800)
    producer = fleet.producer("p", rate=3 if full else 15, takes_ms=takes_ms, delays_s=(0.1, 0.5))
    longest_s = 0.0
    for _ in range(size):
        throughout(lambda: producer.running, 3.0 if full else 0.7)
        old = workers.pop(0)
        ledger.hit(old.server_id)
        begun = time.monotonic()
        old.terminate()
        workers.append(start(wait=False))
        assert old.wait() == 0, old.log()
        longest_s = max(longest_s, time.monotonic() - begun)
        ledger.observe()
    producer.terminate()
    producer.wait()
    ledger.wait_drained(120)
    fleet.stop()
    counts = ledger.check("F15", note=f"longest exit {longest_s:.1f} s of {shutdown_s:g} s allowed + 1 s")
    assert not ledger.burned, f"deploys cost {ledger.burned} attempts"
    # Beside other tests the machine is busy.
    assert longest_s <= shutdown_s + 1 + (1 if full else 5), counts
    record(counts)


@sizes("F16")
def test_f16_handler_blocks_the_event_loop(fleet: Fleet, ledger: Ledger, size: int) -> None:
    full = size > 1
    blocked = fleet.worker(handlers=__name__, lease_ttl=SHORTEST_LEASE_S)
    with gqm.Client(fleet.address, prefix=fleet.prefix) as client:
        acks = mix.Acks(fleet.acks)
        for turn in range(size):
            name = f"plain-careless-{turn}"
            payload = {"s": 30, "until_told": not full}
            make = functools.partial(client.enqueue, "careless", payload, queue=mix.QUEUE, job_id=name)
            acks.call(make, [name])
            eventually(functools.partial(ledger.started, name), 30)
            ledger.faults += 1
            # It would take the job over if the lease ended.
            neighbour = fleet.worker(lease_ttl=SHORTEST_LEASE_S)
            ledger.wait_drained(60)
            neighbour.terminate()
            assert neighbour.wait() == 0
    log = blocked.log()
    assert log.count(BLOCKED) >= size, log
    assert "careless" in next(line for line in log.splitlines() if BLOCKED in line), log
    assert "lost" not in log, log
    fleet.stop()
    record(ledger.check("F16"))
