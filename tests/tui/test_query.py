"""The filter language, on rows as a table gives them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqm_tui.core.query import Query, QueryError, Value, parse

COLUMNS = ("name", "state", "oldest", "ready", "fail")
ROW: dict[str, Value] = {
    "name": "billing eu",
    "state": "paused",
    "oldest": 900.0,
    "ready": 31_204,
    "fail": None,
}


@pytest.mark.fault(13)
@pytest.mark.parametrize(
    ("text", "hit"),
    [
        ("", True),
        ("BILL", True),
        ("email", False),
        ("name:bill state:paused", True),
        ("name:bill state:run", False),
        ("state=paused", True),
        ("state=pause", False),
        ("fail=", True),
        ("oldest>14m", True),
        ("oldest>15m", False),
        ("oldest<1h", True),
        ("ready>31k", True),
        ("ready>1M", False),
        ("fail<50%", False),
        ("name>1", False),
        ('"billing eu"', True),
        ('"billing us"', False),
        ('name:"ling e"', True),
        ("billing asia", False),
        ("us billing", True),
        ("-email", True),
        ("-billing", False),
        ("-state:paused", False),
        ("-oldest>1h", True),
        ("b.*g", False),
        ("[", False),
    ],
)
def test_rows(text: str, hit: bool) -> None:
    assert parse(text, COLUMNS).matches(ROW) is hit


@pytest.mark.parametrize(
    ("text", "said"),
    [("queu:x", "no field queu"), ("oldest>soon", "a number is needed"), ("name:", "needs a text")],
)
def test_refusals_are_one_sentence(text: str, said: str) -> None:
    with pytest.raises(QueryError, match=said) as caught:
        parse(text, COLUMNS)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=60))
def test_any_typed_text_is_read_or_refused(text: str) -> None:
    try:
        query = parse(text, COLUMNS)
    except QueryError:
        return
    assert isinstance(query, Query)
    assert query.matches(ROW) in (True, False)
