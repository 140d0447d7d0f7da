"""Ids: their form, their order over threads, forks and clock steps, and the rules for names."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
import uuid

import pytest

from gqm import ids
from gqm.errors import InvalidJob
from gqm.ids import check_job_id, check_name, new_id, new_ids, new_nonce, new_server_id

FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture
def frozen_clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A clock that stands still, far enough ahead that no other test has made an id there."""
    clock = {"ms": int(time.time() * 1000) + 10_000_000}
    source = ids._IdSource()
    monkeypatch.setattr(ids, "_source", source)
    monkeypatch.setattr(time, "time_ns", lambda: clock["ms"] * 1_000_000)
    return clock


def milliseconds(job_id: str) -> int:
    return int(job_id.replace("-", "")[:12], 16)


def counter(job_id: str) -> int:
    return int(job_id[15:18], 16)


def test_an_id_is_a_lower_case_uuid_of_version_7() -> None:
    before = time.time_ns() // 1_000_000
    made = new_id()
    after = time.time_ns() // 1_000_000
    assert FORM.fullmatch(made)
    parsed = uuid.UUID(made)
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    # Other tests of this process may have borrowed some milliseconds.
    assert before <= milliseconds(made) <= after + 1000
    assert check_job_id(made) == made


def test_the_milliseconds_are_those_of_the_clock(frozen_clock: dict[str, int]) -> None:
    assert milliseconds(new_id()) == frozen_clock["ms"]
    frozen_clock["ms"] += 5
    assert milliseconds(new_id()) == frozen_clock["ms"]


def test_counter_and_random_bits_vary_from_millisecond_to_millisecond(frozen_clock: dict[str, int]) -> None:
    made = []
    for _ in range(2000):
        frozen_clock["ms"] += 1
        made.append(int(new_id().replace("-", ""), 16))
    fixed = 0b1111 << 76 | 0b11 << 62
    ones = zeros = 0
    for number in made:
        ones |= number
        zeros |= ~number
    drawn = (1 << 76) - 1 & ~fixed
    assert ones & zeros & drawn == drawn
    # The counter's start says nothing about the random bits next to it.
    assert sum((n >> 64 & 0xFFF) == (n & 0xFFF) for n in made) < 20


def test_a_full_counter_borrows_one_millisecond(frozen_clock: dict[str, int]) -> None:
    made = [new_id() for _ in range(4097)]
    assert milliseconds(made[0]) == frozen_clock["ms"]
    assert milliseconds(made[-1]) == frozen_clock["ms"] + 1
    assert counter(made[-1]) == counter(made[0])
    assert made == sorted(set(made))


def test_ids_rise_when_the_clock_steps_back(frozen_clock: dict[str, int]) -> None:
    first = new_id()
    frozen_clock["ms"] -= 3_600_000
    later = [new_id(), *new_ids(3), new_id()]
    assert [first, *later] == sorted({first, *later})


@pytest.mark.fault(67)
def test_a_burst_of_100_000_ids_is_unique_and_sorted() -> None:
    made = [new_id() for _ in range(50_000)]
    made += new_ids(50_000)
    assert len(set(made)) == 100_000
    assert made == sorted(made)


def test_a_batch_continues_the_single_ids(frozen_clock: dict[str, int]) -> None:
    made = [new_id(), *new_ids(1000), new_id()]
    assert all(FORM.fullmatch(i) for i in made)
    assert made == sorted(set(made))
    assert len(made) == 1002


@pytest.mark.parametrize("count", [0, -1])
def test_an_empty_batch(count: int) -> None:
    assert new_ids(count) == []


def test_ids_rise_in_every_thread_and_differ_over_all() -> None:
    made: list[list[str]] = [[] for _ in range(4)]
    start = threading.Barrier(4)

    def work(mine: list[str]) -> None:
        start.wait(10)
        for _ in range(3000):
            mine.append(new_id())
            mine.extend(new_ids(2))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert all(mine == sorted(mine) for mine in made)
    assert len(set().union(*made)) == 4 * 9000


FORKING_PROGRAM = """
import os, sys, threading
from gqm import ids

before = ids.new_id()
held, done = threading.Event(), threading.Event()

def hold():
    with ids._source._lock:
        held.set()
        done.wait(30)

threading.Thread(target=hold).start()
held.wait(30)
read_end, write_end = os.pipe()
child = os.fork()  # at this instant a thread that the child will not have holds the lock
if child == 0:
    os.write(write_end, ",".join([*ids.new_ids(50), ids.new_nonce()]).encode())
    os._exit(0)
done.set()
os.close(write_end)
os.waitpid(child, 0)
print(before)
print(os.read(read_end, 65536).decode())
print(",".join([*ids.new_ids(50), ids.new_nonce()]))
"""


def test_a_forked_process_goes_on_above_its_parent_and_never_repeats_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING_PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    before, *lines = done.stdout.split()
    (*theirs, their_nonce), (*mine, my_nonce) = (line.split(",") for line in lines)
    assert len(theirs) == len(mine) == 50
    assert min(theirs) > before
    assert not {i[19:] for i in theirs} & {i[19:] for i in mine}
    assert their_nonce != my_nonce


def test_a_nonce_is_16_hexadecimal_digits() -> None:
    made = {new_nonce() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"[0-9a-f]{16}", nonce) for nonce in made)


@pytest.mark.parametrize(
    ("host", "shown"),
    [("web-1.example", "web-1.example"), ("böx @1:a/b", "b-x--1-a-b"), ("", "host")],
)
def test_a_server_id_names_host_and_process(monkeypatch: pytest.MonkeyPatch, host: str, shown: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    first, second = new_server_id(), new_server_id()
    assert re.fullmatch(rf"{re.escape(shown)}-{os.getpid()}-[0-9a-f]{{6}}", first)
    assert first != second
    assert re.fullmatch(r"[A-Za-z0-9._-]+", first)


@pytest.mark.parametrize("value", ["a", "A.b_c-9", "x" * 256])
def test_job_ids_that_are_allowed(value: str) -> None:
    assert check_job_id(value) == value


@pytest.mark.parametrize("value", ["", "x" * 257, "a:b", "a b", "a\n", "ä", "a/b", "\ud800", None, 7, b"abc"])
def test_job_ids_that_are_refused(value: object) -> None:
    with pytest.raises(InvalidJob, match=r"^job id "):
        check_job_id(value)


@pytest.mark.parametrize("value", ["a", "mail:eu.v2_x-1", "x" * 128])
@pytest.mark.parametrize("what", ["queue", "type", "pool"])
def test_names_that_are_allowed(value: str, what: str) -> None:
    assert check_name(value, what) == value


@pytest.mark.parametrize("value", ["", "x" * 129, "a b", "a\n", "é", "a@b", "{a}", None, 1.5])
@pytest.mark.parametrize("what", ["queue", "type", "pool"])
def test_names_that_are_refused(value: object, what: str) -> None:
    with pytest.raises(InvalidJob, match=rf"^{what} "):
        check_name(value, what)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "queue 'a b' is not valid; allowed: letters, digits, . _ : - and 1..128 characters"),
        ("", "queue is empty; allowed: letters, digits, . _ : - and 1..128 characters"),
        (["a"], "queue must be a string, not list"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_what_is_allowed(value: object, text: str) -> None:
    with pytest.raises(InvalidJob) as caught:
        check_name(value, "queue")
    assert str(caught.value) == text


def test_a_refusal_shows_neither_control_characters_nor_the_whole_of_a_long_value() -> None:
    with pytest.raises(InvalidJob) as caught:
        check_job_id("\x1b[31m" * 1_000_000, "parent id")
    text = str(caught.value)
    assert text.startswith(r"parent id '\x1b[31m")
    assert "\x1b" not in text
    shown = text.removeprefix("parent id ").partition(" is not valid")[0]
    assert len(shown) == 60
