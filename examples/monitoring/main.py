"""Serves the REST API beside some work, and prints what a monitoring program reads from it."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import gqm

REDIS = f"embedded://{Path(__file__).resolve().parent / '.gqm'}"
KEY = f"gqm_ak_{secrets.token_hex(24)}"  # in a real service: "gqm add-api-key grafana"
LOOKS = 4

server = gqm.Server(
    REDIS,
    api=True,
    api_addr="127.0.0.1:0",  # any free port; server.api_port tells which
    api_keys=[{"name": "grafana", "key": KEY, "role": "viewer"}],
)
server.pool("work", ["*"], concurrency=4)


@server.handle("sleep")
async def sleep(job: gqm.Job) -> None:
    """Take 100 ms; every tenth job is bad and fails for good."""
    await asyncio.sleep(0.1)
    if str(job.payload["number"]).endswith("0"):
        raise gqm.SkipRetry("number ends in 0")


class Monitor:
    """Reads the API with the key."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def get(self, path: str, key: str = KEY) -> str:
        """Return the body of an answer. Raises ``HTTPError`` for any status but 2xx."""
        request = urllib.request.Request(f"{self._url}{path}", headers={"X-API-Key": key} if key else {})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return str(answer.read().decode())

    def data(self, path: str) -> Any:
        """Return the data of an answer of the API."""
        return json.loads(self.get(f"/api/v1{path}"))["data"]

    def show(self) -> None:
        """Print a line of totals."""
        stats = self.data("/stats")
        names = ("servers", "slots", "ready", "processing", "completed", "dead_letter")
        print("  ".join(f"{name} {stats[name]}" for name in names))

    def show_more(self) -> None:
        """Print failed groups, some metrics, and what a caller without the key gets."""
        for group in self.data("/failed/groups"):
            print(f"failed: {group['count']} × {group['error']} ({', '.join(group['types'])})")
        for line in self.get("/metrics").splitlines():
            if line.startswith(("gqm_jobs{", "gqm_processed_total", "gqm_failed_total")):
                print(f"metric: {line}")
        try:
            self.get("/api/v1/stats", key="")
        except urllib.error.HTTPError as exc:
            exc.close()
            print(f"without the key: {exc.code}")


async def main() -> None:
    """Enqueue some work, look at it for a while."""
    logging.getLogger("gqm").setLevel(logging.ERROR)  # the failures are looked at in the API
    await server.start()
    try:
        assert server.api_port is not None
        monitor = Monitor(server.api_port)
        async with gqm.AsyncClient(REDIS) as client:
            jobs = await client.enqueue_batch([("sleep", {"number": number}) for number in range(1, 101)])
            for _ in range(LOOKS):
                await asyncio.to_thread(monitor.show)
                await asyncio.sleep(1)
            await client.wait(jobs[-2].id, timeout=30)
        await asyncio.to_thread(monitor.show_more)
    finally:
        await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
