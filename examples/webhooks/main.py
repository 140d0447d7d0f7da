"""Posts events to a receiver that limits its callers, and shows that all of them arrive."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

from receiver import Receiver

import gqm
from gqm.engine.handlers import CallNext

REDIS = f"embedded://{Path(__file__).resolve().parent / '.gqm'}"
SECRET = b"shared with the customer"
EVENTS = 30

server = gqm.Server(REDIS, poll_interval="100ms")
server.pool("webhooks", ["webhook.post"], queues=["webhooks"], concurrency=5, job_timeout=10)
seen: Counter[str] = Counter()


@server.use
async def measure(job: gqm.Job, call_next: CallNext) -> object:
    """Count how every run ends. A middleware sees the job before the handler, and what comes of it."""
    begun = time.monotonic()
    try:
        result = await call_next(job)
    except gqm.Retry:
        seen["told to come back"] += 1
        raise
    finally:
        seen["milliseconds"] += round((time.monotonic() - begun) * 1000)
    seen["delivered"] += 1
    return result


@server.handle("webhook.post")
def post(job: gqm.Job) -> int:
    """Post one event, signed."""
    body = json.dumps(job.payload["event"]).encode()
    signature = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    request = urllib.request.Request(
        str(job.payload["url"]), body, {"X-Signature": f"sha256={signature}", "X-Event-Id": job.id}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        exc.close()
        if exc.code == 429:
            raise gqm.Retry(float(exc.headers["Retry-After"]), count=False, reason="429") from None
        if 400 <= exc.code < 500:
            raise gqm.SkipRetry(f"refused with {exc.code}") from None
        raise


async def main() -> None:
    """Run receiver and server, enqueue all events in one call, wait for each of them."""
    logging.getLogger("gqm").setLevel(logging.ERROR)  # not a line for each 429
    with Receiver(SECRET, per_second=10) as receiver:
        await server.start()
        try:
            async with gqm.AsyncClient(REDIS) as client:
                items = [
                    gqm.Item(
                        "webhook.post",
                        {"url": receiver.url, "event": {"order": number, "state": "paid"}},
                        {"queue": "webhooks", "max_retry": 1},
                    )
                    for number in range(EVENTS)
                ]
                for job in await client.enqueue_batch(items):
                    await client.wait(job.id, timeout=60)
        finally:
            await server.stop()
        print(f"{seen['delivered']} of {EVENTS} events delivered, each once: {receiver.each_once}")
        print(f"{seen['told to come back']} times told to come back, {receiver.refused} calls refused")


if __name__ == "__main__":
    asyncio.run(main())
