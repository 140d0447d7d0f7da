"""Drain: how fast waiting jobs are run, and that each costs the same however many wait."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial

import gqm
from benchmarks.harness import Figure, Goal, Server, repeat, server
from benchmarks.workers import SLEEP_S, Pool, until, worker
from gqm.loop import loop_factory

JOBS = 20_000
SLOTS = 10
BURST_SLOTS = 30
SLEEPERS = 2_000
SLEEPER_SLOTS = 100
SPINNERS = 4_000
DEPTHS = (1_000, 10_000, 100_000, 1_000_000)
DOUBLING = 2**20 + 10_000
"""Jobs with which the keys have just passed a power of two."""

Handler = Callable[[gqm.Job], object]
Loop = Callable[[], asyncio.AbstractEventLoop] | None


class Ended:
    """Counts handlers that have ended, in threads too, and tells the loop of the last one."""

    def __init__(self, jobs: int) -> None:
        self.all = asyncio.Event()
        self._jobs = jobs
        self._numbers = itertools.count(1)
        self._loop = asyncio.get_running_loop()

    def note(self) -> None:
        """A handler has ended. Taking the next number is one step, also between threads."""
        if next(self._numbers) == self._jobs:
            self._loop.call_soon_threadsafe(self.all.set)


def _async_handler(ended: Ended) -> Handler:
    async def noop(job: gqm.Job) -> None:
        ended.note()

    return noop


def _def_handler(ended: Ended) -> Handler:
    def noop(job: gqm.Job) -> None:
        ended.note()

    return noop


def _async_sleeper(ended: Ended) -> Handler:
    async def sleep(job: gqm.Job) -> None:
        await asyncio.sleep(SLEEP_S)
        ended.note()

    return sleep


def _def_sleeper(ended: Ended) -> Handler:
    def sleep(job: gqm.Job) -> None:
        time.sleep(SLEEP_S)
        ended.note()

    return sleep


def fill(redis: Server, jobs: int, type_: str = "noop", queue: str = "default") -> None:
    """Enqueue plain jobs in batches."""
    items = (gqm.Item(type_, {"i": i}, {"queue": queue}) for i in range(jobs))
    plain = ((type_, {"i": i}) for i in range(jobs))
    with gqm.Client(redis.address) as client:
        for _ in client.enqueue_many(plain if queue == "default" else items):
            continue


async def drain(
    redis: Server, handler: Callable[[Ended], Handler], jobs: int, slots: int
) -> tuple[float, dict[str, float]]:
    """Run so many ready jobs; returns jobs per second since the pool began to claim, and the accounts."""
    worker = gqm.Server(redis.address)
    ended = Ended(jobs)
    worker.handle("noop", handler(ended))
    worker.pool("noop", ["noop"], concurrency=slots, queues=["default"])
    before, waiting = redis.processed(), redis.raw.llen("gqm:queue:default:ready")
    redis.reset()
    # Pools begin to claim when the start has returned; reaching Redis and signing in is no part of a drain.
    await worker.start()
    redis_cpu, own_cpu, begun = redis.cpu_s(), time.process_time(), time.perf_counter()
    await ended.all.wait()
    while redis.processed() - before < jobs:  # noqa: ASYNC110 - the last outcomes are on their way
        await asyncio.sleep(0.001)
    seconds = time.perf_counter() - begun
    done = redis.processed() - before
    accounts = {
        "redis µs/job": (redis.cpu_s() - redis_cpu) / done * 1e6,
        "python µs/job": (time.process_time() - own_cpu) / done * 1e6,
        "scripts/job": redis.scripts() / done,
    }
    await worker.stop()
    completed = redis.processed() - before
    left = redis.raw.llen("gqm:queue:default:ready"), redis.raw.zcard("gqm:queue:default:processing")
    assert left == (waiting - completed, 0), f"{waiting} waited, {completed} completed, {left} are left"
    return done / seconds, accounts


def _once(
    redis: Server, handler: Callable[[Ended], Handler], loop: Loop, jobs: int = JOBS, slots: int = SLOTS
) -> tuple[float, Mapping[str, float]]:
    redis.clear()
    fill(redis, jobs)
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(drain(redis, handler, jobs, slots))


def no_op(runs: int) -> Iterator[Figure]:
    """Drain 20,000 no-op jobs with 10 slots: `async def` and `def` handlers, uvloop and the standard loop."""
    fast = loop_factory()
    goals = {"async": Goal("P3", 25_000, 33_000), "def": Goal("P4", 18_000, 28_000)}
    for loop_name, loop in ("uvloop", fast), ("asyncio", None):
        for kind, handler in (("async", _async_handler), ("def", _def_handler)):
            if loop is None and loop_name == "uvloop":
                continue
            goal = goals[kind] if loop is fast else None
            with server() as redis:
                figure = Figure(f"drain, {kind} handlers, {loop_name}", "jobs/s", goal=goal)
                yield repeat(figure, runs, partial(_once, redis, handler, loop))
            if goal and kind == "async":
                cost = Goal("P5", 25, 18, higher=False)
                yield figure.detail("redis µs/job", "drain, CPU of Redis", "µs/job", cost)


def sleeping(runs: int) -> Iterator[Figure]:
    """Run 2,000 jobs of 20 ms with 100 slots; 5,000/s would be perfect."""
    for kind, handler in (("async", _async_sleeper), ("def", _def_sleeper)):
        with server() as redis:
            name = f"2,000 jobs of 20 ms, 100 slots, {kind}"
            figure = Figure(name, "jobs/s", goal=Goal("P7", 4_600, 4_850))
            once = partial(_once, redis, handler, loop_factory(), SLEEPERS, SLEEPER_SLOTS)
            yield repeat(figure, runs, once)


def burst(runs: int) -> Iterator[Figure]:
    """Drain a burst with 30 slots."""
    with server() as redis:
        figure = Figure("burst drain, 30 workers", "jobs/s")
        yield repeat(figure, runs, partial(_once, redis, _async_handler, loop_factory(), JOBS, BURST_SLOTS))


def depth(runs: int) -> Iterator[Figure]:
    """Run the same number of jobs off queues of growing depth, in one process, in turn.

    The figure is the CPU of Redis and worker together for one job. The jobs of a run are deleted after it, so
    that each depth is measured with its own number of keys. A row without a goal shows what is left out so:
    Redis doubles its table of keys as it passes a power of two, and while it does, each command pays for it.
    """
    costs: dict[int, float] = {}
    with server() as redis:
        for waiting in DEPTHS:
            figure = Figure(f"drain cost with {waiting:,} queued", "µs/job")
            redis.clear()
            repeat(figure, runs, partial(_step, redis, waiting))
            costs[waiting] = figure.median
            yield figure
        fill(redis, DOUBLING - DEPTHS[-1])
        figure = Figure("drain cost while Redis doubles its table of keys", "µs/job")
        yield repeat(figure, runs, partial(_step, redis, DOUBLING))
    flat = Goal("P11", 1.15, 1.05, higher=False)
    # Per job, a drain of 1,000 also pays for the start; the three others run 10,000 jobs each.
    growth = max(costs[waiting] for waiting in DEPTHS[2:]) / costs[DEPTHS[1]]
    yield Figure("drain cost, 100,000 and more to 10,000", "×", [growth], goal=flat)


def _step(redis: Server, waiting: int) -> tuple[float, Mapping[str, float]]:
    """Fill the queue up to its depth and take 10,000 jobs off it, or all that there are, several times."""
    cpu_us = redis_us = rate = 0.0
    times = max(1, 10_000 // waiting)
    for _ in range(times):
        fill(redis, waiting - int(redis.raw.llen("gqm:queue:default:ready")))
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            jobs_s, accounts = runner.run(drain(redis, _async_handler, min(waiting, 10_000), SLOTS))
        _delete_completed(redis)
        cpu_us += accounts["python µs/job"] / times
        redis_us += accounts["redis µs/job"] / times
        rate += jobs_s / times
    return cpu_us + redis_us, {"jobs/s": rate, "redis µs/job": redis_us, "python µs/job": cpu_us}


def _delete_completed(redis: Server) -> None:
    key = "gqm:queue:default:completed"
    ids = redis.raw.zrange(key, 0, -1)
    redis.raw.unlink(key, *(b"gqm:job:" + id_ for id_ in ids))


def processes(runs: int) -> Iterator[Figure]:
    """Run jobs of 1 ms of pure Python in one process, then in two."""
    with server() as redis:
        figure = Figure("two processes, 1 ms of Python a job", "×", goal=Goal("P17", 1.8))
        yield repeat(figure, runs, partial(_spin_pair, redis))


def _spin_pair(redis: Server) -> tuple[float, Mapping[str, float]]:
    one, two = (_spin(redis, count) for count in (1, 2))
    return two / one, {"one jobs/s": one, "two jobs/s": two}


def _spin(redis: Server, count: int) -> float:
    redis.clear()
    fill(redis, SPINNERS, "spin")
    with ExitStack() as stack:
        hands = [stack.enter_context(worker(redis, Pool(SLOTS), start=False)) for _ in range(count)]
        begun = time.perf_counter()
        for hand in hands:
            hand.start()
        until(lambda: redis.processed() >= SPINNERS, pause_s=0.03)  # both cores are busy
        return SPINNERS / (time.perf_counter() - begun)
