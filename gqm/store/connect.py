"""Reaching Redis: addresses become client objects, and the client library's errors become ours."""

from __future__ import annotations

import os
import random
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.asyncio.sentinel
import redis.cluster
from redis import exceptions
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from gqm.errors import GQMError, RedisSetupError, RedisUnavailable, StoreError
from gqm.keys import Keys, full_prefix
from gqm.store.commands.facts import check_cluster_prefix

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqm.config import RedisConfig

CALL_LIMIT_S = 5.0
"""Longest a call may take, resends included."""
RESEND_WINDOW_S = 2.0
"""How long a call goes on making new connections before it says that Redis is away."""

SyncClient = redis.Redis | redis.cluster.RedisCluster
AsyncClient = redis.asyncio.Redis | redis.asyncio.cluster.RedisCluster


@dataclass(frozen=True)
class Link:
    """One Redis as it is reached: makes clients for it, and says what it is called in messages."""

    keys: Keys
    where: str
    """Address for messages; never with a password."""
    make_sync: Callable[[], SyncClient]
    make_async: Callable[[], AsyncClient]
    revive: Callable[[], None] | None = None
    """Starts the server again if it is ours and gone (embedded)."""
    close: Callable[[], None] | None = None
    owned: bool = True
    """False for an injected client: it stays open when the shell closes."""
    embedded: bool = False
    remote: bool = False
    """Whether Redis is on another machine, as far as the address tells."""
    has_password: bool = False
    cluster_kwargs: dict[str, Any] = field(default_factory=dict)


def open_link(config: RedisConfig, *, client: object = None, pool_size: int = 64) -> Link:
    """Return the link for a configuration, or around a ready client of redis-py (sync or async).

    An embedded server is started, or joined, here. Raises `RedisSetupError`.
    """
    keys = Keys(full_prefix(config.prefix, exact=config.exact_prefix))
    if client is not None:
        return _injected(keys, client)
    if config.sentinels:
        return _sentinel(keys, config, pool_size)
    if config.url:
        return _from_url(keys, config.url, pool_size)
    if config.embedded_folder:
        return _embedded(keys, Path(config.embedded_folder))
    address = config.addr
    if address.startswith("unix:"):
        kwargs: dict[str, Any] = {"unix_socket_path": address.removeprefix("unix:").removeprefix("//")}
    else:
        host, port = split_address(address)
        kwargs = {"host": host, "port": port, **_tls(config)}
    kwargs.update(_login(config), db=config.db)
    return plain_link(keys, f"{address}/{config.db}" if config.db else address, kwargs, pool_size)


def split_address(address: str) -> tuple[str, int]:
    """Split ``host:port`` or ``[v6]:port``. Raises `RedisSetupError` if it is none."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise RedisSetupError(f'{address!r} is not an address; use host:port, unix:/path or "embedded"')
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether a host name stands for this machine; names are not resolved."""
    return host in ("localhost", "::1", "") or host.startswith("127.")


def plain_link(keys: Keys, where: str, kwargs: dict[str, Any], pool_size: int = 64, **more: Any) -> Link:
    """Return the link to one server; ``kwargs`` are what redis-py's clients take."""
    host = kwargs.get("host")
    return Link(
        keys,
        where,
        lambda: redis.Redis(**_tuned(kwargs, pool_size), retry=_no_retry(Retry)),
        lambda: redis.asyncio.Redis(**_tuned(kwargs, pool_size), retry=_no_retry(AsyncRetry)),
        remote=host is not None and not is_loopback(host),
        has_password=bool(kwargs.get("password")),
        cluster_kwargs=kwargs,
        **more,
    )


def _tuned(kwargs: dict[str, Any], pool_size: int) -> dict[str, Any]:
    return {
        "socket_timeout": CALL_LIMIT_S,
        "socket_connect_timeout": CALL_LIMIT_S / 2,
        "max_connections": pool_size,
        "protocol": 2,
        **kwargs,
    }


def _no_retry(kind: Any) -> Any:
    """Repeating is ours: the library's own retries would stretch a call beyond its limit."""
    return kind(NoBackoff(), 0)


def _login(config: RedisConfig) -> dict[str, Any]:
    login: dict[str, Any] = {}
    if config.username:
        login["username"] = config.username
    if config.password:
        login["password"] = config.password
    return login


def _tls(config: RedisConfig) -> dict[str, Any]:
    tls = config.tls
    if not tls.enabled:
        return {}
    kwargs: dict[str, Any] = {"ssl": True}
    for name, path in (("ssl_ca_certs", tls.ca), ("ssl_certfile", tls.cert), ("ssl_keyfile", tls.key)):
        if path:
            kwargs[name] = path
    if tls.insecure:
        kwargs.update(ssl_cert_reqs="none", ssl_check_hostname=False)
    return kwargs


def _from_url(keys: Keys, url: str, pool_size: int) -> Link:
    try:
        kwargs = dict(redis.connection.parse_url(url))
        parts = urlsplit(url)
    except ValueError as exc:
        raise RedisSetupError(f"redis.url: not a Redis URL: {exc}") from None
    if kwargs.pop("connection_class", None) is redis.connection.SSLConnection:
        kwargs["ssl"] = True
    path = kwargs.pop("path", None)
    if path:
        kwargs["unix_socket_path"] = path
    else:
        kwargs.setdefault("host", "localhost")
    where = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
    return plain_link(keys, where, kwargs, pool_size)


def _sentinel(keys: Keys, config: RedisConfig, pool_size: int) -> Link:
    nodes = [split_address(node) for node in config.sentinels]
    kwargs = _tuned({**_login(config), **_tls(config), "db": config.db}, pool_size)

    def sync_client() -> SyncClient:
        sentinel = redis.Sentinel(nodes, sentinel_kwargs={"socket_timeout": 1.0}, **kwargs)
        client: SyncClient = sentinel.master_for(config.master, retry=_no_retry(Retry))
        return client

    def async_client() -> AsyncClient:
        sentinel = redis.asyncio.sentinel.Sentinel(nodes, sentinel_kwargs={"socket_timeout": 1.0}, **kwargs)
        client: AsyncClient = sentinel.master_for(config.master, retry=_no_retry(AsyncRetry))
        return client

    remote = any(not is_loopback(host) for host, _ in nodes)
    return Link(
        keys,
        f"{config.master} by Sentinel",
        sync_client,
        async_client,
        remote=remote,
        has_password=bool(config.password),
    )


def _embedded(keys: Keys, place: Path) -> Link:
    from gqm.embedded import attach

    attachment = attach(place)
    return plain_link(
        keys,
        f"embedded server in {place}",
        {"unix_socket_path": attachment.socket},
        1000,
        revive=attachment.ensure,
        close=attachment.close,
        embedded=True,
    )


def _injected(keys: Keys, client: object) -> Link:
    sync = isinstance(client, SyncClient)
    if not sync and not isinstance(client, AsyncClient):
        raise RedisSetupError(
            f"redis= takes an address, a URL or a client of redis-py, got {type(client).__module__}.{type(client).__name__}"
        )
    if isinstance(client, redis.cluster.RedisCluster | redis.asyncio.cluster.RedisCluster):
        check_cluster_prefix(keys)

    def other(kind: str) -> NoReturn:
        raise RedisSetupError(f"this needs {kind} client of redis-py too; give redis= both")

    return Link(
        keys,
        "the given client's Redis",
        (lambda: client) if sync else (lambda: other("a sync")),
        (lambda: other("an async")) if sync else (lambda: client),
        owned=False,
    )


# ------------------------------------------------------------------------------------- what went wrong

# Refusals that pass by themselves: Redis is there and does not serve us at the moment. Old servers put a
# script's error into another sentence, so the word may stand anywhere.
_REFUSAL = re.compile(r"\b(LOADING|READONLY|BUSY|MISCONF|OOM|MASTERDOWN|CLUSTERDOWN|NOREPLICAS|TRYAGAIN)\b")
_WRONG_TYPE = re.compile(r"WRONGTYPE_KEY (\S+)")
_PASSING = (
    exceptions.BusyLoadingError,
    exceptions.ClusterDownError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.TryAgainError,
)


def is_lost(exc: Exception) -> bool:
    """Whether the answer was lost with its connection, so that the call may be sent again."""
    lost = isinstance(exc, exceptions.ConnectionError | exceptions.TimeoutError | OSError)
    return lost and not isinstance(exc, exceptions.AuthenticationError | exceptions.AuthorizationError)


def is_moved(exc: Exception) -> bool:
    """Whether another node of a Cluster has the keys."""
    return isinstance(exc, exceptions.MovedError | exceptions.AskError | exceptions.SlotNotCoveredError)


def translate(exc: Exception, where: str) -> GQMError:
    """Return our error for one of the client library's."""
    text = str(exc)
    login = exceptions.AuthenticationError | exceptions.AuthorizationError | exceptions.NoPermissionError
    if isinstance(exc, login) or "NOAUTH" in text:
        return RedisSetupError(f"Redis at {where} refuses this user: {text}")
    if isinstance(exc, _PASSING) or _REFUSAL.search(text):
        return RedisUnavailable(f"Redis at {where} does not serve requests now: {text}")
    if is_lost(exc) or is_moved(exc):
        return RedisUnavailable(f"cannot connect to Redis at {where}: {_reason(exc)}")
    wrong = _WRONG_TYPE.search(text)
    if wrong:
        return StoreError(
            f"key {wrong.group(1)} at {where} has a Redis type that GQM never writes; rename or delete it"
        )
    if "WRONGTYPE" in text:
        return StoreError(f"a key at {where} has a Redis type that GQM never writes: {text}")
    return StoreError(f"Redis at {where} answered: {text}")


def _reason(exc: BaseException) -> str:
    """Return why a connection failed, in the system's words where it said so."""
    link: BaseException | None = exc
    while link is not None:
        if isinstance(link, OSError) and link.errno and link.strerror:
            # Event loops put an address into strerror; a resolver's negative numbers have no other text.
            return (os.strerror(link.errno) if link.errno > 0 else link.strerror).lower()
        link = link.__cause__ or link.__context__
    return str(exc)


LIBRARY_ERRORS = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
"""Everything that the client library raises."""
NoScript = exceptions.NoScriptError


class Backoff:
    """Growing pauses with jitter, from ``first_s`` to ``most_s``, until a point of the monotonic clock."""

    __slots__ = ("_first_s", "_most_s", "_next_s", "_until")

    def __init__(self, until: float = float("inf"), *, first_s: float = 0.01, most_s: float = 0.5) -> None:
        self._until = until
        self._first_s = self._next_s = first_s
        self._most_s = most_s

    def pause(self, now: float) -> float | None:
        """Return the next pause in seconds, ``None`` when the time is over."""
        if now >= self._until:
            return None
        pause = self._next_s * random.uniform(0.75, 1.25)
        self._next_s = min(self._next_s * 2, self._most_s)
        return min(pause, self._until - now)

    def reset(self) -> None:
        """Begin again with the first pause."""
        self._next_s = self._first_s
