"""F14: jobs that take their process down with them, or never let go of it."""

from __future__ import annotations

from typing import Any

import gqm
from tests.engine import poison
from tests.engine.running import Running, running
from tests.faults.rows import Counts, record, sizes
from tests.support.servers import ServerFactory
from tests.support.wait import eventually

LONG_S = 60.0
DEADLINE_S = 1.0
FREE_S = 2.0
"""How soon after the deadline the slot is free."""
DEATHS = {"segfault": "SIGSEGV", "exit7": "code 7"}
HANGS = ("endless_c", "ignores_signals")
MEMORY = "hog"
NEIGHBOURS = 20
"""For each poison job."""


def serve(address: str) -> gqm.Server:
    """A server whose pool runs all handlers of `poison` in processes."""
    server = gqm.Server(address, shutdown_timeout=5)
    for name, function in poison.ALL.items():
        server.handle(name, function)
    retry: Any = {"max_retry": 50, "backoff_base": 0}
    times: Any = {"job_timeout": DEADLINE_S, "grace_period": 0.2}
    server.pool("p", ["*"], isolation="process", concurrency=3, retry=retry, **times)
    return server


def ended(client: gqm.Client, job_id: str) -> gqm.Job:
    """Wait until a job has ended."""

    def look() -> gqm.Job | None:
        job = client.get(job_id)
        return job if job is not None and job.status.terminal else None

    job = eventually(look, LONG_S, 0.02, message=f"job {job_id} ended")
    assert job is not None
    return job


@sizes("F14")
def test_f14_poison_costs_only_its_own_job(start_server: ServerFactory, size: int) -> None:
    address = f"unix:{start_server('--appendonly', 'no').socket}"
    with gqm.Client(address) as client, running(serve(address)) as run:
        run.warm_up()
        ids: dict[str, list[str]] = {}
        neighbours = []
        for name in (*DEATHS, *HANGS, MEMORY):
            for _ in range(size):
                options: Any = {} if name in DEATHS else {"max_retry": 0}
                ids.setdefault(name, []).append(client.enqueue(name, **options).id)
                neighbours += [client.enqueue("echo", {"value": n}).id for n in range(NEIGHBOURS)]
        jobs = {name: [ended(client, job_id) for job_id in some] for name, some in ids.items()}
        others = [ended(client, job_id) for job_id in neighbours]
        slots_are_back(run, client)
    assert {(job.status, job.attempt, job.crashes) for job in others} == {("completed", 1, 0)}
    for name, how in DEATHS.items():
        for job in jobs[name]:
            assert (job.status, job.crashes, job.attempt) == ("dead_letter", 3, 3), name
            assert job.error == f"worker process exited: {how}"
            assert "peak memory" in job.traceback, "what is known is kept"
    slowest_s = 0.0
    for job in (job for name in HANGS for job in jobs[name]):
        assert (job.status, job.crashes) == ("dead_letter", 0)
        assert job.error == f"timeout after {DEADLINE_S:g}s: process killed"
        slowest_s = max(slowest_s, (job.duration_ms or 0) / 1000)
    assert slowest_s <= DEADLINE_S + FREE_S
    assert {job.error for job in jobs[MEMORY]} == {"MemoryError"}
    faults = len(ids) * size
    note = f"slot free {slowest_s - DEADLINE_S:.1f} s after the deadline at most, third death is the last"
    record(Counts("F14", faults, faults + len(others), note=note))


def slots_are_back(run: Running, client: gqm.Client) -> None:
    """All slots work again: as many jobs as there are run at once."""
    values = [client.enqueue("echo", {"value": n}).id for n in range(30)]
    assert [ended(client, job_id).result for job_id in values] == list(range(30))
    assert run.pool_record("p")["abandoned"] == 0
