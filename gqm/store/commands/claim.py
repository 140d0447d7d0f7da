"""Commands that take jobs out of ready lists: claim them, wait for them, hand them back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from gqm.store.command import Command, Word, as_dict, call
from gqm.store.scripts import script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqm.keys import Keys

MAX_CLAIM = 128
"""Most jobs of one claim call."""


class Claim(NamedTuple):
    """A job as its claimer holds it."""

    id: str
    token: str
    budget: int
    """Retries the job may use."""
    timeout_ms: int
    attempt: int
    queue: str
    fields: dict[bytes, bytes]
    """The hash as it was stored before the claim."""
    worker_id: str

    @property
    def first_run(self) -> bool:
        """Whether no earlier run left its traces, and the job has no ``result_ttl`` of its own."""
        return self.attempt == 1 and self.fields.keys().isdisjoint(_TRACES)


_TRACES = (b"error", b"traceback", b"transient_since", b"unknown_since", b"result_ttl")


class Claimed(NamedTuple):
    """Answer of one claim call."""

    jobs: list[Claim]
    skipped: list[str]
    """The first 10 ids that were taken out because no ready job stood behind them."""
    skip_count: int
    paused: list[str]
    more: bool
    """Whether another call may find more at once."""
    passed: list[str]
    """Queues that hold only jobs of other pools' types within reach."""
    broken: list[str]
    """Keys of a wrong Redis type; their queues were left out."""
    now_ms: int
    """The server's clock, unix milliseconds."""


@dataclass(frozen=True, slots=True)
class TypeRule:
    """Which job types a pool takes from a queue: ``only`` these, or all but these."""

    only: bool
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """What stays the same over all claims of one pool."""

    server_id: str
    worker_id: str
    queues: tuple[tuple[str, TypeRule | None], ...]
    """Queues in order, each with its rule; ``None`` takes every type."""
    wrap: bool
    global_timeout_ms: int
    pool_timeout_ms: int
    """0 = the global one."""
    grace_ms: int
    budget: int


def claim(keys: Keys, plan: ClaimPlan, nonce: str, n: int, turns: Sequence[int] = ()) -> Command[Claimed]:
    """Claim up to ``n`` jobs. ``turns`` are indexes into the plan's queues; none = first queue first."""
    names: list[str] = [keys.paused, keys.claims(plan.server_id)]
    queue_args: list[Word] = []
    for queue, rule in plan.queues:
        names += (keys.ready(queue), keys.processing(queue))
        if rule is None:
            queue_args += (queue, "", 0)
        else:
            queue_args += (queue, "+" if rule.only else "-", len(rule.types), *rule.types)

    def args(replay: int) -> tuple[Word, ...]:
        return (
            keys.prefix,
            plan.worker_id,
            nonce,
            n,
            ",".join(str(turn + 1) for turn in turns),
            int(plan.wrap),
            plan.global_timeout_ms,
            plan.pool_timeout_ms,
            plan.grace_ms,
            plan.budget,
            replay,
            len(plan.queues),
            *queue_args,
        )

    return call(script("claim"), tuple(names), args(0), lambda raw: _claimed(plan, raw), again=args(1))


def _claimed(plan: ClaimPlan, raw: Any) -> Claimed:
    jobs, skipped, skip_count, paused, more, passed, broken, now_ms = raw
    return Claimed(
        [_claim(plan.worker_id, row) for row in jobs],
        [item.decode("utf-8", "replace") for item in skipped],
        skip_count,
        [item.decode() for item in paused],
        bool(more),
        [item.decode() for item in passed],
        [item.decode() for item in broken],
        now_ms,
    )


def _claim(worker_id: str, row: list[Any]) -> Claim:
    job_id, token, budget, timeout_ms, attempt, queue, flat = row
    fields = as_dict(flat)
    # Where a job is stored says more about it than what stands in its hash.
    fields[b"id"] = job_id
    fields[b"queue"] = queue
    return Claim(
        job_id.decode("utf-8", "replace"),
        token.decode(),
        int(budget),
        timeout_ms,
        attempt,
        queue.decode("utf-8", "replace"),
        fields,
        worker_id,
    )


def return_unstarted(keys: Keys, queue: str, claims: Sequence[tuple[Claim, bool]]) -> Command[list[int]]:
    """Hand claims of one queue back to its front, in claim order; the flag: its handler had started.

    The answer per claim: 1 handed back, 2 handed back before, 0 not ours any more.
    """
    args: list[Word] = [keys.prefix, queue]
    for item, started in claims:
        args += (item.id, item.token, item.worker_id, int(started))
    return call(script("return_unstarted"), (keys.ready(queue), keys.processing(queue)), tuple(args), list)


def wait_ready(keys: Keys, queue: str, block_s: float) -> Command[bool]:
    """Wait until the queue holds a job, at most ``block_s`` seconds; True if it does.

    Moving the tail of a list to its own tail changes nothing: the call only returns when there is one.
    """
    key = keys.ready(queue)
    return Command(
        ("BLMOVE", key, key, "RIGHT", "RIGHT", block_s), lambda raw: raw is not None, block_s=block_s
    )


def are_paused(keys: Keys, queues: Sequence[str]) -> Command[list[bool]]:
    """Tell which of the queues are paused."""
    return Command(("SMISMEMBER", keys.paused, *queues), lambda raw: [bool(item) for item in raw])
