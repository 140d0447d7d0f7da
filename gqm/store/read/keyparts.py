"""What the name of a key says: which part of the key space it is, and which type and expiry it must have."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["KeyPart", "part_of"]

DAY_S = 86_400


class KeyPart(NamedTuple):
    """A key as its name tells."""

    group: str
    """``job``, ``side`` (beside a job), ``queue``, ``claims``, ``cron``, or empty for any other."""
    subject: str
    """Job id, queue, server id or cron entry."""
    kind: str
    """Redis type."""
    expires_s: int = 0
    """How long it lives at most; 0 = it has no fixed life."""


_FIXED = {
    "queues": "set",
    "paused": "set",
    "scheduled": "zset",
    "deferred": "set",
    "dag:roots": "zset",
    "settings": "hash",
    "servers": "set",
    "workers": "set",
    "leases": "zset",
    "cron:entries": "hash",
    "cron:meta": "hash",
    "cron:slots": "hash",
    "keys:used": "hash",
    "audit": "stream",
}
_SIDES = {"deps": "set", "pending_deps": "set", "dependents": "set", "children": "set", "attempts": "list"}
_QUEUE = {
    "ready": "list",
    "processing": "zset",
    "completed": "zset",
    "dead_letter": "zset",
    "canceled": "zset",
}
_CRON = {"current": "string", "active": "set", "history": "zset"}

_Match = re.Match[str]
_PATTERNS: tuple[tuple[re.Pattern[str], str, Callable[[_Match], tuple[str, int]]], ...] = (
    (re.compile(r"job:([^:]+)"), "job", lambda m: ("hash", 0)),
    (
        re.compile(r"job:([^:]+):(deps|pending_deps|dependents|children|attempts)"),
        "side",
        lambda m: (_SIDES[m[2]], 0),
    ),
    (
        re.compile(r"queue:(.+):(ready|processing|completed|dead_letter|canceled)", re.DOTALL),
        "queue",
        lambda m: (_QUEUE[m[2]], 0),
    ),
    (re.compile(r"server:(.+):claims", re.DOTALL), "claims", lambda m: ("hash", 0)),
    (re.compile(r"(?:server|worker):(.+)", re.DOTALL), "", lambda m: ("hash", 60)),
    (re.compile(r"cron:(current|active|history):(.+)", re.DOTALL), "cron", lambda m: (_CRON[m[1]], 0)),
    (re.compile(r"stats:(.+):minute:\d+", re.DOTALL), "", lambda m: ("hash", 3 * 3600)),
    (
        re.compile(r"stats:(.+):(?:processed|failed):\d{4}-\d\d-\d\d", re.DOTALL),
        "",
        lambda m: ("string", 90 * DAY_S),
    ),
    (re.compile(r"stats:(.+):(?:processed|failed)_total", re.DOTALL), "", lambda m: ("string", 0)),
    (re.compile(r"stats:(.+):ledger", re.DOTALL), "", lambda m: ("hash", 0)),
    (re.compile(r"login:(?:pair|addr):(.+)", re.DOTALL), "", lambda m: ("string", 300)),
)


def part_of(name: str) -> KeyPart | None:
    """Return what a key is by its name behind the prefix; ``None`` for a name that GQM does not use."""
    if name in _FIXED:
        return KeyPart("", "", _FIXED[name])
    for pattern, group, read in _PATTERNS:
        match = pattern.fullmatch(name)
        if match:
            kind, expires_s = read(match)
            return KeyPart(group, match[2] if group == "cron" else match[1], kind, expires_s)
    return None
