"""The ledger as the doctor tells it: each kind of fault with its number, some names, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gqm_cli.doctor.checks import Check, Status, ok, warn
from gqm_cli.output import counted

if TYPE_CHECKING:
    from gqm.admin.ledger import Repaired
    from gqm.store.read.ledger import Census, Finding

MOST_NAMES = 5


def check_ledger(census: Census) -> Iterator[Check]:
    """Yield a check for each kind of finding."""
    from gqm.store.read.faults import FAULTS

    for kind, findings in census.of_kind().items():
        fault = FAULTS[kind]
        text = f"{fault.text} ({len(findings):,}): {_names(findings)}"
        fix = f"--fix would {fault.advice}" if fault.repair else fault.advice
        yield Check(f"ledger.{kind}", Status.FAIL if fault.grave else Status.WARN, text, fix)
    where = f"{counted(census.jobs, 'job')} in {counted(census.queues, 'queue')}"
    if not census.complete:
        yield warn("ledger.bounds", f"only {where} were looked at: the key space is larger than one look")
    elif not census.findings:
        yield ok("ledger.all", f"{where}: places, states, links, claims and counters agree")


def _names(findings: Sequence[Finding]) -> str:
    shown = list(dict.fromkeys(_name(finding) for finding in findings))
    more = len(shown) - MOST_NAMES
    return ", ".join(shown[:MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def _name(finding: Finding) -> str:
    return f"{finding.subject} ({finding.detail})" if finding.detail else finding.subject


def repairable(census: Census) -> list[tuple[str, str]]:
    """Return what a repair would do: for each kind that has one, what is wrong, and what is done about it."""
    from gqm.store.read.faults import FAULTS

    return [
        (f"{FAULTS[kind].text} ({len(findings):,})", FAULTS[kind].advice)
        for kind, findings in census.of_kind().items()
        if FAULTS[kind].repair
    ]


def told(done: Repaired) -> str:
    """Return what became of the findings of a kind."""
    from gqm.store.read.faults import FAULTS

    rest = done.found - done.changed
    moved = f", {rest:,} needed none any more" if rest else ""
    return f"repaired {done.changed:,} of {done.found:,}{moved}: {FAULTS[done.kind].text}"
