"""What leaves the screen: files, copies, and that no secret and no control code goes along."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqm_tui.core import text
from gqm_tui.core.export import (
    export_file,
    export_name,
    json_text,
    object_json,
    private_file,
    program,
    row_text,
    to_csv,
    to_json,
)
from gqm_tui.core.model import Job
from gqm_tui.core.redact import mask_json
from gqm_tui.core.table import CellText, Column, Row
from tests.support import tui

NOON = 1_795_521_600.0
COLUMNS = (
    Column("name", "QUEUE", 14, 18, sort="name", star=True),
    Column("ready", "READY", 7, 7, sort="ready", right=True),
    Column("drain", "DRAIN", 7, 7, sort="drain"),
    Column("minutes", "15 MIN", 12, 6),
)
KEYS = ("password", "token", "secret")


def row(name: str = "billing", **values: Any) -> Row:
    cells = {"name": name, "ready": "31,204↑", "drain": "never", "minutes": "▁▂▃"}
    shown = {key: CellText(cell) for key, cell in cells.items()}
    return Row(name, shown, {"name": name, "ready": 31_204, "drain": None, **values})


def a_job(**changes: Any) -> Job:
    return msgspec.json.decode(msgspec.json.encode(tui.job_detail(**changes)), type=Job)


# -- rows


def test_rows_as_csv_have_raw_numbers() -> None:
    rows = [row(), row('a "b", c', ready=7, drain=12.5)]
    assert to_csv(COLUMNS, rows) == (
        'name,ready,drain,minutes\nbilling,31204,,▁▂▃\n"a ""b"", c",7,12.5,▁▂▃\n'
    )


@pytest.mark.security(13)
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula_and_no_cell_has_a_control_code(start: str) -> None:
    made = to_csv(COLUMNS, [row(f"{start}1\x1b]0;x\x07\n")])
    (cell, *_) = list(csv.reader(io.StringIO(made)))[1]
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert all(char.isprintable() for char in made.replace("\n", ""))
    assert to_csv(COLUMNS, [row(ready=-5)]).splitlines()[1] == "billing,-5,,▁▂▃"


def test_rows_as_json() -> None:
    made = to_json(COLUMNS, [row("größe \x1b\u202e")])
    assert json.loads(made) == [
        {"name": "größe \x1b\u202e", "ready": 31_204, "drain": None, "minutes": "▁▂▃"}
    ]
    assert "größe" in made
    assert "\\u202e" in made
    assert "\x1b" not in made


def test_a_row_to_copy_is_what_is_shown() -> None:
    assert row_text(COLUMNS, row()) == "billing\t31,204↑\tnever\t▁▂▃"
    assert row_text(COLUMNS[:1], row("a\tb\n")) == "a␉b␊"


# -- objects


def test_an_object_as_json_keeps_every_digit_and_leaves_out_what_was_not_sent() -> None:
    data = tui.job_detail(result=msgspec.UNSET, meta=msgspec.UNSET, payload=msgspec.UNSET)
    raw = json.dumps(data)[:-1] + ', "payload": {"n": 12345678901234567890.10, "big": 1e400}}'
    made = object_json(msgspec.json.decode(raw, type=Job))
    assert '"n": 12345678901234567890.10' in made
    assert '"big": 1e400' in made
    assert "result" not in json.loads(made)
    assert json.loads(made)["id"] == data["id"]


def test_secrets_in_an_object_are_masked_until_they_are_revealed() -> None:
    job = a_job(payload={"to": "a@b", "db_PASSWORD": {"x": [1]}}, meta={"token": 7}, result=["secret"])
    made = json.loads(object_json(job, KEYS))
    assert made["payload"] == {"to": "a@b", "db_PASSWORD": "••••"}
    assert made["meta"] == {"token": "••••"}
    assert made["result"] == ["secret"]
    assert json.loads(object_json(job))["payload"]["db_PASSWORD"] == {"x": [1]}


def test_json_that_is_not_there() -> None:
    assert json_text(msgspec.Raw(b"")) == ""
    assert json_text(b'{"a":[1,2]}') == '{\n  "a": [\n    1,\n    2\n  ]\n}'


# -- masks

NAMES = st.sampled_from(["a", "token", 'b:"']) | st.text(max_size=9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


def masked(value: Any) -> Any:
    """The same in another way: through the values."""
    if isinstance(value, list):
        return [masked(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: "••••" if any(word in key.casefold() for word in KEYS) else masked(item)
        for key, item in value.items()
    }


@given(JSON, st.sampled_from([None, 2]), st.booleans())
def test_masks_hide_the_values_of_secret_keys_and_no_others(
    value: Any, indent: int | None, plain: bool
) -> None:
    raw = json.dumps(value, indent=indent, ensure_ascii=plain)
    made, hidden = mask_json(raw, KEYS)
    assert json.loads(made) == masked(value)
    assert hidden or made == raw


@pytest.mark.parametrize(
    ("raw", "made"),
    [
        ('{"token":1.50,"b":2.50}', '{"token":"••••","b":2.50}'),
        ('{"tok\\u0065n" : "x\\"y" , "b":1}', '{"tok\\u0065n" : "••••" , "b":1}'),
        ('{"a":["token",":"],"b":"token\\":1"}', '{"a":["token",":"],"b":"token\\":1"}'),
        ('{"secrets":[{"a":"]"},"}"],"b":{}}', '{"secrets":"••••","b":{}}'),
        ('"token"', '"token"'),
    ],
)
def test_masks_at_their_edges(raw: str, made: str) -> None:
    assert mask_json(raw, KEYS) == (made, made.count("••••"))
    assert mask_json(raw, ()) == (raw, 0)


def test_all_secrets_of_a_big_payload_are_masked() -> None:
    raw = json.dumps([{"to": "a@b.example", "password": "x" * 40, "n": [1, 2, 3]}] * 10_000)
    made, hidden = mask_json(raw, KEYS)
    assert made.count("••••") == hidden == 10_000


# -- text


@given(st.text(st.characters(), max_size=60))
def test_escaped_json_is_the_same_json_without_a_control_code(raw: str) -> None:
    made = text.escape_json(json.dumps(raw, ensure_ascii=False))
    assert json.loads(made) == raw
    assert not any(text.safe(char) != char for char in made)
    assert "\\ufeff" in text.escape_json('"\ufeff"')


def test_marks_without_a_combining_class_do_not_pile_up() -> None:
    assert text.safe("e" + "\u0489" * 9) == "e" + "\u0489" * 4


# -- files


def test_names_of_files() -> None:
    assert export_name("queues", NOON, "csv") == "gqm-queues-20261124T120000Z.csv"
    assert export_name("../a b/\x1b", NOON, "json") == "gqm-a-b-20261124T120000Z.json"
    assert export_name("///", NOON, "json") == "gqm-rows-20261124T120000Z.json"


def test_an_export_is_private_and_overwrites_nothing(tmp_path: Path) -> None:
    paths = [export_file(tmp_path, "queues", NOON, "csv", content) for content in ("one", "two", "\ud800")]
    stem = "gqm-queues-20261124T120000Z"
    assert [path.name for path in paths] == [f"{stem}.csv", f"{stem}-2.csv", f"{stem}-3.csv"]
    assert [path.read_text("utf-8") for path in paths] == ["one", "two", "?"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in paths)
    assert len(os.listdir(tmp_path)) == 3


def test_an_export_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        export_file(tmp_path, "queues", NOON, "csv", "x")
    assert os.listdir(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        export_file(tmp_path / "gone", "queues", NOON, "csv", "x")


def test_a_file_for_another_program_is_private_and_goes_away() -> None:
    with private_file('{"a": 1}', "../01943c/x", ".json") as path:
        assert path.name == "01943c-x.json"
        assert path.read_text("utf-8") == '{"a": 1}'
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        (path.parent / "x.swp").write_text("left by an editor", "utf-8")
    assert not path.parent.exists()


def test_it_goes_away_after_an_error_too() -> None:
    with pytest.raises(RuntimeError), private_file("x") as path:
        raise RuntimeError
    assert not path.exists()


def test_which_program_shows_a_file() -> None:
    path = Path("/x/a b.json")
    assert program("PAGER", path, {}) == ["less", "/x/a b.json"]
    assert program("PAGER", path, {"PAGER": " "}) == ["less", "/x/a b.json"]
    assert program("EDITOR", path, {"EDITOR": "code --wait '/a b'"}) == [
        "code",
        "--wait",
        "/a b",
        "/x/a b.json",
    ]
    assert program("EDITOR", path, {"EDITOR": ""}) == ["vi", "/x/a b.json"]
    with pytest.raises(ValueError, match="EDITOR cannot be split"):
        program("EDITOR", path, {"EDITOR": "vi '"})
