"""Texts to look at: every digit, no secret, no line that costs much, nothing that a terminal obeys."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gqm_tui.core.doc import FOLD_CHARS, Doc, JsonDoc, clean, plain, traceback_doc
from gqm_tui.core.table import Tone
from gqm_tui.widgets.json_view import rows_of
from tests.support.tui_hostile import TEXTS, harmful

SECRET = ("password", "token", "secret")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def shown(doc: Doc) -> str:
    return "\n".join(doc.line(index) for index in range(len(doc)))


def encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


@given(VALUES)
def test_what_is_shown_and_copied_is_the_same_json(value: Any) -> None:
    doc = JsonDoc(json.dumps(value).encode())
    assert json.loads(shown(doc)) == value
    assert json.loads(doc.text) == value
    assert harmful(doc.text.replace("\n", "")) == []
    joined = ["".join(text for text, _ in doc.spans(index)) for index in range(len(doc))]
    assert joined == [doc.line(index) for index in range(len(doc))]


def test_every_digit_stays() -> None:
    raw = b'{"big":340282366920938463463374607431768211455,"small":1.10,"huge":1.0e400,"minus":-0.0}'
    text = shown(JsonDoc(raw))
    for digits in ("340282366920938463463374607431768211455", "1.10", "1.0e400", "-0.0"):
        assert digits in text


@pytest.mark.parametrize(
    "value",
    ["hunter2", 4711, None, ["hunter2", {"x": 1}], {"deep": {"hunter2": ["}", "]"]}}, "", "a } b", {}, []],
)
@pytest.mark.parametrize("key", ["password", "PASSWORD", "db_Password_2", "api_token", "p\\u0061ssword"])
def test_a_secret_is_hidden_whatever_it_is(key: str, value: Any) -> None:
    raw = f'{{"before":1,"{key}":{json.dumps(value)},"after":"kept"}}'.encode()
    doc = JsonDoc(raw, SECRET)
    text = shown(doc)
    assert doc.hidden == 1
    assert "hunter2" not in text
    assert "4711" not in text
    assert json.loads(text)["before"] == 1
    assert json.loads(text)["after"] == "kept"
    assert list(json.loads(text).values())[1] == "••••"
    assert shown(JsonDoc(raw, SECRET, reveal=True)) == shown(JsonDoc(raw))


def test_the_first_hidden_value_says_how_to_see_it() -> None:
    doc = JsonDoc(b'{"a":{"token":1},"secret":2}', SECRET)
    told = [index for index in range(len(doc)) if any("m Reveal" in text for text, _ in doc.spans(index))]
    assert told == [2]
    assert "Reveal" not in doc.text


def test_a_key_that_only_stands_in_a_value_hides_nothing() -> None:
    doc = JsonDoc(b'{"a":"\\"password\\": 1","b":["token"]}', SECRET)
    assert doc.hidden == 0


@given(st.lists(st.text(), max_size=5), st.one_of(st.none(), st.integers(1, 30)))
def test_rows_hold_every_character_once_and_in_order(texts: list[str], width: int | None) -> None:
    doc = Doc([[(line.replace("\n", " "), Tone.PLAIN)] for line in texts])
    rows = rows_of(doc, width)
    pieces = [(index, 0, len(doc.line(index))) for index in range(len(doc))] if rows is None else rows
    for index in range(len(doc)):
        assert "".join(doc.line(line)[start:end] for line, start, end in pieces if line == index) == doc.line(
            index
        )
    if width is not None:
        for line, start, end in pieces:
            text = doc.line(line)[start:end]
            assert cell_len(clean(text)) <= width or len(text) == 1


def test_a_long_line_is_folded() -> None:
    doc = JsonDoc(encoded({"x": "y" * 10_000}))
    rows = rows_of(doc, None)
    assert rows is not None
    assert max(end - start for _, start, end in rows) == FOLD_CHARS
    assert len([row for row in rows if row[0] == 1]) == 3


def test_short_lines_cost_no_list() -> None:
    assert rows_of(JsonDoc(encoded(list(range(1_000)))), None) is None


@pytest.mark.fault(19)
@pytest.mark.parametrize("text", TEXTS)
def test_nothing_that_a_terminal_obeys_leaves_a_doc(text: str) -> None:
    for doc in (
        JsonDoc(encoded({text: [text]})),
        plain(text),
        traceback_doc(f"Traceback:\n  {text}\n{text}"),
    ):
        assert harmful(doc.text.replace("\n", "")) == []
        assert harmful("".join(clean(doc.line(index)) for index in range(len(doc)))) == []


def test_what_is_no_json_is_shown_as_it_is() -> None:
    assert shown(JsonDoc(b"{broken")) == "{broken"
    assert shown(JsonDoc(b'"\xff"')).startswith('"')


def test_a_traceback_is_loud_only_at_its_end() -> None:
    doc = traceback_doc('Traceback (most recent call last):\n  File "a.py", line 1\n    x()\nOSError: gone\n')
    assert [doc.spans(index)[0][1] for index in range(len(doc))] == [
        Tone.DIM,
        Tone.DIM,
        Tone.PLAIN,
        Tone.BAD,
    ]


def test_tabs_are_blanks_and_marks_are_four_at_most() -> None:
    assert clean("a\tb") == "a   b"
    assert clean("e" + "\u0301" * 12) == "e" + "\u0301" * 4
