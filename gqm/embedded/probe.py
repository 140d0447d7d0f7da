"""Ask a server on a unix socket whether it is ready, and what it is, without a client library."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from enum import Enum, auto

from gqm.embedded.binary import ServerVersion

__all__ = ["Answer", "State", "ask"]

_QUESTION = b"INFO server persistence\r\n"
_GONE_ERRORS = (FileNotFoundError, ConnectionRefusedError, ConnectionResetError, BrokenPipeError)


class State(Enum):
    """How a server answered."""

    GONE = auto()
    """Nobody listens, or the server closed the connection: it has ended or is about to."""
    SILENT = auto()
    """Somebody listens, but gives no answer that can be used: it is busy, frozen or overrun."""
    LOADING = auto()
    """It reads its files and will be ready then."""
    READY = auto()
    """It serves clients."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said about itself; version and pid are only known from one that is loading or ready."""

    state: State
    version: ServerVersion | None = None
    pid: int | None = None


def ask(path: str | None, timeout: float = 1.0) -> Answer:
    """Ask the server that listens on ``path``; ``None`` stands for a path that is not known yet.

    ``timeout`` is in seconds and holds for each step: connect, send, receive.

    Raises:
        OSError: the socket cannot be used at all (no permission, for example).
    """
    if path is None:
        return Answer(State.GONE)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(path)
            connection.sendall(_QUESTION)
            reply = _receive(connection)
        except _GONE_ERRORS:
            return Answer(State.GONE)
        except (TimeoutError, BlockingIOError):  # the latter from connect: too many are waiting already
            return Answer(State.SILENT)
    return Answer(State.GONE) if reply is None else _read(reply)


def _receive(connection: socket.socket) -> bytes | None:
    """One whole reply (an error line or the bulk string); ``None`` when the server hangs up instead."""
    data = b""
    while True:
        chunk = connection.recv(65536)
        if not chunk:
            return None
        data += chunk
        head, end, body = data.partition(b"\r\n")
        if end and (not head.startswith(b"$") or len(body) >= int(head[1:])):
            return body if head.startswith(b"$") else head


def _read(reply: bytes) -> Answer:
    pairs = (line.partition(":") for line in reply.decode(errors="replace").splitlines())
    fields = {name: value for name, colon, value in pairs if colon}
    kind = "valkey" if "valkey_version" in fields else "redis"
    version = ServerVersion.parse(kind, fields.get(f"{kind}_version", ""))
    if version is None or not fields.get("process_id", "").isdecimal():
        return Answer(State.SILENT)
    state = State.READY if fields.get("loading") == "0" else State.LOADING
    return Answer(state, version, int(fields["process_id"]))
