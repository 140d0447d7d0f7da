"""What the engine logs about single jobs, with the facts that a log in JSON shows as fields."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gqm.engine.attempt import describe

if TYPE_CHECKING:
    from gqm.engine.attempt import Attempt

log = logging.getLogger("gqm.engine")


def end(pool: str, attempt: Attempt, duration_s: float) -> None:
    """A handler has ended."""
    if attempt.error is None and not log.isEnabledFor(logging.INFO):
        return
    job, ms = attempt.job, round(duration_s * 1000)
    if attempt.error is None:
        log.info("%s done %d ms", job.type, ms, extra=_facts("done", pool, attempt, ms))
        return
    error = describe(attempt.error)
    extra = {**_facts("failed", pool, attempt, ms), "error": error}
    log.warning("%s failed after %d ms: %s", job.type, ms, error, extra=extra)


def abandoned(pool: str, attempt: Attempt, grace_s: float) -> None:
    """A handler did not stop in time, and nothing can end it."""
    log.warning(
        "job %s: handler of %r did not stop within %gs; it was abandoned",
        attempt.claim.id,
        attempt.job.type,
        grace_s,
        extra=_facts("abandoned", pool, attempt, 0),
    )


def no_handler(pool: str, type_: str) -> None:
    """Jobs of a type come that no handler here knows."""
    log.warning(
        "pool %r: no handler for type %r; its jobs wait for another server, then are dead letters",
        pool,
        type_,
        extra={"event": "no_handler", "pool": pool, "type": type_},
    )


def _facts(event: str, pool: str, attempt: Attempt, ms: int) -> dict[str, object]:
    claim = attempt.claim
    return {
        "event": event,
        "pool": pool,
        "job": claim.id,
        "type": attempt.job.type,
        "queue": claim.queue,
        "attempt": claim.attempt,
        "ms": ms,
    }
