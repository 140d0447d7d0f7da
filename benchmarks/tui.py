"""The terminal UI in a real pseudo-terminal: start, key to paint, a large payload, idle CPU, memory."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx

import gqm
from benchmarks.harness import Figure, Goal, Server, repeat, server

QUEUES = 200
PRESSES = 100
PAGES = 40
PAGE_DOWN = b"\x1b[6~"
IDLE_S = 10.0
TICKS = os.sysconf("SC_CLK_TCK")
PAYLOAD_BYTES = 1 << 20


class Terminal:
    """A program in a pseudo-terminal of 120x36; what it writes is kept."""

    def __init__(self, *command: str, env: Mapping[str, str]) -> None:
        self.begun = time.perf_counter()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, {**os.environ, **env, "TERM": "xterm-256color"})
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
        self.written = b""

    def read(self, wait_s: float) -> bytes:
        """Return what was written within a span, as soon as something is there."""
        if not select.select([self._fd], [], [], wait_s)[0]:
            return b""
        try:
            data = os.read(self._fd, 1 << 20)
        except OSError:
            data = b""
        self.written += data
        return data

    def until(self, text: bytes, limit_s: float = 20.0) -> float:
        """Read until a text was written, and return the seconds since the call."""
        begun, start = time.perf_counter(), len(self.written)
        while text not in self.written[max(0, start - len(text)) :]:
            if time.perf_counter() - begun > limit_s:
                raise TimeoutError(f"{text!r} did not come within {limit_s:g} s")
            self.read(0.05)
        return time.perf_counter() - begun

    def quiet(self, span_s: float = 0.02) -> None:
        """Read until nothing was written for a span."""
        while self.read(span_s):
            continue

    def send(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._fd, keys)

    def press(self, keys: bytes) -> float:
        """Press keys and return the seconds until the first paint after them."""
        begun = time.perf_counter()
        self.send(keys)
        while not self.read(2.0):
            if time.perf_counter() - begun > 2.0:
                raise TimeoutError(f"nothing was painted after {keys!r}")
        return time.perf_counter() - begun

    def cpu_s(self) -> float:
        """CPU seconds used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_mb(self) -> float:
        """Resident memory in MB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def close(self) -> None:
        """Press q, and end the program if that is not enough."""
        try:
            os.write(self._fd, b"q")
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline:
                self.read(0.05)
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    return
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        finally:
            os.close(self._fd)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _api(redis: Server) -> Iterator[str]:
    """Run the API over 200 queues with a ready job each; nothing changes while it runs."""
    with gqm.Client(redis.address) as client:
        for number in range(QUEUES):
            client.enqueue_in("bench.job", None, timedelta(days=1), queue=f"queue-{number:03}")
        client.enqueue(
            "bench.large",
            {"text": "x" * 60, "rows": [{"n": n, "note": "y" * 40} for n in range(PAYLOAD_BYTES // 70)]},
            queue="a-large",
            job_id="large-1",
        )
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="gqm-bench-") as folder:
        config = Path(folder) / "gqm.yaml"
        config.write_text(
            f"redis: {{addr: '{redis.address}'}}\n"
            f"monitoring: {{api: {{enabled: true, addr: '127.0.0.1:{port}'}}}}\n"
        )
        command = [sys.executable, "-m", "gqm_cli", "run", str(config)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                try:
                    if httpx.get(f"{url}/ready").status_code == httpx.codes.OK:
                        break
                except httpx.TransportError:
                    time.sleep(0.05)
            yield url
        finally:
            process.terminate()
            process.wait()


@contextmanager
def _open(url: str) -> Iterator[Terminal]:
    """Run the terminal UI over an empty home folder, with the queues on its screen."""
    with tempfile.TemporaryDirectory(prefix="gqm-bench-home-") as home:
        env = {
            "HOME": home,
            "XDG_CONFIG_HOME": home,
            "XDG_STATE_HOME": home,
            "GQM_API_URL": url,
            "LANG": "C.UTF-8",
        }
        terminal = Terminal(sys.executable, "-m", "gqm_cli", "tui", env=env)
        try:
            terminal.until(b"queue-0")
            yield terminal
        finally:
            terminal.close()


def _start(url: str) -> tuple[float, Mapping[str, float]]:
    with _open(url) as terminal:
        return (time.perf_counter() - terminal.begun) * 1_000, {}


def _keys(url: str) -> tuple[float, Mapping[str, float]]:
    with _open(url) as terminal:
        terminal.quiet(0.1)
        took = []
        for number in range(PRESSES):
            took.append(terminal.press(b"j" if number % 40 < 30 else b"k") * 1_000)
            terminal.quiet(0.01)
        return _p95(took), {"p50": statistics.median(took), "max": max(took)}


def _large(url: str) -> tuple[float, Mapping[str, float]]:
    """From the key that opens the job, over its fetch, to its first lines; then page by page."""
    with _open(url) as terminal:
        terminal.send(b"\r")
        terminal.until(b"large-1")
        terminal.quiet(0.1)
        terminal.send(b"\r")
        opened = terminal.until(b"xxxx") * 1_000
        terminal.quiet(0.3)
        took = []
        for _ in range(PAGES):
            took.append(terminal.press(PAGE_DOWN) * 1_000)
            terminal.quiet(0.05)
        return opened, {"page down p95": _p95(took), "page down max": max(took), "RSS MB": terminal.rss_mb()}


def _idle(url: str) -> tuple[float, Mapping[str, float]]:
    with _open(url) as terminal:
        terminal.quiet(0.5)
        cpu, begun = terminal.cpu_s(), time.perf_counter()
        while time.perf_counter() - begun < IDLE_S:
            terminal.read(0.5)
        share = (terminal.cpu_s() - cpu) / (time.perf_counter() - begun)
        return share * 100, {"RSS MB": terminal.rss_mb()}


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[94]


def run(runs: int) -> list[Figure]:
    """Measure every budget of the terminal UI."""
    runs = min(runs, 3)
    with server() as redis, _api(redis) as url:
        return [
            repeat(
                Figure("gqm tui to its first data", "ms", goal=Goal("P16", 900, 450, higher=False)),
                runs,
                lambda: _start(url),
            ),
            repeat(Figure("tui: key to paint, 200 rows, p95", "ms"), runs, lambda: _keys(url)),
            repeat(Figure("tui: 1 MiB payload, key to paint", "ms"), runs, lambda: _large(url)),
            repeat(Figure("tui: idle CPU, 200 rows", "%"), 1, lambda: _idle(url)),
        ]
