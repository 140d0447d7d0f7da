"""The running job in log records: for formatters of one's own, and for what handlers log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gqm.engine.attempt import current_job

if TYPE_CHECKING:
    from gqm.job import Job

JOB_FACTS = ("job", "type", "queue", "attempt")
"""Names of the attributes that a log record gets; `JobLogFilter` says what they hold."""


class JobLogFilter(logging.Filter):
    """Adds the running job to every log record that passes; it never holds a record back.

    A record gets the attributes ``job`` (the id), ``type``, ``queue`` and ``attempt`` (1 for the first run)
    of the job whose handler logs it, also in the threads and worker processes of the pools. Attributes that
    a record has already stay. Outside of a handler they are ``missing``, so that a format can always name
    them. Add it to a logging handler, not to a logger: the filters of a logger do not see what its children
    log. ::

        handler = logging.StreamHandler()
        handler.addFilter(gqm.JobLogFilter())
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s [%(type)s %(job)s] %(message)s"))
        logging.basicConfig(handlers=[handler])

    A thread that a handler starts itself knows the job if it runs in a copy of the handler's context
    (`contextvars.copy_context`).
    """

    def __init__(self, missing: object = "-") -> None:
        super().__init__()
        self._missing = missing

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the attributes."""
        job = current_job.get()
        if job is not None and not hasattr(record, "job"):
            add_job(record, job)
        for name in JOB_FACTS:
            if not hasattr(record, name):
                setattr(record, name, self._missing)
        return True


def add_job(record: logging.LogRecord, job: Job) -> None:
    """Set the attributes of a record from a job, but none that it has already."""
    for name, value in (("job", job.id), ("type", job.type), ("queue", job.queue), ("attempt", job.attempt)):
        if not hasattr(record, name):
            setattr(record, name, value)
