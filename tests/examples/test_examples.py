"""Every program in ``examples/`` is run as its README says, in a copy of its folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import has_environ, processes
from tests.support.wait import eventually

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
TESTED_ELSEWHERE = {"mounting"}  # with the API that it mounts
LIMIT_S = 90


@dataclass(frozen=True)
class Case:
    """An example: its command as the README has it, and lines that it must print, in any order."""

    command: str
    lines: tuple[str, ...]
    """Regular expressions, each for a whole line."""
    start: tuple[str, ...] = ()
    """Lines that it begins with."""


CASES = {
    "quickstart": Case(
        "python quickstart.py",
        (
            r"report    \{'files': 6, .*",
            r"published out/published/report-1\.md",
            r" +at attempt [2-9], after [1-9] failures",
        ),
    ),
    "email-retries": Case(
        "python main.py",
        (
            r"ana@example\.com +attempt 1  sent, .*",
            r"bo@busy\.example +attempt 3  sent, .*",
            r"chen@down\.example +attempt 4  dead_letter  ConnectionError: .*",
            r"dara@nowhere\.example +attempt 1  dead_letter  SkipRetry: .*",
        ),
    ),
    "image-pipeline": Case(
        "python main.py",
        (
            r"harbour: 640 +completed +harbour-640\.webp",
            r"market: publish +completed .*",
            r"broken: fetch +dead_letter",
            r"broken: 1280 +canceled",
            r"broken: publish +canceled",
            r"contact sheet +completed +sheet\.html",
        ),
    ),
    "scheduled-reports": Case(
        "python main.py",
        (
            r"week: (Mon|Tue|Wed|Thu|Fri) .* 08:00 WIB",
            r"[\d:]+  sales  starts, takes 0 s",
            r"[\d:]+  stock  starts, takes 2\.5 s",
            r"[\d:]+  extra  starts, takes 0 s",
        ),
    ),
    "order-fulfilment": Case(
        "python main.py",
        (
            r"  books: order 1001 paid 4990 cents",
            r"  books: order 1002 not paid: card declined",
            r"  books: order 1003 paid 1500 cents",
            r"order 1001: your parcel is on its way",
            r"order 1002: your order was canceled",
            r"order 1003: your parcel is on its way",
        ),
    ),
    "multi-tenant": Case(
        "python main.py",
        (
            r"acme: 100 jobs, first acme-0\.pdf after .*",
            r"bolt:   4 jobs, first bolt-0\.pdf after .*",
            r"acme sees its job: True",
            r"bolt sees it: False",
        ),
    ),
    "config-driven": Case(
        "sh run.sh",
        (
            r"0 errors, 0 incomplete, 0 warnings",
            r"status +completed",
            r"retry_count +1",
            r"critical +active .*",
            r"ana@example\.com",
            r"bo@example\.com",
        ),
    ),
    "webhooks": Case(
        "python main.py",
        (
            r"30 of 30 events delivered, each once: True",
            r"(\d+) times told to come back, \1 calls refused",
        ),
    ),
    "monitoring": Case(
        "python main.py",
        (
            r"servers \d  slots \d  ready \d+  processing \d  completed \d+  dead_letter \d+",
            r"failed: 10 × SkipRetry: number ends in <n> \(sleep\)",
            r'metric: gqm_jobs\{queue="default",status="completed"\} 90',
            r"without the key: 401",
        ),
    ),
    "development-server": Case(
        "python dev.py",
        (
            r"dev: a job says hello, ana",
            r"dev: a file has changed, restarting",
            r"dev: a job says good morning, ana",
        ),
    ),
    "advanced-features": Case(
        "python main.py",
        (
            r"unique: refused, job id 'invoice-…' is taken.*",
            r"typed: dead_letter, payload does not fit Area: .* `\$\.width`",
            r"progress: \(\d+, 10, 'at \d+'\), then the result 10",
            r"retry_intervals: at attempt 3",
            r"  callback: area completed",
            r"batch: areas \[2\.0, 4\.0, 6\.0\]",
            r"enqueue_many: chunks of \[1000, 1000, 500\]",
        ),
        start=("  note: enqueued in front", "  note: enqueued first"),
    ),
    "custom-dashboard": Case(
        "python main.py",
        (
            r"page:   Our queues",
            r"script: // Asks the API .*",
            r"queue:  default \d jobs",
        ),
    ),
}


MADE_BY_RUNS = {".gqm", "out", "__pycache__"}


def copied(name: str, place: Path) -> Path:
    """Copy an example without what its own runs have left."""
    unwanted = shutil.ignore_patterns(*MADE_BY_RUNS)
    return Path(shutil.copytree(EXAMPLES / name, place / name, ignore=unwanted))


def contents(folder: Path) -> dict[Path, bytes]:
    """Return the files of an example."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path: (folder / path).read_bytes() for path in files if not MADE_BY_RUNS & set(path.parts)}


def run(command: str, folder: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command line of a README with this interpreter, and end what it leaves if it takes too long."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GQM_")}
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**kept, "HOME": str(home), "PORT": "0", "PATH": programs, "PYTHONUNBUFFERED": "1"}
    words = [sys.executable if word == "python" else word for word in command.split()]
    return subprocess.run(
        words, cwd=folder, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


@pytest.mark.parametrize("name", CASES)
def test_it_runs_as_its_readme_says(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    folder = copied(name, tmp_path)
    before = contents(folder)
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"^    {re.escape(case.command)}( |$)", readme, re.M), "the README shows the command"
    done = run(case.command, folder, tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Traceback" not in done.stderr
    printed = done.stdout.splitlines()
    assert tuple(printed[: len(case.start)]) == case.start
    for line in case.lines:
        assert any(re.fullmatch(line, text) for text in printed), f"{line!r} is not in\n{done.stdout}"
    assert contents(folder) == before
    if has_environ():
        # The embedded server ends about a second after the last that used it.
        eventually(lambda: not processes(tmp_path), timeout=15, message="no process is left")


def test_every_example_is_run_and_explained() -> None:
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == CASES.keys() | TESTED_ELSEWHERE
    for name in folders:
        title = (EXAMPLES / name / "README.md").read_text(encoding="utf-8").splitlines()[0]
        assert title.startswith("# "), name
