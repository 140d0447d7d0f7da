"""Commands that end a run: complete, retry, dead_letter, each for many jobs of one queue at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gqm.store.command import Command, Word, call, optional
from gqm.store.scripts import script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqm.keys import Keys
    from gqm.store.commands.claim import Claim

MAX_SETTLE = 100
"""Most jobs of one settle call."""
MAX_SETTLE_BYTES = 8 * 1_048_576


class Completion(NamedTuple):
    """The handler returned."""

    claim: Claim
    duration_ms: int
    result: bytes = b""
    note: str = ""
    """Why there is no result although the handler returned one."""


class RetryLater(NamedTuple):
    """The handler failed; the job runs again after a delay."""

    claim: Claim
    delay_ms: int
    error: str
    traceback: str = ""
    retry_count: int | None = None
    """The new count; ``None`` = this run is not counted."""
    entry: bytes = b""
    """Attempt entry: a JSON object without times; the script adds them."""
    transient: bool = False
    unknown: bool = False
    crashed: bool = False


class Burial(NamedTuple):
    """The job failed for good."""

    claim: Claim
    duration_ms: int | None
    error: str
    traceback: str = ""
    entry: bytes = b""
    crashed: bool = False


class Settled(NamedTuple):
    """Answer of a settle call."""

    answers: list[int]
    """Per job: 1 done, 2 done before by this very settle, 0 not yours any more."""
    released: int
    canceled: int


def complete(
    keys: Keys, queue: str, items: Sequence[Completion], *, result_ttl: int | None, failure_ttl: int | None
) -> Command[Settled]:
    """End jobs as completed. The TTLs (seconds) are defaults for jobs without their own."""
    worker = items[0].claim.worker_id
    args: list[Word] = [keys.prefix, queue, optional(result_ttl), optional(failure_ttl), worker]
    for claim, duration_ms, result, note in items:
        flags = "" if claim.first_run else "x"
        args += (claim.id, claim.token, duration_ms)
        if claim.worker_id == worker and not result and not note:
            args.append(flags)
            continue
        more = (("w", claim.worker_id if claim.worker_id != worker else ""), ("r", result), ("n", note))
        args.append(flags + "".join(letter for letter, word in more if word))
        args += [word for _, word in more if word]
    return call(script("complete"), (keys.processing(queue), keys.completed(queue)), tuple(args), _settled)


def retry(keys: Keys, queue: str, items: Sequence[RetryLater]) -> Command[Settled]:
    """Send jobs back to run again after their delays."""
    args: list[Word] = [keys.prefix, queue]
    for item in items:
        claim = item.claim
        flags = (
            ("t" if item.transient else "") + ("u" if item.unknown else "") + ("c" if item.crashed else "")
        )
        args += (claim.id, claim.token, claim.worker_id, item.delay_ms, item.error, item.traceback)
        args += ("" if item.retry_count is None else item.retry_count, item.entry, flags)
    return call(
        script("retry"),
        (keys.processing(queue), keys.scheduled),
        tuple(args),
        lambda raw: Settled(list(raw), 0, 0),
    )


def dead_letter(
    keys: Keys, queue: str, items: Sequence[Burial], *, failure_ttl: int | None
) -> Command[Settled]:
    """End jobs in the dead-letter set."""
    args: list[Word] = [keys.prefix, queue, optional(failure_ttl)]
    for item in items:
        claim = item.claim
        duration = "" if item.duration_ms is None else item.duration_ms
        args += (claim.id, claim.token, claim.worker_id, duration, item.error, item.traceback)
        args += (item.entry, "c" if item.crashed else "")
    return call(
        script("dead_letter"), (keys.processing(queue), keys.dead_letter(queue)), tuple(args), _settled
    )


def _settled(raw: Any) -> Settled:
    return Settled(list(raw[0]), raw[1], raw[2])
