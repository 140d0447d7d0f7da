"""What a pool's process and its children say to each other, over a socket between the two.

Messages are pickled: both ends are the same program of the same user, and nothing in them comes from
Redis but the fields of a job, as plain bytes.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from gqm.errors import GQMError


@dataclass(frozen=True, slots=True)
class SetUp:
    """First message to a child: what it needs to import and to know."""

    main: dict[str, object]
    """Module search path and main module of the parent (`multiprocessing.spawn.get_preparation_data`)."""
    handlers: bytes
    """Pickled dict of job type → function. Functions travel by reference and are only found once the path is
    set, so this is unpickled afterwards; they must stand at the top of a module."""


@dataclass(frozen=True, slots=True)
class Run:
    """Run a job."""

    fields: dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop the running handler; what does not react is killed soon after."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The child has imported everything."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The handler reported progress (JSON)."""

    text: bytes


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


def send(connection: Connection, message: object) -> None:
    """Send a message."""
    connection.send_bytes(pickle.dumps(message))


def receive(connection: Connection) -> object:
    """Wait for a message. Raises ``EOFError`` or ``OSError`` when the other end is gone."""
    return pickle.loads(connection.recv_bytes())
