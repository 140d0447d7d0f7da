"""The test servers themselves: own socket and port, data that survive a kill, failures that are told."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest
import redis

from tests.support.servers import ServerFactory
from tests.support.wait import aeventually, eventually


def test_session_server_answers_on_its_socket_alone(redis_socket: str, prefix: str) -> None:
    with redis.Redis(unix_socket_path=redis_socket) as client:
        assert client.set(f"{prefix}key", "value", ex=60)
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("port") == {"port": "0"}


@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_killed_server_keeps_its_data(start_server: ServerFactory, kind: str) -> None:
    server = start_server(kind=kind)
    with redis.Redis(unix_socket_path=server.socket) as client:
        client.set("key", "value")
        first = server.pid
        server.restart()
        assert server.pid != first
        assert client.get("key") == b"value"


def test_options_and_port(start_server: ServerFactory) -> None:
    server = start_server("--maxmemory", "3mb", tcp=True)
    with redis.Redis(port=server.port) as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(3 * 1024 * 1024)}


def test_frozen_server_answers_again_after_the_block(start_server: ServerFactory) -> None:
    server = start_server()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(server.socket)
        with server.stop_cont():
            connection.settimeout(0.1)
            connection.sendall(b"PING\r\n")
            with pytest.raises(TimeoutError):
                connection.recv(16)
        connection.settimeout(5)
        assert connection.recv(16) == b"+PONG\r\n"


def test_factory_ends_its_servers_and_removes_their_folders() -> None:
    factory = ServerFactory()
    server = factory()
    pid, folder = server.pid, server.folder
    factory.close()
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_server_that_cannot_start_fails_with_its_log(start_server: ServerFactory) -> None:
    with pytest.raises(pytest.fail.Exception, match="ended at start"):
        start_server("--no-such-option", "1")


def test_eventually_returns_the_value_and_names_what_did_not_come() -> None:
    values = iter([0, 0, 7])
    assert eventually(lambda: next(values)) == 7
    with pytest.raises(AssertionError, match=r"not true within 0\.02 s: the moon.*last value: 0"):
        eventually(lambda: 0, timeout=0.02, message="the moon")


def test_aeventually_takes_functions_and_coroutine_functions() -> None:
    values = iter([0, 0, 7])

    async def value() -> int:
        return next(values)

    async def both() -> None:
        assert await aeventually(value) == 7
        assert await aeventually(lambda: "yes") == "yes"
        with pytest.raises(AssertionError, match="not true"):
            await aeventually(lambda: 0, timeout=0.02)

    asyncio.run(both())
