"""The sync shell: carries commands out over a few kept connections; safe to share between threads."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from hiredis import Reader, pack_command
from redis.cluster import RedisCluster
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import InvalidResponse

from gqm.store.connect import (
    CALL_LIMIT_S,
    LIBRARY_ERRORS,
    RESEND_WINDOW_S,
    Backoff,
    Link,
    NoScript,
    SilentConnection,
    cluster_kwargs,
    is_full,
    is_lost,
    is_moved,
    is_stale,
    sentinels_of,
    translate,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gqm.store.command import Command
    from gqm.store.connect import SyncClient

T = TypeVar("T")

_READ_BYTES = 65_536
_MORE: Any = object()
"""What the parser returns while an answer is not complete."""


class _Connection(Protocol):
    """What is used of the library's connections."""

    def send_packed_command(self, command: tuple[bytes], check_health: bool = True) -> None: ...
    def read_response(
        self, disable_decoding: bool = False, *, disconnect_on_error: bool = True, push_request: bool = False
    ) -> Any: ...
    def disconnect(self) -> None: ...


class _Pool(Protocol):
    """What is used of the library's connection pools."""

    def get_connection(self) -> _Connection: ...
    def release(self, connection: _Connection) -> None: ...


class _Channel:
    """A connection that this store holds, the pool that it is from, and the time limit set on it.

    On a plain socket a call goes past the library's layers, which cost more than the network of one machine.
    The library still makes the connection, signs in, and names the errors.
    """

    __slots__ = ("_reader", "_sock", "connection", "limit_s", "pool")

    def __init__(self, pool: _Pool) -> None:
        self.pool = pool
        self.connection = pool.get_connection()
        self.limit_s = 0.0
        self._sock: socket.socket | None = None
        connection: Any = self.connection
        sock, parser = getattr(connection, "_sock", None), getattr(connection, "_parser", None)
        name_error = getattr(parser, "parse_error", None)
        # RESP3 may push messages between answers, and TLS has buffers of its own: the library knows how.
        if type(sock) is socket.socket and name_error and str(getattr(connection, "protocol", "")) == "2":
            self._sock = sock
            self._reader = Reader(InvalidResponse, name_error, notEnoughData=_MORE)

    def limit(self, limit_s: float) -> None:
        """Let each read and each write take so long at most."""
        # Not every release of the library takes a limit with a read, so it is set where it acts.
        sock = getattr(self.connection, "_sock", None)
        if sock is not None:
            sock.settimeout(limit_s)
            self.limit_s = limit_s

    def exchange(self, packed: bytes) -> Any:
        """Send a command and return its answer. Raises what the library raises."""
        sock = self._sock
        if sock is None:
            self.connection.send_packed_command((packed,), check_health=False)
            return self.connection.read_response(disable_decoding=True)
        sock.sendall(packed)
        reader, answer = self._reader, _MORE
        while answer is _MORE:
            data = sock.recv(_READ_BYTES)
            if not data:
                raise LostConnection("the server closed the connection")
            reader.feed(data)
            answer = reader.gets(False)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def drop(self) -> None:
        """Close the connection and give it back; the pool opens it again when it is asked for one."""
        self.connection.disconnect()
        self.pool.release(self.connection)


class Store:
    """Runs commands against one Redis.

    Every command may be sent again after a lost answer, so a broken connection is replaced and the call
    repeated, for at most ``limit_s`` seconds in all.
    """

    def __init__(self, link: Link, *, limit_s: float = CALL_LIMIT_S) -> None:
        """Make a client for the link; nothing is sent yet."""
        self.link = link
        self.keys = link.keys
        self.limit_s = limit_s
        self._client: SyncClient = link.make_sync()
        self._idle: list[_Channel] = []
        self._pid = os.getpid()

    def run(self, command: Command[T]) -> T:
        """Carry a command out.

        Raises `RedisUnavailable` when Redis is away or refuses writes, `RedisSetupError` when it refuses us,
        `StoreError` when a key has a wrong type, and whatever the command's reader raises.
        """
        return command.read(self.send(command))

    def run_all(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """Carry several commands out in turn; together they are not atomic."""
        return [self.run(command) for command in commands]

    def send(self, command: Command[Any]) -> Any:
        """Carry a command out and return the raw answer."""
        begun = time.monotonic()
        try:
            return self._exchange(command.words, self.limit_s + command.block_s)
        except LIBRARY_ERRORS as exc:
            return self._send_again(command, exc, begun)

    def _send_again(self, command: Command[Any], error: Exception, begun: float) -> Any:
        limit_s = self.limit_s + command.block_s
        backoff = Backoff(begun + min(limit_s, RESEND_WINDOW_S))
        words = command.words
        while True:
            pause = None
            if isinstance(error, NoScript):
                assert command.script is not None
                words = ("EVAL", command.script.source, *words[2:])
            else:
                pause = backoff.pause(time.monotonic()) if is_lost(error) or is_moved(error) else None
                if pause is None:
                    raise translate(error, self.link) from error
                words = command.again or command.words
            try:
                if pause is not None:
                    self._recover(error, pause)
                return self._exchange(words, max(0.05, begun + limit_s - time.monotonic()))
            except LIBRARY_ERRORS as exc:
                error = exc

    def _recover(self, error: Exception, pause: float) -> None:
        time.sleep(pause)
        if is_full(error):
            return  # the connections that others use are sound
        self._forget()
        if self.link.revive is not None:
            self.link.revive()
        if isinstance(self._client, RedisCluster):
            self._client.nodes_manager.initialize()
        elif is_moved(error):
            old, self._client = self._client, RedisCluster(**cluster_kwargs(self.link))
            old.close()

    def _exchange(self, words: tuple[Any, ...], limit_s: float) -> Any:
        packed = pack_command(words)
        if self._pid != os.getpid():  # a forked child must not share sockets with its parent
            self._idle = []
            self._pid = os.getpid()
        try:
            channel = self._idle.pop()
        except IndexError:
            channel = _Channel(self._pool())
        if channel.limit_s != limit_s:
            channel.limit(limit_s)
        try:
            answer = channel.exchange(packed)
        except BaseException as exc:
            # An answer that nobody read must not meet the next command.
            if isinstance(exc, LIBRARY_ERRORS) and not is_stale(exc):
                self._idle.append(channel)
            else:
                channel.drop()
            raise
        self._idle.append(channel)
        return answer

    def _pool(self) -> _Pool:
        client: Any = self._client  # the library's own types do not cover what is used here
        if isinstance(client, RedisCluster):
            # All keys of a key space are in one hash slot, so one node serves them all.
            find: Any = client.get_node_from_key
            client = client.get_redis_connection(find(self.keys.queues))
        return cast("_Pool", client.connection_pool)

    def subscribe(
        self,
        channel: str,
        *,
        tick_s: float = 1.0,
        idle_s: float = 30.0,
        subscribed: Callable[[], None] | None = None,
    ) -> Iterator[bytes | None]:
        """Yield the messages of a channel, and ``None`` after each ``tick_s`` seconds without one.

        ``subscribed`` is called once messages arrive for sure. Silence of ``idle_s`` is checked with a PING;
        raises `RedisUnavailable` when the connection is lost.
        """
        try:
            taken = _Channel(self._pool())
            try:
                taken.limit(tick_s)
                taken.connection.send_packed_command(_pack("SUBSCRIBE", channel), check_health=False)
                yield from _messages(taken.connection, idle_s, subscribed)
            finally:
                taken.drop()
        except LIBRARY_ERRORS as exc:
            raise translate(exc, self.link) from exc

    def _forget(self) -> None:
        while self._idle:
            self._idle.pop().drop()

    def close(self) -> None:
        """Give the connections back, and close the client unless it was injected."""
        while self._idle:
            channel = self._idle.pop()
            if self.link.owned:
                channel.drop()
            else:
                channel.pool.release(channel.connection)
        if self.link.owned:
            for client in (self._client, *sentinels_of(self._client)):
                client.close()


def _pack(*words: Any) -> tuple[bytes]:
    return (pack_command(words),)


def _messages(
    connection: _Connection, idle_s: float, subscribed: Callable[[], None] | None
) -> Iterator[bytes | None]:
    heard, pinged = time.monotonic(), False
    while True:
        try:
            answer = connection.read_response(
                disable_decoding=True, disconnect_on_error=False, push_request=True
            )
        except SilentConnection:
            silent_s = time.monotonic() - heard
            if silent_s > 2 * idle_s:
                raise ConnectionError("the subscription does not answer") from None
            if silent_s > idle_s and not pinged:
                connection.send_packed_command(_pack("PING"), check_health=False)
                pinged = True
            yield None
            continue
        heard, pinged = time.monotonic(), False
        if isinstance(answer, list) and answer[0] == b"message":
            yield answer[2]
        elif subscribed is not None and isinstance(answer, list) and answer[0] == b"subscribe":
            subscribed()
