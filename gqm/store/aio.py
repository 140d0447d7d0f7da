"""The async shell: carries commands out on the running event loop over a few kept connections."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from hiredis import pack_command
from redis.asyncio.cluster import RedisCluster

from gqm.store.connect import (
    CALL_LIMIT_S,
    CONNECT_LIMIT_S,
    LIBRARY_ERRORS,
    RESEND_WINDOW_S,
    Backoff,
    Link,
    NoScript,
    cluster_kwargs,
    is_full,
    is_lost,
    is_moved,
    is_stale,
    sentinels_of,
    translate,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from gqm.store.command import Command
    from gqm.store.connect import AsyncClient

T = TypeVar("T")


class _Connection(Protocol):
    """What is used of the library's connections."""

    async def connect(self) -> None: ...
    async def send_packed_command(self, command: tuple[bytes], check_health: bool = True) -> None: ...
    async def read_response(
        self,
        disable_decoding: bool = False,
        timeout: float | None = None,
        *,
        disconnect_on_error: bool = True,
        push_request: bool = False,
    ) -> Any: ...
    async def disconnect(self, nowait: bool = False) -> None: ...


class _Source(Protocol):
    """Where connections come from and go back to: a pool, or a node of a Cluster."""

    async def take(self) -> _Connection: ...
    async def give(self, connection: _Connection) -> None: ...


class _Pool:
    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def take(self) -> _Connection:
        return cast("_Connection", await self._pool.get_connection())

    async def give(self, connection: _Connection) -> None:
        await self._pool.release(connection)


class _Node:
    def __init__(self, node: Any) -> None:
        self._node = node

    async def take(self) -> _Connection:
        connection: _Connection = self._node.acquire_connection()
        try:
            await connection.connect()
        except BaseException:
            self._node.release(connection)
            raise
        return connection

    async def give(self, connection: _Connection) -> None:
        self._node.release(connection)


class AsyncStore:
    """Runs commands against one Redis, with the rules of `gqm.store.sync.Store`; for one event loop."""

    def __init__(self, link: Link, *, limit_s: float = CALL_LIMIT_S) -> None:
        """Make a client for the link; nothing is sent yet."""
        self.link = link
        self.keys = link.keys
        self.limit_s = limit_s
        self._client: AsyncClient = link.make_async()
        self._idle: list[tuple[_Source, _Connection]] = []

    async def run(self, command: Command[T]) -> T:
        """Carry a command out. Raises as `gqm.store.sync.Store.run`."""
        return command.read(await self.send(command))

    async def run_all(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """Carry several commands out in turn; together they are not atomic."""
        return [await self.run(command) for command in commands]

    async def send(self, command: Command[Any]) -> Any:
        """Carry a command out and return the raw answer."""
        begun = time.monotonic()
        try:
            return await self._exchange(command.words, self.limit_s + command.block_s)
        except LIBRARY_ERRORS as exc:
            error: Exception = exc
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
                    await self._recover(error, pause)
                return await self._exchange(words, max(0.05, begun + limit_s - time.monotonic()))
            except LIBRARY_ERRORS as exc:
                error = exc

    async def _recover(self, error: Exception, pause: float) -> None:
        await asyncio.sleep(pause)
        if is_full(error):
            return  # the connections that others use are sound
        await self._forget()
        if self.link.revive is not None:
            await asyncio.get_running_loop().run_in_executor(None, self.link.revive)
        if isinstance(self._client, RedisCluster):
            await self._client.aclose()  # makes the next use read the slots anew
        elif is_moved(error):
            old, self._client = self._client, RedisCluster(**cluster_kwargs(self.link))
            await old.aclose()

    async def _exchange(self, words: tuple[Any, ...], limit_s: float) -> Any:
        packed = (pack_command(words),)
        # What is ready to run goes first: sending wakes the server, on one machine often on this very core,
        # where it would run its script while all of them wait.
        await asyncio.sleep(0)
        source, connection = self._idle.pop() if self._idle else await self._connect(limit_s)
        try:
            async with asyncio.timeout(limit_s):
                await connection.send_packed_command(packed, check_health=False)
                # With a limit of its own the library would answer None for no answer.
                answer = await connection.read_response(disable_decoding=True, timeout=math.inf)
        except BaseException as exc:
            # Also on cancellation: an answer that nobody read must not meet the next command.
            if isinstance(exc, LIBRARY_ERRORS) and not is_stale(exc):
                self._idle.append((source, connection))
            else:
                await _drop(source, connection)
            raise
        self._idle.append((source, connection))
        return answer

    async def _connect(self, limit_s: float = math.inf) -> tuple[_Source, _Connection]:
        client: Any = self._client  # the library's own types do not cover what is used here
        source: _Source
        async with asyncio.timeout(min(2 * CONNECT_LIMIT_S, limit_s)):
            if isinstance(client, RedisCluster):
                await client.initialize()
                # All keys of a key space are in one hash slot, so one node serves them all.
                source = _Node(client.get_node_from_key(self.keys.queues))
            else:
                source = _Pool(client.connection_pool)
            return source, await source.take()

    async def subscribe(
        self, channel: str, *, idle_s: float = 30.0, subscribed: Callable[[], None] | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the messages of a channel until the connection is lost, then raise `RedisUnavailable`.

        ``subscribed`` is called once messages arrive for sure. Silence of ``idle_s`` is checked with a PING,
        so that a dead connection is noticed.
        """
        try:
            source, connection = await self._connect()
            try:
                await connection.send_packed_command(_pack("SUBSCRIBE", channel), check_health=False)
                async for message in _messages(connection, idle_s, subscribed):
                    yield message
            finally:
                await _drop(source, connection)
        except LIBRARY_ERRORS as exc:
            raise translate(exc, self.link) from exc

    async def _forget(self) -> None:
        while self._idle:
            await _drop(*self._idle.pop())

    async def close(self) -> None:
        """Give the connections back, and close the client unless it was injected."""
        while self._idle:
            source, connection = self._idle.pop()
            if self.link.owned:
                await connection.disconnect()
            await source.give(connection)
        if self.link.owned:
            for client in (self._client, *sentinels_of(self._client)):
                await client.aclose()


def _pack(*words: Any) -> tuple[bytes]:
    return (pack_command(words),)


async def _drop(source: _Source, connection: _Connection) -> None:
    """Close a connection and give it back; its pool opens it again when it is asked for one."""
    await connection.disconnect(nowait=True)
    await source.give(connection)


async def _messages(
    connection: _Connection, idle_s: float, subscribed: Callable[[], None] | None
) -> AsyncIterator[bytes]:
    pinged = False
    while True:
        try:
            async with asyncio.timeout(idle_s):
                answer = await connection.read_response(
                    disable_decoding=True, timeout=math.inf, disconnect_on_error=False, push_request=True
                )
        except TimeoutError:
            if pinged:
                raise ConnectionError("the subscription does not answer") from None
            pinged = True
            await connection.send_packed_command(_pack("PING"), check_health=False)
            continue
        pinged = False
        if isinstance(answer, list) and answer[0] == b"message":
            yield answer[2]
        elif subscribed is not None and isinstance(answer, list) and answer[0] == b"subscribe":
            subscribed()
