"""What leaves the screen: clipboard, pager, editor and files, by small functions that can be replaced."""

import contextlib
import importlib
import subprocess
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from textual.app import SuspendNotSupported

from gqm_tui.core import fmt
from gqm_tui.core.export import export_file, private_file, program

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp

_LARGE = 74_994
"""Bytes that fit the terminal sequence for the clipboard in most terminals."""
Severity = Literal["information", "warning", "error"]


def to_system_clipboard(text: str) -> bool:
    """Copy by pyperclip, which also works where the terminal ignores the sequence; False without it."""
    try:
        copy = importlib.import_module("pyperclip").copy
    except ImportError:
        return False
    # Its error class is not there without it, and whatever it raises, the terminal was told already.
    with contextlib.suppress(Exception):
        copy(text)
        return True
    return False


@dataclass(frozen=True, slots=True)
class Tools:
    """The ways out of this process."""

    clipboard: Callable[[str], bool] = to_system_clipboard
    run: Callable[[Sequence[str]], int] = subprocess.call
    suspend: "Callable[[GqmApp], AbstractContextManager[None]]" = lambda app: app.suspend()
    folder: Callable[[], Path] = Path.cwd


class Outside:
    """Takes texts out of the app, and says in a toast how it went. Texts are safe already."""

    def __init__(self, app: "GqmApp", tools: Tools | None = None) -> None:
        self._app = app
        self._tools = tools or Tools()

    def copy(self, text: str, what: str) -> None:
        """Copy a text by the terminal, and by the system if there is a way."""
        self._app.copy_to_clipboard(text)
        octets = len(text.encode("utf-8", "replace"))
        if not self._tools.clipboard(text) and octets > _LARGE:
            self._tell(f"{what} has {fmt.size(octets)}; the terminal may not take it all", "warning")
        else:
            self._tell(f"copied {what}", "information")

    def page(self, text: str, name: str, suffix: str = ".txt") -> None:
        """Show a text in `$PAGER`."""
        self._open("PAGER", text, name, suffix)

    def edit(self, text: str, name: str, suffix: str = ".txt") -> None:
        """Open a copy of a text in `$EDITOR`; what is changed in it is thrown away."""
        self._open("EDITOR", text, name, suffix)

    def save(self, text: str, what: str, suffix: str, rows: str) -> None:
        """Write a text into a new file of the working folder."""
        try:
            path = export_file(self._tools.folder(), what, self._app.clock.wall(), suffix, text)
        except OSError as error:
            self._tell(f"nothing was saved: {error.strerror or error}", "error")
        else:
            self._tell(f"saved {rows} in {path}", "information")

    def _open(self, variable: str, text: str, name: str, suffix: str) -> None:
        try:
            with private_file(text, name, suffix) as path:
                words = program(variable, path)
                with self._tools.suspend(self._app):
                    self._tools.run(words)
        except SuspendNotSupported:
            self._tell("this terminal cannot be handed to another program", "warning")
        except ValueError as error:
            self._tell(str(error), "error")
        except OSError as error:
            self._tell(f"${variable} cannot be started: {error.strerror or error}", "error")

    def _tell(self, text: str, severity: Severity) -> None:
        self._app.notify(text, severity=severity, markup=False)
