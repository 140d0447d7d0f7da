"""Commands that find out what a server lets us do, and how it keeps what it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gqm.store.command import Command, call, texts
from gqm.store.scripts import script

if TYPE_CHECKING:
    from gqm.keys import Keys

NEEDED = (
    # connections
    *("auth", "hello", "select", "ping", "info", "time"),
    # scripts, and waiting for what comes
    *("eval", "evalsha", "blmove", "publish", "subscribe", "unsubscribe"),
    # keys
    *("del", "exists", "expire", "persist", "pttl", "scan", "ttl", "type"),
    # hashes
    *("hdel", "hexists", "hget", "hgetall", "hincrby", "hkeys", "hlen", "hmget", "hscan", "hset", "hsetnx"),
    "hstrlen",
    # lists
    *("llen", "lpos", "lpush", "lrange", "lrem", "ltrim", "rpop", "rpush"),
    # sets
    *("sadd", "scard", "sismember", "smembers", "smismember", "srandmember", "srem", "sscan"),
    # sorted sets
    *("zadd", "zcard", "zcount", "zmscore", "zrandmember", "zrange", "zrem", "zremrangebyrank", "zscore"),
    # texts and streams
    *("decr", "get", "incr", "incrby", "mget", "set", "xadd", "xlen", "xrevrange"),
)
"""Every command that is used, in lower case."""


def acl_rules(prefix: str) -> str:
    """Return the rules of a Redis user that may do what is needed below a prefix, and nothing else."""
    commands = " ".join(f"+{name}" for name in NEEDED)
    return f"resetkeys ~{prefix}* resetchannels &{prefix}* -@all {commands}"


def probe_access(keys: Keys) -> Command[list[str]]:
    """Return the commands, in lower case, that the server refuses to this user inside scripts.

    They are tried on a key that is gone at the end of the same call.
    """
    return call(
        script("probe_access"),
        (keys.access_probe,),
        (keys.prefix,),
        lambda raw: [name.lower() for name in texts(raw)],
    )


def probe_wait(keys: Keys) -> Command[object]:
    """Wait for a moment on a list that is not there, as servers wait for jobs."""
    name = keys.access_probe
    return Command(("BLMOVE", name, name, "RIGHT", "RIGHT", "0.01"), lambda raw: raw, block_s=1)


def probe_scan(keys: Keys) -> Command[object]:
    """Begin to go over the key space."""
    return Command(("SCAN", "0", "MATCH", keys.access_probe, "COUNT", 1), lambda raw: raw)


def ping() -> Command[object]:
    """Ask for a sign of life."""
    return Command(("PING",), lambda raw: raw)


def has_queues(keys: Keys) -> Command[bool]:
    """Tell whether there is a key space of this prefix."""
    return Command(("EXISTS", keys.queues), bool)


class Persistence(NamedTuple):
    """How a server keeps its data."""

    append_only: bool
    snapshots_ok: bool
    append_ok: bool
    used_bytes: int
    most_bytes: int
    """0 = no limit."""


def persistence() -> Command[Persistence]:
    """Ask a server how it keeps its data, and how much of it."""

    def read(raw: bytes) -> Persistence:
        lines = (line.partition(":") for line in raw.decode("utf-8", "replace").splitlines())
        info = {name: value for name, _, value in lines}

        def number(name: str) -> int:
            text = info.get(name, "")
            return int(text) if text.isascii() and text.isdigit() else 0

        return Persistence(
            info.get("aof_enabled") == "1",
            info.get("rdb_last_bgsave_status", "ok") == "ok",
            info.get("aof_last_write_status", "ok") == "ok",
            number("used_memory"),
            number("maxmemory"),
        )

    return Command(("INFO",), read)
