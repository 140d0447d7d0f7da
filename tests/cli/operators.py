"""What the tests of the operators' commands share: the audit log, and the ways in which all of them fail."""

from __future__ import annotations

import getpass

from gqm.store.plan import follow
from gqm.store.read.audit import AuditFilter, list_audit
from tests.cli.helpers import Done, Gqm
from tests.support.keyspace import Keyspace

__all__ = ["AWAY", "OPERATIONS", "audit", "ok"]

AWAY = "redis:\n  addr: 127.0.0.1:1\n"
"""A configuration whose Redis is away."""

OPERATIONS = (
    *("queue list", "queue pause mail", "queue resume mail", "queue empty mail --yes"),
    *("job list", "job show a1", "job retry a1", "job cancel a1", "job delete --status ready --yes"),
    *("cron list", "cron trigger tidy", "cron enable tidy", "cron disable tidy", "cron delete tidy"),
)
"""A right use of each command on queues, jobs and schedules."""


def audit(space: Keyspace) -> list[tuple[object, ...]]:
    """The audit log, oldest first; all of it must be by this user of the command line."""
    found = list(follow(space.store, list_audit(space.keys, AuditFilter(), 1, 100)).items)
    for item in found:
        assert (item.actor, item.role, item.source) == (f"cli:{getpass.getuser()}", "admin", "cli")
    return [
        (item.action, item.target, item.count, item.before, item.after, item.code) for item in found[::-1]
    ]


def ok(done: Done, *, err: str = "") -> str:
    """What a command printed that worked; all that it said beside that is ``err``."""
    assert (done.code, done.err) == (0, err), done
    return done.out


def run(gqm: Gqm, place: str, line: str) -> Done:
    """Run a command in a pipe or on a terminal."""
    return gqm(*line.split()) if place == "pipe" else gqm.terminal(*line.split(), NO_COLOR="1")
