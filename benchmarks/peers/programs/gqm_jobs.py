"""Jobs on GQM: ``python gqm_jobs.py worker``, or as the others KIND NUMBER."""

import sys

import common

import gqm


async def run(job: gqm.Job) -> None:
    """Do the work."""
    await common.work_async(str(job.payload["kind"]))


def worker() -> None:
    """Run jobs."""
    server = gqm.Server(common.REDIS)
    server.handle("run", run)
    slots = common.SLOTS or (10 if common.BEST else 0)
    if slots:
        server.pool("run", ["run"], concurrency=slots, queues=["default"])
    server.run()


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        worker()
    else:
        with gqm.Client(common.REDIS) as client:
            common.main(lambda kind: client.enqueue("run", {"kind": kind}))
