"""The mixed load without a fault, with worker processes killed under it, and as a soak."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from tests.faults.fleet import Fleet, Member
from tests.faults.ledger import Footprint, Ledger
from tests.faults.rows import nightly, record, sizes
from tests.support.wait import throughout

KILL_EVERY_S = 2.0
SOAK_KILL_EVERY_S = 30.0
RECOVERED_S = 10.0
P99_S = 0.25
CALM = 0.7
"""Share of the machine's time in use below which the bound on the latency holds."""


def busy_ticks() -> tuple[int, int]:
    """Ticks that the machine was busy, and all ticks, since it started."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of sorted values lies; 0 for none."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


@sizes("F1")
def test_f1_load_without_a_fault(fleet: Fleet, ledger: Ledger, size: int) -> None:
    full = size > 10
    rate = (500 if nightly() else 300) if full else 100
    workers = [fleet.worker(), fleet.worker()]
    warm = fleet.producer("w", 200 if full else 40, rate=rate, delays_s=(0.1, 0.2))
    warm.wait()
    ledger.wait_drained()
    before = {worker.pid: Footprint.of(worker.pid) for worker in workers}
    busy, ticks = busy_ticks()
    producer = fleet.producer("p", size * rate, rate=rate, delays_s=(1, 5) if full else (0.1, 0.5))
    producer.wait(size * 3 + 60)
    busy, ticks = busy_ticks()[0] - busy, busy_ticks()[1] - ticks
    ledger.wait_drained(size + 60)
    for pid, footprint in before.items():
        footprint.assert_back_from(Footprint.of(pid))
    fleet.stop()
    latencies = ledger.latencies_s()
    p99_s, load = percentile(latencies, 0.99), busy / max(1, ticks)
    assert not full or load > CALM or p99_s < P99_S, f"p99 {p99_s:.3f} s at {load:.0%} load"
    record(ledger.check("F1", note=f"start p99 {p99_s * 1000:.0f} ms at {load:.0%} load of the machine"))


class Killing:
    """Workers of which one is killed now and then, always replaced by a new one."""

    def __init__(self, fleet: Fleet, ledger: Ledger) -> None:
        self._fleet = fleet
        self._ledger = ledger
        self.workers = [fleet.worker(), fleet.worker()]
        self._killed: list[tuple[float, list[str]]] = []

    def kill(self) -> None:
        """Kill the older worker."""
        victim = self.workers.pop(0)
        server_id = victim.server_id
        victim.kill()
        self._killed.append((time.time(), self._ledger.held_by(server_id)))
        self._ledger.hit(server_id)
        self.workers.append(self._fleet.worker())
        self._ledger.observe()

    def recovered_s(self) -> list[float]:
        """How long after its kill each job that was held ran again, sorted."""
        return sorted(
            wait_s for at, jobs in self._killed for wait_s in self._ledger.starts_after(jobs, at).values()
        )


@sizes("F2")
def test_f2_killed_workers_lose_no_job(fleet: Fleet, ledger: Ledger, size: int) -> None:
    killing = Killing(fleet, ledger)
    # Long handlers, so that each kill meets some.
    producer = fleet.producer("p", rate=200 if nightly() else 100, takes_ms=(0, 200), delays_s=(0.5, 1.5))
    for _ in range(size):
        throughout(lambda: producer.running, KILL_EVERY_S if size > 5 else 0.5)
        killing.kill()
    end(producer)
    ledger.wait_drained()
    fleet.stop()
    waits = killing.recovered_s()
    assert waits, "no kill met a running job"
    p50 = statistics.median(waits)
    # A kill may also meet a job whose worker dies again before it comes to it.
    assert size < 5 or (p50 <= 6 and max(waits) <= RECOVERED_S), (p50, max(waits))
    record(ledger.check("F2", note=f"running again p50 {p50:.1f} s, max {max(waits):.1f} s"))


@sizes("F24")
def test_f24_soak(fleet: Fleet, ledger: Ledger, size: int) -> None:
    killing = Killing(fleet, ledger)
    steady = killing.workers[1]
    producer = fleet.producer("p", rate=300)
    rss: list[tuple[float, int]] = []
    until = time.monotonic() + size * 60
    while time.monotonic() < until:
        throughout(lambda: producer.running, SOAK_KILL_EVERY_S)
        killing.workers.sort(key=lambda worker: worker is steady)
        killing.kill()
        rss.append((time.monotonic(), Footprint.of(steady.pid).rss_bytes))
    end(producer)
    ledger.wait_drained()
    fleet.stop()
    note = "no slope of memory: too short"
    if len(rss) >= 20:
        # Without its first quarter, in which caches fill.
        late = rss[len(rss) // 4 :]
        slope = statistics.linear_regression(*zip(*late, strict=True)).slope * 600
        assert slope < 1 << 20, f"memory grows by {slope:.0f} bytes in 10 minutes: {rss}"
        note = f"memory {slope / (1 << 20):+.2f} MB in 10 min"
    record(ledger.check("F24", note=note))


def end(producer: Member) -> None:
    """Ask a producer to end, and check that it did so by itself."""
    producer.terminate()
    assert producer.wait() == 0, producer.log()
