"""Cron on one server: handles each slot of its entries when it is due, together with all other servers."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING

from gqm.cronentry import NEVER, CronEntry
from gqm.engine.cronmerge import register
from gqm.engine.outage import Outage
from gqm.errors import GQMError, StoreError
from gqm.store.commands.cron import Fire, Stored, fire_slot, put_cron, read_cron

if TYPE_CHECKING:
    from gqm.config import SchedulerConfig
    from gqm.store.aio import AsyncStore

log = logging.getLogger("gqm.engine")

REREAD_S = 5.0
"""How often entries are read again: a change is seen so late at most if its message got lost."""
HELD_BACK_S = 1.0
"""Pause before an entry is tried again that is locked or cannot be written."""
MAX_COUNTED = 1000
"""Most missed slots that are counted one by one."""
BROKEN_RETRY_S = 1.0


class ServerClock:
    """The clock of Redis between two answers: the time that it told last, and how long ago that was."""

    def __init__(self) -> None:
        self._offset_s = 0.0

    def tell(self, now_ms: int) -> None:
        """Take the time from an answer; it was right a little earlier, so this clock is late, never early."""
        self._offset_s = now_ms / 1000 - time.monotonic()

    def now(self) -> float:
        """Return unix seconds."""
        return time.monotonic() + self._offset_s


class _Line:
    """One entry as this server saw it last."""

    __slots__ = ("due", "entry", "handled", "held_until", "problem", "text")

    def __init__(self, entry_id: str) -> None:
        self.entry = CronEntry(id=entry_id)
        self.text = b""
        self.handled = 0
        self.due = math.inf
        self.held_until = -math.inf
        self.problem = ""

    def take(self, text: bytes, handled: int) -> None:
        """See the entry as it stands now. Raises ``ValueError`` for what cannot be read in it."""
        self.due = math.inf
        if text != self.text:
            self.entry, self.text = CronEntry.read(self.entry.id, text), text
        self.handled = handled
        if self.entry.enabled:
            slot = self.entry.slot_after(handled)
            self.due = math.inf if slot == NEVER else slot

    @property
    def acts_at(self) -> float:
        """When there is something to do, in unix seconds of the server; infinite = not before a change."""
        return max(self.due, self.held_until)

    def fails(self, problem: str) -> None:
        """Log what is wrong with the entry, each thing once in a row."""
        if problem and problem != self.problem:
            log.error(
                "cron entry %r: %s",
                self.entry.id,
                problem,
                extra={"event": "cron_error", "cron_id": self.entry.id},
            )
        self.problem = problem


class Cron:
    """The entries of one server's configuration, and the task that handles their slots.

    All servers that have an entry try each of its slots; a script lets one of them do it.
    """

    def __init__(
        self,
        store: AsyncStore,
        config: SchedulerConfig,
        *,
        failure_ttl: int | None = None,
        clock: ServerClock | None = None,
    ) -> None:
        self._store = store
        self._config = {entry.id: entry for entry in config.cron_entries}
        self._grace_s = config.misfire_grace_s
        self._failure_ttl = failure_ttl
        self._clock = clock or ServerClock()
        self._lines: dict[str, _Line] = {}
        self._reread_at = -math.inf
        self._stale = asyncio.Event()
        self._stale.set()

    async def register(self) -> None:
        """Bring the entries into Redis, merged with what stands there. Raises what a command raises."""
        await register(self._store, list(self._config.values()))

    def changed(self, entry_id: str) -> None:
        """Somebody changed an entry: read it again soon, if it is ours."""
        if entry_id in self._config:
            self._stale.set()

    async def run(self) -> None:
        """Handle slots until cancelled; returns at once if there are no entries."""
        outage = Outage("cron")
        while self._config:
            try:
                wait_s = await self.handle_due()
            except GQMError as exc:
                self._stale.set()
                await outage.pause(exc)
            except Exception:
                # A mistake of ours must not end the task: it is logged in full and tried again.
                log.exception("cron: unexpected error")
                self._stale.set()
                await asyncio.sleep(BROKEN_RETRY_S)
            else:
                outage.over()
                await self._sleep(wait_s)

    async def _sleep(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await self._stale.wait()
        except TimeoutError:
            return

    async def handle_due(self) -> float:
        """Handle every slot that is due, oldest first; return the seconds until there may be more to do.

        Raises what a command raises, but for what is wrong with a single entry.
        """
        if self._stale.is_set() or self._clock.now() >= self._reread_at:
            await self._reread()
        while not self._stale.is_set():
            line = min(self._lines.values(), key=lambda line: line.acts_at, default=None)
            now = self._clock.now()
            if line is None or line.acts_at > now:
                following = self._reread_at if line is None else min(line.acts_at, self._reread_at)
                return max(0.0, following - now)
            await self._handle(line, now)
        return 0.0

    # --------------------------------------------------------------------------- seeing the entries

    async def _reread(self) -> None:
        self._stale.clear()
        rows = await self._read()
        if any(row.entry is None or row.slot is None for row in rows):
            # Nobody deletes an entry that a live server has: the key space was emptied or written over.
            log.warning("cron entries are gone from Redis; they are registered again")
            await self.register()
            rows = await self._read()
        self._reread_at = self._clock.now() + REREAD_S
        for row in rows:
            line = self._lines.setdefault(row.id, _Line(row.id))
            self._see(line, row.text, row.slot)

    async def _read(self) -> list[Stored]:
        table = await self._store.run(read_cron(self._store.keys, list(self._config)))
        self._clock.tell(table.now_ms)
        return table.rows

    def _see(self, line: _Line, text: bytes, slot: int | None) -> None:
        if slot is None or not text:
            self._stale.set()
            return
        try:
            line.take(text, slot)
        except ValueError as exc:
            line.fails(f"it cannot fire: {exc}")

    # --------------------------------------------------------------------------- handling one slot

    async def _handle(self, line: _Line, now: float) -> None:
        slot, second = int(line.due), int(now)
        if second - slot > self._grace_s:
            await self._give_up(line, second)
            return
        try:
            command = fire_slot(self._store.keys, line.entry, line.text, slot, second, self._failure_ttl)
            answer = await self._store.run(command)
            while answer.outcome == "more":
                answer = await self._store.run(command)
        except (ValueError, StoreError) as exc:  # an entry of which no job can be made, or a broken key
            await self._failed(line, slot, second, exc)
            return
        self._clock.tell(answer.now_ms)
        self._note(line, slot, answer)

    def _note(self, line: _Line, slot: int, answer: Fire) -> None:
        match answer.outcome:
            case "fired" | "skipped" | "done":
                line.problem = ""
                self._see(line, answer.text, answer.slot)
                self._tell(line.entry.id, slot, answer)
            case "locked":
                line.held_until = self._clock.now() + HELD_BACK_S
            case "changed":
                self._stale.set()

    def _tell(self, entry_id: str, slot: int, answer: Fire) -> None:
        about = {"cron_id": entry_id, "cron_slot": slot}
        if answer.outcome == "fired":
            stopped = f", in place of {len(answer.jobs)} that were stopped" if answer.jobs else ""
            log.info(
                "cron entry %r: job %s%s",
                entry_id,
                answer.job_id,
                stopped,
                extra={"event": "cron_fired", "job_id": answer.job_id, **about},
            )
        elif answer.outcome == "skipped":
            log.info(
                "cron entry %r: skipped, job %s still lives",
                entry_id,
                ", ".join(answer.jobs),
                extra={"event": "cron_skipped", **about},
            )

    async def _give_up(self, line: _Line, now: int) -> None:
        """Move an entry past the slots that are too old to fire."""
        handled = math.ceil(now - self._grace_s) - 1
        missed = line.entry.missed(handled, now)
        if not await self._put(line, missed, handled):
            return
        count, slot = 0, int(line.due)
        while count < MAX_COUNTED and slot != NEVER and slot <= handled:
            count, slot = count + 1, line.entry.slot_after(slot)
        more = " or more" if count == MAX_COUNTED else ""
        log.warning(
            "cron entry %r: %d%s slots were missed by over %.0f s and do not fire",
            line.entry.id,
            count,
            more,
            self._grace_s,
            extra={"event": "cron_missed", "cron_id": line.entry.id, "missed": count},
        )
        self._see(line, missed.write(), handled)

    async def _failed(self, line: _Line, slot: int, now: int, error: Exception) -> None:
        """Move an entry past a slot that cannot be fired, so that it does not hold up the later ones."""
        line.fails(str(error))
        failed = line.entry.ran(slot, now, "error")
        if await self._put(line, failed, slot):
            self._see(line, failed.write(), slot)

    async def _put(self, line: _Line, entry: CronEntry, handled: int) -> bool:
        try:
            instead = await self._store.run(put_cron(self._store.keys, entry, line.text, slot=handled))
        except StoreError as exc:
            line.fails(str(exc))
            line.held_until = self._clock.now() + HELD_BACK_S
            return False
        if instead is not None:
            self._stale.set()
        return instead is None
