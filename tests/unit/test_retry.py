"""The retry policy: every row of the delay table, and every rule of the failure order."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gqm.retry import Decision, Failure, RetryPolicy, decide, delay_s

DAY = 86_400.0


def lowest() -> float:
    return 0.0


def middle() -> float:
    return 0.5


def highest() -> float:
    return math.nextafter(1.0, 0.0)


def no_draw() -> float:
    raise AssertionError("a delay without jitter must not draw a random number")


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (RetryPolicy(), [10, 10, 10, 10]),
        (RetryPolicy(backoff="fixed", base_s=2.5), [2.5, 2.5, 2.5, 2.5]),
        (RetryPolicy(backoff="fixed", base_s=0), [0, 0, 0, 0]),
        (RetryPolicy(backoff="exponential"), [10, 20, 40, 80]),
        (RetryPolicy(backoff="exponential", base_s=3, max_s=10), [3, 6, 10, 10]),
        (RetryPolicy(backoff="exponential", base_s=10, max_s=10), [10, 10, 10, 10]),
        (RetryPolicy(backoff="exponential", base_s=DAY / 2), [DAY / 2, DAY, DAY, DAY]),
        (RetryPolicy(backoff="custom", intervals_s=(1, 5, 30)), [1, 5, 30, 30]),
        (RetryPolicy(backoff="custom", intervals_s=(7,)), [7, 7, 7, 7]),
        (RetryPolicy(backoff="custom", intervals_s=(5, 1, 200_000)), [5, 1, 200_000, 200_000]),
    ],
)
def test_the_policy_sets_the_delay(policy: RetryPolicy, expected: list[float]) -> None:
    assert [delay_s(n, policy=policy, rng=no_draw) for n in (1, 2, 3, 4)] == expected


@pytest.mark.parametrize("n", [0, -5])
@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (RetryPolicy(), 10),
        (RetryPolicy(backoff="exponential"), 10),
        (RetryPolicy(backoff="custom", intervals_s=(1, 5)), 1),
    ],
)
def test_a_number_below_one_counts_as_one(policy: RetryPolicy, n: int, expected: float) -> None:
    assert delay_s(n, policy=policy) == expected
    assert delay_s(n, policy=policy, job_intervals=(4, 9)) == 4


@pytest.mark.parametrize("n", [1_000, 100_000, 10**30])
def test_exponential_stays_at_its_limit_however_large_the_number(n: int) -> None:
    assert delay_s(n, policy=RetryPolicy(backoff="exponential")) == DAY


@pytest.mark.parametrize(("n", "expected"), [(1, 60), (2, 120), (3, 120), (9, 120)])
@pytest.mark.parametrize(
    "policy",
    [
        RetryPolicy(),
        RetryPolicy(backoff="exponential", max_s=50),
        RetryPolicy(backoff="custom", intervals_s=(1,)),
    ],
)
def test_the_jobs_own_intervals_come_before_the_policy(policy: RetryPolicy, n: int, expected: float) -> None:
    assert delay_s(n, policy=policy, job_intervals=[60, 120], rng=no_draw) == expected


def test_a_negative_interval_means_at_once() -> None:
    assert delay_s(1, policy=RetryPolicy(), job_intervals=[-3]) == 0


@pytest.mark.parametrize(("explicit", "expected"), [(0, 0), (0.3, 0.3), (7, 7), (3 * DAY, 3 * DAY), (-4, 0)])
def test_an_explicit_delay_comes_first_and_has_no_jitter(explicit: float, expected: float) -> None:
    policy = RetryPolicy(jitter=1, max_s=60)
    assert delay_s(2, policy=policy, job_intervals=[9], explicit=explicit, rng=no_draw) == expected


def test_an_explicit_delay_that_is_no_number_leaves_it_to_the_policy() -> None:
    assert delay_s(1, policy=RetryPolicy(), explicit=math.nan) == 10


@pytest.mark.parametrize("explicit", [math.inf, 1e300, 10**400])
def test_an_endless_explicit_delay_is_cut_to_a_time_that_can_be_stored(explicit: float) -> None:
    assert 90 * 365 * DAY < delay_s(1, policy=RetryPolicy(), explicit=explicit) < 110 * 366 * DAY


@pytest.mark.parametrize(
    ("policy", "job_intervals", "plain"),
    [
        (RetryPolicy(jitter=0.25), (), 10),
        (RetryPolicy(backoff="exponential", jitter=0.25), (), 20),
        (RetryPolicy(backoff="custom", intervals_s=(3, 5), jitter=0.25), (), 5),
        (RetryPolicy(jitter=0.25), (100, 400), 400),
    ],
)
def test_jitter_spreads_every_kind_of_delay(
    policy: RetryPolicy, job_intervals: tuple[float, ...], plain: float
) -> None:
    drawn = [
        delay_s(2, policy=policy, job_intervals=job_intervals, rng=rng) for rng in (lowest, middle, highest)
    ]
    assert drawn == pytest.approx([plain * 0.75, plain, plain * 1.25])


def test_full_jitter_reaches_from_zero_to_twice_the_delay() -> None:
    policy = RetryPolicy(jitter=1)
    assert delay_s(1, policy=policy, rng=lowest) == 0
    assert delay_s(1, policy=policy, rng=highest) == pytest.approx(20)


@pytest.mark.parametrize("job_intervals", [(), (59,), (600,)])
def test_jitter_never_goes_above_the_limit(job_intervals: tuple[float, ...]) -> None:
    policy = RetryPolicy(backoff="exponential", base_s=55, max_s=60, jitter=0.5)
    assert delay_s(1, policy=policy, job_intervals=job_intervals, rng=highest) == 60


def test_without_a_given_source_jitter_draws_from_the_whole_range() -> None:
    drawn = [delay_s(1, policy=RetryPolicy(jitter=0.5)) for _ in range(500)]
    assert 5 <= min(drawn) < 6
    assert 14 < max(drawn) <= 15


@settings(deadline=None)
@given(
    n=st.integers(-10, 10_000),
    base=st.floats(0, 2_592_000),
    share=st.floats(0, 1),
    draw=st.floats(0, 1, exclude_max=True),
    kind=st.sampled_from(["fixed", "exponential", "custom"]),
)
def test_a_delay_is_always_a_finite_time_within_the_limit(
    n: int, base: float, share: float, draw: float, kind: Any
) -> None:
    policy = RetryPolicy(
        backoff=kind, base_s=base, max_s=2_592_000, intervals_s=(base, 2_592_000.0), jitter=share
    )
    assert 0 <= delay_s(n, policy=policy, rng=lambda: draw) <= 2_592_000


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"max_retry": -1}, "max_retry must be 0 or more, not -1"),
        ({"backoff": "linear"}, "backoff must be one of fixed, exponential, custom, not 'linear'"),
        ({"base_s": -1}, "base_s must be 0 or more seconds, not -1"),
        ({"base_s": math.inf, "max_s": math.inf}, "base_s must be 0 or more seconds, not inf"),
        ({"base_s": 20, "max_s": 15}, r"max_s must not be below base_s \(20\), but is 15"),
        ({"max_s": math.nan}, "max_s must not be below"),
        ({"jitter": 1.01}, "jitter must be between 0 and 1, not 1.01"),
        ({"jitter": -0.1}, "jitter must be between"),
        ({"jitter": math.nan}, "jitter must be between"),
        ({"backoff": "custom"}, 'backoff "custom" needs intervals_s'),
        ({"intervals_s": (1, -2)}, "intervals_s must hold 0 or more seconds, not -2"),
        ({"backoff": "custom", "intervals_s": (math.nan,)}, "intervals_s must hold"),
    ],
)
def test_a_policy_refuses_values_out_of_range(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        RetryPolicy(**values)


def test_policy_failure_and_decision_cannot_be_changed() -> None:
    values = (RetryPolicy(), Failure(0, 3), Decision("retry", "failed", 1))
    for value in values:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, dataclasses.fields(value)[0].name, 1)


POLICY = RetryPolicy(backoff="custom", intervals_s=(1, 2, 3, 4))


def dead(reason: Any, count: int, *, counted: bool = False) -> Decision:
    return Decision("dead_letter", reason, count, 0.0, counted)


def again(
    reason: Any,
    count: int,
    wait: float,
    *,
    counted: bool = False,
    transient: bool = False,
    unknown: bool = False,
) -> Decision:
    return Decision("retry", reason, count, wait, counted, transient, unknown)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        # No handler for the type: never counted, and no other fact matters.
        (Failure(0, 3, unknown_for_s=0.0), again("no_handler", 0, 5, unknown=True)),
        (Failure(2, 3, unknown_for_s=3599.0), again("no_handler", 2, 5, unknown=True)),
        (Failure(3, 3, unknown_for_s=0.0), again("no_handler", 3, 5, unknown=True)),
        (Failure(0, 0, unknown_for_s=0.0), again("no_handler", 0, 5, unknown=True)),
        (Failure(1, 3, unknown_for_s=3600.0), dead("no_handler_limit", 1)),
        (Failure(0, 3, unknown_for_s=0.0, unknown_type_ttl_s=0.0), dead("no_handler_limit", 0)),
        (Failure(0, 3, unknown_for_s=30.0, unknown_type_ttl_s=31.0), again("no_handler", 0, 5, unknown=True)),
        # SkipRetry: the count stays, whatever the limit.
        (Failure(0, 3, skip_retry=True), dead("skip_retry", 0)),
        (Failure(2, 9, skip_retry=True, counts=False), dead("skip_retry", 2)),
        (Failure(0, 3, skip_retry=True, explicit_delay_s=1.0), dead("skip_retry", 0)),
        # Not counted: the count stays, the wait is that of the count, at least the first.
        (Failure(0, 3, counts=False), again("transient", 0, 1, transient=True)),
        (Failure(2, 3, counts=False), again("transient", 2, 2, transient=True)),
        (Failure(3, 3, counts=False), again("transient", 3, 3, transient=True)),
        (Failure(0, 0, counts=False), dead("exhausted", 0)),
        (Failure(1, 3, counts=False, transient_for_s=1e9), again("transient", 1, 1, transient=True)),
        (
            Failure(1, 3, counts=False, transient_for_s=59.0, transient_max_age_s=60.0),
            again("transient", 1, 1, transient=True),
        ),
        (
            Failure(1, 3, counts=False, transient_for_s=60.0, transient_max_age_s=60.0),
            dead("transient_limit", 1),
        ),
        (
            Failure(0, 0, counts=False, transient_for_s=60.0, transient_max_age_s=60.0),
            dead("exhausted", 0),
        ),
        # Counted: max_retry is the number of retries after the first run.
        (Failure(0, 3), again("failed", 1, 1, counted=True)),
        (Failure(2, 3), again("failed", 3, 3, counted=True)),
        (Failure(3, 3), dead("exhausted", 3, counted=True)),
        (Failure(7, 3), dead("exhausted", 7, counted=True)),
        (Failure(0, 0), dead("exhausted", 0, counted=True)),
        (Failure(5, 1000), again("failed", 6, 4, counted=True)),
        (Failure(0, 3, transient_for_s=99.0, transient_max_age_s=60.0), again("failed", 1, 1, counted=True)),
        # The delay asked for by the handler.
        (Failure(0, 3, explicit_delay_s=0.3), again("failed", 1, 0.3, counted=True)),
        (Failure(3, 3, explicit_delay_s=0.3), dead("exhausted", 3, counted=True)),
        (Failure(1, 3, counts=False, explicit_delay_s=9.0), again("transient", 1, 9, transient=True)),
        (Failure(0, 0, counts=False, explicit_delay_s=9.0), dead("exhausted", 0)),
        # Deaths of the worker process: counted like any failure, but never more than three.
        (Failure(0, 3, crashes=1), again("failed", 1, 1, counted=True)),
        (Failure(1, 9, crashes=2), again("failed", 2, 2, counted=True)),
        (Failure(2, 9, crashes=3), dead("crash_limit", 2, counted=True)),
        (Failure(2, 9, crashes=4), dead("crash_limit", 2, counted=True)),
        (Failure(2, 9, crashes=3, counts=False), dead("crash_limit", 2, counted=True)),
        (Failure(0, 0, crashes=1), dead("exhausted", 0, counted=True)),
    ],
)
def test_the_first_rule_that_fits_decides(failure: Failure, expected: Decision) -> None:
    assert decide(failure, policy=POLICY) == expected


def test_the_jobs_intervals_and_the_jitter_reach_the_decision() -> None:
    policy = RetryPolicy(jitter=0.5)
    decision = decide(Failure(1, 3), policy=policy, job_intervals=(60, 120), rng=lowest)
    assert decision == again("failed", 2, 60, counted=True)


@pytest.mark.fault(60)
@pytest.mark.parametrize("max_retry", [0, 1, 5])
def test_a_job_that_always_fails_runs_once_more_than_its_retries(max_retry: int) -> None:
    runs = count = 0
    while True:
        runs += 1
        decision = decide(Failure(count, max_retry), policy=RetryPolicy(max_retry=max_retry))
        count = decision.retry_count
        if decision.kind == "dead_letter":
            break
    assert runs == max_retry + 1
    assert count == max_retry


@settings(deadline=None)
@given(
    failure=st.builds(
        Failure,
        retry_count=st.integers(0, 20),
        max_retry=st.integers(0, 20),
        skip_retry=st.booleans(),
        counts=st.booleans(),
        explicit_delay_s=st.none() | st.floats(),
        crashes=st.integers(0, 5),
        transient_for_s=st.floats(0, 1e9),
        transient_max_age_s=st.none() | st.floats(0, 1e9),
        unknown_for_s=st.none() | st.floats(0, 1e9),
        unknown_type_ttl_s=st.floats(0, 2_592_000),
    )
)
def test_no_set_of_facts_goes_past_the_limit_or_yields_a_wait_that_cannot_be_stored(failure: Failure) -> None:
    decision = decide(failure, policy=RetryPolicy(backoff="exponential", jitter=0.5))
    assert math.isfinite(decision.delay_s)
    assert decision.delay_s >= 0
    if decision.kind == "retry" and decision.counted:
        assert decision.retry_count == failure.retry_count + 1 <= failure.max_retry
    else:
        assert decision.retry_count == failure.retry_count
    if decision.kind == "dead_letter":
        assert decision.delay_s == 0
        assert not decision.transient
        assert not decision.unknown
