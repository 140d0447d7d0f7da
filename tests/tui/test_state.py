"""What is remembered between two runs, and that a bad file costs nothing but one message."""

import json
import os
import stat
from pathlib import Path

import pytest

from gqm_tui.core.state import State, StateFile, state_path, write_private

KEPT = State(
    theme="gqm-light",
    interval=5.0,
    context="prod-eu",
    tab="failed",
    sort={"queues": ("ready", False)},
    columns={"queues": ("name", "ready")},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gqm" / "tui.json"


def test_what_was_saved_comes_back(path: Path) -> None:
    StateFile(path).save(KEPT)
    again = StateFile(path)
    assert again.state == KEPT
    assert again.take_message() is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["tui.json"]


def test_a_first_run_has_defaults_and_nothing_to_tell(path: Path) -> None:
    file = StateFile(path)
    assert file.state == State()
    assert file.take_message() is None
    assert not path.parent.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\x00\xff\xfe",
        b"[]",
        b"null",
        b'{"theme": 7}',
        b'{"interval": 0}',
        b'{"interval": "1"}',
        b'{"sort": {"queues": ["ready"]}}',
        b'{"columns": {"queues": "name"}}',
        b'{"tab": "\xff"}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_told_once_and_replaced(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    file = StateFile(path)
    assert file.state == State()
    message = file.take_message()
    assert message is not None
    assert "damaged" in message
    assert "\n" not in message
    assert file.take_message() is None
    file.save(KEPT)
    assert file.take_message() is None
    assert StateFile(path).state == KEPT


def test_a_newer_programs_fields_do_no_harm(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps({"theme": "gqm-light", "shape": "round"}), "utf-8")
    assert StateFile(path).state == State(theme="gqm-light")


def test_an_unwritable_place_is_told_once_and_the_choice_kept(tmp_path: Path) -> None:
    (tmp_path / "gqm").write_text("a file where the folder should be", "utf-8")
    file = StateFile(tmp_path / "gqm" / "tui.json")
    file.take_message()
    file = StateFile(tmp_path / "other" / "tui.json")
    (tmp_path / "other").write_text("in the way", "utf-8")
    file.save(KEPT)
    assert file.state == KEPT
    message = file.take_message()
    assert message is not None
    assert "cannot be written" in message
    file.save(State(theme="x"))
    assert file.take_message() is None


def test_a_folder_in_the_files_place_is_told(path: Path) -> None:
    path.mkdir(parents=True)
    message = StateFile(path).take_message()
    assert message is not None
    assert "cannot be read" in message


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = StateFile(path)
    file.save(KEPT)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    file.save(State(theme="other"))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["tui.json"]
    message = file.take_message()
    assert message is not None
    assert "No space left" in message


def test_an_equal_state_is_not_written(path: Path) -> None:
    file = StateFile(path)
    file.save(KEPT)
    path.unlink()
    file.save(KEPT)
    assert not path.exists()


def test_a_private_file_is_private_even_over_an_open_one(tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.write_text("old", "utf-8")
    target.chmod(0o644)
    write_private(target, b"new")
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("base", "start"), [("/x/state", "/x/state/gqm/tui.json"), ("relative", "~"), ("", "~"), (None, "~")]
)
def test_where_the_file_is(base: str | None, start: str) -> None:
    found = state_path({} if base is None else {"XDG_STATE_HOME": base})
    home = Path("~/.local/state/gqm/tui.json").expanduser()
    assert found == (home if start == "~" else Path(start))
