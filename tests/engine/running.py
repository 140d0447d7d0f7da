"""A server that runs beside a test: its event loop lives in a thread, the test goes on in its own."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import gqm
from gqm.engine.core import Engine, Summary
from tests.support.wait import eventually

__all__ = ["Running", "alive", "children", "freeze", "running"]

T = TypeVar("T")


class Running:
    """A server on an event loop of its own."""

    def __init__(self, server: gqm.Server) -> None:
        self.server = server
        self.summary: Summary | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="test server")
        self._thread.start()
        try:
            self._started.result(timeout=20)
        except BaseException:
            self._thread.join(timeout=20)
            raise

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await self.server.start()
        except BaseException as exc:  # noqa: BLE001 - it is raised in the thread of the test
            self._started.set_exception(exc)
            return
        self._started.set_result(None)
        await self.server.wait_stop()
        self.summary = await self.server.stop()

    @property
    def engine(self) -> Engine:
        """The running engine."""
        assert self.server.engine is not None
        return self.server.engine

    def call(self, function: Callable[[], T]) -> T:
        """Call a function on the loop."""
        assert self._loop is not None
        answer: Future[T] = Future()
        self._loop.call_soon_threadsafe(lambda: answer.set_result(function()))
        return answer.result(timeout=10)

    def pool_record(self, pool: str) -> dict[str, str | int]:
        """What the engine says about a pool."""
        records = self.call(self.engine.pool_records)
        return next(record for _, record in records if record["pool"] == pool)

    def warm_up(self) -> None:
        """Wait until all pools have a warm process for each slot."""
        slots = [pool.slots for pool in self.engine._pools]
        eventually(lambda: self.call(lambda: not any(item.held for item in slots)), 20)

    def stop(self) -> Summary:
        """Stop the server as a signal does."""
        if self._thread.is_alive() and self._loop is not None:
            self._loop.call_soon_threadsafe(self.server.ask_stop)
        self._thread.join(timeout=30)
        assert self.summary is not None, "the server did not stop"
        return self.summary


@contextmanager
def running(server: gqm.Server) -> Iterator[Running]:
    """Run a server for the length of a ``with`` block."""
    run = Running(server)
    try:
        yield run
    finally:
        run.stop()


def children(pid: int | None = None) -> set[int]:
    """Ids of the processes that a process (this one) has started and that are not reaped."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid or os.getpid()}/task").iterdir():
        try:
            found.update(
                int(child) for child in (task / "children").read_text().split() if not _is_other(child)
            )
        except OSError:  # a thread that has just ended
            continue
    return found


# Other children that a test process may have from earlier tests: its server, multiprocessing's tracker.
_OTHERS = (b"valkey", b"redis-server", b"resource_tracker")


def _is_other(pid: str) -> bool:
    """Whether a process is none that the tests of this folder start."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return any(name in line for name in _OTHERS)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def freeze(pid: int) -> None:
    """Stop a process without ending it, and wait until none of its threads runs any more."""
    os.kill(pid, signal.SIGSTOP)
    tasks = list(Path(f"/proc/{pid}/task").iterdir())

    def stopped() -> bool:
        return all((task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks)

    eventually(stopped, message=f"process {pid} is stopped")
