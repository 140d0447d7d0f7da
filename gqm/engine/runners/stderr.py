"""What a worker process writes to stderr: shown line by line in the log, kept for the report of its end."""

from __future__ import annotations

import asyncio
import codecs
import logging
import time
from collections import deque
from typing import cast

log = logging.getLogger("gqm.engine")

KEPT_LINES = 40
"""So many lines are part of the report of an end."""
LONGEST_LINE = 2000
LINES_PER_S = 100
"""Lines shown per second; a process that writes more costs the engine little."""


class Stderr(asyncio.Protocol):
    """Reads the pipe. Control characters are neutralised: they could move the cursor of who reads the log."""

    def __init__(self, pool: str, pid: int) -> None:
        self.closed = asyncio.Event()
        self.job_id = ""
        """The job that runs."""
        self._pool = pool
        self._pid = pid
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._transport: asyncio.ReadTransport | None = None
        self._second = 0
        self._shown = 0
        self._hidden = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the pipe."""
        self._transport = cast("asyncio.ReadTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what was written."""
        *lines, rest = (self._rest + self._decode(data)).split("\n")
        while len(rest) > LONGEST_LINE:
            lines.append(rest[:LONGEST_LINE])
            rest = rest[LONGEST_LINE:]
        self._rest = rest
        for line in lines:
            self._take(line)

    def connection_lost(self, exc: Exception | None) -> None:
        """The process has closed the pipe."""
        if self._rest:
            self._take(self._rest)
            self._rest = ""
        self._tell_hidden()
        self.closed.set()

    def close(self) -> None:
        """Read no more, although another process may hold the pipe open."""
        if self._transport is not None:
            self._transport.close()

    def last_words(self) -> str:
        """Return the last lines, for the report of the end."""
        lines = "".join(f"{line}\n" for line in self._lines) or "(nothing)\n"
        return f"last lines of stderr:\n{lines}"

    def _take(self, line: str) -> None:
        line = neutral(line[:LONGEST_LINE].rstrip("\r"))
        self._lines.append(line)
        second = int(time.monotonic())
        if second != self._second:
            self._tell_hidden()
            self._second, self._shown = second, 0
        if self._shown >= LINES_PER_S:
            self._hidden += 1
            return
        self._shown += 1
        self._show(line)

    def _tell_hidden(self) -> None:
        if self._hidden:
            hidden, self._hidden = self._hidden, 0
            self._show(f"({hidden} more lines)")

    def _show(self, line: str) -> None:
        extra: dict[str, object] = {"event": "stderr", "pool": self._pool}
        if self.job_id:
            extra["job"] = self.job_id
        log.warning("stderr of process %d: %s", self._pid, line, extra=extra)


def neutral(text: str) -> str:
    """Return text with everything but printable characters and tabs as escape sequences."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
