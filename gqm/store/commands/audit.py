"""Commands on the audit stream: who did what, from where, and how it went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from gqm.store.command import Command, Word, call
from gqm.store.scripts import script

if TYPE_CHECKING:
    from gqm.keys import Keys

MAX_ENTRIES = 10_000
"""About how many entries the stream keeps."""
MAX_TEXT = 1024
"""Longest text of one field; what is longer is cut."""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One action. Never holds payloads or secrets."""

    actor: str
    """Who: a user, ``apikey:NAME``, ``cli:USER``."""
    role: str
    source: str
    """``session``, ``key``, ``anonymous``, ``external`` or ``cli``."""
    address: str
    action: str
    """What, as ``job.retry``."""
    target: str
    """On what: a job id, a queue, a filter."""
    count: int = 1
    before: str = ""
    after: str = ""
    ok: bool = True
    code: str = ""
    """Why it was refused; empty if it was not."""
    request_id: str
    """16 hexadecimal digits; tells a repeated send from a second action."""


def append_audit(keys: Keys, entry: AuditEntry) -> Command[str]:
    """Add an entry; the answer is its id. The time is added by the script."""
    head = (entry.request_id, entry.action, _cut(entry.target))
    words: list[Word] = []
    for name in ("actor", "role", "source", "address", "before", "after", "code"):
        words += (name, _cut(getattr(entry, name)))
    words += ("count", entry.count, "ok", int(entry.ok))
    args = (keys.prefix, 0, *head, *words)
    again = (keys.prefix, 1, *head, *words)
    return call(script("audit"), (keys.audit,), args, lambda raw: str(raw.decode()), again=again)


def _cut(text: str) -> str:
    # A lone surrogate, as Python makes it of a foreign argument, has no place in UTF-8.
    return text[:MAX_TEXT].encode("utf-8", "replace").decode()


class StoredAudit(NamedTuple):
    """An entry as it was read."""

    id: str
    fields: Mapping[str, str]


def read_audit(keys: Keys, newest: str, oldest: str, count: int) -> Command[list[StoredAudit]]:
    """Read entries between two ids (``+``, ``-``, unix ms), newest first."""
    words = ("XREVRANGE", keys.audit, newest, oldest, "COUNT", count)
    return Command(words, lambda raw: [_stored(*entry) for entry in raw])


def _stored(entry_id: bytes, flat: Any) -> StoredAudit:
    words = iter(part.decode("utf-8", "replace") for part in flat)
    return StoredAudit(entry_id.decode(), dict(zip(words, words, strict=True)))


def audit_size(keys: Keys) -> Command[int]:
    """Return the number of entries."""
    return Command(("XLEN", keys.audit), int)
