"""Data in the shapes that the API sends; every builder takes changes, and ``UNSET`` takes a field away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

Json: TypeAlias = Any

NOW = 1_795_521_603.0
"""2026-11-24 12:00:03 UTC, the moment at which all of it is seen."""


def _built(base: dict[str, Json], changes: Mapping[str, Json]) -> dict[str, Json]:
    merged = {**base, **changes}
    return {name: value for name, value in merged.items() if value is not msgspec.UNSET}


def me(**changes: Json) -> dict[str, Json]:
    base = {"username": "apikey:ops", "role": "admin", "auth": "key", "expires_at": None}
    return _built(base, changes)


def queue(name: str = "billing", **changes: Json) -> dict[str, Json]:
    """A queue as in the list; ``by_type=[…]`` makes it the detail form."""
    base = {
        "name": name,
        "paused": False,
        "ready": 31_204,
        "processing": 32,
        "scheduled": 18,
        "retry": 41,
        "deferred": 0,
        "completed": 120_402,
        "dead_letter": 391,
        "canceled": 2,
        "processed_total": 1_204_020,
        "failed_total": 3_910,
        "oldest_age_ms": 842_000,
        "in_per_min": 2_460.0,
        "out_per_min": 2_292.0,
        "failed_per_min": 94.0,
        "wait_avg_ms": 120,
        "run_avg_ms": 310,
        "drain_ms": None,
        "priority": 10,
        "pools": ["fast@eu1-18002-c41e"],
    }
    return _built(base, changes)


def job(id: str = "01943c77-1d2e-7aa0-9b61-7788f3a2a91c", **changes: Json) -> dict[str, Json]:
    """A dead letter as in lists; ``payload=…`` and others make it the detail form."""
    base = {
        "id": id,
        "type": "smtp.send",
        "queue": "billing",
        "status": "dead_letter",
        "payload_bytes": 412,
        "retry_count": 5,
        "max_retry": 5,
        "attempt": 5,
        "created_at": int(NOW) - 842,
        "allow_failure": False,
        "enqueue_at_front": False,
        "error": "TimeoutError: 30s exceeded",
        "error_type": "TimeoutError",
        "timeout": 30,
        "started_at": int(NOW) - 32,
        "completed_at": int(NOW) - 2,
        "execution_duration": 30_000,
        "wait_ms": 10_000,
        "worker_id": "fast@eu3-18231-7f3a",
        "pool": "fast",
        "server_id": "eu3-18231-7f3a",
        "enqueued_by": "api-gateway",
    }
    return _built(base, changes)


def job_detail(id: str = "01943c77-1d2e-7aa0-9b61-7788f3a2a91c", **changes: Json) -> dict[str, Json]:
    """A dead letter as it is shown alone."""
    base = {
        **job(id),
        "payload": {"to": "a@b.example", "password": "hunter2"},
        "traceback": 'Traceback (most recent call last):\n  File "app/mail.py", line 88, in send\n'
        "    reply = server.send(message)\nTimeoutError: 30s exceeded\n",
        "meta": {"tenant": "acme"},
        "retry_intervals": [1, 5, 25],
        "expires_at": int(NOW) + 86_400,
        "depends_on": [],
        "pending_deps": [],
        "children": [],
        "child_count": 0,
    }
    return _built(base, changes)


def attempt(number: int = 5, **changes: Json) -> dict[str, Json]:
    base = {
        "attempt": number,
        "outcome": "dead_letter",
        "counted": True,
        "started_at": int(NOW) - 32,
        "ended_at": NOW - 2,
        "duration_ms": 30_000,
        "worker_id": "fast@eu3-18231-7f3a",
        "error": "TimeoutError: 30s exceeded",
        "error_type": "TimeoutError",
    }
    return _built(base, changes)


def group(error: str = "TimeoutError: <n>s exceeded", **changes: Json) -> dict[str, Json]:
    base = {
        "fingerprint": "9f2c41d07be35a18",
        "error": error,
        "error_type": "TimeoutError",
        "count": 386,
        "recent_5m": 301,
        "hour": [0, 0, 0, 0, 0, 0, 0, 3, 20, 62, 150, 151],
        "first": int(NOW) - 475,
        "last": int(NOW) - 2,
        "types": ["smtp.send"],
        "types_total": 1,
        "queues": ["billing"],
        "queues_total": 1,
        "sample_id": "01943c77-1d2e-7aa0-9b61-7788f3a2a91c",
    }
    return _built(base, changes)


def worker(id: str = "fast@eu1-18002-c41e", **changes: Json) -> dict[str, Json]:
    """A worker as in the list; ``jobs=[…]`` makes it the detail form."""
    pool, _, server_id = id.partition("@")
    base = {
        "id": id,
        "pool": pool,
        "server_id": server_id,
        "status": "active",
        "queues": ["billing", "default"],
        "concurrency": 8,
        "active_jobs": 3,
        "longest": {
            "id": "01943c77-1d2e-7aa0-9b61-7788f3a2a91c",
            "type": "smtp.send",
            "elapsed_ms": 4_100,
            "over_deadline": False,
        },
        "isolation": "thread",
        "ahead": 12,
        "abandoned": 0,
        "started_at": int(NOW) - 532_800,
        "last_heartbeat": int(NOW) - 1,
    }
    return _built(base, changes)


def server(id: str = "eu1-18002-c41e", **changes: Json) -> dict[str, Json]:
    base = {
        "id": id,
        "hostname": id.partition("-")[0],
        "version": "1.0.0",
        "runtime": "python 3.12.4",
        "pid": 18_002,
        "num_pools": 2,
        "concurrency_total": 16,
        "busy": 6,
        "pools": ["bg", "fast"],
        "types": ["cleanup", "invoice.pdf", "report.build", "smtp.send", "thumb", "webhook"],
        "scheduler": True,
        "status": "active",
        "started_at": int(NOW) - 532_800,
        "last_heartbeat": int(NOW) - 1,
    }
    return _built(base, changes)


def cron(id: str = "nightly-report", **changes: Json) -> dict[str, Json]:
    """A cron entry as in the list with its outcomes; ``next_runs=[…]`` makes it the detail form."""
    base = {
        "id": id,
        "name": id,
        "cron_expr": "0 0 2 * * *",
        "timezone": "UTC",
        "description": "daily at 02:00",
        "job_type": "report.build",
        "queue": "reports",
        "payload": {"full": True},
        "timeout": 600,
        "max_retry": 3,
        "overlap_policy": "skip",
        "enabled": True,
        "orphaned": False,
        "last_run": int(NOW) - 36_003,
        "next_run": int(NOW) + 50_397,
        "last_status": "triggered",
        "last_job": {
            "job_id": "01943c78-55aa-7c31-8e02-a4f0c3d09e5a",
            "triggered_at": int(NOW) - 36_003,
            "status": "completed",
        },
        "outcomes": ["completed", "completed", "dead_letter", "completed", "completed"],
        "created_at": int(NOW) - 900_000,
        "updated_at": int(NOW) - 900_000,
    }
    return _built(base, changes)


def cron_run(job_id: str = "01943c78-55aa-7c31-8e02-a4f0c3d09e5a", **changes: Json) -> dict[str, Json]:
    base = {
        "job_id": job_id,
        "triggered_at": int(NOW) - 36_003,
        "slot": int(NOW) - 36_003,
        "outcome": "completed",
        "duration_ms": 41_200,
    }
    return _built(base, changes)


def stats(**changes: Json) -> dict[str, Json]:
    base = {
        "queues": 12,
        "paused_queues": 1,
        "servers": 4,
        "workers": 31,
        "slots": 256,
        "busy": 118,
        "ready": 48_211,
        "processing": 118,
        "scheduled": 120,
        "retry": 41,
        "deferred": 3,
        "completed": 120_402,
        "dead_letter": 418,
        "canceled": 2,
        "processed_total": 5_120_000,
        "failed_total": 4_100,
        "oldest_age_ms": 842_000,
        "in_per_min": 48_700.0,
        "out_per_min": 47_400.0,
        "failed_per_min": 994.0,
        "uptime_ms": 532_800_000,
    }
    return _built(base, changes)


def minutes(queue: str | None = "billing", count: int = 15, **changes: Json) -> dict[str, Json]:
    """A series, newest minute first."""
    last = int(NOW) // 60 * 60
    base = {
        "queue": queue,
        "minutes": [
            {
                "minute": last - 60 * back,
                "processed": 2_292 - 90 * back,
                "failed": max(0, 94 - 8 * back),
                "retried": 12,
                "skipped": 0,
                "wait_avg_ms": 120,
                "run_avg_ms": 310,
            }
            for back in range(count)
        ],
    }
    return _built(base, changes)


def runtime(**changes: Json) -> dict[str, Json]:
    base = {
        "version": "1.0.0",
        "python_version": "3.12.4",
        "num_cpu": 8,
        "threads": 21,
        "tasks": 14,
        "rss_bytes": 71_303_168,
        "cpu_percent": 12.5,
        "gc_collections": 31,
        "uptime_ms": 532_800_000,
        "redis": {
            "version": "7.2.5",
            "mode": "standalone",
            "embedded": False,
            "used_memory_bytes": 2_254_857_830,
            "maxmemory_bytes": 8_589_934_592,
            "ops_per_sec": 14_200,
            "connected_clients": 212,
            "evicted_keys": 0,
            "aof_enabled": True,
            "latency_ms": 1,
        },
    }
    return _built(base, changes)


def node(id: str, layer: int = 0, order: int = 0, **changes: Json) -> dict[str, Json]:
    base = {
        "id": id,
        "type": id,
        "status": "completed",
        "queue": "etl",
        "allow_failure": False,
        "created_at": str(int(NOW) - 252),
        "layer": layer,
        "order": order,
        "retry_count": 0,
        "max_retry": 5,
        "hidden_parents": 0,
        "hidden_children": 0,
    }
    return _built(base, changes)


def edge(source: str, target: str) -> dict[str, Json]:
    return {"source": source, "target": target}


def graph(
    root_id: str = "import.run",
    nodes: list[Json] | None = None,
    edges: list[Json] | None = None,
    **changes: Json,
) -> dict[str, Json]:
    """A graph; without nodes a parent with three children, one of which failed and holds another back."""
    if nodes is None:
        nodes = [
            node(root_id, execution_duration=12_000),
            node("parse", 1, 0, execution_duration=3_100),
            node("thumbnail", 1, 1, status="processing", started_at=int(NOW) - 41),
            node("clam.scan", 1, 2, status="dead_letter", retry_count=5, error="OSError: clamd refused"),
            node("import.publish", 2, 0, status="deferred"),
        ]
        edges = [edge(root_id, name) for name in ("parse", "thumbnail", "clam.scan")]
        edges += [edge("parse", "import.publish"), edge("clam.scan", "import.publish")]
    layers = Counter(item["layer"] for item in nodes)
    base = {
        "root_id": root_id,
        "nodes": nodes,
        "edges": edges or [],
        "truncated": False,
        "hidden": 0,
        "layers": len(layers),
        "width": max(layers.values(), default=0),
        "counts": dict(Counter(item["status"] for item in nodes)),
    }
    return _built(base, changes)


def audit(action: str = "job.retry", **changes: Json) -> dict[str, Json]:
    base = {
        "id": "1795521602250-0",
        "ts": NOW - 0.75,
        "actor": "ana",
        "role": "admin",
        "source": "session",
        "address": "192.0.2.7",
        "action": action,
        "target": "01943c77-1d2e-7aa0-9b61-7788f3a2a91c",
        "count": 1,
        "before": "dead_letter",
        "after": "ready",
        "ok": True,
        "code": None,
        "request_id": "5b1e0c7d9a3f2e64",
    }
    return _built(base, changes)
