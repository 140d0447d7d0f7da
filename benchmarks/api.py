"""The REST API: how long lists take on 200,000 queued jobs, and what answering costs a busy engine."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import multiprocessing
import random
import statistics
import string
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import gqm
from benchmarks.drain import fill
from benchmarks.harness import Figure, Server, server
from gqm.config import code_options, default_config
from gqm.loop import loop_factory
from gqm.monitor.build import build
from gqm.monitor.server import HTTPServer
from gqm.store.connect import open_link

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

QUEUED = 200_000
DEAD = 10_000
SLOTS = 10
KEY = "benchmark-key-" + "k" * 32
OPTIONS: dict[str, Any] = {
    "api": True,
    "api_addr": "127.0.0.1:0",
    "api_keys": [{"name": "benchmark", "key": KEY, "role": "admin"}],
    "rate_limit": -1,
}
SLOW_US = 10_000
RATE = 50
"""Requests a second beside the busy engine."""
LOADED_S = 30.0
"""How long the engine is asked altogether."""

V1 = "/api/v1"
POLLED = (
    *(f"{V1}/stats", f"{V1}/queues", f"{V1}/queues/default/jobs", f"{V1}/workers", f"{V1}/servers"),
    *(f"{V1}/queues/default", f"{V1}/stats/minutes", f"{V1}/jobs?status=processing", f"{V1}/cron"),
    *(f"{V1}/queues/default/dead-letter", f"{V1}/failed/groups?sort=last"),
)
"""What a dashboard and a terminal UI ask for."""
LISTS = (
    *POLLED,
    *(f"{V1}/queues/default/jobs?page=100&limit=100", f"{V1}/queues/default/jobs?page=2000&limit=100"),
    *(f"{V1}/queues/default/jobs?sort=type", f"{V1}/queues/default/jobs?sort=created_at&order=asc"),
    *(f"{V1}/queues/default/jobs?type=none", f"{V1}/queues/default/jobs?q=zzz&since=-1d"),
    *(f"{V1}/queues/dead/dead-letter?error=card", f"{V1}/queues/dead/dead-letter?sort=retry_count"),
    *(f"{V1}/queues/dead/dead-letter?fingerprint=0123456789abcdef", f"{V1}/failed/groups"),
    *(f"{V1}/jobs", f"{V1}/jobs?limit=100", f"{V1}/jobs?page=100&limit=100", f"{V1}/jobs?q=a1b"),
    *(f"{V1}/jobs?error=card", f"{V1}/jobs?worker=fast", f"{V1}/jobs?status=failed"),
    *(f"{V1}/dag/roots?rollup=true", f"{V1}/dag/deferred", f"{V1}/stats/daily?days=90", f"{V1}/audit"),
    "/metrics",
)


class Asker:
    """A client that keeps its connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ms(self, path: str) -> float:
        """Ask once; return how long the answer took in milliseconds."""
        begun = time.perf_counter()
        self._connection.request("GET", path, headers={"X-API-Key": KEY})
        answer = self._connection.getresponse()
        answer.read()
        assert answer.status == 200, (path, answer.status)
        return (time.perf_counter() - begun) * 1000

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def bury(redis: Server, count: int) -> None:
    """Put dead letters with as many different errors into a queue."""
    rng, now = random.Random(1), time.time()
    pipe = redis.raw.pipeline(transaction=False)
    for number in range(count):
        job_id, word = f"dead-{number:05}", "".join(rng.choices(string.ascii_lowercase, k=8))
        fields = {"id": job_id, "type": "pay.card", "queue": "dead", "status": "dead_letter", "payload": "{}"}
        times = dict.fromkeys(("created_at", "started_at", "completed_at"), str(int(now) - number))
        words = {**fields, **times, "error": f"ValueError: customer {word} has no card"}
        pipe.hset(f"gqm:job:{job_id}", items=[word for pair in words.items() for word in pair])
        pipe.zadd("gqm:queue:dead:dead_letter", {job_id: now - number})
        if number % 1000 == 999:
            pipe.execute()
    pipe.sadd("gqm:queues", "dead")
    pipe.execute()


@contextmanager
def api(redis: Server) -> Iterator[int]:
    """Serve the API alone; yields its port."""
    config = default_config(code_options(redis=redis.address, **OPTIONS))
    app = build(config, open_link(config.redis))
    http_server = HTTPServer(app, config.monitoring.api.addr)
    http_server.start()
    try:
        yield http_server.port
    finally:
        http_server.stop()
        app.close()


def lists(redis: Server, runs: int) -> Iterator[Figure]:
    """Measure each list; the slowest is a figure of its own, and so are Redis commands over 10 ms."""
    redis.clear()
    fill(redis, QUEUED)
    bury(redis, DEAD)
    redis.raw.config_set("slowlog-log-slower-than", SLOW_US)
    redis.raw.slowlog_reset()
    figures = []
    with api(redis) as port:
        asker = Asker(port)
        for path in LISTS:
            figure = Figure(path.removeprefix(V1), "ms")
            asker.ms(path)
            for _ in range(runs):
                figure.add(asker.ms(path))
            figures.append(figure)
        asker.close()
    slowest = max(figures, key=lambda figure: statistics.median(figure.values))
    yield Figure(f"slowest list of {len(figures)}", "ms", slowest.values)
    yield Figure("redis commands over 10 ms", "", [float(redis.raw.slowlog_len())])
    yield from figures


# ------------------------------------------------------------------------------------ a busy engine


def poll(port: int, until: Event) -> None:
    """Ask for what is polled, evenly, until told to stop; runs in a process of its own."""
    asker = Asker(port)
    due = time.monotonic()
    for path in itertools.cycle(POLLED):
        if until.is_set():
            break
        asker.ms(path)
        due = max(due + 1 / RATE, time.monotonic() - 1)
        time.sleep(max(0.0, due - time.monotonic()))
    asker.close()


async def drained(redis: Server, asked: bool) -> tuple[float, float]:
    """Run all queued jobs in a process that serves the API too; return jobs/s and CPU µs per job."""

    async def noop(job: gqm.Job) -> None:
        """Do nothing."""

    worker = gqm.Server(redis.address, **OPTIONS)
    worker.handle("noop", noop)
    worker.pool("noop", ["noop"], concurrency=SLOTS, queues=["default"])
    before = redis.processed()
    await worker.start()
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    client = context.Process(target=poll, args=(worker.api_port, stop)) if asked else None
    if client is not None:
        await asyncio.to_thread(client.start)
    done_before, begun, cpu = redis.processed(), time.perf_counter(), time.process_time()
    while redis.processed() - before < QUEUED:  # noqa: ASYNC110 - the counter is in Redis, nothing tells us
        await asyncio.sleep(0.05)
    seconds = time.perf_counter() - begun
    cpu_s = time.process_time() - cpu
    jobs = QUEUED - (done_before - before)
    if client is not None:
        stop.set()
        await asyncio.to_thread(client.join)
        assert client.exitcode == 0, "the requests failed"
    await worker.stop()
    return jobs / seconds, cpu_s / jobs * 1e6


def beside(redis: Server) -> Figure:
    """Measure pairs of drains, one of them asked 50 times a second, until it was asked for 30 s."""
    figure = Figure("throughput while asked 50/s", "of alone")
    asked_s = 0.0
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        while asked_s < LOADED_S:
            rates: dict[bool, tuple[float, float]] = {}
            for asked in (False, True):
                redis.clear()
                fill(redis, QUEUED)
                rates[asked] = runner.run(drained(redis, asked))
            (alone, alone_us), (loaded, loaded_us) = rates[False], rates[True]
            asked_s += QUEUED / loaded
            details = {"alone jobs/s": alone, "cpu µs/job": alone_us, "asked jobs/s": loaded}
            figure.add(loaded / alone, {**details, "asked cpu µs/job": loaded_us})
    return figure


def run(runs: int) -> list[Figure]:
    """Measure lists and the cost to a busy engine."""
    with server() as redis:
        return [*lists(redis, runs), beside(redis)]
