"""The sync shell: carries commands out over a few kept connections; safe to share between threads."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, TypeVar

from redis.cluster import RedisCluster

from gqm.store.commands.facts import check_cluster_prefix
from gqm.store.connect import (
    CALL_LIMIT_S,
    LIBRARY_ERRORS,
    RESEND_WINDOW_S,
    Backoff,
    Link,
    NoScript,
    is_lost,
    is_moved,
    translate,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.connection import ConnectionInterface, ConnectionPoolInterface

    from gqm.store.command import Command

T = TypeVar("T")


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
        self._client = link.make_sync()
        self._idle: list[tuple[ConnectionPoolInterface, ConnectionInterface]] = []
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
        words = command.words
        limit_s = self.limit_s + command.block_s
        backoff: Backoff | None = None
        begun = 0.0
        while True:
            try:
                if backoff is None:
                    begun = time.monotonic()
                    return self._exchange(words, limit_s if command.block_s else None)
                return self._exchange(words, max(0.01, begun + limit_s - time.monotonic()))
            except NoScript:
                assert command.script is not None
                words = ("EVAL", command.script.source, *words[2:])
            except LIBRARY_ERRORS as exc:
                backoff = backoff or Backoff(begun + min(limit_s, RESEND_WINDOW_S))
                pause = backoff.pause(time.monotonic()) if is_lost(exc) or is_moved(exc) else None
                if pause is None:
                    raise translate(exc, self.link.where) from exc
                self._recover(exc, pause)
                words = command.again or command.words

    def _recover(self, exc: Exception, pause: float) -> None:
        if is_moved(exc) and not isinstance(self._client, RedisCluster):
            check_cluster_prefix(self.keys)
            old, self._client = self._client, RedisCluster(**self.link.cluster_kwargs)
            old.close()
        elif isinstance(self._client, RedisCluster):
            self._client.nodes_manager.initialize()
        self._forget()
        time.sleep(pause)
        if self.link.revive is not None:
            self.link.revive()

    def _exchange(self, words: tuple[Any, ...], limit_s: float | None) -> Any:
        if self._pid != os.getpid():  # a forked child must not share sockets with its parent
            self._idle = []
            self._pid = os.getpid()
        try:
            pool, connection = self._idle.pop()
        except IndexError:
            pool = self._pool()
            connection = pool.get_connection()
        usable = False
        try:
            connection.send_packed_command(connection.pack_command(*words), check_health=False)
            if limit_s is None:
                answer = connection.read_response(disable_decoding=True)
            else:
                answer = connection.read_response(disable_decoding=True, timeout=limit_s)
            usable = True
        except LIBRARY_ERRORS as exc:
            usable = not is_lost(exc)
            raise
        finally:
            if usable:
                self._idle.append((pool, connection))
            else:
                connection.disconnect()
                pool.release(connection)
        return answer

    def _pool(self) -> ConnectionPoolInterface:
        client = self._client
        if not isinstance(client, RedisCluster):
            return client.connection_pool
        # All keys of a key space are in one hash slot, so one node serves them all.
        node = client.get_node_from_key(self.keys.queues)
        assert node is not None
        connection_pool: ConnectionPoolInterface = client.get_redis_connection(node).connection_pool
        return connection_pool

    def _forget(self) -> None:
        while self._idle:
            pool, connection = self._idle.pop()
            connection.disconnect()
            pool.release(connection)

    def close(self) -> None:
        """Give the connections back, close the client unless it was injected, and leave an embedded server."""
        while self._idle:
            pool, connection = self._idle.pop()
            pool.release(connection)
        if self.link.owned:
            self._client.close()
