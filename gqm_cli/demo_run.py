"""Running a demo from its start to its end, with the terminal UI in front of it or the log."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, Self

from gqm_cli.demo_config import config_text
from gqm_cli.demo_port import HOST
from gqm_cli.demo_process import DemoProcess
from gqm_cli.diagnostics import CommandFailed, SettingsBroken
from gqm_cli.output import note, printable

if TYPE_CHECKING:
    from pathlib import Path

    from gqm_cli.demo_folder import DemoFolder

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
    """One demo: a serving process, and whoever looks at it.

    While it is entered, signals ask it to stop instead of ending this process; a second one hurries it.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._process: DemoProcess | None = None
        self._asked_early = False
        self._tui_is_open = False
        self._before: list[tuple[int, Any]] = []

    def __enter__(self) -> Self:
        self._before = [(number, signal.signal(number, self._on_signal)) for number in _STOP_SIGNALS]
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._process is None:
            self._asked_early = True
            return
        self._process.ask_stop()
        if self._tui_is_open:
            self._tui_is_open = False
            raise SystemExit  # the event loop lets it through, and the terminal is put in order on the way

    def follow(self, place: DemoFolder) -> int:
        """Let the log pass by until a signal, the end of the time, or the end of the serving process.

        Returns the exit code. Raises `CommandFailed` if the serving process died.
        """
        with self._start(place, None) as process:
            code = process.wait(self._wanted.duration_s)
            if code is None:
                if not process.asked:
                    process.ask_stop()
                code = process.wait()
        return _status(process, code)

    def show(self, place: DemoFolder) -> int:
        """Open the terminal UI, and stop when that is left; meanwhile the log goes into the folder.

        Returns the exit code. Raises `CommandFailed` if the serving process died.
        """
        with place.log.open("ab") as log, self._start(place, log) as process:
            up = process.wait_up(self._wanted.port)
            shown = self._open_tui(place) if up else 0
            if not process.asked:
                process.ask_stop()
            code = process.wait()
        if code:
            _tell_log(place.log)
        return _status(process, code) or shown

    def _start(self, place: DemoFolder, log: IO[bytes] | None) -> DemoProcess:
        wanted = self._wanted
        words = [word for word, given in (("temporary", place.temporary), ("debug", wanted.debug)) if given]
        arguments = [os.fspath(place.path), str(wanted.seed), str(wanted.rate), *words]
        self._process = process = DemoProcess(arguments, log, ended=self._leave_tui)
        if self._asked_early and not process.asked:
            process.ask_stop()
        return process

    def _leave_tui(self) -> None:
        """Close the terminal UI if it is open; called in another thread than it runs in."""
        if self._tui_is_open:
            os.kill(os.getpid(), signal.SIGTERM)

    def _open_tui(self, place: DemoFolder) -> int:
        from gqm_tui import RunOptions, run
        from gqm_tui.core.tomlcheck import SettingsError

        os.environ.pop("GQM_API_KEY", None)  # it belongs to another server
        options = RunOptions(
            api_url=self._wanted.url,
            api_key=self._wanted.viewer_key or None,
            state_file=place.path / "tui.json",  # a demo begins at the beginning and leaves nothing at home
        )
        timer = threading.Timer(self._wanted.duration_s or 0, self._leave_tui)
        timer.daemon = True
        if self._wanted.duration_s is not None:
            timer.start()
        self._tui_is_open = True
        try:
            return run(options)
        except SystemExit:  # of the signal handler
            return 0
        except SettingsError as exc:
            raise SettingsBroken(tuple(str(problem) for problem in exc.problems)) from exc
        finally:
            self._tui_is_open = False
            timer.cancel()


def _tell_log(log: Path) -> None:
    """Show the errors in the log, or its end if there are none."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
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
