"""Jobs on SAQ."""

import asyncio

import common
from saq import Queue

queue = Queue.from_url(common.REDIS)


async def run(context: object, *, kind: str) -> None:
    """Do the work."""
    await common.work_async(kind)


settings = {"queue": queue, "functions": [run], "concurrency": common.SLOTS or (20 if common.BEST else 10)}


async def main() -> None:
    """Enqueue."""
    await queue.connect()
    options = {"ttl": -1} if common.BEST else {}
    await common.main_async(lambda kind: queue.enqueue("run", kind=kind, **options))
    await queue.disconnect()


if __name__ == "__main__":
    asyncio.run(main())
