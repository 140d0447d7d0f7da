"""Drain: how fast one process with 10 slots runs 20,000 no-op jobs, and what that costs Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import gqm
from benchmarks.harness import Figure, Server, repeat, server
from gqm.loop import loop_factory

JOBS = 20_000
SLOTS = 10


async def _async_handler(job: gqm.Job) -> None:
    """Do nothing on the loop."""


def _def_handler(job: gqm.Job) -> None:
    """Do nothing in a thread."""


def fill(redis: Server, jobs: int) -> None:
    """Enqueue plain jobs in batches."""
    with gqm.Client(redis.address) as client:
        for _ in client.enqueue_many([("noop", {"i": i}) for i in range(jobs)]):
            continue


async def drain(
    redis: Server, handler: Callable[[gqm.Job], object], jobs: int, slots: int
) -> tuple[float, dict[str, float]]:
    """Run all ready jobs; returns jobs per second and the accounts."""
    worker = gqm.Server(redis.address)
    worker.handle("noop", handler)
    worker.pool("noop", ["noop"], concurrency=slots, queues=["default"])
    before = redis.processed()
    redis.reset()
    redis_cpu, own_cpu, begun = redis.cpu_s(), time.process_time(), time.perf_counter()
    await worker.start()
    while redis.processed() - before < jobs:  # noqa: ASYNC110 - the counter is in Redis, nothing tells us
        await asyncio.sleep(0.005)
    seconds = time.perf_counter() - begun
    accounts = {
        "redis µs/job": (redis.cpu_s() - redis_cpu) / jobs * 1e6,
        "python µs/job": (time.process_time() - own_cpu) / jobs * 1e6,
        "scripts/job": redis.scripts() / jobs,
    }
    await worker.stop()
    done = redis.raw.zcard("gqm:queue:default:completed")
    left = redis.raw.zcard("gqm:queue:default:processing")
    assert (done, left) == (jobs, 0), f"{done} completed, {left} still processing, expected {jobs} and 0"
    return jobs / seconds, accounts


def run(runs: int) -> list[Figure]:
    """Measure async and `def` handlers, with the standard loop and with uvloop if it is installed."""
    figures = []
    fast = loop_factory()
    loops = [("asyncio", None)] + ([("uvloop", fast)] if fast else [])
    for loop_name, factory in loops:
        for name, handler in (("async", _async_handler), ("def", _def_handler)):
            with server() as redis:

                def once(
                    redis: Server = redis,
                    handler: Callable[[gqm.Job], object] = handler,
                    factory: object = factory,
                ) -> tuple[float, Mapping[str, float]]:
                    redis.clear()
                    fill(redis, JOBS)
                    with asyncio.Runner(loop_factory=factory) as runner:
                        return runner.run(drain(redis, handler, JOBS, SLOTS))

                figures.append(repeat(Figure(f"drain, {name} handler, {loop_name}", "jobs/s"), runs, once))
    return figures
