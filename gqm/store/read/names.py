"""The names of queues, within a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gqm.store.commands.read import scan_set
from gqm.store.plan import Plan, ask

if TYPE_CHECKING:
    from gqm.keys import Keys

MAX_NAMES = 10_000
"""Most queue names that are read."""


class Names(NamedTuple):
    """Names in order."""

    names: list[str]
    complete: bool


def queue_names(keys: Keys) -> Plan[Names]:
    """Return the names of all queues that were ever used, sorted."""
    names: set[str] = set()
    cursor = "0"
    while len(names) < MAX_NAMES:
        step = yield from ask(scan_set(keys.queues, cursor, 1000))
        names.update(step.names)
        cursor = step.cursor
        if cursor == "0":
            break
    return Names(sorted(names), cursor == "0")
