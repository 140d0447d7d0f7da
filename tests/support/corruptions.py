"""Ways in which a key space can be broken, each as it might happen, and what the ledger must say about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gqm.job import Status
from gqm.store.commands.settle import Completion, complete
from tests.support.keyspace import SERVER, Keyspace
from tests.support.states import MAKE

__all__ = ["CORRUPTIONS", "Corruption"]

OTHER = "host-9-cccccc"


@dataclass(frozen=True)
class Corruption:
    """One way: breaks a sound key space and returns what is wrong then."""

    kind: str
    seed: Callable[[Keyspace], str]
    """Breaks it; returns the subject of the finding."""
    repaired: bool = True


def id_in_ready(space: Keyspace) -> str:
    space.enqueue()
    space.raw.rpush(space.keys.ready("default"), "ghost")
    return "ghost"


def id_in_scheduled(space: Keyspace) -> str:
    space.raw.zadd(space.keys.scheduled, {"ghost": space.now() + 1000})
    return "ghost"


def id_in_deferred(space: Keyspace) -> str:
    space.raw.sadd(space.keys.deferred, "ghost")
    return "ghost"


def id_in_processing(space: Keyspace) -> str:
    space.enqueue()
    space.raw.zadd(space.keys.processing("default"), {"ghost": space.now() + 1000})
    return "ghost"


def ready_and_completed(space: Keyspace) -> str:
    job = space.enqueue()
    space.raw.zadd(space.keys.completed("default"), {job: space.now()})
    return job


def ready_and_scheduled(space: Keyspace) -> str:
    job = space.enqueue()
    space.raw.zadd(space.keys.scheduled, {job: space.now() + 1000})
    return job


def ready_in_two_queues(space: Keyspace) -> str:
    job = space.enqueue()
    space.enqueue(queue="mail")
    space.raw.rpush(space.keys.ready("mail"), job)
    return job


def completed_but_ready(space: Keyspace) -> str:
    job = MAKE[Status.COMPLETED](space)
    space.raw.zrem(space.keys.completed("default"), job)
    space.raw.rpush(space.keys.ready("default"), job)
    return job


def scheduled_in_ready(space: Keyspace) -> str:
    job = MAKE[Status.SCHEDULED](space)
    space.raw.zrem(space.keys.scheduled, job)
    space.raw.rpush(space.keys.ready("default"), job)
    return job


def lost(status: Status) -> Callable[[Keyspace], str]:
    def seed(space: Keyspace) -> str:
        job = MAKE[status](space)
        keys = space.keys
        space.raw.lrem(keys.ready("default"), 0, job)
        for key in (keys.processing("default"), keys.scheduled):
            space.raw.zrem(key, job)
        space.raw.srem(keys.deferred, job)
        return job

    return seed


def twice_in_ready(space: Keyspace) -> str:
    first = space.enqueue()
    space.enqueue()
    space.raw.lpush(space.keys.ready("default"), first)
    return first


def unlisted_dead_letter(space: Keyspace) -> str:
    job = MAKE[Status.DEAD_LETTER](space)
    space.raw.zrem(space.keys.dead_letter("default"), job)
    return job


def expired_entry(space: Keyspace) -> str:
    job = MAKE[Status.COMPLETED](space)
    space.raw.delete(space.keys.job(job))
    return job


def live_with_ttl(space: Keyspace) -> str:
    job = space.enqueue()
    space.raw.expire(space.keys.job(job), 1000)
    return job


def ended_for_ever(space: Keyspace) -> str:
    job = MAKE[Status.COMPLETED](space)
    space.raw.persist(space.keys.job(job))
    return job


def stub(space: Keyspace) -> str:
    space.raw.hset(space.keys.job("stub"), "id", "stub")
    return "stub"


def orphan_keys(space: Keyspace) -> str:
    space.raw.sadd(space.keys.pending_deps("gone"), "parent")
    return "gone"


def leftover_deps(space: Keyspace) -> str:
    job = space.enqueue()
    space.raw.sadd(space.keys.deps(job), "parent")
    return job


def unknown_status(space: Keyspace) -> str:
    job = space.enqueue()
    space.raw.hset(space.keys.job(job), "status", "sleeping")
    return job


def wrong_type_job(space: Keyspace) -> str:
    space.raw.set(space.keys.job("text"), "x")
    return "text"


def wrong_type_container(space: Keyspace) -> str:
    space.raw.set(space.keys.paused, "x")
    return "paused"


def _child(space: Keyspace, **options: object) -> tuple[str, str]:
    parent = space.enqueue()
    return parent, space.enqueue(depends_on=[parent], **options)


def no_pending(space: Keyspace) -> str:
    _, child = _child(space)
    space.raw.delete(space.keys.pending_deps(child))
    return child


def alien_parent(space: Keyspace) -> str:
    _, child = _child(space)
    stranger = space.enqueue()
    space.raw.sadd(space.keys.pending_deps(child), stranger)
    return child


def parent_gone(space: Keyspace) -> str:
    child = space.enqueue(depends_on=[MAKE[Status.SCHEDULED](space)])
    (parent,) = space.members(space.keys.pending_deps(child))
    space.raw.zrem(space.keys.scheduled, parent)
    space.raw.delete(*(space.keys.job(parent) + side for side in ("", ":dependents", ":children")))
    space.raw.hincrby(space.keys.ledger("default"), "deleted", 1)
    return child


def parent_ended(space: Keyspace) -> str:
    space.beat()
    parent, child = _child(space)
    (item,) = space.claim()
    assert item.id == parent
    space.raw.delete(space.keys.dependents(parent))
    space.store.run(complete(space.keys, "default", [Completion(item, 1)], result_ttl=None, failure_ttl=None))
    return child


def children_untold(space: Keyspace) -> str:
    parent = MAKE[Status.COMPLETED](space)
    space.raw.sadd(space.keys.dependents(parent), space.enqueue())
    return parent


def unlinked(space: Keyspace) -> str:
    parent, child = _child(space)
    space.raw.delete(space.keys.dependents(parent))
    return child


def no_fence(space: Keyspace) -> str:
    job = MAKE[Status.PROCESSING](space)
    space.raw.hdel(space.keys.job(job), "claim")
    space.raw.hdel(space.keys.claims(SERVER), job)
    return job


def no_record(space: Keyspace) -> str:
    job = MAKE[Status.PROCESSING](space)
    space.raw.hdel(space.keys.claims(SERVER), job)
    return job


def stale_record(space: Keyspace) -> str:
    space.beat()
    job = space.enqueue()
    space.raw.hset(space.keys.claims(SERVER), job, "aaaaaaaaaaaaaaaa.1|3|1790000000000|default")
    return job


def dead_claim(space: Keyspace) -> str:
    job = MAKE[Status.PROCESSING](space)
    space.raw.zrem(space.keys.leases, SERVER)
    return job


def dead_server(space: Keyspace) -> str:
    space.beat(OTHER)
    space.end_lease(OTHER, ago_s=60)
    return OTHER


def overdue_claim(space: Keyspace) -> str:
    space.foreign("of-go", overdue_s=100)
    space.raw.sadd(space.keys.queues, "default")
    return "of-go"


def unlisted_queue(space: Keyspace) -> str:
    space.enqueue(queue="mail")
    space.raw.srem(space.keys.queues, "mail")
    return "mail"


def cron_broken(space: Keyspace) -> str:
    space.raw.hset(space.keys.cron_entries, "daily", "{not json")
    return "daily"


def cron_leftover(space: Keyspace) -> str:
    space.raw.zadd(space.keys.cron_history("old"), {"job": space.now()})
    space.raw.hset(space.keys.cron_slots, "old", int(space.now()))
    return "old"


def cron_slot_leftover(space: Keyspace) -> str:
    space.raw.hset(space.keys.cron_meta, "old", "{}")
    return "old"


def counter_without_end(space: Keyspace) -> str:
    name = f"login:addr:192.0.2.{7}"
    space.raw.set(space.keys.prefix + name, 3)
    return name


CORRUPTIONS: dict[str, Corruption] = {
    "id in ready without a job": Corruption("no_hash", id_in_ready),
    "id in scheduled without a job": Corruption("no_hash", id_in_scheduled),
    "id in deferred without a job": Corruption("no_hash", id_in_deferred),
    "id in processing without a job": Corruption("no_hash", id_in_processing),
    "ready and completed": Corruption("two_places", ready_and_completed),
    "ready and scheduled": Corruption("two_places", ready_and_scheduled),
    "ready in two queues": Corruption("two_places", ready_in_two_queues),
    "completed, but in ready": Corruption("wrong_place", completed_but_ready),
    "scheduled, but in ready": Corruption("wrong_place", scheduled_in_ready),
    "ready in no list": Corruption("nowhere", lost(Status.READY)),
    "scheduled in no zset": Corruption("nowhere", lost(Status.SCHEDULED)),
    "retry in no zset": Corruption("nowhere", lost(Status.RETRY)),
    "processing without deadline": Corruption("nowhere", lost(Status.PROCESSING)),
    "deferred in no set": Corruption("nowhere", lost(Status.DEFERRED)),
    "twice in ready": Corruption("twice_ready", twice_in_ready),
    "dead letter that no list shows": Corruption("unlisted", unlisted_dead_letter),
    "expired and still listed": Corruption("expired_entry", expired_entry),
    "live job with expiry": Corruption("live_ttl", live_with_ttl),
    "ended job without expiry": Corruption("no_expiry", ended_for_ever, repaired=False),
    "record without state": Corruption("stub", stub),
    "keys of a job that is gone": Corruption("orphan_keys", orphan_keys),
    "parents of a job that waits for none": Corruption("leftover_deps", leftover_deps),
    "state that is none": Corruption("unknown_status", unknown_status, repaired=False),
    "job of a wrong type": Corruption("wrong_type", wrong_type_job, repaired=False),
    "container of a wrong type": Corruption("wrong_type", wrong_type_container, repaired=False),
    "pending set gone": Corruption("no_pending", no_pending),
    "waits for a stranger": Corruption("alien_parent", alien_parent),
    "waits for a parent that is gone": Corruption("parent_gone", parent_gone),
    "waits for a parent that has ended": Corruption("parent_ended", parent_ended),
    "ended parent with children to tell": Corruption("untold_children", children_untold),
    "child that its parent does not know": Corruption("unlinked", unlinked),
    "running without fence": Corruption("no_fence", no_fence, repaired=False),
    "running without claim record": Corruption("no_record", no_record, repaired=False),
    "claim record without a job": Corruption("stale_record", stale_record),
    "running on a dead server": Corruption("dead_claim", dead_claim),
    "dead server": Corruption("dead_lease", dead_server),
    "claim of another program past its deadline": Corruption("overdue_claim", overdue_claim),
    "queue in no list": Corruption("unlisted_queue", unlisted_queue),
    "cron entry that cannot be read": Corruption("cron_broken", cron_broken, repaired=False),
    "history of a cron entry that is gone": Corruption("cron_leftover", cron_leftover),
    "origin of a cron entry that is gone": Corruption("cron_leftover", cron_slot_leftover),
    "counter that never expires": Corruption("no_key_expiry", counter_without_end),
}
"""By what they are."""
