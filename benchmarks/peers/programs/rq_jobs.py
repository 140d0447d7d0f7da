"""Jobs on RQ."""

import common
from redis import Redis
from rq import Queue


def run(kind: str) -> None:
    """Do the work."""
    common.work(kind)


if __name__ == "__main__":
    queue = Queue(connection=Redis.from_url(common.REDIS))
    options = {"result_ttl": 0} if common.BEST else {}
    common.main(lambda kind: queue.enqueue("rq_jobs.run", kind, **options))
