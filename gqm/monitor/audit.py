"""Entries of the audit: one for each write, sign-in and refused write; a flood of refusals is summed up."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from gqm.errors import GQMError
from gqm.monitor.request import Request
from gqm.store.commands.audit import AuditEntry, append_audit

if TYPE_CHECKING:
    from gqm.monitor.backend import Backend
    from gqm.monitor.problems import Problem

log = logging.getLogger("gqm.api")

MOST_REFUSALS = 10
"""Refusals and failed sign-ins that are recorded each second; the rest is one entry."""
_FLOODING = ("auth.refused", "auth.login_failed")


class Audit:
    """Writes what was done to the stream."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lock = threading.Lock()
        self._second = 0
        self._count = 0
        self._suppressed = 0

    def record(self, request: Request, problem: Problem | None) -> None:
        """Record a request if it is one to be recorded; ``problem`` is why it was refused."""
        action = self._action(request, problem)
        if not action or request.note.skip:
            return
        suppressed = 0
        if action in _FLOODING:
            allowed, suppressed = self._allow()
            if not allowed:
                return
        if suppressed:
            write_entry(self._backend, self._entry(request, "audit.suppressed", None, suppressed))
        write_entry(self._backend, self._entry(request, action, problem, request.note.count))

    def _action(self, request: Request, problem: Problem | None) -> str:
        row = request.row
        if request.reads_only or row is None or not row.action:
            return ""
        if problem is None:
            return request.note.action or row.action
        if row.access == "none":
            return request.note.action if problem.status in (401, 429) else ""
        if problem.status in (401, 403):
            return "auth.refused"
        return row.action if problem.status in (404, 409) else ""

    def _allow(self) -> tuple[bool, int]:
        with self._lock:
            second = int(time.monotonic())
            suppressed = 0
            if second != self._second:
                self._second, self._count = second, 0
                suppressed, self._suppressed = self._suppressed, 0
            self._count += 1
            if self._count > MOST_REFUSALS:
                self._suppressed += 1
                return False, 0
            return True, suppressed

    def flush(self) -> None:
        """Record what was summed up and not yet told; called now and then, and at the end."""
        with self._lock:
            if int(time.monotonic()) == self._second:
                return
            suppressed, self._suppressed = self._suppressed, 0
        if suppressed:
            write_entry(
                self._backend,
                AuditEntry(
                    actor="",
                    role="",
                    source="",
                    address="",
                    action="audit.suppressed",
                    target="",
                    count=suppressed,
                    request_id=f"{time.time_ns():016x}"[-16:],
                ),
            )

    def _entry(self, request: Request, action: str, problem: Problem | None, count: int) -> AuditEntry:
        caller, note = request.caller, request.note
        summed = action == "audit.suppressed"
        return AuditEntry(
            actor="" if summed else note.actor or (caller.name if caller else ""),
            role=caller.role if caller and not summed else "",
            source=caller.source if caller and not summed else "session" if note.actor else "",
            address="" if summed else request.address,
            action=action,
            target="" if summed else note.target or request.name or request.path[:200],
            count=count,
            before=note.before,
            after=note.after,
            ok=problem is None,
            code=problem.code if problem else "",
            request_id=request.id,
        )


def write_entry(backend: Backend, entry: AuditEntry) -> None:
    """Add an entry; if that cannot be, it is only logged, because what it tells of is done already."""
    try:
        backend.run(append_audit(backend.keys, entry))
    except GQMError as exc:
        log.warning("audit entry %s of %s not written: %s", entry.action, entry.actor, exc)
