"""The actions of an operator on cron entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gqm.admin.results import Result
from gqm.cronentry import CronEntry
from gqm.errors import CronEntryNotFound, JobStateError, StoreError
from gqm.store.commands.cron import CronTable, Stored, forget_cron, put_cron, read_cron, trigger

if TYPE_CHECKING:
    from gqm.admin.log import AuditLog, Note
    from gqm.store.sync import Store


class Triggered(Result, frozen=True, kw_only=True):
    """A job of an entry was made by hand."""

    cron_id: str
    job_id: str


class CronSwitched(Result, frozen=True, kw_only=True):
    """An entry was enabled or disabled."""

    cron_id: str
    enabled: bool
    changed: bool
    next_run: int | None
    """The next slot, unix seconds; ``None`` while disabled, or if none comes."""


class CronDeleted(Result, frozen=True, kw_only=True):
    """An entry was deleted."""

    cron_id: str
    deleted: bool = True


class CronAdmin:
    """Acts on cron entries on behalf of somebody; `gqm.admin.Admin.cron` makes it.

    Other processes may change an entry between two looks; then it is judged again as it is by then. Every
    action raises `CronEntryNotFound`, `RedisUnavailable` when Redis is away, and `StoreError` when a key has
    a wrong type or an entry cannot be read.
    """

    def __init__(self, store: Store, log: AuditLog) -> None:
        self._store = store
        self._keys = store.keys
        self._log = log

    def trigger(self, entry_id: str) -> Triggered:
        """Make a job of an entry now, also while it is disabled or an earlier job lives.

        Raises `JobStateError` for an orphaned entry, `InvalidJob` if no job can be made of it.
        """
        with self._log.action("cron.trigger", entry_id) as note:
            job_id = ""
            while not job_id:
                table, row = self._find(entry_id)
                _refuse_orphaned(table, row, "triggered")
                job_id = self._store.run(trigger(self._keys, _readable(row), row.text)).job_id
            note.after = job_id
        return Triggered(cron_id=entry_id, job_id=job_id)

    def enable(self, entry_id: str) -> CronSwitched:
        """Let an entry fire again, from its next slot on. Raises `JobStateError` for an orphaned entry."""
        with self._log.action("cron.enable", entry_id) as note:
            return self._switch(entry_id, True, note)

    def disable(self, entry_id: str) -> CronSwitched:
        """Keep an entry from firing, on all servers and over their restarts."""
        with self._log.action("cron.disable", entry_id) as note:
            return self._switch(entry_id, False, note)

    def _switch(self, entry_id: str, enabled: bool, note: Note) -> CronSwitched:
        while True:
            table, row = self._find(entry_id)
            if enabled:
                _refuse_orphaned(table, row, "enabled")
            entry = _readable(row)
            note.before, note.after = _state(entry.enabled), _state(enabled)
            if entry.enabled == enabled:
                return _switched(entry, changed=False)
            now = table.now_ms // 1000
            try:
                switched = entry.switched(enabled, now)
            except ValueError as exc:
                raise StoreError(f"cron entry {entry_id!r} cannot be enabled: {exc}") from None
            put = put_cron(self._keys, switched, row.text, slot=now if enabled else None)
            if self._store.run(put) is None:
                return _switched(switched, changed=True)

    def delete(self, entry_id: str) -> CronDeleted:
        """Delete an orphaned entry with its history; its jobs stay.

        Raises `JobStateError` for an entry that is in a live server's configuration, or that Go registered.
        """
        with self._log.action("cron.delete", entry_id) as note:
            outcome = ""
            while outcome != "ok":
                table, row = self._find(entry_id)
                if not table.orphaned(row):
                    text = f"cron entry {entry_id!r} is in use; take it out of the configuration first"
                    raise JobStateError(text, state="registered")
                outcome = self._store.run(forget_cron(self._keys, entry_id, row.text))
            note.before, note.after = "orphaned", "deleted"
        return CronDeleted(cron_id=entry_id)

    def _find(self, entry_id: str) -> tuple[CronTable, Stored]:
        table = self._store.run(read_cron(self._keys, [entry_id], listed=True))
        row = table.rows[0]
        if not row.text:
            raise CronEntryNotFound(f"there is no cron entry {entry_id!r}")
        return table, row


def _refuse_orphaned(table: CronTable, row: Stored, what: str) -> None:
    if table.orphaned(row):
        text = f"cron entry {row.id!r} cannot be {what}: no live server has it in its configuration"
        raise JobStateError(text, state="orphaned")


def _readable(row: Stored) -> CronEntry:
    if row.entry is None:
        raise StoreError(f"cron entry {row.id!r} holds something that GQM did not write")
    return row.entry


def _state(enabled: bool) -> str:
    return "enabled" if enabled else "disabled"


def _switched(entry: CronEntry, *, changed: bool) -> CronSwitched:
    next_run = entry.next_run if entry.enabled and entry.next_run > 0 else None
    return CronSwitched(cron_id=entry.id, enabled=entry.enabled, changed=changed, next_run=next_run)
