"""Pick-up: how long an idle worker takes from the enqueue call to the start of the handler."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Mapping

import gqm
from benchmarks.harness import Figure, Server, repeat, server
from gqm.loop import loop_factory

SAMPLES = 200


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
    return statistics.median(delays), {"p99": cuts[98], "max": max(delays)}


def run(runs: int) -> list[Figure]:
    """Measure 200 jobs, one at a time."""
    with server() as redis:
        return [repeat(Figure("pick-up by an idle worker, p50", "ms"), min(runs, 3), lambda: _once(redis))]
