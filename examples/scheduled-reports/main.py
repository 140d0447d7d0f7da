"""Runs reports on schedules for a few seconds and prints when each of them started."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import gqm
from gqm.cron import parse

REDIS = f"embedded://{Path(__file__).resolve().parent / '.gqm'}"
RUN_S = 4
WEEKDAYS = "0 0 8 * * mon-fri"  # sec min hour day month weekday
JAKARTA = "Asia/Jakarta"

server = gqm.Server(REDIS, poll_interval="100ms")
server.pool("reports", ["report.build"], concurrency=4)
server.schedule("sales", "* * * * * *", "report.build", payload={"report": "sales", "takes_s": 0})
server.schedule(
    "stock",
    "* * * * * *",
    "report.build",
    payload={"report": "stock", "takes_s": 2.5},
    overlap_policy="skip",
)
server.schedule("week", WEEKDAYS, "report.build", timezone=JAKARTA, payload={"report": "week", "takes_s": 0})


@server.handle("report.build")
async def build(job: gqm.Job) -> None:
    """Build a report, which takes as long as its payload says."""
    takes_s = job.payload["takes_s"]
    assert isinstance(takes_s, int | float)
    print(f"{datetime.now():%H:%M:%S}  {job.payload['report']:6} starts, takes {takes_s:g} s")
    await asyncio.sleep(takes_s)


async def main() -> None:
    """Run the server for a few seconds; the schedules do the rest."""
    start = datetime.now().timestamp()
    following = start
    for _ in range(3):
        following = parse(WEEKDAYS, JAKARTA).next(following)
        print(f"week: {datetime.fromtimestamp(following, ZoneInfo(JAKARTA)):%a %d %b %Y %H:%M %Z}")
    await server.start()
    try:
        async with gqm.AsyncClient(REDIS) as client:
            await client.enqueue_in("report.build", {"report": "extra", "takes_s": 0}, 1.5)
        await asyncio.sleep(RUN_S)
    finally:
        await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
