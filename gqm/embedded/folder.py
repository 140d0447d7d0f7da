"""The folder of an embedded server: who may use it, which files it holds, which server can read them."""

from __future__ import annotations

import json
import os
import pwd
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gqm.embedded.binary import ServerVersion
from gqm.embedded.guardian import RECORD, SERVER_LOCK, USERS_LOCK, is_private
from gqm.errors import EmbeddedServerError

__all__ = ["Folder", "owner_name", "readable"]

SOCKET_PATH_LIMIT = 103 if sys.platform == "darwin" else 107
"""Bytes that a unix socket's path can have, without the closing zero (``sun_path`` in ``unix(7)``)."""

_SHORT_PARENT = "/tmp"


@dataclass(frozen=True, slots=True)
class Folder:
    """A checked folder: it exists, belongs to this user, and nobody else may enter it."""

    path: Path

    @classmethod
    def prepare(cls, path: str | os.PathLike[str]) -> Folder:
        """Create the folder (mode 0700) unless it exists, and check it.

        A folder that others may enter is refused, not changed: it may be one that the user shares on purpose.

        Raises:
            EmbeddedServerError: it cannot be created, is no folder, belongs to another user, or is open to
                others.
        """
        try:
            resolved = Path(path).expanduser().resolve()
            resolved.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                resolved.mkdir(mode=0o700)
            found = resolved.stat()
        except (OSError, RuntimeError) as error:
            text = f"cannot create the folder {path} of the embedded server: {error}"
            raise EmbeddedServerError(text) from error
        _check(resolved, found)
        return cls(resolved)

    @property
    def users_lock(self) -> Path:
        """File that every user of the server holds a shared lock on."""
        return self.path / USERS_LOCK

    @property
    def server_lock(self) -> Path:
        """File that the server and its guardian hold an exclusive lock on."""
        return self.path / SERVER_LOCK

    @property
    def start_lock(self) -> Path:
        """File that the one user who is starting the server holds an exclusive lock on."""
        return self.path / "start.lock"

    def socket(self) -> str | None:
        """Path of the server's socket; ``None``: not known before a server has run here.

        A path that is too long for a socket is replaced by one in a private folder under ``/tmp``, whose name
        stands in the record. The folder must (still) be private, else anybody could play the server.
        """
        socket = self._socket_here()
        if socket is None and (socket := self.record().get("socket")):
            try:
                private = is_private(os.lstat(os.path.dirname(socket)))
            except OSError:
                private = False
            return socket if private else None
        return socket

    def plan_socket(self) -> str:
        """Path for the socket of a server about to start: as before, if there was one and it is not taken."""
        if here := self._socket_here():
            return here
        recorded = self.record().get("socket")
        if recorded and (self.socket() or not os.path.lexists(os.path.dirname(recorded))):
            return recorded
        return f"{_SHORT_PARENT}/gqm-{os.urandom(8).hex()}/server.sock"

    def record(self) -> dict[str, str]:
        """What the last server's guardian wrote down: ``kind``, ``version``, ``socket``; empty if nothing."""
        try:
            content = json.loads((self.path / RECORD).read_bytes())
        except (OSError, ValueError):
            return {}
        if not isinstance(content, dict):
            return {}
        return {str(key): value for key, value in content.items() if isinstance(value, str)}

    def last_written_by(self) -> ServerVersion | None:
        """Kind and version of the server that wrote the files; ``None``: not known."""
        record = self.record()
        return ServerVersion.parse(record.get("kind", ""), record.get("version", ""))

    def _socket_here(self) -> str | None:
        socket = str(self.path / "server.sock")
        return socket if len(os.fsencode(socket)) <= SOCKET_PATH_LIMIT else None


def readable(written: ServerVersion, reader: ServerVersion) -> bool:
    """Whether ``reader`` reads the files of ``written``.

    Within a kind an equal or newer minor version does. Between the kinds the version of the RDB format
    decides: it is 10 in Redis 7.0 and 11 in Redis 7.2 and Valkey 7.2 to 8.1. There they part: Redis counts on
    with 12 (since 7.4), Valkey with 80 (since 9.0), and neither reads the other's newer ones.
    """
    if written.kind == reader.kind:
        return reader.number[:2] >= written.number[:2]
    if written.kind == "redis":
        return written.number[:2] <= (7, 2)
    return written.number[0] < 9 and reader.number[:2] >= (7, 2)


def owner_name(uid: int) -> str:
    """Login name of a user id, or the number when it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _check(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISDIR(found.st_mode):
        raise EmbeddedServerError(f"{path} is not a folder; the embedded server needs one for its data")
    if found.st_uid != os.geteuid():
        raise EmbeddedServerError(
            f"the folder {path} belongs to user {owner_name(found.st_uid)}, this process runs as "
            f"{owner_name(os.geteuid())}; an embedded server is shared by the processes of one user only. "
            f"Choose another folder with embedded://PATH, or run as {owner_name(found.st_uid)}"
        )
    if not is_private(found):
        raise EmbeddedServerError(
            f"the folder {path} has mode {stat.S_IMODE(found.st_mode):04o}, so other users could reach the "
            f"embedded server. If it is meant for the server alone: chmod 700 {path}"
        )
