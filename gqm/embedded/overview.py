"""Look at the private server of a folder from outside, without joining or changing anything."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gqm.embedded.folder import Folder, owner_name
from gqm.embedded.probe import Answer, State, ask

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Status", "status"]


@dataclass(frozen=True, slots=True)
class Status:
    """What is known about a folder and its server.

    ``owner`` is a login name, ``mode`` the permission bits; both ``None`` when the folder does not exist.
    ``kind`` and ``version`` are of the running server, else of the one that last wrote the folder's files.
    ``users`` are the process ids that keep the server running; ``None`` where the system does not tell.
    """

    folder: Path
    exists: bool
    owner: str | None = None
    mode: int | None = None
    socket: str | None = None
    running: bool = False
    kind: str | None = None
    version: str | None = None
    pid: int | None = None
    guardian_pid: int | None = None
    users: tuple[int, ...] | None = None


def status(folder: str | os.PathLike[str] = ".gqm") -> Status:
    """Return what is known about the private server of ``folder``; ``gqm doctor`` shows it."""
    home = Folder(Path(folder).expanduser().resolve())
    try:
        found = home.path.stat()
    except OSError:
        return Status(home.path, exists=False)
    answer = _ask(home)
    version = answer.version or home.last_written_by()
    users, guardian = _processes(home)
    return Status(
        home.path,
        exists=True,
        owner=owner_name(found.st_uid),
        mode=stat.S_IMODE(found.st_mode),
        socket=home.socket(),
        running=answer.state is not State.GONE,
        kind=version.kind if version else None,
        version=version.text if version else None,
        pid=answer.pid,
        guardian_pid=guardian,
        users=users,
    )


def _ask(folder: Folder) -> Answer:
    try:
        return ask(folder.socket())
    except OSError:
        return Answer(State.GONE)


def _processes(folder: Folder) -> tuple[tuple[int, ...] | None, int | None]:
    """Process ids of the users and of the guardian, by the lock files that they have open.

    A user has ``users.lock`` open, also after a fork; the guardian has ``server.lock`` open as well.
    The table in ``/proc/locks`` would not do: it names the process that took a lock, which may be gone.
    """
    if not os.path.isdir("/proc/self/fd"):
        return None, None
    having_users = set(_having_open(folder.users_lock))
    having_server = set(_having_open(folder.server_lock))
    guardians = having_users & having_server
    return tuple(sorted(having_users - having_server)), min(guardians, default=None)


def _having_open(path: Path) -> Iterator[int]:
    try:
        wanted = path.stat()
    except OSError:
        return
    for process in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            descriptors = os.listdir(f"/proc/{process}/fd")
            if any(_is_file(f"/proc/{process}/fd/{descriptor}", wanted) for descriptor in descriptors):
                yield int(process)


def _is_file(path: str, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), wanted)
    except OSError:
        return False
