"""Attaching to the private server of a folder, healing it, and leaving it."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gqm.embedded import Attachment, attach, status
from gqm.embedded.probe import State, ask
from gqm.errors import EmbeddedServerError
from tests.embedded.helpers import alive, client, info, linux_only, locked, running, servers
from tests.support.wait import eventually, throughout


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


def test_new_user_waits_while_the_old_server_is_being_stopped(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    with ThreadPoolExecutor(1) as pool:
        with locked(folder / "users.lock"):
            with pytest.raises(EmbeddedServerError, match=r"still being stopped after 0\.1 s"):
                attach(folder, timeout=0.1)
            waiting = pool.submit(attach, folder)
            throughout(lambda: not waiting.done(), 0.1)
        waiting.result(timeout=10).close()
