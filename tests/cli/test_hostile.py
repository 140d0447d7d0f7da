"""What other programs put into Redis is shown as text: it neither acts on the terminal nor ends a command."""

from __future__ import annotations

import json

import pytest

from gqm.job import Status
from tests.cli.helpers import Done, Gqm
from tests.support.crontab import Crontab, entry
from tests.support.keyspace import SERVER, Keyspace
from tests.support.states import MAKE

SEQUENCES = (
    *("\x1b[2J", "\x1b[31mred", "\x1b[1A\x1b[2K", "\x1b[?1049h", "\x1b[6n", "\x1b]0;title\x07", "\x1bc"),
    *("\x1b]8;;http://x.example\x1b\\link\x1b]8;;\x1b\\", "\x1b]52;c;cm0gLXJm\x07", "\x1bP+q544e\x1b\\"),
    *("\x1b_Gf=100;AAAA\x1b\\", "\x1b[200~paste\x1b[201~", "\x9b31m", "\x9d0;t\x9c", "\x90q\x9c", "\x85next"),
)
LINES = (
    *("a\nb", "a\r\nb", "a\rgqm: error: forged", "a\x0bb", "a\x0cb", "a\x1eb", "a\u2028b", "a\u2029b"),
    "\tx",
)
CONTROLS = ("\x00", "\x07", "\x08\x08\x08", "\x0e", "\x1a", "\x1b", "\x7f", "\x80", "\x84", "\x9f", "\u0600")
MARKS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
DIRECTIONS = tuple(f"a{mark}b" for mark in MARKS)
INVISIBLE = (
    *("a\u00adb", "a\u200bb", "a\u2060b", "\ufeffx", "a\u00a0b", "x\U000e0041", "\ue000"),
    "\ufff9x\ufffb",
)
MARKUP = (
    *("[bold]x[/]", "[link=file:///etc]x[/link]", "[@click=app.quit]x[/]", "{0}", "%s%n", "=1+1"),
    "\\x1b[0m",
)
PAYLOADS = (*SEQUENCES, *LINES, *CONTROLS, *DIRECTIONS, *INVISIBLE, *MARKUP)
HARMLESS = set(MARKUP)


def is_shown_as_text(done: Done, lines: int | None = None) -> bool:
    """Whether a command worked and wrote nothing but printable characters and its own line ends."""
    assert done.code == 0, done
    text = done.out + done.err
    assert all(char.isprintable() for char in text.replace("\n", "")), ascii(text)
    return lines is None or done.out.count("\n") == lines


@pytest.fixture
def hostile(space: Keyspace) -> list[str]:
    """A job, a queue and a cron entry for each payload, with the payload in every field."""
    ids = []
    crontab = Crontab(space)
    space.beat(SERVER, fields={"hostname": "host"})
    for number, text in enumerate(PAYLOADS):
        job_id = MAKE[Status.DEAD_LETTER](space, queue="mail", job_id=f"job-{number}")
        spoken = json.dumps({"text": text}, ensure_ascii=False)
        free = (
            "type",
            "error",
            "traceback",
            "cancel_reason",
            "worker_id",
            "enqueued_by",
            "result_note",
            "cron_id",
        )
        stored = {
            "payload": spoken,
            "result": spoken,
            "meta": spoken,
            "progress": json.dumps([1, 2, text]),
            "result_note": text,
        }
        space.raw.hset(space.keys.job(job_id), mapping={**dict.fromkeys(free, text), **stored})
        space.raw.sadd(space.keys.queues, f"q{number}{text}")
        words = ("name", "cron_expr", "timezone", "job_type", "queue", "overlap_policy", "last_status")
        crontab.put(entry(f"e{number}", **dict.fromkeys(words, text)))
        ids.append(job_id)
    return ids


def test_there_are_enough_of_them() -> None:
    assert len(PAYLOADS) >= 60
    assert all(text in HARMLESS or not text.isprintable() for text in PAYLOADS)


@pytest.mark.security(12)
def test_lists(gqm: Gqm, hostile: list[str]) -> None:
    count = len(PAYLOADS)
    assert is_shown_as_text(gqm("job", "list", "--limit", "1000"), count + 1)
    assert is_shown_as_text(gqm("queue", "list"), count + 2)
    assert is_shown_as_text(gqm("cron", "list"), count + 1)
    for line in ("job list --limit 1000", "queue list", "cron list"):
        done = gqm(*line.split(), "--json")
        assert is_shown_as_text(done, 1)
    shown = {item["last_status"] for item in json.loads(done.out)["cron"]}
    assert set(PAYLOADS) <= shown, "a program gets the text itself"


@pytest.mark.security(12)
def test_single_jobs(gqm: Gqm, hostile: list[str]) -> None:
    for job_id, text in zip(hostile, PAYLOADS, strict=True):
        assert is_shown_as_text(gqm("job", "show", job_id))
        done = gqm("job", "show", job_id, "--json")
        assert is_shown_as_text(done, 1)
        assert json.loads(done.out)["job"]["payload"]["text"] == text


@pytest.mark.security(12)
def test_bytes_that_are_no_text(gqm: Gqm, space: Keyspace) -> None:
    job_id = MAKE[Status.DEAD_LETTER](space, queue="mail")
    fields = dict.fromkeys(
        ("type", "error", "traceback", "payload", "result", "meta"), b"a\xff\xc3(\xed\xa0\x80"
    )
    space.raw.hset(space.keys.job(job_id), mapping=fields)
    for args in (["list"], ["show", job_id], ["list", "--json"], ["show", job_id, "--json"]):
        assert is_shown_as_text(gqm("job", *args))


@pytest.mark.security(12)
@pytest.mark.parametrize("text", [text for text in PAYLOADS if "\0" not in text])
def test_arguments_in_messages(gqm: Gqm, space: Keyspace, text: str) -> None:
    for args in (
        [text],
        ["job", "show", text],
        ["job", "list", "--status", text],
        ["queue", "pause", text],
        ["cron", "trigger", text],
        ["enqueue", text],
        ["enqueue", "t", "--delay", text],
        ["check", text],
    ):
        done = gqm(*args)
        assert done.code in (1, 2, 3), args
        assert done.out == ""
        assert all(char.isprintable() for char in done.err.replace("\n", "")), ascii(done.err)
        assert done.err.startswith(("gqm: error: ", "gqm.yaml:")), ascii(done.err)
        assert done.err.count("\n") == 1, ascii(done.err)
