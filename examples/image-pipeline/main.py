"""Builds a graph of jobs for four pictures, one of them broken, and shows how every job ended."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pipeline

import gqm

REDIS = f"embedded://{Path(__file__).resolve().parent / '.gqm'}"
PICTURES = ("harbour", "garden", "broken", "market")
WIDTHS = (320, 640, 1280)


def make_server() -> gqm.Server:
    """Return the server: one pool of processes for the heavy work, one of threads for everything else."""
    server = gqm.Server(REDIS)
    server.pool("sizes", ["image.resize"], queues=["sizes"], concurrency=2, isolation="process")
    server.pool("rest", ["*"], queues=["default"], concurrency=4)
    server.include(pipeline)
    return server


def enqueue(client: gqm.Client) -> dict[str, str]:
    """Enqueue the whole graph, parents first; returns a name for each job id."""
    names: dict[str, str] = {}
    published = []
    for picture in PICTURES:
        about = {"picture": picture, "broken": picture == "broken"}
        fetch = client.enqueue("image.fetch", about).id
        sizes = [
            client.enqueue(
                "image.resize", {"picture": picture, "width": width}, queue="sizes", depends_on=fetch
            ).id
            for width in WIDTHS
        ]
        publish = client.enqueue("image.publish", about, depends_on=sizes).id
        names[fetch] = f"{picture}: fetch"
        names |= {job: f"{picture}: {width}" for job, width in zip(sizes, WIDTHS, strict=True)}
        names[publish] = f"{picture}: publish"
        published.append(publish)
    sheet = client.enqueue("image.sheet", depends_on=published, allow_failure=True).id
    return {**names, sheet: "contact sheet"}


def produce() -> None:
    """Enqueue, wait for every job's end, print it."""
    with gqm.Client(REDIS) as client:
        for job_id, name in enqueue(client).items():
            try:
                print(f"{name:18} completed    {client.wait(job_id, timeout=30) or ''}".rstrip())
            except gqm.JobFailed as exc:
                print(f"{name:18} {exc.state}")


async def main() -> None:
    """Run server and producer in one process, until the graph has ended."""
    server = make_server()
    await server.start()
    try:
        await asyncio.to_thread(produce)
    finally:
        await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
