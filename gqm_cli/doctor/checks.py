"""A check of the doctor as a value, and the report of many."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gqm_cli.output import GREEN, RED, YELLOW, counted, printable, styled

__all__ = ["Check", "Status", "fail", "ok", "report", "skip", "summary", "warn"]

_GROUP = 9


class Status(enum.StrEnum):
    """How a check went."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    """It could not be made, or has no meaning here."""


_SIGNS = {Status.OK: ("✓", "+", GREEN), Status.WARN: ("!", "!", YELLOW), Status.FAIL: ("✗", "x", RED)}


@dataclass(frozen=True, slots=True)
class Check:
    """One check."""

    id: str
    """Group and name: ``redis.policy``."""
    status: Status
    detail: str
    """What was found."""
    fix: str = ""
    """What to do about it."""

    @property
    def group(self) -> str:
        """The part of the installation that it is about."""
        return self.id.partition(".")[0]

    def as_json(self) -> dict[str, str]:
        """Return it as programs get it."""
        return {"id": self.id, "status": self.status.value, "detail": self.detail, "fix": self.fix}


def ok(check_id: str, detail: str) -> Check:
    """Return a check that went well."""
    return Check(check_id, Status.OK, detail)


def warn(check_id: str, detail: str, fix: str = "") -> Check:
    """Return a check that found something to think about."""
    return Check(check_id, Status.WARN, detail, fix)


def fail(check_id: str, detail: str, fix: str = "") -> Check:
    """Return a check that found something wrong."""
    return Check(check_id, Status.FAIL, detail, fix)


def skip(check_id: str, detail: str) -> Check:
    """Return a check that was not made."""
    return Check(check_id, Status.SKIP, detail)


def report(checks: Iterable[Check]) -> Iterator[str]:
    """Yield a line for each check that was made: sign, group, finding and what to do."""
    for check in checks:
        if check.status is Status.SKIP:
            continue
        fix = f": {check.fix}" if check.fix else ""
        yield f"{_sign(check.status)} {check.group:{_GROUP}}{printable(check.detail + fix)}"


def summary(checks: Sequence[Check]) -> str:
    """Return how many problems and warnings there are."""
    problems = sum(check.status is Status.FAIL for check in checks)
    warnings = sum(check.status is Status.WARN for check in checks)
    if not problems and not warnings:
        return "no problems"
    return f"{counted(problems, 'problem')}, {counted(warnings, 'warning')}"


def _sign(status: Status) -> str:
    sign, plain, colour = _SIGNS[status]
    try:
        sign.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        sign = plain
    return styled(sign, colour, sys.stdout)
