"""Servers in processes of their own, as a test starts, signals and watches them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["Worker", "Workers"]

ROOT = Path(__file__).parents[2]
MODULE = "tests.engine.jobs"


class Worker:
    """One server process."""

    def __init__(self, socket: str, prefix: str, module: str, options: dict[str, Any]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the worker
        words = [f"unix:{socket}", prefix, module, json.dumps(options)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.worker", *words],
            cwd=ROOT,
            env={**os.environ, "GQM_TEST_SOCKET": socket, "GQM_TEST_PREFIX": prefix},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self.process.stdout is not None
        self.server_id = self.process.stdout.readline().strip()
        assert self.server_id, f"the worker did not start:\n{self.log()}"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def log(self) -> str:
        """What it has logged so far."""
        return os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")

    def freeze(self) -> None:
        """Stop the process without ending it."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as ``kill -9`` does."""
        self.process.kill()
        self.process.wait(timeout=10)

    def tell(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self, timeout: float = 20) -> int:
        """Wait for its end and return its exit code."""
        return self.process.wait(timeout=timeout)

    def close(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.thaw()
            self.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()


class Workers:
    """Starts workers for one test and ends all of them with it."""

    def __init__(self, socket: str, prefix: str) -> None:
        self._socket = socket
        self._prefix = prefix
        self._all: list[Worker] = []

    def __call__(self, module: str = MODULE, *, socket: str = "", **options: Any) -> Worker:
        """Start a worker and wait until it runs jobs."""
        quick = {"poll_interval": 0.05, "shutdown_timeout": 3, "grace_period": 1}
        self._all.append(Worker(socket or self._socket, self._prefix, module, {**quick, **options}))
        return self._all[-1]

    def close(self) -> None:
        """End all workers."""
        while self._all:
            self._all.pop().close()
