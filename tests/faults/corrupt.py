"""Raw writes into a key space as no program of ours makes them: broken jobs, and keys of a wrong type."""

from __future__ import annotations

from typing import Any

import redis

from gqm.keys import Keys
from tests.faults.inputs import MIB, Maker, deep

__all__ = ["BAD_PAYLOADS", "break_key", "broken_job", "containers"]

BAD_PAYLOADS: tuple[bytes, ...] = (
    *(
        b"[]",
        b"[1,2]",
        b'"text"',
        b"7",
        b"true",
        b"nul",
        b"{",
        b"{'a':1}",
        b"NaN",
        b'{"a":NaN}',
        b"\xff\xfe",
        b"\x00",
    ),
    *(b'{"a":1}{}', b'{"a":"\\ud800"}', b'{"a":"\xed\xa0\x80"}', deep(1000).encode(), b"x" * (MIB + 1)),
)
"""Payloads that no handler gets."""
_FIELDS = (
    *(
        "id",
        "type",
        "queue",
        "payload",
        "max_retry",
        "created_at",
        "retry_count",
        "timeout",
        "started_at",
        "error",
    ),
    *("worker_id", "last_heartbeat", "retry_intervals", "meta", "depends_on", "allow_failure", "result_ttl"),
    *(
        "failure_ttl",
        "max_retry_set",
        "nonce",
        "claim",
        "settled",
        "attempt",
        "crashes",
        "ready_at_ms",
        "wait_ms",
    ),
    *(
        "progress",
        "transient_since",
        "unknown_since",
        "cron_id",
        "cron_slot",
        "enqueue_at_front",
        "of_the_future",
    ),
)


def broken_job(raw: Any, keys: Keys, number: int, maker: Maker, made: Any = None) -> str:
    """Write a job with something wrong in it and push it, as a careless program would; return its id."""
    draw = maker.random
    job_id = f"bad-{number}"
    job: dict[str, Any] = {"id": job_id, "type": "note", "queue": "bad", "status": "ready", "payload": "{}"}
    job.update(max_retry=1, created_at=1_700_000_000)
    if draw.random() < 0.3:
        job["payload"] = draw.choice(BAD_PAYLOADS)
    for name in draw.sample(_FIELDS, draw.choice((0, 1, 1, 2))):
        job[name] = _bytes(made if made is not None and draw.random() < 0.7 else maker.value())
    for name in draw.sample(sorted(job), draw.choice((0, 0, 0, 1))):
        if name != "status":
            del job[name]
    raw.hset(keys.job(job_id), mapping=job)
    raw.rpush(keys.ready("bad"), job_id)
    return job_id


def containers(keys: Keys) -> dict[str, str]:
    """Keys that servers use all the time, and the Redis type of each."""
    of_queue = {
        "ready": "list",
        "processing": "zset",
        "completed": "zset",
        "dead_letter": "zset",
        "ledger": "hash",
    }
    shared = {
        "string": (keys.events_rate, keys.total("bad", "processed")),
        "set": (keys.queues, keys.paused, keys.deferred, keys.servers, keys.workers),
        "zset": (keys.scheduled, keys.leases, keys.dag_roots),
        "hash": (keys.settings, keys.cron_entries, keys.cron_slots, keys.cron_meta),
    }
    found = {getattr(keys, name)("bad"): type_ for name, type_ in of_queue.items()}
    return found | {key: type_ for type_, names in shared.items() for key in names}


def break_key(raw: redis.Redis, key: str, kind: str) -> None:
    """Put something of another type in the place of a key."""
    with raw.pipeline() as line:
        line.delete(key)
        if kind == "string":
            line.rpush(key, "x")
        else:
            line.set(key, "x")
        line.execute()


def _bytes(value: Any) -> bytes:
    text = value if isinstance(value, str) else ascii(value)
    return text.encode("utf-8", "surrogatepass")[:5000]
