"""The two forms of the log: what stands where, and what data cannot do to it."""

from __future__ import annotations

import contextvars
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO

import pytest

from gqm.engine.attempt import current_job
from gqm.engine.runners.records import replay
from gqm.job import Job
from gqm_cli.logs import JSONFormatter, TextFormatter, set_up, short_id

UUID = "01943c1e-7a2b-7c3d-8e4f-0123a2a91c00"
CLOCK = re.compile(r"^\d\d:\d\d:\d\d\.\d{3} ")
EVIL = "a\nb\r\x1b]52;c;x\x07\x9b31m\u202e\u2028"


def record(message: str = "hello", name: str = "gqm.engine", **facts: object) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.INFO, __file__, 1, message, (), None)
    vars(made).update(facts)
    return made


def text(made: logging.LogRecord) -> str:
    """The line without its clock."""
    line = TextFormatter().format(made)
    assert CLOCK.match(line), line
    return CLOCK.sub("", line)


def test_a_line_about_a_job() -> None:
    made = record("email.send done 61 ms", pool="fast", job=UUID, type="email.send", event="done")
    assert text(made) == "INFO  fast    01943c…2a91c00 email.send done 61 ms"


def test_a_line_that_names_the_job_itself_does_not_repeat_it() -> None:
    assert text(record(f"job {UUID} was lost", pool="fast", job=UUID)) == f"INFO  job {UUID} was lost"


def test_a_line_of_another_logger_names_it() -> None:
    assert text(record("hi", name="myapp.jobs")) == "INFO  myapp.jobs: hi"
    assert text(record("hi", name="gqm")) == "INFO  hi"


@pytest.mark.parametrize(
    ("job_id", "short"),
    [
        (UUID, "01943c…2a91c00"),
        ("invoice-2024-0001", "invoice-2024-0001"),
        ("x" * 60, "x" * 39 + "…"),
        ("a\x1bb", "a\\x1bb"),
    ],
)
def test_ids_are_shortened_only_where_nobody_reads_them(job_id: str, short: str) -> None:
    assert short_id(job_id) == short


def test_text_shows_data_without_obeying_it() -> None:
    for made in (record(EVIL), record("x", pool=EVIL, job=EVIL), record("x", name=EVIL)):
        line = text(made)
        assert line.isprintable(), line
        assert "\\x1b]52;c;x\\x07\\x9b31m\\u202e\\u2028" in line


def test_json_shows_data_without_obeying_it() -> None:
    line = JSONFormatter().format(record(EVIL, pool=EVIL, error=EVIL))
    assert line.isprintable()
    found = json.loads(line)
    assert (found["msg"], found["pool"], found["error"]) == (EVIL, EVIL, EVIL)


def test_json_has_the_facts_in_a_fixed_order() -> None:
    formatter = JSONFormatter()
    formatter.name_server(lambda: "web1-1-abcdef")
    made = record("m", ms=3, attempt=1, queue="q", type="t", job="j", pool="p", error="e", event="failed")
    assert list(json.loads(formatter.format(made))) == [
        *("ts", "level", "event", "server", "pool", "job", "type", "queue", "attempt", "ms", "error", "msg")
    ]


def test_json_keeps_the_server_for_what_comes_after_it_signed_off() -> None:
    ids = ["web1-1-abcdef", ""]
    formatter = JSONFormatter()
    formatter.name_server(lambda: ids.pop(0))
    assert [json.loads(formatter.format(record()))["server"] for _ in range(2)] == ["web1-1-abcdef"] * 2


def raised() -> logging.LogRecord:
    try:
        raise ValueError("one\n12:00:00.000 ERROR forged")
    except ValueError as exc:
        made = record("it broke")
        made.exc_info = (type(exc), exc, exc.__traceback__)
        return made


def test_a_traceback_stands_indented_below_its_line() -> None:
    first, *rest = text(raised()).splitlines()
    assert first == "INFO  it broke"
    assert rest[0] == "    Traceback (most recent call last):"
    assert rest[-1] == "    12:00:00.000 ERROR forged"
    assert all(line.startswith("    ") for line in rest)


def test_a_traceback_is_one_field_in_json() -> None:
    found = json.loads(JSONFormatter().format(raised()))
    assert found["traceback"].startswith("Traceback (most recent call last):\n")


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was before once the test is over."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:], logger.level = handlers, level


def test_what_a_handler_logs_carries_its_job(root: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    written = StringIO()
    monkeypatch.setattr("sys.stderr", written)
    set_up("info", "json")
    job = Job({b"id": UUID.encode(), b"type": b"mail", b"queue": b"low", b"attempt": b"2"})

    def handler() -> None:
        current_job.set(job)
        logging.getLogger("myapp").info("sending")
        logging.getLogger("myapp").debug("not at this level")

    contextvars.copy_context().run(handler)
    logging.getLogger("myapp").info("elsewhere")
    inside, outside = (json.loads(line) for line in written.getvalue().splitlines())
    assert [inside[name] for name in ("job", "type", "queue", "attempt")] == [UUID, "mail", "low", 2]
    assert (inside["logger"], inside["msg"], "job" in outside) == ("myapp", "sending", False)


def test_what_a_worker_process_logs_keeps_its_traceback(
    root: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = StringIO()
    monkeypatch.setattr("sys.stderr", written)
    made = record("went wrong", name="myapp", exc_text="Traceback:\nValueError: x\x1b[2J")
    set_up("info", "json")
    replay(vars(made), "fast", Job({b"id": UUID.encode(), b"type": b"mail"}))
    found = json.loads(written.getvalue())
    assert (found["traceback"], found["pool"], found["job"]) == (
        "Traceback:\nValueError: x\x1b[2J",
        "fast",
        UUID,
    )
    made = record("went wrong", name="myapp", exc_text="Traceback:\nValueError: x\x1b[2J")
    assert text(made).splitlines()[1:] == ["    Traceback:", "    ValueError: x\\x1b[2J"]


def unprotected(form: str, *lines: str) -> subprocess.CompletedProcess[str]:
    """What a process says that logs errors only and meets two unprotected servers, one of them twice."""
    program = "\n".join(
        (
            "from gqm_cli.logs import set_up",
            "from gqm.protection import warn_unprotected, acknowledge_unprotected_redis",
            f"set_up('error', {form!r})",
            *lines,
            "for where in ('a:1', 'a:1', 'b:2'):",
            "    warn_unprotected(where)",
        )
    )
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )


def test_the_banner_about_an_unprotected_redis_cannot_be_hidden() -> None:
    err = unprotected("text").stderr
    assert (err.count("Redis at a:1 has no password"), err.count("Redis at b:2 has no password")) == (1, 1)
    assert unprotected("text", "acknowledge_unprotected_redis()").stderr == ""


def test_for_programs_the_banner_is_a_record() -> None:
    done = unprotected("json")
    first, second = (json.loads(line) for line in done.stderr.splitlines())
    assert done.stdout == ""
    assert first.pop("ts").endswith("Z")
    assert first == {
        "level": "warn",
        "event": "unprotected_redis",
        "redis": "a:1",
        "msg": "Redis at a:1 has no password and is on another machine",
        "fix": "set redis.password, or gqm.acknowledge_unprotected_redis()",
    }
    assert second["redis"] == "b:2"
    assert unprotected("json", "acknowledge_unprotected_redis()").stderr == ""
