"""The standard load: which jobs there are, what their handlers do, and what must become of each.

A job's id begins with its kind, so that the ledger knows from the id alone what is demanded of it.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gqm

__all__ = [
    "KINDS",
    "QUEUE",
    "TICK",
    "Acks",
    "Effects",
    "Kind",
    "Piece",
    "enqueue",
    "handlers",
    "kind_of",
    "pieces",
]

QUEUE = "mix"
HARDY = 1000
"""``max_retry`` of jobs that must not die: each crash of a worker that they meet counts as a failure."""
FAILS = 2
"""How often a job of the kind ``flaky`` fails before it succeeds, and ``dead`` may fail before it dies."""


@dataclass(frozen=True)
class Kind:
    """What is demanded of jobs of one kind."""

    status: gqm.Status
    runs: int
    """Starts of the handler when nothing breaks."""


KINDS = {
    "plain": Kind(gqm.Status.COMPLETED, 1),
    "flaky": Kind(gqm.Status.COMPLETED, 1 + FAILS),
    "dead": Kind(gqm.Status.DEAD_LETTER, 1 + FAILS),
    "delayed": Kind(gqm.Status.COMPLETED, 1),
    "dag": Kind(gqm.Status.COMPLETED, 1),
    "unique": Kind(gqm.Status.COMPLETED, 1),
    "made": Kind(gqm.Status.COMPLETED, 1),
}
"""``made`` are the jobs that cron makes; their ids are generated."""
TICK = {
    "id": "tick",
    "cron_expr": "* * * * * *",
    "job_type": "plain",
    "queue": QUEUE,
    "max_retry": HARDY,
    "overlap_policy": "allow",
}
"""An entry that fires each second."""
# Shares of pieces: a diamond is four jobs, a unique job is asked for twice and made once.
_SHARES = {"plain": 55.0, "flaky": 15.0, "dead": 5.0, "delayed": 10.0, "dag": 2.5, "unique": 5.0}


def kind_of(job_id: str) -> str:
    """Return the kind of a job by its id."""
    kind = job_id.partition("-")[0]
    return kind if kind in KINDS else "made"


# ------------------------------------------------------------------------------------------ producing


@dataclass(frozen=True)
class Piece:
    """One step of a producer: a job, or a diamond of four."""

    kind: str
    name: str
    ms: int
    """How long a handler takes."""
    delay_s: float


def pieces(
    name: str,
    seed: int,
    *,
    delays_s: tuple[float, float] = (1.0, 5.0),
    takes_ms: tuple[int, int] = (0, 20),
) -> Iterator[Piece]:
    """Yield the pieces of a load, without end; ``name`` keeps the ids of several producers apart."""
    chance = random.Random(seed)
    number = 0
    while True:
        (kind,) = chance.choices(list(_SHARES), list(_SHARES.values()))
        yield Piece(kind, f"{kind}-{name}-{number}", chance.randint(*takes_ms), chance.uniform(*delays_s))
        number += 1


class Acks:
    """The file in which a producer writes down what it asks for and what it was answered, line by line.

    ``? id time`` it asks, ``+ id time`` it was told that the job is there, ``= id time`` it was refused as
    there already, ``- id time error`` it was told that nothing is known.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, sign: str, ids: list[str], words: str = "") -> None:
        """Add a line for each job; what is written outlives the process."""
        now = f"{time.time():.6f}"
        os.write(self._file, "".join(f"{sign} {item} {now} {words}\n" for item in ids).encode())

    def call(self, make: Any, ids: list[str]) -> bool:
        """Ask by calling ``make``, and write down question and answer; return whether the jobs are there."""
        self.write("?", ids)
        try:
            make()
        except gqm.DuplicateJobID:
            self.write("=", ids)
        except gqm.GQMError as exc:
            self.write("-", ids, type(exc).__name__)
            return False
        else:
            self.write("+", ids)
        return True


def enqueue(client: gqm.Client, acks: Acks, piece: Piece) -> bool:
    """Carry out one piece; return whether all of it is there."""
    payload = {"ms": piece.ms}
    common: Any = {"queue": QUEUE, "max_retry": FAILS if piece.kind == "dead" else HARDY}
    if piece.kind == "dag":
        return _diamond(client, acks, piece, common)
    own: Any = {**common, "job_id": piece.name}
    if piece.kind == "delayed":
        return acks.call(
            lambda: client.enqueue_in(piece.kind, payload, piece.delay_s, **own), [f"{piece.name}"]
        )
    if piece.kind == "unique":
        own["unique"] = True
        first = acks.call(lambda: client.enqueue(piece.kind, payload, **own), [piece.name])
        return acks.call(lambda: client.enqueue(piece.kind, payload, **own), [piece.name]) and first
    return acks.call(lambda: client.enqueue(piece.kind, payload, **own), [piece.name])


def enqueue_bulk(client: gqm.Client, acks: Acks, name: str, jobs: int) -> bool:
    """Make plain jobs that take no time with one call."""
    ids = [f"plain-{name}-{number}" for number in range(jobs)]
    items = [
        gqm.Item("plain", {"ms": 0}, {"queue": QUEUE, "max_retry": HARDY, "job_id": job_id}) for job_id in ids
    ]
    return acks.call(lambda: client.enqueue_batch(items), ids)


def _diamond(client: gqm.Client, acks: Acks, piece: Piece, common: Any) -> bool:
    """Make a job, two that depend on it, and one that depends on those."""
    parents: dict[str, list[str]] = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
    for part, of in parents.items():
        own = {**common, "job_id": f"{piece.name}-{part}"}
        if of:
            own["depends_on"] = [f"{piece.name}-{parent}" for parent in of]
        if not acks.call(lambda own=own: client.enqueue("dag", {"ms": piece.ms}, **own), [own["job_id"]]):
            return False
    return True


# ------------------------------------------------------------------------------------------ handling


class Effects:
    """The file in which handlers write down what they do: ``start``, ``end``, ``fail``, ``cancel``."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, what: str, job: gqm.Job) -> None:
        """Add a line."""
        line = f"{what} {job.id} {job.attempt} {os.getpid()} {time.time():.6f}\n"
        os.write(self._file, line.encode())


class Failure(Exception):
    """What handlers raise on purpose."""


def handlers(server: gqm.Server, effects: Effects) -> None:
    """Register the handlers of all kinds; a run's result is the number of its attempt."""

    async def steady(job: gqm.Job) -> int:
        effects.write("start", job)
        try:
            await asyncio.sleep(_ms(job) / 1000)
        except asyncio.CancelledError:
            effects.write("cancel", job)
            raise
        effects.write("end", job)
        return job.attempt

    def flaky(job: gqm.Job) -> int:
        effects.write("start", job)
        time.sleep(_ms(job) / 1000)
        if job.type == "dead" or job.retry_count < FAILS:
            effects.write("fail", job)
            raise Failure("on purpose")
        effects.write("end", job)
        return job.attempt

    for kind in KINDS:
        server.handle(kind, flaky if kind in ("flaky", "dead") else steady)


def _ms(job: gqm.Job) -> int:
    ms = job.payload.get("ms", 0)
    assert isinstance(ms, int)
    return ms
