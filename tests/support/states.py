"""Jobs in each state, made as programs make them, for tests that have to look at all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gqm.job import Status
from gqm.store.commands.operate import cancel
from gqm.store.commands.settle import Burial, Completion, RetryLater, complete, dead_letter, retry
from tests.support.keyspace import SERVER, Keyspace

__all__ = ["MAKE", "dead", "deferred", "ledger", "processing", "scheduled"]

DAY_S = 86_400


def ready(space: Keyspace, **options: Any) -> str:
    return space.enqueue(**options)


def scheduled(space: Keyspace, **options: Any) -> str:
    return space.enqueue(mode="in", when_ms=3_600_000, **options)


def deferred(space: Keyspace, **options: Any) -> str:
    return space.enqueue(depends_on=[space.enqueue(queue="parents")], **options)


def processing(space: Keyspace, **options: Any) -> str:
    (item,) = space.running(**options)
    return item.id


def retrying(space: Keyspace, **options: Any) -> str:
    (item,) = space.running(**options)
    later = RetryLater(item, 3_600_000, "Oops: x", "trace", retry_count=2)
    space.store.run(retry(space.keys, item.queue, [later]))
    return item.id


def completed(space: Keyspace, **options: Any) -> str:
    (item,) = space.running(**options)
    done = [Completion(item, 5, b"7")]
    space.store.run(complete(space.keys, item.queue, done, result_ttl=DAY_S, failure_ttl=None))
    return item.id


def dead(space: Keyspace, **options: Any) -> str:
    (item,) = space.running(**options)
    burial = Burial(item, 5, "Oops: x", "trace", b'{"attempt":1}')
    space.store.run(dead_letter(space.keys, item.queue, [burial], failure_ttl=DAY_S))
    return item.id


def canceled(space: Keyspace, **options: Any) -> str:
    job_id = space.enqueue(**options)
    space.store.run(cancel(space.keys, job_id, "not needed"))
    return job_id


def stopped(space: Keyspace, **options: Any) -> str:
    job_id = canceled(space, **options)
    space.raw.hset(space.keys.job(job_id), "status", "stopped")
    return job_id


def failed(space: Keyspace, **options: Any) -> str:
    """A job as a Go worker leaves it: in no container."""
    (item,) = space.running(**options)
    space.raw.zrem(space.keys.processing(item.queue), item.id)
    space.raw.hdel(space.keys.claims(SERVER), item.id)
    failure = {"status": "failed", "failed_at": int(space.now()), "error": "Oops: x"}
    space.raw.hset(space.keys.job(item.id), mapping=failure)
    space.raw.hincrby(space.keys.ledger(item.queue), "dead", 1)
    space.raw.expire(space.keys.job(item.id), 100)
    return item.id


MAKE: dict[Status, Callable[..., str]] = {
    Status.READY: ready,
    Status.SCHEDULED: scheduled,
    Status.DEFERRED: deferred,
    Status.PROCESSING: processing,
    Status.RETRY: retrying,
    Status.COMPLETED: completed,
    Status.DEAD_LETTER: dead,
    Status.CANCELED: canceled,
    Status.STOPPED: stopped,
    Status.FAILED: failed,
}
"""How a job is brought into each state; all take a key space and options of the job."""


def ledger(space: Keyspace, queue: str = "default") -> dict[str, int]:
    """The ledger of a queue."""
    return {name.decode(): int(n) for name, n in space.raw.hgetall(space.keys.ledger(queue)).items()}
