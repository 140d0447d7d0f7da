"""Changing the file: old or new, never a mix; private; one edit at a time; refusals leave every byte."""

from __future__ import annotations

import fcntl
import functools
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gqm.errors import ConfigError
from gqm_cli import config_file
from gqm_cli.accounts import with_api_key
from gqm_cli.config_file import edit, look
from gqm_cli.diagnostics import CommandFailed
from tests.cli.helpers import GQM, Gqm
from tests.support.wait import eventually

HASH = "sha256:" + "a" * 64
TEXT = "# mine\nmonitoring:\n  api:\n    api_keys: []\n"


def add(name: str) -> Callable[[str], tuple[str, str]]:
    """An edit that adds a key."""
    return lambda text: with_api_key(text, name, f"sha256:{name.encode().hex():0>64}", None)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "gqm.yaml"
    path.write_text(TEXT)
    path.chmod(0o600)
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def was_written(path: Path, before_ns: int) -> bool:
    return path.stat().st_mtime_ns != before_ns


def left_alone(file: Path, text: str = TEXT) -> bool:
    """Whether the file is as it was and nothing else is in its folder."""
    return file.read_text() == text and [path.name for path in file.parent.iterdir()] == [file.name]


def test_an_edit_is_written(file: Path) -> None:
    written, role = edit("gqm.yaml", add("graf"))
    assert (written.narrowed, written.left, role) == (False, (), "viewer")
    assert 'name: "graf"' in file.read_text()
    assert [path.name for path in file.parent.iterdir()] == ["gqm.yaml"]


@pytest.mark.fault(6)
@pytest.mark.parametrize("before", [0o644, 0o640, 0o700, 0o600])
def test_the_file_becomes_private(file: Path, before: int) -> None:
    file.chmod(before)
    written, _ = edit("gqm.yaml", add("graf"))
    assert (mode(file), written.narrowed) == (0o600, before != 0o600)


@pytest.mark.fault(6)
def test_no_secret_is_ever_in_a_file_that_others_can_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.chmod(0o644)
    seen: list[int] = []
    fsync = os.fsync

    def watch(descriptor: int) -> None:
        seen.extend(mode(path) for path in file.parent.iterdir() if "sha256:" in path.read_text())
        fsync(descriptor)

    monkeypatch.setattr("gqm_cli.config_file.os.fsync", watch)
    before = os.umask(0)
    try:
        edit("gqm.yaml", add("graf"))
    finally:
        os.umask(before)
    assert seen
    assert set(seen) == {0o600}


def test_a_link_stays_and_its_target_is_replaced(file: Path, tmp_path: Path) -> None:
    real = tmp_path / "etc" / "real.yaml"
    real.parent.mkdir()
    file.rename(real)
    file.symlink_to(real)
    edit("gqm.yaml", add("graf"))
    assert file.is_symlink()
    assert 'name: "graf"' in real.read_text()
    assert [path.name for path in real.parent.iterdir()] == ["real.yaml"]


def test_what_a_killed_edit_left_is_removed(file: Path) -> None:
    leftover = file.parent / ".gqm.yaml.gqm-0123456789abcdef"
    leftover.write_text("half")
    unrelated = file.parent / ".gqm.yaml.swp"
    unrelated.write_text("an editor's")
    edit("gqm.yaml", add("graf"))
    assert not leftover.exists()
    assert unrelated.exists()


# -------------------------------------------------------------------------------------- refusals


def test_a_change_by_somebody_else_is_not_overwritten(file: Path) -> None:
    def change(text: str) -> tuple[str, str]:
        file.write_text(f"{text}# by hand\n")
        return add("graf")(text)

    with pytest.raises(CommandFailed) as caught:
        edit("gqm.yaml", change)
    assert str(caught.value) == (
        "gqm.yaml changed while it was being edited; nothing was written, run the command again"
    )
    assert left_alone(file, f"{TEXT}# by hand\n")


@pytest.mark.parametrize("call", ["fsync", "rename", "fchmod"])
def test_a_full_disk_or_any_other_failure_leaves_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"gqm_cli.config_file.os.{call}", fail)
    with pytest.raises(OSError, match="No space left"):
        edit("gqm.yaml", add("graf"))
    assert left_alone(file)


def test_a_file_of_somebody_else(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gqm_cli.config_file.os.geteuid", lambda: file.stat().st_uid + 1)
    with pytest.raises(CommandFailed, match=r"^gqm\.yaml belongs to another user; nothing was changed$"):
        edit("gqm.yaml", add("graf"))
    assert left_alone(file)


@pytest.mark.parametrize(
    ("what", "text"), [("file", "gqm.yaml is not"), ("folder", "the folder of gqm.yaml is not")]
)
def test_what_cannot_be_written(file: Path, monkeypatch: pytest.MonkeyPatch, what: str, text: str) -> None:
    monkeypatch.setattr(
        "gqm_cli.config_file.os.access", lambda path, flags: Path(path).is_dir() is (what == "file")
    )
    with pytest.raises(CommandFailed, match=f"^{text} writable; nothing was changed$"):
        edit("gqm.yaml", add("graf"))
    assert left_alone(file)


@pytest.mark.fault(3)
@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("- a\n", "R5"),
        ("just text\n", "R5"),
        ("a: 1\n---\nb: 1\n", "R4"),
        ("app: {}\napp: {}\n", "R6"),
        ("app:\n\tlog_level: info\n", "R3"),
        ("a: [1\n", "R3"),
        ("x: !thing 1\n", "R3"),
    ],
)
def test_what_cannot_be_edited_is_refused_unchanged(file: Path, text: str, rule: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        edit("gqm.yaml", add("graf"))
    assert rule in {getattr(problem, "rule", "") for problem in caught.value.problems}
    assert left_alone(file, text)


def test_bytes_that_are_no_text_are_refused_unchanged(file: Path) -> None:
    file.write_bytes(b"app:\n  # \xff\n")
    with pytest.raises(ConfigError) as caught:
        edit("gqm.yaml", add("graf"))
    assert [str(problem) for problem in caught.value.problems] == ["gqm.yaml:2:5: not UTF-8 text"]
    assert file.read_bytes() == b"app:\n  # \xff\n"


def test_a_missing_file(file: Path) -> None:
    file.unlink()
    for name in ("gqm.yaml", "no/such/gqm.yaml"):
        with pytest.raises(ConfigError, match=f"^gqm: error: {name} not found; create one with"):
            edit(name, add("graf"))


def test_an_alias_on_the_way_names_its_line(file: Path) -> None:
    text = "x: &team []\nmonitoring:\n  api:\n    api_keys: *team\n"
    file.write_text(text)
    for call in (edit, look):
        with pytest.raises(CommandFailed) as caught:
            call("gqm.yaml", add("graf"))
        assert str(caught.value) == (
            '"api_keys" in gqm.yaml:4:15 is an alias (*team); edit the anchor by hand, nothing was changed'
        )
    assert left_alone(file, text)


def test_all_errors_are_listed_with_their_places_in_the_file_as_it_is(file: Path) -> None:
    text = f"{TEXT}app:\n  processes: many\n  log_level: loud\n"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        edit("gqm.yaml", add("graf"))
    assert [str(problem).split(": ")[0] for problem in caught.value.problems] == [
        "gqm.yaml:6:14",
        "gqm.yaml:7:14",
    ]
    assert left_alone(file, text)


def test_an_error_that_the_edit_removes_is_fine(file: Path) -> None:
    file.write_text("monitoring:\n  api:\n    enabled: true\n    addr: ':0'\n    api_keys:\n")
    edit("gqm.yaml", add("graf"))
    assert 'name: "graf"' in file.read_text()


def test_what_only_the_server_has_is_listed_and_no_obstacle(file: Path) -> None:
    file.write_text(
        "redis:\n  addr: 'localhost:1'\n  password: ${NOT_SET_HERE}\n"
        "monitoring:\n  dashboard:\n    custom_dir: /no/such/folder\n"
        "  api:\n    addr: 127.0.0.1:0\n    api_keys:\n      - name: other\n        key: ''\n"
    )
    written, _ = edit("gqm.yaml", add("graf"))
    assert [problem.rule for problem in written.left] == ["R10", "R57"]


# ------------------------------------------------------------------------------ at the same time


def test_a_lock_that_is_held_is_waited_for_and_then_given_up(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_file, "LOCK_WAIT_S", 0.1)
    descriptor = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(
            CommandFailed, match=r"^gqm\.yaml is being edited by another program; nothing was"
        ):
            edit("gqm.yaml", add("graf"))
        assert left_alone(file)
    finally:
        os.close(descriptor)
    edit("gqm.yaml", add("graf"))


def test_edits_in_many_threads_are_all_kept(file: Path) -> None:
    threads = [threading.Thread(target=edit, args=("gqm.yaml", add(f"k{i}"))) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(f'name: "k{i}"' in file.read_text() for i in range(8)) == 8


def test_20_commands_at_once_keep_20_keys(gqm: Gqm) -> None:
    path = gqm.write("gqm.yaml", TEXT)

    def at_once(names: list[str]) -> dict[str, tuple[int, str, str]]:
        running = {
            name: subprocess.Popen(
                [*GQM, "add-api-key", name],
                cwd=gqm.folder,
                env={**gqm.env, "GQM_LOCK": ""},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for name in names
        }
        told = {name: process.communicate(timeout=60) for name, process in running.items()}
        return {name: (running[name].returncode, *told[name]) for name in names}

    left, keys = [f"k{i}" for i in range(20)], set[str]()
    for _ in range(5):  # a busy machine may let some wait too long; they are told to run again
        done = at_once(left)
        keys |= {out for code, out, _ in done.values() if code == 0}
        left = [name for name, (code, _, _) in done.items() if code]
        assert all("nothing was changed, run the command again" in done[name][2] for name in left)
        assert path.read_text().count("key_hash: ") == len(keys) == 20 - len(left)
    assert left == []
    assert gqm("check").code == 0


@pytest.mark.fault(6)
def test_kill_9_leaves_the_old_file_or_the_new(gqm: Gqm) -> None:
    path = gqm.write("gqm.yaml", TEXT)
    program = (
        "import itertools, sys\n"
        "from gqm_cli.config_file import edit\n"
        "from gqm_cli.accounts import with_api_key, without_api_key\n"
        "for i in itertools.count():\n"
        "    edit('gqm.yaml', lambda t: with_api_key(t, 'graf', 'sha256:' + 'a' * 64, None))\n"
        "    edit('gqm.yaml', lambda t: (without_api_key(t, 'graf'), None))\n"
        "    print(i, flush=True)\n"
    )
    new, _ = with_api_key(TEXT, "graf", HASH, None)
    for attempt in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", program], cwd=gqm.folder, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        before = path.stat().st_mtime_ns
        for _ in range(attempt % 4):  # at different moments of an edit
            eventually(functools.partial(was_written, path, before), interval=0.0005)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)
        assert path.read_text() in (TEXT, new)
        assert all(mode(item) == 0o600 for item in path.parent.iterdir() if HASH in item.read_text())
        path.write_text(TEXT)
    edit_again = gqm("add-api-key", "last")
    assert edit_again.code == 0
    assert [item.name for item in path.parent.iterdir()] == ["gqm.yaml"]
