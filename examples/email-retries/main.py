"""Sends mails that fail in different ways, and shows how often each was tried and how it ended."""

from __future__ import annotations

import asyncio
from pathlib import Path

import gqm

REDIS = f"embedded://{Path(__file__).resolve().parent / '.gqm'}"
MAILS = ("ana@example.com", "bo@busy.example", "chen@down.example", "dara@nowhere.example")

server = gqm.Server(REDIS)
server.pool(
    "mail",
    ["email.send"],
    queues=["mail"],
    concurrency=4,
    job_timeout=5,
    retry={"max_retry": 3, "backoff": "exponential", "backoff_base": "200ms", "backoff_max": "1s"},
)


@server.handle("email.send")
def send(job: gqm.Job) -> dict[str, object]:
    """Send one mail. Any exception is a failed attempt; `SkipRetry` says that no further one makes sense."""
    to = str(job.payload["to"])
    domain = to.rpartition("@")[2]
    if domain == "nowhere.example":
        raise gqm.SkipRetry(f"there is no domain {domain}")
    if domain == "down.example" or (domain == "busy.example" and job.attempt <= 2):
        raise ConnectionError(f"mx.{domain}: 421 try again later")
    return {"accepted": to}


def produce() -> None:
    """Enqueue the mails, wait for their ends, print what happened."""
    with gqm.Client(REDIS) as client:
        jobs = [client.enqueue("email.send", {"to": to}, queue="mail") for to in MAILS]
        for to, made in zip(MAILS, jobs, strict=True):
            try:
                outcome = f"sent, {client.wait(made.id, timeout=30)}"
            except gqm.JobFailed as exc:
                outcome = exc.state
            job = client.get(made.id)
            assert job is not None
            print(f"{to:22} attempt {job.attempt}  {outcome}  {job.error}".rstrip())


async def main() -> None:
    """Run server and producer in one process, until all mails have ended."""
    await server.start()
    try:
        await asyncio.to_thread(produce)
    finally:
        await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
