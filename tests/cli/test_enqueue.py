"""``gqm enqueue``: every option reaches the job, and every mistake is told apart."""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import gqm as library
from tests.cli.helpers import Done, Gqm


@pytest.fixture
def client(config: Path, redis_socket: str, prefix: str) -> Iterator[library.Client]:
    """A client on the test's prefix, which ``gqm`` uses through its configuration file too."""
    with library.Client(f"unix:{redis_socket}", prefix=prefix) as client:
        yield client


def job_of(client: library.Client, done: Done) -> library.Job:
    """The job that a command made; its id is all there is on stdout."""
    assert (done.code, done.err) == (0, ""), done.err
    assert done.out.count("\n") == 1
    job = client.get(done.out.strip())
    assert job is not None
    return job


@pytest.mark.parametrize("place", ["pipe", "terminal"])
def test_the_id_is_all_that_is_printed(gqm: Gqm, client: library.Client, place: str) -> None:
    done = gqm("enqueue", "mail") if place == "pipe" else gqm.terminal("enqueue", "mail")
    job = job_of(client, done)
    assert (job.type, job.queue, job.status, job.payload) == ("mail", "default", "ready", {})
    assert job.enqueued_by == f"cli:{getpass.getuser()}"


def test_every_option_reaches_the_job(gqm: Gqm, client: library.Client) -> None:
    parent = job_of(client, gqm("enqueue", "parent"))
    options = {
        "--payload": '{"to": "ana", "n": 12345678901234567890.1234567890123}',
        "--queue": "low",
        "--id": "my-job",
        "--max-retry": "7",
        "--timeout": "1m30s",
        "--retry-intervals": "10, 30,2m",
        "--depends-on": parent.id,
        "--enqueued-by": "cron@host",
        "--result-ttl": "-1",
        "--failure-ttl": "7d",
    }
    flags = ["--allow-failure", "--front", "--unique", "--meta", "a=1", "--meta", "b=x=y"]
    words = [word for pair in options.items() for word in pair]
    job = job_of(client, gqm("enqueue", "mail.send", *words, *flags))
    assert job.id == "my-job"
    assert job.raw("payload") == b'{"to":"ana","n":12345678901234567890.1234567890123}'
    assert (job.queue, job.max_retry, job.timeout, job.retry_intervals) == ("low", 7, 90, [10, 30, 120])
    assert (job.depends_on, job.allow_failure, job.enqueue_at_front) == ([parent.id], True, True)
    assert (job.meta, job.enqueued_by) == ({"a": "1", "b": "x=y"}, "cron@host")
    assert (job.result_ttl, job.failure_ttl, job.status) == (-1, 604_800, "deferred")


def test_the_payload_may_come_from_a_file_or_from_stdin(gqm: Gqm, client: library.Client) -> None:
    gqm.write("payload.json", '{\n  "name": "Zoë"\n}\n')
    from_file = job_of(client, gqm("enqueue", "mail", "--payload", "@payload.json"))
    from_pipe = job_of(client, gqm("enqueue", "mail", "--payload", "-", stdin='{"name": "Zoë"}'))
    assert from_file.payload == from_pipe.payload == {"name": "Zoë"}


def test_the_document(gqm: Gqm, client: library.Client) -> None:
    done = gqm("enqueue", "mail", "--queue", "low", "--json")
    document = json.loads(done.out)
    job_id = document.pop("id")
    assert document == {"type": "mail", "queue": "low", "status": "ready", "due_at": None}
    assert client.get(job_id) is not None


@pytest.mark.parametrize(
    ("at", "due"),
    [
        ("2040-07-01T09:00:00+02:00", datetime(2040, 7, 1, 7, tzinfo=UTC)),
        ("2040-07-01T09:00:00Z", datetime(2040, 7, 1, 9, tzinfo=UTC)),
        ("2040-07-01 09:00", datetime(2040, 7, 1, 2, tzinfo=UTC)),
        ("2224713600", datetime(2040, 7, 1, tzinfo=UTC)),
    ],
)
def test_a_time_without_an_offset_is_of_the_applications_zone(
    gqm: Gqm, client: library.Client, config: Path, at: str, due: datetime
) -> None:
    config.write_text(config.read_text() + "  timezone: Asia/Jakarta\n")
    document = json.loads(gqm("enqueue", "mail", "--at", at, "--json").out)
    assert (document["status"], document["due_at"]) == ("scheduled", due.timestamp())


def test_a_delay_counts_from_now(gqm: Gqm, client: library.Client) -> None:
    now = time.time()
    document = json.loads(gqm("enqueue", "mail", "--delay", "5m", "--json").out)
    assert document["status"] == "scheduled"
    assert now + 299 <= document["due_at"] <= time.time() + 300


def test_a_time_that_has_passed_means_now(gqm: Gqm, client: library.Client) -> None:
    document = json.loads(gqm("enqueue", "mail", "--at", "2001-01-01T00:00", "--json").out)
    assert (document["status"], document["due_at"]) == ("ready", None)


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ([], "missing argument 'TYPE'; see \"gqm enqueue --help\""),
        (["he llo"], "job type 'he llo' is not valid"),
        (["mail", "--payload", "{"], "--payload is not JSON: "),
        (["mail", "--payload", "[1]"], "--payload must be a JSON object"),
        (["mail", "--payload", '{"a": NaN}'], "--payload is not JSON: "),
        (["mail", "--payload", "@nope.json"], "--payload @nope.json: no such file or directory"),
        (["mail", "--payload", "@."], "--payload @.: is a directory"),
        (["mail", "--queue", "a b"], "queue 'a b' is not valid"),
        (["mail", "--id", "a/b"], "job id 'a/b' is not valid"),
        (["mail", "--unique"], "--unique needs --id: two generated ids never clash"),
        (["mail", "--at", "tomorrow"], "--at tomorrow: not a time; write 2026-07-01T09:00:00"),
        (["mail", "--at", "2040-13-01T00:00"], "--at 2040-13-01T00:00: not a time"),
        (["mail", "--at", "2040-07-01"], "--at 2040-07-01: not a time"),
        (["mail", "--delay", "5 minutes"], "--delay 5 minutes: not a duration"),
        (["mail", "--delay", "-5m"], "--delay -5m: "),
        (["mail", "--at", "5", "--delay", "5"], "--at and --delay both say when; give one of them"),
        (["mail", "--delay", "5", "--depends-on", "x"], "a job with depends_on"),
        (["mail", "--timeout", "0"], "timeout must be more than 0 s"),
        (["mail", "--max-retry", "many"], "--max-retry"),
        (["mail", "--max-retry", "-1"], "max_retry"),
        (["mail", "--retry-intervals", "1,x"], "--retry-intervals 1,x: not a duration"),
        (["mail", "--retry-intervals", "0.5s"], "--retry-intervals 0.5s: "),
        (["mail", "--meta", "novalue"], "--meta novalue: write it as KEY=VALUE"),
        (["mail", "--result-ttl", "-2"], "--result-ttl -2: "),
        (["mail", "--enqueued-by", "a\nb"], "enqueued_by must be printable"),
        (["mail", "-c", "gqm.yaml", "--redis-url", "redis://x"], "--config and --redis-url both say"),
    ],
)
def test_wrong_use(gqm: Gqm, config: Path, args: list[str], text: str) -> None:
    done = gqm("enqueue", *args)
    assert (done.code, done.out) == (2, ""), done.err
    assert done.err.count("\n") == 1
    assert text in done.err


def test_a_payload_over_the_limit(gqm: Gqm, config: Path) -> None:
    big = '{"a": "%s"}' % ("x" * 1_048_577)
    done = gqm("enqueue", "mail", "--json", "--payload", "-", stdin=big)
    assert (done.code, json.loads(done.out)["code"]) == (2, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (["--id", "taken"], "DUPLICATE_JOB_ID", "taken"),
        (["--depends-on", "nobody"], "DEPENDENCY_NOT_FOUND", "nobody"),
        (["--id", "loop", "--depends-on", "loop"], "USAGE", "itself"),
    ],
)
def test_what_redis_refuses(gqm: Gqm, client: library.Client, args: list[str], code: str, text: str) -> None:
    client.enqueue("mail", job_id="taken")
    done = gqm("enqueue", "mail", "--json", *args)
    document: dict[str, Any] = json.loads(done.out)
    assert (done.code, document["code"]) == ((2 if code == "USAGE" else 1), code)
    assert text in document["error"]
    assert done.err == f"gqm: error: {document['error']}\n"


@pytest.mark.parametrize("place", ["pipe", "terminal"])
def test_redis_away(gqm: Gqm, place: str) -> None:
    gqm.write("gqm.yaml", "redis:\n  addr: 127.0.0.1:1\n")
    done = gqm("enqueue", "mail") if place == "pipe" else gqm.terminal("enqueue", "mail", NO_COLOR="1")
    assert (done.code, done.out) == (4, "")
    assert done.err == (
        "gqm: error: cannot connect to Redis at 127.0.0.1:1: connection refused; "
        'is it running? see "gqm doctor"\n'
    )


@pytest.mark.parametrize("place", ["pipe", "terminal"])
def test_a_broken_configuration(gqm: Gqm, place: str) -> None:
    gqm.write("gqm.yaml", "redis:\n  adr: x\n")
    done = gqm("enqueue", "mail") if place == "pipe" else gqm.terminal("enqueue", "mail")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("gqm.yaml:2:3: redis.adr: unknown key (addr, ")


def test_without_a_word_about_redis(gqm: Gqm) -> None:
    done = gqm("enqueue", "mail")
    assert (done.code, done.out) == (3, "")
    assert done.err == (
        'gqm: error: gqm.yaml not found; create one with "gqm init", name it with --config, '
        "or say where Redis is with --redis-url or GQM_REDIS_URL\n"
    )


def test_redis_from_a_url_or_from_the_environment(gqm: Gqm, redis_socket: str, prefix: str) -> None:
    url = f"unix://{redis_socket}"
    by_option = gqm("enqueue", "mail", "--redis-url", url, GQM_REDIS_PREFIX=prefix)
    by_variable = gqm("enqueue", "mail", GQM_REDIS_URL=url, GQM_REDIS_PREFIX=prefix)
    with library.Client(url, prefix=prefix) as client:
        assert job_of(client, by_option).id != job_of(client, by_variable).id


def test_the_file_beats_the_environment(gqm: Gqm, client: library.Client) -> None:
    assert job_of(client, gqm("enqueue", "mail", GQM_REDIS_URL="redis://127.0.0.1:1")).type == "mail"


@pytest.mark.fault(10)
def test_a_password_in_the_url_is_refused_and_not_repeated(gqm: Gqm) -> None:
    done = gqm("enqueue", "mail", "--redis-url", "redis://u:s3cret@127.0.0.1:1")
    assert done.code == 2
    assert "GQM_REDIS_URL" in done.err
    assert "s3cret" not in done.err


def test_the_embedded_server_keeps_the_job(gqm: Gqm, tmp_path: Path) -> None:
    gqm.write("deep/gqm.yaml", "redis:\n  addr: embedded\n")
    made = gqm.process("enqueue", "mail", "-c", "deep/gqm.yaml")
    assert (made.code, made.err) == (0, "")
    with library.Client(f"embedded://{tmp_path}/deep/.gqm") as client:
        assert job_of(client, made).type == "mail"
