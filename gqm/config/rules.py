"""The rules that look at more than one value, or at the machine: what makes a configuration wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from gqm.config.durations import format_duration
from gqm.config.formats import is_loopback, split_host_port
from gqm.config.problems import HIDDEN, did_you_mean, printable, shown
from gqm.config.review import Review
from gqm.config.tree import item_path

__all__ = ["api_is_on", "check_rules", "has_usable_key", "is_embedded"]

_ADDRESSES = ("addr", "url", "sentinels")
_CUSTOM_NEEDS = 'backoff "custom" needs retry.intervals'
_BCRYPT = re.compile(r"\$2[aby]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_KEY = re.compile(r"[!-~][ -~]{30,}[!-~]")
_KEY_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_SEGMENTS = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_RESERVED = ("/api", "/auth", "/health", "/ready", "/metrics", "/openapi.json")
_LONGEST_EXPRESSION = 1000


def check_rules(review: Review) -> None:
    """Report every broken cross rule."""
    for rule in (_redis, _tls, _queues, _pools, _retries, _cron, _users, _api_keys, _api, _dashboard):
        rule(review)


# ------------------------------------------------------------------------------------------ redis


def _redis(review: Review) -> None:
    redis = review.config.redis
    given = [name for name in _ADDRESSES if getattr(redis, name)]
    for name in sorted(given, key=lambda name: _position(review, f"redis.{name}"))[1:]:
        review.error("R16", f"redis.{name}", "use only one of redis.addr, redis.url, redis.sentinels")
    if bool(redis.sentinels) != bool(redis.master) and review.sound("redis.sentinels", "redis.master"):
        name = "sentinels" if redis.sentinels else "master"
        review.error("R20", f"redis.{name}", "redis.sentinels and redis.master belong together")
    if "url" in given:
        for name in ("username", "password", "db", "tls"):
            if review.given(f"redis.{name}"):
                review.error("R18", f"redis.{name}", "belongs into redis.url; remove this key")
    elif _is_embedded(review, given):
        for name in ("username", "password", "db"):
            if getattr(redis, name):
                review.error("R19", f"redis.{name}", "not possible with the embedded server")
        if redis.tls.enabled:
            review.error("R19", "redis.tls", "not possible with the embedded server")


def _is_embedded(review: Review, given: list[str]) -> bool:
    if not given:
        return not review.own_client and review.sound("redis")
    return given == ["addr"] and is_embedded(review.config.redis.addr)


def is_embedded(addr: str) -> bool:
    """Whether an address means the private server; ``embedded:6379`` is a host of that name."""
    return addr == "embedded" or addr.startswith("embedded://")


def _position(review: Review, path: str) -> tuple[bool, int, int]:
    place = review.place(path)
    return not place.line, place.line, place.column


def _tls(review: Review) -> None:
    tls = review.config.redis.tls
    for name, file in (("ca", tls.ca), ("cert", tls.cert), ("key", tls.key)):
        if file and not _is_readable(review.folder, file):
            path = f"redis.tls.{name}"
            # A key that was pasted instead of the name of its file must not be repeated.
            hidden = review.hidden(path) or "-----BEGIN" in file or "\n" in file
            review.error("R22", path, f"cannot read {shown(file, hidden=hidden)}")
    if bool(tls.cert) != bool(tls.key) and review.sound("redis.tls.cert", "redis.tls.key"):
        name = "cert" if tls.cert else "key"
        review.error("R22", f"redis.tls.{name}", "tls.cert and tls.key belong together")


def _is_readable(folder: Path, file: str) -> bool:
    path = folder / file
    return _exists(path, is_file=True) and os.access(path, os.R_OK)


# ---------------------------------------------------------------------------------- queues, pools


def _queues(review: Review) -> None:
    names = {f"queues[{i}].name": queue.name for i, queue in enumerate(review.config.queues)}
    _unique(review, "R28", names, 'queue "{name}" is already defined {place}')


def _pools(review: Review) -> None:
    pools = review.config.pools
    names = {f"pools[{i}].name": pool.name for i, pool in enumerate(pools)}
    _unique(review, "R29", names, 'pool "{name}" is already defined {place}')
    owners: dict[str, tuple[str, str]] = {}
    known = _known_queues(review)
    for i, pool in enumerate(pools):
        path = f"pools[{i}].job_types"
        if not pool.job_types and review.given(path):
            review.error("R30", path, 'needs at least one job type, or ["*"]')
        if "*" in pool.job_types and len(set(pool.job_types)) > 1:
            review.error("R33", item_path(path, pool.job_types.index("*")), '"*" must stand alone')
        for item, job_type in _listed_once(review, "R31", path, pool.job_types):
            _one_owner(review, owners, item, job_type, pool.name)
        for item, queue in _listed_once(review, "R36", f"pools[{i}].queues", pool.queues):
            _declared(review, known, item, queue)


def _unique(review: Review, rule: str, names: dict[str, str], text: str) -> None:
    first: dict[str, str] = {}
    for path, name in names.items():
        if not name:
            continue
        earlier = first.setdefault(name, path)
        if earlier != path:
            place = review.place(earlier).words
            review.error(rule, path, text.format(name=review.show(path, name), place=place))


def _listed_once(review: Review, rule: str, path: str, names: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Report names that are listed twice; return the others with their paths."""
    seen = set()
    for index, name in enumerate(names):
        item = item_path(path, index)
        if name in seen:
            review.error(rule, item, f'"{review.show(item, name)}" is listed twice')
        elif name:
            seen.add(name)
            yield item, name


def _one_owner(
    review: Review, owners: dict[str, tuple[str, str]], path: str, job_type: str, pool: str
) -> None:
    """Report a job type that an earlier pool has; ``owners`` maps types to pool name and place."""
    if job_type not in owners:
        owners[job_type] = (pool, path)
        return
    owner, first = owners[job_type]
    place = review.place(first).short
    name = review.show(f"{first.partition('.')[0]}.name", owner)
    if job_type == "*":
        review.error("R34", path, f'only one pool may be the catch-all; the first is "{name}" ({place})')
    else:
        job_type = review.show(path, job_type)
        review.error("R32", path, f'"{job_type}" already belongs to pool "{name}" ({place})')


def _known_queues(review: Review) -> dict[str, None]:
    """Return the queues that may be named, in file order; nothing if some names could not be read."""
    names = [queue.name for queue in review.config.queues]
    return {} if "queues" in review.refused or "" in names else dict.fromkeys([*names, "default"])


def _declared(review: Review, known: dict[str, None], path: str, queue: str) -> None:
    if known and queue not in known:
        near = did_you_mean(queue, known, hidden=review.hidden(path))
        review.error("R35", path, f'queue "{review.show(path, queue)}" is not declared under queues{near}')


def _retries(review: Review) -> None:
    for i, pool in enumerate(review.config.pools):
        path, retry = f"pools[{i}].retry", pool.retry
        intervals = f"{path}.intervals"
        if retry.backoff == "custom" and not review.given(intervals) and review.sound(intervals):
            review.error("R37", f"{path}.backoff", _CUSTOM_NEEDS)
        if review.given(intervals) and not retry.intervals_s:
            review.error("R38", intervals, "needs durations of 0 s or more")
        for j, interval in enumerate(retry.intervals_s):
            if interval < 0:
                review.error("R38", item_path(intervals, j), "needs durations of 0 s or more")
        # The default of backoff_max limits only what grows; a fixed delay may well be longer.
        most, least = f"{path}.backoff_max", f"{path}.backoff_base"
        limited = review.given(most) or retry.backoff == "exponential"
        if limited and retry.backoff_max_s < retry.backoff_base_s and review.sound(most, least):
            base = review.show(least, format_duration(retry.backoff_base_s))
            at = most if review.given(most) else least
            review.error("R39", most, f"must not be below backoff_base ({base})", at=at)


# ------------------------------------------------------------------------------------------- cron


def _cron(review: Review) -> None:
    entries = review.config.scheduler.cron_entries
    ids = {f"scheduler.cron_entries[{i}].id": entry.id for i, entry in enumerate(entries)}
    _unique(review, "R41", ids, 'cron id "{name}" is already defined {place}')
    known = _known_queues(review)
    for i, entry in enumerate(entries):
        path = f"scheduler.cron_entries[{i}]"
        if entry.cron_expr:
            zone = entry.timezone if review.given(f"{path}.timezone") else review.config.app.timezone
            _expression(review, f"{path}.cron_expr", entry.cron_expr, zone)
        if review.given(f"{path}.queue"):
            _declared(review, known, f"{path}.queue", entry.queue)


def _expression(review: Review, path: str, text: str, zone: str) -> None:
    from gqm.cron import NeverFires, parse  # brings the cron library, which is slow to import

    try:
        if len(text) > _LONGEST_EXPRESSION:
            raise ValueError(f"longer than {_LONGEST_EXPRESSION} characters")
        parse(text, zone)
    except NeverFires:
        review.error("R43", path, "this expression never fires")
    except ValueError as exc:
        reason = HIDDEN if review.hidden(path) else printable(str(exc))
        fields = 'write 6 fields "sec min hour dom month dow" or 5 without sec'
        review.error("R42", path, f"not a cron expression: {reason}; {fields}")


# ------------------------------------------------------------------------------------- monitoring


def _users(review: Review) -> None:
    auth = review.config.monitoring.auth
    path = "monitoring.auth.users"
    if auth.enabled and not auth.users and review.sound(path):
        command = review.command("set-password NAME")
        review.error("R45", "monitoring.auth.enabled", f"auth is on but there is no user; run {command}")
    names = {f"{path}[{i}].username": user.username for i, user in enumerate(auth.users)}
    _unique(review, "R47", names, '"{name}" is already defined {place}')
    for i, user in enumerate(auth.users):
        item = f"{path}[{i}].password_hash"
        if user.password_hash and not _BCRYPT.fullmatch(user.password_hash):
            name = review.show(f"{path}[{i}].username", user.username) or "NAME"
            review.error("R48", item, f"not a bcrypt hash; run {review.command(f'set-password {name}')}")


def _api_keys(review: Review) -> None:
    keys = review.config.monitoring.api.api_keys
    root = "monitoring.api.api_keys"
    names = {f"{root}[{i}].name": key.name for i, key in enumerate(keys)}
    _unique(review, "R47", names, '"{name}" is already defined {place}')
    first: dict[str, int] = {}
    for i, key in enumerate(keys):
        path = f"{root}[{i}]"
        name = review.show(f"{path}.name", key.name) or "NAME"
        command = review.command(f"add-api-key {name}")
        if key.key and not _KEY.fullmatch(key.key):
            review.error(
                "R53", f"{path}.key", f"an API key needs at least 32 printable characters; run {command}"
            )
        if key.key_hash and not _KEY_HASH.fullmatch(key.key_hash):
            review.error("R54", f"{path}.key_hash", f'write "sha256:" and 64 hex digits; {command} does it')
        both = [f"{path}.key", f"{path}.key_hash"] if key.key and key.key_hash else []
        for second in sorted(both, key=lambda item: _position(review, item))[1:]:
            review.error("R55", second, "use key or key_hash, not both")
        if has_usable_key(key.key, key.key_hash) and first.setdefault(key.digest, i) != i:
            earlier = first[key.digest]
            where = f"{path}.key" if key.key else f"{path}.key_hash"
            name = review.show(f"{root}[{earlier}].name", keys[earlier].name)
            review.error("R55", where, f'same key as "{name}"')


def has_usable_key(key: str, key_hash: str) -> bool:
    """Whether an entry lets anybody in: one of the two is filled, and well-formed."""
    return bool(_KEY.fullmatch(key) if key else _KEY_HASH.fullmatch(key_hash))


def api_is_on(review: Review) -> bool:
    """Whether the API is served; a dashboard turns it on."""
    return review.config.monitoring.api.enabled or review.config.monitoring.dashboard.enabled


def _api(review: Review) -> None:
    monitoring = review.config.monitoring
    path = "monitoring.api.addr"
    if not api_is_on(review) or monitoring.auth.enabled:
        return
    if any(has_usable_key(key.key, key.key_hash) for key in monitoring.api.api_keys):
        return
    parts = split_host_port(monitoring.api.addr)
    certain = review.sound(path, "monitoring.api.api_keys", "monitoring.auth")
    if parts and certain and not is_loopback(parts[0]):
        addr = review.show(path, monitoring.api.addr)
        command = review.command("set-password admin")
        review.error("R50", path, f'"{addr}" needs users or API keys; run {command} or bind 127.0.0.1')


def _dashboard(review: Review) -> None:
    dashboard = review.config.monitoring.dashboard
    prefix, path = dashboard.path_prefix, "monitoring.dashboard"
    covered = [part for part in _RESERVED if prefix == part or prefix.startswith(f"{part}/")]
    if covered or not _SEGMENTS.fullmatch(prefix):
        review.error(
            "R56",
            f"{path}.path_prefix",
            f'must look like "/dashboard" and must not cover {", ".join(covered or _RESERVED)}',
        )
    if dashboard.custom_dir:
        folder = review.folder / dashboard.custom_dir
        name = review.show(f"{path}.custom_dir", dashboard.custom_dir)
        if not _exists(folder, is_file=False):
            review.error("R57", f"{path}.custom_dir", f"no such folder: {name}")
        elif not _exists(folder / "index.html", is_file=True):
            review.error("R57", f"{path}.custom_dir", f"no index.html in {name}")


def _exists(path: Path, *, is_file: bool) -> bool:
    try:
        return path.is_file() if is_file else path.is_dir()
    except (OSError, ValueError):
        return False
