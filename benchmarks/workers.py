"""Worker processes for benchmarks: started, asked for their accounts, and stopped over a pipe."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gqm
from gqm.loop import run_to_end

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from benchmarks.harness import Server

SPIN_S = 0.001
SLEEP_S = 0.02


@dataclass(frozen=True)
class Pool:
    """A pool of a worker process: slots, and the queues it reads."""

    slots: int = 10
    queues: tuple[str, ...] = ("default",)
    types: tuple[str, ...] = ("*",)


@dataclass(frozen=True)
class Account:
    """What a worker process says of itself."""

    cpu_s: float
    rss_mb: float
    threads: int
    runs: int
    """Handler starts."""
    twice: int
    """Runs beyond the first of each job."""
    failed: int
    """Runs that ended with an error on purpose."""


class Tally:
    """Counts what handlers did."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.failed = 0
        self._lock = threading.Lock()

    def note(self, job: gqm.Job) -> None:
        """Count a run."""
        with self._lock:
            self.seen[job.id] += 1

    def fail(self, job: gqm.Job) -> None:
        """Count a run and fail it."""
        self.note(job)
        with self._lock:
            self.failed += 1
        raise RuntimeError("on purpose")

    def account(self) -> Account:
        """Return the state of this process."""
        runs = self.seen.total()
        return Account(
            time.process_time(), rss_mb(), threading.active_count(), runs, runs - len(self.seen), self.failed
        )


def rss_mb(pid: int | str = "self") -> float:
    """Return the resident memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def handlers(tally: Tally) -> dict[str, Callable[[gqm.Job], object]]:
    """Return what jobs of the benchmarks do, by type."""

    async def noop(job: gqm.Job) -> None:
        pass

    async def count(job: gqm.Job) -> None:
        tally.note(job)

    async def fail(job: gqm.Job) -> None:
        tally.fail(job)

    def spin(job: gqm.Job) -> None:
        until = time.thread_time() + SPIN_S
        while time.thread_time() < until:
            pass

    async def sleep(job: gqm.Job) -> None:
        await asyncio.sleep(SLEEP_S)

    named = dict.fromkeys(("email", "payment", "report"), count)
    return {"noop": noop, "count": count, "fail": fail, "spin": spin, "sleep": sleep, **named}


def _main(address: str, pools: tuple[Pool, ...], pipe: Connection, options: dict[str, Any]) -> None:
    tally = Tally()
    logging.getLogger("gqm").setLevel(logging.CRITICAL)  # failures on purpose are no news

    async def serve() -> None:
        server = gqm.Server(address, **options)
        for type_, handler in handlers(tally).items():
            server.handle(type_, handler)
        for at, pool in enumerate(pools):
            server.pool(f"pool-{at}", list(pool.types), concurrency=pool.slots, queues=list(pool.queues))
        pipe.send("ready")
        await asyncio.to_thread(pipe.recv)
        await server.start()
        pipe.send("started")
        while await asyncio.to_thread(pipe.recv) != "stop":
            pipe.send(tally.account())
        await server.stop()
        pipe.send(tally.account())

    run_to_end(serve())


@dataclass
class Worker:
    """A worker process."""

    pid: int
    _pipe: Any = field(repr=False)
    _process: Any = field(repr=False)

    def start(self) -> None:
        """Let it take jobs."""
        self._pipe.send("start")
        assert self._pipe.recv() == "started"

    def account(self) -> Account:
        """Return what it says of itself."""
        return self._ask("account")

    def stop(self) -> Account:
        """Stop it in order and return its last account."""
        account = self._ask("stop")
        self._process.join(30)
        return account

    def _ask(self, word: str) -> Account:
        self._pipe.send(word)
        answer = self._pipe.recv()
        assert isinstance(answer, Account)
        return answer

    def end(self) -> None:
        """End it if it still runs."""
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


@contextmanager
def worker(redis: Server, *pools: Pool, start: bool = True, **options: object) -> Iterator[Worker]:
    """Run a worker process; yields it when it has started, or when it could start."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_main, args=(redis.address, pools or (Pool(),), theirs, options))
    process.start()
    theirs.close()
    assert process.pid is not None
    handle = Worker(process.pid, ours, process)
    try:
        if not ours.poll(60):
            raise TimeoutError("a worker process did not start")
        assert ours.recv() == "ready"
        if start:
            handle.start()
        yield handle
    finally:
        handle.end()


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process, by its kernel's ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Books:
    """Where the jobs of some queues are."""

    completed: int
    dead: int
    open: int

    @classmethod
    def of(cls, redis: Server, *queues: str) -> Books:
        """Count the jobs of queues."""
        sums = {"completed": 0, "dead_letter": 0, "processing": 0}
        waiting = int(redis.raw.zcard("gqm:scheduled"))
        for queue in queues or ("default",):
            for part in sums:
                sums[part] += int(redis.raw.zcard(f"gqm:queue:{queue}:{part}"))
            waiting += int(redis.raw.llen(f"gqm:queue:{queue}:ready"))
        return cls(sums["completed"], sums["dead_letter"], sums["processing"] + waiting)


def until(reached: Callable[[], bool], limit_s: float = 300.0, pause_s: float = 0.005) -> None:
    """Wait until something is so. Raises ``TimeoutError``."""
    deadline = time.monotonic() + limit_s
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not reached within {limit_s:g} s")
        time.sleep(pause_s)
