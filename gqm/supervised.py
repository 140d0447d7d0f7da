"""An engine process under a supervisor: makes its server, waits for the word to go, runs until it is told."""

from __future__ import annotations

import asyncio
import logging
import signal
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from gqm.engine.core import Summary
from gqm.errors import GQMError
from gqm.loop import run_to_end
from gqm.server import Server

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from types import FrameType

log = logging.getLogger("gqm")

Factory: TypeAlias = Callable[[], Server]
"""Makes the server in each process. It travels there by reference, so it stands at the top of a module
(or is a `functools.partial` of such a function)."""

Order: TypeAlias = Literal["go", "stop", "hurry"]


class Loaded(NamedTuple):
    """Message of an engine process: its server is made; it holds nothing and waits for the word to go."""


class Started(NamedTuple):
    """Message of an engine process: it runs jobs."""

    server_id: str


class Failed(NamedTuple):
    """Message of an engine process: it could not start, or go on."""

    error: str
    text: str


class Stopped(NamedTuple):
    """Message of an engine process: it has stopped as it was told."""

    summary: Summary


Message: TypeAlias = Loaded | Started | Failed | Stopped


def engine_process(factory: Factory, connection: Connection) -> None:
    """Run one engine until the supervisor says stop, or is gone. The program of a new process."""
    leash = _Leash(connection)
    leash.take_signals()
    try:
        server = factory()
        leash.tell(Loaded())
        summary = Summary(0.0, 0, 0, 0)
        if leash.wait_go():
            summary = run_to_end(leash.serve(server))
    except (Exception, SystemExit) as exc:
        log.debug("this engine process has failed", exc_info=exc)
        leash.tell(Failed(type(exc).__name__, _text(exc)))
        raise SystemExit(1) from None
    leash.tell(Stopped(summary))


class _Leash:
    """What the supervisor and signals tell an engine process, and what it tells the supervisor."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._told = False
        self._hurried = False

    def tell(self, message: Message) -> None:
        """Tell the supervisor, if it is still there."""
        try:
            self._connection.send(message)
        except OSError:
            log.debug("the supervisor does not listen any more")

    def take_signals(self) -> None:
        """Let SIGTERM ask for a stop; what a terminal sends to all its processes is for the supervisor."""
        # Functions and not SIG_IGN, which the programs that a handler starts would inherit.
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _leave_it_to_the_supervisor)
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        self._told = True

    def wait_go(self) -> bool:
        """Wait for the word to go; False if it is not to come."""
        try:
            return self._connection.recv() == "go" and not self._told
        except (EOFError, OSError):
            return False

    async def serve(self, server: Server) -> Summary:
        """Start the server, run until told to stop, stop it."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop, server)
        loop.add_reader(self._connection.fileno(), self._take_order, server, loop)
        engine = await server.start(serve_api=False)  # the supervisor does
        self.tell(Started(engine.server_id))
        if self._told:  # during the start, which knew nothing of it
            server.ask_stop(hurry=self._hurried)
        await server.wait_stop()
        summary = await server.stop()
        loop.remove_reader(self._connection.fileno())
        return summary

    def _take_order(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        try:
            order: Order = self._connection.recv()
        except (EOFError, OSError):
            log.error("the supervisor is gone; stopping")
            loop.remove_reader(self._connection.fileno())
            order = "stop"
        if order == "hurry":
            self._told = self._hurried = True
            server.ask_stop(hurry=True)
        else:
            self._stop(server)

    def _stop(self, server: Server) -> None:
        """Stop once, whether the supervisor says it, a signal to the whole service, or both."""
        if not self._told:
            self._told = True
            server.ask_stop()


def _leave_it_to_the_supervisor(number: int, frame: FrameType | None) -> None:
    """Do nothing."""


def _text(exc: BaseException) -> str:
    if isinstance(exc, GQMError | OSError):
        return str(exc)
    frames = traceback.extract_tb(exc.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(exc).__name__}: {exc}{place}"
