"""A program in a terminal that people use: keys go in through tmux, and its screen is read as text."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.wait import eventually

__all__ = ["Terminal", "tmux_program"]

Screened = Callable[[str], bool]
_SETTINGS = (
    *("set-option", "-g", "status", "off", ";"),
    *("set-option", "-s", "set-clipboard", "on", ";"),
    *("set-option", "-s", "escape-time", "0", ";"),
)
BUSY_S = 30.0
"""How long a fact may take that comes at once on an idle machine."""


def _size(size: tuple[int, int]) -> tuple[str, str, str, str]:
    return ("-x", str(size[0]), "-y", str(size[1]))


def tmux_program() -> str:
    """Path of tmux; skips the test (fails it under CI) when there is none."""
    path = shutil.which("tmux")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("tmux is not installed, and CI must test the terminal UI in a terminal")
        pytest.skip("tmux is not installed")
    return path


class Terminal:
    """One window of a tmux server of its own; programs in it may set title and clipboard.

    The environment reaches the program without standing on any command line.
    """

    def __init__(
        self, folder: Path, size: tuple[int, int], command: Sequence[str], env: Mapping[str, str]
    ) -> None:
        self._tmux = [tmux_program(), "-f", os.devnull, "-S", str(folder / "tmux.sock")]
        self._env = {name: value for name, value in env.items() if not name.startswith("TMUX")}
        self._folder = folder
        self._do(*_SETTINGS, "new-session", "-d", *_size(size), *command)

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names for them."""
        self._do("send-keys", *keys)

    def resize(self, size: tuple[int, int]) -> None:
        """Give the window another size, in columns and lines."""
        self._do("resize-window", *_size(size))

    def screen(self) -> str:
        """What can be seen now."""
        return self._do("capture-pane", "-p")

    def shows(self, *texts: str, within_s: float = BUSY_S) -> str:
        """Wait until all of these texts can be seen at once; returns the screen."""
        return self.until(lambda screen: all(text in screen for text in texts), within_s, f"shows {texts}")

    def lacks(self, text: str) -> str:
        """Wait until a text can no longer be seen; returns the screen."""
        return self.until(lambda screen: text not in screen, BUSY_S, f"lacks {text!r}")

    def until(self, holds: Screened, within_s: float = BUSY_S, what: str = "") -> str:
        """Wait until something holds of the screen; returns the screen."""
        last = ""

        def look() -> bool:
            nonlocal last
            last = self.screen()
            return holds(last)

        eventually(look, within_s, 0.05, lambda: f"the screen {what}; it is\n{last}")
        return last

    @property
    def title(self) -> str:
        """The window's title."""
        return self._do("display-message", "-p", "#{pane_title}").rstrip("\n")

    @property
    def has_other_screen(self) -> bool:
        """Whether the program has taken the alternate screen."""
        return self._do("display-message", "-p", "#{alternate_on}").strip() == "1"

    @property
    def clipboard(self) -> list[str]:
        """All that was copied by the terminal, newest first."""
        names = self._do("list-buffers", "-F", "#{buffer_name}").split()
        return [self._do("show-buffer", "-b", name) for name in names]

    def close(self) -> None:
        """End the program and the tmux server."""
        self._do("kill-server", check=False)

    def _do(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            [*self._tmux, *words],
            cwd=self._folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BUSY_S,
            check=False,
        )
        assert done.returncode == 0 or not check, f"tmux {words[0]}: {done.stderr}"
        return done.stdout
