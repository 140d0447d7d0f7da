"""Acting on many jobs: looking ahead, asking, going on until the end, and telling what was refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from gqm_cli.diagnostics import FAILED, CommandFailed
from gqm_cli.operating import operator
from gqm_cli.output import counted, note, printable, say, say_encoded
from gqm_cli.prompts import check_askable, confirm
from gqm_cli.selection import ByFilter, ById

if TYPE_CHECKING:
    from gqm.admin import Action, Admin, Batch, JobResult, Preview
    from gqm.config import Config

_DONE = {"retry": "retried", "cancel": "canceled", "delete": "deleted"}
_AT_ONCE = 1000
_TOLD = 10
"""Refusals that get a line each."""


def act(
    action: Action, chosen: ById | ByFilter, config: Config, *, yes: bool, dry_run: bool, json: bool
) -> None:
    """Retry, cancel or delete jobs, and print how many.

    Those of a filter are counted first, and somebody has to agree. Ends the command with 1 if a job was
    refused. Raises `WrongUse`, `CommandFailed`, `RedisUnavailable`, `RedisSetupError`, `StoreError`.
    """
    if isinstance(chosen, ByFilter) and not dry_run:
        check_askable(yes=yes)
    with operator(config) as acting:
        if dry_run:
            _tell_preview(action, _preview(acting.admin, action, chosen), json)
            return
        if isinstance(chosen, ById):
            done = _by_id(acting.admin, action, chosen.ids)
        else:
            done = _by_filter(acting.admin, action, chosen, yes)
    _tell(action, done, json)


# ------------------------------------------------------------------------------------- looking ahead


def _preview(admin: Admin, action: Action, chosen: ById | ByFilter) -> Preview:
    if isinstance(chosen, ByFilter):
        return admin.preview(action, wanted=chosen.wanted)
    if len(chosen.ids) > _AT_ONCE:
        raise CommandFailed(f"--dry-run looks at {_AT_ONCE:,} ids at most; there are {len(chosen.ids):,}")
    return admin.preview(action, job_ids=chosen.ids)


def _tell_preview(action: Action, found: Preview, json: bool) -> None:
    if json:
        say_encoded(found)
        return
    more = " or more" if found.truncated else ""
    say(f"{counted(found.eligible, 'job')}{more} would be {_DONE[action]}{_skipped(found)}")


def _skipped(found: Preview) -> str:
    if not found.skipped:
        return ""
    reasons = ", ".join(f"{count:,} {code}" for code, count in sorted(found.skipped.items()))
    return f"; refused: {reasons}"


# -------------------------------------------------------------------------------------------- acting


def _by_filter(admin: Admin, action: Action, chosen: ByFilter, yes: bool) -> Batch:
    """Act on the jobs that match now, once somebody agrees to their number."""
    from msgspec.structs import replace

    from gqm.admin import Batch

    found = admin.preview(action, wanted=chosen.wanted)
    if not found.matched:
        return Batch(succeeded=0, failed=0, results=[])
    if not found.eligible:
        raise CommandFailed(
            f"none of {counted(found.matched, 'job')} can be {_DONE[action]}", code="CONFLICT"
        )
    most = found.matched if chosen.limit is None else min(found.matched, chosen.limit)
    more = " or more" if found.truncated and chosen.limit is None else ""
    confirm(f"{action.capitalize()} {counted(min(found.eligible, most), 'job')}{more}", yes=yes)
    wanted = replace(chosen.wanted, until=found.as_of)
    results: list[JobResult] = []
    cursor = None
    while True:
        left = _AT_ONCE if chosen.limit is None else min(_AT_ONCE, chosen.limit - len(results))
        step = admin.batch(action, wanted=wanted, limit=left, cursor=cursor)
        results += step.results
        cursor = step.next
        if cursor is None or len(results) == chosen.limit:
            return _whole(results)
        if sys.stderr.isatty():
            note(f"{len(results):,} of {most:,} done")


def _by_id(admin: Admin, action: Action, ids: tuple[str, ...]) -> Batch:
    if len(ids) == 1:
        return _whole([_single(admin, action, ids[0])])
    results: list[JobResult] = []
    for start in range(0, len(ids), _AT_ONCE):
        results += admin.batch(action, job_ids=ids[start : start + _AT_ONCE]).results
    return _whole(results)


def _single(admin: Admin, action: Action, job_id: str) -> JobResult:
    """Act on one job: its audit entry then also tells the state before."""
    from gqm.admin import JobResult, code_of
    from gqm.admin.results import BECOMES
    from gqm.errors import JobNotFound, JobStateError

    does: dict[Action, Callable[[str], object]] = {
        "retry": admin.retry,
        "cancel": admin.cancel,
        "delete": admin.delete,
    }
    try:
        does[action](job_id)
    except (JobNotFound, JobStateError) as exc:
        return JobResult(job_id=job_id, ok=False, code=code_of(exc), error=str(exc))
    return JobResult(job_id=job_id, ok=True, status=BECOMES[action])


def _whole(results: list[JobResult]) -> Batch:
    from gqm.admin import Batch

    succeeded = sum(result.ok for result in results)
    return Batch(succeeded=succeeded, failed=len(results) - succeeded, results=results)


# ------------------------------------------------------------------------------------------ telling


def _tell(action: Action, done: Batch, json: bool) -> None:
    if json:
        say_encoded(done)
    else:
        say(f"{done.succeeded:,} {_DONE[action]}" + (f", {done.failed:,} refused" if done.failed else ""))
    refused = [result for result in done.results if not result.ok]
    for result in refused[:_TOLD]:
        text = str(result.error)
        note(printable(f"gqm: error: {text if result.job_id in text else f'job {result.job_id!r}: {text}'}"))
    if len(refused) > _TOLD:
        note(f"gqm: error: and {len(refused) - _TOLD:,} more; --json names all of them")
    if refused:
        raise typer.Exit(FAILED)
