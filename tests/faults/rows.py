"""The rows of the fault suite: what each breaks, how often at which size, and what the last run counted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

__all__ = ["REPORT", "ROWS", "Counts", "Row", "nightly", "record", "sizes"]

SIZE = "GQM_FAULTS"
"""Environment: ``nightly`` makes the full size of every row that of a night."""
REPORT = "GQM_FAULTS_REPORT"
"""Environment: the file to which each run adds a line of JSON with its counts."""


@dataclass(frozen=True)
class Row:
    """One kind of fault."""

    id: str
    fault: str
    """What is broken."""
    unit: str
    """What the sizes count."""
    tiny: int
    """Size of the variant that runs with all tests."""
    ci: int
    nightly: int


def _table() -> Iterable[Row]:
    yield Row("F1", "none: sustained load", "seconds of load", 1, 60, 600)
    yield Row("F2", "kill -9 of a worker process", "kills", 2, 30, 500)
    yield Row("F3", "kill -9 between two steps", "kills at each point", 1, 20, 200)
    yield Row("F4", "kill -9 of Redis, AOF always and everysec", "kills of each", 1, 5, 50)
    yield Row("F5", "Redis frozen for 2, 8, 20 s", "freezes", 1, 6, 30)
    yield Row(
        "F6", "the network of one worker: drop, half-open, reset, latency, lost answers", "each", 1, 3, 40
    )
    yield Row("F7", "a worker stopped past its lease", "stops", 1, 20, 200)
    yield Row("F8", "the answer of a command lost", "answers", 18, 200, 2_000)
    yield Row("F9", "worker clocks that are wrong and jump, DST", "clocks", 4, 12, 40)
    yield Row("F10", "schedulers killed at random", "seconds", 4, 60, 600)
    yield Row("F11", "fail-over, READONLY, LOADING, BUSY, NOSCRIPT, CLIENT KILL", "seconds each", 2, 60, 300)
    yield Row("F12", "memory of Redis full", "jobs", 2_000, 100_000, 1_000_000)
    yield Row("F13", "disk of Redis full", "times", 1, 3, 10)
    yield Row("F14", "poison jobs", "of each kind", 1, 5, 50)
    yield Row("F15", "rolling deploys", "deploys", 2, 20, 200)
    yield Row("F16", "event loop blocked by a handler", "times", 1, 5, 20)
    yield Row("F17", "cancel in every state", "jobs of each state", 15, 500, 5_000)
    yield Row("F18", "retry storm: all due at once", "jobs", 2_000, 20_000, 200_000)
    yield Row("F19", "a long backlog with API and terminal UI open", "jobs", 5_000, 200_000, 1_000_000)
    yield Row("F20", "bad inputs", "generated inputs", 300, 20_000, 500_000)
    yield Row("F21", "cron expressions against an oracle", "expressions", 200, 5_000, 100_000)
    yield Row("F22", "random operations against a model", "runs", 20, 2_000, 50_000)
    yield Row("F23", "old and new workers on one Redis", "jobs", 200, 2_000, 20_000)
    yield Row("F24", "a soak with kills", "minutes", 0, 1, 30)


ROWS = {row.id: row for row in _table()}


@dataclass(frozen=True)
class Counts:
    """What one run of a row counted; an invariant that does not hold fails the test instead."""

    row: str
    faults: int
    jobs: int
    """Acknowledged jobs; 0 where a row has none, its note then says what was tried."""
    lost: int = 0
    """Acknowledged jobs that did not end as their script demands."""
    duplicates: int = 0
    """Runs beyond those that a job's script demands."""
    bound: int = 0
    """Jobs in flight at the faults: the most duplicates there may be."""
    note: str = ""
    """Figures of this row, in a few words."""


def nightly() -> bool:
    """Whether full sizes are those of a night."""
    return os.environ.get(SIZE) == "nightly"


def sizes(row: str) -> pytest.MarkDecorator:
    """Run a test with ``size`` of a row: small with all tests, full where slow tests run."""
    found = ROWS[row]
    full = pytest.param(found.nightly if nightly() else found.ci, id="full", marks=pytest.mark.slow)
    small = [pytest.param(found.tiny, id="tiny")] if found.tiny else []
    return pytest.mark.parametrize("size", [*small, full])


def record(counts: Counts) -> None:
    """Check the counts, print them, and add them to the report where one is asked for."""
    line = json.dumps(asdict(counts))
    print(line)  # noqa: T201 - pytest shows it with -s and when the test fails
    if path := os.environ.get(REPORT):
        with Path(path).open("a") as report:
            report.write(line + "\n")
    assert counts.lost == 0, counts
    assert counts.duplicates <= counts.bound, counts
