"""Points between two steps at which a process kills itself, as ``kill -9`` would at just that instant.

A point is a text ``{when}:{step}:{n}``: ``before`` or ``after`` the n-th time that a script is sent, by its
name. ``before:complete:3`` is the instant after a handler whose outcome is the third to be written.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from gqm.store.aio import AsyncStore
from gqm.store.command import Command
from gqm.store.sync import Store

__all__ = ["arm"]


class _Point:
    """Counts the sends of one script, and ends the process at the one it waits for."""

    def __init__(self, text: str, folder: Path) -> None:
        self.when, self.step, number = text.split(":")
        self._left = int(number)
        self._folder = folder

    def passed(self, when: str, command: Command[Any]) -> None:
        """Kill this process if this is the point."""
        if when != self.when or command.script is None or command.script.name != self.step:
            return
        self._left -= 1
        if not self._left:
            (self._folder / f"{os.getpid()}.hit").touch()
            os.kill(os.getpid(), signal.SIGKILL)


def arm(text: str, folder: Path) -> None:
    """Let this process die at a point; an empty text is none. ``{pid}.hit`` tells that it was reached."""
    if not text:
        return
    point = _Point(text, folder)
    send, asend = Store.send, AsyncStore.send

    def sending(store: Store, command: Command[Any]) -> Any:
        point.passed("before", command)
        answer = send(store, command)
        point.passed("after", command)
        return answer

    async def asending(store: AsyncStore, command: Command[Any]) -> Any:
        point.passed("before", command)
        answer = await asend(store, command)
        point.passed("after", command)
        return answer

    setattr(Store, "send", sending)  # noqa: B010 - the type checker would not have a method replaced
    setattr(AsyncStore, "send", asending)  # noqa: B010 - likewise
