"""How a pool claims: the turns of its queues, and how much to claim ahead."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from gqm.engine.claiming import LookAhead, Turns


def test_strict_and_single_queues_have_no_turns() -> None:
    assert Turns("strict", 3).next(5) == []
    assert Turns("weighted", 1).next(5) == []
    assert Turns("round_robin", 1).next(5) == []


def test_round_robin_goes_on_where_it_stopped() -> None:
    turns = Turns("round_robin", 3)
    assert turns.wrap
    assert [turns.next(n) for n in (2, 2, 0, 3)] == [[0, 1], [2, 0], [], [1, 2, 0]]


def test_weights_fall_from_the_first_queue_to_the_last() -> None:
    shares = itertools.count()
    turns = Turns("weighted", 3, rng=lambda: (next(shares) % 600) / 600)
    assert not turns.wrap
    assert Counter(turns.next(600)) == {0: 300, 1: 200, 2: 100}


def test_a_share_beyond_all_bounds_is_the_last_queue() -> None:
    assert Turns("weighted", 3, rng=lambda: 1.0).next(1) == [2]


# --------------------------------------------------------------------------------------- look-ahead


def ahead(slots: int, *durations_s: float) -> LookAhead:
    made = LookAhead(slots)
    for duration_s in durations_s:
        made.observe(duration_s)
    return made


def test_nothing_is_claimed_ahead_before_the_first_job_has_ended() -> None:
    assert LookAhead(10).size == 0
    assert LookAhead(10).want(0) == 10
    assert LookAhead(10).want(10) == 0


@pytest.mark.parametrize(
    ("slots", "duration_s", "size"),
    [
        (10, 0.005, 100),  # 10 slots x 50 ms / 5 ms
        (10, 0.0, 256),  # the floor of 0.2 ms gives 2500; at most 256
        (1, 0.0, 250),
        (10, 0.025, 20),
        (10, 0.0251, 0),  # too slow
        (3, 0.02, 7),  # rounded down
    ],
)
def test_its_size_is_50_ms_of_work(slots: int, duration_s: float, size: int) -> None:
    assert ahead(slots, duration_s).size == size


def test_the_mean_moves_by_a_fifth() -> None:
    assert ahead(10, 0.010, 0.020).size == int(10 * 0.05 / 0.012)


def test_a_pool_of_processes_never_claims_ahead() -> None:
    made = LookAhead(4, enabled=False)
    made.observe(0.001)
    assert made.size == 0
    assert [made.want(held) for held in (0, 3, 4)] == [4, 1, 0]


def test_free_slots_are_filled_at_once_and_the_rest_in_few_large_claims() -> None:
    made = ahead(10, 0.0009)  # 256 ahead
    assert made.want(9) == 128
    made = ahead(10, 0.005)  # 100 ahead
    assert made.want(70) == 0  # less than half of the look-ahead is free
    assert made.want(61) == 0
    assert made.want(60) == 50
    assert made.want(110) == 0


@pytest.mark.parametrize("durations_s", [(), (0.001,), (0.02,)])
def test_empty_slots_of_slow_handlers_are_filled_in_small_claims(durations_s: tuple[float, ...]) -> None:
    made = ahead(100, *durations_s)
    assert [made.want(held) for held in (0, 50, 99)] == [50, 50, min(50, 1 + made.size)]


def test_one_claim_is_at_most_128() -> None:
    assert ahead(100, 0.0).want(0) == 128


@pytest.mark.parametrize("held", [11, 200, 10_000])
def test_more_than_planned_is_never_negative(held: int) -> None:
    assert LookAhead(10).want(held) == 0
