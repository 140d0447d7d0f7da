"""One key space as a test sees it: put it into a state, read it, check that it is sound."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import redis

from gqm.ids import new_nonce
from gqm.job import LIVE, Status, new_job
from gqm.store.commands.claim import Claim, ClaimPlan, claim
from gqm.store.commands.enqueue import Mode, enqueue
from gqm.store.commands.lease import Beat, Pulse, heartbeat
from gqm.store.sync import Store

__all__ = ["LEASE_MS", "SERVER", "Keyspace"]

SERVER = "host-1-aaaaaa"
LEASE_MS = 10_000

TERMINAL_PLACES = {
    Status.COMPLETED: "completed",
    Status.DEAD_LETTER: "dead_letter",
    Status.CANCELED: "canceled",
    Status.STOPPED: "canceled",
}


class Keyspace:
    """A store, and a plain client of the same server for what no command does."""

    def __init__(self, store: Store, raw: redis.Redis) -> None:
        self.store = store
        self.raw: Any = raw
        self.keys = store.keys

    # -- acting

    def now(self) -> float:
        """Time of the server in unix seconds."""
        seconds, micros = self.raw.time()
        return float(seconds + micros / 1e6)

    def enqueue(self, *, mode: Mode = "now", when_ms: int = 0, **options: Any) -> str:
        """Enqueue a job of type ``t``; return its id."""
        job = new_job("t", None, options)  # type: ignore[arg-type]  # any option of the test's choice
        self.store.run(enqueue(self.keys, job, mode=mode, when_ms=when_ms))
        return job.id

    def claim(
        self, n: int = 1, *, server: str = SERVER, queue: str = "default", budget: int = 3
    ) -> list[Claim]:
        """Claim up to ``n`` jobs of a queue for the pool ``p`` of a server."""
        plan = ClaimPlan(server, f"p@{server}", ((queue, None),), False, 1_800_000, 0, 10_000, budget)
        return self.store.run(claim(self.keys, plan, new_nonce(), n)).jobs

    def beat(
        self,
        server: str = SERVER,
        active: Sequence[Claim] = (),
        fields: Mapping[str, str | int] | None = None,
    ) -> Pulse:
        """Send a heartbeat of a server with the pool ``p``."""
        pools = [(f"p@{server}", {"pool": "p"})]
        pairs = [(item.id, item.token) for item in active]
        return self.store.run(
            heartbeat(self.keys, Beat(server, LEASE_MS, fields or {"hostname": "host"}, pools, pairs))
        )

    def running(
        self, n: int = 1, *, server: str = SERVER, queue: str = "default", **options: Any
    ) -> list[Claim]:
        """Enqueue ``n`` jobs and claim them for a server that has just sent a heartbeat."""
        self.beat(server)
        for _ in range(n):
            self.enqueue(queue=queue, **options)
        return self.claim(n, server=server, queue=queue)

    def end_lease(self, server: str = SERVER, ago_s: float = 1.0) -> str:
        """Let the lease of a server have ended some seconds ago; return its score."""
        score = f"{self.now() - ago_s:.3f}"
        self.raw.zadd(self.keys.leases, {server: score})
        return score

    def age_claim(self, item: Claim, by_s: float) -> None:
        """Let a claim have been made some seconds earlier."""
        server = item.worker_id.rpartition("@")[2]
        record = self.raw.hget(self.keys.claims(server), item.id).split(b"|", 3)
        record[2] = b"%d" % (int(record[2]) - int(by_s * 1000))
        self.raw.hset(self.keys.claims(server), item.id, b"|".join(record))
        self.raw.hincrby(self.keys.job(item.id), "started_at", -int(by_s))

    def age_job(self, job_id: str, by_s: int) -> None:
        """Let a job have been made some seconds earlier."""
        self.raw.hincrby(self.keys.job(job_id), "created_at", -by_s)

    def foreign(self, job_id: str, *, overdue_s: float, **fields: str | int) -> None:
        """Put a job into processing as another program does: no token, a worker id without server."""
        job = {"id": job_id, "type": "t", "queue": "default", "status": "processing", "worker_id": "go"}
        self.raw.hset(self.keys.job(job_id), mapping={**job, "payload": "{}", **fields})
        queue = str(fields.get("queue", "default"))
        self.raw.hincrby(self.keys.ledger(queue), "accepted", 1)
        self.raw.zadd(self.keys.processing(queue), {job_id: self.now() - overdue_s})

    # -- reading

    def field(self, job_id: str, name: str) -> str | None:
        """One field of a job's hash."""
        value = self.raw.hget(self.keys.job(job_id), name)
        return None if value is None else value.decode()

    def fields(self, job_id: str) -> dict[str, str]:
        """All fields of a job's hash."""
        return _texts(self.raw.hgetall(self.keys.job(job_id)))

    def status(self, job_id: str) -> str | None:
        """State of a job."""
        return self.field(job_id, "status")

    def ready(self, queue: str = "default") -> list[str]:
        """Ids of the ready list, the next to run first."""
        return [item.decode() for item in reversed(self.raw.lrange(self.keys.ready(queue), 0, -1))]

    def processing(self, queue: str = "default") -> list[str]:
        """Ids of the processing zset by deadline."""
        return [item.decode() for item in self.raw.zrange(self.keys.processing(queue), 0, -1)]

    def members(self, key: str) -> list[str]:
        """Members of a set or zset, sorted by name."""
        of_zset = self.raw.type(key) == b"zset"
        found = self.raw.zrange(key, 0, -1) if of_zset else self.raw.smembers(key)
        return sorted(item.decode() for item in found)

    def dump(self) -> dict[bytes, bytes]:
        """Everything under the prefix as it stands, to prove that a call changed nothing."""
        found = sorted(self.raw.scan_iter(self.keys.prefix + "*", count=1000))
        return {key: self.raw.dump(key) for key in found}

    # -- checking

    def assert_sound(self) -> None:
        """Each job is in the one place that its state names, live ones have no TTL, the ledger adds up."""
        places = self._places()
        live: dict[str, int] = defaultdict(int)
        for job_id, job in self._jobs().items():
            assert job.get("id") == job_id, f"hash of {job_id} is no job: {job}"
            status = Status(job["status"])
            assert places.pop(job_id, []) == self._expected(job, status), f"{job_id} is {status}"
            if status in LIVE:
                live[job["queue"]] += 1
                assert self.raw.ttl(self.keys.job(job_id)) == -1, f"{job_id} is {status} and has a TTL"
        assert not places, f"ids without a job: {places}"
        for key in self.raw.scan_iter(self.keys.prefix + "stats:*:ledger"):
            queue = key.decode().removeprefix(f"{self.keys.prefix}stats:").removesuffix(":ledger")
            ledger = {name: int(value) for name, value in _texts(self.raw.hgetall(key)).items()}
            came = ledger.pop("accepted", 0) + ledger.pop("requeued", 0)
            assert came == sum(ledger.values()) + live[queue], (
                f"ledger of {queue}: {ledger}, live {live[queue]}"
            )

    def _expected(self, job: dict[str, str], status: Status) -> list[str]:
        if status in (Status.SCHEDULED, Status.RETRY):
            return ["scheduled"]
        if status is Status.DEFERRED:
            return ["deferred"]
        if status is Status.FAILED:
            return []
        return [f"queue:{job['queue']}:{TERMINAL_PLACES.get(status, status.value)}"]

    def _jobs(self) -> dict[str, dict[str, str]]:
        jobs = {}
        for key in self.raw.scan_iter(self.keys.job("*"), count=1000):
            job_id = key.decode().removeprefix(self.keys.job(""))
            if ":" not in job_id:
                jobs[job_id] = self.fields(job_id)
        return jobs

    def _places(self) -> dict[str, list[str]]:
        places: dict[str, list[str]] = defaultdict(list)
        names = [self.keys.scheduled, self.keys.deferred]
        names += [key.decode() for key in self.raw.scan_iter(self.keys.prefix + "queue:*", count=1000)]
        for name in names:
            ids = self.raw.lrange(name, 0, -1) if self.raw.type(name) == b"list" else self.members(name)
            for item in ids:
                places[item if isinstance(item, str) else item.decode()].append(
                    name.removeprefix(self.keys.prefix)
                )
        return places


def _texts(raw: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in raw.items()}
