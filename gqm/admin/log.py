"""Writes the audit log: one entry for each action, also for one that was refused."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gqm.admin.results import code_of
from gqm.errors import GQMError, JobStateError, RedisUnavailable
from gqm.ids import new_nonce
from gqm.store.commands.audit import AuditEntry, append_audit

if TYPE_CHECKING:
    from gqm.store.sync import Store

log = logging.getLogger("gqm.admin")


@dataclass(slots=True)
class Note:
    """What is noted about an action while it goes on."""

    count: int = 1
    before: str = ""
    after: str = ""


class AuditLog:
    """The log as one caller writes it."""

    def __init__(
        self, store: Store, *, actor: str, role: str, source: str, address: str, request_id: str
    ) -> None:
        self._store = store
        self._actor = actor
        self._role = role
        self._source = source
        self._address = address
        self._request_id = request_id

    @contextmanager
    def action(self, name: str, target: str) -> Iterator[Note]:
        """Write one entry when the block ends, or when it is refused with an error, which goes on."""
        note = Note()
        try:
            yield note
        except RedisUnavailable:
            # Where the action could not be told to Redis, its entry cannot be either.
            log.error("%s on %s by %s: Redis went away", name, target, self._actor)
            raise
        except GQMError as exc:
            if isinstance(exc, JobStateError):
                note.before = exc.state
            self.write(name, target, Note(0, note.before), code_of(exc))
            raise
        self.write(name, target, note)

    def write(self, name: str, target: str, note: Note, code: str = "") -> None:
        """Write one entry. What cannot be written is logged: the action itself is done."""
        entry = AuditEntry(
            actor=self._actor,
            role=self._role,
            source=self._source,
            address=self._address,
            action=name,
            target=target,
            count=note.count,
            before=note.before,
            after=note.after,
            ok=not code,
            code=code,
            request_id=self._request_id or new_nonce(),
        )
        try:
            self._store.run(append_audit(self._store.keys, entry))
        except GQMError as exc:
            log.error("audit entry lost: %s on %s by %s: %s", name, target, self._actor, exc)
