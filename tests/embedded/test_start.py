"""Starting the server of a folder when something is in the way: what is said, what is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gqm.embedded import attach, status
from gqm.embedded.probe import State, ask
from gqm.errors import EmbeddedServerError
from tests.embedded.helpers import client, locked, running, servers
from tests.support.servers import binary
from tests.support.wait import eventually


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
