"""What Redis tells about its own load, for people."""

from __future__ import annotations

import msgspec

from gqm.store.command import Command


class RedisInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the server behind a key space."""

    version: str
    mode: str
    embedded: bool
    used_memory_bytes: int
    maxmemory_bytes: int
    ops_per_sec: int
    connected_clients: int
    evicted_keys: int
    aof_enabled: bool
    latency_ms: int
    """Of one call; filled in by who measured it."""


def redis_info(*, embedded: bool) -> Command[RedisInfo]:
    """Ask the server about itself."""

    def read(raw: bytes) -> RedisInfo:
        info: dict[str, str] = {}
        for line in raw.decode("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            info[name] = value

        def number(name: str) -> int:
            text = info.get(name, "")
            return int(text) if text.isdecimal() and text.isascii() else 0

        return RedisInfo(
            version=info.get("valkey_version") or info.get("redis_version", ""),
            mode=info.get("server_mode") or info.get("redis_mode", ""),
            embedded=embedded,
            used_memory_bytes=number("used_memory"),
            maxmemory_bytes=number("maxmemory"),
            ops_per_sec=number("instantaneous_ops_per_sec"),
            connected_clients=number("connected_clients"),
            evicted_keys=number("evicted_keys"),
            aof_enabled=info.get("aof_enabled") == "1",
            latency_ms=0,
        )

    return Command(("INFO",), read)
