"""The report of the fault suite: lines are read back as written, a failure shows in the headline."""

from __future__ import annotations

import dataclasses

from benchmarks.faults import Line, Sums, headline, read_lines, report
from tests.faults.rows import ROWS

GOOD = Line("F2", "ci", "2026-11-24", Sums(30, 6012, 0, 12, 60, 70), "running again p50 1.0 s")


def test_a_report_is_read_back_as_it_was_written() -> None:
    lines = {"F2": GOOD, "F18": dataclasses.replace(GOOD, row="F18", notes="")}
    text = report(lines)
    assert read_lines(text) == lines
    assert "60 faults of 2 kinds over 12,024 jobs: 0 acknowledged jobs lost, 24 duplicate runs, all" in text
    assert "Not run yet: F1, F3," in text


def test_the_headline_tells_of_what_went_wrong() -> None:
    bad = dataclasses.replace(GOOD, run="FAILED 2026-11-24", sums=GOOD.sums._replace(lost=1, bound=11))
    assert headline([bad]).endswith(
        "1 acknowledged jobs lost, 12 duplicate runs, NOT all within the in-flight bound; FAILED: F2"
    )


def test_all_rows_are_there_with_growing_sizes() -> None:
    assert list(ROWS) == [f"F{number}" for number in range(1, 25)]
    assert all(row.tiny <= row.ci <= row.nightly for row in ROWS.values())
