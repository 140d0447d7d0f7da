"""Fixtures of the engine tests: clients and servers on the test's own key space."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

import gqm
from gqm.keys import Keys
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from tests.engine.workers import Worker, Workers
from tests.support.keyspace import Keyspace


@pytest.fixture
def client(redis_socket: str, prefix: str) -> Iterator[gqm.Client]:
    """A producer on the test's key space."""
    with gqm.Client(f"unix:{redis_socket}", prefix=prefix) as client:
        yield client


@pytest.fixture
def raw(redis_socket: str) -> Iterator[Any]:
    """A plain client of the same Redis; answers are bytes."""
    with redis.Redis(unix_socket_path=redis_socket, protocol=2) as client:
        yield client


@pytest.fixture
def store(redis_socket: str, prefix: str) -> Iterator[Store]:
    """A store on the test's key space."""
    store = Store(plain_link(Keys(prefix), "the test server", {"unix_socket_path": redis_socket}))
    yield store
    store.close()


@pytest.fixture
def space(store: Store, raw: redis.Redis) -> Keyspace:
    """The test's key space."""
    return Keyspace(store, raw)


@pytest.fixture
def make(redis_socket: str, prefix: str) -> Callable[..., gqm.Server]:
    """Makes servers on the test's key space; options beat those that make tests short."""

    def make(**options: Any) -> gqm.Server:
        quick = {"poll_interval": 0.05, "shutdown_timeout": 3, "grace_period": 1}
        return gqm.Server(f"unix:{redis_socket}", prefix=prefix, **{**quick, **options})

    return make


@pytest.fixture
def worker(redis_socket: str, prefix: str) -> Iterator[Callable[..., Worker]]:
    """Starts servers in processes of their own, on the test's key space; all are ended with the test."""
    workers = Workers(redis_socket, prefix)
    yield workers
    workers.close()
