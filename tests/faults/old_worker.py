"""A producer and a worker that know only the fields and steps that all programs on a key space share.

They take a job in several steps, have no claims, no tokens and no scripts, and look for jobs by polling.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import redis

from gqm.keys import Keys

__all__ = ["OldWorker", "old_enqueue"]

POLL_S = 0.02
TIMEOUT_S = 1800
KEEP_S = 604_800


def old_enqueue(raw: Any, keys: Keys, job_id: str, queue: str, payload: dict[str, Any], **more: Any) -> None:
    """Write a job and push it."""
    job = {"id": job_id, "type": "work", "queue": queue, "status": "ready", "payload": json.dumps(payload)}
    raw.hset(keys.job(job_id), mapping={**job, "max_retry": 3, "created_at": int(time.time()), **more})
    raw.sadd(keys.queues, queue)
    raw.lpush(keys.ready(queue), job_id)


class OldWorker:
    """Runs the jobs of one queue in a thread; ``runs`` are the ids of its successes."""

    def __init__(self, socket: str, keys: Keys, queue: str) -> None:
        self.runs: list[str] = []
        self.error: Exception | None = None
        self._raw: Any = redis.Redis(unix_socket_path=socket, protocol=2, decode_responses=True)
        self._keys = keys
        self._queue = queue
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="old worker")
        self._thread.start()

    def stop(self) -> None:
        """Let it end its job, and end it."""
        self._stop.set()
        self._thread.join(60)
        self._raw.close()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                job_id = self._raw.rpop(self._keys.ready(self._queue))
                if job_id is None:
                    self._stop.wait(POLL_S)
                else:
                    self._take(job_id)
        except Exception as exc:  # noqa: BLE001 - it is raised in the thread of the test
            self.error = exc

    def _take(self, job_id: str) -> None:
        raw, keys, now = self._raw, self._keys, int(time.time())
        job = raw.hgetall(keys.job(job_id))
        if job.get("status") != "ready":
            return
        raw.zadd(keys.processing(self._queue), {job_id: now + TIMEOUT_S})
        raw.hset(keys.job(job_id), mapping={"status": "processing", "started_at": now, "worker_id": "old"})
        payload = json.loads(job["payload"])
        retries = int(job.get("retry_count", 0))
        time.sleep(payload["ms"] / 1000)
        if retries < payload["fails"]:
            self._retry(job_id, now, retries + 1)
        else:
            self._complete(job_id, now)
            self.runs.append(job_id)

    def _retry(self, job_id: str, now: int, retries: int) -> None:
        raw, keys = self._raw, self._keys
        raw.zrem(keys.processing(self._queue), job_id)
        raw.hset(keys.job(job_id), mapping={"status": "retry", "retry_count": retries, "error": "on purpose"})
        raw.zadd(keys.scheduled, {job_id: now})

    def _complete(self, job_id: str, now: int) -> None:
        raw, keys = self._raw, self._keys
        raw.zrem(keys.processing(self._queue), job_id)
        done = {"status": "completed", "completed_at": now, "execution_duration": 1, "result": '"old"'}
        raw.hset(keys.job(job_id), mapping=done)
        raw.hdel(keys.job(job_id), "error")
        raw.zadd(keys.completed(self._queue), {job_id: now})
        raw.incr(keys.total(self._queue, "processed"))
        raw.expire(keys.job(job_id), KEEP_S)
        for child in raw.smembers(keys.dependents(job_id)):
            raw.srem(keys.pending_deps(child), job_id)
            if not raw.scard(keys.pending_deps(child)) and raw.srem(keys.deferred, child):
                raw.hset(keys.job(child), "status", "ready")
                raw.lpush(keys.ready(raw.hget(keys.job(child), "queue")), child)
                raw.delete(keys.pending_deps(child), keys.deps(child))
        raw.delete(keys.dependents(job_id))
