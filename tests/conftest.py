"""Fixtures shared by all tests: a server of the test run's own, a key prefix per test, extra servers."""

from __future__ import annotations

import gc
import uuid
from collections.abc import Iterator

import pytest

from tests.support.servers import ServerFactory, shared_server


def pytest_collection_finish() -> None:
    # Thousands of collected tests and their modules stay to the end. A collector that walks over them again
    # and again takes a fifth of the time of the tests that draw screens.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


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
