"""Logs on stderr: lines for people, or JSON objects for programs; what comes from data is escaped in both."""

from __future__ import annotations

import datetime
import functools
import logging
import re
import sys
import time
from collections.abc import Callable

from gqm.engine.joblog import JobLogFilter
from gqm.protection import show_unprotected_with
from gqm_cli.output import RED, YELLOW, has_colour, json_line, printable, styled

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}

_NAMES = {logging.DEBUG: "DEBUG", logging.INFO: "INFO", logging.WARNING: "WARN", logging.ERROR: "ERROR"}
_STYLES = {"WARN": YELLOW, "ERROR": RED}
_FACTS = ("pool", "job", "type", "queue", "attempt", "ms", "error")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LONGEST_ID = 40


class TextFormatter(logging.Formatter):
    """One line per record: time, level, pool and job where known, message; a traceback is indented below."""

    def __init__(self, *, colour: bool = False) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        message = printable(record.getMessage())
        line = f"{_clock(record)} {self._level(record)} {_who(record, message)}{message}"
        return "\n".join((line, *(f"    {printable(text)}" for text in _traceback(record).splitlines())))

    def _level(self, record: logging.LogRecord) -> str:
        name = _level_name(record)
        word = f"{name:5}"
        return styled(word, _STYLES[name], sys.stderr) if self._colour and name in _STYLES else word


class JSONFormatter(logging.Formatter):
    """One object per line. Facts that a record does not have are left out."""

    def __init__(self) -> None:
        super().__init__()
        self._server_id: Callable[[], str] = str
        self._last_id = ""

    def name_server(self, server_id: Callable[[], str]) -> None:
        """Put the server's id into each record; ``server_id`` returns it, empty while there is none."""
        self._server_id = server_id

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        found: dict[str, object] = {
            "ts": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": _level_name(record).lower(),
            "event": getattr(record, "event", "log"),
        }
        self._last_id = self._server_id() or self._last_id  # the last records come when it has signed off
        if self._last_id:
            found["server"] = self._last_id
        found.update((name, _fact(record, name)) for name in _FACTS if _fact(record, name) is not None)
        if record.name.partition(".")[0] != "gqm":
            found["logger"] = record.name
        found["msg"] = record.getMessage()
        found.update(getattr(record, "facts", {}))
        trace = _traceback(record)
        if trace:
            found["traceback"] = trace
        return json_line(found)


def set_up(level: str, form: str) -> logging.Formatter:
    """Send all records of this process from ``level`` on to stderr, as ``text`` or ``json``.

    Returns the formatter. Handlers of jobs log as they like; what they log carries the job.
    """
    formatter = JSONFormatter() if form == "json" else TextFormatter(colour=has_colour(sys.stderr))
    if form == "json":
        show_unprotected_with(functools.partial(_tell_unprotected, formatter))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(JobLogFilter(missing=None))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    return formatter


def _tell_unprotected(formatter: logging.Formatter, where: str) -> None:
    """Write a record about a Redis that anybody can use, past the log level: nothing may hide it."""
    record = logging.LogRecord(
        "gqm", logging.WARNING, "", 0, "Redis at %s has no password and is on another machine", (where,), None
    )
    record.event = "unprotected_redis"
    record.facts = {"redis": where, "fix": "set redis.password, or gqm.acknowledge_unprotected_redis()"}
    sys.stderr.write(f"{formatter.format(record)}\n")
    sys.stderr.flush()


def _who(record: logging.LogRecord, message: str) -> str:
    """Return pool and job in front of the message, unless it names the job itself; and foreign loggers."""
    pool, job = _fact(record, "pool"), _fact(record, "job")
    parts = []
    if job is not None and str(job) not in message:
        parts += [f"{printable(str(pool)):7}"] if pool is not None else []
        parts.append(short_id(str(job)))
    if record.name.partition(".")[0] != "gqm":
        parts.append(f"{printable(record.name)}:")
    return "".join(f"{part} " for part in parts)


def short_id(job_id: str) -> str:
    """Return a job id in few characters: a generated one by its ends, one's own as far as it fits."""
    if _UUID.fullmatch(job_id):
        return f"{job_id[:6]}…{job_id[-7:]}"
    job_id = printable(job_id)
    return job_id if len(job_id) <= _LONGEST_ID else f"{job_id[: _LONGEST_ID - 1]}…"


def _fact(record: logging.LogRecord, name: str) -> object:
    return getattr(record, name, None)


def _level_name(record: logging.LogRecord) -> str:
    return _NAMES.get(record.levelno, record.levelname)


def _clock(record: logging.LogRecord) -> str:
    return f"{time.strftime('%H:%M:%S', time.localtime(record.created))}.{int(record.msecs):03d}"


def _traceback(record: logging.LogRecord) -> str:
    if record.exc_info:
        return logging.Formatter().formatException(record.exc_info)
    return record.exc_text or ""  # a worker process sends the text alone
