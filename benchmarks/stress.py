"""Stress: large loads, each with its accounting: no job is lost, none runs twice."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping

import gqm
from benchmarks.drain import fill
from benchmarks.harness import Figure, Server, repeat, server
from benchmarks.workers import Account, Books, Pool, until, worker
from gqm.job import Options

INTEGRITY = 10_000
SUSTAINED_S = 30.0
SUSTAINED_BATCH = 1000
SUSTAINED_DEPTH = 20_000
"""Jobs that may wait before the producer does."""
STORM = 2_000
ATTEMPTS = 4
CRASHES = 500
BACKLOG = 735_000
POOLS = tuple(Pool(20, (name,), (name,)) for name in ("email", "payment", "report"))
POOL_JOBS = 30_000


def _checked(
    account: Account, books: Books, completed: int, *, dead: int = 0, runs: int = 0
) -> dict[str, float]:
    """Return the accounting of a load. Raises ``AssertionError`` if a job is lost or ran too often."""
    runs = runs or completed
    lost = completed + dead - books.completed - books.dead
    assert books == Books(completed, dead, 0), f"expected {completed} completed and {dead} dead: {books}"
    assert account.runs == runs, f"{account.runs} runs instead of {runs}"
    return {"completed": books.completed, "dead": books.dead, "lost": lost, "extra runs": account.runs - runs}


def _all_ended(redis: Server, jobs: int, *queues: str) -> None:
    def ended() -> bool:
        books = Books.of(redis, *queues)
        return books.completed + books.dead >= jobs

    until(ended, pause_s=0.02)


def integrity(runs: int) -> Iterator[Figure]:
    """Run 10,000 jobs with 20 workers: each exactly once."""

    def once() -> tuple[float, Mapping[str, float]]:
        redis.clear()
        fill(redis, INTEGRITY, "count")
        with worker(redis, Pool(20), start=False) as hand:
            begun = time.perf_counter()
            hand.start()
            _all_ended(redis, INTEGRITY)
            seconds = time.perf_counter() - begun
            account = hand.stop()
        assert not account.twice
        return INTEGRITY / seconds, _checked(account, Books.of(redis), INTEGRITY)

    with server() as redis:
        yield repeat(Figure("10,000 jobs, 20 workers", "jobs/s"), min(runs, 3), once)


def sustained(runs: int) -> Iterator[Figure]:
    """Enqueue in batches for 30 s while one process runs the jobs, then let it finish."""
    with server() as redis, worker(redis, Pool(30)) as hand, gqm.Client(redis.address) as client:
        figure = Figure("sustained load of 30 s", "jobs/s")
        jobs, begun, depths = 0, time.perf_counter(), []
        while time.perf_counter() - begun < SUSTAINED_S:
            client.enqueue_batch([("count", {"i": i}) for i in range(SUSTAINED_BATCH)])
            jobs += SUSTAINED_BATCH
            depths.append(int(redis.raw.llen("gqm:queue:default:ready")))
            if depths[-1] > SUSTAINED_DEPTH:
                until(lambda: redis.raw.llen("gqm:queue:default:ready") < SUSTAINED_DEPTH)
        enqueued_s = time.perf_counter() - begun
        _all_ended(redis, jobs)
        seconds = time.perf_counter() - begun
        account = hand.stop()
        accounting = _checked(account, Books.of(redis), jobs)
        assert not account.twice
        more = {"jobs": float(jobs), "drain after s": seconds - enqueued_s}
        figure.add(jobs / seconds, {**more, "depth p50": statistics.median(depths), **accounting})
        yield figure


def retry_storm(runs: int) -> Iterator[Figure]:
    """Run 2,000 jobs that fail 4 times each, then lie with the dead letters."""

    def once() -> tuple[float, Mapping[str, float]]:
        redis.clear()
        with worker(redis, Pool(20)) as hand, gqm.Client(redis.address) as client:
            begun = time.perf_counter()
            options: Options = {"max_retry": ATTEMPTS - 1, "retry_intervals": [0]}
            for _ in client.enqueue_many(gqm.Item("fail", {"i": i}, options) for i in range(STORM)):
                continue
            _all_ended(redis, STORM)
            seconds = time.perf_counter() - begun
            account = hand.stop()
        attempts = STORM * ATTEMPTS
        return attempts / seconds, _checked(account, Books.of(redis), 0, dead=STORM, runs=attempts)

    with server() as redis:
        yield repeat(Figure("retry storm, 2,000 jobs × 4 attempts", "runs/s"), min(runs, 3), once)


def three_pools(runs: int) -> Iterator[Figure]:
    """Run 30,000 jobs of 3 queues with 60 workers in 3 pools; no threads are left over."""
    names = [pool.queues[0] for pool in POOLS]

    def once() -> tuple[float, Mapping[str, float]]:
        redis.clear()
        with worker(redis, *POOLS) as hand:
            before = hand.account()
            begun = time.perf_counter()
            for name in names:
                fill(redis, POOL_JOBS // 3, name, name)
            _all_ended(redis, POOL_JOBS, *names)
            seconds = time.perf_counter() - begun
            after = hand.account()
            account = hand.stop()
        assert not account.twice
        more = {"threads more": after.threads - before.threads, "RSS MB more": after.rss_mb - before.rss_mb}
        return POOL_JOBS / seconds, {**_checked(account, Books.of(redis, *names), POOL_JOBS), **more}

    with server() as redis:
        yield repeat(Figure("60 workers in 3 pools", "jobs/s"), min(runs, 3), once)


def crashes(runs: int) -> Iterator[Figure]:
    """Run 500 jobs whose handlers raise between 500 that do not; the workers go on."""

    def once() -> tuple[float, Mapping[str, float]]:
        redis.clear()
        with worker(redis, Pool(10)) as hand, gqm.Client(redis.address) as client:
            begun = time.perf_counter()
            options: Options = {"max_retry": 0}
            types = ("fail", "count") * CRASHES
            for _ in client.enqueue_many(gqm.Item(type_, None, options) for type_ in types):
                continue
            _all_ended(redis, 2 * CRASHES)
            seconds = time.perf_counter() - begun
            account = hand.stop()
        accounting = _checked(account, Books.of(redis), CRASHES, dead=CRASHES, runs=2 * CRASHES)
        return 2 * CRASHES / seconds, {**accounting, "raised": account.failed}

    with server() as redis:
        yield repeat(Figure("500 crashing handlers between 500 sound ones", "jobs/s"), min(runs, 3), once)


def backlog(runs: int) -> Iterator[Figure]:
    """Let 735,000 jobs wait, see how calls answer meanwhile, then run them all."""
    with server() as redis, gqm.Client(redis.address) as client:
        figure = Figure("735,000 queued, then drained", "jobs/s")
        empty_ms = _call_ms(client)
        fill(redis, BACKLOG, "count")
        full_ms = _call_ms(client)
        waiting = int(redis.raw.llen("gqm:queue:default:ready"))
        with worker(redis, Pool(30)) as hand:
            seconds, busy_ms = _drained(redis, client, waiting)
            account = hand.stop()
        jobs = Books.of(redis).completed
        accounting = _checked(account, Books.of(redis), jobs)
        assert not account.twice
        assert jobs >= waiting
        calls = {"enqueue ms, empty": empty_ms, "735k queued": full_ms, "draining": busy_ms}
        figure.add(waiting / seconds, {**calls, **accounting})
        yield figure


def _call_ms(client: gqm.Client) -> float:
    """Return the median time of an enqueue call."""
    took = []
    for i in range(500):
        begun = time.perf_counter()
        client.enqueue("count", {"i": i})
        took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took)


def _drained(redis: Server, client: gqm.Client, jobs: int) -> tuple[float, float]:
    begun, took, more = time.perf_counter(), [], 0
    while redis.processed() < jobs:
        called = time.perf_counter()
        client.enqueue("count")
        took.append((time.perf_counter() - called) * 1000)
        more += 1
        time.sleep(0.01)
    seconds = time.perf_counter() - begun
    until(lambda: redis.processed() >= jobs + more)
    return seconds, statistics.median(took)
