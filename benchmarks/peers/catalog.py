"""The queues: what to install, and how their workers are started at each setting."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Queue:
    """A queue to measure."""

    name: str
    packages: tuple[str, ...]
    default: str
    """Words that start a worker as the documentation of the queue does."""
    best: str
    """The fastest setting found on two cores."""
    slotted: str = ""
    """With 100 slots; empty = not possible."""
    processes: int = 1
    """How many of the workers of the fastest setting run at once."""
    jobs: int = 10_000
    note: str = ""
    """What else belongs to the fastest setting, and what is given up for it."""


QUEUES = (
    Queue(
        "gqm",
        (),
        "python gqm_jobs.py worker",
        "python gqm_jobs.py worker",
        "python gqm_jobs.py worker",
        note="10 slots",
    ),
    Queue(
        "dramatiq",
        ("dramatiq[redis]",),
        "dramatiq dramatiq_jobs",
        "dramatiq --processes 2 --threads 4 dramatiq_jobs",
        "dramatiq --processes 2 --threads 50 dramatiq_jobs",
        note="no middleware, so no retries and no time limits; prefetch 1,000",
    ),
    Queue(
        "huey",
        ("huey", "redis"),
        "huey_consumer huey_jobs.huey",
        "huey_consumer huey_jobs.huey -w 4 -k process --no-periodic --disable-health-check",
        "huey_consumer huey_jobs.huey -w 100 -k thread --no-periodic --disable-health-check",
        note="no results; at most once",
    ),
    Queue(
        "saq",
        ("saq[redis,hiredis]", "typing-extensions"),
        "saq saq_jobs.settings",
        "saq saq_jobs.settings --workers 2",
        "saq saq_jobs.settings",
        note="20 at a time in each, no results",
    ),
    Queue(
        "taskiq",
        ("taskiq", "taskiq-redis", "uvloop"),
        "taskiq worker taskiq_jobs:broker",
        "taskiq worker taskiq_jobs:broker --workers 2 --max-async-tasks 1000",
        "taskiq worker taskiq_jobs:broker --workers 2 --max-async-tasks 50",
    ),
    Queue(
        "celery",
        ("celery[redis]",),
        "celery -A celery_jobs worker",
        "celery -A celery_jobs worker -c 4 --without-gossip --without-mingle --without-heartbeat",
        "celery -A celery_jobs worker -P threads -c 100 --without-gossip --without-mingle",
        jobs=5_000,
        note="prefetch 64, no results",
    ),
    Queue(
        "arq",
        ("arq",),
        "arq arq_jobs.WorkerSettings",
        "arq arq_jobs.WorkerSettings",
        "arq arq_jobs.WorkerSettings",
        processes=2,
        jobs=5_000,
        note="100 at a time in each, polled each 10 ms, no results",
    ),
    Queue(
        "rq",
        ("rq",),
        "rq worker --url {redis}",
        "rq worker --url {redis} -w rq.worker.SimpleWorker --disable-job-desc-logging",
        processes=2,
        jobs=1_000,
        note="no results",
    ),
)
