"""Commands on cron entries: read and store them, handle their slots, trigger and forget them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from gqm.cronentry import SOURCE, CronEntry, CronMeta
from gqm.newjob import MAX_ENQUEUED_BY, NewJob, Options, new_job
from gqm.store.command import Command, Word, call, optional, texts
from gqm.store.scripts import script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqm.keys import Keys


# ------------------------------------------------------------------------------- reading, storing


class Stored(NamedTuple):
    """An entry as it stands in Redis."""

    id: str
    text: bytes
    """What a change must expect to find; empty = there is no such entry."""
    entry: CronEntry | None
    """``None`` if there is no entry, or none that can be read."""
    slot: int | None
    """The last handled slot, unix seconds."""
    meta: CronMeta | None
    """Where it comes from; ``None`` for entries of Go."""


class CronTable(NamedTuple):
    """Entries as they stood at one instant."""

    rows: list[Stored]
    listed: frozenset[str]
    """Ids that live servers know of; empty unless they were asked for."""
    now_ms: int
    """The server's clock, unix milliseconds."""

    def orphaned(self, row: Stored) -> bool:
        """Whether an entry that this program registered is in no live server's configuration any more."""
        return row.meta is not None and row.meta.source == SOURCE and row.id not in self.listed


def read_cron(keys: Keys, ids: Sequence[str] = (), *, listed: bool = False) -> Command[CronTable]:
    """Read entries in the order asked for, or all that are stored, in no order.

    ``listed`` also asks which entries live servers know of; `CronTable.orphaned` needs it.
    """
    names = (keys.cron_entries, keys.cron_slots, keys.cron_meta, keys.leases)
    return call(script("cron_read"), names, (keys.prefix, int(listed), *ids), _table)


def _table(raw: Any) -> CronTable:
    flat, lists, now_ms = raw
    words = iter(flat)
    rows = [_stored(*row) for row in zip(words, words, words, words, strict=True)]
    return CronTable(rows, frozenset(item for text in lists for item in _ids(text)), now_ms)


def _stored(entry_id: bytes, text: bytes, slot: bytes, meta: bytes) -> Stored:
    name = entry_id.decode("utf-8", "replace")
    entry = None
    if text:
        try:
            entry = CronEntry.read(name, text)
        except ValueError:
            entry = None
    return Stored(name, text, entry, _slot(slot), CronMeta.read(meta) if meta else None)


def _slot(raw: bytes) -> int | None:
    return int(raw) if raw.isdigit() and len(raw) < 16 else None


def _ids(text: bytes) -> list[str]:
    try:
        return msgspec.json.decode(text, type=list[str])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []


def put_cron(
    keys: Keys,
    entry: CronEntry,
    expected: bytes,
    *,
    slot: int | None = None,
    meta: CronMeta | None = None,
) -> Command[bytes | None]:
    """Store an entry if it still reads as ``expected`` (empty = there is none); schedulers are told.

    ``slot`` is the last handled slot from now on, ``None`` leaves it as it is; so with ``meta``. The answer
    is ``None`` if it was stored, else what stands there (empty = nothing).
    """
    args: tuple[Word, ...] = (keys.prefix, entry.id, expected, entry.write(), optional(slot))
    args += (b"" if meta is None else meta.write(),)
    names = (keys.cron_entries, keys.cron_slots, keys.cron_meta)
    return call(script("cron_put"), names, args, lambda raw: None if raw == 1 else raw)


Forgotten = Literal["ok", "changed", "missing"]


def forget_cron(keys: Keys, entry_id: str, expected: bytes) -> Command[Forgotten]:
    """Delete an entry with all that is kept about it if it still reads as ``expected``; its jobs stay."""
    names = (
        keys.cron_entries,
        keys.cron_slots,
        keys.cron_meta,
        keys.cron_history(entry_id),
        keys.cron_current(entry_id),
        keys.cron_active(entry_id),
    )
    args = (keys.prefix, entry_id, expected)
    return call(script("cron_forget"), names, (*args, 0), lambda raw: raw[0].decode(), again=(*args, 1))


def unlock_cron(keys: Keys, entry_id: str, owner: str) -> Command[bool]:
    """Free the lock that a Go scheduler holds on an entry; False if it is not the owner's."""
    args = (keys.prefix, owner)
    return call(script("cron_unlock"), (keys.cron_lock(entry_id),), (*args, 0), bool, again=(*args, 1))


# ----------------------------------------------------------------------------------------- firing

Outcome = Literal["fired", "skipped", "done", "changed", "locked", "early", "more"]


class Fire(NamedTuple):
    """Answer of a call that handles a slot or triggers an entry."""

    outcome: Outcome
    """fired; skipped = an earlier job lives; done = others have handled the slot; changed = the entry is not
    the expected one; locked = a Go scheduler is at it; early = the slot is ahead; more = call again."""
    job_id: str
    """The job that was made; empty if none was."""
    jobs: list[str]
    """The jobs that were stopped, or the one for which the slot was skipped."""
    text: bytes
    """The entry as it stands now; empty = there is none."""
    slot: int | None
    """The last handled slot, as far as the answer tells."""
    now_ms: int
    """The server's clock, unix milliseconds."""


def fire_slot(
    keys: Keys, entry: CronEntry, text: bytes, slot: int, now: int, failure_ttl: int | None = None
) -> Command[Fire]:
    """Handle a slot of an entry whose text is ``text``: make its job, or skip it as its policy says.

    ``now`` is the server's time in seconds, noted as ``last_run``; ``failure_ttl`` (seconds) is the default
    for jobs that are stopped. Raises at once: `InvalidJob` or `PayloadTooLarge` if no job can be made,
    ``ValueError`` if the expression cannot be read.
    """
    fired = entry.ran(slot, now, "triggered").write()
    skipped = entry.ran(slot, now, "skipped").write()
    return _fire(keys, entry, text, slot, fired, skipped, failure_ttl)


def trigger(keys: Keys, entry: CronEntry, text: bytes) -> Command[Fire]:
    """Make a job of an entry now, whatever its schedule says; only ``changed`` keeps it from being made.

    Raises at once: `InvalidJob` or `PayloadTooLarge`.
    """
    return _fire(keys, entry, text, None, text, text, None)


def _fire(
    keys: Keys,
    entry: CronEntry,
    text: bytes,
    slot: int | None,
    fired: bytes,
    skipped: bytes,
    failure_ttl: int | None,
) -> Command[Fire]:
    job = _job(entry, slot)
    names = (
        keys.cron_entries,
        keys.cron_slots,
        keys.cron_history(entry.id),
        keys.cron_current(entry.id),
        keys.cron_active(entry.id),
        keys.cron_lock(entry.id),
    )
    about: tuple[Word, ...] = (entry.id, optional(slot), int(slot is None), text, fired, skipped)
    args = (keys.prefix, *about, entry.overlap_policy, optional(failure_ttl), job.id, job.queue, *job.fields)

    def read(raw: Any) -> Fire:
        outcome, now_ms, details = raw[0].decode(), raw[1], raw[2:]
        match outcome:
            case "fired":
                return Fire("fired", job.id, texts(details), fired, slot, now_ms)
            case "skipped":
                return Fire("skipped", "", texts(details), skipped, slot, now_ms)
            case "done":
                return Fire("done", "", [], details[1], _slot(details[0]), now_ms)
            case "changed":
                return Fire("changed", "", [], details[0], None, now_ms)
            case _:
                return Fire(outcome, "", texts(details), text, None, now_ms)

    return call(script("cron_fire"), names, args, read)


def _job(entry: CronEntry, slot: int | None) -> NewJob:
    options: Options = {"queue": entry.queue, "enqueued_by": f"cron:{entry.id}"[:MAX_ENQUEUED_BY]}
    if entry.timeout > 0:
        options["timeout"] = entry.timeout
    if entry.max_retry is not None:
        options["max_retry"] = entry.max_retry
    payload = msgspec.Raw(entry.payload) if entry.payload else None
    job = new_job(entry.job_type, payload, options)
    origin = ("cron_id", entry.id) if slot is None else ("cron_id", entry.id, "cron_slot", slot)
    return job._replace(fields=(*job.fields, *origin))
