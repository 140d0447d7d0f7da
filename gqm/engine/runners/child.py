"""A child of a process pool: runs one job after the other, alone in a process that may be killed."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import faulthandler
import multiprocessing.spawn
import os
import pickle
import signal
import sys
import threading
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, cast

from gqm.engine.attempt import current_job, describe, encode_result, skips_retry, trace
from gqm.engine.handlers import is_async_callable
from gqm.engine.runners.wire import Cancel, Progress, Raised, Ready, Returned, Run, SetUp, receive, send
from gqm.job import Job

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from gqm.engine.handlers import Handler

_PR_SET_PDEATHSIG = 1


class _Child:
    """The state of the process: its handlers, the job that runs, and who listens to the parent."""

    def __init__(self, connection: Connection, handlers: dict[str, Handler]) -> None:
        self._connection = connection
        self._handlers = handlers
        self._writing = threading.Lock()
        self._jobs: asyncio.Queue[Run] = asyncio.Queue()
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[object] | None = None
        self.cancelled = False

    def progress(self, text: bytes) -> None:
        """Pass a progress report on; `Job` calls it."""
        self._send(Progress(text))

    def _send(self, message: object) -> None:
        with self._writing:
            send(self._connection, message)

    def listen(self) -> None:
        """Take the parent's messages in a thread, so that a cancel is heard while a handler runs."""
        try:
            while True:
                message = receive(self._connection)
                if isinstance(message, Cancel):
                    self.cancelled = True
                    self._loop.call_soon_threadsafe(self._cancel_task)
                elif isinstance(message, Run):
                    self._loop.call_soon_threadsafe(self._jobs.put_nowait, message)
        except (EOFError, OSError):
            # The parent is gone: whatever runs here is somebody else's job by now.
            os._exit(0)

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def serve(self) -> None:
        """Run jobs until the parent closes the connection."""
        asyncio.set_event_loop(self._loop)
        self._send(Ready())
        while True:
            run = self._loop.run_until_complete(self._jobs.get())
            self.cancelled = False
            self._send(self._run(run))

    def _run(self, run: Run) -> Returned | Raised:
        job = Job(run.fields, self)
        function = self._handlers[job.type]
        current_job.set(job)
        try:
            if is_async_callable(function):
                self._task = self._loop.create_task(_awaited(cast("Awaitable[object]", function(job))))
                value = self._loop.run_until_complete(self._task)
            else:
                value = function(job)
        except BaseException as exc:  # noqa: BLE001 - whatever a handler raises is told to the parent
            return Raised(describe(exc), trace(exc), skips_retry(exc), _pickled(exc))
        finally:
            self._task = None
            sys.stdout.flush()
        return Returned(*encode_result(value))


async def _awaited(awaitable: Awaitable[object]) -> object:
    return await awaitable


def _pickled(exc: BaseException) -> bytes:
    """Pickle an exception if it comes back the same; many do not, by the arguments of their constructors."""
    try:
        raw = pickle.dumps(exc)
        if type(pickle.loads(raw)) is type(exc):
            return raw
    except Exception:  # noqa: BLE001 - foreign code, and the text of the exception is sent anyway
        return b""
    return b""


def main() -> None:
    """Serve the parent; its socket is the descriptor named by the only argument."""
    _die_with_parent()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the parent decides, also when a terminal signals the group
    faulthandler.enable(all_threads=False)
    faulthandler.register(signal.SIGUSR1, all_threads=False)  # the parent asks so for the stack of what hangs
    connection = Connection(int(sys.argv[1]))
    sys.argv[1:] = []
    try:
        set_up = receive(connection)
    except (EOFError, OSError):
        return
    assert isinstance(set_up, SetUp)
    multiprocessing.spawn.prepare(set_up.main)
    child = _Child(connection, pickle.loads(set_up.handlers))
    threading.Thread(target=child.listen, name="gqm parent", daemon=True).start()
    child.serve()


def _die_with_parent() -> None:
    """Ask Linux to kill this process with the thread that made it, even while a handler blocks Python."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    # Run the copy that other modules import, not this one: pickles name classes by their modules.
    from gqm.engine.runners import child

    child.main()
