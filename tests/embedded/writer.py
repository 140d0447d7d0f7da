"""A process that writes to an embedded server until SIGTERM, and logs what the server acknowledged and when.

Usage: ``python -m tests.embedded.writer FOLDER LOG PAUSE_S``. It adds ``<pid>-1``, ``<pid>-2``, … to the set
``seen``. When the server goes away it brings it back and sends again what was not acknowledged.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

from gqm.embedded import Attachment, attach


class Writer:
    def __init__(self, attachment: Attachment, log: str, pause_s: float) -> None:
        self._attachment = attachment
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._pause_s = pause_s
        self._leaving = False
        self._number = 1
        signal.signal(signal.SIGTERM, self._leave)

    def run(self) -> None:
        """Write until told to leave."""
        while not self._leaving:
            try:
                self._write_on_one_connection()
            except (OSError, EOFError):
                self._attachment.ensure()

    def _write_on_one_connection(self) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(self._attachment.socket)
            while not self._leaving:
                member = f"{os.getpid()}-{self._number}"
                connection.sendall(f"SADD seen {member}\r\n".encode())
                reply = connection.recv(100)
                if not reply.startswith(b":"):
                    raise EOFError(reply)
                os.write(self._log, f"{member} {time.monotonic()}\n".encode())
                self._number += 1
                time.sleep(self._pause_s)

    def _leave(self, *_: object) -> None:
        self._leaving = True


if __name__ == "__main__":
    with attach(sys.argv[1], timeout=20) as attachment:
        Writer(attachment, sys.argv[2], float(sys.argv[3])).run()
