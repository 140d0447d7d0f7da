"""`def` handlers: run in threads, one per slot, which are replaced when a handler does not come back."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqm.engine.attempt import Attempt

log = logging.getLogger("gqm.engine")


class Work(Protocol):
    """Something to be done in a thread."""

    def run(self) -> None:
        """Do it; called in a thread, must not raise."""

    def done(self) -> None:
        """Called on the loop after `run` came back, unless the work was abandoned."""

    def came_back(self) -> None:
        """Called on the loop instead of `done` if the work was abandoned meanwhile."""


class Threads:
    """Runs pieces of work in at most ``slots`` daemon threads and tells the loop about them in batches.

    Threads take the next piece by themselves, so a short handler costs no switch to the loop and back.
    """

    def __init__(self, name: str, slots: int) -> None:
        self._name = name
        self._slots = slots
        self._inbox: SimpleQueue[Work | None] = SimpleQueue()
        self._outbox: deque[Work] = deque()
        self._loop_called = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads = 0
        self._busy: dict[Work, bool] = {}
        """Work that a thread is at. Who pops it, in one step, decides whether it ended or was abandoned."""
        self._abandoned: set[Work] = set()

    def submit(self, work: Work) -> None:
        """Hand work to the threads; they are started as they are needed. Call it on the loop."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._inbox.put(work)
        if self._threads < self._slots:
            self._spawn()

    def waiting(self) -> int:
        """Return how much work no thread has taken yet."""
        return self._inbox.qsize()

    def take_back(self) -> list[Work]:
        """Take all work that no thread has taken yet, in order."""
        taken: list[Work] = []
        while True:
            try:
                work = self._inbox.get_nowait()
            except Empty:
                return taken
            if work is not None:
                taken.append(work)

    def abandon(self, work: Work) -> None:
        """Give up on the thread that is busy with this work; another one takes its slot.

        Nothing happens if the work has ended already and the loop is only still to be told.
        """
        if self._busy.pop(work, False):
            self._abandoned.add(work)
            self._spawn()

    def close(self) -> None:
        """Let idle threads end; those that never come back end with the process."""
        for _ in range(self._threads):
            self._inbox.put(None)

    def _spawn(self) -> None:
        self._threads += 1
        # Daemon: a handler that ignores its deadline must not keep the process alive.
        threading.Thread(target=self._main, name=f"gqm {self._name}", daemon=True).start()

    def _main(self) -> None:
        while (work := self._inbox.get()) is not None:
            self._busy[work] = True
            work.run()
            ours = self._busy.pop(work, False)
            self._outbox.append(work)
            if not self._loop_called:
                self._loop_called = True
                self._call_loop()
            if not ours:
                return  # the slot has another thread by now

    def _call_loop(self) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:  # the loop is closed: the process is ending, and the claim will be recovered
            log.debug("a handler ended after the event loop was closed")

    def _drain(self) -> None:
        # First the flag, then the work: what comes in between calls the loop once more.
        self._loop_called = False
        outbox = self._outbox
        while outbox:
            work = outbox.popleft()
            if work in self._abandoned:
                self._abandoned.discard(work)
                self._threads -= 1
                work.came_back()
            else:
                work.done()


class ThreadRunner:
    """Runs single handlers in the pool's threads; they are told to stop by ``job.cancelled`` alone.

    Middleware around them runs on the loop: while the handler itself does not run, that is cancelled.
    """

    max_grace_s = float("inf")
    missing = 0

    async def start(self) -> None:
        """Nothing is to be made ready."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads

    async def run(self, attempt: Attempt) -> object:
        """Run the handler in a thread, with the context variables of the attempt's task."""
        assert attempt.spec is not None
        function, job = attempt.spec.function, attempt.job
        return await in_thread(self._threads, attempt, lambda: function(job))

    def tell_stop(self, attempt: Attempt) -> None:
        """The flag is all that a thread can be told; before and after it, the task is cancelled."""
        work = attempt.work
        in_handler = isinstance(work, _Call) and not work.future.done()
        if attempt.task is not None and not in_handler:
            attempt.task.cancel()

    def end(self, attempt: Attempt) -> bool:
        """Leave the thread to its handler; another takes its slot."""
        if attempt.work is not None:
            self._threads.abandon(attempt.work)
        return False

    async def close(self) -> None:
        """The threads belong to the pool."""


def in_thread(
    threads: Threads, attempt: Attempt | None, function: Callable[[], object]
) -> asyncio.Future[object]:
    """Call a function in one of the threads; the future gets what it returns or raises.

    ``attempt`` is the one whose handler it runs, so that the thread can be abandoned.
    """
    work = _Call(function)
    if attempt is not None:
        attempt.work = work
    threads.submit(work)
    return work.future


class _Call:
    """One function call as work for a thread."""

    __slots__ = ("_context", "_error", "_function", "_value", "future")

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._context = contextvars.copy_context()
        self._value: object = None
        self._error: BaseException | None = None
        self.future: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    def run(self) -> None:
        try:
            self._value = self._context.run(self._function)
        except BaseException as exc:  # noqa: BLE001 - it is raised again where the attempt runs
            self._error = exc

    def done(self) -> None:
        future = self.future
        if future.done():
            return
        if self._error is None:
            future.set_result(self._value)
        elif isinstance(self._error, StopIteration):
            # A future refuses it; coroutines turn it into the same.
            future.set_exception(RuntimeError("handler raised StopIteration"))
        else:
            future.set_exception(self._error)

    def came_back(self) -> None:
        self.done()
