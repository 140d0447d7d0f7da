"""The folder of an embedded server: who may use it, its socket, and whose files it holds."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from gqm.embedded.binary import ServerVersion
from gqm.embedded.folder import SOCKET_PATH_LIMIT, Folder, readable
from gqm.errors import EmbeddedServerError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")


def long_path(folder: Path, size: int) -> Path:
    """A path below ``folder`` whose socket would have a path of ``size`` bytes."""
    room = size - len(os.fsencode(folder / "server.sock")) - 1
    return folder / ("x" * room)


def test_folder_is_created_private_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        made = Folder.prepare(folder / "below" / "it")
    finally:
        os.umask(before)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o700
    assert Folder.prepare(made.path) == made


def test_one_folder_under_two_names_is_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Folder.prepare(folder)
    link = folder.parent / "link"
    link.symlink_to(folder)
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("HOME", str(folder.parent))
    assert Folder.prepare(link) == made
    assert Folder.prepare("gqm") == made
    assert Folder.prepare("~/gqm") == made


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o711])
def test_folder_that_others_may_enter_is_refused_and_left_alone(folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(EmbeddedServerError, match=f"has mode {mode:04o}.*chmod 700 {folder}"):
        Folder.prepare(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == mode


@as_root
def test_folder_of_another_user_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    with pytest.raises(EmbeddedServerError, match=r"belongs to user nobody, this process runs as root"):
        Folder.prepare(folder)


def test_file_instead_of_a_folder_is_refused(folder: Path) -> None:
    folder.touch()
    with pytest.raises(EmbeddedServerError, match="is not a folder"):
        Folder.prepare(folder)


def test_folder_that_cannot_be_created(folder: Path) -> None:
    folder.touch()
    with pytest.raises(EmbeddedServerError, match=r"cannot create the folder .*/gqm/below of the embedded"):
        Folder.prepare(folder / "below")


def test_socket_lies_in_the_folder_up_to_the_limit(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    fits = Folder.prepare(long_path(folder, SOCKET_PATH_LIMIT))
    assert fits.socket() == fits.plan_socket() == str(fits.path / "server.sock")
    too_long = Folder.prepare(long_path(folder, SOCKET_PATH_LIMIT + 1))
    assert too_long.socket() is None
    assert too_long.plan_socket().startswith("/tmp/gqm-")
    assert too_long.plan_socket() != too_long.plan_socket(), "names nobody can prepare"


def test_recorded_socket_counts_only_in_a_private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    home = Folder.prepare(long_path(folder, SOCKET_PATH_LIMIT + 1))
    short = folder.parent / "short"
    recorded = str(short / "server.sock")
    (home.path / "server.json").write_text(json.dumps({"socket": recorded}))
    assert home.socket() is None
    assert home.plan_socket() == recorded, "free, so the path stays the same"
    short.mkdir(mode=0o755)
    assert home.socket() is None, "anybody could have put a socket there"
    assert home.plan_socket() != recorded
    short.chmod(0o700)
    assert home.socket() == home.plan_socket() == recorded
    short.rename(folder.parent / "elsewhere")
    short.symlink_to(folder.parent / "elsewhere")
    assert home.socket() is None, "a link may be anybody's"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": 7}', '{"kind": "valkey", "version": "nine"}'])
def test_record_that_says_nothing_useful_is_no_record(folder: Path, content: str) -> None:
    home = Folder.prepare(folder)
    (folder / "server.json").write_text(content)
    assert home.last_written_by() is None


def test_record_tells_who_wrote_the_files(folder: Path) -> None:
    home = Folder.prepare(folder)
    assert home.last_written_by() is None
    (folder / "server.json").write_text('{"kind": "valkey", "version": "9.1.2", "socket": ""}')
    assert home.last_written_by() == ServerVersion("valkey", (9, 1, 2))


@pytest.mark.parametrize(
    ("written", "reader", "expected"),
    [
        ("redis 7.0.15", "redis 7.0.2", True),
        ("redis 7.0.15", "redis 7.2.0", True),
        ("redis 7.2.4", "redis 7.0.15", False),
        ("redis 8.2.1", "redis 7.4.0", False),
        ("valkey 8.1.0", "valkey 9.1.2", True),
        ("valkey 9.1.2", "valkey 9.1.0", True),
        ("valkey 9.1.2", "valkey 9.0.3", False),
        ("redis 7.0.15", "valkey 9.1.2", True),
        ("redis 7.2.4", "valkey 7.2.5", True),
        ("redis 7.4.0", "valkey 9.1.2", False),
        ("redis 8.2.1", "valkey 9.1.2", False),
        ("valkey 9.1.2", "redis 7.0.15", False),
        ("valkey 9.1.2", "redis 8.2.1", False),
        ("valkey 8.1.0", "redis 7.0.15", False),
        ("valkey 8.1.0", "redis 7.2.4", True),
    ],
)
def test_which_server_reads_whose_files(written: str, reader: str, expected: bool) -> None:
    first, second = (ServerVersion.parse(*text.split()) for text in (written, reader))
    assert first is not None
    assert second is not None
    assert readable(first, second) is expected
