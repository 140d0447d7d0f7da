"""Use the private server of a folder: start it or join it, keep it running, leave it."""

from __future__ import annotations

import fcntl
import os
import time
import weakref
from typing import TYPE_CHECKING, Self

from gqm.embedded.folder import Folder
from gqm.embedded.probe import State, ask
from gqm.errors import EmbeddedServerError

if TYPE_CHECKING:
    from pathlib import Path

    from gqm.embedded.binary import ServerVersion

__all__ = ["Attachment", "attach"]

_JOIN_PAUSE_S = 0.005


def attach(folder: str | os.PathLike[str] = ".gqm", *, timeout: float = 10.0) -> Attachment:
    """Start the private server of ``folder``, or join it if it runs, and return the hold on it.

    The server ends about a second after its last attachment is closed or the last process that has one is
    gone, and keeps its data in the folder. Every call makes an attachment of its own; threads may call it at
    once. A forked child shares its parent's attachment, and either may close it without harm to the other.

    ``timeout`` is in seconds without progress; the time that a server needs to read its files does not count.

    Raises:
        EmbeddedServerError: the folder cannot be used, or no server can be started; the text says what to do.
    """
    home = Folder.prepare(folder)
    users = _UsersLock(home, timeout)
    try:
        return Attachment(home, users, _find_or_start(home, timeout), timeout)
    except BaseException:
        users.release()
        raise


class Attachment:
    """One hold on the private server of a folder; made by ``attach``.

    The server lives at least as long as its attachments. It may still be killed, so a client that loses its
    connection calls ``ensure`` before it connects again.
    """

    def __init__(self, folder: Folder, users: _UsersLock, version: ServerVersion, timeout: float) -> None:
        self._folder = folder
        self._users = users
        self._version = version
        self._timeout = timeout
        self._closed = False

    @property
    def folder(self) -> Path:
        """The folder with the server's files."""
        return self._folder.path

    @property
    def socket(self) -> str:
        """Path of the unix socket to connect to; it may be another one after ``ensure``.

        Raises:
            EmbeddedServerError: the socket is gone; ``ensure`` brings it back.
        """
        if path := self._folder.socket():
            return path
        raise EmbeddedServerError(f"the embedded server in {self.folder} has no socket at the moment")

    @property
    def kind(self) -> str:
        """``valkey`` or ``redis``."""
        return self._version.kind

    @property
    def version(self) -> str:
        """Version of the server, such as ``9.1.2``."""
        return self._version.text

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    def ensure(self) -> None:
        """Return when the server answers; start it again if it is gone.

        For a client that lost its connection. Costs well under a millisecond when the server runs; blocks up
        to the attachment's time-out when not. Any number of processes and threads may call it at once.

        Raises:
            EmbeddedServerError: the attachment is closed, or the server cannot be started.
        """
        self._require_open()
        if not self._users.is_current():
            self._folder = Folder.prepare(self._folder.path)
            self._users = _UsersLock(self._folder, self._timeout)
        self._version = _find_or_start(self._folder, self._timeout)
        if self._closed:  # by another thread, meanwhile
            self._users.release()

    def close(self) -> None:
        """Leave the server; it ends soon if this was its last attachment. May be called again."""
        self._closed = True
        self._users.release()

    def _require_open(self) -> None:
        if self._closed:
            raise EmbeddedServerError(f"this attachment to the embedded server in {self.folder} is closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Attachment {self.folder} {'closed' if self._closed else self._version}>"


class _UsersLock:
    """A shared lock on ``users.lock``: as long as it is held, the guardian lets the server run.

    The lock belongs to the open file, which forked children share. So it is let go by closing the file, never
    by unlocking it, and it is gone when the last process that has the file open is.
    """

    def __init__(self, folder: Folder, timeout: float) -> None:
        self._path = folder.users_lock
        deadline = time.monotonic() + timeout
        while (descriptor := _try_shared_lock(self._path)) is None:
            if time.monotonic() >= deadline:
                raise EmbeddedServerError(
                    f"the embedded server in {folder.path} lost its last user and is still being stopped "
                    f"after {timeout:g} s; try again"
                )
            time.sleep(_JOIN_PAUSE_S)
        self._descriptor = descriptor
        self._close = weakref.finalize(self, os.close, descriptor)
        self._close.atexit = False

    def is_current(self) -> bool:
        """Whether the locked file is still the one in the folder (it is not when that was deleted)."""
        return self._close.alive and _is_at(self._descriptor, self._path)

    def release(self) -> None:
        """Give the lock back, as far as this process is concerned. May be called again."""
        self._close()


def _try_shared_lock(path: Path) -> int | None:
    """Open and lock the file; ``None`` when the guardian has it, or when it was replaced meanwhile."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise EmbeddedServerError(f"the embedded server cannot use its folder: {error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        kept = _is_at(descriptor, path)
    except BlockingIOError:
        kept = False
    except BaseException:
        os.close(descriptor)
        raise
    if kept:
        return descriptor
    os.close(descriptor)
    return None


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _find_or_start(folder: Folder, timeout: float) -> ServerVersion:
    try:
        answer = ask(folder.socket(), min(1.0, timeout))
        if answer.state is State.READY and answer.version is not None:
            return answer.version
        from gqm.embedded.start import find_or_start  # only the one who starts a server pays for loading this

        return find_or_start(folder, timeout)
    except OSError as error:
        raise EmbeddedServerError(f"the embedded server in {folder.path} cannot be used: {error}") from error
