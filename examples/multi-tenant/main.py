"""Serves three tenants from one process and one Redis; a flood of one tenant does not hold up the others."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import gqm

REDIS = f"embedded://{Path(__file__).resolve().parent / '.gqm'}"
SLOTS = {"acme": 4, "bolt": 2, "core": 2}
"""The tenants, and how many of their jobs may run at a time."""


def prefix(tenant: str) -> str:
    """Return the prefix of a tenant's keys. For Redis Cluster put braces around the name: ``{acme}:``."""
    return f"tenant-{tenant}:"


def make_server(tenant: str) -> gqm.Server:
    """Return the server of one tenant. All tenants share the code, and nothing else."""
    server = gqm.Server(REDIS, prefix=prefix(tenant))
    server.pool("work", ["*"], concurrency=SLOTS[tenant])

    @server.handle("invoice.render")
    async def render(job: gqm.Job) -> str:
        await asyncio.sleep(0.05)
        return f"{tenant}-{job.payload['number']}.pdf"

    return server


async def order(tenant: str, jobs: int) -> None:
    """Enqueue a tenant's invoices, wait for them, print how long the first and the last took."""
    begun = time.monotonic()
    async with gqm.AsyncClient(REDIS, prefix=prefix(tenant)) as client:
        made = await client.enqueue_batch([("invoice.render", {"number": number}) for number in range(jobs)])
        first = await client.wait(made[0].id, timeout=30)
        first_s = time.monotonic() - begun
        await client.wait(made[-1].id, timeout=30)
        last_s = time.monotonic() - begun
        print(f"{tenant}: {jobs:3} jobs, first {first} after {first_s:.1f} s, last after {last_s:.1f} s")


async def show_walls() -> None:
    """Look for a job of one tenant with the client of another."""
    async with (
        gqm.AsyncClient(REDIS, prefix=prefix("acme")) as acme,
        gqm.AsyncClient(REDIS, prefix=prefix("bolt")) as bolt,
    ):
        job = await acme.enqueue("invoice.render", {"number": 1000})
        print(f"acme sees its job: {await acme.get(job.id) is not None}")
        print(f"bolt sees it: {await bolt.get(job.id) is not None}")


async def main() -> None:
    """Start a server per tenant; one orders much, the others little."""
    async with AsyncExitStack() as stack:
        for tenant in SLOTS:
            server = make_server(tenant)
            await server.start()
            stack.push_async_callback(server.stop)
        await asyncio.gather(order("acme", 100), order("bolt", 4), order("core", 4))
        await show_walls()


if __name__ == "__main__":
    asyncio.run(main())
