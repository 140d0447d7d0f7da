"""Jobs on Huey."""

import common
from huey import RedisHuey

huey = RedisHuey("bench", url=common.REDIS, results=not common.BEST)


@huey.task()
def run(kind: str) -> None:
    """Do the work."""
    common.work(kind)


if __name__ == "__main__":
    import huey_jobs  # the name of the module is in each message

    common.main(huey_jobs.run)
