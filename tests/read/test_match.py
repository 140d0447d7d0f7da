"""Filters as values: points in time, error templates and fingerprints."""

from __future__ import annotations

import pytest

from gqm.errors import InvalidQuery
from gqm.store.read.match import fingerprint, moment, template


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1790000000", 1790000000),
        ("1790000000.25", 1790000000.25),
        ("0", 0),
        ("-15m", 1000 - 900),
        ("-24h", 1000 - 86_400),
        ("-7d", 1000 - 604_800),
        ("-30s", 970),
    ],
)
def test_points_in_time(text: str, at: float) -> None:
    assert moment(text, 1000.0) == at


@pytest.mark.parametrize(
    "text", ["", "now", "-5", "5m", "-5w", "1e9", "nan", "-1.5h", " 1", "1790000000000000"]
)
def test_what_is_no_point_in_time(text: str) -> None:
    with pytest.raises(InvalidQuery, match="time"):
        moment(text, 1000.0)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("TimeoutError: took over 30 s", "TimeoutError: took over <n> s"),
        ("KeyError: 'user-7'", "KeyError: <s>"),
        ('E: "a" and `b`', "E: <s> and <s>"),
        ("E: job 0199a1c2-5e10-7000-8a4f-2b1c9d7e6f10 of ana", "E: job <id> of ana"),
        ("E: at 0x7f3a2b4c5d6e in f", "E: at <id> in f"),
        ("E: sha deadbeefcafe", "E: sha <id>"),
        ("E:  many\t spaces  ", "E: many spaces"),
        ("E: can't open 'x' or 'y'", "E: can't open <s> or <s>"),
        ("first line 1\nsecond line 2", "first line <n>"),
        ("E: beaded feedback", "E: beaded feedback"),
        ("", ""),
        ("E: " + "x" * 500, "E: " + "x" * 297),
    ],
)
def test_templates(error: str, expected: str) -> None:
    assert template(error) == expected


def test_errors_of_one_kind_have_one_fingerprint() -> None:
    assert fingerprint("E: id 17") == fingerprint("E:  id 99\nmore")
    assert fingerprint("E: id 17") != fingerprint("F: id 17")
    assert len(fingerprint("\udcff")) == 16
