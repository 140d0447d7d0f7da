"""Commands that repair what is wrong in a key space; each looks again before it changes anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gqm.store.command import Command, call, optional
from gqm.store.scripts import script

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gqm.keys import Keys


class Placed(NamedTuple):
    """Answer of `mend_place`."""

    taken: int
    """Places that the id was taken out of."""
    put: bool
    """Whether it was put into the container that its state names."""


def mend_place(keys: Keys, job_id: str, queues: Iterable[str] = ()) -> Command[Placed]:
    """Put an id where its job's state says, and nowhere else; without a job, nowhere.

    ``queues`` are further ones in whose containers it was met.
    """
    args = (keys.prefix, job_id, *sorted(queues))
    return call(script("mend_place"), (keys.job(job_id),), args, lambda raw: Placed(raw[0], bool(raw[1])))


def mend_record(keys: Keys, job_id: str) -> Command[int]:
    """Tidy a job's record and the keys beside it; the answer is the number of keys that were changed."""
    return call(script("mend_record"), (keys.job(job_id),), (keys.prefix, job_id), int)


class Told(NamedTuple):
    """Answer of `mend_family`."""

    released: int
    canceled: int
    links: int
    """Links between a parent and a child that were mended."""


def mend_family(keys: Keys, job_id: str, failure_ttl: int | None = None) -> Command[Told]:
    """Let a job's children, or a job that waits for parents, hear what they missed."""
    args = (keys.prefix, job_id, optional(failure_ttl))
    return call(script("mend_family"), (keys.job(job_id),), args, lambda raw: Told(*raw))


def mend_claims(keys: Keys, server_id: str, job_ids: Sequence[str]) -> Command[int]:
    """Take away up to 500 records of claims that no job stands behind; the answer is their number."""
    args = (keys.prefix, server_id, *job_ids)
    return call(script("mend_claims"), (keys.claims(server_id),), args, int)


def mend_queue(keys: Keys, queue: str) -> Command[int]:
    """List a queue that has jobs; 0 = it was listed, or has none."""
    return call(script("mend_queue"), (keys.queues,), (keys.prefix, queue), int)


def mend_cron(keys: Keys, entry_id: str) -> Command[int]:
    """Delete what is kept about a cron entry that is gone; the answer is the number of keys and fields."""
    names = (
        keys.cron_entries,
        keys.cron_slots,
        keys.cron_meta,
        keys.cron_history(entry_id),
        keys.cron_current(entry_id),
        keys.cron_active(entry_id),
    )
    return call(script("mend_cron"), names, (keys.prefix, entry_id), int)


def mend_expiry(keys: Keys, name: str, seconds: int) -> Command[int]:
    """Let a key expire that never would; 0 = it did, or is gone."""
    return call(script("mend_expiry"), (name,), (keys.prefix, seconds), int)
