"""Fixtures of the admin tests: those of the reading tests, and an operator."""

from __future__ import annotations

import pytest

from gqm.admin import Admin
from tests.read.conftest import keys, link, raw, redis_socket, space, store
from tests.support.keyspace import Keyspace

__all__ = ["keys", "link", "raw", "redis_socket", "space", "store"]


@pytest.fixture
def admin(space: Keyspace) -> Admin:
    """An operator called ana."""
    return Admin(
        space.store, actor="ana", source="session", address="192.0.2.7", request_id="5b1e0c7d9a3f2e64"
    )
