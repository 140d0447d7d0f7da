"""Attaching to the private server of a folder, healing it, and leaving it."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from gqm.embedded import Attachment, attach, status
from gqm.embedded.probe import State, ask
from gqm.errors import EmbeddedServerError
from tests.embedded.helpers import alive, info, linux_only, running, servers
from tests.support.servers import binary
from tests.support.wait import eventually, throughout


def client(attachment: Attachment) -> redis.Redis:
    return redis.Redis(
        unix_socket_path=attachment.socket, decode_responses=True, single_connection_client=True
    )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def test_server_runs_as_promised(folder: Path) -> None:
    with attach(folder) as attachment, client(attachment) as connection:
        expected = {
            "port": "0",
            "tls-port": "0",
            "unixsocket": "server.sock",
            "unixsocketperm": "700",
            "dir": str(folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "pidfile": "",
        }
        assert connection.config_get(*expected) == expected
        assert attachment.folder == folder
        assert attachment.socket == str(folder / "server.sock")
        assert (attachment.kind, attachment.version) == ("valkey", status(folder).version)
        assert {entry.name for entry in folder.iterdir()} == {
            *("appendonlydir", "server.json", "server.lock", "server.log", "server.sock"),
            *("start.lock", "users.lock"),
        }


def test_second_attachment_joins_and_the_server_ends_after_both(folder: Path) -> None:
    first = attach(folder)
    pid = status(folder).pid
    second = attach(folder)
    assert status(folder).pid == pid
    assert second.socket == first.socket
    first.close()
    second.ensure()
    assert status(folder).pid == pid
    second.close()
    eventually(lambda: not running(folder), timeout=3)


def test_threads_that_attach_at_once_share_one_server(folder: Path) -> None:
    barrier = threading.Barrier(10)

    def work(_: int) -> Attachment:
        barrier.wait()
        return attach(folder)

    with ThreadPoolExecutor(10) as pool:
        attachments = list(pool.map(work, range(10)))
    assert len(servers(folder)) == 1
    for attachment in attachments:
        attachment.close()


def test_forgotten_attachment_does_not_keep_the_server(folder: Path) -> None:
    attachment = attach(folder)
    assert attachment.kind == "valkey"
    del attachment
    gc.collect()
    eventually(lambda: not running(folder), timeout=3)


def test_closed_attachment_stays_closed(folder: Path) -> None:
    attachment = attach(folder)
    attachment.close()
    attachment.close()
    assert attachment.closed
    assert repr(attachment) == f"<Attachment {folder} closed>"
    with pytest.raises(EmbeddedServerError, match="is closed"):
        attachment.ensure()


@linux_only
def test_attachments_leave_no_descriptors_behind(folder: Path) -> None:
    with attach(folder) as kept:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            with attach(folder) as attachment:
                attachment.ensure()
        pid = status(folder).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        kept.ensure()
        assert len(os.listdir("/proc/self/fd")) == before


def test_server_that_was_shut_down_comes_back_with_its_data(folder: Path) -> None:
    with attach(folder) as attachment:
        with client(attachment) as connection:
            connection.set("key", "value")
        pid = status(folder).pid
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not alive(pid))
        attachment.ensure()
        with client(attachment) as connection:
            assert connection.get("key") == "value"


def test_deleted_folder_is_made_anew(folder: Path) -> None:
    with attach(folder) as attachment:
        old = status(folder)
        shutil.rmtree(folder)
        attachment.ensure()
        assert status(folder).pid not in (None, old.pid)
        eventually(lambda: not alive(old.pid), timeout=3)
        assert ask(attachment.socket).state is State.READY


def test_cleared_folder_never_has_two_servers(folder: Path) -> None:
    with attach(folder) as attachment:
        old = status(folder)
        for entry in folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        with pytest.raises(EmbeddedServerError, match="is not there"):
            attach(folder, timeout=0.3)
        assert servers(folder) == [old.pid]
        attachment.ensure()
        assert len(servers(folder)) == 1
        assert status(folder).pid not in (None, old.pid)


def test_log_starts_empty_with_every_server(folder: Path) -> None:
    with attach(folder):
        pass
    eventually(lambda: not running(folder), timeout=3)
    (folder / "server.log").write_text("from before\n" * 100)
    with attach(folder):
        assert "from before" not in (folder / "server.log").read_text()


def test_path_too_long_for_a_socket_gets_a_short_private_folder(folder: Path) -> None:
    deep = folder / ("x" * 60) / ("y" * 60)
    with attach(deep) as attachment:
        path = attachment.socket
        assert len(path) < 60
        assert Path(path).parent.stat().st_mode & 0o777 == 0o700
        with client(attachment) as connection:
            connection.set("key", "value")
        with attach(deep) as second:
            assert second.socket == path
        pid = status(deep).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        attachment.ensure()
        assert attachment.socket == path
        with client(attachment) as connection:
            assert connection.get("key") == "value"
    eventually(lambda: not Path(path).parent.exists(), timeout=3)
    with pytest.raises(EmbeddedServerError, match="has no socket at the moment"):
        _ = attachment.socket


def test_unusual_characters_in_the_path(folder: Path) -> None:
    strange = folder / "a b'\"\\ \N{SNOWMAN}\n-x"
    with attach(strange) as attachment, client(attachment) as connection:
        assert connection.config_get("dir") == {"dir": str(strange)}


def test_redis_folder_is_taken_over_by_valkey_but_not_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GQM_EMBEDDED_SERVER", binary("redis"))
    with attach(folder) as attachment, client(attachment) as connection:
        assert attachment.kind == "redis"
        connection.set("key", "value")
    eventually(lambda: not running(folder), timeout=3)
    monkeypatch.delenv("GQM_EMBEDDED_SERVER")
    with attach(folder) as attachment, client(attachment) as connection:
        assert attachment.kind == "valkey"
        assert connection.get("key") == "value"
        newer = attachment.version
        monkeypatch.setenv("GQM_EMBEDDED_SERVER", binary("redis"))
        attachment.ensure()
        assert attachment.kind == "valkey", "a running server is joined, whatever it is"
    eventually(lambda: not running(folder), timeout=3)
    with pytest.raises(EmbeddedServerError) as caught:
        attach(folder)
    text = str(caught.value)
    assert f"the data in {folder} were written by Valkey {newer}; Redis 7" in text
    assert f"Use Valkey {newer} or newer" in text
    assert not status(folder).running


def test_server_written_by_a_future_version_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "server.json").write_text('{"kind": "valkey", "version": "99.1.0"}')
    with pytest.raises(EmbeddedServerError, match=r"written by Valkey 99\.1\.0; Valkey 9.* cannot read them"):
        attach(folder)


def fake_server(folder: Path, monkeypatch: pytest.MonkeyPatch, behaviour: str) -> None:
    """A binary that calls itself Valkey 9.9.9 and then behaves like that."""
    path = folder.parent / "fake-server"
    version = 'case "$1" in --version) echo "Valkey server v=9.9.9 sha=0"; exit 0;; esac'
    path.write_text(f"#!/bin/sh\n{version}\n{behaviour}\n")
    path.chmod(0o755)
    monkeypatch.setenv("GQM_EMBEDDED_SERVER", str(path))


def test_server_knows_nothing_of_its_starters_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_server(folder, monkeypatch, f"env > {folder}/environment; exit 1")
    monkeypatch.setenv("GQM_TEST_SECRET", "hidden")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    with pytest.raises(EmbeddedServerError, match="did not start"):
        attach(folder)
    environment = (folder / "environment").read_text().splitlines()
    assert "LC_ALL=C" in environment
    assert "hidden" not in str(environment)


def test_server_that_ends_at_once_is_quoted_and_not_remembered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(mode=0o700)
    before = '{"kind": "valkey", "version": "9.0.0"}'
    (folder / "server.json").write_text(before)
    fake_server(folder, monkeypatch, "for i in 1 2 3 4 5 6 7 8; do echo line $i >&2; done; exit 4")
    began = time.monotonic()
    with pytest.raises(EmbeddedServerError) as caught:
        attach(folder)
    assert time.monotonic() - began < 5, "it must not wait for a server that has given up"
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"the embedded server in {folder} did not start: {folder.parent}/fake-server")
    assert lines[0].endswith("ended with exit code 4")
    assert lines[1:] == [
        f"the last lines of {folder}/server.log:",
        *(f"    line {i}" for i in range(3, 9)),
    ]
    assert (folder / "server.json").read_text() == before


def test_first_server_that_ends_at_once_leaves_no_record(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_server(folder, monkeypatch, "exit 1")
    with pytest.raises(EmbeddedServerError, match=r"exit code 1$"):
        attach(folder)
    assert not (folder / "server.json").exists()


def test_server_that_crashes_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_server(folder, monkeypatch, "kill -ILL $$")
    with pytest.raises(EmbeddedServerError, match=f"ended with signal {signal.SIGILL:d}"):
        attach(folder)


def test_binary_that_vanishes_before_it_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_server(folder, monkeypatch, "")
    text = (folder.parent / "fake-server").read_text()
    (folder.parent / "fake-server").write_text(text.replace("exit 0", 'rm "$0"; exit 0'))
    with pytest.raises(EmbeddedServerError, match=r"exit code 127\n(.*\n)*.*No such file or directory"):
        attach(folder)


def test_server_that_never_listens(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_server(folder, monkeypatch, "echo thinking; exec sleep 60")
    with pytest.raises(EmbeddedServerError, match=r"is not there, 0\.4 s after .*\n(.*\n)*    thinking"):
        attach(folder, timeout=0.4)


def test_server_that_does_not_answer(folder: Path) -> None:
    with attach(folder, timeout=0.3) as attachment:
        pid = status(folder).pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(EmbeddedServerError, match="listens but does not answer"):
                attachment.ensure()
        finally:
            os.kill(pid, signal.SIGCONT)
        attachment.ensure()


def test_time_that_a_server_takes_to_read_its_files_does_not_count(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    ready_at = time.monotonic() + 0.8
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(10)
        listener.bind(str(folder / "server.sock"))
        listener.listen()

        def serve() -> None:
            loading = 1
            while loading:
                loading = int(time.monotonic() < ready_at)
                connection, _ = listener.accept()
                with connection:
                    connection.recv(100)
                    connection.sendall(info(loading))

        with ThreadPoolExecutor(1) as pool:
            served = pool.submit(serve)
            with attach(folder, timeout=0.3) as attachment:
                assert time.monotonic() >= ready_at
                assert (attachment.kind, attachment.version) == ("redis", "7.2.4")
            served.result()


def test_folder_whose_server_has_lost_its_socket(folder: Path) -> None:
    with attach(folder) as attachment:
        os.unlink(attachment.socket)
        with pytest.raises(EmbeddedServerError, match=r"is not there.*`gqm doctor`"):
            attach(folder, timeout=0.3)
        assert len(servers(folder)) == 1
    eventually(lambda: servers(folder) == [], timeout=3)
    with attach(folder) as attachment:
        assert ask(attachment.socket).state is State.READY


def test_missing_binary_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gqm.embedded.binary.PACKAGE", "gqm_no_such_package")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(
        EmbeddedServerError, match=r"no server binary found.*\nTo fix it.*\n.*gqm\[embedded\]"
    ):
        attach(folder)
    assert status(folder).users == ()


def test_missing_interpreter_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(EmbeddedServerError, match=r"cannot run /nowhere/python: .*No such file"):
        attach(folder)


def test_new_user_waits_while_the_old_server_is_being_stopped(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    with ThreadPoolExecutor(1) as pool:
        with locked(folder / "users.lock"):
            with pytest.raises(EmbeddedServerError, match=r"still being stopped after 0\.1 s"):
                attach(folder, timeout=0.1)
            waiting = pool.submit(attach, folder)
            throughout(lambda: not waiting.done(), 0.1)
        waiting.result(timeout=10).close()


def test_turn_that_is_never_given_back_only_delays(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    with locked(folder / "start.lock"), attach(folder) as attachment:
        assert ask(attachment.socket).state is State.READY


def test_server_is_not_started_while_another_holds_the_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    with locked(folder / "server.lock"), pytest.raises(EmbeddedServerError, match="is not there"):
        attach(folder, timeout=0.5)
    assert not (folder / "server.json").exists()
    with attach(folder):
        assert len(servers(folder)) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_folder_that_cannot_be_written(folder: Path) -> None:
    program = (
        "import os, sys\n"
        "from gqm.embedded import attach\n"
        "from gqm.errors import EmbeddedServerError\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: attach(sys.argv[1])\n"
        "except EmbeddedServerError as error: print(error)\n"
    )
    folder.mkdir(mode=0o500)
    folder.parent.chmod(0o755)
    os.chown(folder, 65534, 65534)
    said = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True, check=True)
    assert f"cannot use its folder: [Errno 13] Permission denied: '{folder}/users.lock'" in said.stdout
