"""Checks of the Redis behind a configuration: does it answer, keep its data, and let us work."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gqm_cli.doctor.checks import Check, fail, ok, skip, warn

if TYPE_CHECKING:
    from gqm.config import Config
    from gqm.store.commands.facts import Facts
    from gqm.store.sync import Store

ROUND_TRIPS = 20
SLOW_MS = 10.0
"""A round trip above this leaves little time for jobs."""
MOST_SKEW_S = 1.0


def check_redis(config: Config, store: Store) -> Iterator[Check]:
    """Check a Redis that may not answer. Raises `RedisUnavailable` and `RedisSetupError` if it does not."""
    from gqm.store.commands.facts import facts

    found = store.run(facts())
    yield from _answers(config, store, found)
    yield _version(store, found)
    yield _policy(found)
    yield from _persistence(store)
    yield from _protection(config, store)
    yield from _access(config, store)
    yield _clock(store)
    yield _prefix(store)


def where_of(config: Config, store: Store) -> str:
    """Return what a Redis is called: its address, or the folder of a private one."""
    if config.redis.embedded_folder:
        from gqm_cli.startup import shown_folder

        return f"embedded server in {shown_folder(config)}"
    return store.link.where.partition("://")[2] or store.link.where


def _answers(config: Config, store: Store, found: Facts) -> Iterator[Check]:
    from gqm.store.commands.access import ping

    taken_ms = []
    for _ in range(ROUND_TRIPS):
        begun = time.perf_counter()
        store.run(ping())
        taken_ms.append((time.perf_counter() - begun) * 1000)
    middle_ms = statistics.median(taken_ms)
    version = f"version {found.version}" if found.kind == "redis" else f"{found.kind} {found.version}"
    text = f"{where_of(config, store)} answers in {_shown(middle_ms)}, {version}"
    if middle_ms > SLOW_MS:
        yield warn(
            "redis.latency", text, "move servers and Redis closer together, or find what keeps it busy"
        )
    else:
        yield ok("redis.latency", text)


def _shown(milliseconds: float) -> str:
    return f"{milliseconds:.1f} ms" if milliseconds >= 0.05 else "under 0.1 ms"


def _version(store: Store, found: Facts) -> Check:
    from gqm.errors import RedisSetupError
    from gqm.store.commands.facts import check_facts

    try:
        check_facts(found, store.keys, store.link.where)
    except RedisSetupError as exc:
        finding, _, fix = str(exc).partition("; ")
        return fail("redis.version", finding, fix)
    mode = "a Cluster, and the prefix has a hash tag" if found.cluster else "not a Cluster"
    return ok("redis.version", f"new enough; {mode}")


def _policy(found: Facts) -> Check:
    if found.policy == "noeviction":
        return ok("redis.policy", "maxmemory-policy is noeviction")
    return warn(
        "redis.policy", f"maxmemory-policy is {found.policy}, jobs can vanish", "set it to noeviction"
    )


def _persistence(store: Store) -> Iterator[Check]:
    from gqm.store.commands.access import persistence

    found = store.run(persistence())
    if not found.append_ok or not found.snapshots_ok:
        what = "append-only file" if not found.append_ok else "snapshot"
        yield fail("redis.persistence", f"the last {what} could not be written", "look at its disk and log")
    elif not found.append_only:
        text = "the append-only file is off: a crash of Redis loses what came since its last snapshot"
        yield warn("redis.persistence", text, "set appendonly yes")
    else:
        yield ok("redis.persistence", "the append-only file is on")
    if found.most_bytes and found.used_bytes > 0.9 * found.most_bytes:
        share = 100 * found.used_bytes // found.most_bytes
        yield warn("redis.memory", f"{share} % of maxmemory is used", "raise it, or keep ended jobs shorter")


def _protection(config: Config, store: Store) -> Iterator[Check]:
    link = store.link
    if not link.remote:
        yield ok("redis.protection", "it is on this machine")
        return
    if link.has_password:
        yield ok("redis.password", "a password is given")
    else:
        text = "it is on another machine and needs no password"
        yield warn("redis.password", text, "give it one, and set redis.password")
    if not (config.redis.tls.enabled or config.redis.url.startswith("rediss:")):
        text = "jobs and passwords cross the network unencrypted"
        yield warn("redis.tls", text, "set redis.tls: true, or keep them in a private network")
    elif any(problem.rule == "W7" for problem in config.warnings):
        yield warn("redis.tls", "the server's certificate is not verified", "set redis.tls.ca")
    else:
        yield ok("redis.tls", "connections are encrypted")


def _access(config: Config, store: Store) -> Iterator[Check]:
    from gqm.errors import RedisSetupError, RedisUnavailable, StoreError
    from gqm.store.commands.access import probe_access, probe_scan, probe_wait

    refused: list[str] = []
    try:
        refused = store.run(probe_access(store.keys))
        for name, command in (("scan", probe_scan(store.keys)), ("blmove", probe_wait(store.keys))):
            try:
                store.run(command)
            except RedisSetupError:
                refused.append(name)
        try:
            listening = store.subscribe(store.keys.access_probe, tick_s=0.01)
            next(listening, None)
            listening.close()  # type: ignore[attr-defined]  # a generator, told as an iterator
        except RedisSetupError:
            refused.append("subscribe")
    except (RedisUnavailable, StoreError, RedisSetupError) as exc:
        yield fail("redis.acl", f"commands cannot be tried: {exc}")
        return
    if refused:
        text = f"this user may not run {', '.join(refused)}"
        rules = " ".join(f"+{name}" for name in refused)
        yield fail("redis.acl", text, f"ACL SETUSER {config.redis.username or 'NAME'} {rules}")
    else:
        yield ok("redis.acl", "this user may run all commands that are needed")


def _clock(store: Store) -> Check:
    from gqm.store.commands.read import server_time

    before = time.time()
    there = store.run(server_time(store.keys))
    skew_s = there - (before + time.time()) / 2
    if abs(skew_s) < MOST_SKEW_S:
        return ok("redis.clock", "its clock agrees with this machine's")
    which = "ahead of" if skew_s > 0 else "behind"
    text = f"its clock is {abs(skew_s):.1f} s {which} this machine's"
    return warn("redis.clock", text, "keep both in step by NTP; due times follow the clock of Redis")


def _prefix(store: Store) -> Check:
    from gqm.errors import GQMError
    from gqm.keys import Keys
    from gqm.store.commands.access import has_queues

    prefix = store.keys.prefix
    other = prefix.removesuffix(":") if prefix.endswith(":") else f"{prefix}:"
    if not other:
        return skip("redis.prefix", "there is no other spelling of the prefix")
    try:
        found = store.run(has_queues(Keys(other)))
    except GQMError:  # a user that may only touch its own prefix cannot look
        return skip("redis.prefix", "this user may not look at other prefixes")
    if not found:
        return ok("redis.prefix", f'keys begin with "{prefix}"')
    text = f'there are jobs under the prefix "{other}" too, and this configuration uses "{prefix}"'
    return warn("redis.prefix", text, "use one spelling everywhere; redis.exact_prefix keeps it as written")
