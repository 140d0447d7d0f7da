"""F23: programs of different ages on one Redis, each with fields that the others do not know."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

import redis

import gqm
from gqm.keys import Keys
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from tests.engine.running import running
from tests.faults.old_worker import OldWorker, old_enqueue
from tests.faults.rows import Counts, record, sizes
from tests.support.keyspace import Keyspace
from tests.support.servers import ServerFactory
from tests.support.wait import eventually

LONG_S = 60.0
QUEUE = "shared"
FUTURE = {"of_the_future": "kept ünï", "flags:2": "\x00\xff", "retry_count_v2": "many"}
NOTHING = {"ms": 0, "fails": 0}
ENTRY = {
    "id": "often",
    "name": "often",
    "cron_expr": "* * * * * *",
    "timezone": "UTC",
    "job_type": "work",
    "queue": QUEUE,
    "payload": NOTHING,
    "overlap_policy": "allow",
    "enabled": True,
    "created_at": 1,
    "updated_at": 1,
    "jitter_ms": 5,
}


def produce(client: gqm.Client, raw: Any, keys: Keys, number: int) -> list[str]:
    """Make a job as an old, a present or a future program does; every tenth has a child."""
    payload = {"ms": 5 + number % 10, "fails": 1 if number % 7 == 0 else 0}
    own = f"job-{number}"
    if number % 2:
        old_enqueue(raw, keys, own, QUEUE, payload, **(FUTURE if number % 4 == 1 else {}))
        return [own]
    client.enqueue("work", payload, queue=QUEUE, job_id=own)
    if number % 4 == 0:
        raw.hset(keys.job(own), mapping=FUTURE)
    if number % 10:
        return [own]
    child = {"ms": 1, "fails": 0}
    client.enqueue("work", child, queue=QUEUE, job_id=f"{own}-child", depends_on=own)
    return [own, f"{own}-child"]


@sizes("F23")
def test_f23_old_and_new_programs_share_a_redis(start_server: ServerFactory, size: int) -> None:
    socket, keys = start_server("--appendonly", "no").socket, Keys("gqm:")
    ran: Counter[str] = Counter()

    def work(job: gqm.Job) -> str:
        if job.retry_count < int(str(job.payload["fails"])):
            raise ValueError("on purpose")
        time.sleep(int(str(job.payload["ms"])) / 1000)
        ran[job.id] += 1
        return "new"

    server = gqm.Server(f"unix:{socket}", poll_interval=0.1)
    server.handle("work", work)
    server.pool("p", ["work"], queues=[QUEUE], concurrency=1, retry={"backoff_base": 0})
    server.schedule("often", "* * * * * *", "work", queue=QUEUE, payload=NOTHING, overlap_policy="allow")
    store = Store(plain_link(keys, "the test server", {"unix_socket_path": socket}))
    with redis.Redis(unix_socket_path=socket, protocol=2) as raw, gqm.Client(f"unix:{socket}") as client:
        space = Keyspace(store, raw)
        space.raw.hset(keys.cron_entries, "often", json.dumps(ENTRY))
        space.raw.hset(keys.server("future-1-aaaaaa"), mapping={"id": "future-1-aaaaaa", "colour": "blue"})
        old = [OldWorker(socket, keys, QUEUE) for _ in range(2)]
        with running(server):
            ids = [job_id for n in range(size) for job_id in produce(client, raw, keys, n)]
            eventually(
                lambda: set(ids) <= set(completed(space)), LONG_S + size / 50, 0.05, lambda: left(space, ids)
            )
            # An entry of a later version fires here, too, and keeps what is not known here.
            eventually(lambda: space.raw.zcard(keys.cron_history("often")) > 0, LONG_S, 0.05, "it fires")
            assert json.loads(space.raw.hget(keys.cron_entries, "often"))["jitter_ms"] == 5
        eventually(lambda: not live(space), LONG_S, 0.05, "the old worker does what is left")
        for worker in old:
            worker.stop()
        shared = Counter(job_id for worker in old for job_id in worker.runs if job_id in set(ids))
        assert 0 < len(shared) < len(ids), "both kinds of workers have run"
        runs = shared + Counter({job_id: ran[job_id] for job_id in ids if ran[job_id]})
        assert set(runs) == set(ids)
        extra = sum(runs.values()) - len(ids)
        check_fields(space, size)
    store.close()
    note = f"{len(shared)} jobs run by old workers, {len(ids) - len(shared)} by the new; fields kept"
    record(Counts("F23", size // 2, len(ids), 0, extra, 0, note))


def completed(space: Keyspace) -> list[str]:
    """Ids of completed jobs."""
    return space.members(space.keys.completed(QUEUE))


def left(space: Keyspace, ids: list[str]) -> str:
    """What the first jobs look like that have not completed."""
    return str([space.fields(job_id) for job_id in ids if space.status(job_id) != "completed"][:3])


def live(space: Keyspace) -> int:
    """Number of jobs that have not ended."""
    keys, raw = space.keys, space.raw
    waiting: int = raw.llen(keys.ready(QUEUE)) + raw.zcard(keys.processing(QUEUE))
    return waiting + int(raw.zcard(keys.scheduled)) + int(raw.scard(keys.deferred))


def check_fields(space: Keyspace, size: int) -> None:
    """Fields of the future are as they were, and all jobs can be read."""
    for number in range(size):
        stored = space.raw.hgetall(space.keys.job(f"job-{number}"))
        for name, value in FUTURE.items():
            kept = stored.get(name.encode())
            assert kept == (value.encode() if number % 4 in (0, 1) else None), (number, name)
        assert stored[b"status"] == b"completed", number
