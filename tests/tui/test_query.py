"""The filter language, on rows as a table gives them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqm_tui.core.fields import FIELDS, TABLES_OF, check_view
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


@pytest.mark.parametrize(
    ("table", "text", "params"),
    [
        ("jobs", "", {}),
        ("jobs", "01943c", {"q": "01943c"}),
        ("jobs", "id:01943c", {"q": "01943c"}),
        ("jobs", "type:smtp", {"type": "smtp*"}),
        ("jobs", "type:smtp*", {"type": "smtp*"}),
        ("jobs", "type=smtp.send", {"type": "smtp.send"}),
        ("jobs", "type:a,b", {"type": "a*,b*"}),
        ("jobs", 'error:"took over" worker:fast', {"error": "took over", "worker": "fast"}),
        ("jobs", "since:15m until:-2h", {"since": "-15m", "until": "-2h"}),
        ("jobs", "until:1790000000.25", {"until": "1790000000.25"}),
        ("failed-flat", "queue=billing,emails", {"queue": "billing,emails"}),
        ("failed-groups", "Timeout", {"error": "Timeout"}),
        ("audit", "target:billing actor:ana", {"target": "billing", "actor": "ana"}),
    ],
)
def test_what_the_server_is_asked_for(table: str, text: str, params: dict[str, str]) -> None:
    assert FIELDS[table].read(text)[1] == params


@pytest.mark.parametrize(
    ("table", "text", "said"),
    [
        ("jobs", "queue:x", "no field queue"),
        ("jobs", "retry_count>3", "no field retry_count"),
        ("failed-groups", "worker:x", "no field worker"),
        ("jobs", "-type:x", "type: this list knows no -"),
        ("jobs", "-word", "q: this list knows no -"),
        ("jobs", "since>15m", "since: this list knows no >"),
        ("jobs", "two words", "the server takes one word"),
        ("jobs", "type:a type:b", "type stands there twice"),
        ("jobs", "error=x", "error: the server looks for parts of it only"),
        ("jobs", "since:soon", "since takes a span"),
        ("jobs", "since:12", "since takes a span"),
        ("jobs", "error:" + "x" * 201, "error takes 1 to 200 characters"),
        ("jobs", "type:a,,b", "type takes 1 to 20 texts"),
        ("jobs", "type:" + ",".join("abcdefghijklmnopqrstu"), "type takes 1 to 20 texts"),
        ("worker", "type=", "type takes 1 to 20 texts"),
    ],
)
def test_what_the_server_cannot_be_asked_for(table: str, text: str, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        FIELDS[table].read(text)


@pytest.mark.fault(13)
@pytest.mark.parametrize("table", FIELDS)
def test_every_table_filters_on_several_fields(table: str) -> None:
    assert len(set(FIELDS[table].names.values())) >= 3


def test_a_table_of_this_side_understands_the_words_of_the_api_too() -> None:
    row: dict[str, Value] = {"name": "billing", "dlq": 391, "oldest": 842.0}
    for text in ("dlq>100", "dead_letter>100", "queue:bill oldest_age>14m"):
        query, params = FIELDS["queues"].read(text)
        assert query.matches(row)
        assert params == {}


def test_a_saved_view_must_fit_a_table_of_its_tab() -> None:
    assert check_view("failed", "error:Timeout") is None
    assert check_view("failed", "worker:fast") is None
    assert check_view("overview", "") is None
    assert "no filter" in (check_view("overview", "x") or "")
    assert "no field err" in (check_view("queues", "err:x") or "")
    assert all(name in FIELDS for names in TABLES_OF.values() for name in names)


@given(st.sampled_from(sorted(FIELDS)), st.text(max_size=40))
def test_any_text_becomes_parameters_that_the_list_takes_or_is_refused(table: str, text: str) -> None:
    try:
        _, params = FIELDS[table].read(text)
    except QueryError:
        return
    assert set(params) <= FIELDS[table].params
    assert all(params.values())
