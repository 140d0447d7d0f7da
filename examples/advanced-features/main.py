"""Shows what an enqueue call and a handler can do beyond the ordinary, each in a few lines."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec

import gqm

REDIS = f"embedded://{Path(__file__).resolve().parent / '.gqm'}"


class Area(msgspec.Struct):
    """Payload of ``area``: anything else is refused before the handler's own code."""

    width: float
    height: float


def completed(job: gqm.Job) -> None:
    """Called once the result is stored."""
    print(f"  callback: {job.type} completed")


def ended(job: gqm.Job, error: BaseException | None) -> None:
    """Called after every run, with its error or ``None``."""
    print(f"  callback: {job.type} ran, error: {error}")


server = gqm.Server(REDIS, poll_interval="100ms")
server.pool("one", ["*"], concurrency=1)  # one slot, so that the order can be seen


@server.handle("area", on_success=completed, on_complete=ended)
def area(job: gqm.Job) -> float:
    """Return an area; the result is kept with the job."""
    given = job.decode(Area)
    return given.width * given.height


@server.handle("count")
async def count(job: gqm.Job) -> int:
    """Count, and say how far it is."""
    for number in range(1, 11):
        await asyncio.sleep(0.1)
        job.progress(number, 10, f"at {number}")
    return 10


@server.handle("note")
async def note(job: gqm.Job) -> None:
    """Print a line; `gqm.current_job` is the same job, for code that is not handed it."""
    current = gqm.current_job.get()
    assert current is not None
    print(f"  note: {current.payload['text']}")
    await asyncio.sleep(0.05)


@server.handle("tick")
async def tick(job: gqm.Job) -> None:
    """Do next to nothing."""


@server.handle("flaky")
def flaky(job: gqm.Job) -> str:
    """Fail twice."""
    if job.attempt < 3:
        raise ConnectionError("not yet")
    return f"at attempt {job.attempt}"


async def unique(client: gqm.AsyncClient) -> None:
    """Enqueue the same order twice: an id of one's own, and refused while a job of that id exists."""
    order_id = f"invoice-{time.time_ns()}"
    await client.enqueue("note", {"text": "the invoice"}, job_id=order_id, unique=True)
    try:
        await client.enqueue("note", {"text": "the invoice again"}, job_id=order_id, unique=True)
    except gqm.DuplicateJobID as exc:
        print(f"unique: refused, {str(exc).replace(order_id, 'invoice-…')}")
    await client.wait(order_id, timeout=10)


async def batch(client: gqm.AsyncClient) -> None:
    """Enqueue three jobs in one call, all or none; then more than one call takes, from an iterable."""
    made = await client.enqueue_batch([("area", {"width": 2, "height": height}) for height in (1, 2, 3)])
    print("batch: areas", [await client.wait(job.id, timeout=10) for job in made])
    sizes = [len(chunk) async for chunk in client.enqueue_many(("tick", None) for _ in range(2500))]
    print("enqueue_many: chunks of", sizes)


async def typed(client: gqm.AsyncClient) -> None:
    """Enqueue a payload that does not fit: a dead letter at once, with the place that is wrong."""
    job = await client.enqueue("area", {"width": "wide", "height": 1})
    try:
        await client.wait(job.id, timeout=10)
    except gqm.JobFailed as exc:
        print(f"typed: {exc.state}, {str(exc).partition('InvalidPayload: ')[2]}")


async def front(client: gqm.AsyncClient) -> str:
    """Put a job in front of those that wait. This runs before the server starts, so that they do wait."""
    last = await client.enqueue("note", {"text": "enqueued first"})
    await client.enqueue("note", {"text": "enqueued in front"}, enqueue_at_front=True)
    return last.id


async def progress(client: gqm.AsyncClient) -> None:
    """Look at a running job until half of it is done."""
    running = await client.enqueue("count")
    made: tuple[float, float, str] | None = None
    while made is None or made[0] < 5:
        await asyncio.sleep(0.05)
        job = await client.get(running.id)
        made = job.progress_made if job is not None else None
    print(f"progress: {made}, then the result {await client.wait(running.id, timeout=10)}")


async def intervals(client: gqm.AsyncClient) -> None:
    """Let the producer choose the waits between attempts, and how long the result is kept."""
    job = await client.enqueue(
        "flaky", retry_intervals=[0, 1], max_retry=2, result_ttl=60, meta={"why": "shown"}
    )
    print("retry_intervals:", await client.wait(job.id, timeout=10))


async def main() -> None:
    """Run everything in turn."""
    async with gqm.AsyncClient(REDIS) as client:
        last = await front(client)
        await server.start()
        try:
            await client.wait(last, timeout=10)
            for show in (unique, typed, progress, intervals, batch):
                await show(client)
        finally:
            await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
