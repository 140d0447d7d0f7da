"""The ground all benchmarks stand on: a server of their own, repeated runs, medians, CPU accounts."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import redis

from gqm.embedded.binary import find_binary


@dataclass(frozen=True)
class Server:
    """A server that runs only for one benchmark, without persistence."""

    address: str
    port: int
    raw: redis.Redis
    kind: str
    pid: int

    def cpu_s(self) -> float:
        """CPU seconds the server has used."""
        info = self.raw.info("cpu")
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])

    def scripts(self) -> int:
        """Script calls since `reset`."""
        stats = self.raw.info("commandstats")
        return sum(int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("evalsha", "eval"))

    def reset(self) -> None:
        """Set the counters of commands to zero."""
        self.raw.config_resetstat()

    def clear(self, prefix: str = "gqm:") -> None:
        """Delete all keys of a key space."""
        batch: list[bytes] = []
        for key in self.raw.scan_iter(match=f"{prefix}*", count=5000):
            batch.append(key)
            if len(batch) == 5000:
                self.raw.unlink(*batch)
                batch = []
        if batch:
            self.raw.unlink(*batch)

    def processed(self, queue: str = "default") -> int:
        """Jobs of a queue that ended as completed."""
        return int(self.raw.get(f"gqm:stats:{queue}:processed_total") or 0)


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(kind: str = "redis") -> Iterator[Server]:
    """Start a server: ``redis`` takes redis-server from PATH if it is there, else the embedded binary.

    It listens on loopback, as most servers are reached over TCP.
    """
    binary = shutil.which("redis-server") if kind == "redis" else None
    name = "redis" if binary else "valkey"
    binary = binary or find_binary(os.environ).path
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="gqm-bench-") as folder:
        where = ["--bind", "127.0.0.1", "--port", str(port), "--dir", folder]
        process = subprocess.Popen(
            [binary, *where, "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
        raw = redis.Redis(port=port)
        try:
            _await_answer(raw)
            version = raw.info("server").get(f"{name}_version", "?")
            yield Server(f"127.0.0.1:{port}", port, raw, f"{name} {version}", process.pid)
        finally:
            raw.close()
            process.kill()
            process.wait()


def _await_answer(raw: redis.Redis) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            raw.ping()
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


@dataclass(frozen=True)
class Goal:
    """What a figure has to reach: a row of the list of goals, and its two thresholds."""

    row: str
    must: float
    aim: float | None = None
    higher: bool = True
    """Whether more is better."""

    def verdict(self, value: float) -> str:
        """Return ``aim``, ``must`` or ``missed``: what a value reaches."""
        for name, limit in (("aim", self.aim), ("must", self.must)):
            if limit is not None and (value >= limit if self.higher else value <= limit):
                return name
        return "missed"


@dataclass
class Figure:
    """One measured row: the values of its runs and what goes with the median run."""

    name: str
    unit: str
    values: list[float] = field(default_factory=list)
    details: dict[str, list[float]] = field(default_factory=dict)
    goal: Goal | None = None

    def add(self, value: float, details: Mapping[str, float] | None = None) -> None:
        """Take the result of one run."""
        self.values.append(value)
        for key, detail in (details or {}).items():
            self.details.setdefault(key, []).append(detail)

    @property
    def median(self) -> float:
        """Median of the runs."""
        return statistics.median(self.values)

    def detail(self, name: str, new_name: str, unit: str, goal: Goal | None = None) -> Figure:
        """Return one of the details as a figure of its own."""
        return Figure(new_name, unit, self.details[name], goal=goal)

    def row(self) -> str:
        """Return the row as text."""
        return self.record().row()

    def record(self) -> Record:
        """Return what is kept of it."""
        return Record(
            self.name,
            self.unit,
            self.median,
            min(self.values),
            max(self.values),
            len(self.values),
            {key: statistics.median(values) for key, values in self.details.items()},
            self.goal,
        )


@dataclass(frozen=True)
class Record:
    """A measured row as it is printed, stored and shown: median, min and max of its runs."""

    name: str
    unit: str
    median: float
    low: float
    high: float
    runs: int
    details: dict[str, float]
    """Medians of what goes with it."""
    goal: Goal | None = None

    @property
    def verdict(self) -> str:
        """What of its goal it reaches; empty without one."""
        return self.goal.verdict(self.median) if self.goal else ""

    def row(self) -> str:
        """Return the row as text: median, min, max, verdict, details."""
        more = [f"{key} {number(value)}" for key, value in self.details.items()]
        if self.goal:
            more.insert(0, f"[{self.goal.row}: {self.verdict}]")
        numbers = "".join(f"{number(value):>12}" for value in (self.median, self.low, self.high))
        return f"{self.name:44} {numbers} {self.unit:8} {'  '.join(more)}"


def number(value: float) -> str:
    """Return a number as tables show it: whole from 100 on, else three digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def repeat(figure: Figure, runs: int, once: Callable[[], tuple[float, Mapping[str, float]]]) -> Figure:
    """Warm up once, then run and collect."""
    once()
    for _ in range(runs):
        figure.add(*once())
    return figure


def machine() -> str:
    """Return what the figures were measured on."""
    model = "unknown CPU"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    system = f"{platform.system()} {platform.release()}"
    return f"{os.cpu_count()} cores, {model}, {system}, Python {platform.python_version()}"


def report(records: list[Record], *, as_json: bool) -> str:
    """Return the table (or JSON) of some rows."""
    if as_json:
        rows = [{**asdict(record), "reached": record.verdict} for record in records]
        return json.dumps({"machine": machine(), "figures": rows})
    head = f"{machine()}\n\n{'':44} {'median':>12}{'min':>12}{'max':>12}"
    return "\n".join([head, *(record.row() for record in records)])
