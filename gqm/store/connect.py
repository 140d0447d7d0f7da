"""Reaching Redis: addresses become client objects, and the client library's errors become ours."""

from __future__ import annotations

import os
import random
import re
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import urlsplit

import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.asyncio.sentinel
import redis.cluster
import redis.connection
import redis.sentinel
from redis import exceptions
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from gqm.config.formats import is_this_machine, split_host_port
from gqm.errors import GQMError, RedisSetupError, RedisUnavailable, StoreError
from gqm.keys import Keys, full_prefix
from gqm.store.commands.facts import check_cluster_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gqm.config import RedisConfig

CALL_LIMIT_S = 5.0
"""Longest a call may take, resends included."""
CONNECT_LIMIT_S = 1.5
"""Longest that reaching the server may take, and the longest wait for an answer to a login."""
RESEND_WINDOW_S = CALL_LIMIT_S - 2 * CONNECT_LIMIT_S
"""How long a call goes on making new connections: the last of them may take its time within the limit."""

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
    """Ends what the link itself holds (embedded); to be called after the shells are closed."""
    owned: bool = True
    """False for an injected client: it stays open when the shell closes."""
    embedded: bool = False
    remote: bool = False
    """Whether Redis is on another machine, as far as the address tells."""
    has_password: bool = False
    cluster_kwargs: dict[str, Any] | None = None
    """What a client of a whole Cluster takes, if the server turns out to be a node of one."""


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
        host, port = _host_and_port(address)
        kwargs = {"host": host, "port": port, **_tls(config)}
    kwargs.update(_login(config), db=config.db)
    return plain_link(keys, f"{address}/{config.db}" if config.db else address, kwargs, pool_size)


def _host_and_port(address: str) -> tuple[str, int]:
    parts = split_host_port(address)
    if parts is None:
        raise RedisSetupError(f'{address!r} is not an address; use host:port, unix:/path or "embedded"')
    return parts


def plain_link(keys: Keys, where: str, kwargs: dict[str, Any], pool_size: int = 64, **more: Any) -> Link:
    """Return the link to one server; ``kwargs`` are what redis-py's clients take."""
    host = kwargs.get("host")
    ours = {"max_connections": pool_size, "protocol": 2, **_LIMITS, **kwargs}
    ours_async = {**ours, "socket_timeout": None}
    in_cluster = {name: value for name, value in ours.items() if name != "db"} if host else None
    return Link(
        keys,
        where,
        lambda: redis.Redis(**ours, retry=Retry(NoBackoff(), 0)),
        lambda: redis.asyncio.Redis(**ours_async, retry=AsyncRetry(NoBackoff(), 0)),
        remote=host is not None and not is_this_machine(host),
        has_password=bool(kwargs.get("password")),
        cluster_kwargs=in_cluster,
        **more,
    )


# Repeating is ours: the library's own retries would stretch a call beyond its limit. Its time-outs are for
# new connections; the shells set the limit of each call themselves.
_LIMITS = {"socket_timeout": CONNECT_LIMIT_S, "socket_connect_timeout": CONNECT_LIMIT_S}


def cluster_kwargs(link: Link) -> dict[str, Any]:
    """Return what makes a client of the whole Cluster that a link's server is a node of.

    Raises `RedisSetupError` if the prefix does not fit, or if only that one node can be reached.
    """
    check_cluster_prefix(link.keys)
    if link.cluster_kwargs is None:
        raise RedisSetupError(
            f"Redis at {link.where} is one node of a Cluster; give host:port or a RedisCluster"
        )
    return link.cluster_kwargs


def _login(config: RedisConfig) -> dict[str, Any]:
    login = {"username": config.username, "password": config.password}
    return {name: value for name, value in login.items() if value}


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
    parse = cast("Callable[[str], dict[str, Any]]", redis.connection.parse_url)  # not typed by the library
    try:
        kwargs = parse(url)
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
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return plain_link(keys, where, kwargs, pool_size)


def _sentinel(keys: Keys, config: RedisConfig, pool_size: int) -> Link:
    nodes = [_host_and_port(node) for node in config.sentinels]
    tls = _tls(config)
    own = {**_LIMITS, **tls}
    shared = {
        "max_connections": pool_size,
        "protocol": 2,
        "db": config.db,
        **_LIMITS,
        **_login(config),
        **tls,
    }

    def sync_client() -> SyncClient:
        kind = cast("Callable[..., Any]", redis.sentinel.Sentinel)  # not typed by the library
        master = kind(nodes, sentinel_kwargs=own).master_for(
            config.master, **shared, retry=Retry(NoBackoff(), 0)
        )
        return cast("SyncClient", master)

    def async_client() -> AsyncClient:
        kind = cast("Callable[..., Any]", redis.asyncio.sentinel.Sentinel)
        master = kind(nodes, sentinel_kwargs=own).master_for(
            config.master, **{**shared, "socket_timeout": None}, retry=AsyncRetry(NoBackoff(), 0)
        )
        return cast("AsyncClient", master)

    return Link(
        keys,
        f"{config.master} by Sentinel",
        sync_client,
        async_client,
        remote=any(not is_this_machine(host) for host, _ in nodes),
        has_password=bool(config.password),
    )


def sentinels_of(client: object) -> list[Any]:
    """Return the clients by which a client asks its Sentinels: nobody else closes them."""
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    return list(manager.sentinels) if manager is not None else []


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
    if isinstance(client, tuple | list) and len(client) == 2:
        links = [_injected(keys, one) for one in client]
        sync = [isinstance(one, SyncClient) for one in client]
        if sync[0] == sync[1]:
            raise RedisSetupError("redis= takes a pair of one sync and one async client of redis-py")
        first, second = links if sync[0] else reversed(links)
        return replace(first, make_async=second.make_async)

    def other(kind: str) -> NoReturn:
        raise RedisSetupError(
            f"this needs {kind} client of redis-py; the one that was given is of the other kind"
        )

    if isinstance(client, redis.cluster.RedisCluster | redis.asyncio.cluster.RedisCluster):
        check_cluster_prefix(keys)
    where = "the given client's Redis"
    if isinstance(client, SyncClient):
        return Link(keys, where, lambda: client, lambda: other("an async"), owned=False)
    if isinstance(client, AsyncClient):
        return Link(keys, where, lambda: other("a sync"), lambda: client, owned=False)
    kind = type(client)
    raise RedisSetupError(
        f"redis= takes an address, a URL or a client of redis-py, got {kind.__module__}.{kind.__name__}"
    )


# ------------------------------------------------------------------------------------- what went wrong

# Refusals that pass by themselves: Redis is there and does not serve us at the moment. Old servers put a
# script's error into another sentence, so the word may stand anywhere.
_REFUSAL = re.compile(r"\b(LOADING|READONLY|BUSY|MISCONF|OOM|MASTERDOWN|CLUSTERDOWN|NOREPLICAS|TRYAGAIN)\b")
_WRONG_TYPE = re.compile(r"WRONGTYPE_KEY (\S+)")
_OTHER_SLOT = re.compile(r"CROSSSLOT|same slot|non local key")
_IN_SCRIPT = re.compile(r"\s+script:( \w+,)? on @user_script:\d+\.?$")
_PASSING = (
    exceptions.BusyLoadingError,
    exceptions.ClusterDownError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.TryAgainError,
)
_DENIED = re.compile(r"NOAUTH|The user executing the script can't|ACL failure in script")
"""A refusal of the user inside a script comes as any other error of the script."""
_LOGIN = (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError)

LIBRARY_ERRORS = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
"""Everything that the client library raises."""
NoScript = exceptions.NoScriptError
SilentConnection = exceptions.TimeoutError
"""Raised by the library's own time-out of a read."""


def _unwrapped(exc: Exception) -> Exception:
    """Return what the server said to a new connection; the async client hides it behind a lost connection."""
    cause = exc.__cause__
    said = exceptions.ResponseError | exceptions.ConnectionError
    return cause if type(exc) is exceptions.ConnectionError and isinstance(cause, said) else exc


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that led to it."""
    link: BaseException | None = exc
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def is_lost(exc: Exception) -> bool:
    """Whether the answer was lost with its connection, so that the call may be sent again."""
    exc = _unwrapped(exc)
    lost = isinstance(exc, exceptions.ConnectionError | exceptions.TimeoutError | OSError)
    return lost and not isinstance(exc, _LOGIN) and _distrust(exc) is None


def _distrust(exc: Exception) -> str | None:
    """Return why the server's certificate was not accepted, ``None`` if it was not about that."""
    for link in _chain(exc):
        if isinstance(link, ssl.SSLCertVerificationError):
            return link.verify_message
    return None


def is_stale(exc: Exception) -> bool:
    """Whether the connection should not be used again: lost, out of step, or to one that became a replica."""
    stale = exceptions.InvalidResponse | exceptions.ReadOnlyError | exceptions.MasterDownError
    return is_lost(exc) or isinstance(exc, stale)


def is_full(exc: Exception) -> bool:
    """Whether the pool has no connection left: one will come back."""
    return isinstance(exc, exceptions.MaxConnectionsError)


def is_moved(exc: Exception) -> bool:
    """Whether another node of a Cluster has the keys."""
    return isinstance(exc, exceptions.MovedError | exceptions.AskError | exceptions.SlotNotCoveredError)


def translate(exc: Exception, link: Link) -> GQMError:
    """Return our error for one of the client library's."""
    exc = _unwrapped(exc)
    text = _IN_SCRIPT.sub("", str(exc))
    if isinstance(exc, _LOGIN) or _DENIED.search(text):
        return RedisSetupError(f"Redis at {link.where} refuses this user: {text}")
    distrust = _distrust(exc)
    if distrust is not None:
        return RedisSetupError(f"the certificate of Redis at {link.where} is not accepted: {distrust}")
    if isinstance(exc, _PASSING) or _REFUSAL.search(text):
        return RedisUnavailable(f"Redis at {link.where} does not serve requests now: {text}")
    if is_lost(exc) or is_moved(exc):
        return RedisUnavailable(f"cannot connect to Redis at {link.where}: {_reason(exc)}")
    if isinstance(exc, exceptions.RedisClusterException):
        return RedisUnavailable(f"cannot connect to the Cluster at {link.where}: {text}")
    return _wrong_content(exc, text, link)


def _wrong_content(exc: Exception, text: str, link: Link) -> GQMError:
    if isinstance(exc, exceptions.InvalidResponse):
        return RedisSetupError(f"what answers at {link.where} is not Redis: {text}")
    if isinstance(exc, exceptions.ClusterCrossSlotError) or _OTHER_SLOT.search(text):
        try:
            check_cluster_prefix(link.keys)
        except RedisSetupError as error:
            return error
    wrong = _WRONG_TYPE.search(text)
    if wrong or "WRONGTYPE" in text:
        key = f"key {wrong.group(1)} at {link.where}" if wrong else f"a key at {link.where}"
        return StoreError(f"{key} has a Redis type that GQM never writes; rename or delete it")
    return StoreError(f"Redis at {link.where} answered: {text}")


def _reason(exc: BaseException) -> str:
    """Return why a connection failed, in the system's words where it said so."""
    for link in _chain(exc):
        if isinstance(link, ssl.SSLError):
            return str(link)
        if isinstance(link, OSError) and link.errno and link.strerror:
            # Event loops put an address into strerror; a resolver's negative numbers have no other text.
            return (os.strerror(link.errno) if link.errno > 0 else link.strerror).lower()
    return str(exc) or "no answer in time"


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
