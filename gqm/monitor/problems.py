"""Refusals: a code for programs, a status, and a text for people; our exceptions map to them by class."""

from __future__ import annotations

from collections.abc import Sequence

from gqm.admin import code_of
from gqm.errors import RedisSetupError, RedisUnavailable
from gqm.store.connect import is_lost

__all__ = ["STATUS", "Problem", "problem_of"]

STATUS = {
    "BAD_REQUEST": 400,
    "AUTH_DISABLED": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "CSRF_REQUIRED": 403,
    "BAD_ORIGIN": 403,
    "BAD_HOST": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TIMEOUT": 408,
    "CONFLICT": 409,
    "DUPLICATE_JOB_ID": 409,
    "DEPENDENCY_NOT_FOUND": 409,
    "CYCLIC_DEPENDENCY": 409,
    "LENGTH_REQUIRED": 411,
    "PAYLOAD_TOO_LARGE": 413,
    "URI_TOO_LONG": 414,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "RATE_LIMITED": 429,
    "LOGIN_THROTTLED": 429,
    "HEADERS_TOO_LARGE": 431,
    "INTERNAL": 500,
    "REDIS_UNAVAILABLE": 503,
    "NOT_READY": 503,
    "SERVER_BUSY": 503,
}
"""Every code with its HTTP status."""

_RETRY_AFTER = {"REDIS_UNAVAILABLE": "2", "NOT_READY": "1", "SERVER_BUSY": "1"}

_REFUSALS = {"OutOfMemoryError": "OOM ", "ReadOnlyError": "READONLY ", "BusyLoadingError": "LOADING "}
"""What the client library cuts off its texts."""


class Problem(Exception):
    """A request that is refused."""

    def __init__(self, code: str, text: str, *headers: tuple[str, str]) -> None:
        super().__init__(text)
        self.code = code
        self.status = STATUS[code]
        self.text = text
        wait = _RETRY_AFTER.get(code)
        more: Sequence[tuple[str, str]] = [("Retry-After", wait)] if wait else []
        self.headers: tuple[tuple[str, str], ...] = (*headers, *more)


def problem_of(exc: Exception) -> Problem | None:
    """Return the refusal that an exception means; ``None`` if it is none that is expected."""
    if isinstance(exc, Problem):
        return exc
    if isinstance(exc, RedisUnavailable | RedisSetupError):
        # Only a refusal is told in its own words: where Redis is, is nobody's business before a sign-in.
        cause = exc.__cause__
        answered = isinstance(cause, Exception) and not is_lost(cause)
        refusal = answered or isinstance(exc, RedisSetupError)
        name = _REFUSALS.get(type(cause).__name__, "")
        why = f"redis refuses: {name}{cause or exc}" if refusal else "redis unavailable"
        return Problem("REDIS_UNAVAILABLE", why)
    code = code_of(exc)
    return None if code == "INTERNAL" else Problem(code, str(exc))
