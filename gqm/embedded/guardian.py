"""The small process that owns an embedded server: it starts the server and stops it after its last user.

It is run as a program of its own (``python -m gqm.embedded.guardian``, or by path, which starts faster) and
imports nothing but the standard library. Two locks (``flock``) in the folder tell it all it needs to know:

* ``server.lock`` is held by the guardian and, through the same open file, by the server. Whoever gets it
  knows that neither is alive, however they ended; so a folder never has two servers.
* ``users.lock`` is held, shared, by every process that uses the server. The guardian waits for it,
  exclusively: the kernel grants that when the last user is gone, also when that user was killed.

On Linux the kernel tells the server to end when its guardian is gone. Elsewhere a killed guardian leaves
the server running until somebody ends it.
"""

from __future__ import annotations

import _thread
import fcntl
import os
import signal
import stat
import sys
import time
from typing import NoReturn

BUSY = "busy"
"""What it says instead of a reason when another guardian or server holds the folder."""

GRACE_S = 1.0
"""How long the server outlives its last user, so that a quick successor finds it running."""

STOP_S = 30.0
"""How long the server may take to write its files and end before it is killed."""

USERS_LOCK = "users.lock"
SERVER_LOCK = "server.lock"
LOG = "server.log"
RECORD = "server.json"

_PR_SET_PDEATHSIG = 1
_ENDED_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def main(arguments: list[str]) -> NoReturn:
    """Guard the server of one folder; ``arguments``: folder, binary, path of its socket, text of the record.

    The caller reads standard error until it closes: a reason why no server is running, ``busy``, or nothing.
    The process goes to the background as soon as it owns the folder.
    """
    folder, binary, socket_path, record = arguments
    reset_signals()
    os.umask(0o077)
    os.chdir(folder)
    locks = own_folder()
    if os.fork():
        os._exit(0)
    make_socket_folder(os.path.dirname(socket_path))
    previous = replace_record(record.encode())
    here = os.path.dirname(socket_path) == folder
    command = server_command(binary, os.path.basename(socket_path) if here else socket_path)
    server = start(command, locks)
    _thread.start_new_thread(stop_when_unused, (server,))
    _, status = os.waitpid(server, 0)
    ended = os.waitstatus_to_exitcode(status)
    if ended > 0:  # refused to start, so the files are still as the previous server left them
        replace_record(previous)
    remove_socket_folder(os.path.dirname(socket_path))
    if ended and -ended not in _ENDED_FROM_OUTSIDE:
        how = f"exit code {ended}" if ended > 0 else f"signal {-ended}"
        report(f"{binary} ended with {how}")
    os._exit(0)


def own_folder() -> list[int]:
    """Lock the folder for this process and its server; leave with ``busy`` if others have it.

    The folder itself is locked as well as the file, which somebody who clears the folder may delete.
    """
    locks = [os.open(SERVER_LOCK, os.O_RDWR | os.O_CREAT, 0o600), os.open(".", os.O_RDONLY)]
    try:
        for lock in locks:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(BUSY)
    return locks


def reset_signals() -> None:
    """Undo what the starter did to its signals; a program inherits the mask and what is ignored."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(signum, signal.SIG_DFL)


def server_command(binary: str, socket_path: str) -> list[str]:
    """The server's command line: one unix socket, no TCP port, every write in the append-only file.

    Its files, and the socket in the folder, are relative to the working folder. So a server whose folder was
    deleted and made anew by somebody else does not remove the other server's socket when it ends.
    """
    options = {
        "port": "0",
        "unixsocket": socket_path,
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "warning",
    }
    return [binary, *(word for name, value in options.items() for word in (f"--{name}", value))]


def report(reason: str) -> None:
    """Tell the process that waits for the server, if it still does."""
    try:
        os.write(2, reason.encode(errors="surrogateescape"))
    except BrokenPipeError:
        return


def make_socket_folder(parent: str) -> None:
    """Create the folder of the socket unless it exists; refuse one that somebody else prepared."""
    try:
        os.mkdir(parent, 0o700)
    except FileExistsError:
        if not is_private(os.lstat(parent)):
            sys.exit(f"{parent} is needed for the socket, but it is not a private folder of this user")


def remove_socket_folder(parent: str) -> None:
    """Remove the folder of the socket; only one that was made for a short path is empty now."""
    try:
        os.rmdir(parent)
    except OSError:
        return


def is_private(found: os.stat_result) -> bool:
    """Whether this is a real folder of this user that nobody else may enter."""
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def replace_record(content: bytes) -> bytes:
    """Put ``content`` in the folder's record in one step and return what was there; empty means no record."""
    try:
        with open(RECORD, "rb") as file:
            previous = file.read()
    except FileNotFoundError:
        previous = b""
    draft = f"{RECORD}.new"
    with open(draft, "wb") as file:
        file.write(content)
    if content:
        os.replace(draft, RECORD)
    else:
        os.unlink(draft)
        os.unlink(RECORD)
    return previous


def start(command: list[str], locks: list[int]) -> int:
    """Start the server, which shares the locks and ends with this process; return its process id."""
    if sys.platform == "linux":
        import ctypes

        libc = ctypes.CDLL(None)
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    guardian = os.getpid()
    server = os.fork()
    if server:
        return server
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        if sys.platform == "linux":
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == guardian:
            for lock in locks:
                os.set_inheritable(lock, True)
            os.execve(command[0], command, {**os.environ, "LC_ALL": "C"})
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode(errors="surrogateescape"))
    finally:
        os._exit(127)


def stop_when_unused(server: int) -> None:
    """Wait until the folder has had no user for a while, then stop the server.

    The exclusive lock is kept from then on: new users wait for the end of this process, not for a server that
    is about to go.
    """
    users = os.open(USERS_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    while True:
        fcntl.flock(users, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_UN)
        time.sleep(GRACE_S)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        os.kill(server, signal.SIGTERM)
        time.sleep(STOP_S)
        os.kill(server, signal.SIGKILL)
        return


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(str(error))
