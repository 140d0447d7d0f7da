"""Warm processes that run one handler at a time; what kills one of them costs only its own job."""

from __future__ import annotations

import logging
import multiprocessing.spawn
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import TYPE_CHECKING, cast

from gqm.engine.runners.thread import in_thread
from gqm.engine.runners.wire import (
    Cancel,
    Origin,
    ProcessDied,
    Progress,
    Raised,
    Ready,
    Remote,
    Returned,
    Run,
    SetUp,
    receive,
    send,
)
from gqm.errors import RegistrationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO

    from gqm.engine.attempt import Attempt
    from gqm.engine.handlers import HandlerSpec
    from gqm.engine.runners.thread import Threads

log = logging.getLogger("gqm.engine")

STDERR_LINES = 40
RESPAWN_PAUSE_S = 1.0
STACK_S = 0.05


class Child:
    """One warm process."""

    def __init__(self, name: str, set_up: bytes) -> None:
        """Start the process; it imports its handlers while the caller goes on."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gqm.engine.runners.child", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self._connection = Connection(ours.detach())
        self._connection.send_bytes(set_up)
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._reader = threading.Thread(target=self._read_stderr, name=f"gqm {name} stderr", daemon=True)
        self._reader.start()
        self._killed = False
        self._ended = threading.Lock()
        self._status: tuple[int, int] | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def _read_stderr(self) -> None:
        stream = cast("IO[bytes]", self._process.stderr)
        for line in stream:
            text = line.decode("utf-8", "replace")
            self._stderr.append(text)
            sys.stderr.write(text)

    def wait_ready(self) -> None:
        """Wait until the handlers are imported. Raises `ProcessDied` if that fails."""
        try:
            message = receive(self._connection)
        except (EOFError, OSError):
            raise self._death() from None
        assert isinstance(message, Ready)

    def run(self, attempt: Attempt) -> Returned:
        """Run a job to its end. Raises what the handler raised, or `ProcessDied`."""
        try:
            send(self._connection, Run(attempt.claim.fields))
            while True:
                message = receive(self._connection)
                if isinstance(message, Progress):
                    attempt.progress(message.text)
                elif isinstance(message, Returned):
                    return message
                elif isinstance(message, Raised):
                    raise _revived(message)
        except (EOFError, OSError, pickle.UnpicklingError):
            raise self._death() from None

    def cancel(self) -> None:
        """Tell the handler to stop."""
        try:
            send(self._connection, Cancel())
        except OSError:
            log.debug("process %d ended before it could be told to stop", self.pid)

    def kill(self, *, after_stack: bool = False) -> None:
        """End the process; ``after_stack`` gives it a moment to write its Python stack to stderr first."""
        self._killed = True
        if after_stack:
            self._process.send_signal(signal.SIGUSR1)
            threading.Timer(STACK_S, self._process.kill).start()
        else:
            self._process.kill()

    def _death(self) -> ProcessDied:
        with self._ended:
            if self._status is None:
                _, status, usage = os.wait4(self.pid, 0)
                self._process.returncode = os.waitstatus_to_exitcode(status)
                self._status = (self._process.returncode, usage.ru_maxrss)
        code, peak = self._status
        self._reader.join(timeout=1.0)
        self._connection.close()
        peak_bytes = peak if sys.platform == "darwin" else peak * 1024
        lines = "".join(self._stderr) or "(nothing)\n"
        details = f"peak memory {peak_bytes / 1_048_576:.0f} MiB\nlast lines of stderr:\n{lines}"
        return ProcessDied(f"worker process exited: {_exit_text(code)}", details, killed=self._killed)


def _exit_text(code: int) -> str:
    if code >= 0:
        return f"code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _revived(message: Raised) -> BaseException:
    """Return the child's exception, or one that stands for it, with what it looked like there."""
    exc: BaseException = Remote(message.text)
    if message.error:
        try:
            exc = cast("BaseException", pickle.loads(message.error))
        except Exception:  # noqa: BLE001 - foreign code; the text says what was raised
            log.debug("an exception of a worker process could not be brought over")
    exc.__gqm_origin__ = Origin(message.text, message.traceback, message.skip_retry)  # type: ignore[attr-defined]
    return exc


class Children:
    """Keeps as many warm processes as the pool has slots."""

    def __init__(self, name: str, slots: int, set_up: bytes) -> None:
        self._name = name
        self._slots = slots
        self._set_up = set_up
        self._idle: SimpleQueue[Child | None] = SimpleQueue()
        self._wanted: SimpleQueue[bool] = SimpleQueue()
        self._all: set[Child] = set()
        self._closed = threading.Event()
        for _ in range(slots):
            self._wanted.put(True)
        # One thread makes all of them and lives as long as the pool: Linux ends a child with the thread
        # that made it.
        threading.Thread(target=self._raise_all, name=f"gqm {name} processes", daemon=True).start()

    def _raise_all(self) -> None:
        while self._wanted.get():
            try:
                child = Child(self._name, self._set_up)
                self._all.add(child)
                child.wait_ready()
            except (ProcessDied, OSError) as exc:
                if self._closed.is_set():
                    return
                log.error("pool %r: a worker process could not start: %s", self._name, exc)
                if self._closed.wait(RESPAWN_PAUSE_S):
                    return
                self._wanted.put(True)
            else:
                self._idle.put(child)

    def take(self) -> Child:
        """Wait for a warm process. Raises `ProcessDied` once the pool is stopping."""
        child = self._idle.get()
        if child is None:
            raise ProcessDied("worker process exited: the pool is stopping", "", killed=True)
        return child

    def give(self, child: Child) -> None:
        """Give back a process that can take the next job."""
        self._idle.put(child)

    def died(self, child: Child) -> None:
        """Replace a process that is gone."""
        self._all.discard(child)
        self._wanted.put(True)

    def close(self) -> None:
        """End all processes."""
        self._closed.set()
        self._wanted.put(False)
        for _ in range(self._slots):
            self._idle.put(None)
        for child in list(self._all):
            child.kill()


class ProcessRunner:
    """Runs handlers in warm processes: told to stop at the deadline, killed soon after."""

    max_grace_s = 1.0

    def __init__(self, name: str, slots: int, specs: Sequence[HandlerSpec], threads: Threads) -> None:
        """Start the processes. Raises `RegistrationError` if they could not import a handler."""
        set_up = _pickled_set_up(name, {spec.type: spec.function for spec in specs})
        self._children = Children(name, slots, set_up)
        self._threads = threads
        self._running: dict[Attempt, Child] = {}

    async def run(self, attempt: Attempt) -> object:
        """Run the handler in a process; a thread waits for it."""
        return await in_thread(self._threads, attempt, lambda: self._run(attempt))

    def _run(self, attempt: Attempt) -> Returned:
        child = self._children.take()
        self._running[attempt] = child
        try:
            if attempt.stop is not None:
                child.cancel()
            returned = child.run(attempt)
        except ProcessDied:
            self._children.died(child)
            raise
        except BaseException:
            self._children.give(child)
            raise
        else:
            self._children.give(child)
            return returned
        finally:
            del self._running[attempt]

    def tell_stop(self, attempt: Attempt) -> None:
        """Cancel an async handler, set ``job.cancelled`` of a `def` one."""
        child = self._running.get(attempt)
        if child is not None:
            child.cancel()

    def end(self, attempt: Attempt) -> bool:
        """Kill the process."""
        child = self._running.get(attempt)
        if child is not None:
            child.kill(after_stack=True)
        return True

    def close(self) -> None:
        """End all processes."""
        self._children.close()


def _pickled_set_up(pool: str, handlers: Mapping[str, object]) -> bytes:
    main = multiprocessing.spawn.get_preparation_data("gqm child")
    main.pop("authkey", None)  # not needed, and it refuses to be pickled
    if not any(getattr(function, "__module__", "") == "__main__" for function in handlers.values()):
        # Nothing is looked for in the main program, so it need not be imported again.
        main.pop("init_main_from_name", None)
        main.pop("init_main_from_path", None)
    for type_, function in handlers.items():
        try:
            pickle.dumps(function)
        except (pickle.PicklingError, AttributeError, TypeError) as exc:
            raise RegistrationError(
                f'pool {pool!r} has isolation "process", but its processes cannot import the handler of '
                f"{type_!r}: {exc}; define it at the top of a module"
            ) from None
    return pickle.dumps(SetUp(main, pickle.dumps(dict(handlers))))
