"""Fixtures of the reading tests: those of the store tests, on a server that holds nothing of other tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from gqm.store.sync import Store
from tests.store.conftest import keys, link, raw, redis_socket, store
from tests.support.keyspace import Keyspace

__all__ = ["keys", "link", "raw", "redis_socket", "store"]


@pytest.fixture
def space(store: Store, raw: redis.Redis) -> Iterator[Keyspace]:
    """The test's key space; it is removed afterwards, because some lists look through the whole server."""
    yield Keyspace(store, raw)
    names = list(raw.scan_iter(store.keys.prefix + "*", count=1000))
    for start in range(0, len(names), 1000):
        raw.unlink(*names[start : start + 1000])
