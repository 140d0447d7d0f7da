"""Jobs on arq."""

import asyncio

import common
from arq import create_pool
from arq.connections import RedisSettings


async def run(context: object, kind: str) -> None:
    """Do the work."""
    await common.work_async(kind)


class WorkerSettings:
    """What arq's command line reads."""

    functions = [run]  # noqa: RUF012 - the form that arq asks for
    redis_settings = RedisSettings.from_dsn(common.REDIS)
    max_jobs = common.SLOTS or (100 if common.BEST else 10)
    if common.BEST:
        keep_result = 0
        poll_delay = 0.01


async def main() -> None:
    """Enqueue."""
    pool = await create_pool(WorkerSettings.redis_settings)
    await common.main_async(lambda kind: pool.enqueue_job("run", kind))
    await pool.aclose()


if __name__ == "__main__":
    asyncio.run(main())
