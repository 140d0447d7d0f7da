"""Cron entries at the start: what the configuration says about each, merged with what Redis knows of it."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from gqm.cronentry import SOURCE, CronEntry, CronMeta
from gqm.job import encode_json
from gqm.store.commands.cron import Stored, put_cron, read_cron

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqm.config import CronEntryConfig
    from gqm.store.aio import AsyncStore

log = logging.getLogger("gqm.engine")


class Merged(NamedTuple):
    """What is to be stored for an entry."""

    entry: CronEntry
    slot: int | None
    """New last handled slot; ``None`` = as it is."""
    meta: CronMeta | None
    """New origin; ``None`` = as it is."""


def merge(config: CronEntryConfig, stored: Stored, now: int) -> Merged | None:
    """Return what is to be stored, ``None`` if nothing has to change; ``now`` is the server's time (s).

    The definition comes from the configuration. Redis keeps what happened, and whether the entry is enabled:
    the configuration has its say there only the first time, and when it says something else than before.
    """
    old = stored.entry or CronEntry(id=config.id)
    enabled = old.enabled
    if stored.entry is None or (stored.meta is not None and stored.meta.config_enabled != config.enabled):
        enabled = config.enabled
    entry = _defined(old, config, enabled)
    # What is new, or comes at other times from now on, owes nothing for the past.
    anew = stored.slot is None or (enabled and not old.enabled)
    anew = anew or (old.cron_expr, old.timezone) != (entry.cron_expr, entry.timezone)
    handled = now if anew or stored.slot is None else stored.slot
    entry = replace(entry, next_run=entry.slot_after(handled) if enabled else 0)
    meta = CronMeta(SOURCE, config.enabled, stored.meta.registered_at if stored.meta else now)
    if entry != old:
        entry = replace(entry, created_at=old.created_at or now, updated_at=now)
    elif not anew and meta == stored.meta:
        return None
    return Merged(entry, handled if anew else None, None if meta == stored.meta else meta)


def _defined(old: CronEntry, config: CronEntryConfig, enabled: bool) -> CronEntry:
    return replace(
        old,
        name=config.name,
        cron_expr=config.cron_expr,
        timezone=config.timezone,
        job_type=config.job_type,
        queue=config.queue,
        payload=encode_json(config.payload) if config.payload else b"",
        timeout=math.ceil(config.timeout_s),
        max_retry=config.max_retry,
        overlap_policy=config.overlap_policy,
        enabled=enabled,
    )


async def register(store: AsyncStore, entries: Sequence[CronEntryConfig]) -> None:
    """Bring the entries of a server into Redis. Raises what a command raises.

    Other servers and fires may change an entry meanwhile; then it is read and merged again.
    """
    keys = store.keys
    pending = {entry.id: entry for entry in entries}
    while pending:
        table = await store.run(read_cron(keys, list(pending)))
        for row in table.rows:
            if row.text and row.entry is None:
                log.warning(
                    "cron entry %r was stored as something that cannot be read; it is written anew", row.id
                )
            merged = merge(pending[row.id], row, table.now_ms // 1000)
            if merged is not None:
                put = put_cron(keys, merged.entry, row.text, slot=merged.slot, meta=merged.meta)
                if await store.run(put) is not None:
                    continue
            del pending[row.id]
