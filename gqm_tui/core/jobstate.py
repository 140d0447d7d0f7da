"""The ten states of a job on the screen: their order, their short names, how many jobs are in each."""

from gqm_tui.core.actions import runs_now
from gqm_tui.core.model import Queue

SECTIONS = (
    "ready",
    "processing",
    "scheduled",
    "retry",
    "deferred",
    "completed",
    "dead_letter",
    "canceled",
    "stopped",
    "failed",
)
"""The ten states, in the order in which a list of jobs walks through them."""

SHORT = {
    "ready": "ready",
    "processing": "active",
    "scheduled": "sched",
    "retry": "retry",
    "deferred": "defer",
    "completed": "done",
    "dead_letter": "DLQ",
    "canceled": "canceled",
    "stopped": "stopped",
    "failed": "failed",
}


def retry_label(status: str) -> str:
    """What the retry key does in a state: a job that waits for its time runs now."""
    return "Run now" if runs_now(status) else "Retry"


def count_of(queue: Queue, status: str) -> int | None:
    """Give how many jobs of a queue are in a state; None where the API has no count of it."""
    counts = {
        "ready": queue.ready,
        "processing": queue.processing,
        "scheduled": queue.scheduled,
        "retry": queue.retry,
        "deferred": queue.deferred,
        "completed": queue.completed,
        "dead_letter": queue.dead_letter,
        "canceled": queue.canceled,
    }
    return counts.get(status)
