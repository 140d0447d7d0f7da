"""Handlers for servers in processes of their own; each run leaves a line in a list beside the key space."""

from __future__ import annotations

import asyncio
import os
import time

import redis

import gqm


class Diary:
    """Which jobs started and ended where, in a Redis list that tests read."""

    def __init__(self, socket: str, prefix: str) -> None:
        self._client = redis.Redis(unix_socket_path=socket, protocol=2)
        self.key = f"{prefix}test:diary"

    def write(self, what: str, job_id: str) -> None:
        """Add a line."""
        self._client.rpush(self.key, f"{what} {job_id} {os.getpid()}")

    def lines(self, what: str) -> list[tuple[str, int]]:
        """Return id and pid of all lines of a kind."""
        words = [line.decode().split() for line in self._client.lrange(self.key, 0, -1)]  # type: ignore[union-attr]
        return [(job_id, int(pid)) for kind, job_id, pid in words if kind == what]

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def diary() -> Diary:
    """Return the diary of this process's test."""
    return Diary(os.environ["GQM_TEST_SOCKET"], os.environ["GQM_TEST_PREFIX"])


def _seconds(job: gqm.Job) -> float:
    seconds = job.payload["s"]
    assert isinstance(seconds, int | float)
    return seconds


@gqm.handler("sleep")
def sleep(job: gqm.Job) -> None:
    """Take some time, whatever happens."""
    diary().write("start", job.id)
    time.sleep(_seconds(job))
    diary().write("end", job.id)


@gqm.handler("nap")
async def nap(job: gqm.Job) -> None:
    """Take some time on the event loop, and let itself be cancelled."""
    diary().write("start", job.id)
    try:
        await asyncio.sleep(_seconds(job))
    except asyncio.CancelledError:
        diary().write("cancelled", job.id)
        raise
    diary().write("end", job.id)


@gqm.handler("block")
async def block_the_loop(job: gqm.Job) -> None:
    """Block the event loop, as careless code does."""
    diary().write("start", job.id)
    time.sleep(_seconds(job))  # noqa: ASYNC251 - that is the mistake
    diary().write("end", job.id)


@gqm.handler("deaf")
async def deaf(job: gqm.Job) -> None:
    """Ignore every cancellation."""
    diary().write("start", job.id)
    until = time.monotonic() + _seconds(job)
    while time.monotonic() < until:
        try:
            await asyncio.sleep(until - time.monotonic())
        except asyncio.CancelledError:
            continue


@gqm.handler("note")
def note(job: gqm.Job) -> None:
    """Just say that it ran."""
    diary().write("start", job.id)
