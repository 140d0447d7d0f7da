"""Fixtures of the store tests: a store on the test's own prefix, and a plain client beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import redis

from gqm.keys import Keys
from gqm.store.connect import Link, plain_link
from gqm.store.sync import Store
from tests.support.keyspace import Keyspace
from tests.support.servers import Server, short_folder


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[str]:
    """Unix socket of this test process's server; ``GQM_TEST_SERVER=redis`` makes it a Redis, not a Valkey."""
    server = Server(short_folder(), kind=os.environ.get("GQM_TEST_SERVER", "valkey"))
    yield server.socket
    server.close()


@pytest.fixture
def keys(prefix: str) -> Keys:
    """Key names under the test's prefix."""
    return Keys(prefix)


@pytest.fixture
def link(redis_socket: str, keys: Keys) -> Link:
    """The link to the test server, from which a test may open further stores (also an `AsyncStore`)."""
    return plain_link(keys, "the test server", {"unix_socket_path": redis_socket})


@pytest.fixture
def store(link: Link) -> Iterator[Store]:
    """A store on the test's prefix."""
    store = Store(link)
    yield store
    store.close()


@pytest.fixture
def raw(redis_socket: str) -> Iterator[redis.Redis]:
    """A plain client of the same server; answers are bytes."""
    with redis.Redis(unix_socket_path=redis_socket, protocol=2) as client:
        yield client


@pytest.fixture
def space(store: Store, raw: redis.Redis) -> Keyspace:
    """The test's key space."""
    return Keyspace(store, raw)
