"""Jobs on taskiq."""

import asyncio

import common
from taskiq_redis import ListQueueBroker

broker = ListQueueBroker(url=common.REDIS)


@broker.task(task_name="run")
async def run(kind: str) -> None:
    """Do the work."""
    await common.work_async(kind)


async def main() -> None:
    """Enqueue."""
    await broker.startup()
    await common.main_async(run.kiq)
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
