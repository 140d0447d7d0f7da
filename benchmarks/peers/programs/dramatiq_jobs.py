"""Jobs on Dramatiq."""

import common
import dramatiq
from dramatiq.brokers.redis import RedisBroker

broker = RedisBroker(url=common.REDIS, **({"middleware": []} if common.BEST else {}))
dramatiq.set_broker(broker)


@dramatiq.actor
def run(kind: str) -> None:
    """Do the work."""
    common.work(kind)


if __name__ == "__main__":
    common.main(run.send)
