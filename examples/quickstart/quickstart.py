"""Runs the quickstart to its end in one process: a server, the producer, then a clean stop."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import gqm

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import produce  # noqa: E402 - it lies beside this file


async def main() -> None:
    """Start a server as `gqm run gqm.yaml` would, and let the producer use it from a thread."""
    server = gqm.Server.from_config(HERE / "gqm.yaml")
    server.include("handlers")
    await server.start()
    try:
        await asyncio.to_thread(produce.main)
    finally:
        await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
