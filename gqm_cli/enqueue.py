"""``gqm enqueue``: one job from the command line, with every option that code has."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar, cast
from zoneinfo import ZoneInfo

import msgspec
import typer

from gqm.config import parse_duration
from gqm.jsontext import decode_json
from gqm_cli.completion import job_types, queues
from gqm_cli.connection import chosen_config
from gqm_cli.diagnostics import WrongUse
from gqm_cli.operating import actor, operator
from gqm_cli.options import ConfigFile, Json, RedisURL
from gqm_cli.output import say, say_json

if TYPE_CHECKING:
    from gqm.newjob import NewJob, Options
    from gqm.store.commands.enqueue import Mode
    from gqm_cli.operating import Operator

T = TypeVar("T")

_UNIX_SECONDS = re.compile(r"\d+(\.\d+)?")
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")
_MOST_BYTES = 16 * 1_048_576  # far above what a payload may have, so that an endless input ends


def enqueue(
    type_: Annotated[
        str, typer.Argument(metavar="TYPE", autocompletion=job_types, help="Job type, such as email.send.")
    ],
    payload: Annotated[
        str,
        typer.Option("--payload", metavar="JSON", help="A JSON object, @FILE, or - for stdin (default: {})."),
    ] = "{}",
    queue: Annotated[
        str | None,
        typer.Option("--queue", metavar="NAME", autocompletion=queues, help="Queue (default: default)."),
    ] = None,
    job_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Own id instead of a generated one.")
    ] = None,
    unique: Annotated[
        bool, typer.Option("--unique", help="Refuse while any job with this --id exists, also an ended one.")
    ] = False,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="When to run: 2026-07-01T09:00:00+02:00 (without an offset: app.timezone), or unix seconds.",
        ),
    ] = None,
    delay: Annotated[
        str | None,
        typer.Option("--delay", metavar="DURATION", help="Run after a delay, such as 30s, 5m or 1h30m."),
    ] = None,
    max_retry: Annotated[
        int | None,
        typer.Option("--max-retry", metavar="N", help="Retries after a failure (default: the pool's)."),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="DURATION", help="Longest run (default: the pool's)."),
    ] = None,
    retry_intervals: Annotated[
        str | None,
        typer.Option(
            "--retry-intervals",
            metavar="LIST",
            help="Seconds before each retry, such as 10,30; the last repeats.",
        ),
    ] = None,
    depends_on: Annotated[
        list[str] | None,
        typer.Option("--depends-on", metavar="ID", help="Run after this job has completed; may be repeated."),
    ] = None,
    allow_failure: Annotated[
        bool, typer.Option("--allow-failure", help="Run also when a job it depends on fails.")
    ] = False,
    front: Annotated[bool, typer.Option("--front", help="Run before older jobs of the queue.")] = False,
    meta: Annotated[
        list[str] | None,
        typer.Option("--meta", metavar="KEY=VALUE", help="Note kept with the job; may be repeated."),
    ] = None,
    enqueued_by: Annotated[
        str | None,
        typer.Option("--enqueued-by", metavar="TEXT", help="Who enqueued it (default: cli:USER)."),
    ] = None,
    result_ttl: Annotated[
        str | None,
        typer.Option(
            "--result-ttl", metavar="DURATION", help="How long to keep it once completed; -1 for ever."
        ),
    ] = None,
    failure_ttl: Annotated[
        str | None,
        typer.Option(
            "--failure-ttl", metavar="DURATION", help="How long to keep it after any other end; -1 for ever."
        ),
    ] = None,
    config: ConfigFile = None,
    redis_url: RedisURL = None,
    json: Json = False,
) -> None:
    """Enqueue a job and print its id.

    Redis is the one of the configuration file; without a file, of GQM_REDIS_URL.

    \f
    gqm enqueue email.send --payload '{"to": "ana@example.com"}'
    gqm enqueue report.build --payload @report.json --queue low --delay 5m
    gqm enqueue report.send --depends-on $(gqm enqueue report.build)
    """
    if at is not None and delay is not None:
        raise WrongUse("--at and --delay both say when; give one of them")
    if unique and job_id is None:
        raise WrongUse("--unique needs --id: two generated ids never clash")
    from gqm.newjob import new_job
    from gqm.store.commands.enqueue import enqueue as make

    raw = _payload(payload)
    options = _options(
        queue=queue,
        job_id=job_id,
        unique=unique or None,
        max_retry=max_retry,
        timeout=_given(timeout, "--timeout", _seconds),
        retry_intervals=_given(retry_intervals, "--retry-intervals", _intervals),
        depends_on=depends_on or None,
        allow_failure=allow_failure or None,
        enqueue_at_front=front or None,
        meta=_meta(meta),
        enqueued_by=enqueued_by if enqueued_by is not None else actor(),
        result_ttl=_given(result_ttl, "--result-ttl", _ttl),
        failure_ttl=_given(failure_ttl, "--failure-ttl", _ttl),
    )
    delay_s = _given(delay, "--delay", _seconds)
    where = chosen_config(config, redis_url)
    when = _moment(at, where.app.timezone) if at is not None else None
    job = new_job(type_, raw, options)
    mode, when_ms = _mode(job, when, delay_s)
    with operator(where) as acting:
        with acting.admin.log.action("job.enqueue", job.id) as entry:
            entry.after = acting.store.run(make(acting.store.keys, job, mode=mode, when_ms=when_ms))
        if json:
            say_json(_as_json(acting, job, entry.after))
        else:
            say(job.id)


def _mode(job: NewJob, when: datetime | float | None, delay_s: float | None) -> tuple[Mode, int]:
    """Return how a job is enqueued, and at which time (unix ms) or after which delay (ms).

    Raises `InvalidJob` if it cannot have a time.
    """
    from gqm.errors import InvalidJob
    from gqm.newjob import delay_ms, due_ms

    if when is None and delay_s is None:
        return "now", 0
    if job.parents:
        raise InvalidJob("a job with depends_on runs when its parents have ended; it cannot have a time too")
    return ("at", due_ms(when)) if when is not None else ("in", delay_ms(delay_s or 0))


# --------------------------------------------------------------------------------------- reading


def _options(**given: object) -> Options:
    """Return the options that are given; the client checks them."""
    return cast("Options", {name: value for name, value in given.items() if value is not None})


def _payload(text: str) -> msgspec.Raw:
    """Return the payload as JSON without needless spaces; numbers keep all their digits."""
    raw = text.encode("utf-8", "surrogateescape")
    if text == "-":
        raw = sys.stdin.buffer.read(_MOST_BYTES + 1)
    elif text.startswith("@"):
        raw = _file(text[1:])
    if len(raw) > _MOST_BYTES:
        raise WrongUse("--payload is larger than 1 MiB")
    try:
        value = decode_json(raw)
    except ValueError as exc:
        raise WrongUse(f"--payload is not JSON: {exc}") from None
    if not isinstance(value, dict):
        raise WrongUse('--payload must be a JSON object, such as {"to": "ana@example.com"}')
    return msgspec.Raw(msgspec.json.format(raw, indent=-1))


def _file(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise WrongUse(f"--payload @{path}: {reason.lower()}") from None


def _given(text: str | None, option: str, read: Callable[[str], T]) -> T | None:
    """Read the text of an option if it is given. Raises `WrongUse` naming the option."""
    if text is None:
        return None
    try:
        return read(text)
    except ValueError as exc:
        raise WrongUse(f"{option} {text}: {exc}") from None


def _seconds(text: str) -> float:
    return parse_duration(int(text) if text.isdecimal() else text)


def _ttl(text: str) -> float:
    return -1.0 if text == "-1" else _seconds(text)


def _intervals(text: str) -> list[int]:
    seconds = [_seconds(part.strip()) for part in text.split(",")]
    if any(not item.is_integer() for item in seconds):
        raise ValueError("retry intervals are whole seconds")
    return [int(item) for item in seconds]


def _meta(pairs: Sequence[str] | None) -> dict[str, str] | None:
    if not pairs:
        return None
    found = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise WrongUse(f"--meta {pair}: write it as KEY=VALUE")
        found[key] = value
    return found


def _moment(text: str, timezone: str) -> datetime | float:
    """Read a time: unix seconds, or RFC 3339; one without an offset is of the time zone."""
    if _UNIX_SECONDS.fullmatch(text):
        return float(text)
    try:
        if not _DATE_TIME.match(text):
            raise ValueError
        found = datetime.fromisoformat(text)
    except ValueError:
        raise WrongUse(
            f"--at {text}: not a time; write 2026-07-01T09:00:00, with or without +02:00, or unix seconds"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(timezone))


def _as_json(acting: Operator, job: NewJob, status: str) -> dict[str, object]:
    from gqm.store.commands.jobs import get_job

    made = acting.store.run(get_job(acting.store.keys, job.id)) if status == "scheduled" else None
    due_at = made.scheduled_at if made is not None else None
    return {"id": job.id, "type": job.type, "queue": job.queue, "status": status, "due_at": due_at}
