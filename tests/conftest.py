"""Fixtures shared by all tests: a server of the test run's own, a key prefix per test, extra servers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.support.servers import ServerFactory, shared_server


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[str]:
    """Unix socket of the server that belongs to this test process; tests share it, each with its prefix."""
    with shared_server() as socket:
        yield socket


@pytest.fixture
def prefix() -> str:
    """A key prefix that no other test uses."""
    return f"t-{uuid.uuid4().hex[:12]}:"


@pytest.fixture
def start_server() -> Iterator[ServerFactory]:
    """Starts servers that only this test uses: ``start_server("--maxmemory", "2mb", kind="redis")``."""
    factory = ServerFactory()
    yield factory
    factory.close()
