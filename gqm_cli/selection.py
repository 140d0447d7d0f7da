"""Which jobs a command line means: by id, or by what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gqm_cli.diagnostics import WrongUse

if TYPE_CHECKING:
    from gqm.store.read.match import JobFilter


@dataclass(frozen=True, slots=True)
class ById:
    """Jobs by id, without repetition."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ByFilter:
    """Jobs by what they have in common."""

    wanted: JobFilter
    limit: int | None
    """At most so many of them; ``None`` = all."""


def job_filter(
    status: Sequence[str] | None, queue: Sequence[str] | None, type_: Sequence[str] | None, error: str | None
) -> JobFilter:
    """Return the filter that options ask for. Raises `WrongUse` for an unknown state, `InvalidQuery`."""
    from gqm.job import Status
    from gqm.store.read.match import JobFilter

    states = tuple(word.strip() for item in status or () for word in item.split(","))
    known = tuple(state.value for state in Status)
    for word in states:
        if word not in known:
            raise WrongUse(f'--status "{word}" is not a state; {_advice(word, known)}')
    wanted = JobFilter(status=states, queue=tuple(queue or ()), type=tuple(type_ or ()), error=error or "")
    wanted.check()
    return wanted


def _advice(word: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, known, n=1)
    return f'did you mean "{near[0]}"?' if near else f"one of {', '.join(known)}"


def chosen_jobs(ids: Sequence[str] | None, wanted: JobFilter, limit: int | None) -> ById | ByFilter:
    """Return which jobs are meant: exactly one of ids and a filter with a state.

    Raises `WrongUse`, and `InvalidJob` for an id that is none.
    """
    from gqm.ids import check_job_id

    filtered = bool(wanted.status or wanted.queue or wanted.type or wanted.error)
    if ids and (filtered or limit is not None):
        raise WrongUse("give ids or a filter, not both")
    if ids:
        for job_id in ids:
            check_job_id(job_id)
        return ById(tuple(dict.fromkeys(ids)))
    if not filtered:
        raise WrongUse("no job is named; give ids, or a filter such as --status dead_letter")
    if not wanted.status:
        raise WrongUse("a filter needs --status, so that it says which jobs are meant")
    return ByFilter(wanted, limit)
