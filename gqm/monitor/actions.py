"""The rows of the table that change something."""

from __future__ import annotations

from collections.abc import Iterator

from gqm.admin import (
    Batch,
    Canceled,
    Cleared,
    Deleted,
    Emptied,
    Preview,
    QueuePreview,
    Retried,
    RetriedAll,
    Switched,
)
from gqm.admin.cron import CronDeleted, CronSwitched, Triggered
from gqm.monitor import writes
from gqm.monitor.table import V1, Row
from gqm.store.read.views import JobView


def actions() -> Iterator[Row]:
    """Yield the rows of all operator actions."""
    yield from _queue_actions()
    yield from _job_actions()
    yield from _cron_actions()


def _queue_actions() -> Iterator[Row]:
    base = f"{V1}/queues/{{name}}"
    yield Row(
        "POST",
        f"{base}/pause",
        "admin",
        writes.pause,
        "Keep a queue from being worked on",
        names="queue",
        action="queue.pause",
        answer=Switched,
    )
    yield Row(
        "POST",
        f"{base}/resume",
        "admin",
        writes.resume,
        "Let a queue be worked on again",
        names="queue",
        action="queue.resume",
        answer=Switched,
    )
    yield Row(
        "DELETE",
        f"{base}/empty",
        "admin",
        writes.empty,
        "Cancel the ready jobs of a queue",
        names="queue",
        query=writes.DryRun,
        action="queue.empty",
        answer=Emptied,
        preview=QueuePreview,
    )
    yield Row(
        "POST",
        f"{base}/dead-letter/retry-all",
        "admin",
        writes.retry_dead,
        "Run the dead letters of a queue again",
        names="queue",
        query=writes.DryRun,
        action="dlq.retry_all",
        answer=RetriedAll,
        preview=QueuePreview,
    )
    yield Row(
        "DELETE",
        f"{base}/dead-letter/clear",
        "admin",
        writes.clear_dead,
        "Delete the dead letters of a queue",
        names="queue",
        query=writes.DryRun,
        action="dlq.clear",
        answer=Cleared,
        preview=QueuePreview,
    )


def _job_actions() -> Iterator[Row]:
    yield Row(
        "POST",
        f"{V1}/jobs",
        "admin",
        writes.add_job,
        "Enqueue a job",
        body=writes.JobBody,
        action="job.enqueue",
        answer=JobView,
    )
    yield Row(
        "POST",
        f"{V1}/jobs/{{id}}/retry",
        "admin",
        writes.retry,
        "Run a job again, or now",
        names="job",
        action="job.retry",
        answer=Retried,
    )
    yield Row(
        "POST",
        f"{V1}/jobs/{{id}}/cancel",
        "admin",
        writes.cancel,
        "Cancel a job",
        names="job",
        action="job.cancel",
        answer=Canceled,
    )
    yield Row(
        "DELETE",
        f"{V1}/jobs/{{id}}",
        "admin",
        writes.delete,
        "Delete a job",
        names="job",
        action="job.delete",
        answer=Deleted,
    )
    for name, handler in (
        ("retry", writes.batch_retry),
        ("delete", writes.batch_delete),
        ("cancel", writes.batch_cancel),
    ):
        yield Row(
            "POST",
            f"{V1}/jobs/batch/{name}",
            "admin",
            handler,
            f"{name.capitalize()} many jobs",
            body=writes.BatchBody,
            action=f"batch.{name}",
            answer=Batch,
            preview=Preview,
            one_of=("job_ids", "filter"),
        )


def _cron_actions() -> Iterator[Row]:
    base = f"{V1}/cron/{{id}}"
    yield Row(
        "POST",
        f"{base}/trigger",
        "admin",
        writes.trigger,
        "Make a job of a cron entry",
        names="cron",
        action="cron.trigger",
        answer=Triggered,
    )
    yield Row(
        "POST",
        f"{base}/enable",
        "admin",
        writes.enable,
        "Let a cron entry fire",
        names="cron",
        action="cron.enable",
        answer=CronSwitched,
    )
    yield Row(
        "POST",
        f"{base}/disable",
        "admin",
        writes.disable,
        "Keep a cron entry from firing",
        names="cron",
        action="cron.disable",
        answer=CronSwitched,
    )
    yield Row(
        "DELETE",
        base,
        "admin",
        writes.forget,
        "Delete an entry that no server has any more",
        names="cron",
        action="cron.delete",
        answer=CronDeleted,
    )
