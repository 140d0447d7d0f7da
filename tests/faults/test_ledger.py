"""The ledger finds what it is there for: each invariant is broken by hand in a key space that is sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import gqm
from tests.faults import mix
from tests.faults.fleet import Fleet
from tests.faults.ledger import Footprint, Ledger

JOB = "plain-hand-1"


@contextmanager
def added(path: Path, line: str) -> Iterator[None]:
    """A file with one more line."""
    before = path.read_bytes()
    path.write_bytes(before + line.encode())
    yield
    path.write_bytes(before)


def without(path: Path, line: str) -> str:
    """The text of a file without the lines that begin so."""
    return "".join(item for item in path.read_text().splitlines(keepends=True) if not item.startswith(line))


def test_every_invariant_can_fail(fleet: Fleet, ledger: Ledger) -> None:
    fleet.worker()
    with fleet_client(fleet) as enqueue:
        for number, kind in enumerate(("plain", "flaky", "dead", "dag", "unique", "delayed")):
            assert enqueue(mix.Piece(kind, f"{kind}-hand-{number + 1}", 0, 0.1))
    ledger.wait_drained()
    fleet.stop()
    sound = ledger.check("F1")
    assert (sound.jobs, sound.lost, sound.duplicates) == (9, 0, 0)

    with added(fleet.acks, "? plain-hand-9 1.0\n+ plain-hand-9 1.0\n"):
        assert ledger.check("F1").lost == 1
        assert ledger.check("F1", may_lose=((0.5, 1.5),)).lost == 0
    with added(fleet.effects, f"start {JOB} 1 1 1.0\n"):
        assert ledger.check("F1").duplicates == 1
    with added(fleet.acks, "+ unique-hand-5 1.0\n"), pytest.raises(AssertionError, match="I7"):
        ledger.check("F1")
    with (
        added(fleet.acks, "? plain-hand-9 1.0\n= plain-hand-9 1.0\n"),
        pytest.raises(AssertionError, match="I7"),
    ):
        ledger.check("F1")
    for what, changed, restored in breakages(fleet, ledger):
        changed()
        with pytest.raises(AssertionError, match=what):
            ledger.check("F1")
        restored()
    assert ledger.check("F1") == sound


@contextmanager
def fleet_client(fleet: Fleet) -> Iterator[Callable[[mix.Piece], bool]]:
    """What a producer of the fleet does, in this process."""
    acks = mix.Acks(fleet.acks)
    with gqm.Client(fleet.address, prefix=fleet.prefix) as client:
        yield lambda piece: mix.enqueue(client, acks, piece)


def breakages(
    fleet: Fleet, ledger: Ledger
) -> Iterator[tuple[str, Callable[[], object], Callable[[], object]]]:
    """Yield what each breakage must be called, how it is made and how it is mended."""
    raw, keys = ledger.raw, ledger.keys
    completed, job = keys.completed(mix.QUEUE), keys.job(JOB)
    score = raw.zscore(completed, JOB)
    acks, effects = fleet.acks.read_text(), fleet.effects.read_text()
    yield "I2", lambda: raw.zrem(completed, JOB), lambda: raw.zadd(completed, {JOB: score})
    yield (
        "I1: plain",
        lambda: raw.hset(job, "status", "canceled"),
        lambda: raw.hset(job, "status", "completed"),
    )
    yield "I4", lambda: raw.hset(job, "result", "7"), lambda: raw.hset(job, "result", "1")
    yield (
        "I1: nobody",
        lambda: fleet.acks.write_text(without(fleet.acks, f"? {JOB}").replace(f"+ {JOB}", "+ plain-other")),
        lambda: fleet.acks.write_text(acks),
    )
    yield (
        "I3",
        lambda: fleet.effects.write_text(without(fleet.effects, f"end {JOB}")),
        lambda: fleet.effects.write_text(effects),
    )
    yield (
        "I5",
        lambda: fleet.effects.write_text(effects + "start dag-hand-4-d 1 1 1.0\n"),
        lambda: fleet.effects.write_text(effects),
    )
    ledger_of = keys.ledger(mix.QUEUE)
    yield (
        "ledger of mix",
        lambda: raw.hincrby(ledger_of, "accepted", 1),
        lambda: raw.hincrby(ledger_of, "accepted", -1),
    )
    stray = keys.job("gone:children")
    yield "orphan|I9|stray", lambda: raw.sadd(stray, "x"), lambda: raw.delete(stray)


def test_a_process_that_grows_is_found() -> None:
    small = Footprint(50 << 20, 10, 20)
    small.assert_back_from(Footprint(69 << 20, 12, 22))
    for grown in (Footprint(71 << 20, 10, 20), Footprint(50 << 20, 40, 20), Footprint(50 << 20, 10, 40)):
        with pytest.raises(AssertionError, match="I10"):
            small.assert_back_from(grown)
