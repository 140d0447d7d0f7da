"""The guardian as a program of its own."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gqm.embedded import attach, guardian, status
from tests.embedded.helpers import ROOT, alive, linux_only
from tests.support.servers import binary
from tests.support.wait import eventually

RECORD = '{"kind": "valkey", "version": "9.1.2"}'


def run_guardian(folder: Path, socket: Path) -> str:
    """Run it as a module and return what it says until it closes its standard error."""
    arguments = [str(folder), binary("valkey"), str(socket), RECORD]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "gqm.embedded.guardian", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=20,
        check=False,
    )
    return done.stderr.strip()


def test_guardian_without_users_ends_by_itself(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    assert run_guardian(folder, folder / "server.sock") == ""
    assert (folder / "server.json").read_text() == RECORD
    assert not status(folder).running


def test_guardian_of_a_folder_in_use_only_says_so(folder: Path) -> None:
    with attach(folder):
        before = status(folder)
        log = (folder / "server.log").stat()
        assert run_guardian(folder, folder / "server.sock") == guardian.BUSY
        assert status(folder) == before
        assert (folder / "server.log").stat().st_mtime_ns == log.st_mtime_ns


def test_guardian_refuses_a_socket_folder_that_others_prepared(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    trap = folder.parent / "trap"
    trap.mkdir(mode=0o755)
    assert f"{trap} is needed for the socket, but it is not a private" in run_guardian(
        folder, trap / "s.sock"
    )
    assert not (folder / "server.json").exists()


def test_guardian_says_which_file_it_cannot_use(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "server.lock").mkdir()
    assert "Is a directory: 'server.lock'" in run_guardian(folder, folder / "server.sock")


@linux_only
def test_server_that_does_not_end_is_killed_and_new_users_wait_for_that(folder: Path) -> None:
    program = (
        "import sys; from gqm.embedded import guardian\n"
        "guardian.GRACE_S, guardian.STOP_S = 0.0, 0.2\n"
        "guardian.stop_when_unused(int(sys.argv[1]))\n"
        "print('stopped', flush=True)\n"
        "sys.stdin.read()\n"
    )
    stubborn = "trap '' TERM; echo; while :; do sleep 0.1; done"
    with subprocess.Popen(["/bin/sh", "-c", stubborn], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"\n"
        with subprocess.Popen(
            [sys.executable, "-c", program, str(server.pid)],
            cwd=folder.parent,
            env={"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"stopped\n"
            assert server.wait(5) == -signal.SIGKILL
            with (folder.parent / "users.lock").open() as file, pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_locks_say_when_everything_is_over(folder: Path) -> None:
    with attach(folder):
        pids = status(folder)
    with (folder / "server.lock").open() as file:

        def free() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        eventually(free, timeout=3)
        assert not alive(pids.pid)
        assert os.path.exists(folder / "server.json")
