"""Ids, nonces and the rules for names: what identifies a job, a claim, a server, a queue."""

from __future__ import annotations

import os
import re
import socket
import struct
import threading
import time

from gqm.errors import InvalidJob

__all__ = [
    "MAX_JOB_ID",
    "MAX_NAME",
    "check_job_id",
    "check_name",
    "new_id",
    "new_ids",
    "new_nonce",
    "new_server_id",
    "shown",
]

MAX_JOB_ID = 256
"""Longest job id, in characters."""

MAX_NAME = 128
"""Longest queue, type or pool name, in characters."""

_JOB_ID = re.compile(rf"[A-Za-z0-9._-]{{1,{MAX_JOB_ID}}}")
_NAME = re.compile(rf"[A-Za-z0-9._:-]{{1,{MAX_NAME}}}")
_NOT_IN_SERVER_ID = re.compile(r"[^A-Za-z0-9._-]")

_SHOWN = 60  # characters of a refused value that an error text repeats

_COUNTER_BITS = 12
_COUNTER_MASK = (1 << _COUNTER_BITS) - 1
_VERSION_7 = 0x7 << _COUNTER_BITS
_VARIANT = 0b10 << 62
_RANDOM_62 = (1 << 62) - 1
_RANDOM_WORDS = struct.Struct("256Q")


class _IdSource:
    """Makes the ids of one process.

    ``_last`` holds millisecond and counter of the newest id as one number, so "one more than the last" is a
    plain addition: a full counter carries into the millisecond, and a clock that steps back changes nothing.
    """

    def __init__(self) -> None:
        self._last = 0
        self._random: list[int] = []
        self._lock = threading.RLock()  # re-entrant: a signal handler may enqueue in the middle of an id
        self._guards_fork = False

    def one(self) -> str:
        """Make one id, greater than every id made before."""
        with self._lock:
            tick = self._last = self._next_tick()
            random = self._random.pop()
        return _format(tick, random)

    def many(self, count: int) -> list[str]:
        """Make ``count`` ids, each greater than every id made before."""
        with self._lock:
            tick = self._next_tick()
            self._last = tick + count - 1
            self._refill(count)
            words = self._random[-count:]
            del self._random[-count:]
        return [_format(tick + i, word) for i, word in enumerate(words)]

    def word(self) -> int:
        """Return 64 random bits."""
        with self._lock:
            self._refill(1)
            return self._random.pop()

    def _next_tick(self) -> int:
        """Return the place of the next id; afterwards at least one random word is at hand."""
        if len(self._random) < 2:
            self._refill(2)
        now_ms = time.time_ns() // 1_000_000
        if now_ms > self._last >> _COUNTER_BITS:
            return now_ms << _COUNTER_BITS | self._random.pop() & _COUNTER_MASK
        return self._last + 1

    def _refill(self, count: int) -> None:
        if not self._guards_fork:
            # Done at the first id, not at import. Without it two forked workers would repeat each other.
            os.register_at_fork(after_in_child=self._after_fork)
            self._guards_fork = True
        while len(self._random) < count:
            self._random.extend(_RANDOM_WORDS.unpack(os.urandom(_RANDOM_WORDS.size)))

    def _after_fork(self) -> None:
        # The lock may have been held by a thread that the child does not have.
        self._lock = threading.RLock()
        self._random = []


def _format(tick: int, random: int) -> str:
    high = (tick & ~_COUNTER_MASK) << 4 | _VERSION_7 | tick & _COUNTER_MASK
    left = high.to_bytes(8, "big").hex()
    right = (_VARIANT | random & _RANDOM_62).to_bytes(8, "big").hex()
    return f"{left[:8]}-{left[8:12]}-{left[12:]}-{right[:4]}-{right[4:]}"


# The one piece of state here: ids rise strictly over all clients and threads of a process.
_source = _IdSource()


def new_id() -> str:
    """Make a job id: a UUID version 7 (RFC 9562), lower case.

    48 bits of unix milliseconds, a 12-bit counter with a random start and 62 random bits. Ids rise strictly
    within a process, over all its threads, also when the clock steps back: a counter that is full borrows
    from the next millisecond.
    """
    return _source.one()


def new_ids(count: int) -> list[str]:
    """Make ``count`` job ids in rising order; cheaper than as many calls of :func:`new_id`."""
    return _source.many(count) if count > 0 else []


def new_nonce() -> str:
    """Make 16 random hexadecimal digits: the mark of one call, or of one series of claims."""
    return f"{_source.word():016x}"


def new_server_id() -> str:
    """Make the id of a server, ``{hostname}-{pid}-{6 random hex}``.

    The random part keeps two servers of one process apart, and containers that share host name and pid.
    Characters of the host name that a server id may not hold become ``-``.
    """
    host = _NOT_IN_SERVER_ID.sub("-", socket.gethostname()) or "host"
    return f"{host}-{os.getpid()}-{_source.word() >> 40:06x}"


def check_job_id(value: object, what: str = "job id") -> str:
    """Return ``value`` if it is a job id, else raise :class:`InvalidJob`.

    ``what`` names the thing in the error text, for instance ``"parent id"``.
    """
    if isinstance(value, str) and _JOB_ID.fullmatch(value):
        return value
    raise InvalidJob(_refusal(value, what, "letters, digits, . _ -", MAX_JOB_ID))


def check_name(value: object, what: str) -> str:
    """Return ``value`` if it is the name of a queue, type or pool, else raise :class:`InvalidJob`.

    ``what`` names the thing in the error text: ``"queue"``, ``"type"`` or ``"pool"``.
    """
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise InvalidJob(_refusal(value, what, "letters, digits, . _ : -", MAX_NAME))


def _refusal(value: object, what: str, characters: str, longest: int) -> str:
    if not isinstance(value, str):
        return f"{what} must be a string, not {type(value).__name__}"
    if not value:
        return f"{what} is empty; allowed: {characters} and 1..{longest} characters"
    return f"{what} {shown(value)} is not valid; allowed: {characters} and 1..{longest} characters"


def shown(value: object) -> str:
    """Return a refused value as error texts repeat it: its start, or its type if it cannot be written out."""
    try:
        text = repr(value[:_SHOWN] if isinstance(value, str | bytes) else value)
    except Exception:  # noqa: BLE001 - an int of too many digits, or an object of a caller's class
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
