"""What a Redis says about itself, and whether GQM can work with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gqm.errors import RedisSetupError
from gqm.store.command import Command

if TYPE_CHECKING:
    from gqm.keys import Keys

MIN_VERSION = (6, 2)


@dataclass(frozen=True, slots=True)
class Facts:
    """Kind, version and setup of a server."""

    kind: str
    """``redis`` or ``valkey``."""
    version: str
    cluster: bool
    policy: str
    """``maxmemory-policy``; anything but ``noeviction`` can make jobs vanish."""


def facts() -> Command[Facts]:
    """Ask a server about itself."""
    return Command(("INFO",), _read)


def _read(raw: bytes) -> Facts:
    info: dict[str, str] = {}
    for line in raw.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(":")
        info[name] = value
    valkey = info.get("valkey_version")
    return Facts(
        "valkey" if valkey else "redis",
        valkey or info.get("redis_version", "0"),
        info.get("redis_mode") == "cluster" or info.get("cluster_enabled") == "1",
        info.get("maxmemory_policy", "noeviction"),
    )


def check_facts(found: Facts, keys: Keys, where: str) -> None:
    """Raise `RedisSetupError` if GQM cannot work with such a server."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", found.version)[:2])
    # Valkey began at 7.2; its own version numbers are all newer than what is asked for.
    if found.kind == "redis" and numbers < MIN_VERSION:
        raise RedisSetupError(f"Redis at {where} is version {found.version}; GQM needs 6.2 or newer")
    if found.cluster:
        check_cluster_prefix(keys)


def check_cluster_prefix(keys: Keys) -> None:
    """Raise `RedisSetupError` if keys of this prefix would spread over a Cluster's hash slots."""
    if not re.search(r"\{[^{}]+\}", keys.prefix):
        raise RedisSetupError(
            f'this Redis is a Cluster and prefix "{keys.prefix}" has no hash tag; '
            'set redis.prefix to "{gqm}:"'
        )
