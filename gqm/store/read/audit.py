"""The audit log as people see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from gqm.errors import InvalidQuery
from gqm.store.commands.audit import StoredAudit, audit_size, read_audit
from gqm.store.commands.read import server_time
from gqm.store.plan import Plan, ask
from gqm.store.read.views import Page, View

if TYPE_CHECKING:
    from gqm.keys import Keys

AT_ONCE = 500
MAX_SCANNED = 20_000
"""Most entries that are looked at; the stream keeps about half as many."""


class AuditView(View, frozen=True, kw_only=True):
    """One action, and how it went."""

    id: str
    ts: float
    """When."""
    actor: str
    """User, `apikey:<name>`, or operating-system user."""
    role: str
    source: str
    """`session`, `key`, `anonymous`, `external` or `cli`."""
    address: str
    action: str
    target: str
    """What it was done to; a filter of a batch as JSON."""
    count: int
    """How many things were changed."""
    before: str
    after: str
    ok: bool
    """Whether it was done."""
    code: str | None
    """Why it was refused."""
    request_id: str


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries are meant. What is empty or ``None`` does not matter."""

    actor: str = ""
    action: str = ""
    """One that ends in ``*`` is a prefix."""
    target: str = ""
    ok: bool | None = None
    since: float | None = None
    """Unix seconds, included."""
    until: float | None = None

    def fits(self, entry: AuditView) -> bool:
        """Test all but the time."""
        if self.action.endswith("*"):
            action_fits = entry.action.startswith(self.action[:-1])
        else:
            action_fits = self.action in ("", entry.action)
        return (
            action_fits
            and self.actor in ("", entry.actor)
            and self.target in ("", entry.target)
            and self.ok in (None, entry.ok)
        )

    @property
    def reads_all(self) -> bool:
        """Whether only reading entries tells how many there are."""
        return self != AuditFilter()


def list_audit(keys: Keys, wanted: AuditFilter, page: int = 1, limit: int = 20) -> Plan[Page[AuditView]]:
    """Return one page of the entries that match, newest first.

    Raises `InvalidQuery` for a page or a limit (1 to 100) out of range.
    """
    if not 1 <= limit <= 100 or page < 1:
        raise InvalidQuery("limit must be 1 to 100, and page at least 1")
    newest = "+" if wanted.until is None else _stamp(wanted.until)
    oldest = "-" if wanted.since is None else _stamp(wanted.since)
    found: list[AuditView] = []
    looked_at = 0
    truncated = False
    while True:
        entries = yield from ask(read_audit(keys, newest, oldest, AT_ONCE))
        looked_at += len(entries)
        found += [view for view in map(_view, entries) if wanted.fits(view)]
        if len(entries) < AT_ONCE:
            break
        truncated = looked_at >= MAX_SCANNED
        if truncated or (not wanted.reads_all and len(found) >= page * limit):
            break
        newest = f"({entries[-1].id}"
    total = len(found) if wanted.reads_all else (yield from ask(audit_size(keys)))
    return Page(
        items=found[(page - 1) * limit : page * limit],
        page=page,
        limit=limit,
        total=total,
        truncated=truncated,
        scanned=looked_at if wanted.reads_all else UNSET,
        server_time=(yield from ask(server_time(keys))),
    )


def _view(entry: StoredAudit) -> AuditView:
    fields = entry.fields
    count = fields.get("count", "")
    return AuditView(
        id=entry.id,
        ts=int(entry.id.partition("-")[0]) / 1000,
        actor=fields.get("actor", ""),
        role=fields.get("role", ""),
        source=fields.get("source", ""),
        address=fields.get("address", ""),
        action=fields.get("action", ""),
        target=fields.get("target", ""),
        count=int(count) if count.isdecimal() and count.isascii() and len(count) < 16 else 0,
        before=fields.get("before", ""),
        after=fields.get("after", ""),
        ok=fields.get("ok") == "1",
        code=fields.get("code") or None,
        request_id=fields.get("request_id", ""),
    )


def _stamp(at_s: float) -> str:
    """Return the part of a stream's id that is a time; streams know none before 1970."""
    return str(max(0, int(at_s * 1000)))
