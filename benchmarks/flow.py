"""Jobs on their whole way: producer and worker in two processes, large payloads, chains of jobs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import partial

import gqm
from benchmarks.harness import Figure, Goal, Server, repeat, server
from benchmarks.workers import Books, Pool, Worker, until, worker

JOBS = 20_000
CHAINS = 4_000
STAGES = 3
LARGE = ((10_000, 3_000, Goal("P10", 3_000, 6_000)), (100_000, 1_000, Goal("P10", 700, 1_500)))


def _run(redis: Server, hand: Worker, jobs: int, payload: object = None) -> tuple[float, Mapping[str, float]]:
    """Enqueue one by one while a worker runs; the figure counts until the last job has ended."""
    redis.clear("gqm:job:")
    before, account = redis.processed(), hand.account()
    redis_cpu, own_cpu, begun = redis.cpu_s(), time.process_time(), time.perf_counter()
    with gqm.Client(redis.address) as client:
        for i in range(jobs):
            client.enqueue("count", payload or {"i": i})
    enqueued_s = time.perf_counter() - begun
    own_s = time.process_time() - own_cpu
    until(lambda: redis.processed() - before >= jobs)
    seconds = time.perf_counter() - begun
    after = hand.account()
    ran = (after.runs - account.runs, after.twice)
    assert ran == (jobs, 0), f"{ran[0]} runs, {ran[1]} of them twice"
    return jobs / seconds, {
        "enqueued/s": jobs / enqueued_s,
        "redis µs/job": (redis.cpu_s() - redis_cpu) / jobs * 1e6,
        "producer µs/job": own_s / jobs * 1e6,
        "worker µs/job": (after.cpu_s - account.cpu_s) / jobs * 1e6,
    }


def end_to_end(runs: int) -> Iterator[Figure]:
    """One producer process enqueues one by one while one worker process runs the jobs."""
    with server() as redis, worker(redis, Pool(10)) as hand:
        figure = Figure("end to end, two processes", "jobs/s", goal=Goal("P6", 9_000, 12_000))
        yield repeat(figure, runs, partial(_run, redis, hand, JOBS))


def payloads(runs: int) -> Iterator[Figure]:
    """The same with payloads of 10 KB and of 100 KB."""
    for size, jobs, goal in LARGE:
        payload = {"rows": [{"n": i, "text": "x" * 80} for i in range(size // 100)]}
        with server() as redis, worker(redis, Pool(10)) as hand:
            figure = Figure(f"end to end, payloads of {size // 1000} KB", "jobs/s", goal=goal)
            yield repeat(figure, runs, partial(_run, redis, hand, jobs, payload))


# ------------------------------------------------------------------------------------------- chains


def chains(runs: int) -> Iterator[Figure]:
    """Enqueue and run 4,000 chains of 3 jobs, and as many jobs without parents, in the same way."""
    with server() as redis:
        goal = Goal("P12", 2.0, 1.4, higher=False)
        figure = Figure("4,000 chains of 3 to 12,000 plain jobs", "×", goal=goal)
        yield repeat(figure, runs, partial(_chains, redis))


def _chains(redis: Server) -> tuple[float, Mapping[str, float]]:
    plain, plain_redis = _total(redis, chained=False)
    chained, chained_redis = _total(redis, chained=True)
    return chained / plain, {
        "chains s": chained,
        "plain s": plain,
        "chains redis µs/job": chained_redis,
        "plain redis µs/job": plain_redis,
    }


def _total(redis: Server, *, chained: bool) -> tuple[float, float]:
    """Enqueue all, then run all; return the seconds of both together, and Redis µs for a job."""
    redis.clear()
    jobs = CHAINS * STAGES
    cpu, begun = redis.cpu_s(), time.perf_counter()
    with gqm.Client(redis.address) as client:
        for i in range(CHAINS):
            parent: str | None = None
            for _ in range(STAGES):
                if parent is not None and chained:
                    parent = client.enqueue("count", {"i": i}, depends_on=parent).id
                else:
                    parent = client.enqueue("count", {"i": i}).id
    enqueue_s = time.perf_counter() - begun
    with worker(redis, Pool(10), start=False) as hand:
        begun = time.perf_counter()
        hand.start()
        until(lambda: redis.processed() >= jobs)
        seconds = enqueue_s + time.perf_counter() - begun
        cpu_us = (redis.cpu_s() - cpu) / jobs * 1e6
        account = hand.stop()
    books = Books.of(redis)
    assert (account.runs, account.twice, books) == (jobs, 0, Books(jobs, 0, 0)), f"{account} {books}"
    return seconds, cpu_us
