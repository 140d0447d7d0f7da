"""A pretended Redis with one answer to every request: for refusals that are hard to bring about."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

__all__ = ["Answering"]


class Answering:
    """Listens on 127.0.0.1 and answers each piece that it reads with ``answer``; ``b""`` = never."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests = 0
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._listener.accept()
                self._open.append(line)
                threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with suppress(OSError):
            while data := line.recv(65_536):
                self.requests += 1
                # What a client says of itself is taken; it may come several times in one piece.
                said = data.count(b"SETINFO")
                line.sendall(b"+OK\r\n" * said if said else self.answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # shutdown() wakes the threads that wait in accept() and recv(); close() alone would not.
        for item in (self._listener, *self._open):
            with suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
            item.close()
