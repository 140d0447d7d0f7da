"""Measures other queues: ``python -m benchmarks.peers [NAME …] [--runs N] [--install] [--save]``."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.harness import Server, number, server
from benchmarks.peers.catalog import QUEUES, Queue
from benchmarks.peers.environments import binaries, version
from benchmarks.results import Peer, load, save
from benchmarks.workers import until

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parent.parent.parent
SLEEPERS = 2_000
PICKUPS = 40
LIMIT_S = 60.0

ENQUEUE = "enqueue one by one, jobs/s"
DRAIN = "drain of no-op jobs, jobs/s"
PICKUP = "idle pick-up p50, ms"
SLEEP = "2,000 jobs of 20 ms, 100 slots, jobs/s"


class Bench:
    """One queue at one setting on a server of its own."""

    def __init__(self, queue: Queue, setting: str, redis: Server, folder: str) -> None:
        self._queue = queue
        self._setting = setting
        self._url = f"redis://127.0.0.1:{redis.port}/0"
        self._file = Path(folder) / "runs"
        self._bin = binaries(queue)

    @property
    def words(self) -> str:
        """How the worker is started."""
        return self._queue.default if self._setting == "default" else self._queue.best

    def _env(self, slots: int) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{self._bin}:{os.environ['PATH']}",
            "PYTHONPATH": f"{PROGRAMS}:{ROOT}" if self._queue.name == "gqm" else str(PROGRAMS),
            "BENCH_REDIS": self._url,
            "BENCH_SETTING": self._setting,
            "BENCH_FILE": str(self._file),
            "BENCH_SLOTS": str(slots),
            "dramatiq_queue_prefetch": "0" if self._setting == "default" else "1000",
        }

    def _enqueue(self, kind: str, jobs: int) -> list[float]:
        command = [str(self._bin / "python"), f"{self._queue.name}_jobs.py", kind, str(jobs)]
        out = subprocess.run(
            command, cwd=PROGRAMS, env=self._env(0), check=True, capture_output=True, text=True
        )
        return [float(line) for line in out.stdout.split()]

    @contextmanager
    def _workers(self, words: str, count: int, slots: int = 0) -> Iterator[None]:
        command = shlex.split(words.format(redis=self._url))
        command[0] = str(self._bin / command[0])
        started = [
            subprocess.Popen(
                command,
                cwd=PROGRAMS,
                env=self._env(slots),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            for _ in range(count)
        ]
        try:
            yield
        finally:
            for process in started:
                _end(process)

    def _size(self) -> int:
        return self._file.stat().st_size if self._file.exists() else 0

    def _rate(self, jobs: int) -> float:
        """Wait until all jobs have run; return how many a second ran from the first on."""
        until(lambda: self._size() > 0, LIMIT_S, 0.001)
        first, begun = self._size(), time.perf_counter()
        until(lambda: self._size() >= jobs, LIMIT_S, 0.001)
        return (jobs - first) / (time.perf_counter() - begun)

    def measure(self) -> Iterator[tuple[str, float]]:
        """Do all work once."""
        queue = self._queue
        processes = 1 if self._setting == "default" else queue.processes
        yield ENQUEUE, queue.jobs / self._enqueue("noop", queue.jobs)[0]
        with self._workers(self.words, processes):
            yield DRAIN, self._rate(queue.jobs)
            self._file.unlink()
        with self._workers(self.words, 1):
            self._enqueue("noop", 1)
            until(lambda: self._size() > 0, LIMIT_S)
            # The file of counted runs stays open in the worker: what was in it is skipped.
            skip = self._size()
            time.sleep(1)
            sent = self._enqueue("pickup", PICKUPS)
            until(lambda: self._file.read_bytes()[skip:].count(b"\n") >= PICKUPS, LIMIT_S)
            seen = [float(line) for line in self._file.read_bytes()[skip:].split()]
            waits = [b - a for a, b in zip(sent, sorted(seen), strict=True)]
            yield PICKUP, statistics.median(waits) * 1000
        if self._setting == "best" and queue.slotted:
            self._file.unlink()
            self._enqueue("sleep", SLEEPERS)
            with self._workers(queue.slotted, 1, 100):
                yield SLEEP, self._rate(SLEEPERS)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a worker and all that it started: they are a process group of their own."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        try:
            process.wait(5 if sign == signal.SIGTERM else None)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def measure(queue: Queue, setting: str, runs: int) -> Peer:
    """Measure a queue at a setting; what does not work is said and left out."""
    values: dict[str, list[float]] = {}
    words = queue.default if setting == "default" else queue.best
    for _ in range(runs):
        with server() as redis, tempfile.TemporaryDirectory(prefix="gqm-bench-") as folder:
            try:
                for work, value in Bench(queue, setting, redis, folder).measure():
                    values.setdefault(work, []).append(value)
            except (TimeoutError, subprocess.CalledProcessError, ValueError) as exc:
                print(f"{queue.name} {setting}: {exc}", file=sys.stderr, flush=True)
    count = f"{queue.processes} × " if setting == "best" and queue.processes > 1 else ""
    note = f" ({queue.note})" if setting == "best" and queue.note else ""
    figures = {work: statistics.median(found) for work, found in values.items()}
    return Peer(queue.name, version(queue), setting, f"{count}`{words}`{note}", figures)


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(queue.name for queue in QUEUES))
    parser.add_argument("--runs", type=int, default=3, help="runs of each (3)")
    parser.add_argument("--jobs", type=int, help="jobs of each drain, to try things out")
    parser.add_argument("--install", action="store_true", help="only make the virtual environments")
    parser.add_argument("--save", action="store_true", help="write the table and the plot")
    args = parser.parse_args()
    queues = [queue for queue in QUEUES if not args.names or queue.name in args.names]
    if args.jobs:
        queues = [replace(queue, jobs=args.jobs) for queue in queues]
    for queue in queues:
        print(f"{queue.name} {version(queue) or 'from the checkout'}", file=sys.stderr, flush=True)
    if args.install:
        return
    found: list[Peer] = []
    for queue in queues:
        for setting in ("default", "best"):
            peer = measure(queue, setting, args.runs)
            row = ", ".join(f"{work} {number(value)}" for work, value in peer.figures.items())
            print(f"{queue.name} {setting}: {row}", flush=True)
            found.append(peer)
            if args.save:
                new = {(one.name, one.setting) for one in found}
                old = [one for one in load().peers if (one.name, one.setting) not in new]
                save({}, [*found, *old])


if __name__ == "__main__":
    main()
