"""What the programs of all queues share: what a job does, and how jobs are enqueued and timed.

Runs in the virtual environment of each queue, so it imports the standard library only.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
import time
from collections.abc import Awaitable, Callable

REDIS = os.environ.get("BENCH_REDIS", "redis://127.0.0.1:6379/0")
"""URL of the server."""
BEST = os.environ.get("BENCH_SETTING") != "default"
"""Whether the settings are those found to be the fastest."""
SLOTS = int(os.environ.get("BENCH_SLOTS", "0"))
"""Jobs at a time, where the work needs a certain number; 0 = as the setting says."""
SLEEP_S = 0.02
PICKUP_PAUSE_S = 0.1


@functools.cache
def _file() -> int:
    return os.open(os.environ["BENCH_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def mark(kind: str) -> None:
    """Note that a job was run: one byte, or when it was started."""
    os.write(_file(), f"{time.perf_counter():.6f}\n".encode() if kind == "pickup" else b".")


def work(kind: str) -> None:
    """Do what a job of a kind does."""
    if kind == "sleep":
        time.sleep(SLEEP_S)
    mark(kind)


async def work_async(kind: str) -> None:
    """Do what a job of a kind does, on an event loop."""
    if kind == "sleep":
        await asyncio.sleep(SLEEP_S)
    mark(kind)


def main(enqueue: Callable[[str], object]) -> None:
    """Enqueue jobs one by one as the command line says (KIND NUMBER) and print the seconds, or the times."""
    kind, number = sys.argv[1], int(sys.argv[2])
    begun = time.perf_counter()
    for _ in range(number):
        if kind == "pickup":
            print(f"{time.perf_counter():.6f}")
        enqueue(kind)
        if kind == "pickup":
            time.sleep(PICKUP_PAUSE_S)
    if kind != "pickup":
        print(time.perf_counter() - begun)


async def main_async(enqueue: Callable[[str], Awaitable[object]]) -> None:
    """Do as `main`, for a producer on an event loop."""
    kind, number = sys.argv[1], int(sys.argv[2])
    begun = time.perf_counter()
    for _ in range(number):
        if kind == "pickup":
            print(f"{time.perf_counter():.6f}")
        await enqueue(kind)
        if kind == "pickup":
            await asyncio.sleep(PICKUP_PAUSE_S)
    if kind != "pickup":
        print(time.perf_counter() - begun)
