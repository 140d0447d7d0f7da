"""Cron entries and their runs as people see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from gqm.cron import NeverFires
from gqm.cronentry import CronEntry
from gqm.errors import InvalidQuery
from gqm.store.command import Command, call
from gqm.store.commands.cron import CronTable, Stored, read_cron
from gqm.store.plan import Plan, ask
from gqm.store.read.record import as_json, to_int
from gqm.store.read.views import Page, Raw, View
from gqm.store.scripts import script

if TYPE_CHECKING:
    from gqm.keys import Keys

MAX_LISTED = 1000
OUTCOMES = 20
"""Newest runs that are told of an entry."""
UPCOMING = 5
AT_ONCE = 25
EXPIRED = "expired"
"""Outcome of a run whose job is gone."""


class CronRun(View, frozen=True, kw_only=True):
    """One run of an entry."""

    job_id: str
    triggered_at: int
    """When the job was made."""
    slot: int | None
    """``None``: run by hand, or not known any more."""
    outcome: str
    """State of the job, or ``expired``."""
    duration_ms: int | None


class LastJob(View, frozen=True, kw_only=True):
    """The newest job of an entry."""

    job_id: str
    triggered_at: int
    status: str


class CronView(View, frozen=True, kw_only=True):
    """A cron entry."""

    id: str
    name: str
    cron_expr: str
    timezone: str
    """IANA name."""
    job_type: str
    queue: str
    description: str = ""
    """The expression in words; filled in by who can tell."""
    payload: Raw | None
    timeout: int | UnsetType = UNSET
    """Longest run of its jobs, in seconds."""
    max_retry: int | UnsetType = UNSET
    """Retries of its jobs."""
    overlap_policy: str
    """While its last job lives: `skip`, `allow`, or `replace` that one."""
    enabled: bool
    orphaned: bool
    """In no live server's configuration any more: it never fires."""
    last_run: int | None
    next_run: int | None
    last_status: str | None
    """`triggered`, `skipped`, `missed` or `error`."""
    last_job: LastJob | None
    outcomes: Sequence[str] | UnsetType = UNSET
    """States of the newest 20 runs, newest first."""
    next_runs: Sequence[int] | UnsetType = UNSET
    """The next five; where one entry is asked for."""
    created_at: int
    updated_at: int


class CronList(NamedTuple):
    """All entries, as far as they are listed."""

    entries: list[CronView]
    total: int
    truncated: bool
    server_time: float


class _Runs(NamedTuple):
    total: int
    runs: list[CronRun]


def list_cron(keys: Keys, *, outcomes: bool = False) -> Plan[CronList]:
    """Return all entries by id, at most 1,000; with the states of their newest runs if asked for."""
    table = yield from ask(read_cron(keys, listed=True))
    rows = sorted((row for row in table.rows if row.entry is not None), key=lambda row: row.id)
    listed = rows[:MAX_LISTED]
    runs: list[_Runs] = []
    for start in range(0, len(listed), AT_ONCE):
        ids = [row.id for row in listed[start : start + AT_ONCE]]
        runs += yield from ask(_read_runs(keys, ids, 0, OUTCOMES if outcomes else 1))
    entries = [_view(table, row, run, outcomes) for row, run in zip(listed, runs, strict=True)]
    return CronList(entries, len(rows), len(rows) > len(listed), table.now_ms / 1000)


def get_cron(keys: Keys, entry_id: str) -> Plan[CronView | None]:
    """Return an entry with its next times and its newest runs; ``None`` if there is none."""
    table = yield from ask(read_cron(keys, [entry_id], listed=True))
    row = table.rows[0]
    if row.entry is None:
        return None
    (runs,) = yield from ask(_read_runs(keys, [entry_id], 0, OUTCOMES))
    view = _view(table, row, runs, True)
    return msgspec.structs.replace(view, next_runs=_upcoming(row.entry, view, table.now_ms / 1000))


def list_runs(keys: Keys, entry_id: str, page: int = 1, limit: int = 20) -> Plan[Page[CronRun] | None]:
    """Return one page of an entry's runs, newest first; ``None`` if there is no such entry.

    Raises `InvalidQuery` for a page or a limit (1 to 100) out of range.
    """
    if not 1 <= limit <= 100 or page < 1:
        raise InvalidQuery("limit must be 1 to 100, and page at least 1")
    table = yield from ask(read_cron(keys, [entry_id]))
    if not table.rows[0].text:
        return None
    (found,) = yield from ask(_read_runs(keys, [entry_id], (page - 1) * limit, limit))
    return Page(items=found.runs, page=page, limit=limit, total=found.total, server_time=table.now_ms / 1000)


def _read_runs(keys: Keys, ids: Sequence[str], start: int, count: int) -> Command[list[_Runs]]:
    names = tuple(keys.cron_history(entry_id) for entry_id in ids)
    return call(
        script("read_runs"),
        names,
        (keys.prefix, start, count),
        lambda raw: [_Runs(n, _runs(flat)) for n, flat in raw],
    )


def _runs(flat: Sequence[Any]) -> list[CronRun]:
    words = iter(flat)
    return [
        CronRun(
            job_id=job_id.decode("utf-8", "replace"),
            triggered_at=int(float(score)),
            slot=to_int(slot),
            outcome=status.decode("utf-8", "replace") if status else EXPIRED,
            duration_ms=to_int(duration),
        )
        for job_id, score, status, slot, duration in zip(words, words, words, words, words, strict=True)
    ]


def _view(table: CronTable, row: Stored, found: _Runs, outcomes: bool) -> CronView:
    entry = row.entry
    assert entry is not None
    newest = found.runs[0] if found.runs else None
    return CronView(
        id=row.id,
        name=entry.name or row.id,
        cron_expr=entry.cron_expr,
        timezone=entry.timezone or "UTC",
        job_type=entry.job_type,
        queue=entry.queue,
        payload=as_json(entry.payload) if entry.payload else None,
        timeout=entry.timeout or UNSET,
        max_retry=UNSET if entry.max_retry is None else entry.max_retry,
        overlap_policy=entry.overlap_policy,
        enabled=entry.enabled,
        orphaned=table.orphaned(row),
        last_run=_time(entry.last_run),
        next_run=_time(entry.next_run),
        last_status=entry.last_status or None,
        last_job=None if newest is None else _last_job(newest),
        outcomes=[run.outcome for run in found.runs] if outcomes else UNSET,
        created_at=entry.created_at,
        updated_at=entry.updated_at,
    )


def _last_job(run: CronRun) -> LastJob:
    return LastJob(job_id=run.job_id, triggered_at=run.triggered_at, status=run.outcome)


def _time(seconds: int) -> int | None:
    """Return a time; 0 and -1 say that there is none."""
    return seconds if seconds > 0 else None


def _upcoming(entry: CronEntry, view: CronView, now_s: float) -> list[int]:
    if not view.enabled or view.orphaned:
        return []
    times: list[int] = []
    after = now_s
    try:
        schedule = entry.schedule()
        while len(times) < UPCOMING:
            after = schedule.next(after)
            times.append(int(after))
    except (NeverFires, ValueError):
        return times  # no further time, or an expression that only another program understands
    return times
