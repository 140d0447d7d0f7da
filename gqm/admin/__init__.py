"""What operators do: one implementation for the API, the command line and programs, with its audit log."""

from gqm.admin.cron import CronAdmin, CronDeleted, CronSwitched, Triggered
from gqm.admin.operator import Admin
from gqm.admin.results import (
    Action,
    Batch,
    Canceled,
    Cleared,
    Deleted,
    Emptied,
    JobResult,
    Preview,
    QueuePreview,
    Retried,
    RetriedAll,
    Switched,
    code_of,
)

__all__ = [
    "Action",
    "Admin",
    "Batch",
    "Canceled",
    "Cleared",
    "CronAdmin",
    "CronDeleted",
    "CronSwitched",
    "Deleted",
    "Emptied",
    "JobResult",
    "Preview",
    "QueuePreview",
    "Retried",
    "RetriedAll",
    "Switched",
    "Triggered",
    "code_of",
]
