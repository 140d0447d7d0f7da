"""Serves a dashboard of one's own beside the REST API."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
from pathlib import Path

import gqm

HERE = Path(__file__).resolve().parent
REDIS = f"embedded://{HERE / '.gqm'}"
SERVE = "--serve" in sys.argv

server = gqm.Server(
    REDIS,
    api=True,
    api_addr="127.0.0.1:8080" if SERVE else "127.0.0.1:0",
    dashboard=True,
    custom_dir=str(HERE / "site"),
    path_prefix="/panel",
)


@server.handle("work")
async def work(job: gqm.Job) -> None:
    """Take a while, so that there is something to see."""
    await asyncio.sleep(0.5)


def get(path: str) -> str:
    """Return what the server answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.api_port}{path}", timeout=5) as answer:
        return str(answer.read().decode())


def show() -> None:
    """Fetch what a browser would."""
    page = get("/panel/")
    print("page:  ", page.partition("<title>")[2].partition("</title>")[0])
    print("script:", get("/panel/panel.js").splitlines()[0])
    for queue in json.loads(get("/api/v1/queues"))["data"]:
        print("queue: ", queue["name"], queue["ready"] + queue["processing"], "jobs")


async def main() -> None:
    """Show the page once, or serve it until Ctrl-C."""
    await server.start()
    try:
        async with gqm.AsyncClient(REDIS) as client:
            await client.enqueue_batch([("work", None)] * 6)
        if SERVE:
            print(f"http://127.0.0.1:{server.api_port}/panel/")
            await asyncio.Event().wait()
        await asyncio.to_thread(show)
    finally:
        await server.stop()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("stopped")
