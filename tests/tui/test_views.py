"""A view that is saved is there at the next start, and the file's other bytes are as they were."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gqm_tui.core.config import SavedView, load
from gqm_tui.core.views import save_view
from gqm_tui.options import RunOptions

VIEW = SavedView("time outs", "failed", 'error:"took over"')
FILE = '# mine\ninterval = 2\n[views.old]\ntab = "queues"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gqm" / "tui.toml"


def read(path: Path) -> tuple[SavedView, ...]:
    return load(RunOptions(tui_config=path), None, {}).views


def test_a_first_view_makes_the_file(path: Path) -> None:
    save_view(path, VIEW)
    assert read(path) == (VIEW,)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", [FILE, FILE.rstrip("\n"), FILE.replace("\n", "\r\n"), "\ufeff" + FILE])
def test_what_stands_there_stays(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_bytes(text.encode())
    path.chmod(0o644)
    save_view(path, VIEW)
    assert path.read_bytes().startswith(text.encode())
    assert ("\r\n" in text) is (b"]\r\ntab" in path.read_bytes())
    assert read(path) == (SavedView("old", "queues"), VIEW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    save_view(path, SavedView("third", "cron"))
    assert [view.name for view in read(path)] == ["old", "time outs", "third"]


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    (tmp_path / "dotfiles.toml").write_text(FILE, "utf-8")
    path.symlink_to(tmp_path / "dotfiles.toml")
    save_view(path, VIEW)
    assert path.is_symlink()
    assert len(read(path)) == 2


@pytest.mark.parametrize(
    ("text", "view", "said"),
    [
        (FILE, SavedView("old", "queues"), "called"),
        (FILE, SavedView(" ", "queues"), "needs a name"),
        (FILE, SavedView("a\ud800", "queues"), "needs a name"),
        ("interval = ", VIEW, "cannot be read any more"),
        ("views = { }", VIEW, "write the view by hand"),
        ("views = 3", VIEW, "write the view by hand"),
    ],
)
def test_what_cannot_be_saved_changes_nothing(path: Path, text: str, view: SavedView, said: str) -> None:
    path.parent.mkdir()
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=said):
        save_view(path, view)
    assert path.read_text("utf-8") == text


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NAMES)
def test_any_name_comes_back(tmp_path: Path, name: str) -> None:
    path = tmp_path / "tui.toml"
    path.unlink(missing_ok=True)
    save_view(path, SavedView(name, "overview"))
    assert read(path) == (SavedView(name, "overview"),)
