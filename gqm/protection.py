"""The banner about a Redis without a password on another machine, and how to say that this is meant."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable


class _Protection:
    """What this process has said and heard about unprotected servers.

    The acknowledgement, and the form in which this process speaks, are facts about the whole process, made
    before any server exists; so this is one of the few things that live as long as the module.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._acknowledged = False
        self._warned: set[str] = set()
        self.show: Callable[[str], None] = _show_banner

    def acknowledge(self) -> None:
        with self._lock:
            self._acknowledged = True

    def due(self, where: str) -> bool:
        """Whether the banner for this address is still to be shown; afterwards it is not."""
        with self._lock:
            if self._acknowledged or where in self._warned:
                return False
            self._warned.add(where)
            return True


def _show_banner(where: str) -> None:
    """Write the banner to stderr, where no log level hides it."""
    sys.stderr.write(
        "\n"
        "  ##############################################################################\n"
        f"  ##  Redis at {where} has no password and is on another machine.\n"
        "  ##  Anybody who reaches it can read and run jobs. Set redis.password, or say\n"
        "  ##  that it is meant: gqm.acknowledge_unprotected_redis() in a handlers module.\n"
        "  ##############################################################################\n\n"
    )
    sys.stderr.flush()


_protection = _Protection()


def acknowledge_unprotected_redis() -> None:
    """Say that a Redis without a password on another machine is meant, so that no banner is shown."""
    _protection.acknowledge()


def show_unprotected_with(show: Callable[[str], None]) -> None:
    """Let ``show`` tell of such a Redis instead of the banner; it gets the address."""
    _protection.show = show


def warn_unprotected(where: str) -> None:
    """Tell of such a Redis, once per address and process."""
    if _protection.due(where):
        _protection.show(where)
