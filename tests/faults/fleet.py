"""Worker and producer processes on one key space, which a test kills, freezes and signals by their pid."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.engine.running import alive, freeze
from tests.support.servers import short_folder
from tests.support.wait import eventually

__all__ = ["Fleet", "Member"]

ROOT = Path(__file__).parents[2]
LONG_S = 60.0
"""How long a member may take to start or to end on a busy machine."""


class Member:
    """A worker or a producer; ``pid`` is its process."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.pid = pid
        self._folder = folder

    @property
    def server_id(self) -> str:
        """Id of a worker's server; waits until it runs."""
        ready = self._folder / f"{self.pid}.ready"
        eventually(lambda: ready.exists() or not self.running, LONG_S, message=f"member {self.pid} runs")
        assert ready.exists(), f"member {self.pid} ended at its start:\n{self.log()}"
        return ready.read_text()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return alive(self.pid)

    @property
    def hit(self) -> bool:
        """Whether it died at the point that it was to die at."""
        return (self._folder / f"{self.pid}.hit").exists()

    def log(self) -> str:
        """What it has logged so far."""
        return (self._folder / f"{self.pid}.log").read_text(errors="replace")

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        os.kill(self.pid, signal.SIGTERM)

    def freeze(self) -> None:
        """Stop it without ending it, and wait until no thread of it runs."""
        freeze(self.pid)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def wait(self, timeout: float = LONG_S) -> int:
        """Wait for its end and return its exit status, negative for a signal."""
        path = self._folder / f"{self.pid}.exit"
        eventually(path.exists, timeout, message=f"member {self.pid} ended")
        return int(path.read_text())


class Fleet:
    """Starts members for one test and ends all of them with it.

    ``acks`` and ``effects`` are the files that producers and handlers write, for the ledger.
    """

    def __init__(self, address: str | None, prefix: str, **connection: Any) -> None:
        """``connection`` are more options of `gqm.Client`, such as ``sentinels``."""
        self.address = address
        self.prefix = prefix
        self._connection = connection
        self.folder = short_folder()
        self.acks = self.folder / "acks"
        self.effects = self.folder / "effects"
        self.acks.touch()
        self.effects.touch()
        self.members: list[Member] = []
        self._crew = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.crew", str(self.folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def worker(self, *, wait: bool = True, **options: Any) -> Member:
        """Start a worker with options of `gqm.Server`; ``pool`` and ``entries`` are those of its methods.

        ``handlers`` is a module with a function of this name for more types, ``kill_at`` a point of `points`.
        """
        words = {"address": self.address, "prefix": self.prefix, "effects": str(self.effects)}
        quick = {"poll_interval": 0.1, "shutdown_timeout": 5, "grace_period": 1}
        member = self._start("worker", {**words, **quick, **options})
        if wait:
            assert member.server_id
        return member

    def producer(
        self,
        name: str,
        count: int = 1_000_000,
        *,
        rate: float = 0,
        seed: int = 1,
        **options: Any,
    ) -> Member:
        """Start a producer: ``count`` pieces of the mix, ``rate`` a second, until SIGTERM at the latest.

        ``delays_s`` and ``takes_ms`` are the least and the most of delayed jobs and of handlers; ``bulk``
        adds a batch of so many plain jobs to each piece.
        """
        words: dict[str, Any] = {"address": self.address, "prefix": self.prefix, "acks": str(self.acks)}
        words |= {"name": name, "count": count, "rate": rate, "seed": seed}
        return self._start("producer", {**words, **options})

    def _start(self, role: str, options: dict[str, Any]) -> Member:
        assert self._crew.stdin is not None
        assert self._crew.stdout is not None
        options["connection"] = self._connection
        self._crew.stdin.write(json.dumps({"role": role, "options": options}) + "\n")
        self._crew.stdin.flush()
        pid = self._crew.stdout.readline()
        assert pid, "the crew has ended"
        member = Member(int(pid), self.folder)
        self.members.append(member)
        return member

    def stop(self) -> None:
        """Ask all members to end, and wait for it; a worker that fails at that fails the test."""
        left = [member for member in self.members if member.running]
        for member in left:
            member.terminate()
        for member in left:
            assert member.wait() == 0, member.log()

    def close(self) -> None:
        """End everything and remove the files."""
        for stream in (self._crew.stdin, self._crew.stdout):
            assert stream is not None
            stream.close()
        self._crew.wait(timeout=LONG_S)
        shutil.rmtree(self.folder, ignore_errors=True)
