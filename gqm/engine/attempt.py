"""One run of one job: from the claimed record to the outcome that is to be settled."""

from __future__ import annotations

import asyncio
import contextvars
import enum
import inspect
import time
import traceback
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from gqm.engine.runners.wire import Origin, ProcessDied, Returned
from gqm.errors import JobTimeout, Retry, SkipRetry
from gqm.job import MAX_RESULT, Job, NotJSON, encode_json
from gqm.retry import Failure, decide
from gqm.store.commands.settle import Burial, Completion, RetryLater

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from gqm.engine.handlers import HandlerSpec
    from gqm.engine.runners.thread import Work
    from gqm.engine.settle import Return
    from gqm.retry import Decision, RetryPolicy
    from gqm.store.commands.claim import Claim

MAX_ERROR = 4096
"""Longest stored error text, in bytes."""
MAX_TRACEBACK = 16_384
"""Longest stored traceback, in bytes; the middle of a longer one is cut out."""

current_job: contextvars.ContextVar[Job | None] = contextvars.ContextVar("gqm_current_job", default=None)

Outcome: TypeAlias = Completion | RetryLater | Burial


class Stop(enum.Enum):
    """Why a running handler was told to stop."""

    TIMEOUT = "timeout"
    CANCELED = "canceled"  # by an operator, or the claim is somebody else's by now
    SHUTDOWN = "shutdown"


class Attempt:
    """A claimed job on its way through the engine. Also what its `Job` knows of the run."""

    __slots__ = (
        "abandoned",
        "claim",
        "claimed_at",
        "error",
        "job",
        "note",
        "now_ms",
        "outcome",
        "pending_progress",
        "spec",
        "started",
        "stop",
        "stopped_at",
        "stored_progress",
        "task",
        "timeout_s",
        "work",
    )

    def __init__(self, claim: Claim, spec: HandlerSpec | None, now_ms: int, claimed_at: float) -> None:
        self.claim = claim
        self.spec = spec
        self.now_ms = now_ms
        """The server's clock at the claim, unix milliseconds."""
        self.claimed_at = claimed_at
        """When the claim's answer came; this and the other times here are of the monotonic clock."""
        self.timeout_s = claim.timeout_ms / 1000
        # What is stored changed with the claim itself; the handler sees its own run.
        claim.fields[b"attempt"] = b"%d" % claim.attempt
        claim.fields[b"status"] = b"processing"
        claim.fields[b"started_at"] = b"%d" % (now_ms // 1000)
        claim.fields[b"worker_id"] = claim.worker_id.encode()
        self.job = Job(claim.fields, self)
        self.started = 0.0
        """When the handler started; 0 = not yet."""
        self.stop: Stop | None = None
        self.stopped_at = 0.0
        self.abandoned = False
        self.task: asyncio.Task[None] | None = None
        self.error: BaseException | None = None
        """What the callbacks are told."""
        self.note = ""
        """Why a result that went through middleware had been dropped before."""
        self.outcome: Outcome | Return | None = None
        self.pending_progress: bytes | None = None
        self.stored_progress: bytes | None = None
        self.work: Work | None = None
        """What the threads were given of it."""

    # -- what Job asks of its run

    @property
    def cancelled(self) -> bool:
        """Whether the handler should stop."""
        return self.stop is not None

    def progress(self, text: bytes) -> None:
        """Keep the newest progress; the engine stores it at most twice a second."""
        self.pending_progress = text

    # -- facts

    @property
    def deadline(self) -> float:
        """When the time-out is over; infinite before the start."""
        return self.started + self.timeout_s if self.started else float("inf")

    @property
    def dropped(self) -> bool:
        """Whether the outcome no longer matters: somebody else decides about the job."""
        return self.stop is Stop.CANCELED

    def duration_s(self, now: float) -> float:
        """How long the handler has been running."""
        return now - self.started if self.started else 0.0


class Judge(NamedTuple):
    """Turns what a handler did into an outcome, by the rules of one pool."""

    policy: RetryPolicy
    grace_s: float
    unknown_type_ttl_s: float

    def returned(self, attempt: Attempt, value: object, now: float) -> Outcome:
        """The handler returned."""
        if value is None:  # first, as it is by far the most frequent
            result, note = b"", attempt.note
        elif inspect.isawaitable(value):
            return self.raised(attempt, never_ran(value), now)
        elif isinstance(value, Returned):  # by a child process, which has encoded it already
            result, note = value.result, value.note
        else:
            result, note = encode_result(value)
        return Completion(attempt.claim, round(attempt.duration_s(now) * 1000), result, note)

    def raised(self, attempt: Attempt, exc: BaseException, now: float) -> Outcome:
        """The handler raised; within grace after its deadline that counts as a time-out."""
        if isinstance(exc, ProcessDied):
            return self._died(attempt, exc, now)
        text = describe(exc)
        error = exc
        if attempt.stop is Stop.TIMEOUT:
            text = f"timeout after {attempt.timeout_s:g}s: {text}"
            error = JobTimeout(f"timeout after {attempt.timeout_s:g}s")
            error.__cause__ = exc
        attempt.error = error
        failure = self._failure(attempt, exc, error, now)
        return self._settle(attempt, text, trace(exc), failure, now)

    def _died(self, attempt: Attempt, exc: ProcessDied, now: float) -> Outcome:
        """The process of the handler is gone: killed by us at the deadline, or by the job."""
        attempt.error = exc
        job, budget = attempt.job, attempt.claim.budget
        if attempt.stop is Stop.TIMEOUT and exc.killed:
            text = f"timeout after {attempt.timeout_s:g}s: process killed"
            attempt.error = JobTimeout(text)
            return self._settle(
                attempt, text, cut(exc.details, MAX_TRACEBACK), Failure(job.retry_count, budget), now
            )
        failure = Failure(job.retry_count, budget, crashes=job.crashes + 1)
        outcome = self._settle(attempt, str(exc), cut(exc.details, MAX_TRACEBACK), failure, now)
        assert isinstance(outcome, RetryLater | Burial)
        return outcome._replace(crashed=True)

    def overran(self, attempt: Attempt, now: float) -> Outcome:
        """The handler did not stop within grace."""
        text = f"timeout after {attempt.timeout_s:g}s: handler did not stop within {self.grace_s:g}s"
        attempt.error = JobTimeout(text)
        job = attempt.job
        return self._settle(attempt, text, "", Failure(job.retry_count, attempt.claim.budget), now)

    def unusable(self, attempt: Attempt, why: str) -> Outcome:
        """The stored record cannot be run: no handler sees it, no retry can help."""
        text = cut(f"payload is not a JSON object: {why}", MAX_ERROR)
        attempt.error = ValueError(text)
        return Burial(attempt.claim, None, text, "", _entry(attempt, "dead_letter", False, 0, text))

    def no_handler(self, attempt: Attempt, now: float) -> Outcome:
        """No handler of this server knows the type: another server may."""
        text = f'no handler for type "{attempt.job.type}"'
        since = stored_int(attempt.job, "unknown_since")
        waited = attempt.now_ms / 1000 - since if since else 0.0
        failure = Failure(
            attempt.job.retry_count,
            attempt.claim.budget,
            unknown_for_s=max(0.0, waited),
            unknown_type_ttl_s=self.unknown_type_ttl_s,
        )
        return self._settle(attempt, text, "", failure, now)

    def _failure(self, attempt: Attempt, exc: BaseException, error: BaseException, now: float) -> Failure:
        retry = exc if isinstance(exc, Retry) else None
        counts = retry.count if retry is not None else _counts(attempt.spec, error)
        since = stored_int(attempt.job, "transient_since")
        waited = attempt.now_ms / 1000 - since + (now - attempt.claimed_at) if since else 0.0
        return Failure(
            attempt.job.retry_count,
            attempt.claim.budget,
            skip_retry=skips_retry(exc),
            counts=counts,
            explicit_delay_s=_delay_s(retry) if retry is not None else None,
            transient_for_s=max(0.0, waited),
            transient_max_age_s=attempt.spec.transient_max_age_s if attempt.spec else None,
        )

    def _settle(self, attempt: Attempt, text: str, tb: str, failure: Failure, now: float) -> Outcome:
        decision = decide(failure, policy=self.policy, job_intervals=_intervals(attempt.job))
        duration_ms = round(attempt.duration_s(now) * 1000)
        if decision.reason == "transient_limit":
            text = f"{text}; gave up after {failure.transient_for_s:.0f}s of uncounted retries"
        text = cut(text, MAX_ERROR)
        entry = _entry(attempt, decision.kind, decision.counted, duration_ms, text)
        if decision.kind == "dead_letter":
            return Burial(attempt.claim, duration_ms if attempt.started else None, text, tb, entry)
        return _retry(attempt.claim, decision, text, tb, entry)


def _retry(claim: Claim, decision: Decision, text: str, tb: str, entry: bytes) -> RetryLater:
    return RetryLater(
        claim,
        # Rounded up: a job never starts before its delay is over.
        -(-int(decision.delay_s * 1_000_000) // 1000),
        text,
        tb,
        decision.retry_count if decision.counted else None,
        entry if not decision.unknown else b"",
        decision.transient,
        decision.unknown,
    )


def never_ran(value: Awaitable[object]) -> TypeError:
    """A `def` handler returned a coroutine: its work was not done, however it may look."""
    if inspect.iscoroutine(value):
        value.close()
    return TypeError(
        f"handler returned a {type(value).__name__} that nobody awaits; define it with async def"
    )


def encode_result(value: object) -> tuple[bytes, str]:
    """Encode what a handler returned; the text says why it could not be kept, if so."""
    if value is None:
        return b"", ""
    try:
        raw = encode_json(value)
    except NotJSON as exc:
        return b"", cut(f"result of type {type(value).__name__} was not kept: {exc}", MAX_ERROR)
    if len(raw) > MAX_RESULT:
        return b"", f"result was not kept: {len(raw):,} bytes, the limit is {MAX_RESULT:,}"
    return raw, ""


def _entry(attempt: Attempt, outcome: str, counted: bool, duration_ms: int, error: str) -> bytes:
    return msgspec.json.encode(
        {
            "attempt": attempt.claim.attempt,
            "outcome": outcome,
            "counted": counted,
            "duration_ms": duration_ms,
            "worker_id": attempt.claim.worker_id,
            "error": error,
        }
    )


def _counts(spec: HandlerSpec | None, error: BaseException) -> bool:
    if spec is None or spec.is_failure is None:
        return True
    try:
        return bool(spec.is_failure(error))
    except BaseException:  # noqa: BLE001 - a broken predicate must not lose the job; the failure counts
        return True


def _delay_s(retry: Retry) -> float | None:
    """Return the delay that a handler asked for; what is no duration leaves it to the policy."""
    delay: object = retry.delay
    if isinstance(delay, timedelta):
        return delay.total_seconds()
    # An int may be too large for a float; it is bounded as it is.
    return delay if isinstance(delay, int | float) else None


def skips_retry(exc: BaseException) -> bool:
    """Whether an error is `SkipRetry`, or was raised ``from`` one."""
    origin = origin_of(exc)
    if origin is not None:
        return origin.skip_retry
    seen: set[int] = set()
    link: BaseException | None = exc
    while link is not None and id(link) not in seen:
        if isinstance(link, SkipRetry):
            return True
        seen.add(id(link))
        link = link.__cause__
    return False


def _intervals(job: Job) -> list[int]:
    try:
        return job.retry_intervals
    except ValueError:
        return []


def stored_int(job: Job, name: str) -> int:
    """Read a number that only the engine needs from the job's hash; anything else is 0."""
    raw = job.raw(name)
    return int(raw) if raw and len(raw) < 19 and raw.isdigit() else 0


def origin_of(exc: BaseException) -> Origin | None:
    """Return what an exception looked like in the child process that it comes from."""
    return getattr(exc, "__gqm_origin__", None)


def describe(exc: BaseException) -> str:
    """Return ``ClassName: message`` for an error, whatever its ``__str__`` does."""
    origin = origin_of(exc)
    if origin is not None:
        return origin.text
    try:
        message = str(exc)
    except BaseException as broken:  # noqa: BLE001 - errors come from foreign code
        message = f"(its message raised {type(broken).__name__})"
    name = type(exc).__name__
    return cut(f"{name}: {message}" if message else name, MAX_ERROR)


def trace(exc: BaseException) -> str:
    """Return the traceback of an error without the frames of the engine."""
    origin = origin_of(exc)
    if origin is not None:
        return origin.traceback
    tb = exc.__traceback__
    while tb is not None and tb.tb_frame.f_globals.get("__name__", "").startswith(("gqm.engine", "asyncio.")):
        tb = tb.tb_next
    try:
        text = "".join(traceback.format_exception(type(exc), exc, tb))
    except BaseException as broken:  # noqa: BLE001 - formatting calls foreign code
        text = f"(traceback could not be made: {type(broken).__name__})"
    return cut(text, MAX_TRACEBACK)


def cut(text: str, limit: int) -> str:
    """Return text of at most ``limit`` bytes of UTF-8, the middle cut out; lone surrogates become ``?``."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= limit:
        return raw.decode()
    mark = b"\n ... cut ...\n"
    half = (limit - len(mark)) // 2
    return (raw[:half] + mark + raw[-half:]).decode("utf-8", "ignore")


def loop_is_ending(exc: BaseException) -> bool:
    """Whether an exception is not a handler's: it ends this task because its loop ends or has ended."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # the loop is gone and the task's coroutine is being closed
        return True
    return task is None or (isinstance(exc, asyncio.CancelledError) and task.cancelling() > 0)


def begin(attempt: Attempt) -> None:
    """Mark the start of the handler."""
    attempt.started = time.monotonic()
