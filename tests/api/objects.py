"""The objects of the API as they are documented: every field with its type, and where it stands.

A type is a word, ``[word]`` for a list, ``word?`` for one that can be null, or a table of fields. Names that
end in ``?`` are left out when they have no value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Fields = Mapping[str, Any]

PROGRESS: Fields = {"current": "number", "total": "number", "message": "text"}

JOB: Fields = {
    **dict.fromkeys(("id", "type", "queue", "status"), "text"),
    **dict.fromkeys(("payload_bytes", "retry_count", "max_retry", "attempt", "created_at"), "int"),
    **dict.fromkeys(("allow_failure", "enqueue_at_front"), "bool"),
    **dict.fromkeys(("error?", "error_type?", "cancel_reason?"), "text"),
    **dict.fromkeys(("timeout?", "result_ttl?", "failure_ttl?"), "int"),
    **dict.fromkeys(("scheduled_at?", "started_at?", "completed_at?"), "int"),
    **dict.fromkeys(("execution_duration?", "wait_ms?", "elapsed_ms?"), "int"),
    **dict.fromkeys(("worker_id?", "pool?", "server_id?", "enqueued_by?", "cron_id?"), "text"),
    **dict.fromkeys(("due_at?", "processing_deadline?"), "number"),
    **dict.fromkeys(("last_heartbeat?", "cron_slot?"), "int"),
    "stale?": "bool",
    "progress?": PROGRESS,
}
LISTED_JOB: Fields = {**JOB, "depends_on?": ["text"], "pending_deps?": ["text"]}
ROOT_JOB: Fields = {
    **LISTED_JOB,
    "child_count": "int",
    "rollup?": {"*": "int"},
    "rollup_truncated?": "bool",
}
JOB_DETAIL: Fields = {
    **JOB,
    "payload": "json",
    "payload_invalid?": "bool",
    "result?": "json",
    "result_note?": "text",
    "meta?": {"*": "json"},
    "traceback?": "text",
    "retry_intervals?": ["int"],
    "expires_at?": "int",
    "depends_on": ["text"],
    "pending_deps": ["text"],
    "children": ["text"],
    "child_count": "int",
}
QUEUE: Fields = {
    "name": "text",
    "paused": "bool",
    **dict.fromkeys(("ready", "processing", "completed", "dead_letter", "canceled"), "int"),
    **dict.fromkeys(("scheduled", "retry", "deferred", "processed_total", "failed_total"), "int"),
    "counts_truncated?": "bool",
    "oldest_age_ms": "int?",
    **dict.fromkeys(("in_per_min", "out_per_min", "failed_per_min"), "number?"),
    **dict.fromkeys(("wait_avg_ms", "run_avg_ms", "drain_ms", "priority"), "int?"),
    "pools": ["text"],
}
QUEUE_DETAIL: Fields = {**QUEUE, "by_type": [{"type": "text", "ready": "int"}]}
WORKER: Fields = {
    **dict.fromkeys(("id", "pool", "server_id", "status"), "text"),
    "queues": ["text"],
    **dict.fromkeys(("concurrency", "active_jobs", "started_at", "last_heartbeat"), "int"),
    "longest?": {"id": "text", "type": "text", "elapsed_ms": "int", "over_deadline": "bool"},
    "isolation?": "text",
    **dict.fromkeys(("ahead?", "abandoned?"), "int"),
}
RUNNING_JOB: Fields = {
    **dict.fromkeys(("id", "type", "queue"), "text"),
    **dict.fromkeys(("started_at", "elapsed_ms"), "int"),
    "processing_deadline": "number",
}
WORKER_DETAIL: Fields = {**WORKER, "jobs": [RUNNING_JOB]}
SERVER: Fields = {
    **dict.fromkeys(("id", "hostname", "version", "runtime", "status"), "text"),
    **dict.fromkeys(("pid", "num_pools", "concurrency_total", "busy"), "int"),
    "pools": ["text"],
    "types": ["text"],
    "scheduler": "bool",
    **dict.fromkeys(("started_at", "last_heartbeat"), "int"),
}
CRON: Fields = {
    **dict.fromkeys(("id", "name", "cron_expr", "timezone", "job_type", "queue", "description"), "text"),
    "payload": {"*": "json", "?": True},
    **dict.fromkeys(("timeout?", "max_retry?"), "int"),
    "overlap_policy": "text",
    **dict.fromkeys(("enabled", "orphaned"), "bool"),
    **dict.fromkeys(("last_run", "next_run"), "int?"),
    "last_status": "text?",
    "last_job": {"job_id": "text", "triggered_at": "int", "status": "text", "?": True},
    **dict.fromkeys(("created_at", "updated_at"), "int"),
}
CRON_WITH_OUTCOMES: Fields = {**CRON, "outcomes?": ["text"]}
CRON_DETAIL: Fields = {**CRON, "outcomes": ["text"], "next_runs": ["int"]}
CRON_RUN: Fields = {
    "job_id": "text",
    "triggered_at": "int",
    "slot": "int?",
    "outcome": "text",
    "duration_ms": "int?",
}
NODE: Fields = {
    **dict.fromkeys(("id", "type", "status", "queue"), "text"),
    "allow_failure": "bool",
    "created_at": "digits",
    **dict.fromkeys(("layer", "order", "retry_count", "max_retry"), "int"),
    **dict.fromkeys(("hidden_parents", "hidden_children"), "int"),
    **dict.fromkeys(("started_at?", "completed_at?", "execution_duration?"), "int"),
    "error?": "text",
}
GRAPH: Fields = {
    "root_id": "text",
    "nodes": [NODE],
    "edges": [{"source": "text", "target": "text"}],
    "truncated": "bool",
    **dict.fromkeys(("hidden", "layers", "width"), "int"),
    "counts": {"*": "int"},
}
ATTEMPT: Fields = {
    "attempt": "int",
    "outcome": "text",
    "counted": "bool",
    "started_at": "int",
    "ended_at": "number",
    "duration_ms": "int",
    "worker_id": "text",
    "error": "text",
    "error_type?": "text",
}
GROUP: Fields = {
    **dict.fromkeys(("fingerprint", "error", "error_type", "sample_id"), "text"),
    **dict.fromkeys(("count", "recent_5m", "first", "last", "types_total", "queues_total"), "int"),
    "hour": ["int"],
    "types": ["text"],
    "queues": ["text"],
}
AUDIT: Fields = {
    "id": "text",
    "ts": "number",
    **dict.fromkeys(("actor", "role", "source", "address", "action", "target", "before", "after"), "text"),
    "count": "int",
    "ok": "bool",
    "code": "text?",
    "request_id": "text",
}
STATS: Fields = {
    **dict.fromkeys(("queues", "paused_queues", "servers", "workers", "slots", "busy", "ready"), "int"),
    **dict.fromkeys(("processing", "scheduled", "retry", "deferred", "completed", "dead_letter"), "int"),
    **dict.fromkeys(("canceled", "processed_total", "failed_total", "uptime_ms"), "int"),
    "oldest_age_ms": "int?",
    **dict.fromkeys(("in_per_min", "out_per_min", "failed_per_min"), "number?"),
}
REDIS: Fields = {
    **dict.fromkeys(("version", "mode"), "text"),
    **dict.fromkeys(("embedded", "aof_enabled"), "bool"),
    **dict.fromkeys(("used_memory_bytes", "maxmemory_bytes", "ops_per_sec"), "int"),
    **dict.fromkeys(("connected_clients", "evicted_keys", "latency_ms"), "int"),
}
RUNTIME: Fields = {
    **dict.fromkeys(("version", "python_version"), "text"),
    **dict.fromkeys(("num_cpu", "threads", "tasks", "rss_bytes", "gc_collections", "uptime_ms"), "int"),
    "cpu_percent": "number",
    "redis": REDIS,
}
MINUTES: Fields = {
    "queue": "text?",
    "minutes": [
        {
            **dict.fromkeys(("minute", "processed", "failed", "retried", "skipped"), "int"),
            **dict.fromkeys(("wait_avg_ms", "run_avg_ms"), "int?"),
        }
    ],
}
DAYS: Fields = {"queue": "text?", "days": [{"date": "text", "processed": "int", "failed": "int"}]}
KEY: Fields = {"name": "text", "role": "text", "last_used_at": "int?", "last_address": "text?"}
SESSION: Fields = {
    **dict.fromkeys(("id", "address", "user_agent"), "text"),
    **dict.fromkeys(("created_at", "seen_at"), "int"),
    "current": "bool",
}
ME: Fields = {**dict.fromkeys(("username", "role", "auth"), "text"), "expires_at": "int?"}


EVENTS: Mapping[str, Fields] = {
    "hello": {"server_time": "number", "version": "text"},
    "job": {
        "ts": "number",
        **dict.fromkeys(("job_id", "queue", "to"), "text"),
        "from": "text?",
        **dict.fromkeys(("type?", "worker_id?", "error?"), "text"),
        **dict.fromkeys(("retry_count?", "duration_ms?"), "int"),
    },
    "queue": {"ts": "number", "queue": "text", "action": "text", "count?": "int"},
    "cron": {"ts": "number", "cron_id": "text", "action": "text", "job_id?": "text"},
    "server": {"ts": "number", "server_id": "text", "action": "text"},
    "stats": STATS,
    "dropped": {"ts": "number", "count": "int?"},
    "redis": {"ts": "number", "up": "bool"},
    "bye": {"reason": "text"},
}


class Seen:
    """Compares values with what is documented, and notes which fields ever had one."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._full: set[str] = set()
        self._documented: set[str] = set()

    def check(self, name: str, fields: Fields, value: object) -> None:
        """Compare an object, or a list of them."""
        for item in value if isinstance(value, list) else [value]:
            self._compare(name, fields, item)

    @property
    def never_set(self) -> list[str]:
        """Documented fields that never had a value."""
        return sorted(self._documented - self._full)

    def _compare(self, where: str, kind: Any, value: object) -> None:
        if isinstance(kind, dict):
            self._object(where, kind, value)
        elif isinstance(kind, list):
            self._expect(isinstance(value, list), where, "a list", value)
            for item in value if isinstance(value, list) else ():
                self._compare(where, kind[0], item)
        else:
            self._expect(_is(kind, value), where, kind, value)

    def _object(self, where: str, fields: Fields, value: object) -> None:
        if value is None and "?" in fields:
            return
        self._expect(isinstance(value, dict), where, "an object", value)
        if not isinstance(value, dict):
            return
        if "*" in fields:
            for item in value.values():
                self._compare(f"{where}.*", fields["*"], item)
            return
        known = dict(_plain(fields))
        for name in value.keys() - known.keys():
            self.problems.append(f"{where}.{name} is not documented")
        for name, kind in known.items():
            self._documented.add(f"{where}.{name}")
            if name in value:
                if value[name] is not None and value[name] != []:
                    self._full.add(f"{where}.{name}")
                self._compare(f"{where}.{name}", kind, value[name])
            elif f"{name}?" not in fields:
                self.problems.append(f"{where}.{name} is missing in {value.get('id', value)}")

    def _expect(self, right: bool, where: str, kind: object, value: object) -> None:
        if not right:
            self.problems.append(f"{where} is {value!r}, not {kind}")


def _plain(fields: Fields) -> Iterator[tuple[str, Any]]:
    return ((name.removesuffix("?"), kind) for name, kind in fields.items() if name != "?")


_KINDS: Mapping[str, Callable[[object], bool]] = {
    "text": lambda value: isinstance(value, str),
    "digits": lambda value: isinstance(value, str) and value.isdigit(),
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "json": lambda value: True,
}


def _is(kind: str, value: object) -> bool:
    if kind.endswith("?") and value is None:
        return True
    return _KINDS[kind.removesuffix("?")](value)
