"""A client and a pretended server that talk to each other, for the tests of the client."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import pytest

from gqm_tui.core.answers import JobDone
from gqm_tui.core.client import HttpClient, path
from gqm_tui.core.errors import ApiError
from gqm_tui.core.model import Stats
from tests.support.tui_http import Pretended, answer, pretended

T = TypeVar("T")
META = b'"meta":{"server_time":1795521603.25}'
KEY = "k" * 40
TOKEN = "0123456789abcdef" * 4


def enveloped(data: object) -> bytes:
    return b'{"data":' + msgspec.json.encode(data) + b"," + META + b"}"


def ok(data: object, *headers: str) -> bytes:
    return answer(enveloped(data), "200 OK", *headers)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def run(work: Awaitable[T]) -> T:
    async def limited() -> T:
        return await asyncio.wait_for(work, 30)

    return asyncio.run(limited())


async def failing(work: Awaitable[object]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await work
    return caught.value


def talk(
    work: Callable[[HttpClient, Pretended], Awaitable[T]],
    *answers: bytes,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    **options: object,
) -> T:
    """Let a client talk to a pretended server."""

    async def both() -> T:
        async with pretended(*answers, tls=tls) as server:
            url = f"{'https' if tls else 'http'}://{host}:{server.port}"
            client = HttpClient(url, **options)  # type: ignore[arg-type]  # any option of the test's choice
            try:
                return await work(client, server)
            finally:
                await client.close()

    return run(both())


async def get_stats(client: HttpClient, _: Pretended) -> Stats:
    return (await client.get(path("stats"), None, Stats)).data


async def get_failing(client: HttpClient, _: Pretended) -> ApiError:
    return await failing(client.get(path("stats"), None, Stats))


async def write_failing(client: HttpClient, _: Pretended) -> ApiError:
    return await failing(client.send("POST", path("jobs", "a", "retry"), None, None, JobDone))
