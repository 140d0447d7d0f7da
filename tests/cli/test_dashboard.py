"""``gqm dashboard export``: whole and private-proof copies, and nothing overwritten in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from gqm.monitor.static import built_in_folder
from tests.cli.helpers import Gqm


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("place", ["pipe", "terminal"])
@pytest.mark.parametrize("there", [False, True])
def test_the_files_are_written(gqm: Gqm, place: str, there: bool) -> None:
    if there:
        (gqm.folder / "mine").mkdir()
    line = ("dashboard", "export", "mine")
    done = gqm(*line) if place == "pipe" else gqm.terminal(*line)
    found = files(gqm.folder / "mine")
    assert found == files(built_in_folder())
    assert "index.html" in found
    assert (done.code, done.out) == (0, "")
    assert done.err == (
        f"wrote {len(found)} files of version 1.0.0 to mine\n"
        'to use them, set in gqm.yaml: monitoring.dashboard.custom_dir: "mine"\n'
    )


@pytest.mark.fault(18)
def test_a_folder_in_use_is_left_alone(gqm: Gqm) -> None:
    gqm.write("mine/index.html", "my own")
    done = gqm("dashboard", "export", "mine")
    assert (done.code, done.out) == (1, "")
    assert done.err == "gqm: error: mine is not empty; nothing was written, --force replaces its files\n"
    assert files(gqm.folder / "mine") == {"index.html": b"my own"}


def test_force_replaces_files_and_keeps_others(gqm: Gqm) -> None:
    gqm.write("mine/index.html", "my own")
    gqm.write("mine/logo.svg", "<svg/>")
    secret = gqm.write("elsewhere", "untouched")
    (gqm.folder / "mine/VERSION").symlink_to(secret)
    assert gqm("dashboard", "export", "mine", "--force").code == 0
    assert files(gqm.folder / "mine") == {**files(built_in_folder()), "logo.svg": b"<svg/>"}
    assert secret.read_text() == "untouched"


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        ([], 2, "missing argument 'DIR'; see \"gqm dashboard export --help\""),
        (["a", "b"], 2, 'unexpected argument b; see "gqm dashboard export --help"'),
        (["file"], 1, "file is a file; nothing was written"),
        (["file/below"], 1, "file/below: not a directory"),
    ],
)
def test_what_cannot_be(gqm: Gqm, args: list[str], code: int, text: str) -> None:
    gqm.write("file", "")
    done = gqm("dashboard", "export", *args)
    assert (done.code, done.out, done.err) == (code, "", f"gqm: error: {text}\n")
