"""What a pool's process and its children say to each other, over a socket between the two.

Messages are pickled: both ends are the same program of the same user, and nothing in them comes from
Redis but the fields of a job, as plain bytes. A frame is what `multiprocessing.connection` makes of it.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from gqm.errors import GQMError

MAX_FRAME = 16 * 1_048_576
"""Larger messages are never sent: payloads, results and exceptions have limits far below."""

_LENGTH = struct.Struct("!i")

# ----------------------------------------------------------------------------------- to the child


@dataclass(frozen=True, slots=True)
class SetUp:
    """First message to a child: what it needs to import and to know."""

    main: dict[str, object]
    """Module search path and main module of the parent (`multiprocessing.spawn.get_preparation_data`)."""
    handlers: bytes
    """Pickled dict of job type → function. Functions travel by reference and are only found once the path is
    set, so this is unpickled afterwards; they must stand at the top of a module."""
    log_levels: dict[str, int]
    """Levels of the parent's loggers; ``""`` is the root."""


@dataclass(frozen=True, slots=True)
class Run:
    """Run a job; ``number`` names the run in later messages."""

    number: int
    fields: dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop the handler of a run; what does not react is killed soon after."""

    number: int


@dataclass(frozen=True, slots=True)
class Quit:
    """Exit like any program that has come to its end."""


# ---------------------------------------------------------------------------------- to the parent


@dataclass(frozen=True, slots=True)
class Ready:
    """The child has imported everything."""

    peak: int
    """Its peak memory so far, in the unit of ``ru_maxrss``. Linux hands the parent's own peak down."""


@dataclass(frozen=True, slots=True)
class NotReady:
    """The child could not import everything, and exits."""

    text: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The child has the job; what happens from now on is the job's doing."""

    number: int


@dataclass(frozen=True, slots=True)
class Progress:
    """The handler reported progress (JSON)."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Logged:
    """Something was logged: the attributes of a `logging.LogRecord`, all of them plain values."""

    record: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Returned:
    """The handler returned; the result is encoded already."""

    result: bytes
    note: str


@dataclass(frozen=True, slots=True)
class Raised:
    """The handler raised."""

    text: str
    traceback: str
    skip_retry: bool
    error: bytes = field(repr=False)
    """The exception itself, pickled; empty if it cannot be."""


# ------------------------------------------------------------------------- what becomes of them


class Remote(Exception):
    """An exception of a child that could not be brought over; its text is that of the original."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What an exception from a child looked like there; kept beside the exception that stands for it."""

    text: str
    traceback: str
    skip_retry: bool


class ProcessDied(GQMError):
    """The worker process exited while it ran a job."""

    def __init__(self, text: str, details: str, *, killed: bool) -> None:
        super().__init__(text)
        self.details = details
        """Peak memory and the last lines of stderr, among them the Python stack."""
        self.killed = killed
        """Whether it was our decision: at the deadline, on a cancel, or at a stop."""


class NotStarted(GQMError):
    """No worker process took the job."""


# --------------------------------------------------------------------------------------- frames


def send(connection: Connection, message: object) -> None:
    """Send a message."""
    connection.send_bytes(pickle.dumps(message))


def receive(connection: Connection) -> object:
    """Wait for a message. Raises ``EOFError`` or ``OSError`` when the other end is gone."""
    return pickle.loads(connection.recv_bytes())


def frame(message: object) -> bytes:
    """Return a message as `receive` reads it, for a socket that is not a ``Connection``."""
    raw = pickle.dumps(message)
    return _LENGTH.pack(len(raw)) + raw


class Frames:
    """Puts messages together again from the pieces in which a socket delivers them."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[object]:
        """Take the next piece; return the messages that it completes.

        Raises ``ValueError`` if this is no frame; then nothing more can be read.
        """
        self._buffer += data
        messages: list[object] = []
        while (end := self._end()) is not None:
            raw = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            try:
                messages.append(pickle.loads(raw))
            except Exception as exc:
                raise ValueError(f"a message of a worker process cannot be read: {exc}") from exc
        return messages

    def _end(self) -> int | None:
        """Return where the first frame ends, ``None`` if it is not all there."""
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        if not 0 < length <= MAX_FRAME:
            raise ValueError(f"a worker process sent a message of {length} bytes")
        end = _LENGTH.size + int(length)
        return end if len(self._buffer) >= end else None
