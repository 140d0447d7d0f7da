"""The login gate: how many tries reach the password check, from whom, and for how long others wait."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from gqm.errors import StoreError
from gqm.store.commands.login import Gate, login_gate
from tests.support.keyspace import Keyspace

HERE, THERE = "192.0.2.1", "192.0.2.2"


def attempt(space: Keyspace, user: str = "ana", address: str = HERE) -> Gate:
    return space.store.run(login_gate(space.keys, address, user))


def succeed(space: Keyspace, user: str = "ana", address: str = HERE) -> Gate:
    return space.store.run(login_gate(space.keys, address, user, "clear"))


def test_five_tries_of_a_pair_pass_and_the_sixth_waits(space: Keyspace) -> None:
    assert [attempt(space) for _ in range(5)] == [Gate(True, 0)] * 5

    refused = attempt(space)

    assert not refused.allowed
    assert 298 <= refused.wait_s <= 300
    assert attempt(space, address=THERE).allowed, "the same user from another address"
    assert attempt(space, user="ben").allowed, "another user from the same address"


def test_thirty_tries_of_an_address_pass(space: Keyspace) -> None:
    assert all(attempt(space, user=f"u{n}").allowed for n in range(30))

    assert not attempt(space, user="u30").allowed
    assert attempt(space, user="u30", address=THERE).allowed


def test_the_window_is_fixed_from_its_first_try(space: Keyspace) -> None:
    pair = space.keys.login_pair(HERE, "ana")
    attempt(space)
    space.raw.expire(pair, 100)
    for _ in range(6):
        last = attempt(space)

    assert not last.allowed
    assert 98 <= last.wait_s <= 100, "neither a try nor a refusal makes it longer"
    assert space.raw.get(pair) == b"5", "a refusal does not count"
    assert space.raw.ttl(space.keys.login_address(HERE)) == pytest.approx(300, abs=2)


def test_after_the_window_tries_are_possible_again(space: Keyspace) -> None:
    for _ in range(6):
        attempt(space)
    space.raw.delete(space.keys.login_pair(HERE, "ana"))

    assert attempt(space).allowed


def test_success_forgets_the_failures_of_the_pair_only(space: Keyspace) -> None:
    for _ in range(4):
        attempt(space)
    attempt(space, user="ben")
    attempt(space)

    assert succeed(space) == Gate(True, 0)

    assert space.raw.exists(space.keys.login_pair(HERE, "ana")) == 0
    assert space.raw.get(space.keys.login_pair(HERE, "ben")) == b"1"
    assert space.raw.get(space.keys.login_address(HERE)) == b"5", "five failures; the success is none"
    assert [attempt(space).allowed for _ in range(5)] == [True] * 5


def test_many_right_logins_from_one_address_are_no_failures(space: Keyspace) -> None:
    for n in range(40):
        assert attempt(space, user=f"u{n}").allowed
        succeed(space, user=f"u{n}")

    assert attempt(space).allowed


def test_a_success_that_is_told_twice_counts_once(space: Keyspace) -> None:
    attempt(space, user="ben")
    attempt(space)
    succeed(space)
    succeed(space)

    assert space.raw.get(space.keys.login_address(HERE)) == b"1"


@pytest.mark.fault(63)
def test_of_a_thousand_tries_at_once_five_reach_the_password_check(space: Keyspace) -> None:
    with ThreadPoolExecutor(16) as pool:
        gates = list(pool.map(lambda _: attempt(space), range(1000)))

    assert sum(gate.allowed for gate in gates) == 5
    assert attempt(space, address=THERE).allowed


@pytest.mark.parametrize("user", ["", "a:b", "ü\udcff", "x" * 10_000])
def test_any_text_is_a_user_name(space: Keyspace, user: str) -> None:
    assert attempt(space, user=user).allowed
    assert attempt(space, user=user + "!").allowed
    assert space.raw.get(space.keys.login_pair(HERE, user)) == b"1"


def test_a_counter_of_a_wrong_type_is_named(space: Keyspace) -> None:
    key = space.keys.login_address(HERE)
    space.raw.lpush(key, "x")

    with pytest.raises(StoreError, match=key):
        attempt(space)

    assert space.raw.exists(space.keys.login_pair(HERE, "ana")) == 0
