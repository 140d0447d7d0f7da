"""One worker process, spoken to directly; and the parts that carry its messages, lines and log records."""

from __future__ import annotations

import asyncio
import logging
import pickle
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

import gqm
from gqm.engine.attempt import current_job
from gqm.engine.runners import records
from gqm.engine.runners.child_process import _spawn, exit_text
from gqm.engine.runners.process import _set_up
from gqm.engine.runners.stderr import LONGEST_LINE, Stderr, neutral
from gqm.engine.runners.wire import (
    MAX_FRAME,
    Cancel,
    Frames,
    Logged,
    Progress,
    Quit,
    Raised,
    Ready,
    Returned,
    Run,
    Taken,
    frame,
    receive,
    send,
)
from gqm.job import Job
from tests.engine import poison
from tests.support.wait import eventually


@contextmanager
def worker() -> Iterator[tuple[Connection, subprocess.Popen[bytes]]]:
    """A worker process that has imported the handlers of `poison`, and the connection to it."""
    set_up = _set_up("p", poison.ALL)
    with ThreadPoolExecutor(1) as maker:  # the process lives no longer than the thread that made it
        process, ours = maker.submit(_spawn, set_up).result()
        ours.setblocking(True)
        connection = Connection(ours.detach())
        try:
            send(connection, set_up)
            assert isinstance(answer(connection), Ready)
            yield connection, process
        finally:
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()
            connection.close()


def answer(connection: Connection, *, skip: tuple[type, ...] = (Logged, Progress)) -> object:
    """Next message that is none of those to skip."""
    while True:
        assert connection.poll(10), "the process says nothing"
        message = receive(connection)
        if not isinstance(message, skip):
            return message


def run(number: int, type_: str, payload: bytes = b"{}") -> Run:
    return Run(number, {b"id": b"%d" % number, b"type": type_.encode(), b"payload": payload})


# ------------------------------------------------------------------------------------ the process


def test_a_late_cancel_does_not_reach_the_next_run(tmp_path: Path) -> None:
    with worker() as (connection, _):
        send(connection, run(1, "pid"))
        assert answer(connection) == Taken(1)
        assert isinstance(answer(connection), Returned)
        mark = tmp_path / "mark"
        send(connection, Cancel(1))
        send(connection, run(2, "polite", b'{"mark":"%s"}' % str(mark).encode()))
        assert answer(connection) == Taken(2)
        eventually(mark.exists)
        send(connection, Cancel(1))  # also when it comes this late
        assert not connection.poll(0.2)
        send(connection, Cancel(2))
        assert answer(connection) == Returned(b'"stopped"', "")


@pytest.mark.parametrize("type_", ["polite", "asleep"])
def test_a_cancel_right_behind_the_run_is_heard(type_: str) -> None:
    with worker() as (connection, _):
        connection.send_bytes(pickle.dumps(run(1, type_)))
        connection.send_bytes(pickle.dumps(Cancel(1)))
        assert answer(connection) == Taken(1)
        end = answer(connection)
        assert end == Returned(b'"stopped"', "") if type_ == "polite" else isinstance(end, Raised)


@pytest.mark.parametrize("how", ["quit", "gone", "gone in a run"])
def test_the_process_exits_when_it_is_told_or_its_parent_is_gone(how: str) -> None:
    with worker() as (connection, process):
        if how == "quit":
            send(connection, Quit())
        else:
            if how == "gone in a run":
                send(connection, run(1, "endless_python"))
                assert answer(connection) == Taken(1)
            connection.close()
        assert process.wait(5) == 0


def test_progress_is_passed_on_in_portions() -> None:
    with worker() as (connection, _):
        send(connection, run(1, "reports"))
        assert answer(connection) == Taken(1)
        assert answer(connection, skip=(Logged,)) == Progress(b'[50,50,"step 50"]')
        send(connection, Cancel(1))
        assert isinstance(answer(connection, skip=()), Returned)


# -------------------------------------------------------------------------------------- the frames


def test_frames_are_put_together_from_any_pieces() -> None:
    messages = [Taken(1), Progress(b"x" * 70_000), Returned(b"", ""), Ready(5)]
    stream = b"".join(frame(message) for message in messages)
    for size in (1, 3, 1000, len(stream)):
        frames = Frames()
        found = [m for at in range(0, len(stream), size) for m in frames.feed(stream[at : at + size])]
        assert found == messages


@pytest.mark.parametrize("length", [0, -1, MAX_FRAME + 1])
def test_a_length_that_no_message_has_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"message of {length} bytes"):
        Frames().feed(struct.pack("!i", length))


def test_what_is_no_message_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        Frames().feed(struct.pack("!i", 3) + b"abc")


def test_exits_have_names() -> None:
    assert (exit_text(0), exit_text(7), exit_text(-9), exit_text(-64)) == (
        "code 0",
        "code 7",
        "SIGKILL",
        "SIGRTMAX",
    )
    assert exit_text(-200) == "signal 200"


# -------------------------------------------------------------------------------------- the lines


def lines(*pieces: bytes) -> list[str]:
    async def main() -> list[str]:
        stderr = Stderr("p", 1)
        for piece in pieces:
            stderr.data_received(piece)
        stderr.connection_lost(None)
        return stderr.last_words().splitlines()[1:]

    return asyncio.run(main())


def test_lines_are_found_across_pieces() -> None:
    assert lines(b"one\ntw", b"o\n\xc3", b"\xbc", b" end") == ["one", "two", "ü end"]
    assert lines() == ["(nothing)"]


def test_only_the_last_lines_are_kept_and_long_ones_are_cut() -> None:
    assert lines(b"".join(b"%d\n" % n for n in range(100))) == [str(n) for n in range(60, 100)]
    kept = lines(b"x" * 5 * LONGEST_LINE)
    assert {len(line) for line in kept} == {LONGEST_LINE}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünï 漢\tx", "plain ünï 漢\tx"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\rb\x00\x7f\x9b", r"a\rb\x00\x7f\x9b"),
        ("\u202e\u2028\ud800", r"\u202e\u2028\ud800"),
    ],
)
def test_what_moves_a_cursor_is_shown_as_what_it_is(text: str, shown: str) -> None:
    assert neutral(text) == shown


# ---------------------------------------------------------------------------------------- the records


def record(**attributes: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "app", "levelno": 30, "msg": "%s!", "args": ("hi",), **attributes})


def test_a_record_is_made_of_plain_values() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        there = record(
            exc_info=sys.exc_info(), stack_info="Stack", number=5, thing=object(), text="x" * 40_000
        )
    found = records.portable(there)
    assert pickle.loads(pickle.dumps(found)) == found
    assert (found["msg"], found["number"], "thing" in found) == ("hi!", 5, False)
    assert "ValueError: why" in str(found["exc_text"])
    assert found["stack_info"] == "Stack"
    assert len(str(found["text"])) <= records.MAX_TEXT


def test_a_replayed_record_keeps_what_it_says_and_gets_what_it_lacks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    job = Job({b"id": b"j1", b"type": b"t", b"queue": b"q", b"attempt": b"2"})
    records.replay(records.portable(record(queue="mine")), "p", job)
    records.replay(records.portable(record()), "p", None)
    first, second = (vars(found) for found in caplog.records)
    assert [first[name] for name in ("job", "type", "queue", "attempt", "pool")] == [
        "j1",
        "t",
        "mine",
        2,
        "p",
    ]
    assert "job" not in second
    assert caplog.messages == ["hi!", "hi!"]


def test_a_level_that_is_off_here_is_off_for_processes_too(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "app"):
        assert records.levels()["app"] == logging.ERROR
        records.replay(records.portable(record()), "p", None)
    assert caplog.records == []


# ------------------------------------------------------------------------------- the filter for users


@pytest.fixture
def job() -> Iterator[Job]:
    job = Job({b"id": b"j1", b"type": b"mail", b"queue": b"q", b"attempt": b"3"})
    token = current_job.set(job)
    yield job
    current_job.reset(token)


FORMAT = logging.Formatter("[%(type)s %(job)s %(queue)s %(attempt)s] %(message)s")


def test_the_filter_adds_the_running_job(job: Job) -> None:
    item = record()
    assert gqm.JobLogFilter().filter(item)
    assert FORMAT.format(item) == "[mail j1 q 3] hi!"


def test_outside_of_a_job_the_attributes_are_there_too() -> None:
    item = record()
    assert gqm.JobLogFilter().filter(item)
    assert FORMAT.format(item) == "[- - - -] hi!"
    other = record()
    gqm.JobLogFilter(missing=None).filter(other)
    assert vars(other)["job"] is None


def test_the_filter_leaves_what_a_record_says_itself(job: Job) -> None:
    about_another = record(job="j2", type="other")
    gqm.JobLogFilter().filter(about_another)
    assert FORMAT.format(about_another) == "[other j2 - -] hi!"
