"""Start the server of a folder when there is none: one of its users does, the others wait for it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

from gqm.embedded import guardian
from gqm.embedded.binary import find_binary
from gqm.embedded.folder import readable
from gqm.embedded.probe import State, ask
from gqm.errors import EmbeddedServerError

if TYPE_CHECKING:
    from gqm.embedded.binary import ServerBinary, ServerVersion
    from gqm.embedded.folder import Folder

__all__ = ["find_or_start"]

_RELAUNCH_S = 0.05
_PATIENCE_S = 1.0
_LOG_LINES = 6
_ENVIRONMENT = (
    "PATH",
    "HOME",
    "TMPDIR",
    "TZ",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "DYLD_FALLBACK_LIBRARY_PATH",
)


def find_or_start(folder: Folder, timeout: float) -> ServerVersion:
    """Return what the folder's server is as soon as it is ready, starting it if nobody else does.

    The caller holds the users' lock. ``timeout`` is in seconds without progress: while the server reads its
    files, the time does not run.

    Raises:
        EmbeddedServerError: there is no binary, it cannot read the folder's files, it ended, or time is up.
    """
    deadline = time.monotonic() + timeout
    pause = 0.001
    with _Starter(folder) as starter:
        while True:
            answer = ask(folder.socket(), min(1.0, timeout))
            if answer.state is State.READY and answer.version is not None:
                return answer.version
            if answer.state is State.GONE:
                starter.advance()
            elif answer.state is State.LOADING:
                deadline = time.monotonic() + timeout
            if time.monotonic() >= deadline:
                raise EmbeddedServerError(_late(folder, answer.state, timeout))
            time.sleep(pause)
            pause = min(pause * 1.2, 0.02)


class _Starter:
    """Launches a guardian whenever it is this process's turn to."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._turn: int | None = None
        self._launch: _Launch | None = None
        self._began = time.monotonic()
        self._launch_from = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._launch is not None:
            self._launch.close()
        if self._turn is not None:
            os.close(self._turn)

    def advance(self) -> None:
        """Take the next step towards a server; called again and again while nobody listens."""
        now = time.monotonic()
        if self._launch is not None:
            if self._launch.over():
                self._launch.close()
                self._launch = None
                self._launch_from = now + _RELAUNCH_S
        elif self._may_launch(now):
            self._launch = _Launch(self._folder)

    def _may_launch(self, now: float) -> bool:
        """Whether it is this process's turn, or the one whose turn it is has let everybody wait for long.

        The turn only saves work. A process forked at the wrong moment may keep it, and the guardian is safe
        without it. A turn just won is used at the next step, since the server may be there by now.
        """
        waited = self._turn is not None or now >= self._began + _PATIENCE_S
        if self._turn is None:
            self._turn = _try_lock(str(self._folder.start_lock))
        return waited and now >= self._launch_from


class _Launch:
    """One guardian on its way, and what it says until its server is ready."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        binary = find_binary()
        _check_readable(folder, binary)
        socket = folder.plan_socket()
        record = {"kind": binary.version.kind, "version": binary.version.text, "socket": socket}
        arguments = [str(folder.path), binary.path, socket, json.dumps(record)]
        self._said = b""
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", guardian.__file__, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                start_new_session=True,
            )
        except OSError as error:
            raise EmbeddedServerError(
                f"cannot run {sys.executable or 'the Python interpreter'}: {error}"
            ) from error
        assert self._process.stderr is not None
        self._report = self._process.stderr
        os.set_blocking(self._report.fileno(), False)

    def over(self) -> bool:
        """Whether this guardian is gone for no fault of its own, so that another one may be launched.

        Raises:
            EmbeddedServerError: it is gone because its server cannot run.
        """
        while True:
            try:
                chunk = os.read(self._report.fileno(), 4096)
            except BlockingIOError:
                return False
            if not chunk:
                break
            self._said += chunk
        reason = self._said.decode(errors="replace").strip()
        if reason in ("", guardian.BUSY):
            return True
        raise EmbeddedServerError(
            f"the embedded server in {self._folder.path} did not start: {reason}{_log_end(self._folder)}"
        )

    def close(self) -> None:
        """Let go of the guardian; the process it came from has ended or is about to."""
        self._report.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _check_readable(folder: Folder, binary: ServerBinary) -> None:
    written = folder.last_written_by()
    if written is None or readable(written, binary.version):
        return
    raise EmbeddedServerError(
        f"the data in {folder.path} were written by {written}; {binary.version} ({binary.path}) cannot read "
        f"them. Use {written} or newer (put its path in GQM_EMBEDDED_SERVER), choose another folder with "
        f"embedded://PATH, or delete {folder.path} and the data in it"
    )


def _try_lock(path: str) -> int | None:
    """Open the file and lock it for this process alone; ``None`` when somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _late(folder: Folder, state: State, timeout: float) -> str:
    what = "listens but does not answer" if state is State.SILENT else "is not there"
    return (
        f"the embedded server in {folder.path} {what}, {timeout:g} s after it was first asked. "
        f"`gqm doctor` shows who uses the folder{_log_end(folder)}"
    )


def _log_end(folder: Folder) -> str:
    """The last lines of the server's log, ready to follow a message."""
    path = folder.path / guardian.LOG
    try:
        lines = path.read_text(errors="replace").split("\n")
    except OSError:
        return ""
    last = [line.rstrip() for line in lines if line.strip()][-_LOG_LINES:]
    return "\n".join([f"\nthe last lines of {path}:", *(f"    {line}" for line in last)]) if last else ""
