"""Jobs on Celery."""

import common
from celery import Celery

app = Celery("bench", broker=common.REDIS)
if common.BEST:
    app.conf.update(worker_prefetch_multiplier=64, task_ignore_result=True, worker_send_task_events=False)


@app.task(name="run")
def run(kind: str) -> None:
    """Do the work."""
    common.work(kind)


if __name__ == "__main__":
    common.main(run.delay)
