"""The cron entries of one key space as a test sees them: put there, fired slot by slot, read back."""

from __future__ import annotations

import dataclasses
from typing import Any

from gqm.cronentry import CronEntry, CronMeta
from gqm.store.commands.cron import Fire, Stored, fire_slot, put_cron, read_cron, trigger
from gqm.store.commands.settle import Completion, complete
from tests.support.keyspace import Keyspace

__all__ = ["PY", "Crontab", "entry"]

PY = CronMeta("py", True, 1_790_000_000)


def entry(entry_id: str = "tidy", **fields: Any) -> CronEntry:
    """An enabled entry that fires every second and lets its jobs overlap."""
    given = {
        "cron_expr": "* * * * * *",
        "job_type": "tidy.up",
        "queue": "night",
        "overlap_policy": "allow",
        "enabled": True,
        **fields,
    }
    return CronEntry(id=entry_id, **given)


class Crontab:
    """The entries of a test's key space."""

    def __init__(self, space: Keyspace) -> None:
        self.space = space
        self.keys = space.keys

    def now(self) -> int:
        """Time of the server in whole unix seconds."""
        return int(self.space.now())

    def put(
        self, item: CronEntry, *, slot: int | None = None, ago_s: int = 10, meta: CronMeta | None = PY
    ) -> CronEntry:
        """Store an entry with its last handled slot: some seconds ago if none is given."""
        slot = self.now() - ago_s if slot is None else slot
        self.space.raw.hset(self.keys.cron_entries, item.id, item.write())
        self.space.raw.hset(self.keys.cron_slots, item.id, slot)
        if meta is not None:
            self.space.raw.hset(self.keys.cron_meta, item.id, meta.write())
        return item

    def change(self, entry_id: str, **fields: Any) -> CronEntry:
        """Change an entry as another process does."""
        stored = self.row(entry_id)
        assert stored.entry is not None
        changed = dataclasses.replace(stored.entry, **fields)
        assert self.space.store.run(put_cron(self.keys, changed, stored.text)) is None
        return changed

    def row(self, entry_id: str = "tidy") -> Stored:
        """An entry as it is stored."""
        (found,) = self.space.store.run(read_cron(self.keys, [entry_id])).rows
        return found

    def entry(self, entry_id: str = "tidy") -> CronEntry:
        """A stored entry that must be there."""
        found = self.row(entry_id).entry
        assert found is not None, f"no entry {entry_id!r} that can be read"
        return found

    def fire(self, slot: int, *, entry_id: str = "tidy", now: int | None = None) -> Fire:
        """Handle a slot as a scheduler does that has just read the entry."""
        stored = self.row(entry_id)
        assert stored.entry is not None
        command = fire_slot(self.keys, stored.entry, stored.text, slot, slot if now is None else now)
        return self.space.store.run(command)

    def trigger(self, entry_id: str = "tidy") -> str:
        """Trigger an entry; return the id of its job."""
        stored = self.row(entry_id)
        assert stored.entry is not None
        answer = self.space.store.run(trigger(self.keys, stored.entry, stored.text))
        assert answer.outcome == "fired"
        return answer.job_id

    def jobs(self, entry_id: str = "tidy") -> list[dict[str, str]]:
        """Fields of all jobs that an entry made and that are kept, in the order of their slots."""
        found = []
        for key in self.space.raw.scan_iter(self.keys.job("*"), count=1000):
            job_id = key.decode().removeprefix(self.keys.job(""))
            if ":" not in job_id and self.space.field(job_id, "cron_id") == entry_id:
                found.append(self.space.fields(job_id))
        return sorted(found, key=lambda job: (int(job.get("cron_slot", 0)), job["id"]))

    def slots(self, entry_id: str = "tidy") -> list[int]:
        """Slots of the jobs that an entry made, in order."""
        return [int(job["cron_slot"]) for job in self.jobs(entry_id) if "cron_slot" in job]

    def history(self, entry_id: str = "tidy") -> list[tuple[str, int]]:
        """Job ids and fire seconds, newest last."""
        pairs = self.space.raw.zrange(self.keys.cron_history(entry_id), 0, -1, withscores=True)
        return [(job_id.decode(), int(score)) for job_id, score in pairs]

    def active(self, entry_id: str = "tidy") -> list[str]:
        """Jobs that are not known to have ended."""
        return self.space.members(self.keys.cron_active(entry_id))

    def complete(self, queue: str = "night") -> str:
        """Run the next ready job of a queue to its completion; return its id."""
        self.space.beat()
        (item,) = self.space.claim(queue=queue)
        done = [Completion(item, 5, b"1")]
        self.space.store.run(complete(self.keys, queue, done, result_ttl=3600, failure_ttl=None))
        return item.id
