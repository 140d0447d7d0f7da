"""Runs the fault suite at full size and keeps its report: ``python -m benchmarks faults``."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import gqm
from benchmarks.harness import machine
from gqm.embedded.binary import find_binary
from tests.faults.rows import REPORT, ROWS, SIZE, Row

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).with_name("faults.md")
_NO_TESTS = 5
"""Exit status of pytest when nothing was to be run."""
_HEAD = "| row | fault | size | run | faults | jobs | lost | duplicates | in flight | seconds | notes |"
_RULE = "|---|---|---|---|---:|---:|---:|---:|---:|---:|---|"


class Sums(NamedTuple):
    """What the tests of a row counted together."""

    faults: int
    jobs: int
    lost: int
    duplicates: int
    bound: int
    seconds: int


@dataclass(frozen=True)
class Line:
    """One line of the report: what the last run of a row counted."""

    row: str
    size: str
    run: str
    """Date of the run, or that it failed."""
    sums: Sums
    notes: str

    @property
    def failed(self) -> bool:
        """Whether a test of the row failed."""
        return self.run.startswith("FAILED")

    def text(self) -> str:
        """The line as it stands in the table."""
        words = [self.row, ROWS[self.row].fault, self.size, self.run, *(f"{count:,}" for count in self.sums)]
        return f"| {' | '.join([*words, self.notes])} |"

    @classmethod
    def read(cls, text: str) -> Line | None:
        """Read a line of the table; ``None`` for any other text."""
        words = [word.strip() for word in text.strip().strip("|").split("|")]
        if len(words) != 11 or words[0] not in ROWS:
            return None
        sums = Sums._make(int(word.replace(",", "")) for word in words[4:10])
        return cls(words[0], words[2], words[3], sums, words[10])


def main(args: Sequence[str]) -> None:
    """Run all rows, or those that are named, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks faults")
    parser.add_argument("--nightly", action="store_true", help="the sizes of a night instead of CI's")
    parser.add_argument("--row", action="append", choices=list(ROWS), help="only this row; may be repeated")
    options = parser.parse_args(args)
    failed = False
    for name in options.row or ROWS:
        line = run(ROWS[name], nightly=options.nightly)
        if line is None:
            print(f"{name}: no test at this size")
            continue
        known = kept() | {name: line}
        failed = failed or line.failed
        print(line.text(), flush=True)
        TABLE.write_text(report(known))
    print(f"\n{headline(kept().values())}")
    raise SystemExit(1 if failed else 0)


def run(row: Row, *, nightly: bool) -> Line | None:
    """Run the tests of a row and sum up what they counted; ``None`` if there are none."""
    folder = Path(tempfile.mkdtemp(prefix="gqm-faults-"))
    try:
        counted = folder / "counts"
        counted.touch()
        size = "nightly" if nightly else "ci"
        begun = time.monotonic()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "tests/faults", "-n", "0", "-m", "slow or not slow"),
                *("-k", f"test_{row.id.lower()}_ and not tiny"),
            ],
            cwd=ROOT,
            env={**os.environ, SIZE: size, REPORT: str(counted)},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode == _NO_TESTS:
            return None
        if done.returncode:
            print(done.stdout[-20_000:], file=sys.stderr)
        counts = [json.loads(line) for line in counted.read_text().splitlines()]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    date = time.strftime("%Y-%m-%d", time.gmtime())
    totals = {name: sum(int(item[name]) for item in counts) for name in Sums._fields[:-1]}
    sums = Sums(**totals, seconds=round(time.monotonic() - begun))
    notes = dict.fromkeys(str(item["note"]).replace("|", "/") for item in counts if item["note"])
    return Line(row.id, size, f"FAILED {date}" if done.returncode else date, sums, "; ".join(notes))


def kept() -> dict[str, Line]:
    """Return the lines of the report as it stands: another run may have written some meanwhile."""
    return read_lines(TABLE.read_text() if TABLE.exists() else "")


def read_lines(text: str) -> dict[str, Line]:
    """Return the lines of an earlier report by their row."""
    return {line.row: line for line in map(Line.read, text.splitlines()) if line is not None}


def headline(lines: Iterable[Line]) -> str:
    """Return the sum of all rows in one sentence."""
    found = list(lines)
    faults, jobs, lost, duplicates = (sum(line.sums[place] for line in found) for place in range(4))
    within = all(line.sums.duplicates <= line.sums.bound for line in found)
    text = (
        f"{faults:,} faults of {len(found)} kinds over {jobs:,} jobs: {lost:,} acknowledged jobs lost, "
        f"{duplicates:,} duplicate runs, {'all' if within else 'NOT all'} within the in-flight bound"
    )
    failed = [line.row for line in found if line.failed]
    return text + (f"; FAILED: {', '.join(failed)}" if failed else "")


def report(lines: dict[str, Line]) -> str:
    """Return the whole report."""
    missing = [row for row in ROWS if row not in lines]
    table = [lines[row].text() for row in ROWS if row in lines]
    parts = [
        "# Faults",
        f"**{headline(lines.values())}**",
        "Each row breaks one thing under load; then every acknowledgement that a producer wrote down, every "
        "effect of a handler and the whole key space must agree. A row that does not hold fails. `lost`: "
        "acknowledged jobs that did not end as demanded. `duplicates`: runs beyond those demanded; "
        "at-least-once allows as many as were `in flight` when something broke. The faults of F20 are "
        "inputs; F21 and F22 break nothing, they compare, and their notes say how much.",
        "\n".join([_HEAD, _RULE, *table]),
        *([f"Not run yet: {', '.join(missing)}."] if missing else []),
        f"Measured on {machine()}, {servers()}, gqm {gqm.__version__}. "
        "`python -m benchmarks faults [--nightly] [--row F2]` runs it and writes this file.",
    ]
    return "\n\n".join(parts) + "\n"


def servers() -> str:
    """Return which servers and which client the rows ran with."""
    embedded = find_binary(os.environ).version
    found = [f"{embedded.kind} {'.'.join(map(str, embedded.number))}"]
    redis = shutil.which("redis-server")
    if redis:
        told = subprocess.run([redis, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
        found += [f"redis {word.removeprefix('v=')}" for word in told.split() if word.startswith("v=")]
    return ", ".join([*found, f"redis-py {importlib.metadata.version('redis')}"])
