"""Redis and Valkey servers owned by the test run, on unix sockets in short temporary folders."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gqm.embedded import attach
from gqm.embedded.binary import find_binary
from tests.support.wait import eventually

__all__ = ["Server", "ServerFactory", "binary", "free_port", "shared_server", "short_folder"]

REDIS = "/usr/bin/redis-server"


def short_folder() -> Path:
    """A new private folder with a path short enough for unix sockets."""
    return Path(tempfile.mkdtemp(prefix="gqm-", dir="/tmp"))


def binary(kind: str) -> str:
    """Path of the server of this kind; skips the test (fails it under CI) when there is none."""
    if kind == "redis":
        path = REDIS if os.path.exists(REDIS) else shutil.which("redis-server")
    else:
        found = find_binary({"PATH": os.environ.get("PATH", os.defpath)})
        path = found.path if found.version.kind == "valkey" else None
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{kind}-server is not installed, and CI must test it")
        pytest.skip(f"{kind}-server is not installed")
    return path


@contextmanager
def shared_server() -> Iterator[str]:
    """The socket of an embedded server for a whole test session; ended and removed at its end."""
    folder = short_folder()
    try:
        with attach(folder, timeout=30) as attachment:
            yield attachment.socket
            _say(attachment.socket, b"SHUTDOWN NOSAVE\r\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Server:
    """One server process that a test may kill, stop and start again; its data stay in ``folder``."""

    def __init__(self, folder: Path, *args: str, kind: str = "valkey", tcp: bool = False) -> None:
        self.folder = folder
        self.kind = kind
        self.socket = str(folder / "redis.sock")
        self.port = free_port() if tcp else 0
        self._binary = binary(kind)
        self._args = args
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self._process is not None, "the server does not run"
        return self._process.pid

    def start(self, *more: str) -> None:
        """Start the process and wait until it answers; ``more`` are options for this time only."""
        assert self._process is None, "the server runs already"
        options = ["--unixsocket", self.socket, "--unixsocketperm", "700", "--port", str(self.port)]
        options += ["--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        options += ["--appendonly", "yes", "--daemonize", "no"]
        with (self.folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._binary, *options, *self._args, *more],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "LC_ALL": "C"},
            )
        eventually(self._answers_or_died, timeout=15, message=f"{self.kind} answers")
        if self._process.poll() is not None:
            said = (self.folder / "server.log").read_text(errors="replace")
            pytest.fail(f"{self.kind} ended at start:\n{said[-2000:]}")

    def kill(self) -> None:
        """End the process at once, as ``kill -9`` does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the process cleanly: it flushes its append-only file first."""
        self._end(signal.SIGTERM)

    def restart(self, *, clean: bool = False) -> None:
        """End the process (by ``kill``, or cleanly) and start it again on the same data and address."""
        if self._process is not None:
            self._end(signal.SIGTERM if clean else signal.SIGKILL)
        self.start()

    def freeze(self) -> None:
        """Stop the process without ending it (SIGSTOP): connections stay open and get no answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    @contextmanager
    def stop_cont(self) -> Iterator[None]:
        """Keep the process frozen for the length of a ``with`` block."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def close(self) -> None:
        """End the process if it runs, and remove its folder."""
        if self._process is not None:
            self._end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, signum: signal.Signals) -> None:
        process, self._process = self._process, None
        assert process is not None, "the server does not run"
        process.send_signal(signum)
        process.wait(timeout=15)

    def _answers_or_died(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None or _say(self.socket, b"PING\r\n").startswith(b"+PONG")


class ServerFactory:
    """Starts servers for one test and ends all of them with it."""

    def __init__(self) -> None:
        self._servers: list[Server] = []

    def __call__(self, *args: str, kind: str = "valkey", tcp: bool = False) -> Server:
        """Start a server; ``args`` are extra options such as ``"--maxmemory", "2mb"``.

        ``kind`` is ``valkey`` or ``redis``. ``tcp=True`` also listens on ``127.0.0.1:server.port``.
        """
        folder = short_folder()
        try:
            server = Server(folder, *args, kind=kind, tcp=tcp)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._servers.append(server)
        return server

    def close(self) -> None:
        """End all servers that were started."""
        while self._servers:
            self._servers.pop().close()


def _say(path: str, command: bytes) -> bytes:
    """Send one command and return the start of the answer; empty when the server is gone."""
    with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
        connection.settimeout(5)
        connection.connect(path)
        connection.sendall(command)
        return connection.recv(16)
    return b""


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
