"""What an embedded server must survive: many starters, killed users, a killed server, a killed guardian."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from gqm.embedded import attach, status
from gqm.embedded.probe import State, ask
from tests.embedded.helpers import UserProcess, alive, linux_only, running, servers
from tests.support.wait import eventually, throughout

NewUser = Callable[[], UserProcess]
pytestmark = linux_only

BEYOND_GRACE_S = 1.6
"""Longer than a server waits after its last user."""


def members(socket: str) -> set[str]:
    with redis.Redis(unix_socket_path=socket, decode_responses=True) as client:
        return set(client.smembers("seen"))


def test_thirty_processes_at_once_start_one_server(folder: Path, user: NewUser) -> None:
    users = [user() for _ in range(30)]
    for process in users:
        process.tell("attach")
    pids = {process.answer() for process in users}
    assert len(pids) == 1
    assert servers(folder) == [int(pids.pop())]
    known = status(folder).users
    assert known is not None
    assert set(known) == {process.pid for process in users}


def test_others_go_on_when_the_starter_is_killed(folder: Path, user: NewUser) -> None:
    starter, other = user(), user()
    server = starter.number("attach")
    assert other.number("attach") == server
    starter.kill()
    throughout(lambda: alive(server), BEYOND_GRACE_S)
    assert other.ask("add still-here") == "1"


def test_nothing_is_left_after_the_last_user_is_killed(folder: Path, user: NewUser) -> None:
    last = user()
    server = last.number("attach")
    guardian = status(folder).guardian_pid
    assert alive(guardian)
    assert last.ask("add one two three") == "3"
    last.kill()
    eventually(lambda: not alive(server) and not alive(guardian), timeout=3)
    assert servers(folder) == []
    with attach(folder) as attachment:
        assert members(attachment.socket) == {"one", "two", "three"}


def test_server_stays_a_moment_for_the_next_user(folder: Path, user: NewUser) -> None:
    first, second = user(), user()
    server = first.number("attach")
    first.ask("close")
    assert second.number("attach") == server
    throughout(lambda: alive(server), BEYOND_GRACE_S)


def test_killed_server_is_started_again_by_one_of_its_users(folder: Path, user: NewUser) -> None:
    users = [user() for _ in range(5)]
    first = {process.number("attach") for process in users}.pop()
    users[0].ask("add kept")
    os.kill(first, signal.SIGKILL)
    for process in users:
        process.tell("ensure")
    second = {process.answer() for process in users}
    assert len(second) == 1
    assert second != {str(first)}
    assert members(str(folder / "server.sock")) == {"kept"}


def test_server_follows_its_killed_guardian_and_the_next_user_heals(folder: Path, user: NewUser) -> None:
    one = user()
    server = one.number("attach")
    one.ask("add kept")
    guardian = status(folder).guardian_pid
    assert guardian is not None
    os.kill(guardian, signal.SIGKILL)
    eventually(lambda: not alive(server), timeout=3)
    healed = user().number("attach")
    assert one.number("ensure") == healed != server
    assert members(str(folder / "server.sock")) == {"kept"}


def test_server_of_a_killed_starter_is_still_ended(folder: Path, user: NewUser) -> None:
    starter = user()
    starter.tell("attach")
    eventually(lambda: (folder / "server.json").exists())
    starter.kill()
    eventually(lambda: not running(folder), timeout=5)


def test_forked_child_keeps_the_server_when_its_parent_is_gone(folder: Path, user: NewUser) -> None:
    parent = user()
    server = parent.number("attach")
    child = parent.number("fork")
    parent.kill()
    throughout(lambda: alive(server), BEYOND_GRACE_S)
    assert status(folder).users == (child,)
    os.kill(child, signal.SIGKILL)
    eventually(lambda: not alive(server), timeout=3)


def test_forked_child_may_close_without_harm_to_its_parent(folder: Path, user: NewUser) -> None:
    parent = user()
    server = parent.number("attach")
    parent.number("fork_and_close")
    throughout(lambda: alive(server), BEYOND_GRACE_S)
    assert status(folder).users == (parent.pid,)
    parent.ask("close")
    eventually(lambda: not alive(server), timeout=3)


def test_parent_may_close_without_harm_to_a_forked_child(folder: Path, user: NewUser) -> None:
    parent = user()
    server = parent.number("attach")
    child = parent.number("fork")
    parent.ask("close")
    throughout(lambda: alive(server), BEYOND_GRACE_S)
    assert status(folder).users == (child,)


def test_forked_child_brings_the_server_back(folder: Path, user: NewUser) -> None:
    parent = user()
    first = parent.number("attach")
    os.kill(first, signal.SIGKILL)
    second = int(parent.ask("fork_and_ensure"))
    assert second != first
    assert parent.number("ensure") == second


def test_signals_that_the_starter_blocks_still_end_the_server(folder: Path, user: NewUser) -> None:
    starter = user()
    starter.ask("block_signals")
    server = starter.number("attach")
    starter.kill()
    eventually(lambda: not alive(server), timeout=3)


def test_interrupt_on_the_terminal_reaches_users_only(folder: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from gqm.embedded import attach\n"
        "signal.signal(signal.SIGINT, lambda *_: None)\n"
        "attachment = attach(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "os.killpg(0, signal.SIGINT)\n"
        "attachment.ensure()\n"
        "print('still here', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        pid = status(folder).pid
        assert process.stdout.readline() == b"still here\n"
        throughout(lambda: alive(pid), 0.5)
        assert status(folder).pid == pid


def test_server_holds_neither_the_users_lock_nor_a_terminal(folder: Path) -> None:
    with attach(folder) as attachment:
        found = status(folder)
        opened = {os.readlink(entry) for entry in Path(f"/proc/{found.pid}/fd").iterdir()}
        assert {str(folder / "server.lock"), str(folder)} <= opened
        assert str(folder / "users.lock") not in opened
        for pid in (found.pid, found.guardian_pid):
            session, terminal = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[3:5]
            assert session != str(os.getsid(0))
            assert terminal == "0"
        assert attachment.version == found.version


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_another_user_cannot_connect(folder: Path) -> None:
    program = (
        "import os, socket, sys\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "socket.socket(socket.AF_UNIX).connect(sys.argv[1])\n"
    )

    def connect_as_nobody() -> str:
        command = [sys.executable, "-W", "ignore", "-c", program, attachment.socket]
        return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False).stderr

    with attach(folder) as attachment:
        folder.parent.chmod(0o755)
        assert "PermissionError" in connect_as_nobody()
        folder.chmod(0o755)  # even when the folder lets others in
        assert stat.S_IMODE(os.stat(attachment.socket).st_mode) == 0o700
        assert "PermissionError" in connect_as_nobody()
        folder.chmod(0o777)
        os.chmod(attachment.socket, 0o777)
        assert connect_as_nobody() == "", "the test itself can connect when everything is open"
        assert ask(attachment.socket).state is State.READY
        folder.chmod(0o700)
