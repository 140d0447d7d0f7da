"""Many engine processes under one supervisor: restarts with back-off, signals, rolling restart."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from gqm.engine.core import Summary
from gqm.errors import GQMError, StartFailed
from gqm.server import Server, loop_factory
from gqm.store.commands.lease import reap_server
from gqm.store.commands.servers import lease_score
from gqm.store.connect import open_link
from gqm.store.sync import Store

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess
    from types import FrameType

log = logging.getLogger("gqm")

Factory: TypeAlias = Callable[[], Server]
"""Makes the server in each process. It travels there by reference, so it stands at the top of a module
(or is a `functools.partial` of such a function)."""

FIRST_PAUSE_S = 1.0
MOST_PAUSE_S = 30.0
STEADY_S = 60.0
"""A process that ran so long begins with the first pause again when it dies."""
MAX_DEATHS = 5
"""So many deaths within ``STEADY_S`` over all processes stop everything."""
EXTRA_STOP_S = 5.0
"""What a process gets beyond its own limits before it is killed at a stop."""


class Started(NamedTuple):
    """Message of an engine process: it runs jobs."""

    server_id: str


class Failed(NamedTuple):
    """Message of an engine process: it could not start."""

    error: str
    text: str


class Stopped(NamedTuple):
    """Message of an engine process: it has stopped as it was told."""

    summary: Summary


Order: TypeAlias = Literal["stop", "hurry"]


# ----------------------------------------------------------------------------- in an engine process


def engine_process(factory: Factory, connection: Connection) -> None:
    """Run one engine until the supervisor says stop, or is gone."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the terminal tells the whole group; the supervisor decides
    try:
        server = factory()
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            summary = runner.run(_serve(server, connection))
    except (GQMError, OSError) as exc:
        _tell(connection, Failed(type(exc).__name__, str(exc)))
        raise SystemExit(1) from None
    _tell(connection, Stopped(summary))


async def _serve(server: Server, connection: Connection) -> Summary:
    loop = asyncio.get_running_loop()
    engine = await server.start()
    loop.add_signal_handler(signal.SIGTERM, server.ask_stop)
    loop.add_reader(connection.fileno(), _take_order, server, connection, loop)
    _tell(connection, Started(engine.server_id))
    await server.wait_stop()
    return await server.stop()


def _take_order(server: Server, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
    try:
        order = connection.recv()
    except (EOFError, OSError):
        log.error("the supervisor is gone; stopping")
        loop.remove_reader(connection.fileno())
        order = "stop"
    server.ask_stop(hurry=order == "hurry")


def _tell(connection: Connection, message: Started | Failed | Stopped) -> None:
    try:
        connection.send(message)
    except OSError:
        log.debug("the supervisor does not listen any more")


# ----------------------------------------------------------------------------------- the supervisor


@dataclass(slots=True)
class _Place:
    """One of the N places for an engine process, and who has it now."""

    index: int
    process: SpawnProcess | None = None
    connection: Connection | None = None
    server_id: str = ""
    begun: float = 0.0
    deaths: int = 0
    start_at: float = 0.0
    stopping: bool = False
    summaries: list[Summary] = field(default_factory=list)


class Supervisor:
    """Keeps N engine processes running. It runs no jobs itself and holds what must exist once."""

    def __init__(self, server: Server, factory: Factory, processes: int) -> None:
        """``server`` is only asked for its configuration; ``factory`` makes the servers that run."""
        self._config = server.config
        self._factory = factory
        self._context = multiprocessing.get_context("spawn")
        self._places = [_Place(index) for index in range(processes)]
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)
        self._wake_read, self._wake_write = os.pipe()
        self._signals = 0
        self._rolling: deque[_Place] = deque()
        self._roll_begun = 0.0
        self._failure: StartFailed | None = None
        self._store: Store | None = None

    @property
    def server_ids(self) -> list[str]:
        """Ids of the engines that run jobs now."""
        return [place.server_id for place in self._places if place.server_id]

    def run(self, ready: Callable[[Supervisor], None] = lambda supervisor: None) -> Summary:
        """Run until a signal; ``ready`` is called once, when all processes have started.

        Raises `StartFailed` if a process cannot start at the beginning, or if processes die too often.
        """
        link = open_link(self._config.redis)
        self._store = Store(link)
        restore = self._take_signals()
        begun = time.monotonic()
        try:
            for place in self._places:
                self._start(place)
            self._until(self._all_started)
            if self._failure is None and not self._signals:
                ready(self)
            self._until(lambda: self._signals > 0 or self._failure is not None)
            begun = time.monotonic()
            self._stop_all()
        finally:
            restore()
            self._kill_rest()
            self._store.close()
            if link.close is not None:
                link.close()
        if self._failure is not None:
            raise self._failure
        return self._total(time.monotonic() - begun)

    def _total(self, seconds: float) -> Summary:
        parts = [summary for place in self._places for summary in place.summaries]
        return Summary(
            seconds,
            sum(part.finished for part in parts),
            sum(part.handed_back for part in parts),
            sum(part.abandoned for part in parts),
        )

    # -------------------------------------------------------------------------------- processes

    def _start(self, place: _Place) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=engine_process, args=(self._factory, theirs), name=f"gqm engine {place.index + 1}"
        )
        process.start()
        theirs.close()
        place.process, place.connection = process, ours
        place.server_id, place.begun, place.stopping = "", time.monotonic(), False

    def _all_started(self) -> bool:
        return (
            self._failure is not None or self._signals > 0 or all(place.server_id for place in self._places)
        )

    def _until(self, condition: Callable[[], bool], limit_s: float = float("inf")) -> None:
        """Handle messages, deaths and due starts until a condition holds or the time is over."""
        end = time.monotonic() + limit_s
        while not condition() and time.monotonic() < end:
            self._start_due()
            self._roll()
            objects: list[Connection | int] = [self._wake_read]
            for place in self._places:
                if place.connection is not None:
                    objects.append(place.connection)
                if place.process is not None:
                    objects.append(place.process.sentinel)
            for ready in wait(objects, self._timeout(end)):
                self._handle(ready)

    def _timeout(self, end: float) -> float | None:
        times = [place.start_at for place in self._places if place.process is None and place.start_at]
        if end < float("inf"):
            times.append(end)
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _start_due(self) -> None:
        if self._signals:
            return
        for place in self._places:
            if place.process is None and place.start_at and time.monotonic() >= place.start_at:
                place.start_at = 0.0
                self._start(place)

    def _handle(self, ready: object) -> None:
        if ready == self._wake_read:
            os.read(self._wake_read, 4096)
            return
        for place in self._places:
            if place.connection is ready:
                self._listen(place)
                return
        for place in self._places:
            if place.process is not None and place.process.sentinel == ready:
                self._buried(place)
                return

    def _listen(self, place: _Place) -> None:
        assert place.connection is not None
        try:
            message = place.connection.recv()
        except (EOFError, OSError):
            place.connection.close()
            place.connection = None  # the sentinel tells the rest
            return
        if isinstance(message, Started):
            place.server_id = message.server_id
        elif isinstance(message, Stopped):
            place.summaries.append(message.summary)
        elif isinstance(message, Failed):
            failure = StartFailed(message.text, error=message.error)
            if place.deaths == 0 and not any(other.summaries or other.deaths for other in self._places):
                self._failure = self._failure or failure
            else:
                log.error("engine process %d could not start: %s", place.index + 1, message.text)

    def _buried(self, place: _Place) -> None:
        """A process has ended: as it was told, or not."""
        process = place.process
        assert process is not None
        while place.connection is not None and place.connection.poll():
            self._listen(place)
        process.join()
        place.process = None
        if place.connection is not None:
            place.connection.close()
            place.connection = None
        server_id, place.server_id = place.server_id, ""
        if place.stopping or self._failure is not None:
            place.start_at = time.monotonic() if self._rolling and self._rolling[0] is place else 0.0
            return
        recovered = self._recover(server_id)
        now = time.monotonic()
        self._deaths.append(now)
        place.deaths = 1 if now - place.begun > STEADY_S else place.deaths + 1
        if len(self._deaths) == MAX_DEATHS and now - self._deaths[0] < STEADY_S:
            self._failure = StartFailed(
                f"{MAX_DEATHS} engine processes died within {STEADY_S:.0f} s; see the log"
            )
            return
        pause = min(FIRST_PAUSE_S * 2 ** (place.deaths - 1), MOST_PAUSE_S)
        place.start_at = now + pause
        log.error(
            "engine process %d (%s) ended with %s while it held %d jobs; a new one starts in %.0f s",
            place.index + 1,
            server_id or "not started",
            _exit_text(process.exitcode),
            recovered,
            pause,
            extra={"event": "process_died"},
        )

    def _recover(self, server_id: str) -> int:
        """Recover the jobs of a dead process at once: having waited for it is proof enough."""
        if not server_id or self._store is None:
            return 0
        failure_ttl = int(self._config.app.failure_ttl_s)
        try:
            score = self._store.run(lease_score(self._store.keys, server_id))
            reaped = self._store.run(reap_server(self._store.keys, server_id, score, True, failure_ttl))
        except GQMError as exc:
            log.warning("its jobs are recovered when its lease ends: %s", exc)
            return 0
        return reaped.recovered + reaped.dead if reaped is not None else 0

    # ---------------------------------------------------------------------------------- stopping

    def _order(self, place: _Place, order: Order) -> None:
        place.stopping = True
        if place.connection is None:
            return
        try:
            place.connection.send(order)
        except OSError:
            log.debug("engine process %d is gone already", place.index + 1)

    def _roll(self) -> None:
        """Rolling restart: the first of the list is stopped and started, then the next."""
        while self._rolling:
            place = self._rolling[0]
            if not place.stopping and place.process is not None and place.begun < self._roll_begun:
                if not place.server_id:
                    return  # just starting: it has to be told after that
                log.info("rolling restart: engine process %d of %d", place.index + 1, len(self._places))
                self._order(place, "stop")
                return
            if place.stopping or not place.server_id:
                return
            self._rolling.popleft()

    def _stop_all(self) -> None:
        self._rolling.clear()
        for place in self._places:
            self._order(place, "stop")
        pools = [pool.shutdown_timeout_s for pool in self._config.pools]
        limit_s = max([self._config.app.shutdown_timeout_s, *pools]) + EXTRA_STOP_S
        hurry_at = self._signals + 1
        self._until(lambda: self._all_ended() or self._signals >= hurry_at, limit_s)
        if not self._all_ended():
            for place in self._places:
                self._order(place, "hurry")
            self._until(self._all_ended, EXTRA_STOP_S)

    def _all_ended(self) -> bool:
        return all(place.process is None for place in self._places)

    def _kill_rest(self) -> None:
        for place in self._places:
            if place.process is not None:
                place.process.kill()
                place.process.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    # ----------------------------------------------------------------------------------- signals

    def _take_signals(self) -> Callable[[], None]:
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
        before = [(number, signal.signal(number, self._on_signal)) for number in numbers]

        def restore() -> None:
            for number, handler in before:
                signal.signal(number, handler)

        return restore

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGUSR2:
            if not self._rolling and not self._signals:
                self._roll_begun = time.monotonic()
                self._rolling.extend(self._places)
        else:
            self._signals += 1
        os.write(self._wake_write, b"x")

    @property
    def forced(self) -> bool:
        """Whether a second signal cut the stop short."""
        return self._signals > 1


def _exit_text(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
