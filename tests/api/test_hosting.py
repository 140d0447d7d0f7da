"""The API inside a server of GQM, and in front of several processes."""

from __future__ import annotations

import asyncio
import functools
import http.client
import json
import os
import signal
import socket
from typing import Any

import pytest

from gqm import Client, Server
from gqm.errors import StartFailed
from gqm.supervisor import Supervisor
from tests.api.support import ADMIN_KEY, KEYS
from tests.support.wait import aeventually


def ask(port: int, path: str, method: str = "GET") -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers={"X-API-Key": ADMIN_KEY})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def make_server(redis_socket: str, prefix: str, **options: Any) -> Server:
    options.setdefault("api_addr", "127.0.0.1:0")
    server = Server(f"unix:{redis_socket}", prefix=prefix, api=True, api_keys=KEYS, **options)
    server.handle("ping", lambda job: {"pong": job.id})
    server.pool("fast", ["ping"], queues=["default"], concurrency=3)
    return server


def test_a_server_serves_its_api(redis_socket: str, prefix: str) -> None:
    server = make_server(redis_socket, prefix)

    async def run() -> None:
        engine = await server.start()
        port = server.api_port
        assert port
        ready = await asyncio.to_thread(ask, port, "/ready")
        assert ready == {"status": "ready", "engine": "running"}
        with Client(f"unix:{redis_socket}", prefix=prefix) as client:
            client.enqueue("ping", job_id="one")
        await aeventually(lambda: ask_later(port, "/api/v1/jobs/one", "completed"))
        workers = (await asyncio.to_thread(ask, port, "/api/v1/workers"))["data"]
        assert [(w["pool"], w["concurrency"], w["status"]) for w in workers] == [("fast", 3, "active")]
        assert workers[0]["id"] == f"fast@{engine.server_id}"
        one = (await asyncio.to_thread(ask, port, f"/api/v1/workers/{workers[0]['id']}"))["data"]
        assert one["jobs"] == []
        servers = (await asyncio.to_thread(ask, port, "/api/v1/servers"))["data"]
        assert [item["id"] for item in servers] == [engine.server_id]
        runtime = (await asyncio.to_thread(ask, port, "/api/v1/stats/runtime"))["data"]
        assert runtime["tasks"] > 0
        await server.stop()
        assert server.api_port is None
        with pytest.raises(OSError):  # noqa: PT011 - nobody listens
            await asyncio.to_thread(ask, port, "/health")

    asyncio.run(run())


async def ask_later(port: int, path: str, state: str) -> bool:
    answer = await asyncio.to_thread(ask, port, path)
    return bool(answer["data"]["status"] == state)


def test_a_port_that_is_taken_undoes_the_start(redis_socket: str, prefix: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = make_server(redis_socket, prefix, api_addr=f"127.0.0.1:{taken.getsockname()[1]}")

        async def run() -> None:
            with pytest.raises(StartFailed, match=r"cannot listen on 127\.0\.0\.1:.*in use"):
                await server.start()
            assert server.engine is None

        asyncio.run(run())
    with Client(f"unix:{redis_socket}", prefix=prefix) as client:
        assert client.get("x") is None
    asyncio.run(start_and_stop(server))


async def start_and_stop(server: Server) -> None:
    await server.start()
    await server.stop()


def test_without_the_api_nothing_listens(redis_socket: str, prefix: str) -> None:
    server = Server(f"unix:{redis_socket}", prefix=prefix)
    server.handle("ping", lambda job: None)

    async def run() -> None:
        await server.start()
        assert server.api_port is None
        await server.stop()

    asyncio.run(run())


def make_engine_server(redis_socket: str, prefix: str, port: int) -> Server:
    return make_server(redis_socket, prefix, api_addr=f"127.0.0.1:{port}")


def test_a_supervisor_serves_the_api_once_for_all_its_processes(redis_socket: str, prefix: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    factory = functools.partial(make_engine_server, redis_socket, prefix, port)
    supervisor = Supervisor(factory(), factory, 2)
    seen: dict[str, Any] = {}

    def ready(running: Supervisor) -> None:
        seen["ready"] = ask(port, "/ready")
        seen["servers"] = {item["id"] for item in ask(port, "/api/v1/servers")["data"]}
        seen["expected"] = set(running.server_ids)
        seen["slots"] = ask(port, "/api/v1/stats")["data"]["slots"]
        os.kill(os.getpid(), signal.SIGTERM)

    supervisor.run(ready)
    assert seen["ready"] == {"status": "ready", "engine": "running"}
    assert seen["servers"] == seen["expected"]
    assert (len(seen["servers"]), seen["slots"]) == (2, 6)
    with pytest.raises(OSError):  # noqa: PT011 - nobody listens
        ask(port, "/health")
