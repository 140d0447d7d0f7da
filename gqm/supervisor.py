"""Many engine processes under one supervisor: restarts with back-off, signals, rolling restart."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

from gqm.engine.core import Summary
from gqm.engine.runners.child_process import exit_text
from gqm.errors import GQMError, StartFailed
from gqm.store.commands.lease import reap_server
from gqm.store.commands.servers import lease_score
from gqm.store.connect import open_link
from gqm.store.sync import Store
from gqm.supervised import Factory, Failed, Loaded, Message, Order, Started, Stopped, engine_process

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess
    from types import FrameType

    from gqm.monitor.context import EngineState
    from gqm.monitor.serving import Served
    from gqm.server import Server

__all__ = ["Factory", "Supervisor"]

log = logging.getLogger("gqm")

FIRST_PAUSE_S = 1.0
MOST_PAUSE_S = 30.0
STEADY_S = 60.0
"""A process that ran so long begins with the first pause again when it dies."""
MAX_DEATHS = 5
"""So many deaths within ``STEADY_S`` over all processes stop everything."""
EXTRA_STOP_S = 5.0
"""What a process gets beyond its own limits before it is killed at a stop."""


@dataclass(slots=True)
class _Place:
    """One of the N places for an engine process, and who has it now."""

    index: int
    process: SpawnProcess | None = None
    connection: Connection | None = None
    begun: float = 0.0
    deaths: int = 0
    start_at: float = 0.0
    """When the next process is to be started, if there is none; 0 = never."""
    released: bool = False
    """Whether the process may have begun to run: before that it holds nothing, and can just be killed."""
    server_id: str = ""
    stopping: bool = False
    stopped: bool = False
    """Whether the process said that it has stopped, so that it left nothing behind."""
    failure: Failed | None = None
    summaries: list[Summary] = field(default_factory=list)

    @property
    def number(self) -> int:
        """What people call the place."""
        return self.index + 1


class Supervisor:
    """Keeps N engine processes running. It runs no jobs itself and holds what must exist once."""

    def __init__(self, server: Server, factory: Factory, processes: int) -> None:
        """``server`` is only asked for configuration and hooks; ``factory`` makes the servers that run."""
        self._config = server.config
        self._server = server
        self._api: Served | None = None
        self._factory = factory
        self._context = multiprocessing.get_context("spawn")
        self._places = [_Place(index) for index in range(processes)]
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)
        self._signals = 0
        self._roll_asked = False
        self._rolling: deque[_Place] = deque()
        self._roll_begun = 0.0
        self._starting = True
        self._ending = False
        self._failure: StartFailed | None = None
        self._store: Store | None = None
        self._wake_read = self._wake_write = -1

    @property
    def server_ids(self) -> list[str]:
        """Ids of the engines that run jobs now."""
        return [place.server_id for place in self._places if place.server_id]

    @property
    def api_port(self) -> int | None:
        """The port that the API listens on; ``None`` while it does not."""
        return self._api.port if self._api is not None else None

    def state(self) -> EngineState:
        """Return what the engines are at, as far as the supervisor knows."""
        if self._ending or self._over():
            return "stopping"
        return "running" if self.server_ids else "starting"

    def tasks(self) -> int:
        """Return 0: the supervisor has no event loop."""
        return 0

    @property
    def forced(self) -> bool:
        """Whether a second signal cut the stop short."""
        return self._signals > 1

    def run(self, ready: Callable[[Supervisor], None] = lambda supervisor: None) -> Summary:
        """Run until a signal; ``ready`` is called once, when all processes have started.

        Raises `StartFailed` if a process cannot start at the beginning, or if processes die too often.
        Whatever is raised, also by ``ready``, no process is left behind.
        """
        link = open_link(self._config.redis)
        self._store = Store(link)
        self._wake_read, self._wake_write = os.pipe()
        restore = self._take_signals()
        begun = time.monotonic()
        try:
            if self._config.monitoring.api.enabled:
                self._serve_api()
            for place in self._places:
                self._start(place)
            self._until(lambda: self._over() or all(place.server_id for place in self._places))
            self._starting = False
            if not self._over():
                ready(self)
            self._until(self._over)
        finally:
            begun = time.monotonic()
            self._stop_all()
            if self._api is not None:
                self._api.stop()
                self._api = None
            restore()
            self._store.close()
            if link.close is not None:
                link.close()
        if self._failure is not None:
            raise self._failure
        return self._total(time.monotonic() - begun)

    def _serve_api(self) -> None:
        from gqm.monitor.serving import Served  # loads the HTTP server, which few programs need

        self._api = Served(self._config, self._server.open_link(), self._server.hooks, self)
        self._api.start()

    def _over(self) -> bool:
        return self._failure is not None or self._signals > 0

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
            target=engine_process, args=(self._factory, theirs), name=f"gqm engine {place.number}"
        )
        try:
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        place.process, place.connection = process, ours
        place.begun, place.start_at, place.server_id = time.monotonic(), 0.0, ""
        place.released = place.stopping = place.stopped = False
        place.failure = None

    def _start_due(self) -> None:
        if self._ending or self._over():
            return
        for place in self._places:
            if place.process is None and place.start_at and time.monotonic() >= place.start_at:
                try:
                    self._start(place)
                except OSError as exc:  # too many processes, or no memory: for now
                    log.error("engine process %d could not be made: %s", place.number, exc)
                    place.start_at = time.monotonic() + self._pause(place)

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
                self._bury(place)
                return

    # ----------------------------------------------------------------------------- what they say

    def _listen(self, place: _Place) -> None:
        assert place.connection is not None
        try:
            message: Message = place.connection.recv()
        except (EOFError, OSError):
            place.connection.close()
            place.connection = None  # the sentinel tells the rest
            return
        match message:
            case Loaded():
                self._release(place)
            case Started(server_id):
                place.server_id = server_id
            case Stopped(summary):
                place.stopped = True
                place.summaries.append(summary)
            case Failed():
                place.failure = message

    def _release(self, place: _Place) -> None:
        if not (place.stopping or self._ending or self._over()):
            place.released = True
            self._order(place, "go")

    def _order(self, place: _Place, order: Order) -> None:
        if place.connection is None:
            return
        try:
            place.connection.send(order)
        except OSError:
            log.debug("engine process %d is gone already", place.number)

    def _stop(self, place: _Place) -> None:
        place.stopping = True
        if place.released:
            self._order(place, "stop")
        elif place.process is not None:
            place.process.kill()

    # ------------------------------------------------------------------------------------ deaths

    def _bury(self, place: _Place) -> None:
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
        recovered = 0 if place.stopped else self._recover(server_id)
        if self._ending or self._over():
            return
        if place.stopping:
            place.start_at = time.monotonic()
        elif place.stopped:
            log.warning(
                "engine process %d was stopped by a signal of its own; a new one starts", place.number
            )
            place.start_at = time.monotonic() + FIRST_PAUSE_S
        else:
            self._died(place, process.exitcode, server_id, recovered)

    def _died(self, place: _Place, code: int | None, server_id: str, recovered: int) -> None:
        what = f"engine process {place.number} ended with {exit_text(code or 0)}"
        failure = place.failure
        if self._starting:
            text = failure.text if failure else f"{what} before it had started"
            self._failure = StartFailed(text, error=failure.error if failure else "")
            return
        # What cannot start does not end the others: they go on with the code they have.
        could_not_start = not server_id and (failure is not None or not place.released)
        if not could_not_start or not self.server_ids:
            self._deaths.append(time.monotonic())
        if len(self._deaths) == MAX_DEATHS and self._deaths[-1] - self._deaths[0] < STEADY_S:
            text = f"{MAX_DEATHS} engine processes died within {STEADY_S:.0f} s; the last: {what}"
            self._failure = StartFailed(f"{text}: {failure.text}" if failure else text)
            return
        pause_s = self._pause(place)
        place.start_at = time.monotonic() + pause_s
        if server_id:
            text = f"{what} while it held {recovered} jobs"
        else:
            text = f"{what} before it had started" + (f": {failure.text}" if failure else "")
            self._give_up_rolling(place)
        log.error("%s; a new one starts in %.0f s", text, pause_s, extra={"event": "process_died"})

    def _pause(self, place: _Place) -> float:
        place.deaths = 1 if time.monotonic() - place.begun > STEADY_S else place.deaths + 1
        return float(min(FIRST_PAUSE_S * 2 ** (place.deaths - 1), MOST_PAUSE_S))

    def _recover(self, server_id: str) -> int:
        """Recover the jobs of a dead process at once: having waited for it is proof enough."""
        if not server_id or self._store is None:
            return 0
        failure_ttl = int(self._config.app.failure_ttl_s)
        try:
            score = self._store.run(lease_score(self._store.keys, server_id))
            reaped = self._store.run(reap_server(self._store.keys, server_id, score, True, failure_ttl))
        except GQMError as exc:
            log.warning("the jobs of %s are recovered when its lease ends: %s", server_id, exc)
            return 0
        return reaped.recovered + reaped.dead if reaped is not None else 0

    # --------------------------------------------------------------------------- rolling restart

    def _roll(self) -> None:
        """One process after the other is stopped and started; the first of the list is under way."""
        if self._roll_asked:
            self._roll_asked = False
            self._begin_rolling()
        while self._rolling:
            place = self._rolling[0]
            if place.stopping or not place.server_id:
                return  # it is just stopping, or starting
            if place.begun < self._roll_begun:
                log.info("rolling restart: engine process %d of %d", place.number, len(self._places))
                self._stop(place)
                return
            self._rolling.popleft()
            if not self._rolling:
                log.info("rolling restart: done", extra={"event": "rolled"})

    def _begin_rolling(self) -> None:
        if len(self._places) == 1:
            log.warning("SIGUSR2: a rolling restart needs more than one process")
            return
        # Asked for in the middle of another: all once more, behind the one that is under way.
        under_way = list(self._rolling)[:1]
        self._roll_begun = time.monotonic()
        self._rolling = deque(under_way + [place for place in self._places if place not in under_way])

    def _give_up_rolling(self, place: _Place) -> None:
        if self._rolling and self._rolling[0] is place:
            self._rolling.clear()
            log.error("rolling restart: given up; the other engine processes go on as they are")

    # ---------------------------------------------------------------------------------- stopping

    def _stop_all(self) -> None:
        self._ending = True
        self._rolling.clear()
        calm = min(self._signals, 1)  # one more signal than the one that began the stop hurries it
        for place in self._places:
            self._stop(place)
        pools = [pool.shutdown_timeout_s for pool in self._config.pools]
        limit_s = max([self._config.app.shutdown_timeout_s, *pools]) + EXTRA_STOP_S
        self._until(lambda: self._all_ended() or self._signals > calm, limit_s)
        if not self._all_ended():
            for place in self._places:
                self._order(place, "hurry")
            self._until(self._all_ended, EXTRA_STOP_S)
        for place in self._places:
            if place.process is not None:
                log.error("engine process %d does not stop; it is killed", place.number)
                place.process.kill()
                self._bury(place)

    def _all_ended(self) -> bool:
        return all(place.process is None for place in self._places)

    # ----------------------------------------------------------------------------------- signals

    def _take_signals(self) -> Callable[[], None]:
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
        before = [(number, signal.signal(number, self._on_signal)) for number in numbers]

        def restore() -> None:
            for number, handler in before:
                signal.signal(number, handler)
            os.close(self._wake_read)
            os.close(self._wake_write)

        return restore

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # Nothing else is done here: it may have come in the middle of anything.
        if number == signal.SIGUSR2:
            self._roll_asked = True
        else:
            self._signals += 1
        os.write(self._wake_write, b"x")
