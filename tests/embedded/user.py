"""A process that uses an embedded server and does what its standard input says, one line at a time."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import NoReturn

from gqm.embedded import Attachment, attach
from gqm.embedded.probe import ask
from gqm.errors import EmbeddedServerError


class User:
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._attachment: Attachment | None = None

    def attach(self) -> object:
        """Attach; the answer is the server's process id."""
        self._attachment = attach(self._folder, timeout=20)
        return self._pid()

    def ensure(self) -> object:
        """Bring the server back if it is gone; the answer is its process id."""
        self._require().ensure()
        return self._pid()

    def close(self) -> object:
        """Close the attachment and stay alive."""
        self._require().close()
        return "closed"

    def fork(self) -> object:
        """Fork a child that keeps the attachment; the answer is its process id."""
        child = os.fork()
        if not child:
            _pause()
        return child

    def fork_and_close(self) -> object:
        """Fork a child that closes the attachment and stays; the answer is its process id."""
        done, tell = os.pipe()
        child = os.fork()
        if not child:
            self._require().close()
            os.write(tell, b".")
            _pause()
        os.read(done, 1)
        return child

    def fork_and_ensure(self) -> object:
        """Fork a child that brings the server back; the answer is what it did."""
        done, tell = os.pipe()
        if not os.fork():
            os.write(tell, str(self.ensure()).encode())
            os._exit(0)
        os.close(tell)
        return os.read(done, 100).decode()

    def block_signals(self) -> object:
        """Do what a supervisor does that waits for its signals with ``sigwait``."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        return "blocked"

    def add(self, *members: str) -> object:
        """Add members to a set on the server; the answer is how many were new."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._require().socket)
            connection.sendall(f"SADD seen {' '.join(members)}\r\n".encode())
            return connection.recv(100).decode().strip().removeprefix(":")

    def _pid(self) -> int | None:
        return ask(self._require().socket).pid

    def _require(self) -> Attachment:
        assert self._attachment is not None
        return self._attachment


def _pause() -> NoReturn:
    while True:
        signal.pause()


def main() -> None:
    user = User(sys.argv[1])
    for line in sys.stdin:
        command, *arguments = line.split()
        try:
            answer = f"ok {getattr(user, command)(*arguments)}"
        except (EmbeddedServerError, OSError) as error:
            answer = f"error {error}".replace("\n", " | ")
        print(answer, flush=True)  # noqa: T201 - the answers are what this program is for


if __name__ == "__main__":
    main()
