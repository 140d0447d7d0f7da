"""The banner of ``gqm run``: what runs, where, and what does not fit; as text or as a record of the log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from gqm import __version__
from gqm.config import format_duration
from gqm.cron import NeverFires, parse
from gqm_cli.api_address import binds_everywhere, configured_url
from gqm_cli.output import YELLOW, note, printable, styled
from gqm_cli.startup import (
    config_warnings,
    handler_warnings,
    shown_folder,
)

if TYPE_CHECKING:
    from gqm.config import Config
    from gqm.engine.handlers import Registry
    from gqm.engine.plan import PoolPlan
    from gqm.store.commands.facts import Facts

log = logging.getLogger("gqm")

_LABEL = 11
_MOST_NAMES = 6


class Reached(NamedTuple):
    """A Redis that answers."""

    facts: Facts
    ping_ms: float
    where: str


@dataclass(frozen=True, slots=True)
class Running:
    """A server that has started, of one engine or several."""

    config: Config
    handlers: Registry
    plans: Sequence[PoolPlan]
    server_ids: tuple[str, ...]
    redis: Reached

    @property
    def warnings(self) -> list[str]:
        """What does not fit, a line each."""
        return [
            *config_warnings(self.config),
            *handler_warnings(self.config, self.plans, self.handlers),
        ]


def announce(running: Running, form: str) -> None:
    """Say what has started: text lines on stderr, or for ``json`` one record and one per warning."""
    if form == "text":
        for line in banner(running):
            note(line)
        return
    log.info("started", extra={"event": "started", "facts": _facts(running)})
    for text in running.warnings:
        log.warning("%s", text, extra={"event": "warning"})


def banner(running: Running) -> Iterator[str]:
    """Yield the lines of the banner."""
    count = len(running.server_ids)
    servers = f"server{'s' if count > 1 else ''} {_list(running.server_ids)}"
    processes = f"{count} process{'es' if count > 1 else ''}"
    yield "  ".join((f"gqm {__version__}", printable(running.config.file), servers, processes))
    yield _line("redis", _redis(running))
    yield from (_line("pool", text) for text in _pools(running))
    yield _line("handlers", f"{_handlers(running)}      cron  {_cron(running.config, time.time())}")
    yield _line("api", _api(running.config))
    for text in running.warnings:
        yield f"{styled('warning', YELLOW, sys.stderr)}{'':{_LABEL - len('warning')}}{printable(text)}"


def _api(config: Config) -> str:
    monitoring = config.monitoring
    if not monitoring.api.enabled:
        return "off"
    parts = [configured_url(config)]
    if binds_everywhere(config):
        parts.append("on all addresses")
    if monitoring.dashboard.enabled:
        parts.append(f"dashboard {monitoring.dashboard.path_prefix}/")
    if not monitoring.anonymous:
        users = len(monitoring.auth.users) if monitoring.auth.enabled else 0
        parts.append(f"users {users}, keys {len(monitoring.api.api_keys)}")
    return "  ".join(parts)


def _line(label: str, text: str) -> str:
    return f"{label:{_LABEL}}{printable(text)}"


def _redis(running: Running) -> str:
    found = running.redis.facts
    version = f"version {found.version}" if found.kind == "redis" else f"{found.kind} {found.version}"
    prefix = f"prefix {running.config.redis.prefix or 'none'}"
    ping = f"{running.redis.ping_ms:.1f} ms"
    return "  ".join((_address(running), prefix, version, ping))


def _address(running: Running) -> str:
    redis, where = running.config.redis, running.redis.where
    if redis.embedded_folder:
        return f"embedded in {shown_folder(running.config)}"
    scheme, is_url, rest = where.partition("://")
    if is_url:
        return f"{rest} tls" if scheme == "rediss" else rest
    if redis.addr and not redis.addr.startswith("unix:"):
        return f"{redis.addr}/{redis.db}{' tls' if redis.tls.enabled else ''}"
    return where


def _pools(running: Running) -> Iterator[str]:
    """Yield a line per pool: name, slots, isolation, types, queues and time-out in columns."""
    many = f" × {len(running.server_ids)}" if len(running.server_ids) > 1 else ""
    default_s = running.config.app.global_job_timeout_s
    rows = [
        (
            plan.name,
            f"{plan.slots}{many}",
            plan.isolation,
            _list(plan.types) if plan.types is not None else "*",
            _list(plan.queues),
            f"{plan.timeout_s or default_s:g} s",
        )
        for plan in running.plans
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(6)] if rows else []
    for name, slots, isolation, types, queues, timeout in rows:
        slots = f"{slots:>{widths[1]}} {isolation:{widths[2]}}"
        end = f"{queues:{widths[4]}}  {timeout:>{widths[5]}}"
        yield f"{name:{widths[0]}}  {slots}  {types:{widths[3]}}  {end}"


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    return f"{shown} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else shown


def _handlers(running: Running) -> str:
    count = len(running.handlers)
    if not count:
        return "none"
    of_async = sum(spec.is_async for spec in running.handlers)
    modules = _list(running.config.app.handlers)
    return f"{count} from {modules}{f' ({of_async} async)' if of_async else ''}"


def _cron(config: Config, now: float) -> str:
    entries = config.scheduler.cron_entries
    if not config.scheduler.enabled:
        return "off"
    if not entries:
        return "none"
    text = f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'}"
    found = _next_slot(config, now)
    return f"{text}, next {found[1]} in {format_duration(round(found[0] - now))}" if found else text


def _next_slot(config: Config, now: float) -> tuple[int, str] | None:
    slots = []
    for entry in config.scheduler.cron_entries:
        if entry.enabled:
            try:
                slots.append((parse(entry.cron_expr, entry.timezone).next(now), entry.id))
            except NeverFires:
                continue
    return min(slots, default=None)


def _facts(running: Running) -> dict[str, object]:
    config, redis = running.config, running.redis
    return {
        "version": __version__,
        "config": config.file,
        "servers": list(running.server_ids),
        "redis": {
            "address": _address(running),
            "prefix": config.redis.prefix,
            "kind": redis.facts.kind,
            "version": redis.facts.version,
            "ping_ms": round(redis.ping_ms, 1),
        },
        "pools": [_pool_facts(plan, config) for plan in running.plans],
        "handlers": [spec.type for spec in running.handlers],
        "cron_entries": [entry.id for entry in config.scheduler.cron_entries],
        "api": config.monitoring.api.addr if config.monitoring.api.enabled else None,
    }


def _pool_facts(plan: PoolPlan, config: Config) -> dict[str, object]:
    return {
        "name": plan.name,
        "slots": plan.slots,
        "isolation": plan.isolation,
        "types": list(plan.types) if plan.types is not None else ["*"],
        "queues": list(plan.queues),
        "timeout_s": plan.timeout_s or config.app.global_job_timeout_s,
    }
