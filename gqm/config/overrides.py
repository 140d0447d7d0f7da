"""Values from code and from options of the command line, laid over the tree of the file.

Overrides are a mapping from dotted path to value, such as ``{"app.timezone": "Asia/Jakarta"}``. Each replaces
what the file has at that path, whole lists included; ``None`` means "not given". Three lists grow instead of
being replaced, because pools, queues and cron entries of code stand beside those of the file:
``pools`` and ``scheduler.cron_entries`` (mappings with the keys of YAML) and ``queues`` (mappings, or names;
a name that exists already is no second definition). ``+app.handlers`` adds to the modules of the file.
`INJECTED` at ``redis`` stands for a client that exists already: nothing but the prefix is taken from there.
"""

from __future__ import annotations

import datetime
import enum
import math
import os
from collections.abc import Iterable, Mapping
from typing import Final

from gqm.config.keys import keys_of
from gqm.config.model import AppConfig, RedisConfig, SchedulerConfig
from gqm.config.problems import CODE
from gqm.config.tree import MAX_DEPTH, Entry, Fields, Foreign, Items, Node, Scalar, is_null

__all__ = ["INJECTED", "Injected", "code_options", "has_own_client", "with_overrides"]


class Injected(enum.Enum):
    """The type of `INJECTED`."""

    CLIENT = "client"


INJECTED: Final = Injected.CLIENT
"""Override for ``redis``: the connections come from a client that exists already."""

_GROWING = ("pools", "queues", "scheduler.cron_entries")
_MORE_HANDLERS = "+app.handlers"
_MAX_BITS = 1024  # Python refuses to write much larger numbers as text
_ADDRESSES = ("addr", "url", "sentinels", "master")
_KEPT_BESIDE_CLIENT = ("prefix", "exact_prefix")
_API_OPTIONS = {
    "api": "monitoring.api.enabled",
    "api_addr": "monitoring.api.addr",
    "auth_enabled": "monitoring.auth.enabled",
    "auth_users": "monitoring.auth.users",
    "session_ttl": "monitoring.auth.session_ttl",
    "api_keys": "monitoring.api.api_keys",
    "rate_limit": "monitoring.api.rate_limit",
    "trust_proxy": "monitoring.api.trust_proxy",
    "trusted_proxies": "monitoring.api.trusted_proxies",
    "cookie_secure": "monitoring.api.cookie_secure",
    "metrics_public": "monitoring.api.metrics_public",
    "dashboard": "monitoring.dashboard.enabled",
    "path_prefix": "monitoring.dashboard.path_prefix",
    "custom_dir": "monitoring.dashboard.custom_dir",
    "scheduler_enabled": "scheduler.enabled",
}


def option_paths() -> dict[str, str]:
    """Return the keywords that ``Server`` takes, with the path of the key that each stands for."""
    paths = dict(_API_OPTIONS)
    for name, model in (("redis", RedisConfig), ("app", AppConfig), ("scheduler", SchedulerConfig)):
        paths.update(
            {key: f"{name}.{key}" for key in keys_of(model) if key not in ("enabled", "cron_entries")}
        )
    return paths


def code_options(**options: object) -> dict[str, object]:
    """Turn keywords as ``Server`` and ``Client`` take them into overrides.

    ``redis=`` is an address, a URL, or a client that exists already; ``api=False`` also turns off a dashboard
    that the file turns on. Options that are ``None`` are left out. Raises ``TypeError`` for an unknown name.
    """
    overrides: dict[str, object] = {}
    paths = option_paths()
    for name, value in options.items():
        if value is None:
            continue
        if name == "redis":
            overrides.update(_redis_option(value))
        elif name in paths:
            overrides[paths[name]] = value
        else:
            raise TypeError(f"unknown option {name!r}; there are: redis, {', '.join(sorted(paths))}")
    if options.get("api") is False:
        overrides.setdefault(_API_OPTIONS["dashboard"], False)
    return overrides


def _redis_option(value: object) -> dict[str, object]:
    if not isinstance(value, str):
        return {"redis": INJECTED}
    scheme, separator, _ = value.partition("://")
    return {"redis.url" if separator and scheme != "embedded" else "redis.addr": value}


def has_own_client(overrides: Mapping[str, object]) -> bool:
    """Whether the overrides say that a client exists already."""
    return overrides.get("redis") is INJECTED


def with_overrides(tree: Fields, overrides: Mapping[str, object], *, own_client: bool) -> Fields:
    """Return the tree with the overrides laid over it; with one's own client, without most of ``redis``."""
    if own_client:
        needless = [name for name in keys_of(RedisConfig) if name not in _KEPT_BESIDE_CLIENT]
        tree = _without(tree, needless)
        dropped = {f"redis.{name}" for name in needless}
        overrides = {path: value for path, value in overrides.items() if path not in dropped}
    elif any(overrides.get(f"redis.{name}") is not None for name in _ADDRESSES):
        tree = _without(tree, _ADDRESSES)  # one address replaces the other, of whatever kind
    for path, value in overrides.items():
        if value is None or value is INJECTED:
            continue
        if path in _GROWING or path == _MORE_HANDLERS:
            tree = _grown(tree, path.removeprefix("+"), value)
        else:
            tree = _replaced(tree, path.split("."), to_node(value))
    return tree


def _without(tree: Fields, names: Iterable[str]) -> Fields:
    redis = tree.entries.get("redis")
    if redis is None or not isinstance(redis.node, Fields):
        return tree
    left = {name: entry for name, entry in redis.node.entries.items() if name not in names}
    entry = Entry(redis.place, Fields(redis.node.place, left))
    return Fields(tree.place, {**tree.entries, "redis": entry})


def _grown(tree: Fields, path: str, added: object) -> Fields:
    keys = path.split(".")
    there = _find(tree, keys)
    more = to_node(added)
    if not isinstance(more, Items):
        return _replaced(tree, keys, more)  # refused later, for its type
    if there is None or is_null(there):
        there = Items((), CODE)
    if not isinstance(there, Items):
        return tree
    items = more.items if path != "queues" else _new_queues(more.items, there)
    return _replaced(tree, keys, Items((*there.items, *items), there.place if there.items else CODE))


def _new_queues(items: Iterable[Node], there: Items) -> tuple[Node, ...]:
    """Turn plain names into queues, leaving out those that are defined."""
    names = [queue.get("name") for queue in there.items if isinstance(queue, Fields)]
    known = {name.text for name in names if isinstance(name, Scalar)}
    found: list[Node] = []
    for item in items:
        if not isinstance(item, Scalar) or is_null(item):
            found.append(item)
        elif item.text not in known:
            known.add(item.text)
            found.append(Fields(CODE, {"name": Entry(CODE, item)}))
    return tuple(found)


def _find(tree: Fields, keys: Iterable[str]) -> Node | None:
    node: Node | None = tree
    for name in keys:
        node = node.get(name) if isinstance(node, Fields) else None
    return node


def _replaced(tree: Fields, keys: list[str], value: Node) -> Fields:
    """Put a node at a path, making the sections on the way; what is no section there stays, to be refused."""
    name, *rest = keys
    entry = tree.entries.get(name)
    if rest:
        below = entry.node if entry else None
        if below is None or is_null(below):
            below = Fields(CODE)
        if not isinstance(below, Fields):
            return tree
        value = _replaced(below, rest, value)
    return Fields(tree.place, {**tree.entries, name: Entry(entry.place if entry else CODE, value)})


def to_node(value: object, depth: int = 0) -> Node:
    """Turn a Python value into a node: its place is the code, and text in it is taken as it is."""
    if depth > MAX_DEPTH:
        return Foreign(f"more than {MAX_DEPTH} levels", CODE)
    if isinstance(value, Mapping):
        entries = {str(key): Entry(CODE, to_node(item, depth + 1)) for key, item in value.items()}
        return Fields(CODE, entries)
    if isinstance(value, list | tuple | set | frozenset):
        return Items(tuple(to_node(item, depth + 1) for item in value), CODE)
    return _single(value)


def _single(value: object) -> Node:
    if value is None or isinstance(value, bool):
        return Scalar("null" if value is None else str(value).lower(), CODE)
    match value:
        case str() | os.PathLike():
            return Scalar(str(os.fspath(value)), CODE, plain=False)
        case int() if value.bit_length() <= _MAX_BITS:
            return Scalar(format(value, "d"), CODE)
        case datetime.timedelta():
            return _single(value.total_seconds())
        case float() if math.isfinite(value):
            return Scalar(repr(value), CODE)
    return Foreign(type(value).__name__, CODE)
