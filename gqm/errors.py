"""Every error that GQM raises on purpose, in one tree.

::

    GQMError
    ├── InvalidJob                 a job id, type, queue, option or payload breaks a rule
    │   ├── PayloadTooLarge        encoded payload over 1 MiB
    │   └── BatchTooLarge          more than 1000 items or 64 MiB in one batch
    ├── DuplicateJobID             a live job has that id, or any job has it and unique was asked for
    ├── DependencyNotFound         a parent in depends_on does not exist
    ├── CyclicDependency           the parents lead back to the job itself
    ├── JobNotFound                no job has that id
    ├── JobStateError              the job's state does not allow the operation
    ├── QueueNotFound              no queue has that name
    ├── CronEntryNotFound          no cron entry has that id
    ├── InvalidQuery               a list or a filter is asked for that cannot be answered
    ├── RedisUnavailable           Redis cannot be reached, or refuses writes at the moment
    ├── RedisSetupError            this Redis cannot be used as it is configured
    │   └── EmbeddedServerError    the embedded server cannot be started or attached to
    ├── StoreError                 the key space holds something that GQM did not write
    ├── ConfigError                the configuration is wrong; ``.problems`` lists every place
    │   └── ConfigIncomplete       the configuration is right, a secret is still to be filled in
    ├── StartFailed                an engine process could not start, or processes die too often
    ├── RegistrationError          a handler, pool, middleware or cron entry cannot be registered
    ├── JobTimeout                 a handler ran past its time-out (also a ``TimeoutError``)
    ├── JobFailed                  ``Client.wait``: the job ended, but not as ``completed``
    └── Signal for handlers
        ├── SkipRetry              raise it to give up at once: straight to the dead-letter set
        │   └── InvalidPayload     ``Job.decode``: the payload has not the shape that the handler wants
        └── Retry                  raise it to run again after a delay of your choice

The docstring of a class is also its default text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "BatchTooLarge",
    "ConfigError",
    "ConfigIncomplete",
    "CronEntryNotFound",
    "CyclicDependency",
    "DependencyNotFound",
    "DuplicateJobID",
    "EmbeddedServerError",
    "GQMError",
    "InvalidJob",
    "InvalidPayload",
    "InvalidQuery",
    "JobFailed",
    "JobNotFound",
    "JobStateError",
    "JobTimeout",
    "PayloadTooLarge",
    "QueueNotFound",
    "RedisSetupError",
    "RedisUnavailable",
    "RegistrationError",
    "Retry",
    "SkipRetry",
    "StartFailed",
    "StoreError",
]


class GQMError(Exception):
    """Something went wrong in GQM."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text or (type(self).__doc__ or "").partition("\n")[0])


class InvalidJob(GQMError, ValueError):
    """The job breaks a rule."""


class PayloadTooLarge(InvalidJob):
    """The payload is larger than 1 MiB."""


class BatchTooLarge(InvalidJob):
    """The batch has too many items or bytes."""


class DuplicateJobID(GQMError):
    """A job with this id exists already."""


class DependencyNotFound(GQMError, LookupError):
    """A parent job does not exist."""


class CyclicDependency(GQMError):
    """The job would wait for itself."""


class JobNotFound(GQMError, LookupError):
    """There is no such job."""


class JobStateError(GQMError):
    """The job's state does not allow this."""

    def __init__(self, text: str = "", *, state: str = "") -> None:
        super().__init__(text)
        self.state = state


class QueueNotFound(GQMError, LookupError):
    """There is no such queue."""


class CronEntryNotFound(GQMError, LookupError):
    """There is no such cron entry."""


class InvalidQuery(GQMError, ValueError):
    """What is asked for cannot be answered."""


class RedisUnavailable(GQMError, ConnectionError):
    """Redis cannot be reached or refuses writes."""


class RedisSetupError(GQMError):
    """This Redis cannot be used as it is configured."""


class EmbeddedServerError(RedisSetupError):
    """The embedded server cannot be used."""


class StoreError(GQMError):
    """The key space holds something unexpected."""


class ConfigError(GQMError):
    """The configuration is wrong.

    ``problems`` holds every problem found, in file order; ``str()`` of the error is one line per problem.
    """

    def __init__(self, text: str = "", problems: Sequence[object] = ()) -> None:
        super().__init__(text or "\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class ConfigIncomplete(ConfigError):
    """The configuration lacks a secret."""


class StartFailed(GQMError):
    """An engine process could not start.

    ``error`` is the class name of what it raised there, empty if it died.
    """

    def __init__(self, text: str = "", *, error: str = "") -> None:
        super().__init__(text)
        self.error = error


class RegistrationError(GQMError, ValueError):
    """This cannot be registered."""


class JobTimeout(GQMError, TimeoutError):
    """The handler ran past its time-out."""


class JobFailed(GQMError):
    """The job did not complete.

    ``state`` is the terminal status it ended in; the text is the job's stored error or cancel reason.
    """

    def __init__(self, text: str = "", *, state: str = "") -> None:
        super().__init__(text)
        self.state = state


class SkipRetry(GQMError):
    """No retry can help."""


class InvalidPayload(SkipRetry, ValueError):
    """The payload has not the wanted shape."""


class Retry(GQMError):
    """Run the job again.

    ``delay`` is the wait in seconds before the next run; ``None`` leaves it to the retry policy.
    ``count=False`` does not count this run towards ``max_retry``.
    """

    def __init__(self, delay: float | None = None, *, count: bool = True, reason: str = "") -> None:
        super().__init__(reason)
        self.delay = delay
        self.count = count
