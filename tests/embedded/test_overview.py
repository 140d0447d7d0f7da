"""What can be seen of an embedded server from outside."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from gqm.embedded import Status, attach, status
from tests.embedded.helpers import UserProcess, alive, linux_only, running
from tests.support.wait import eventually


def test_missing_folder_is_not_created(folder: Path) -> None:
    assert status(folder) == Status(folder, exists=False)
    assert not folder.exists()


@linux_only
def test_running_server_and_its_users(folder: Path, user: Callable[[], UserProcess]) -> None:
    one, two = user(), user()
    server = one.number("attach")
    two.ask("attach")
    child = two.number("fork")
    found = status(folder)
    assert found.exists
    assert found.running
    assert found.pid == server
    assert found.owner == Path.home().owner() or found.owner
    assert found.mode == 0o700
    assert found.socket == str(folder / "server.sock")
    assert found.kind == "valkey"
    assert found.version == attach(folder).version
    assert found.users == tuple(sorted([one.pid, two.pid, child]))
    assert alive(found.guardian_pid)
    assert found.guardian_pid not in (*found.users, server)


@linux_only
def test_looking_does_not_keep_the_server(folder: Path) -> None:
    with attach(folder):
        assert status(folder).users == (os.getpid(),)
    eventually(lambda: not running(folder), timeout=3, interval=0.001)
    found = status(folder)
    assert found == Status(
        folder,
        exists=True,
        owner=found.owner,
        mode=0o700,
        socket=str(folder / "server.sock"),
        kind="valkey",
        version=found.version,
        users=(),
    )
    assert found.version


def test_frozen_server_counts_as_running(folder: Path) -> None:
    with attach(folder):
        pid = status(folder).pid
        assert pid is not None
        os.kill(pid, 19)
        try:
            found = status(folder)
        finally:
            os.kill(pid, 18)
        assert found.running
        assert found.pid is None
        assert found.version, "known from the record"


def test_folder_with_a_wide_mode_is_shown_as_it_is(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o755)
    assert status(folder).mode == 0o755
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


@linux_only
def test_users_are_unknown_where_the_system_does_not_tell(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(mode=0o700)
    monkeypatch.setattr("os.path.isdir", lambda path: path != "/proc/self/fd")
    assert status(folder).users is None
