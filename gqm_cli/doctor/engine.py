"""Checks of the running system: servers, queues without a reader, types without a handler, schedules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gqm_cli.doctor.checks import Check, fail, ok, warn
from gqm_cli.output import counted

if TYPE_CHECKING:
    from gqm.store.read.cron import CronView
    from gqm.store.read.queues import QueueView
    from gqm.store.read.servers import Fleet, ServerView
    from gqm.store.sync import Store

_MOST_NAMES = 5
_MOST_QUEUES = 20
LATE_S = 60.0
"""How long a slot may be past before it counts as missed."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The system as it stands."""

    fleet: Fleet
    live: Sequence[ServerView]
    queues: Sequence[QueueView]
    cron: Sequence[CronView]
    now_s: float


def check_engine(store: Store, stale_after_s: float) -> Iterator[Check]:
    """Check what runs on a key space. Raises `RedisUnavailable`."""
    seen = look(store)
    yield from _servers(seen)
    if seen.live:
        yield from _versions(seen)
        yield from _queues(seen)
        yield from _types(store, seen)
    yield from _scheduler(seen)
    yield from _cron(seen)
    yield from _claims(store, stale_after_s)


def look(store: Store) -> Seen:
    """Read what the checks are about."""
    from gqm.store.plan import follow
    from gqm.store.read.cron import list_cron
    from gqm.store.read.queues import list_queues
    from gqm.store.read.servers import read_fleet

    fleet = follow(store, read_fleet(store.keys))
    live = [server for server in fleet.servers if server.status != "stale"]
    queues = follow(store, list_queues(store.keys)).queues
    cron = follow(store, list_cron(store.keys))
    return Seen(fleet, live, queues, cron.entries, cron.server_time)


def _servers(seen: Seen) -> Iterator[Check]:
    stale = [server.id for server in seen.fleet.servers if server.status == "stale"]
    if stale:
        text = f"{counted(len(stale), 'server')} died or hangs: {_names(stale)}"
        yield warn("engine.servers", text, "their jobs run elsewhere once their leases have ended")
    if not seen.live:
        yield warn("engine.servers", "no server runs, jobs wait", 'start one with "gqm run"')
        return
    slots = sum(server.concurrency_total for server in seen.live)
    text = f"{counted(len(seen.live), 'server')} with {counted(slots, 'slot')} run, leases are valid"
    yield ok("engine.servers", text)


def _versions(seen: Seen) -> Iterator[Check]:
    from gqm import __version__

    versions = sorted({server.version for server in seen.live if server.version})
    others = [version for version in versions if version != __version__]
    if len(versions) > 1:
        text = f"servers of different versions run: {_names(versions)}"
        yield warn("engine.versions", text, "finish the rollout, or roll back")
    elif others:
        text = f"servers run version {others[0]}, this program is {__version__}"
        yield warn("engine.versions", text, "use the same version everywhere")
    elif versions:
        yield ok("engine.versions", f"all servers run version {versions[0]}")


def _queues(seen: Seen) -> Iterator[Check]:
    unread = [queue for queue in seen.queues if queue.ready and not queue.pools]
    for queue in unread[:_MOST_QUEUES]:
        text = f'queue "{queue.name}" holds {counted(queue.ready, "ready job")} and no pool reads it'
        yield fail("engine.queues", text, "add it to a pool's queues")
    if len(unread) > _MOST_QUEUES:
        yield fail("engine.queues", f"{len(unread) - _MOST_QUEUES} more queues hold jobs that no pool reads")
    for queue in seen.queues:
        if queue.paused and queue.ready:
            text = f'queue "{queue.name}" is paused and holds {counted(queue.ready, "ready job")}'
            yield warn("engine.paused", text, f"gqm queue resume {queue.name}")
    if not unread:
        yield ok("engine.queues", f"{counted(len(seen.queues), 'queue')}: all ready jobs have a pool")


def _types(store: Store, seen: Seen) -> Iterator[Check]:
    from gqm.store.commands.overview import count_types

    if any(not server.types and not server.runtime.startswith("python") for server in seen.live):
        return  # servers of other programs do not tell which types they handle
    handled = {name for server in seen.live for name in server.types}
    missing: dict[str, int] = {}
    for queue in seen.queues[:_MOST_QUEUES]:
        if queue.ready and queue.pools:
            for name, number in store.run(count_types(store.keys, queue.name)).items():
                if name not in handled:
                    missing[name] = missing.get(name, 0) + number
    for name, number in sorted(missing.items())[:_MOST_QUEUES]:
        text = f'{counted(number, "ready job")} of type "{name}", and no server has a handler for it'
        yield fail("engine.types", text, "deploy the handler, or cancel the jobs; they end in dead_letter")
    if not missing:
        yield ok("engine.types", "all ready jobs have a handler")


def _scheduler(seen: Seen) -> Iterator[Check]:
    if any(server.scheduler for server in seen.live):
        yield ok("engine.scheduler", "a scheduler runs")
        return
    waiting = sum(queue.scheduled + queue.retry for queue in seen.queues)
    active = [entry for entry in seen.cron if entry.enabled and not entry.orphaned]
    peers = any("@" not in worker.id and worker.status != "stale" for worker in seen.fleet.workers)
    if seen.live and not peers and (waiting or active):
        text = f"no server runs a scheduler, and {counted(waiting, 'delayed job')} wait for one"
        yield fail("engine.scheduler", text, "set scheduler.enabled: true on at least one server")


def _cron(seen: Seen) -> Iterator[Check]:
    orphaned = [entry.id for entry in seen.cron if entry.orphaned]
    if orphaned and seen.live:
        text = f"no server knows {_counted(len(orphaned))} any more: {_names(orphaned)}"
        yield warn("engine.cron", text, "they never fire; gqm cron delete ID removes them")
    late = [
        entry.id
        for entry in seen.cron
        if entry.enabled and not entry.orphaned and entry.next_run and entry.next_run < seen.now_s - LATE_S
    ]
    if late:
        text = f"{_counted(len(late))} should have fired by now: {_names(late)}"
        yield fail("engine.cron_slots", text, "a server with the scheduler on must run")
    missed = [entry.id for entry in seen.cron if entry.last_status == "missed" and not entry.orphaned]
    if missed:
        text = f"{_counted(len(missed))} missed the last slot: {_names(missed)}"
        yield warn(
            "engine.cron_slots", text, "no server ran then; scheduler.misfire_grace says how late is too late"
        )
    if seen.cron and not (orphaned or late or missed):
        yield ok("engine.cron", f"{_counted(len(seen.cron))}: none is orphaned, late or missed")


def _claims(store: Store, stale_after_s: float) -> Iterator[Check]:
    from gqm.job import Status
    from gqm.store.plan import follow
    from gqm.store.read.jobs import list_jobs
    from gqm.store.read.listing import Window
    from gqm.store.read.match import JobFilter

    wanted = JobFilter(status=(Status.PROCESSING,))
    page = follow(store, list_jobs(store.keys, wanted, Window(limit=100), stale_after_s=stale_after_s))
    stale = [job.id for job in page.items if job.stale is True]
    if stale:
        text = f"{counted(len(stale), 'running job')} of servers that are gone: {_names(stale)}"
        yield fail("engine.claims", text, "a server that runs takes them back; or gqm doctor --fix")
    elif page.total:
        yield ok("engine.claims", f"{counted(page.total, 'running job')}, none of a server that is gone")


def _counted(entries: int) -> str:
    return f"{entries} cron {'entry' if entries == 1 else 'entries'}"


def _names(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
