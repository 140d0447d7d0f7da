"""Warm processes that run one handler at a time; what kills one of them costs only its own job."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing.spawn
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from gqm.engine.attempt import Stop, begin
from gqm.engine.runners import records
from gqm.engine.runners.child_process import ChildProcess
from gqm.engine.runners.wire import NotStarted, ProcessDied, SetUp
from gqm.errors import RegistrationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gqm.engine.attempt import Attempt
    from gqm.engine.handlers import HandlerSpec

log = logging.getLogger("gqm.engine")

FIRST_PAUSE_S = 1.0
MOST_PAUSE_S = 30.0
"""A process that cannot start, or dies before its first job, is replaced after pauses that grow to this."""
QUIT_S = 0.2
"""What idle processes get to exit by themselves at a stop."""
LAST_S = 1.5
"""Longest wait for processes that were killed at a stop."""
WAIT_S = 5.0
"""A job that waits so long for a process goes back to its queue."""
SLOW_IMPORT_S = 10.0


class Crew:
    """Keeps as many warm processes as the pool has slots. Everything happens on the loop."""

    def __init__(self, pool: str, size: int, set_up: SetUp, freed: Callable[[], None]) -> None:
        """``freed`` is called whenever a process has become ready for its first job."""
        self._pool = pool
        self._size = size
        self._set_up = set_up
        self._freed = freed
        # One thread makes all of them and lives as long as the pool: Linux ends a child with the thread
        # that made it.
        self._maker = ThreadPoolExecutor(1, thread_name_prefix=f"gqm {pool} processes")
        self._all: set[ChildProcess] = set()
        self._idle: list[ChildProcess] = []
        self._waiting: dict[Attempt, asyncio.Future[ChildProcess]] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._closing = asyncio.Event()
        self._first: asyncio.Future[None] | None = None

    @property
    def missing(self) -> int:
        """How many of the processes are not ready to run jobs."""
        return self._size - sum(child.usable for child in self._all)

    async def start(self) -> None:
        """Start all processes and wait for the first. Raises `RegistrationError` if that one cannot start."""
        loop = asyncio.get_running_loop()
        self._first = loop.create_future()
        self._keepers = [loop.create_task(self._keep()) for _ in range(self._size)]
        done, _ = await asyncio.wait([self._first], timeout=SLOW_IMPORT_S)
        if not done:
            log.warning("pool %r: its worker processes are still importing their handlers", self._pool)
        await self._first

    async def _keep(self) -> None:
        """Keep one place filled until the pool is closed."""
        pause_s = FIRST_PAUSE_S
        while not self._closing.is_set():
            try:
                useful = await self._one_life()
            except Exception:
                log.exception("pool %r: unexpected error while keeping a worker process", self._pool)
                useful = False
            if useful:
                pause_s = FIRST_PAUSE_S
                continue
            try:
                async with asyncio.timeout(pause_s):
                    await self._closing.wait()
            except TimeoutError:
                pause_s = min(pause_s * 2, MOST_PAUSE_S)

    async def _one_life(self) -> bool:
        """Start a process and wait for its end; returns whether it was of any use."""
        try:
            child = await ChildProcess.start(self._pool, self._set_up, self._maker)
        except OSError as exc:
            self._could_not_start(exc, "")
            return False
        self._all.add(child)
        try:
            await self._live(child)
        except asyncio.CancelledError:  # the loop ends without a stop of the pool
            child.kill()
            raise
        self._is_gone(child)
        return child.runs > 0

    async def _live(self, child: ChildProcess) -> None:
        if self._closing.is_set():
            child.kill()
        try:
            await child.ready()
        except ProcessDied as exc:
            self._could_not_start(exc, exc.details)
        else:
            self._works(child)
        await child.ended()

    def _could_not_start(self, exc: Exception, details: str) -> None:
        if self._closing.is_set():
            return
        if self._first is not None and not self._first.done():
            text = f"pool {self._pool!r}: its worker processes cannot start: {exc}"
            self._first.set_exception(RegistrationError(f"{text}\n{details}".rstrip()))
        else:
            log.error("pool %r: a worker process could not start: %s\n%s", self._pool, exc, details)

    def _works(self, child: ChildProcess) -> None:
        if self._first is not None and not self._first.done():
            self._first.set_result(None)
        self.give(child)
        self._freed()

    def _is_gone(self, child: ChildProcess) -> None:
        self._all.discard(child)
        if child in self._idle:
            self._idle.remove(child)
        if child.died_idle and not self._closing.is_set():
            log.warning("pool %r: an idle worker process has ended; it is replaced", self._pool)

    async def take(self, attempt: Attempt) -> ChildProcess:
        """Wait for a warm process. Raises `NotStarted` if there is none in time, or the pool is closed."""
        while self._idle:
            child = self._idle.pop()
            if child.usable:
                return child
        if self._closing.is_set():
            raise NotStarted
        waiting: asyncio.Future[ChildProcess] = asyncio.get_running_loop().create_future()
        self._waiting[attempt] = waiting
        try:
            async with asyncio.timeout(WAIT_S):
                return await waiting
        except BaseException as exc:
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                self.give(waiting.result())  # it came in the very moment in which the wait was over
            if isinstance(exc, TimeoutError):
                raise NotStarted from None
            raise
        finally:
            self._waiting.pop(attempt, None)

    def give(self, child: ChildProcess) -> None:
        """Give back a process, or a new one, to whoever waits for it."""
        if child.busy or not child.usable:
            return
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(child)
                return
        self._idle.append(child)

    def let_go(self, attempt: Attempt) -> None:
        """End the wait of an attempt for a process, if it waits."""
        waiting = self._waiting.get(attempt)
        if waiting is not None and not waiting.done():
            waiting.set_exception(NotStarted())

    async def close(self) -> None:
        """End all processes: idle ones may exit by themselves, busy ones are killed."""
        self._closing.set()
        for attempt in list(self._waiting):
            self.let_go(attempt)
        if self._first is not None and not self._first.done():
            self._first.set_exception(NotStarted())
            self._first.exception()  # whoever waits gets it; if nobody does, that is right too
        for child in list(self._all):
            if child.usable and not child.busy:
                child.quit()
            else:
                child.kill()
        if self._keepers:
            await self._end_keepers()
        self._maker.shutdown(wait=False)

    async def _end_keepers(self) -> None:
        _, late = await asyncio.wait(self._keepers, timeout=QUIT_S)
        if not late:
            return
        for child in list(self._all):
            child.kill()
        _, late = await asyncio.wait(late, timeout=LAST_S)
        for keeper in late:
            keeper.cancel()


class ProcessRunner:
    """Runs handlers in warm processes: told to stop at the deadline, killed soon after."""

    max_grace_s = 1.0

    def __init__(
        self, pool: str, slots: int, specs: Sequence[HandlerSpec], freed: Callable[[], None]
    ) -> None:
        """Raises `RegistrationError` if a handler cannot be found from another process."""
        self._crew = Crew(pool, slots, _set_up(pool, {spec.type: spec.function for spec in specs}), freed)
        self._running: dict[Attempt, ChildProcess] = {}

    @property
    def missing(self) -> int:
        """How many slots have no warm process."""
        return self._crew.missing

    async def start(self) -> None:
        """Start the processes. Raises `RegistrationError` if they cannot import the handlers."""
        await self._crew.start()

    async def run(self, attempt: Attempt) -> object:
        """Run the handler in a process. Raises `NotStarted` if none could be had."""
        while True:
            child = await self._crew.take(attempt)
            self._running[attempt] = child
            begin(attempt)  # again: it may have waited
            try:
                return await child.run(attempt)
            except NotStarted:
                if attempt.stop is not None:
                    raise
            finally:
                del self._running[attempt]
                self._crew.give(child)

    def tell_stop(self, attempt: Attempt) -> None:
        """Cancel an async handler, set ``job.cancelled`` of a `def` one."""
        child = self._running.get(attempt)
        if child is not None:
            child.cancel()
        else:
            self._crew.let_go(attempt)

    def end(self, attempt: Attempt) -> bool:
        """Kill the process."""
        child = self._running.get(attempt)
        if child is not None:
            child.kill(after_stack=attempt.stop is Stop.TIMEOUT)
        return True

    async def close(self) -> None:
        """End all processes."""
        await self._crew.close()


def _set_up(pool: str, handlers: Mapping[str, object]) -> SetUp:
    for type_, function in handlers.items():
        try:
            pickle.dumps(function)
        except Exception as exc:  # noqa: BLE001 - pickling runs foreign code
            raise RegistrationError(
                f'pool {pool!r} has isolation "process", but its processes cannot import the handler of '
                f"{type_!r}: {exc}; define it at the top of a module"
            ) from None
    pickled = pickle.dumps(dict(handlers))
    try:
        main = multiprocessing.spawn.get_preparation_data(f"gqm {pool}")
    except RuntimeError:
        raise RegistrationError(
            "the main program starts the server whenever it is imported, so also in a worker process; "
            "put the start under \"if __name__ == '__main__':\""
        ) from None
    main.pop("authkey", None)  # not needed, and it refuses to be pickled
    main["sys_path"] = [place for place in main["sys_path"] if isinstance(place, str)]
    if b"__main__" not in pickled:
        # Nothing is looked for in the main program, so it need not be imported again.
        main.pop("init_main_from_name", None)
        main.pop("init_main_from_path", None)
    return SetUp(main, pickled, records.levels())
