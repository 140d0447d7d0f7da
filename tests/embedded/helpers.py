"""Handles on user processes, and looks at the processes of an embedded server from outside."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis

from gqm.embedded import Attachment, status

ROOT = Path(__file__).parents[2]

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, or needs PDEATHSIG")


class UserProcess:
    """A running ``tests.embedded.user``."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.embedded.user", str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.pid = self._process.pid
        self.children: list[int] = []

    def tell(self, command: str) -> None:
        """Send a command without waiting for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")

    def answer(self) -> str:
        """Answer of the oldest command not answered yet, without its ``ok``; fails on ``error``."""
        assert self._process.stdout is not None
        watchdog = threading.Timer(40, self._process.kill)
        watchdog.start()
        try:
            line = self._process.stdout.readline().strip()
        finally:
            watchdog.cancel()
        word, _, rest = line.partition(" ")
        assert word == "ok", f"user {self.pid} answered: {line or 'nothing'}"
        return rest

    def ask(self, command: str) -> str:
        """Send a command and return its answer."""
        self.tell(command)
        return self.answer()

    def number(self, command: str) -> int:
        """Send a command whose answer is a process id; a child's is remembered and ended with this one."""
        answer = int(self.ask(command))
        if command.startswith("fork"):
            self.children.append(answer)
        return answer

    def kill(self) -> None:
        """Kill the process itself as ``kill -9`` does, not its children."""
        self._process.kill()
        self._process.wait(10)

    def close(self) -> None:
        """Kill the process and its children."""
        self.kill()
        for child in self.children:
            with suppress(ProcessLookupError):
                os.kill(child, 9)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


def client(attachment: Attachment) -> redis.Redis:
    """A client of the attachment's server with one connection."""
    return redis.Redis(
        unix_socket_path=attachment.socket, decode_responses=True, single_connection_client=True
    )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def info(loading: int = 0, more: str = "") -> bytes:
    """What a server says about itself, as far as it matters."""
    lines = ["# Server", "redis_version:7.2.4", "process_id:77", "# Persistence", f"loading:{loading}", more]
    body = "\r\n".join(lines)
    return f"${len(body)}\r\n{body}\r\n".encode()


def alive(pid: int | None) -> bool:
    """Whether the process runs; one that has ended but was not collected yet does not."""
    if pid is None:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def servers(folder: Path) -> list[int]:
    """Process ids of the servers that run on this folder, found by their programs and working folders."""
    found = []
    for process in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            program = os.readlink(f"/proc/{process}/exe")
            if program.endswith("-server") and os.readlink(f"/proc/{process}/cwd") == str(folder):
                found.append(int(process))
    return found


def running(folder: Path) -> bool:
    """Whether any process of the folder's server is left."""
    found = status(folder)
    return found.running or alive(found.guardian_pid)
