"""Serving: what ``gqm run`` does in order, with one engine in this process or several under a supervisor."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from gqm.config import Config, code_options, load_config
from gqm.engine.core import Engine, Summary
from gqm.engine.plan import plan_pools
from gqm.errors import RedisUnavailable, RegistrationError
from gqm.loop import run_to_end
from gqm.server import Server
from gqm.store.commands.facts import facts
from gqm.store.connect import Backoff, open_link
from gqm.store.sync import Store
from gqm.supervisor import Supervisor
from gqm_cli.banner import Reached, Running, announce
from gqm_cli.handlers import HandlersBroken, import_handlers
from gqm_cli.logs import JSONFormatter, set_up

log = logging.getLogger("gqm")

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_FORCE_LIMIT_S = 5.0
"""What a stop gets after the second signal; then the process ends as it is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asks for. It travels to each engine process, which reads the file itself."""

    file: str
    processes: int | None
    handlers: tuple[str, ...]
    api: bool | None
    log_level: str | None
    log_format: str

    def load(self) -> Config:
        """Read the configuration. Raises `ConfigError`."""
        options = code_options(api=self.api, log_level=self.log_level, processes=self.processes)
        return load_config(self.file, overrides={**options, "+app.handlers": list(self.handlers)})


class _StoppedEarly(BaseException):
    """A signal came before anything ran."""


def serve(plan: Plan, wait_redis_s: float) -> bool:
    """Run until a signal; returns whether a second one cut the stop short.

    Raises `ConfigError`, `HandlersBroken`, `RedisUnavailable`, `RedisSetupError`, `StartFailed`.
    """
    try:
        with _early_signals():
            server = make_server(plan)
            reached = reach_redis(server.config, wait_redis_s)
    except _StoppedEarly:
        log.info("stopped before the start")
        return False
    count = server.config.app.process_count
    if count > 1:
        return _serve_many(server, plan, count, reached)
    return _serve_one(server, plan, reached)


@contextmanager
def _early_signals() -> Iterator[None]:
    def leave(number: int, frame: FrameType | None) -> None:
        raise _StoppedEarly

    before = [(number, signal.signal(number, leave)) for number in _STOP_SIGNALS]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def make_server(plan: Plan) -> Server:
    """Return the server with all its handlers; each engine process calls this for itself."""
    config = plan.load()
    formatter = set_up(config.app.log_level, plan.log_format)
    server = Server.from_config(config)
    for module in import_handlers(config):
        try:
            found = server.include(module)
        except RegistrationError as exc:
            raise HandlersBroken(module.__name__, str(exc)) from exc
        if not found:
            log.warning("handlers module %s marks no function with @gqm.handler", module.__name__)
    if isinstance(formatter, JSONFormatter):
        formatter.name_server(lambda: server.engine.server_id if server.engine else "")
    return server


def make_engine_server(plan: Plan) -> Server:
    """Return the server of an engine process: as `make_server`, with errors that its supervisor knows."""
    try:
        return make_server(plan)
    except HandlersBroken as exc:
        raise RegistrationError(str(exc)) from exc


def reach_redis(config: Config, wait_s: float) -> Reached:
    """Wait until Redis answers, at most ``wait_s`` seconds, and return what is known about it.

    Raises `RedisUnavailable` after that, `RedisSetupError` at once.
    """
    link = open_link(config.redis)
    store = Store(link)
    backoff = Backoff(time.monotonic() + wait_s, first_s=0.1)
    told = False
    try:
        while True:
            try:
                return _ask(store)
            except RedisUnavailable as exc:
                pause = backoff.pause(time.monotonic())
                if pause is None:
                    raise
                if not told:
                    log.warning("%s; trying again for %g s", exc, wait_s, extra={"event": "redis_away"})
                    told = True
                time.sleep(pause)
    finally:
        store.close()
        if link.close is not None:
            link.close()


def _ask(store: Store) -> Reached:
    found = store.run(facts())
    begun = time.perf_counter()
    store.run(facts())
    return Reached(found, (time.perf_counter() - begun) * 1000, store.link.where)


# ----------------------------------------------------------------------------------- one process


def _serve_one(server: Server, plan: Plan, reached: Reached) -> bool:
    def ready(engine: Engine) -> None:
        announce(
            Running(server.config, server.handlers, engine.plans, (engine.server_id,), reached),
            plan.log_format,
        )

    return run_to_end(_run(server, ready))


async def _run(server: Server, ready: Callable[[Engine], None]) -> bool:
    stopper = _Stopper(server, asyncio.get_running_loop())
    with stopper:
        engine = await server.start()
        if stopper.asked:
            server.ask_stop()  # during the start; the server did not know of it then
        else:
            ready(engine)
        await server.wait_stop()
        await server.stop()
    return stopper.forced


class _Stopper:
    """Turns signals into a stop: the first asks for it, the second cuts it short, a third ends the process.

    The handlers are Python's, not the event loop's: they also work while a job blocks the loop.
    """

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._count = 0
        self._before: list[tuple[int, object]] = []

    @property
    def asked(self) -> bool:
        """Whether a signal came."""
        return self._count > 0

    @property
    def forced(self) -> bool:
        """Whether a second signal came."""
        return self._count > 1

    def __enter__(self) -> None:
        for number in (*_STOP_SIGNALS, signal.SIGUSR2):
            self._before.append((number, signal.signal(number, self._on_signal)))

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() returned before

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # Nothing is logged here: the signal may have interrupted the writing of another line.
        if number == signal.SIGUSR2:
            self._on_loop(self._refuse_restart)
            return
        self._count += 1
        if self._count == 1:
            self._on_loop(functools.partial(self._ask, signal.Signals(number).name))
        elif self._count == 2:
            self._on_loop(self._hurry)
            limit = threading.Timer(_FORCE_LIMIT_S, os._exit, (1,))
            limit.daemon = True
            limit.start()
        else:
            os._exit(1)

    def _on_loop(self, work: Callable[[], None]) -> None:
        # In a context of its own: the signal may have come while a job's was the present one.
        self._loop.call_soon_threadsafe(work, context=contextvars.Context())

    def _ask(self, name: str) -> None:
        engine = self._server.engine
        if engine is None:
            return
        running = sum(int(record["active_jobs"]) for _, record in engine.pool_records())
        limit_s = max((plan.shutdown_s for plan in engine.plans), default=0.0)
        if running:
            text = "%s: no new jobs; %d running have up to %g s to end, a second signal cancels them"
            log.info(text, name, running, limit_s, extra={"event": "stopping"})
        else:
            log.info("%s: stopping", name, extra={"event": "stopping"})
        self._server.ask_stop()

    def _hurry(self) -> None:
        log.warning("second signal: canceling what still runs", extra={"event": "forced"})
        self._server.ask_stop(hurry=True)

    def _refuse_restart(self) -> None:
        log.warning("SIGUSR2: a rolling restart needs more than one process; see --processes")


# ---------------------------------------------------------------------------------- many processes


def _serve_many(server: Server, plan: Plan, count: int, reached: Reached) -> bool:
    supervisor = Supervisor(server, functools.partial(make_engine_server, plan), count)

    def ready(supervisor: Supervisor) -> None:
        plans = plan_pools(server.config, server.handlers)
        announce(
            Running(server.config, server.handlers, plans, tuple(supervisor.server_ids), reached),
            plan.log_format,
        )

    total = supervisor.run(ready)
    _log_total(total)
    return supervisor.forced


def _log_total(total: Summary) -> None:
    log.info(
        "stopped in %.1f s: %d finished, %d handed back, %d abandoned",
        total.seconds,
        total.finished,
        total.handed_back,
        total.abandoned,
        extra={"event": "stopped"},
    )
