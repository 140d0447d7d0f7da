"""Gives a worker a clock that is wrong by the seconds in the file ``{pid}.clock``, which may change."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["handlers", "set_wrong"]


def set_wrong(folder: Path, pid: int, by_s: float) -> None:
    """Let the clock of a worker be wrong by some seconds from now on."""
    path = folder / f"{pid}.clock"
    path.with_suffix(".new").write_text(str(by_s))
    path.with_suffix(".new").rename(path)


def handlers(server: Any, effects: object) -> None:
    """Put the wrong clock in the place of the right one, but for the tests' own notes."""
    path = server.folder / f"{os.getpid()}.clock"
    right, right_ns = time.time, time.time_ns

    def wrong_by() -> float:
        mine = sys._getframe(2).f_globals.get("__name__", "").startswith("tests.")
        return float(path.read_text()) if path.exists() and not mine else 0.0

    time.time = lambda: right() + wrong_by()
    time.time_ns = lambda: right_ns() + int(wrong_by() * 1e9)
