"""The ground all benchmarks stand on: a server of their own, repeated runs, medians, CPU accounts."""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from gqm.embedded.binary import find_binary


@dataclass(frozen=True)
class Server:
    """A server that runs only for one benchmark, without persistence, on a unix socket."""

    address: str
    raw: redis.Redis
    kind: str

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


@contextmanager
def server(kind: str = "redis") -> Iterator[Server]:
    """Start a server: ``redis`` takes redis-server from PATH if it is there, else the embedded binary."""
    binary = shutil.which("redis-server") if kind == "redis" else None
    name = "redis" if binary else "valkey"
    binary = binary or find_binary(os.environ).path
    folder = Path(tempfile.mkdtemp(prefix="gqm-bench-"))
    socket = folder / "s.sock"
    options = [
        "--unixsocket",
        str(socket),
        "--port",
        "0",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(folder),
    ]
    process = subprocess.Popen(
        [binary, *options], stdout=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"}
    )
    raw = redis.Redis(unix_socket_path=str(socket))
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                raw.ping()
                break
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
        yield Server(f"unix:{socket}", raw, f"{name} {raw.info('server').get(f'{name}_version', '?')}")
    finally:
        raw.close()
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Figure:
    """One measured row: the values of its runs and what goes with the median run."""

    name: str
    unit: str
    values: list[float] = field(default_factory=list)
    details: dict[str, list[float]] = field(default_factory=dict)

    def add(self, value: float, details: Mapping[str, float] | None = None) -> None:
        """Take the result of one run."""
        self.values.append(value)
        for key, detail in (details or {}).items():
            self.details.setdefault(key, []).append(detail)

    def row(self) -> str:
        """Return the row as text: median, min, max, medians of the details."""
        more = "  ".join(f"{key} {statistics.median(values):,.4g}" for key, values in self.details.items())
        median = statistics.median(self.values)
        low, high = min(self.values), max(self.values)
        return f"{self.name:34} {median:>12,.4g} {low:>12,.4g} {high:>12,.4g} {self.unit:8} {more}"

    def as_dict(self) -> dict[str, object]:
        """Return the row for JSON."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": statistics.median(self.values),
            "min": min(self.values),
            "max": max(self.values),
            "details": {key: statistics.median(values) for key, values in self.details.items()},
        }


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


def report(figures: list[Figure], *, as_json: bool) -> str:
    """Return the table (or JSON) of some figures."""
    if as_json:
        return json.dumps({"machine": machine(), "figures": [figure.as_dict() for figure in figures]})
    head = f"{machine()}\n\n{'':34} {'median':>12} {'min':>12} {'max':>12}"
    return "\n".join([head, *(figure.row() for figure in figures)])
