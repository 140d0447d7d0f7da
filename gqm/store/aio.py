"""The async shell: carries commands out on the running event loop over a few kept connections."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from redis.asyncio.cluster import RedisCluster

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
    from collections.abc import AsyncIterator, Sequence

    from redis.asyncio.cluster import ClusterNode
    from redis.asyncio.connection import AbstractConnection, ConnectionPool

    from gqm.store.command import Command

T = TypeVar("T")


class _Source(Protocol):
    """Where connections come from and go back to: a pool, or a node of a Cluster."""

    async def take(self) -> AbstractConnection: ...
    async def give(self, connection: AbstractConnection) -> None: ...


class _Pool:
    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def take(self) -> AbstractConnection:
        return await self._pool.get_connection()

    async def give(self, connection: AbstractConnection) -> None:
        await self._pool.release(connection)


class _Node:
    def __init__(self, node: ClusterNode) -> None:
        self._node = node

    async def take(self) -> AbstractConnection:
        connection = self._node.acquire_connection()
        await connection.connect()
        return connection

    async def give(self, connection: AbstractConnection) -> None:
        self._node.release(connection)


class AsyncStore:
    """Runs commands against one Redis, with the rules of `gqm.store.sync.Store`; for one event loop."""

    def __init__(self, link: Link, *, limit_s: float = CALL_LIMIT_S) -> None:
        """Make a client for the link; nothing is sent yet."""
        self.link = link
        self.keys = link.keys
        self.limit_s = limit_s
        self._client = link.make_async()
        self._idle: list[tuple[_Source, AbstractConnection]] = []

    async def run(self, command: Command[T]) -> T:
        """Carry a command out. Raises as `gqm.store.sync.Store.run`."""
        return command.read(await self.send(command))

    async def run_all(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """Carry several commands out in turn; together they are not atomic."""
        return [await self.run(command) for command in commands]

    async def send(self, command: Command[Any]) -> Any:
        """Carry a command out and return the raw answer."""
        words = command.words
        begun = time.monotonic()
        limit_s = self.limit_s + command.block_s
        backoff = Backoff(begun + min(limit_s, RESEND_WINDOW_S))
        while True:
            try:
                return await self._exchange(words, max(0.01, begun + limit_s - time.monotonic()))
            except NoScript:
                assert command.script is not None
                words = ("EVAL", command.script.source, *words[2:])
            except LIBRARY_ERRORS as exc:
                pause = backoff.pause(time.monotonic()) if is_lost(exc) or is_moved(exc) else None
                if pause is None:
                    raise translate(exc, self.link.where) from exc
                await self._recover(exc, pause)
                words = command.again or command.words

    async def _recover(self, exc: Exception, pause: float) -> None:
        if is_moved(exc) and not isinstance(self._client, RedisCluster):
            check_cluster_prefix(self.keys)
            old, self._client = self._client, RedisCluster(**self.link.cluster_kwargs)
            await old.aclose()
        elif isinstance(self._client, RedisCluster):
            await self._client.aclose()  # makes the next use read the slots anew
        await self._forget()
        await asyncio.sleep(pause)
        if self.link.revive is not None:
            await asyncio.get_running_loop().run_in_executor(None, self.link.revive)

    async def _exchange(self, words: tuple[Any, ...], limit_s: float) -> Any:
        source, connection = self._idle.pop() if self._idle else await self._connect()
        usable = False
        try:
            await connection.send_packed_command(connection.pack_command(*words), check_health=False)
            answer = await connection.read_response(disable_decoding=True, timeout=limit_s)
            usable = True
        except LIBRARY_ERRORS as exc:
            usable = not is_lost(exc)
            raise
        finally:
            # Also on cancellation: an answer that nobody read must not meet the next command.
            if usable:
                self._idle.append((source, connection))
            else:
                await connection.disconnect(nowait=True)
                await source.give(connection)
        return answer

    async def _connect(self) -> tuple[_Source, AbstractConnection]:
        client = self._client
        source: _Source
        if isinstance(client, RedisCluster):
            await client.initialize()
            # All keys of a key space are in one hash slot, so one node serves them all.
            node = client.get_node_from_key(self.keys.queues)
            assert node is not None
            source = _Node(node)
        else:
            source = _Pool(client.connection_pool)
        return source, await source.take()

    async def subscribe(self, channel: str, *, idle_s: float = 30.0) -> AsyncIterator[bytes]:
        """Yield the messages of a channel until the connection is lost, then raise `RedisUnavailable`.

        Silence of ``idle_s`` is checked with a PING, so that a dead connection is noticed.
        """
        try:
            source, connection = await self._connect()
            try:
                await connection.send_command("SUBSCRIBE", channel)
                async for message in _messages(connection, idle_s):
                    yield message
            finally:
                await connection.disconnect(nowait=True)
                await source.give(connection)
        except LIBRARY_ERRORS as exc:
            raise translate(exc, self.link.where) from exc

    async def _forget(self) -> None:
        while self._idle:
            source, connection = self._idle.pop()
            await connection.disconnect(nowait=True)
            await source.give(connection)

    async def close(self) -> None:
        """Close the connections; close the client unless it was injected."""
        await self._forget()
        if self.link.owned:
            await self._client.aclose()


async def _messages(connection: AbstractConnection, idle_s: float) -> AsyncIterator[bytes]:
    pinged = False
    while True:
        try:
            async with asyncio.timeout(idle_s):
                answer = await connection.read_response(
                    disable_decoding=True, timeout=float("inf"), disconnect_on_error=False, push_request=True
                )
        except TimeoutError:
            if pinged:
                raise ConnectionError("the subscription does not answer") from None
            pinged = True
            await connection.send_command("PING")
            continue
        pinged = False
        if isinstance(answer, list) and answer[0] == b"message":
            yield answer[2]
