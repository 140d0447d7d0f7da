"""Enqueue: one job a call against a raw PING, and batches against a hand-made pipeline of the same bytes."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from hiredis import Reader, pack_command

import gqm
from benchmarks.harness import Figure, Goal, Server, repeat, server
from gqm.ids import new_ids

SINGLE = 5_000
SLICE = 250
"""Calls before the other side has its turn: what disturbs the machine meets both."""
BATCHED = 50_000
BATCHED_SLICE = 5_000
"""Jobs before the other side has its turn."""
PING = b"*1\r\n$4\r\nPING\r\n"


def _line(redis: Server) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", redis.port))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return line


def _single(redis: Server) -> tuple[float, Mapping[str, float]]:
    redis.clear()
    ping_s = enqueue_s = cpu_s = redis_s = 0.0
    with gqm.Client(redis.address) as client, _line(redis) as line:
        client.enqueue("noop", {"i": 0})
        for _ in range(SINGLE // SLICE):
            begun = time.perf_counter()
            for _ in range(SLICE):
                line.sendall(PING)
                line.recv(4096)
            ping_s += time.perf_counter() - begun
            server_cpu, cpu, begun = redis.cpu_s(), time.process_time(), time.perf_counter()
            for i in range(SLICE):
                client.enqueue("noop", {"i": i})
            enqueue_s += time.perf_counter() - begun
            cpu_s += time.process_time() - cpu
            redis_s += redis.cpu_s() - server_cpu
    made = redis.raw.llen("gqm:queue:default:ready")
    assert made == SINGLE + 1, f"{made} jobs instead of {SINGLE + 1}"
    return ping_s / enqueue_s, {
        "jobs/s": SINGLE / enqueue_s,
        "µs": enqueue_s / SINGLE * 1e6,
        "PING µs": ping_s / SINGLE * 1e6,
        "redis µs/job": redis_s / SINGLE * 1e6,
        "python µs/job": cpu_s / SINGLE * 1e6,
    }


def single(runs: int) -> Iterator[Figure]:
    """Enqueue one by one; the figure is the speed of a raw PING on a socket that it reaches."""
    with server() as redis:
        figure = Figure("enqueue, one a call, of a raw PING", "×", goal=Goal("P1", 0.55, 0.70))
        yield repeat(figure, runs, lambda: _single(redis))
        yield figure.detail("jobs/s", "enqueue, one a call", "jobs/s")


# ------------------------------------------------------------------------------------------ batches


def _by_hand(line: socket.socket, size: int) -> None:
    """Pipeline what the batches of a slice store as HSET and LPUSH, and read all answers."""
    ids = new_ids(BATCHED_SLICE)
    for start in range(0, BATCHED_SLICE, size):
        now = time.time()
        words = []
        for i, job_id in enumerate(ids[start : start + size]):
            times = ("created_at", int(now), "ready_at_ms", int(now * 1000))
            more = ("queue", "default", "status", "ready", "max_retry", 3)
            payload = b'{"i":%d}' % i
            head = ("HSET", f"raw:job:{job_id}", "id", job_id, "type", "noop", "payload", payload)
            words.append(_pack(*head, *times, *more))
            words.append(_pack("LPUSH", "raw:queue:default:ready", job_id))
        line.sendall(b"".join(words))
        _read(line, len(words))


def _pack(*words: Any) -> bytes:
    packed: bytes = pack_command(words)
    return packed


def _read(line: socket.socket, answers: int) -> None:
    reader = Reader()
    while answers:
        answer = reader.gets()
        if answer is False:
            reader.feed(line.recv(65_536))
        else:
            answers -= 1


def _batch(redis: Server, size: int) -> tuple[float, Mapping[str, float]]:
    redis.clear()
    redis.clear("raw:")
    by_hand_s = batches_s = cpu_s = redis_s = 0.0
    with gqm.Client(redis.address) as client, _line(redis) as line:
        for _ in range(BATCHED // BATCHED_SLICE):
            begun = time.perf_counter()
            _by_hand(line, size)
            by_hand_s += time.perf_counter() - begun
            server_cpu, cpu, begun = redis.cpu_s(), time.process_time(), time.perf_counter()
            for _ in range(BATCHED_SLICE // size):
                client.enqueue_batch([("noop", {"i": i}) for i in range(size)])
            batches_s += time.perf_counter() - begun
            cpu_s += time.process_time() - cpu
            redis_s += redis.cpu_s() - server_cpu
    made = redis.raw.llen("gqm:queue:default:ready")
    assert made == BATCHED, f"{made} jobs instead of {BATCHED}"
    return by_hand_s / batches_s, {
        "jobs/s": BATCHED / batches_s,
        "by hand jobs/s": BATCHED / by_hand_s,
        "redis µs/job": redis_s / BATCHED * 1e6,
        "python µs/job": cpu_s / BATCHED * 1e6,
    }


def batch(runs: int) -> Iterator[Figure]:
    """Enqueue batches of 1,000 and of 100 jobs."""
    with server() as redis:
        for size in (1000, 100):
            name = f"enqueue, batches of {size:,}"
            figure = Figure(f"{name}, of HSET+LPUSH by hand", "×", goal=Goal("P2", 0.60, 0.85))
            yield repeat(figure, runs, partial(_batch, redis, size))
            yield figure.detail("jobs/s", name, "jobs/s")
