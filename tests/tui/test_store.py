"""What a view knows: values with their age, and the one state that they make."""

from __future__ import annotations

import pytest

from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.model import Meta
from gqm_tui.core.store import PaneState, View

AWAY = ApiError(Kind.REFUSED, text="connection refused")
ROWS = [1, 2, 3]


def view(*names: str) -> View:
    found = View("prod", "queues")
    for name in names or ("rows", "extra"):
        found.add(name, list)
    return found


def good(found: View, *names: str, now: float = 100.0, server_time: float = 5_000.0) -> None:
    for name in names or tuple(found.parts):
        found.put(name, ROWS, Meta(server_time=server_time), now, 40.0, 4_990.0)


def bad(found: View, *names: str, error: ApiError = AWAY) -> None:
    for name in names or tuple(found.parts):
        found.fail(name, error)


def state(found: View, now: float = 100.0, total: int = 3, shown: int = 3, frozen: bool = False) -> PaneState:
    return found.state(now, 1.0, total, shown, frozen)


def test_before_the_first_reply_it_is_loading() -> None:
    found = view()
    assert state(found, total=0, shown=0) is PaneState.LOADING
    assert state(View("prod", "queues")) is PaneState.LOADING
    good(found, "extra")
    assert state(found, total=0, shown=0) is PaneState.LOADING
    bad(found, "extra")
    assert state(found, total=0, shown=0) is PaneState.LOADING
    assert (found.age(100.0), found.server_now(100.0) is None) == (None, False)


@pytest.mark.fault(4)
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.UNAUTHORIZED, PaneState.UNAUTHORIZED),
        (Kind.FORBIDDEN, PaneState.FORBIDDEN),
        (Kind.UNAVAILABLE, PaneState.DOWN),
        (Kind.REFUSED, PaneState.DOWN),
        (Kind.TIMEOUT, PaneState.DOWN),
        (Kind.TLS, PaneState.DOWN),
        (Kind.PROTOCOL, PaneState.DOWN),
        (Kind.LIMITED, PaneState.DOWN),
        (Kind.NOT_FOUND, PaneState.DOWN),
        (Kind.CONFLICT, PaneState.DOWN),
    ],
)
def test_empty_is_said_only_after_a_good_reply_without_rows(kind: Kind, expected: PaneState) -> None:
    found = view()
    bad(found, error=ApiError(kind))
    assert state(found, total=0, shown=0) is expected
    good(found)
    assert state(found, total=0, shown=0) is PaneState.EMPTY


def test_rows_that_match_nothing_are_another_state_than_no_rows() -> None:
    found = view()
    good(found)
    assert state(found, total=418, shown=0) is PaneState.FILTERED_EMPTY
    assert state(found, total=418, shown=1) is PaneState.LIVE


def test_a_part_that_fails_leaves_the_rows_and_is_named() -> None:
    found = view()
    good(found)
    bad(found, "extra")
    assert state(found) is PaneState.PARTIAL
    assert list(found.problems()) == [("extra", AWAY)]
    assert found.error() is AWAY
    assert not found.all_failed
    good(found, "extra")
    assert state(found) is PaneState.LIVE
    assert found.error() is None


def test_failing_rows_are_shown_as_they_were_while_something_answers() -> None:
    found = view()
    good(found)
    bad(found, "rows")
    assert state(found) is PaneState.PARTIAL
    assert found.value("rows", list) == ROWS
    bad(found, "extra")
    assert state(found) is PaneState.DOWN
    assert found.value("rows", list) == ROWS


def test_a_part_that_was_never_asked_for_does_not_hide_that_all_fail() -> None:
    found = view("rows", "extra", "seldom")
    good(found, "rows", "extra")
    bad(found, "rows", "extra")
    assert found.all_failed
    assert state(found) is PaneState.DOWN


def test_one_refused_credential_counts_for_the_pane_and_one_refused_part_does_not() -> None:
    found = view()
    good(found)
    bad(found, "extra", error=ApiError(Kind.FORBIDDEN))
    assert state(found) is PaneState.PARTIAL
    bad(found, "extra", error=ApiError(Kind.UNAUTHORIZED))
    assert state(found) is PaneState.UNAUTHORIZED
    good(found, "extra")
    bad(found, "rows", error=ApiError(Kind.FORBIDDEN))
    assert state(found) is PaneState.FORBIDDEN


@pytest.mark.fault(28)
def test_an_object_that_is_gone_leaves_what_was_known_of_it() -> None:
    found = view("rows")
    good(found)
    bad(found, error=ApiError(Kind.NOT_FOUND, 404))
    assert found.gone
    assert state(found) is PaneState.PARTIAL
    assert found.value("rows", list) == ROWS
    good(found)
    assert not found.gone


@pytest.mark.fault(1)
def test_errors_never_make_data_look_younger() -> None:
    found = view()
    good(found, now=100.0)
    for second in range(1, 31):
        bad(found)
        assert found.age(100.0 + second) == second
    assert found.parts["extra"].age(130.0) == 30.0
    assert state(found, now=130.0) is PaneState.DOWN
    good(found, "rows", now=130.5)
    assert found.age(131.0) == 0.5
    assert found.parts["extra"].age(131.0) == 31.0


def test_rows_are_stale_after_two_intervals_and_a_second() -> None:
    found = view()
    good(found, now=100.0)
    assert found.state(103.0, 1.0, 3, 3) is PaneState.LIVE
    assert found.state(103.1, 1.0, 3, 3) is PaneState.STALE
    assert found.state(121.0, 10.0, 3, 3) is PaneState.LIVE
    assert found.state(121.1, 10.0, 3, 3) is PaneState.STALE
    assert found.stale(103.1, 1.0)
    assert not View("a", "b").stale(999.0, 1.0)


def test_frozen_hides_no_trouble() -> None:
    found = view()
    assert state(found, frozen=True) is PaneState.LOADING
    good(found)
    assert state(found, frozen=True) is PaneState.FROZEN
    bad(found, "extra")
    assert state(found, frozen=True) is PaneState.FROZEN
    bad(found)
    assert state(found, frozen=True) is PaneState.DOWN


def test_the_clock_of_the_server_goes_on_between_answers() -> None:
    found = view()
    assert (found.server_now(50.0), found.skew_ms) == (None, None)
    good(found, now=100.0, server_time=5_000.0)
    assert found.skew_ms == 10_000.0
    # The answer was made 20 ms ago, half of the 40 ms that it took.
    assert found.server_now(100.0) == pytest.approx(5_000.02)
    assert found.server_now(107.5) == pytest.approx(5_007.52)
    bad(found)
    assert found.server_now(110.0) == pytest.approx(5_010.02)
    assert found.took_ms == 40.0


def test_values_are_given_only_as_what_they_were_asked_for() -> None:
    found = View("prod", "queues")
    found.add("names", list[str])
    found.put("names", ["a"], Meta(server_time=1, total=31_204), 1.0, 1.0, 1.0)
    assert found.value("names", list[str]) == ["a"]
    assert found.value("nothing", int) is None
    with pytest.raises(TypeError, match="part names is"):
        found.value("names", list[int])
    meta = found.meta()
    assert meta is not None
    assert meta.total == 31_204
    assert found.meta("nothing") is None


@pytest.mark.fault(15)
def test_a_part_that_asks_for_something_else_begins_empty() -> None:
    found = View("prod", "queues")
    found.add("types", list, ("/queues/a", {}))
    good(found, "types")
    assert found.add("types", list, ("/queues/a", {})).value == ROWS
    assert found.add("types", list, ("/queues/b", {})).value is None
    assert found.age(200.0) is None


def test_parts_that_are_not_asked_for_any_more_are_forgotten() -> None:
    found = view("rows", "extra")
    good(found)
    bad(found, "extra")
    found.keep({"rows"})
    assert state(found) is PaneState.LIVE
    found.keep(())
    found.add("other", list)
    assert found.main == "other"


def test_the_next_try_is_told() -> None:
    found = view()
    assert found.retry_in(1.0) is None
    found.retry_at = 8.0
    assert (found.retry_in(1.0), found.retry_in(9.0)) == (7.0, 0.0)
