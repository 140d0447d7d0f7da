"""A child of a process pool: runs one job after the other, alone in a process that may be killed."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import faulthandler
import inspect
import multiprocessing.process
import multiprocessing.spawn
import os
import pickle
import resource
import signal
import sys
import threading
import traceback
from collections import deque
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, cast

from gqm.engine.attempt import current_job, describe, encode_result, never_ran, skips_retry, trace
from gqm.engine.handlers import is_async_callable
from gqm.engine.runners import records
from gqm.engine.runners.wire import (
    Cancel,
    Logged,
    NotReady,
    Progress,
    Quit,
    Raised,
    Ready,
    Returned,
    Run,
    SetUp,
    Taken,
    receive,
)
from gqm.job import MAX_RESULT, Job

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import FrameType

    from gqm.engine.handlers import Handler

REPORT_EVERY_S = 0.25
"""Progress is passed on so often; what is reported more often is replaced by the newest."""

_PR_SET_PDEATHSIG = 1
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Current:
    """The run of one job: what its `Job` knows of it."""

    def __init__(self, run: Run) -> None:
        self.number = run.number
        self.job = Job(run.fields, self)
        self.cancelled = False
        self.task: asyncio.Task[object] | None = None
        self.reports: deque[bytes] = deque(maxlen=1)

    def progress(self, text: bytes) -> None:
        """Keep the newest report; the listening thread passes it on."""
        self.reports.append(text)


class _Child:
    """The state of the process: its handlers, the job that runs, and who listens to the parent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._outbox: deque[bytes] = deque()
        self._writing = threading.Lock()
        self._jobs: asyncio.Queue[_Current | None] = asyncio.Queue()
        self._loop = asyncio.new_event_loop()
        self._current: _Current | None = None

    def send(self, message: object) -> None:
        """Send a message to the parent; any thread may, also from a destructor in the middle of a send."""
        self._outbox.append(pickle.dumps(message))
        # Whoever writes already writes this too; it may be this very thread, so nobody waits here.
        while self._outbox and self._writing.acquire(blocking=False):
            try:
                while self._outbox:
                    self._connection.send_bytes(self._outbox.popleft())
            finally:
                self._writing.release()

    def send_record(self, record: dict[str, object]) -> None:
        """Send a log record to the parent."""
        self.send(Logged(record))

    # ------------------------------------------------------------------- in a thread of its own

    def listen(self) -> None:
        """Take the parent's messages, so that a cancel is heard while a handler runs."""
        try:
            while True:
                current = self._current
                if self._connection.poll(None if current is None else REPORT_EVERY_S):
                    self._take(receive(self._connection))
                elif current is not None:
                    self._report(current)
        except (EOFError, OSError):
            # The parent is gone: whatever runs here is somebody else's job by now.
            os._exit(0)
        except BaseException:  # noqa: BLE001 - memory may be short; a process that hears nothing is of no use
            traceback.print_exc()
            os._exit(1)

    def _take(self, message: object) -> None:
        current = self._current
        if isinstance(message, Run):
            current = self._current = _Current(message)
            self.send(Taken(message.number))
            self._loop.call_soon_threadsafe(self._jobs.put_nowait, current)
        elif isinstance(message, Cancel):
            if current is not None and current.number == message.number:
                current.cancelled = True
                self._loop.call_soon_threadsafe(_cancel_task, current)
        elif isinstance(message, Quit):
            self._loop.call_soon_threadsafe(self._jobs.put_nowait, None)

    def _report(self, current: _Current) -> None:
        if current.reports:
            self.send(Progress(current.reports.popleft()))

    # ------------------------------------------------------------------------ in the main thread

    def serve(self, handlers: dict[str, Handler]) -> None:
        """Run jobs until the parent says quit."""
        asyncio.set_event_loop(self._loop)
        self.send(Ready(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
        while (current := self._loop.run_until_complete(self._jobs.get())) is not None:
            answer = self._run(handlers[current.job.type], current)
            self._current = None
            self.send(answer)
        self._loop.close()

    def _run(self, function: Handler, current: _Current) -> Returned | Raised:
        known = current_job.set(current.job)
        try:
            if is_async_callable(function):
                value = self._awaited(cast("Awaitable[object]", function(current.job)), current)
            else:
                value = function(current.job)
                if inspect.isawaitable(value):
                    raise never_ran(value)
            return Returned(*encode_result(value))
        except BaseException as exc:  # noqa: BLE001 - whatever a handler raises is told to the parent
            return Raised(describe(exc), trace(exc), skips_retry(exc), _pickled(exc))
        finally:
            current_job.reset(known)
            with contextlib.suppress(OSError, ValueError):  # the handler may have closed it
                sys.stdout.flush()

    def _awaited(self, awaitable: Awaitable[object], current: _Current) -> object:
        current.task = self._loop.create_task(_as_coroutine(awaitable))
        if current.cancelled:
            current.task.cancel()
        return self._loop.run_until_complete(current.task)


async def _as_coroutine(awaitable: Awaitable[object]) -> object:
    return await awaitable


def _cancel_task(current: _Current) -> None:
    if current.task is not None:
        current.task.cancel()


def _pickled(exc: BaseException) -> bytes:
    """Pickle an exception if it comes back the same; many do not, by the arguments of their constructors."""
    try:
        raw = pickle.dumps(exc)
        if len(raw) <= MAX_RESULT and type(pickle.loads(raw)) is type(exc):
            return raw
    except Exception:  # noqa: BLE001 - foreign code, and the text of the exception is sent anyway
        return b""
    return b""


# ------------------------------------------------------------------------------------- the program


def main(descriptor: int, parent: int) -> None:
    """Serve the parent process of that id, over a socket that is open under that descriptor."""
    _die_with(parent)
    os.set_inheritable(descriptor, False)  # programs that handlers start have no part in it
    connection = Connection(descriptor)
    _set_signals(connection)
    try:
        set_up = receive(connection)
    except (EOFError, OSError):
        return
    assert isinstance(set_up, SetUp)
    child = _Child(connection)
    records.set_up(child.send_record, set_up.log_levels)
    try:
        handlers = _load(set_up)
    except BaseException as exc:  # noqa: BLE001 - importing runs foreign code; the parent decides what follows
        child.send(NotReady(describe(exc), trace(exc)))
        raise SystemExit(1) from None
    threading.Thread(target=child.listen, name="gqm parent", daemon=True).start()
    child.serve(handlers)


def _load(set_up: SetUp) -> dict[str, Handler]:
    # While this is set, a main program that starts processes whenever it is imported is told so.
    process = multiprocessing.process.current_process()
    process._inheriting = True  # type: ignore[attr-defined]  # as `multiprocessing.spawn` does it
    try:
        multiprocessing.spawn.prepare(set_up.main)
        return cast("dict[str, Handler]", pickle.loads(set_up.handlers))
    finally:
        del process._inheriting  # type: ignore[attr-defined]


def _set_signals(connection: Connection) -> None:
    """Let the parent alone decide when to stop, also when a signal goes to all processes of a service."""
    for number in _STOP_SIGNALS:
        # A function and not SIG_IGN, which the programs that a handler starts would inherit.
        signal.signal(number, _leave_it_to_the_parent)
    faulthandler.enable(all_threads=False)
    # The parent asks for the stack of what hangs by SIGUSR1, then by SIGUSR2. Code in Python is interrupted
    # between two instructions and answers the first; only code that blocks Python is left for the second,
    # whose handler reads the stack from outside and must not meet one that is just changing.
    signal.signal(signal.SIGUSR1, _write_stack)
    faulthandler.register(signal.SIGUSR2, all_threads=False)

    def in_fork() -> None:
        # A process that a handler forks is none of the pool's: it must not keep the connection open.
        connection.close()
        records.forget()
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    os.register_at_fork(after_in_child=in_fork)


def _write_stack(number: int, frame: FrameType | None) -> None:
    """Write the stack in the form of faulthandler, and ask for no second one."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    lines = ["Stack (most recent call first):\n"]
    while frame is not None:
        code = frame.f_code
        lines.append(f'  File "{code.co_filename}", line {frame.f_lineno} in {code.co_name}\n')
        frame = frame.f_back
    os.write(2, "".join(lines).encode("utf-8", "backslashreplace"))


def _leave_it_to_the_parent(number: int, frame: FrameType | None) -> None:
    """Do nothing."""


def _die_with(parent: int) -> None:
    """Ask Linux to kill this process with the thread that made it, even while a handler blocks Python."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before that
        os._exit(0)
