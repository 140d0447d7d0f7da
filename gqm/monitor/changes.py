"""What changed: job events from the engine's messages, the rest by comparing the state with the last one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gqm.store.commands.read import read_hashes
from gqm.store.read.cron import CronView, list_cron

if TYPE_CHECKING:
    from gqm.monitor.backend import Backend
    from gqm.monitor.context import Context

ERROR_IN_EVENT = 200
_FIELDS = ("type", "worker_id", "retry_count", "execution_duration", "error")


class Event(NamedTuple):
    """Something that happened."""

    kind: str
    data: Mapping[str, object]


class _Message(msgspec.Struct):
    """A message of the engine's channel."""

    t: int = 0
    op: str = ""
    queue: str = ""
    n: int = 0
    ch: list[tuple[str, str, str]] = []


_decode = msgspec.json.Decoder(_Message).decode


class JobChanges:
    """Turns messages into job events."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def read(self, message: bytes, room: Callable[[int], int]) -> list[Event]:
        """Return the events of a message; ``room`` says how many there may be."""
        try:
            found = _decode(message)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return []  # of another program
        ts = round(found.t / 1000, 3)
        if found.op == "overflow":
            return [Event("dropped", {"ts": ts, "count": None})]
        allowed = room(max(found.n, len(found.ch)))
        changes = found.ch[:allowed]
        if not changes:
            return []
        keys = self._backend.keys
        rows = self._backend.run(read_hashes(keys, [keys.job(item[0]) for item in changes], _FIELDS))
        return [
            Event("job", _job_event(ts, found.queue, change, row))
            for change, row in zip(changes, rows, strict=True)
        ]


def _job_event(
    ts: float, queue: str, change: tuple[str, str, str], row: tuple[bytes | None, ...]
) -> dict[str, object]:
    job_id, before, after = change
    job_type, worker_id, retry_count, duration, error = (
        value.decode("utf-8", "replace") if value else "" for value in row
    )
    data: dict[str, object] = {"ts": ts, "job_id": job_id}
    if job_type:
        data["type"] = job_type
    data.update(queue=queue, **{"from": before or None, "to": after})
    if worker_id:
        data["worker_id"] = worker_id
    if retry_count.isdecimal() and after != "deleted":
        data["retry_count"] = int(retry_count)
    if duration.isdecimal() and before == "processing":
        data["duration_ms"] = int(duration)
    if error and before == "processing" and after != "completed":
        data["error"] = error[:ERROR_IN_EVENT]
    return data


class _State(NamedTuple):
    """What is compared."""

    paused: Mapping[str, bool]
    cron: Mapping[str, CronView]
    servers: Mapping[str, str]


class Watch:
    """Compares the state with the one before."""

    def __init__(self) -> None:
        self._before: _State | None = None

    def look(self, context: Context) -> list[Event]:
        """Return what changed since the last look; nothing the first time."""
        fleet = context.observed.fleet()
        state = _State(
            {queue.name: queue.paused for queue in context.observed.queues().queues},
            {entry.id: entry for entry in context.backend.follow(list_cron(context.backend.keys)).entries},
            {server.id: server.status for server in fleet.servers},
        )
        before, self._before = self._before, state
        if before is None:
            return []
        ts = round(fleet.server_time, 3)
        found = [*_queues(before, state), *_cron(before, state), *_servers(before, state)]
        return [Event(kind, {"ts": ts, **data}) for kind, data in found]

    def stats(self, context: Context) -> dict[str, object]:
        """Return the sums over everything."""
        uptime_ms = int((time.monotonic() - context.began) * 1000)
        totals, _ = context.observed.totals(uptime_ms)
        return {name: getattr(totals, name) for name in totals.__struct_fields__}


_Found = Iterator[tuple[str, dict[str, object]]]


def _queues(before: _State, now: _State) -> _Found:
    for name, paused in now.paused.items():
        if paused != before.paused.get(name, False):
            yield "queue", {"queue": name, "action": "paused" if paused else "resumed"}


def _cron(before: _State, now: _State) -> _Found:
    for name, entry in now.cron.items():
        old = before.cron.get(name)
        if old is None:
            continue
        if entry.enabled != old.enabled:
            yield "cron", {"cron_id": name, "action": "enabled" if entry.enabled else "disabled"}
        if entry.last_run == old.last_run:
            continue
        if entry.last_status == "skipped":
            yield "cron", {"cron_id": name, "action": "skipped"}
        elif entry.last_status == "triggered" and entry.last_job is not None:
            yield "cron", {"cron_id": name, "action": "fired", "job_id": entry.last_job.job_id}


def _servers(before: _State, now: _State) -> _Found:
    for name in sorted({*before.servers, *now.servers}):
        old, new = before.servers.get(name, "gone"), now.servers.get(name, "gone")
        was_up, is_up = old in ("active", "stopping"), new in ("active", "stopping")
        if new == "stopping" and old != "stopping":
            yield "server", {"server_id": name, "action": "stopping"}
        elif is_up != was_up:
            yield "server", {"server_id": name, "action": "up" if is_up else "down"}
