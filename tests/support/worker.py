"""A program that runs one server with the handlers of a module, for tests that kill, stop and signal it.

Usage: ``python -m tests.support.worker ADDRESS PREFIX MODULE OPTIONS`` with options of `gqm.Server` as JSON;
``pools`` among them is a list of keywords of `Server.pool`, ``entries`` one of `Server.schedule`. It
writes its server id to stdout once it runs.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys

import gqm
from gqm.engine.core import Engine


class Announcing(gqm.Server):
    """A server that says when it has started and takes signals."""

    async def start(self) -> Engine:
        engine = await super().start()
        asyncio.get_running_loop().call_soon(self._say, engine.server_id)
        return engine

    @staticmethod
    def _say(server_id: str) -> None:
        sys.stdout.write(f"{server_id}\n")
        sys.stdout.flush()


def main(address: str, prefix: str, module: str, options: str) -> None:
    """Run until a signal."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    keywords = json.loads(options)
    pools, entries = keywords.pop("pools", []), keywords.pop("entries", [])
    server = Announcing(address, prefix=prefix, **keywords)
    server.include(module)
    for pool in pools:
        server.pool(**pool)
    for entry in entries:
        server.schedule(**entry)
    server.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
