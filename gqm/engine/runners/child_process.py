"""One warm process of a pool, as the engine sees it: its start, its messages, its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing.spawn
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, cast

from gqm.engine.runners import records
from gqm.engine.runners.stderr import Stderr
from gqm.engine.runners.wire import (
    Cancel,
    Frames,
    Logged,
    NotReady,
    NotStarted,
    Origin,
    ProcessDied,
    Progress,
    Quit,
    Raised,
    Ready,
    Remote,
    Returned,
    Run,
    SetUp,
    Taken,
    frame,
)

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from typing import IO

    from gqm.engine.attempt import Attempt

log = logging.getLogger("gqm.engine")

STACK_S = 0.1
"""What a process gets to write its Python stack before it is killed."""
REAP_S = 1.0
"""How long a killed process is waited for; only one that hangs in the kernel takes longer."""
LAST_WORDS_S = 0.2
"""How long the rest of stderr is waited for after the end."""


class ChildProcess(asyncio.Protocol):
    """A process that runs one job at a time. Only its making happens in another thread than the loop's."""

    def __init__(self, pool: str, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        self.runs = 0
        """Jobs that it was given so far."""
        self.doomed = False
        """Whether it was killed or told to quit: it must not be given another job."""
        self.died_idle = False
        """Whether it ended without being told to and without a job that it could have ended by."""
        self._pool = pool
        self._process = process
        self._frames = Frames()
        self._stderr = Stderr(pool, process.pid)
        self._transport: asyncio.WriteTransport | None = None
        self._killed = False
        self._base_peak = 0
        self._attempt: Attempt | None = None
        self._taken = False
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = loop.create_future()
        self._answer: asyncio.Future[Returned | Raised] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()

    @classmethod
    async def start(cls, pool: str, set_up: SetUp, maker: Executor) -> ChildProcess:
        """Start a process in the thread of ``maker``; it imports its handlers while the caller goes on."""
        loop = asyncio.get_running_loop()
        process, ours = await loop.run_in_executor(maker, _spawn, set_up)
        child = cls(pool, process)
        stderr = cast("IO[bytes]", process.stderr)
        try:
            await loop.connect_read_pipe(lambda: child._stderr, stderr)
            await loop.create_unix_connection(lambda: child, sock=ours)
        except BaseException:
            process.kill()
            process.wait()
            stderr.close()
            ours.close()
            raise
        child._send(set_up)
        return child

    # ------------------------------------------------------------------------------ its messages

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to the process."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what the process sends."""
        try:
            messages = self._frames.feed(data)
        except ValueError as exc:
            log.error("pool %r: %s; it is ended", self._pool, exc)
            self.kill()
            return
        for message in messages:
            self._receive(message)

    def _receive(self, message: object) -> None:
        attempt = self._attempt
        match message:
            case Logged():
                records.replay(message.record, self._pool, attempt.job if attempt else None)
            case Taken(number):
                self._taken = number == self.runs
            case Progress(text):
                if attempt is not None:
                    attempt.progress(text)
            case Returned() | Raised():
                if self._answer is not None and not self._answer.done():
                    self._answer.set_result(message)
            case Ready() | NotReady():
                self._started(message)

    def _started(self, message: Ready | NotReady) -> None:
        if self._ready.done():
            return
        if isinstance(message, Ready):
            self._base_peak = message.peak
            self._ready.set_result(None)
        else:
            self.doomed = True
            self._ready.set_exception(ProcessDied(message.text, message.traceback, killed=False))

    def connection_lost(self, exc: Exception | None) -> None:
        """The process is gone, or as good as gone: without this connection it is of no use."""
        self.died_idle = not self.doomed and not (self.busy and self._taken)
        self.doomed = True
        self._ending = asyncio.get_running_loop().create_task(self._end())

    def _send(self, message: object) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame(message))

    # ------------------------------------------------------------------------- what it is asked

    @property
    def busy(self) -> bool:
        """Whether it runs a job."""
        return self._attempt is not None

    @property
    def usable(self) -> bool:
        """Whether it has imported its handlers, and neither ended nor been told to."""
        return self._ready.done() and not self.doomed

    async def ready(self) -> None:
        """Wait until the handlers are imported. Raises `ProcessDied` if that fails."""
        await self._ready

    async def run(self, attempt: Attempt) -> Returned:
        """Run a job to its end.

        Raises what the handler raised, `ProcessDied`, or `NotStarted` if the process was gone before it had
        the job.
        """
        if self.doomed:
            raise NotStarted
        self.runs += 1
        self._attempt, self._taken = attempt, False
        self._stderr.job_id = attempt.claim.id
        self._answer = asyncio.get_running_loop().create_future()
        try:
            self._send(Run(self.runs, attempt.claim.fields))
            answer = await self._answer
        except asyncio.CancelledError:
            self.kill()  # nobody waits for the job any more, and it cannot be taken back
            raise
        finally:
            self._attempt = self._answer = None
            self._stderr.job_id = ""
        if isinstance(answer, Raised):
            raise _revived(answer)
        return answer

    def cancel(self) -> None:
        """Tell the running handler to stop."""
        self._send(Cancel(self.runs))

    def quit(self) -> None:
        """Let the process exit; what it registered with ``atexit`` runs."""
        self.doomed = True
        self._send(Quit())

    def kill(self, *, after_stack: bool = False) -> None:
        """End the process; ``after_stack`` gives it a moment to write its Python stack to stderr first."""
        self.doomed = self._killed = True
        if after_stack:
            loop = asyncio.get_running_loop()
            self._signal(signal.SIGUSR1)  # to Python code, then to what blocks it
            loop.call_later(STACK_S / 2, self._signal, signal.SIGUSR2)
            loop.call_later(STACK_S, self._kill_now)
        else:
            self._kill_now()

    def _kill_now(self) -> None:
        self._signal(signal.SIGKILL, group=True)
        # What the handler started may hold the other end open: the end is not waited for.
        if self._transport is not None:
            self._transport.abort()

    def _signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal, unless the id may be another process's already."""
        if self._process.returncode is not None:
            return
        for send in (os.killpg, os.kill) if group else (os.kill,):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                send(self.pid, number)

    # ----------------------------------------------------------------------------------- its end

    async def ended(self) -> None:
        """Wait until the process is gone and has been buried."""
        await self._ended.wait()

    async def _end(self) -> None:
        self._signal(signal.SIGKILL, group=True)  # does nothing to a process that is exiting by itself
        code, peak = await self._reap()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._stderr.closed.wait()
        self._stderr.close()
        death = ProcessDied(
            f"worker process exited: {code}", f"{peak}\n{self._stderr.last_words()}", killed=self._killed
        )
        if not self._ready.done():
            self._ready.set_exception(death)
        if not self._ready.cancelled():
            self._ready.exception()  # somebody may have stopped waiting for it
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(death if self._taken else NotStarted())
        self._ended.set()

    async def _reap(self) -> tuple[str, str]:
        """Wait for the process; return how it ended and what memory it had used."""
        until, pause_s = time.monotonic() + REAP_S, 0.001
        while time.monotonic() < until:
            try:
                pid, status, usage = os.wait4(self.pid, os.WNOHANG)  # noqa: ASYNC222 - it does not block
            except ChildProcessError:  # somebody else in this program has waited for all children
                self._process.returncode = 0
                return "code unknown", "peak memory unknown"
            if pid:
                code = self._process.returncode = os.waitstatus_to_exitcode(status)
                return exit_text(code), self._peak_text(usage.ru_maxrss)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 0.05)
        log.error("pool %r: worker process %d does not go away although it was killed", self._pool, self.pid)
        return "SIGKILL", "peak memory unknown"

    def _peak_text(self, peak: int) -> str:
        # What the process inherited of the engine's own peak hides what it used below that.
        below = "below " if peak <= self._base_peak else ""
        peak_bytes = peak if sys.platform == "darwin" else peak * 1024
        return f"peak memory {below}{peak_bytes / 1_048_576:.0f} MiB"


def exit_text(code: int) -> str:
    """Return the name of the signal that ended a process, or its exit code."""
    if code >= 0:
        return f"code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _spawn(set_up: SetUp) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = subprocess.Popen(
                [multiprocessing.spawn.get_executable(), "-c", _program(set_up, theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
    ours.setblocking(False)
    return process, ours


def _program(set_up: SetUp, descriptor: int) -> str:
    # The path comes first: the child must find the same package as this process.
    return (
        f"import sys; sys.path[:] = {set_up.main['sys_path']!r}; "
        f"from gqm.engine.runners.child import main; main({descriptor}, {os.getpid()})"
    )


def _revived(message: Raised) -> BaseException:
    """Return the child's exception, or one that stands for it, with what it looked like there."""
    exc: BaseException = Remote(message.text)
    if message.error:
        try:
            exc = cast("BaseException", pickle.loads(message.error))
        except Exception:  # noqa: BLE001 - foreign code; the text says what was raised
            log.debug("an exception of a worker process could not be brought over")
    if isinstance(exc, StopIteration | StopAsyncIteration | GeneratorExit):
        exc = Remote(message.text)  # coroutines give these a meaning of their own
    # Not by assignment: the class of an exception may forbid that, as frozen dataclasses do.
    object.__setattr__(exc, "__gqm_origin__", Origin(message.text, message.traceback, message.skip_retry))
    return exc
