"""Waiting: from the enqueue call to the start of the handler on an idle worker, and jobs that are due."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial

import gqm
from benchmarks.harness import Figure, Goal, Server, repeat, server
from benchmarks.workers import Pool, until, worker
from gqm.ids import new_ids
from gqm.loop import loop_factory

SAMPLES = 200
DUE = 20_000


class _Worker:
    """A server in a thread of its own; handlers note when they start."""

    def __init__(self, address: str) -> None:
        self._server = gqm.Server(address)
        self._started: list[float] = []
        self._seen = threading.Event()
        self._ready = threading.Event()
        self._server.handle("tick", self._tick)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._main)
        self._thread.start()
        self._ready.wait(10)

    async def _tick(self, job: gqm.Job) -> None:
        self._started.append(time.perf_counter())
        self._seen.set()

    def _main(self) -> None:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._server.start()
        self._ready.set()
        await self._server.wait_stop()
        await self._server.stop()

    def delay(self, client: gqm.Client) -> float:
        """Enqueue one job and return the seconds until its handler started."""
        self._seen.clear()
        begun = time.perf_counter()
        client.enqueue("tick")
        self._seen.wait(5)
        return self._started[-1] - begun

    def close(self) -> None:
        """Stop the server."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._server.ask_stop)
        self._thread.join()


def _once(redis: Server) -> tuple[float, Mapping[str, float]]:
    worker = _Worker(redis.address)
    try:
        with gqm.Client(redis.address) as client:
            delays = []
            for _ in range(SAMPLES):
                time.sleep(0.01)  # so that the worker is idle again
                delays.append(worker.delay(client) * 1000)
    finally:
        worker.close()
    cuts = statistics.quantiles(delays, n=100)
    return statistics.median(delays), {"p95": cuts[94], "p99": cuts[98], "max": max(delays)}


def idle(runs: int) -> Iterator[Figure]:
    """Enqueue 200 jobs, one at a time, each to an idle worker."""
    with server() as redis:
        figure = Figure("pick-up by an idle worker, p50", "ms", goal=Goal("P8", 2, 1, higher=False))
        yield repeat(figure, runs, partial(_once, redis))
        yield figure.detail("p99", "pick-up by an idle worker, p99", "ms", Goal("P8", 8, 3, higher=False))


# ---------------------------------------------------------------------------------------- promotion


def _schedule(redis: Server, jobs: int) -> float:
    """Store scheduled jobs as `enqueue_at` does, but in one pipeline; return when all are due."""
    lead_s = 1.0 + jobs / 10_000
    due = redis.raw.time()[0] + lead_s
    pipe = redis.raw.pipeline(transaction=False)
    for job_id in new_ids(jobs):
        what = ["id", job_id, "type", "noop", "queue", "default", "payload", "{}", "status", "scheduled"]
        when = ["created_at", str(int(due - lead_s)), "scheduled_at", str(int(due)), "max_retry", "3"]
        pipe.hset(f"gqm:job:{job_id}", items=what + when)
        pipe.zadd("gqm:scheduled", {job_id: due})
    pipe.sadd("gqm:queues", "default")
    pipe.execute()
    return due


def _promote(redis: Server) -> tuple[float, Mapping[str, float]]:
    redis.clear()
    due = _schedule(redis, DUE)
    with worker(redis, Pool(1, ("other",))):
        seconds, microseconds = redis.raw.time()
        wait_s = due - seconds - microseconds / 1e6
        assert wait_s > 0, "the jobs were due before the worker was there"
        cpu = redis.cpu_s()
        time.sleep(wait_s)
        begun = time.perf_counter()
        until(lambda: not redis.raw.zcard("gqm:scheduled"), pause_s=0.001)
        took = time.perf_counter() - begun
        redis_us = (redis.cpu_s() - cpu) / DUE * 1e6
    ready = redis.raw.llen("gqm:queue:default:ready")
    assert ready == DUE, f"{ready} of {DUE} are ready"
    return DUE / took, {"redis µs/job": redis_us}


def promotion(runs: int) -> Iterator[Figure]:
    """Promote 20,000 jobs that are due at the same moment."""
    with server() as redis:
        figure = Figure("promotion of due jobs", "jobs/s", goal=Goal("P9", 10_000, 30_000))
        yield repeat(figure, runs, partial(_promote, redis))
