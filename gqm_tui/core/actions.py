"""What an operator can do, from which state, after which question, and by which requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gqm_tui.core.client import path
from gqm_tui.core.model import CronEntry, Job, Queue
from gqm_tui.core.signs import Signs
from gqm_tui.core.text import fit, fit_middle

BATCH = 100
"""Jobs in one call of a bulk action; between two calls it can be stopped."""
_TITLE_CELLS = 40
_SPAN_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Action(StrEnum):
    """Everything that changes something."""

    PAUSE = "pause"
    RESUME = "resume"
    EMPTY = "empty"
    RETRY = "retry"
    CANCEL = "cancel"
    DELETE = "delete"
    TRIGGER = "trigger"
    ENABLE = "enable"
    DISABLE = "disable"
    FORGET = "forget"
    """Delete a cron entry."""


class Care(StrEnum):
    """What is asked before an action runs."""

    UNDO = "undo"
    """Nothing: it runs at once, and can be taken back."""
    SINGLE = "single"
    """Yes or no."""
    BULK = "bulk"
    """A dry run, then yes or no."""
    TYPED = "typed"
    """A dry run, then the number of eligible jobs has to be typed."""


_STATES = ("ready", "scheduled", "deferred", "processing", "retry")
_ENDED = ("completed", "dead_letter", "canceled", "stopped", "failed")
_AGAIN = frozenset({"dead_letter", "failed", "canceled", "stopped"})
_NOW = frozenset({"retry", "scheduled"})
ELIGIBLE: Mapping[Action, frozenset[str]] = {
    Action.RETRY: _AGAIN | _NOW,
    Action.CANCEL: frozenset(_STATES),
    Action.DELETE: frozenset({*_STATES, *_ENDED} - {"processing"}),
}
"""The states of a job from which the server accepts an action on it."""

PAST: Mapping[Action, str] = {
    Action.PAUSE: "paused",
    Action.RESUME: "resumed",
    Action.EMPTY: "canceled",
    Action.RETRY: "retried",
    Action.CANCEL: "canceled",
    Action.DELETE: "deleted",
    Action.TRIGGER: "triggered",
    Action.ENABLE: "enabled",
    Action.DISABLE: "disabled",
    Action.FORGET: "deleted",
}
"""What became of the thing, in one word."""

_MANY: Mapping[str, str] = {
    "ready": "ready jobs",
    "scheduled": "scheduled jobs",
    "deferred": "deferred jobs",
    "processing": "active jobs",
    "retry": "jobs that wait for a retry",
    "completed": "completed jobs",
    "dead_letter": "dead letters",
    "canceled": "canceled jobs",
    "stopped": "stopped jobs",
    "failed": "failed jobs",
}


def allowed(status: str, action: Action) -> bool:
    """Tell whether the server accepts an action on a job in a state."""
    return status in ELIGIBLE.get(action, frozenset())


def runs_now(status: str) -> bool:
    """Tell whether a retry from this state means "run now": the counters stay as they are."""
    return status in _NOW


def cron_allowed(entry: CronEntry, action: Action) -> bool:
    """Tell whether the server accepts an action on a cron entry, and whether it would change something."""
    match action:
        case Action.TRIGGER:
            return not entry.orphaned
        case Action.ENABLE:
            return not entry.orphaned and not entry.enabled
        case Action.DISABLE:
            return entry.enabled
        case _:
            return action is Action.FORGET and entry.orphaned


def why_not(status: str, action: Action) -> str:
    """Say why an action on a job in this state is not offered."""
    return f"a job that is {_state(status)} cannot be {PAST[action]}"


def _state(status: str) -> str:
    return fit(Signs().word(status), _TITLE_CELLS)


@dataclass(frozen=True, slots=True)
class Call:
    """One request that changes something."""

    method: str
    path: str
    params: Mapping[str, str] | None = None
    body: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An action on named things, before it runs. Everything that is asked, sent and logged comes from it."""

    action: Action
    care: Care
    target: str
    """What the action log names: a job, a queue, a cron entry, or how many jobs."""
    title: str
    """The question, on one line."""
    where: str = ""
    """Which things are meant."""
    effects: tuple[str, ...] = ()
    """What happens besides, a sentence each."""
    calls: tuple[Call, ...]
    """All requests; of an action on a filter or on a queue the one that is repeated until nothing is left."""
    undo: "Plan | None" = None
    key: str = ""
    """The row that the question names; what runs is this one, wherever the cursor is by then."""


# -- one thing


def queue_plan(action: Action, queue: Queue, *, production: bool = False) -> Plan:
    """Plan to pause or to resume a queue."""
    undo = Action.RESUME if action is Action.PAUSE else Action.PAUSE
    care = Care.SINGLE if production else Care.UNDO
    return _switch(action, queue.name, f"queue {queue.name}", ("queues",), care, undo)


def cron_plan(action: Action, entry: CronEntry, *, production: bool = False) -> Plan:
    """Plan to enable, disable, trigger or delete a cron entry."""
    what = f"cron entry {entry.id}"
    if action in (Action.ENABLE, Action.DISABLE):
        undo = Action.DISABLE if action is Action.ENABLE else Action.ENABLE
        care = Care.SINGLE if production else Care.UNDO
        return _switch(action, entry.id, what, ("cron",), care, undo)
    delete = action is Action.FORGET
    effects = ["it is gone from the configuration, and from here too then"] if delete else []
    if not delete and not entry.enabled:
        effects.append("it is disabled, and runs once all the same")
    return Plan(
        action=action,
        care=Care.SINGLE,
        target=entry.id,
        title=f"{'Delete' if delete else 'Trigger'} {_short(what)}?",
        where=f"{fit(entry.job_type, _TITLE_CELLS)} · queue {fit(entry.queue, _TITLE_CELLS)}",
        effects=tuple(effects),
        calls=(Call("DELETE", path("cron", entry.id)) if delete else _post("cron", entry.id, "trigger"),),
        key=entry.id,
    )


def _switch(action: Action, name: str, what: str, place: tuple[str], care: Care, undo: Action | None) -> Plan:
    back = None if undo is None else _switch(undo, name, what, place, Care.UNDO, None)
    return Plan(
        action=action,
        care=care,
        target=name,
        title=f"{action.value.capitalize()} {_short(what)}?",
        calls=(_post(*place, name, action.value),),
        undo=back,
        key=name,
    )


def job_plan(action: Action, job: Job) -> Plan:
    """Plan to retry, cancel or delete one job."""
    now = action is Action.RETRY and runs_now(job.status)
    name = fit_middle(job.id, _TITLE_CELLS)
    delete = action is Action.DELETE
    return Plan(
        action=action,
        care=Care.SINGLE,
        target=job.id,
        title=f"Run job {name} now?" if now else f"{action.value.capitalize()} job {name}?",
        where=f"{fit(job.type, _TITLE_CELLS)} · queue {fit(job.queue, _TITLE_CELLS)} · {_state(job.status)}",
        effects=_effects(action, job),
        calls=(Call("DELETE", path("jobs", job.id)) if delete else _post("jobs", job.id, action.value),),
        key=job.id,
    )


def _effects(action: Action, job: Job) -> tuple[str, ...]:
    if action is Action.RETRY:
        if runs_now(job.status):
            return (f"it goes to ready at once; {job.retry_count} of {job.max_retry} retries stay used",)
        return ("it goes to ready, with all its retries",)
    found = ["its handler is told to stop"] if action is Action.CANCEL and job.status == "processing" else []
    if job.status in _STATES:
        known = job.child_count if job.child_count is not None else len(job.children or ())
        if known or job.child_count is None:
            who = f"{known} that depend on it" if known else "jobs that depend on it"
            found.append(f"{who} are canceled too, those that allow failure are set free")
    if action is Action.DELETE:
        found.append("payload, result and attempts are gone for good")
    return tuple(found)


# -- many jobs


def marks_plan(action: Action, ids: Sequence[str], where: str = "marked jobs") -> Plan:
    """Plan an action on jobs that were picked one by one."""
    chunks = [list(ids[start : start + BATCH]) for start in range(0, len(ids), BATCH)]
    calls = [_batch(action, {"job_ids": chunk}) for chunk in chunks]
    return _bulk(action, len(ids), "", where, tuple(calls))


def filter_plan(
    action: Action, wanted: Mapping[str, object], count: int, *, where: str = "", bound: str = ""
) -> Plan:
    """Plan an action on all jobs that match a filter (`job_filter`), also those on other pages.

    `count` is how many there are by the list or the group, `bound` what stands before a lower bound.
    """
    where = where or describe(wanted)
    return _bulk(action, count, bound, where, (_batch(action, {"filter": dict(wanted), "limit": BATCH}),))


def empty_plan(queue: Queue) -> Plan:
    """Plan to cancel all ready jobs of a queue."""
    return Plan(
        action=Action.EMPTY,
        care=Care.TYPED,
        target=queue.name,
        title=f"Empty queue {fit(queue.name, _TITLE_CELLS)}?",
        where=f"{queue.ready:,} ready jobs of {fit(queue.name, _TITLE_CELLS)}",
        effects=("all of them are canceled, and what depends on them too",),
        calls=(Call("DELETE", path("queues", queue.name, "empty")),),
        key=queue.name,
    )


def _bulk(action: Action, count: int, bound: str, where: str, calls: tuple[Call, ...]) -> Plan:
    jobs = f"{bound}{count:,} {'job' if count == 1 and not bound else 'jobs'}"
    gone = ("payloads, results and attempts are gone for good",) if action is Action.DELETE else ()
    title = f"{action.value.capitalize()} {jobs}?"
    return Plan(
        action=action, care=Care.BULK, target=jobs, title=title, where=where, effects=gone, calls=calls
    )


def job_filter(
    status: Sequence[str],
    params: Mapping[str, str],
    now: float,
    *,
    queue: str | None = None,
    fingerprint: str | None = None,
) -> dict[str, object]:
    """Build the filter of a bulk action from a list's states and parameters.

    Spans before now become moments of `now`, the server's time, so that the set stays the same from the dry
    run to the last call.
    """
    wanted: dict[str, object] = {"status": list(status)}
    for name, value in params.items():
        if name in ("since", "until"):
            wanted[name] = _moment(value, now)
        else:
            wanted[name] = value.split(",") if name in ("type", "queue") else value
    if queue is not None:
        wanted["queue"] = [queue]
    if fingerprint is not None:
        wanted["fingerprint"] = fingerprint
    return wanted


def _moment(value: str, now: float) -> float:
    if value.startswith("-"):
        return round(now - int(value[1:-1]) * _SPAN_S[value[-1]], 3)
    return float(value)


def capped(wanted: Mapping[str, object], as_of: float) -> dict[str, object]:
    """Keep a filter to the jobs that a dry run met, and to those it was asked for in the first place."""
    until = wanted.get("until")
    return {**wanted, "until": min(as_of, until) if isinstance(until, float) else as_of}


def describe(wanted: Mapping[str, object], group: str = "") -> str:
    """Say which jobs a filter means; `group` is the text of the error group that a fingerprint stands for."""
    found = [" and ".join(_MANY.get(one) or f"{_state(one)} jobs" for one in _texts(wanted["status"]))]
    for name in ("queue", "type", "worker"):
        if name in wanted:
            found.append(f"{name} {fit(', '.join(_texts(wanted[name])), _TITLE_CELLS)}")
    if group or "error" in wanted:
        found.append(f'error "{fit(group or str(wanted["error"]), _TITLE_CELLS)}"')
    if "q" in wanted:
        found.append(f'id with "{fit(str(wanted["q"]), _TITLE_CELLS)}"')
    if "since" in wanted or "until" in wanted:
        found.append("within the time of the filter")
    return " · ".join(found)


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]


def asked(plan: Plan, eligible: int, *, production: bool) -> Plan:
    """Return the plan with the care that it needs once a dry run has told how many jobs are eligible."""
    if plan.care is Care.BULK and (production or eligible > BATCH):
        return replace(plan, care=Care.TYPED)
    return plan


def _batch(action: Action, body: Mapping[str, object]) -> Call:
    return Call("POST", path("jobs", "batch", action.value), body=body)


def _post(*parts: str) -> Call:
    return Call("POST", path(*parts))


def _short(what: str) -> str:
    return fit(what, _TITLE_CELLS)
