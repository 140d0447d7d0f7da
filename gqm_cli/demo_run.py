"""Running a demo from its start to its end, with the terminal UI in front of it or the log."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import IO, TYPE_CHECKING

from gqm_cli.demo_config import config_text
from gqm_cli.demo_process import DemoProcess
from gqm_cli.diagnostics import CommandFailed
from gqm_cli.output import note, printable

if TYPE_CHECKING:
    from gqm_cli.demo_folder import DemoFolder

HOST = "127.0.0.1"

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SHOWN_LINES = 5
_ERROR = "gqm: error: "


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for."""

    seed: int
    rate: float
    duration_s: float | None
    debug: bool
    port: int
    viewer_key: str
    """Empty: no key is required."""

    @property
    def url(self) -> str:
        """Address of the API's server."""
        return f"http://{HOST}:{self.port}"

    def config_text(self) -> str:
        """Return the configuration of the serving process."""
        return config_text(self.port, viewer_key=self.viewer_key, debug=self.debug)


class Demo:
    """One demo: a serving process, and whoever looks at it."""

    def __init__(self, wanted: Wanted, place: DemoFolder) -> None:
        self._wanted = wanted
        self._place = place
        self._process: DemoProcess | None = None
        self._tui_is_open = False

    def follow(self) -> int:
        """Let the log pass by until a signal, the end of the time, or the end of the serving process.

        Returns the exit code. Raises `CommandFailed` if the serving process died.
        """
        with self._signals(), self._start(None) as process:
            code = process.wait(self._wanted.duration_s)
            if code is None:
                if not process.asked:
                    process.ask_stop()
                code = process.wait()
        return _status(process, code)

    def show(self) -> int:
        """Open the terminal UI, and stop when that is left; meanwhile the log goes into the folder.

        Returns the exit code. Raises `CommandFailed` if the serving process died.
        """
        with self._signals(), self._place.log.open("ab") as log, self._start(log) as process:
            up = process.wait_up(self._wanted.port)
            shown = self._open_tui() if up else 0
            if not process.asked:
                process.ask_stop()
            code = process.wait()
        if code:
            self._tell_log()
        return _status(process, code) or shown

    def _start(self, log: IO[bytes] | None) -> DemoProcess:
        wanted, place = self._wanted, self._place
        words = [word for word, given in (("temporary", place.temporary), ("debug", wanted.debug)) if given]
        arguments = [os.fspath(place.path), str(wanted.seed), str(wanted.rate), *words]
        self._process = DemoProcess(arguments, log, ended=self._leave_tui)
        return self._process

    def _leave_tui(self) -> None:
        """Close the terminal UI if it is open; called in another thread than it runs in."""
        if self._tui_is_open:
            os.kill(os.getpid(), signal.SIGTERM)

    def _open_tui(self) -> int:
        from gqm_tui import run
        from gqm_tui.options import RunOptions

        os.environ.pop("GQM_API_KEY", None)  # it belongs to another server
        options = RunOptions(api_url=self._wanted.url, api_key=self._wanted.viewer_key or None)
        timer = threading.Timer(self._wanted.duration_s or 0, self._leave_tui)
        timer.daemon = True
        if self._wanted.duration_s is not None:
            timer.start()
        self._tui_is_open = True
        try:
            return run(options)
        except SystemExit:  # of the signal handler below
            return 0
        finally:
            self._tui_is_open = False
            timer.cancel()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let signals ask the serving process to stop, not end this one; a second one hurries it."""
        before = [(number, signal.signal(number, self._on_signal)) for number in _STOP_SIGNALS]
        try:
            yield
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._process is None:
            raise KeyboardInterrupt
        self._process.ask_stop()
        if self._tui_is_open:
            self._tui_is_open = False
            raise SystemExit  # the event loop lets it through, and the terminal is put in order on the way

    def _tell_log(self) -> None:
        """Show the errors in the log, or its end if there are none."""
        lines = self._place.log.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in [line for line in lines if line.startswith(_ERROR)] or lines[-_SHOWN_LINES:]:
            note(printable(line))


def _status(process: DemoProcess, code: int | None) -> int:
    """Return the exit code for that of the serving process. Raises `CommandFailed` if that just ended."""
    if code is None or code < 0:
        raise CommandFailed(f"the demo's serving process ended with {_signal_name(code)}")
    if code == 0 and not process.asked:
        raise CommandFailed("the demo's serving process was stopped by somebody else")
    return code


def _signal_name(code: int | None) -> str:
    try:
        return signal.Signals(-(code or 0)).name
    except ValueError:
        return f"signal {-(code or 0)}"
