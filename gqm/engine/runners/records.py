"""Log records of worker processes: sent to the engine's process and logged there, by its configuration."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gqm.engine.attempt import cut
from gqm.engine.joblog import add_job

if TYPE_CHECKING:
    from gqm.job import Job

MAX_TEXT = 32_768
"""Longest message, traceback or extra value that is brought over, in bytes."""

_NOT_SENT = frozenset({"msg", "args", "exc_info", "exc_text", "message", "stack_info"})


class Sender(logging.Handler):
    """The only logging handler of a worker process, until a module of the user's says otherwise."""

    def __init__(self, send: Callable[[dict[str, object]], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send the record."""
        try:
            self._send(portable(record))
        except Exception:  # noqa: BLE001 - as every logging handler: its errors go where logging puts them
            self.handleError(record)


def portable(record: logging.LogRecord) -> dict[str, object]:
    """Return the attributes of a record as plain values: texts are formatted, other objects left out."""
    plain: dict[str, object] = {}
    for name, value in vars(record).items():
        if name in _NOT_SENT:
            continue
        if isinstance(value, str):
            plain[name] = cut(value, MAX_TEXT)
        elif value is None or isinstance(value, int | float):
            plain[name] = value
    plain["msg"] = cut(record.getMessage(), MAX_TEXT)
    if record.exc_info:
        plain["exc_text"] = cut(logging.Formatter().formatException(record.exc_info), MAX_TEXT)
    if record.stack_info:
        plain["stack_info"] = cut(record.stack_info, MAX_TEXT)
    return plain


def replay(attributes: Mapping[str, object], pool: str, job: Job | None) -> None:
    """Log a record of a worker process here, if the logger of that name wants it."""
    record = logging.makeLogRecord(dict(attributes))
    if job is not None:
        add_job(record, job)
    if not hasattr(record, "pool"):
        record.pool = pool
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)


def levels() -> dict[str, int]:
    """Return the levels that loggers have been given, ``""`` for the root, so that a child has the same."""
    found = {"": logging.getLogger().getEffectiveLevel()}
    for name, logger in list(logging.Logger.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and logger.level:
            found[name] = logger.level
    return found


def set_up(send: Callable[[dict[str, object]], None], wanted: Mapping[str, int]) -> None:
    """In a worker process: send everything that is logged from now on, from these levels on."""
    logging.getLogger().handlers[:] = [Sender(send)]
    for name, level in wanted.items():
        logging.getLogger(name or None).setLevel(level)


def forget() -> None:
    """Send nothing any more."""
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if not isinstance(handler, Sender)]
