"""A shop's worth of believable jobs: every status, workers, cron entries, graphs, minutes and days behind it.

``python -m tests.dashboard.seed`` serves it on port 8090 until it is interrupted, for looking at the pages.
"""

from __future__ import annotations

import asyncio
import math
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import redis

import gqm
from gqm.embedded import attach
from gqm.keys import Keys
from tests.api.support import SIGN_IN
from tests.support.wait import eventually

QUEUES = ("billing", "mail", "images", "default")


class Engine:
    """A server of GQM that runs jobs and serves the API, on a loop of its own."""

    def __init__(self, url: str, prefix: str, **options: Any) -> None:
        chosen = {"api": True, "api_addr": "127.0.0.1:0", "dashboard": True, "rate_limit": -1, **options}
        self.server = gqm.Server(url, prefix=prefix, **chosen)
        self.hold = threading.Event()
        """Handlers that run on and on wait for it."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def port(self) -> int:
        port = self.server.api_port
        assert port is not None
        return port

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.server.start(), self._loop).result(30)

    def stop(self) -> None:
        self.hold.set()
        asyncio.run_coroutine_threadsafe(self.server.stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def handlers(engine: Engine) -> None:
    """Register what the shop's jobs do."""
    server = engine.server

    def invoice(job: gqm.Job) -> dict[str, object]:
        if job.payload.get("broken"):
            raise ValueError(f"invoice {job.payload['n']} has no lines")
        time.sleep(0.01 + random.random() * 0.05)
        return {"pages": 2, "file": f"s3://invoices/{job.payload['n']}.pdf"}

    def send(job: gqm.Job) -> None:
        if job.payload.get("broken"):
            raise TimeoutError("mx.example.com took over 30 s")
        time.sleep(0.005)

    def resize(job: gqm.Job) -> None:
        for page in range(1, 11):
            if page >= 7:
                engine.hold.wait(3600)
            job.progress(page, 10, f"image {page} of 10")

    server.handle("invoice.pdf", invoice)
    server.handle("email.send", send)
    server.handle("image.resize", resize)
    server.handle("report.build", lambda job: {"rows": 1204})
    quick = {"max_retry": 1, "backoff": "fixed", "backoff_base": 0.05}
    slow = {"backoff": "fixed", "backoff_base": 600}
    server.pool("fast", ["invoice.pdf", "report.build"], queues=["billing", "default"], retry=quick)
    server.pool("mail", ["email.send"], queues=["mail"], concurrency=4, retry=slow)
    server.pool("images", ["image.resize"], queues=["images"], concurrency=3)
    server.schedule("tidy", "0 30 1 * * *", "report.build", name="Tidy up", payload={"what": "old files"})
    server.schedule("digest", "*/15 9-17 * * 1-5", "email.send", queue="mail", timezone="Europe/Berlin")


def fill(client: gqm.Client, admin: gqm.Admin, raw: redis.Redis, keys: Keys) -> None:
    """Enqueue jobs until each status is there."""
    for n in range(60):
        client.enqueue(
            "invoice.pdf", {"n": 20900 + n}, queue="billing", job_id=f"inv-{20900 + n}", enqueued_by="shop"
        )
        client.enqueue("email.send", {"to": f"user{n}@example.com"}, queue="mail")
    for n in range(9):
        client.enqueue(
            "invoice.pdf", {"n": 990 + n, "broken": True}, queue="billing", job_id=f"inv-{990 + n}"
        )
    for n in range(4):
        client.enqueue(
            "email.send",
            {"to": "x@example.com", "broken": True},
            queue="mail",
            job_id=f"mail-{n}",
            max_retry=3,
        )
        client.enqueue("image.resize", {"image": f"{n}.png"}, queue="images", job_id=f"img-{n}")
    for n in range(5):
        client.enqueue_in("email.send", {"to": "later@example.com"}, 3600 + n * 600, queue="mail")
    for n in range(24):
        client.enqueue("video.encode", {"clip": n}, queue="video:4k.main")
    graph(client)
    for n in range(3):
        client.enqueue("video.encode", {"clip": 100 + n}, queue="video:4k.main", job_id=f"vid-{n}")
        admin.cancel(f"vid-{n}")
    raw.hset(keys.job("vid-2"), "status", "stopped")
    client.enqueue(
        "ledger.sync", {"big": 12345678901234567890, "text": "plain"}, queue="legacy", job_id="led-1"
    )
    raw.lrem(keys.ready("legacy"), 0, "led-1")
    raw.hset(
        keys.job("led-1"),
        mapping={"status": "failed", "failed_at": int(time.time()), "error": "panic: nil map"},
    )


def graph(client: gqm.Client) -> None:
    """A diamond whose last part waits for a picture that is never done."""
    client.enqueue("invoice.pdf", {"n": 7}, queue="billing", job_id="ingest-7")
    client.enqueue("image.resize", {"image": "a.png"}, queue="images", job_id="scan-7", depends_on="ingest-7")
    client.enqueue("report.build", {}, job_id="index-7", depends_on="ingest-7")
    client.enqueue(
        "report.build", {}, job_id="publish-7", depends_on=["scan-7", "index-7"], allow_failure=True
    )


def history(raw: redis.Redis, keys: Keys) -> None:
    """Counters of past minutes and days, as engines leave them."""
    chance, now = random.Random(7), int(time.time())
    pipe = raw.pipeline(transaction=False)
    for ago in range(1, 180):
        minute = now // 60 - ago
        done = int(60 + 30 * math.sin(ago / 14) + chance.random() * 18)
        fields = {
            "claimed": done,
            "processed": done,
            "failed": chance.choice((0, 0, 0, 1, 4)),
            "wait_ms": done * chance.randint(80, 260),
            "run_ms": done * chance.randint(280, 420),
        }
        if ago not in (31, 32, 33):
            pipe.hset(keys.minute("billing", minute), mapping=fields)
    for ago in range(1, 90):
        day = (datetime.now(UTC) - timedelta(days=ago)).strftime("%Y-%m-%d")
        weekend = (datetime.now(UTC) - timedelta(days=ago)).weekday() > 4
        pipe.set(keys.day("billing", "processed", day), chance.randint(900, 1400) // (3 if weekend else 1))
        pipe.set(keys.day("billing", "failed", day), chance.randint(2, 90))
    pipe.execute()


@contextmanager
def shop(socket: str, prefix: str, **options: Any) -> Iterator[Engine]:
    """A shop that is open: workers run, the API is served, jobs of every status are there."""
    engine = Engine(f"unix:{socket}", prefix, **options)
    handlers(engine)
    engine.start()
    keys = Keys(prefix)
    raw = redis.Redis(unix_socket_path=socket)
    try:
        url = f"unix:{socket}"
        with gqm.Client(url, prefix=prefix) as client:
            fill(client, gqm.Admin(client._store, actor="cli:ana"), raw, keys)
        history(raw, keys)
        eventually(lambda: raw.zcard(keys.dead_letter("billing")) == 9, timeout=20)
        yield engine
    finally:
        engine.stop()
        raw.close()


def main() -> None:
    """Serve until interrupted."""
    options: dict[str, Any] = dict(SIGN_IN) if "--sign-in" in sys.argv else {}
    with (
        tempfile.TemporaryDirectory(prefix="gqm-", dir="/tmp") as folder,
        attach(Path(folder), timeout=30) as attached,
        shop(attached.socket, "shop:", api_addr="127.0.0.1:8090", **options) as engine,
    ):
        print(f"http://127.0.0.1:{engine.port}/dashboard/", flush=True)  # noqa: T201 - a program's output
        threading.Event().wait()


if __name__ == "__main__":
    main()
