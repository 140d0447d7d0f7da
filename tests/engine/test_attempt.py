"""What the end of a handler means for its job: every rule of the failure order, and every stored text."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import gqm
from gqm.engine.attempt import Attempt, Judge, Outcome, Stop, cut, describe, skips_retry, stored_int, trace
from gqm.engine.handlers import make_spec
from gqm.retry import RetryPolicy
from gqm.store.commands.claim import Claim
from gqm.store.commands.settle import Burial, Completion, RetryLater

NOW = 1000.0
CLOCK_MS = 1_700_000_000_000


def attempt(
    budget: int = 3, *, timeout_ms: int = 20_000, started: bool = True, options: Any = None, **fields: str
) -> Attempt:
    stored = {"id": "1", "type": "t", "queue": "q", "payload": "{}", **fields}
    raw = {name.encode(): value.encode() for name, value in stored.items()}
    claim = Claim("1", "tok.1", budget, timeout_ms, 2, "q", raw, "p@s")
    made = Attempt(claim, make_spec("t", print, options or {}), CLOCK_MS, NOW - 5)
    if started:
        made.started = NOW - 5
    return made


JUDGE = Judge(RetryPolicy(), 10.0, 3600.0)


def failed(exc: BaseException, budget: int = 3, *, judge: Judge = JUDGE, **keys: Any) -> Outcome:
    return judge.raised(attempt(budget, **keys), exc, NOW)


def retried(outcome: Outcome) -> RetryLater:
    assert isinstance(outcome, RetryLater)
    return outcome


def buried(outcome: Outcome) -> Burial:
    assert isinstance(outcome, Burial)
    return outcome


def entry(outcome: RetryLater | Burial) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(outcome.entry)
    return found


# -------------------------------------------------------------------------------- counted failures


def test_a_failure_within_the_budget_is_retried_and_counted() -> None:
    outcome = retried(failed(ValueError("no"), retry_count="1"))
    assert (outcome.error, outcome.retry_count, outcome.delay_ms) == ("ValueError: no", 2, 10_000)
    assert (outcome.transient, outcome.unknown, outcome.crashed) == (False, False, False)
    assert entry(outcome) == {
        "attempt": 2,
        "outcome": "retry",
        "counted": True,
        "duration_ms": 5000,
        "worker_id": "p@s",
        "error": "ValueError: no",
    }


def test_a_failure_beyond_the_budget_is_a_dead_letter() -> None:
    outcome = buried(failed(ValueError("no"), 1, retry_count="1"))
    assert (outcome.error, outcome.duration_ms) == ("ValueError: no", 5000)
    assert entry(outcome)["outcome"] == "dead_letter"


def test_a_budget_of_zero_allows_no_retry() -> None:
    buried(failed(ValueError(), 0))


@pytest.mark.parametrize(
    ("policy", "intervals", "count", "delay_ms"),
    [
        (RetryPolicy(base_s=0.3), None, 0, 300),
        (RetryPolicy(backoff="exponential", base_s=1, max_s=3), None, 1, 2000),
        (RetryPolicy(backoff="exponential", base_s=1, max_s=3), None, 2, 3000),
        (RetryPolicy(backoff="custom", intervals_s=(1, 7)), None, 5, 7000),
        (RetryPolicy(base_s=0.3), "[5,6]", 1, 6000),
        (RetryPolicy(base_s=0.3), "no list", 1, 300),
        (RetryPolicy(base_s=0.0001), None, 0, 1),
    ],
)
def test_the_delay_is_the_jobs_own_or_the_pools(
    policy: RetryPolicy, intervals: str | None, count: int, delay_ms: int
) -> None:
    fields = {"retry_count": str(count)} | ({"retry_intervals": intervals} if intervals else {})
    assert retried(failed(OSError(), 9, judge=JUDGE._replace(policy=policy), **fields)).delay_ms == delay_ms


# ------------------------------------------------------------------------------ the handler's own word


def chained(link: str) -> BaseException:
    try:
        try:
            raise gqm.SkipRetry("card is invalid")
        except gqm.SkipRetry as exc:
            if link == "from":
                raise ValueError("refused") from exc
            raise ValueError("refused")  # noqa: B904 - it is not chained on purpose
    except ValueError as exc:
        return exc


@pytest.mark.parametrize("exc", [gqm.SkipRetry("x"), chained("from")], ids=["itself", "from it"])
def test_skip_retry_goes_to_the_dead_letters_whatever_the_budget(exc: BaseException) -> None:
    outcome = buried(failed(exc, 5, retry_count="1"))
    assert outcome.error == describe(exc)
    assert entry(outcome)["counted"] is False


def test_an_error_that_comes_while_skip_retry_is_handled_is_not_chained() -> None:
    retried(failed(chained("context"), 5))


def test_a_circle_of_causes_ends() -> None:
    first, second = ValueError(), ValueError()
    first.__cause__, second.__cause__ = second, first
    assert not skips_retry(first)


@pytest.mark.parametrize(
    ("delay", "delay_ms"),
    [
        (0.3, 300),
        (7, 7000),
        (-1, 0),
        (timedelta(minutes=2), 120_000),
        (None, 10_000),
        ("soon", 10_000),
        (float("nan"), 10_000),
        (10**400, 3_155_760_000_000),
    ],
)
def test_retry_sets_the_delay(delay: Any, delay_ms: int) -> None:
    outcome = retried(failed(gqm.Retry(delay, reason="busy"), retry_count="1"))
    assert (outcome.delay_ms, outcome.retry_count, outcome.error) == (delay_ms, 2, "Retry: busy")


def test_a_counted_retry_beyond_the_budget_is_a_dead_letter() -> None:
    buried(failed(gqm.Retry(1), 1, retry_count="1"))


def test_an_uncounted_retry_leaves_the_count() -> None:
    outcome = retried(failed(gqm.Retry(1, count=False), 1, retry_count="1"))
    assert (outcome.retry_count, outcome.transient, outcome.delay_ms) == (None, True, 1000)
    assert entry(outcome)["counted"] is False


# ------------------------------------------------------------------------------------ is_failure


def not_failing(exc: BaseException) -> bool:
    return not isinstance(exc, OSError)


def test_what_is_no_failure_is_retried_uncounted() -> None:
    outcome = retried(failed(OSError("down"), options={"is_failure": not_failing}, retry_count="2"))
    assert (outcome.retry_count, outcome.transient, outcome.error) == (None, True, "OSError: down")
    assert retried(failed(ValueError(), options={"is_failure": not_failing})).retry_count == 1


def test_what_is_no_failure_dies_when_no_retry_is_allowed() -> None:
    buried(failed(OSError(), 0, options={"is_failure": not_failing}))


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_a_predicate_that_raises_counts(error: type[BaseException]) -> None:
    def broken(exc: BaseException) -> bool:
        raise error

    assert retried(failed(OSError(), options={"is_failure": broken})).retry_count == 1


@pytest.mark.fault(29)
def test_uncounted_retries_end_at_their_age() -> None:
    options = {"is_failure": not_failing, "transient_max_age": 60}
    since = CLOCK_MS // 1000 - 50
    young = failed(OSError("down"), options=options, transient_since=str(since))  # 50 s, and 5 s of its run
    assert retried(young).transient
    old = failed(OSError("down"), options=options, transient_since=str(since - 10))
    assert buried(old).error == "OSError: down; gave up after 65s of uncounted retries"


# ---------------------------------------------------------------------------------------- time-outs


def timed_out(**keys: Any) -> Attempt:
    made = attempt(**keys)
    made.stop = Stop.TIMEOUT
    return made


def test_an_error_within_grace_is_a_time_out() -> None:
    seen: list[BaseException] = []
    made = timed_out(options={"is_failure": lambda exc: seen.append(exc) or True})
    cause = ValueError("interrupted")
    outcome = retried(JUDGE.raised(made, cause, NOW))
    assert outcome.error == "timeout after 20s: ValueError: interrupted"
    (error,) = seen
    assert isinstance(error, gqm.JobTimeout)
    assert isinstance(error, TimeoutError)
    assert (error.__cause__, made.error) == (cause, error)


def test_a_time_out_below_a_second_is_told_as_it_is() -> None:
    outcome = retried(JUDGE.raised(timed_out(timeout_ms=500), ValueError("x"), NOW))
    assert outcome.error == "timeout after 0.5s: ValueError: x"


def test_returning_within_grace_is_success() -> None:
    assert isinstance(JUDGE.returned(timed_out(), "late", NOW), Completion)


def test_not_stopping_within_grace_counts() -> None:
    made = timed_out(retry_count="1", options={"is_failure": lambda exc: False})
    outcome = retried(JUDGE.overran(made, NOW))
    assert outcome.error == "timeout after 20s: handler did not stop within 10s"
    assert (outcome.retry_count, outcome.transient) == (2, False)
    assert isinstance(made.error, gqm.JobTimeout)
    buried(JUDGE.overran(timed_out(budget=0), NOW))


# ------------------------------------------------------------------------------ nothing could be run


def test_an_unusable_record_is_a_dead_letter_without_a_run() -> None:
    outcome = buried(JUDGE.unusable(attempt(started=False), "it is an array"))
    assert (outcome.error, outcome.duration_ms) == ("payload is not a JSON object: it is an array", None)


def test_a_type_without_handler_waits_5_seconds_uncounted() -> None:
    outcome = retried(JUDGE.no_handler(attempt(0, started=False), NOW))
    assert (outcome.error, outcome.delay_ms) == ('no handler for type "t"', 5000)
    assert (outcome.retry_count, outcome.unknown, outcome.transient, outcome.entry) == (
        None,
        True,
        False,
        b"",
    )


@pytest.mark.parametrize(("age", "dead"), [(3599, False), (3600, True)])
def test_a_type_without_handler_dies_at_its_age(age: int, dead: bool) -> None:
    made = attempt(started=False, unknown_since=str(CLOCK_MS // 1000 - age))
    assert isinstance(JUDGE.no_handler(made, NOW), Burial if dead else RetryLater)


def test_an_age_of_zero_means_at_once() -> None:
    buried(JUDGE._replace(unknown_type_ttl_s=0).no_handler(attempt(started=False), NOW))


@pytest.mark.parametrize("text", ["", "x", "-5", "9" * 30, "1.5", "١٢"])
def test_a_stored_number_that_is_none_reads_as_zero(text: str) -> None:
    assert stored_int(attempt(unknown_since=text).job, "unknown_since") == 0


# ------------------------------------------------------------------------------------------ results


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, b""),
        (0, b"0"),
        ({"a": [1, None]}, b'{"a":[1,null]}'),
        ("", b'""'),
        (2**63 - 1, b"9223372036854775807"),
    ],
)
def test_a_result_is_stored_as_json(value: object, stored: bytes) -> None:
    outcome = JUDGE.returned(attempt(), value, NOW)
    assert isinstance(outcome, Completion)
    assert (outcome.result, outcome.note, outcome.duration_ms) == (stored, "", 5000)


@pytest.mark.parametrize(
    ("value", "note"),
    [
        (object(), "result of type object was not kept: "),
        (float("nan"), "result of type float was not kept: nan is not a JSON number"),
        ({1, "a", object()}, "result of type set was not kept: "),
        ("x" * 1_048_575, "result was not kept: 1,048,577 bytes, the limit is 1,048,576"),
        ("\ud800", "result of type str was not kept: text holds a lone surrogate"),
    ],
)
def test_a_result_that_cannot_be_stored_leaves_a_note(value: object, note: str) -> None:
    outcome = JUDGE.returned(attempt(), value, NOW)
    assert isinstance(outcome, Completion)
    assert outcome.result == b""
    assert outcome.note.startswith(note)


def test_the_largest_result_is_kept() -> None:
    outcome = JUDGE.returned(attempt(), "x" * 1_048_574, NOW)
    assert isinstance(outcome, Completion)
    assert len(outcome.result) == 1_048_576


async def forgotten() -> None: ...


def test_a_coroutine_that_nobody_awaits_is_a_failure() -> None:
    outcome = retried(JUDGE.returned(attempt(), forgotten(), NOW))
    assert outcome.error.startswith("TypeError: handler returned a coroutine that nobody awaits")


# -------------------------------------------------------------------------------------------- texts


class Unprintable(Exception):
    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __str__(self) -> str:
        raise self.error


def deep() -> BaseException:
    def fall() -> None:
        fall()

    try:
        fall()
    except RecursionError as exc:
        return exc
    raise AssertionError


@pytest.mark.parametrize(
    ("exc", "text"),
    [
        (ValueError("a\nb"), "ValueError: a\nb"),
        (ValueError(), "ValueError"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (Unprintable(RuntimeError), "Unprintable: (its message raised RuntimeError)"),
        (Unprintable(SystemExit), "Unprintable: (its message raised SystemExit)"),
        (ValueError("\ud800"), "ValueError: ?"),
        (deep(), "RecursionError: maximum recursion depth exceeded"),
    ],
)
def test_an_error_becomes_class_and_message(exc: BaseException, text: str) -> None:
    assert describe(exc) == text


def test_long_texts_lose_their_middle() -> None:
    text = describe(ValueError("x" * 5000 + "end"))
    assert len(text.encode()) <= 4096
    assert text.startswith("ValueError: xxx")
    assert text.endswith("xend")
    assert len(cut("é" * 3000, 4096).encode()) <= 4096


def raised(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as exc:  # noqa: BLE001 - any error is wanted
        return exc
    raise AssertionError


def test_a_traceback_holds_cause_and_place_and_at_most_16_kib() -> None:
    def fail() -> None:
        try:
            raise OSError("first")
        except OSError as exc:
            raise ValueError("second") from exc

    text = trace(raised(fail))
    assert "OSError: first" in text
    assert text.endswith("ValueError: second\n")
    assert "in fail" in text
    assert len(trace(ValueError("x" * 50_000)).encode()) <= 16_384
    assert "RecursionError" in trace(deep())


def test_an_error_whose_text_raises_still_has_a_traceback() -> None:
    assert trace(Unprintable(SystemExit))
