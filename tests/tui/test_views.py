"""Saved views: what is kept comes back, what is damaged stays as it is, and no place is shown wrongly."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from gqm_tui.core.config import SavedView
from gqm_tui.core.state import StateFile
from gqm_tui.core.views import Look, keep_view, read_views

LOOK = Look(
    tab="failed", table="failed-flat", queue="billing", filter='error:"took over"', sort=("id", False)
)
NONE = Raw(b"{}")
OWN = (SavedView("by hand", "cron", "on:off"),)


def test_a_view_comes_back_from_the_file_of_the_next_start(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "tui.json")
    file.save(msgspec.structs.replace(file.state, views=keep_view(file.state.views, (), "timeouts", LOOK)))
    again = StateFile(tmp_path / "tui.json")
    assert again.take_message() is None
    assert read_views(again.state.views, OWN) == {
        "timeouts": LOOK,
        "by hand": Look(tab="cron", filter="on:off"),
    }


def test_a_view_is_replaced_under_its_name() -> None:
    kept = keep_view(keep_view(NONE, (), "one", LOOK), (), "one", Look(tab="queues"))
    assert read_views(kept, ()) == {"one": Look(tab="queues")}


@pytest.mark.parametrize(
    "damaged",
    [
        b"3",
        b'{"tab": "nowhere"}',
        b'{"tab": "queues", "table": "cron"}',
        b'{"tab": "queues", "table": "jobs"}',
        b'{"tab": "queues", "filter": "colour:red"}',
        b'{"tab": "overview", "filter": "word"}',
        b'{"tab": "queues", "sort": ["ready"]}',
        b'{"filter": "no:tab"}',
    ],
)
def test_a_damaged_view_is_named_and_stays_byte_for_byte(damaged: bytes) -> None:
    kept = Raw(b'{"old":' + damaged + b"}")
    assert read_views(kept, ()) == {"old": None}
    more = keep_view(kept, (), "new", LOOK)
    assert b'"old":' + damaged in bytes(more)
    assert read_views(more, ()) == {"old": None, "new": LOOK}
    with pytest.raises(ValueError, match="left alone"):
        keep_view(kept, (), "old", LOOK)


@pytest.mark.parametrize("damaged", [b"[]", b"3", b'"views"', b"null"])
def test_damaged_views_do_not_cost_the_rest_of_the_state(damaged: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tui.json"
    path.write_bytes(b'{"theme": "nord", "views": ' + damaged + b"}")
    file = StateFile(path)
    assert file.state.theme == "nord"
    assert file.take_message() is None
    with pytest.raises(ValueError, match="damaged"):
        read_views(file.state.views, OWN)
    with pytest.raises(ValueError, match="damaged"):
        keep_view(file.state.views, OWN, "new", LOOK)
    file.save(msgspec.structs.replace(file.state, theme="gruvbox"))
    assert damaged in path.read_bytes()


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "a\ud800"])
def test_a_name_has_to_be_one(name: str) -> None:
    with pytest.raises(ValueError, match="needs a name"):
        keep_view(NONE, (), name, LOOK)


def test_a_view_of_the_configuration_file_is_not_hidden_by_another_one() -> None:
    with pytest.raises(ValueError, match=r"tui\.toml"):
        keep_view(NONE, OWN, "by hand", LOOK)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(str.strip))
def test_any_name_comes_back(name: str) -> None:
    assert read_views(keep_view(NONE, (), name, LOOK), ()) == {name: LOOK}


def test_the_words_of_a_view_name_place_and_filter() -> None:
    assert LOOK.words == 'Failed billing error:"took over"'
    assert Look(tab="queues").words == "Queues"
