"""Carry plans out: single calls, dry runs, and bulk actions that can be stopped between two calls."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from gqm_tui.core.actions import PAST, Action, Call, Plan, capped
from gqm_tui.core.answers import BatchAnswer, CronDone, DryRun, JobDone, QueueDone, Switched
from gqm_tui.core.client import ApiClient
from gqm_tui.core.clock import Clock
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.text import safe

SURVEY_IDS = 1_000
"""The most ids that a dry run takes in one call."""
AGAIN_S = 0.5
"""A second press of one key within this time is taken for a slip."""
_SKIPPED = {"CONFLICT": "state has changed", "NOT_FOUND": "gone"}

Done: TypeAlias = Switched | JobDone | CronDone
_ANSWERS: Mapping[Action, type[Done]] = {
    Action.PAUSE: Switched,
    Action.RESUME: Switched,
    Action.RETRY: JobDone,
    Action.CANCEL: JobDone,
    Action.DELETE: JobDone,
    Action.TRIGGER: CronDone,
    Action.ENABLE: CronDone,
    Action.DISABLE: CronDone,
    Action.FORGET: CronDone,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How an action ended, in one sentence."""

    ok: bool
    text: str
    unknown: bool = False
    """No answer came: it may have been carried out."""
    status: int = 200
    """Of HTTP; 0 without an answer."""
    took_ms: float = 0.0
    changed: bool = True
    """False when everything was so already; there is nothing to take back then."""
    job_id: str = ""
    """The job that triggering a cron entry made."""


async def run_one(client: ApiClient, plan: Plan, clock: Clock) -> Result:
    """Carry out a plan with one call. It is sent once; a failure is part of the result."""
    (call,) = plan.calls
    began = clock.monotonic()
    try:
        reply = await client.send(call.method, call.path, call.params, call.body, _ANSWERS[plan.action])
    except ApiError as error:
        return _failure(error, (clock.monotonic() - began) * 1_000)
    data = reply.data
    changed = True if isinstance(data, JobDone) else data.changed
    job_id = data.job_id if isinstance(data, CronDone) else ""
    text = _sentence(plan, data)
    return Result(ok=True, text=text, took_ms=reply.took_ms, changed=changed, job_id=job_id)


def _failure(error: ApiError, took_ms: float) -> Result:
    if error.outcome_unknown:
        text = f"outcome unknown: {error.sentence}"
    elif error.kind is Kind.NOT_FOUND:
        text = f"gone: {error.sentence}"
    else:
        text = error.sentence
    return Result(ok=False, text=text, unknown=error.outcome_unknown, status=error.status, took_ms=took_ms)


def _sentence(plan: Plan, data: Done) -> str:
    target, past = safe(plan.target), PAST[plan.action]
    if isinstance(data, JobDone):
        return f"{target} {_job_words(plan.action, data)}"
    if isinstance(data, CronDone) and plan.action is Action.TRIGGER:
        return f"{target} triggered: job {safe(data.job_id)}" if data.job_id else f"{target} triggered"
    return f"{target} {past}" if data.changed else f"{target} was {past} already"


def _job_words(action: Action, data: JobDone) -> str:
    if action is Action.DELETE:
        return "deleted"
    if action is Action.RETRY:
        return f"is {safe(data.status)} again" if data.status else "retried"
    words = ["canceled" if data.status in ("", "canceled") else f"is {safe(data.status)}"]
    if data.signalled:
        words.append("its handler is told to stop")
    if data.cascaded:
        words.append(f"{data.cascaded:,} that depend on it canceled")
    if data.released:
        words.append(f"{data.released:,} set free")
    return ", ".join(words)


# -- many jobs


@dataclass(frozen=True, slots=True)
class Survey:
    """What a dry run found."""

    eligible: int
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Jobs that would be refused, by the code of the refusal."""
    sample: tuple[str, ...] = ()
    """Ids of a few eligible jobs."""
    truncated: bool = False
    """The numbers are lower bounds."""
    as_of: float | None = None
    """The server's time of the dry run, for `run_bulk`."""

    def sentence(self, action: Action) -> str:
        """Say it: `383 can be retried, 3 skipped: state has changed`."""
        at_least = "at least " if self.truncated else ""
        return _with_skipped(f"{at_least}{self.eligible:,} can be {PAST[action]}", self.skipped)


def _with_skipped(text: str, skipped: Mapping[str, int]) -> str:
    parts = [
        f"{count:,} skipped: {_SKIPPED.get(code) or safe(code.lower().replace('_', ' '))}"
        for code, count in sorted(skipped.items(), key=lambda item: (-item[1], item[0]))
        if count
    ]
    return ", ".join([text, *parts])


async def survey(client: ApiClient, plan: Plan) -> Survey:
    """Ask what a plan for many jobs would do; nothing is changed. Raises ApiError."""
    first = plan.calls[0]
    if plan.action is Action.EMPTY:
        params = {"dry_run": "true"}
        queue = await client.send(first.method, first.path, params, None, QueueDone, long=True)
        return Survey(queue.data.matched, as_of=queue.meta.server_time)
    bodies: list[Mapping[str, object]] = [first.body or {}]
    ids = _ids(plan)
    if ids:
        bodies = [{"job_ids": ids[start : start + SURVEY_IDS]} for start in range(0, len(ids), SURVEY_IDS)]
    found: list[DryRun] = []
    for body in bodies:
        asked = {**{name: value for name, value in body.items() if name != "limit"}, "dry_run": True}
        reply = await client.send(first.method, first.path, None, asked, DryRun, long=True)
        found.append(reply.data)
    skipped: Counter[str] = Counter()
    for one in found:
        skipped.update(one.skipped)
    return Survey(
        sum(one.eligible for one in found),
        dict(skipped),
        found[0].sample,
        any(one.truncated for one in found),
        found[0].as_of,
    )


def _ids(plan: Plan) -> list[str]:
    found: list[str] = []
    for call in plan.calls:
        ids = (call.body or {}).get("job_ids")
        found += [str(job_id) for job_id in ids] if isinstance(ids, list) else []
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a bulk action is; the last one has `ended` set."""

    succeeded: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Refused jobs, by the code of the refusal."""
    calls: int = 0
    took_ms: float = 0.0
    ended: bool = False
    stopped: bool = False
    """It was asked to stop, and jobs were left."""
    error: ApiError | None = None
    """Why it ended before all was done."""

    @property
    def handled(self) -> int:
        """Jobs that an answer came for."""
        return self.succeeded + sum(self.skipped.values())

    @property
    def result(self) -> str:
        """One word of how it ended."""
        if self.error is None:
            return "stopped" if self.stopped else "done"
        return "unknown" if self.error.outcome_unknown else "failed"

    def sentence(self, action: Action) -> str:
        """Say it: `381 retried, 2 skipped: state has changed`."""
        text = _with_skipped(f"{self.succeeded:,} {PAST[action]}", self.skipped)
        if self.stopped:
            return f"{text}, then stopped"
        if self.error is None:
            return text
        if self.error.outcome_unknown:
            return f"{text}, then no answer: the outcome of the last call is unknown"
        return f"{text}, then {self.error.sentence}"


async def run_bulk(
    client: ApiClient, plan: Plan, as_of: float | None = None, stop: asyncio.Event | None = None
) -> AsyncIterator[Progress]:
    """Carry out a plan for many jobs call by call, and tell after each one how far it is.

    `as_of` of the dry run keeps an action by filter to the jobs that were confirmed. Setting `stop` ends it
    before the next call. No call is sent twice: the first failure ends it, with what was done so far.
    """
    now = Progress()
    waiting: list[Call] = [_first(plan, as_of), *plan.calls[1:]]
    while waiting:
        call = waiting.pop(0)
        if stop is not None and stop.is_set():
            yield replace(now, ended=True, stopped=True)
            return
        try:
            now, following = await _step(client, plan, call, now)
        except ApiError as error:
            yield replace(now, calls=now.calls + 1, ended=True, error=error)
            return
        if following is not None:
            waiting.append(following)
        yield replace(now, ended=not waiting)


def _first(plan: Plan, as_of: float | None) -> Call:
    call = plan.calls[0]
    wanted = (call.body or {}).get("filter")
    if as_of is None or not isinstance(wanted, dict):
        return call
    return replace(call, body={**(call.body or {}), "filter": capped(wanted, as_of)})


async def _step(client: ApiClient, plan: Plan, call: Call, now: Progress) -> tuple[Progress, Call | None]:
    """Send one call; return the progress, and the call that goes on from there."""
    if plan.action is Action.EMPTY:
        queue = await client.send(call.method, call.path, call.params, call.body, QueueDone, long=True)
        # A call that removed nothing would be repeated for ever.
        more = call if queue.data.remaining and queue.data.done else None
        return _add(now, queue.data.done, {}, queue.took_ms), more
    reply = await client.send(call.method, call.path, call.params, call.body, BatchAnswer, long=True)
    codes = Counter(item.code or "INTERNAL" for item in reply.data.results if not item.ok)
    progress = _add(now, reply.data.succeeded, codes, reply.took_ms)
    if reply.data.next is None:
        return progress, None
    return progress, replace(call, body={**(call.body or {}), "cursor": reply.data.next})


def _add(now: Progress, succeeded: int, codes: Mapping[str, int], took_ms: float) -> Progress:
    return replace(
        now,
        succeeded=now.succeeded + succeeded,
        skipped=dict(Counter(now.skipped) + Counter(codes)),
        calls=now.calls + 1,
        took_ms=now.took_ms + took_ms,
    )


class PressGuard:
    """Takes a second press of one key right behind the first one for a slip."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: tuple[str, float] | None = None

    def accepts(self, key: str) -> bool:
        """Tell whether a press counts; one that does not is no new first one."""
        now = self._clock.monotonic()
        if self._last is not None and self._last[0] == key and now - self._last[1] < AGAIN_S:
            return False
        self._last = (key, now)
        return True
