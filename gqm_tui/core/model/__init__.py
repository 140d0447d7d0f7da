"""The objects of the REST API as the terminal UI reads them: frozen values, named as the API names them.

A field that the API may leave out has a default, ``None`` unless said otherwise; fields that are not known
here are passed over, so that a newer server can be read. Times are unix seconds, names in ``_ms``
milliseconds. Free JSON is kept as text (`msgspec.Raw`), so that every digit survives; empty means that it was
not there. What calls that change something answer is in `answers`, what the event stream sends in `events`.
"""

from gqm_tui.core.model.base import NO_JSON, Meta, Model, Names
from gqm_tui.core.model.cron import CronEntry, CronRun, LastJob
from gqm_tui.core.model.figures import Minute, MinutesSeries, RedisInfo, Runtime, Stats
from gqm_tui.core.model.graphs import Edge, Graph, Node
from gqm_tui.core.model.jobs import Attempt, FailedGroup, Job, Progress
from gqm_tui.core.model.machinery import (
    ActiveJob,
    Longest,
    Queue,
    QueueDetail,
    Server,
    TypeCount,
    Worker,
    WorkerDetail,
)
from gqm_tui.core.model.people import AuditEntry, Me

__all__ = [
    "NO_JSON",
    "ActiveJob",
    "Attempt",
    "AuditEntry",
    "CronEntry",
    "CronRun",
    "Edge",
    "FailedGroup",
    "Graph",
    "Job",
    "LastJob",
    "Longest",
    "Me",
    "Meta",
    "Minute",
    "MinutesSeries",
    "Model",
    "Names",
    "Node",
    "Progress",
    "Queue",
    "QueueDetail",
    "RedisInfo",
    "Runtime",
    "Server",
    "Stats",
    "TypeCount",
    "Worker",
    "WorkerDetail",
]
