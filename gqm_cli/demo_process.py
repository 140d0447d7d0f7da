"""The serving process of ``gqm demo`` as the command sees it: started, asked to stop, gone for certain."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, Self

_LOOK_EVERY_S = 0.02
_CHUNK = 65_536
_UP_LIMIT_S = 30.0
_ANSWER_S = 1.0
_LEFTOVERS_S = 5.0
_KILLED_S = 1.0


class DemoProcess:
    """The process that serves and feeds the demo, with all the processes that it starts.

    It stops when its standard input closes, so it never outlives this process, however that ends.
    """

    def __init__(
        self, arguments: Sequence[str], log: IO[bytes] | None, *, ended: Callable[[], None] = lambda: None
    ) -> None:
        """Start it; ``log`` takes what it writes, instead of stderr.

        ``ended`` is called in a thread when it and all processes that it started are gone.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gqm_cli.demo_server", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the command, which passes it on
        )
        self._asked = 0
        self._all_ended = threading.Event()
        threading.Thread(target=self._see_end, args=(ended,), daemon=True).start()

    def _see_end(self, ended: Callable[[], None]) -> None:
        """Read the standard output to its end: it comes when the last process that inherited it is gone."""
        assert self._process.stdout is not None
        with self._process.stdout as output:
            while output.read(_CHUNK):
                pass  # what a handler prints is nobody's result
        self._all_ended.set()
        ended()

    @property
    def asked(self) -> bool:
        """Whether it was asked to stop."""
        return self._asked > 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop it, if it still runs."""
        if self._process.poll() is None:
            if not self.asked:
                self.ask_stop()
            self.wait()

    def ask_stop(self) -> None:
        """Ask it to stop; asked again, it hurries. May be called from a signal handler."""
        self._asked += 1
        if self._asked > 1:
            self._process.send_signal(signal.SIGTERM)
        elif self._process.stdin is not None:
            self._process.stdin.close()

    def wait_up(self, port: int) -> bool:
        """Wait until its API answers; returns whether it does."""
        deadline = time.monotonic() + _UP_LIMIT_S
        while self._process.poll() is None and not self.asked and time.monotonic() < deadline:
            if _answers(port):
                return True
            time.sleep(_LOOK_EVERY_S)
        return False

    def wait(self, limit_s: float | None = None) -> int | None:
        """Wait for its end and return its exit code; ``None`` if it goes on after ``limit_s`` seconds."""
        try:
            code = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None
        self._end_leftovers()
        return 0 if self.asked and code == -signal.SIGTERM else code

    def _end_leftovers(self) -> None:
        """See to it that the processes which it started end too, should it have died without them.

        They notice its death and stop by themselves; this waits for that, and kills what does not.
        """
        if not self._all_ended.wait(_LEFTOVERS_S):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._all_ended.wait(_KILLED_S)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
    try:
        connection.request("GET", "/health")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
