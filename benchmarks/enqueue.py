"""Enqueue: one job a call against a raw PING loop, and batches."""

from __future__ import annotations

import time
from collections.abc import Mapping

import gqm
from benchmarks.harness import Figure, Server, repeat, server

SINGLE = 5_000
BATCHED = 50_000


def _single(redis: Server) -> tuple[float, Mapping[str, float]]:
    redis.clear()
    connection = redis.raw.connection_pool.get_connection()
    ping = connection.pack_command("PING")
    begun = time.perf_counter()
    for _ in range(SINGLE):
        connection.send_packed_command(ping, check_health=False)
        connection.read_response()
    pings = SINGLE / (time.perf_counter() - begun)
    redis.raw.connection_pool.release(connection)
    with gqm.Client(redis.address) as client:
        client.enqueue("noop", {"i": 0})
        cpu, begun = redis.cpu_s(), time.perf_counter()
        for i in range(SINGLE):
            client.enqueue("noop", {"i": i})
        seconds = time.perf_counter() - begun
    rate = SINGLE / seconds
    return rate, {"of PING": rate / pings, "redis µs/job": (redis.cpu_s() - cpu) / SINGLE * 1e6}


def _batch(redis: Server, size: int) -> tuple[float, Mapping[str, float]]:
    redis.clear()
    with gqm.Client(redis.address) as client:
        items = [("noop", {"i": i}) for i in range(size)]
        cpu, begun = redis.cpu_s(), time.perf_counter()
        for _ in range(BATCHED // size):
            client.enqueue_batch(items)
        seconds = time.perf_counter() - begun
    return BATCHED / seconds, {"redis µs/job": (redis.cpu_s() - cpu) / BATCHED * 1e6}


def run(runs: int) -> list[Figure]:
    """Measure single enqueue and batches of 1,000 and 100."""
    with server() as redis:
        return [
            repeat(Figure("enqueue, one a call", "jobs/s"), runs, lambda: _single(redis)),
            repeat(Figure("enqueue, batches of 1,000", "jobs/s"), runs, lambda: _batch(redis, 1000)),
            repeat(Figure("enqueue, batches of 100", "jobs/s"), runs, lambda: _batch(redis, 100)),
        ]
