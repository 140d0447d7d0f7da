"""The folder of a demo: its configuration, its Redis, its log. A temporary one goes with the demo."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from gqm.embedded import status
from gqm_cli.diagnostics import CommandFailed

_MARK = '# Written by "gqm demo", anew at every start.\n'
_SERVER_END_S = 10.0
_LOOK_EVERY_S = 0.01


class DemoFolder:
    """A folder that one demo at a time may use."""

    def __init__(self, path: Path, *, temporary: bool) -> None:
        self.path = path
        self.temporary = temporary
        self.config = path / "gqm.yaml"
        self.log = path / "demo.log"
        self._hold = -1

    @classmethod
    def prepare(cls, given: Path | None) -> Self:
        """Return the folder ``given``, or a new temporary one. Raises `CommandFailed` and ``OSError``.

        A folder with anything in it is only taken if a demo made it: the demo writes a configuration there,
        and fills the queues of the Redis in it.
        """
        if given is None:
            return cls(Path(tempfile.mkdtemp(prefix="gqm-demo-")), temporary=True)
        given.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = cls(given.absolute(), temporary=False)
        if any(given.iterdir()) and not folder._is_demos():
            raise CommandFailed(f"{given} holds other files; give an empty or a new folder with --dir")
        return folder

    def _is_demos(self) -> bool:
        try:
            return self.config.read_bytes().startswith(_MARK.encode())
        except OSError:
            return False

    def write_config(self, text: str) -> None:
        """Write the configuration, and keep other demos out as long as this process lives.

        Raises `CommandFailed` if another demo runs here, and ``OSError``.
        """
        hold = os.open(self.config, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(hold)
            raise CommandFailed(f"another demo runs in {self.path}; stop it, or give another --dir") from None
        self._hold = hold
        os.truncate(hold, 0)
        os.write(hold, f"{_MARK}{text}".encode())

    def clear(self) -> None:
        """Wait for the end of the Redis in it, and remove the folder if it is a temporary one.

        For when the demo does not use that Redis any more. It ends about a second after its last user; where
        nothing is kept, nobody waits so long. A kept folder is none of ours before `write_config` was.
        """
        if not self.temporary and self._hold < 0:
            return
        redis = self.path / ".gqm"
        deadline = time.monotonic() + _SERVER_END_S
        if self.temporary and (pid := status(redis).pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        while _is_locked(redis / "server.lock") and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY_S)
        if self.temporary:
            shutil.rmtree(self.path, ignore_errors=True)


def _is_locked(path: Path) -> bool:
    """Whether a server or its guardian lives: both hold this lock, and nobody else ever takes it."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno != errno.EWOULDBLOCK:
            raise
        return True
    finally:
        os.close(descriptor)
    return False
