"""What happens after a failed attempt: the retry policy, and the pure decision it leads to."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Backoff", "Decision", "Failure", "Reason", "RetryPolicy", "decide", "delay_s"]

Backoff: TypeAlias = Literal["fixed", "exponential", "custom"]

Reason: TypeAlias = Literal[
    "failed",  # a counted failure, and there is a retry left
    "exhausted",  # a counted failure, and there is none left
    "skip_retry",  # the handler said that no retry can help
    "transient",  # not counted: the error is no failure of the job
    "transient_limit",  # uncounted retries went on for too long
    "no_handler",  # this server has no handler for the type
    "no_handler_limit",  # nobody took the job for too long
    "crash_limit",  # the job killed its worker process once too often
]

_BACKOFFS = ("fixed", "exponential", "custom")
_NO_HANDLER_DELAY_S = 5.0
_CRASH_LIMIT = 3
_LONGEST_EXPLICIT_S = 100 * 365.25 * 86_400.0  # a due time beyond that stands for "never" and still fits


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and after how long a failed job runs again.

    ``max_retry`` is the number of retries after the first run, 0 for none. The wait before retry ``n`` is
    ``base_s`` for ``fixed``; ``base_s`` x 2^(n-1), at most ``max_s``, for ``exponential``; and the n-th of
    ``intervals_s``, the last one repeating, for ``custom``. ``jitter`` is the share (0..1) by which a wait
    may be shorter or longer; a wait with jitter is never above ``max_s``. Times are seconds.

    Raises ``ValueError`` when a value is out of its range.
    """

    max_retry: int = 3
    backoff: Backoff = "fixed"
    base_s: float = 10.0
    max_s: float = 86_400.0
    intervals_s: tuple[float, ...] = ()
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if self.max_retry < 0:
            raise ValueError(f"max_retry must be 0 or more, not {self.max_retry}")
        if self.backoff not in _BACKOFFS:
            raise ValueError(f"backoff must be one of {', '.join(_BACKOFFS)}, not {self.backoff!r}")
        if not (math.isfinite(self.base_s) and self.base_s >= 0):
            raise ValueError(f"base_s must be 0 or more seconds, not {self.base_s}")
        if not (math.isfinite(self.max_s) and self.max_s >= self.base_s):
            raise ValueError(f"max_s must not be below base_s ({self.base_s}), but is {self.max_s}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter must be between 0 and 1, not {self.jitter}")
        self._check_intervals()

    def _check_intervals(self) -> None:
        if self.backoff == "custom" and not self.intervals_s:
            raise ValueError('backoff "custom" needs intervals_s')
        for interval in self.intervals_s:
            if not (math.isfinite(interval) and interval >= 0):
                raise ValueError(f"intervals_s must hold 0 or more seconds, not {interval}")


@dataclass(frozen=True, slots=True)
class Failure:
    """The facts about one attempt that did not succeed, and about its job.

    ``retry_count`` is the count before this attempt, ``max_retry`` the job's effective limit.
    ``skip_retry``: the handler raised ``SkipRetry``. ``counts`` is false if ``is_failure`` said no, or for
    ``Retry(count=False)``. ``explicit_delay_s``: the delay given to ``Retry``.
    ``crashes``: 0, or if this attempt killed its worker process, how many of the job's attempts have done so.
    ``transient_for_s``: time since the job's first uncounted retry, ``transient_max_age_s`` its limit (none
    by default). ``unknown_for_s``: not ``None`` if no handler knows the type, then the time since that was
    first seen; ``unknown_type_ttl_s`` is the limit. Times are seconds.
    """

    retry_count: int
    max_retry: int
    skip_retry: bool = False
    counts: bool = True
    explicit_delay_s: float | None = None
    crashes: int = 0
    transient_for_s: float = 0.0
    transient_max_age_s: float | None = None
    unknown_for_s: float | None = None
    unknown_type_ttl_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the job.

    ``retry_count`` is the count to store, ``delay_s`` the wait in seconds before a retry. ``counted`` tells
    whether the attempt was counted. ``transient`` and ``unknown`` mark the two kinds of uncounted retry whose
    first time is kept. ``reason`` says which rule decided.
    """

    kind: Literal["retry", "dead_letter"]
    reason: Reason
    retry_count: int
    delay_s: float = 0.0
    counted: bool = False
    transient: bool = False
    unknown: bool = False


def delay_s(
    n: int,
    *,
    policy: RetryPolicy,
    job_intervals: Sequence[float] = (),
    explicit: float | None = None,
    rng: Callable[[], float] = random.random,
) -> float:
    """Return the wait in seconds before retry ``n``.

    The first of these that is given counts: ``explicit`` (taken as it is, without jitter; below zero means at
    once), the job's own intervals, the policy. ``n`` below 1 counts as 1. ``rng`` returns numbers in [0, 1).
    """
    if explicit is not None:
        bounded = min(max(explicit, 0.0), _LONGEST_EXPLICIT_S)
        if not math.isnan(bounded):
            return float(bounded)
    n = max(n, 1)
    delay = float(_nth(job_intervals, n) if job_intervals else _policy_delay_s(n, policy))
    if not policy.jitter:
        return delay
    return min(delay * (1 - policy.jitter + 2 * policy.jitter * rng()), policy.max_s)


def decide(
    failure: Failure,
    *,
    policy: RetryPolicy,
    job_intervals: Sequence[float] = (),
    rng: Callable[[], float] = random.random,
) -> Decision:
    """Decide what follows a failed attempt. The first rule that fits decides:

    1. No handler for the type: retry in 5 s, uncounted, until ``unknown_type_ttl_s``.
    2. The third death of the job's worker process: dead letter, whatever the limit says.
    3. ``SkipRetry``: dead letter.
    4. Not counted: retry with the count unchanged, until ``transient_max_age_s``; a job that allows no
       retry at all gets none.
    5. Counted: retry while the count stays within ``max_retry``, else dead letter with the count unchanged.
    """
    count = failure.retry_count
    if failure.unknown_for_s is not None:
        return _without_handler(failure, failure.unknown_for_s)
    if failure.crashes >= _CRASH_LIMIT:
        return Decision("dead_letter", "crash_limit", count, counted=True)
    if failure.skip_retry:
        return Decision("dead_letter", "skip_retry", count)
    refused = _no_retry(failure)
    if refused is not None:
        return refused
    if failure.counts:
        count += 1
    return Decision(
        "retry",
        "failed" if failure.counts else "transient",
        count,
        delay_s(
            count, policy=policy, job_intervals=job_intervals, explicit=failure.explicit_delay_s, rng=rng
        ),
        counted=failure.counts,
        transient=not failure.counts,
    )


def _without_handler(failure: Failure, unknown_for_s: float) -> Decision:
    if unknown_for_s >= failure.unknown_type_ttl_s:
        return Decision("dead_letter", "no_handler_limit", failure.retry_count)
    return Decision("retry", "no_handler", failure.retry_count, _NO_HANDLER_DELAY_S, unknown=True)


def _no_retry(failure: Failure) -> Decision | None:
    """Return the dead letter of a job that has used up its retries, or its time for uncounted ones."""
    if failure.counts:
        if failure.retry_count < failure.max_retry:
            return None
        return Decision("dead_letter", "exhausted", failure.retry_count, counted=True)
    if failure.max_retry <= 0:
        return Decision("dead_letter", "exhausted", failure.retry_count)
    limit = failure.transient_max_age_s
    if limit is not None and failure.transient_for_s >= limit:
        return Decision("dead_letter", "transient_limit", failure.retry_count)
    return None


def _policy_delay_s(n: int, policy: RetryPolicy) -> float:
    if policy.backoff == "custom":
        return _nth(policy.intervals_s, n)
    if policy.backoff == "exponential":
        doublings = min(n - 1, 1000)  # 2.0 ** 1024 overflows, and 1000 doublings pass every limit
        return min(policy.base_s * 2.0**doublings, policy.max_s)
    return policy.base_s


def _nth(intervals: Sequence[float], n: int) -> float:
    return max(intervals[min(n, len(intervals)) - 1], 0.0)  # a job's intervals may come from elsewhere
