"""Fixtures of the API tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.support import KEYS, SIGN_IN, Api, serve


@pytest.fixture
def api(redis_socket: str, prefix: str) -> Iterator[Api]:
    """An API with keys and users, the dashboard on, without a rate limit."""
    options = {**SIGN_IN, "dashboard": True, "rate_limit": -1}
    with serve(f"unix:{redis_socket}", prefix, **options) as api:
        yield api


@pytest.fixture
def keyed(redis_socket: str, prefix: str) -> Iterator[Api]:
    """An API with keys only."""
    with serve(f"unix:{redis_socket}", prefix, api_keys=KEYS, rate_limit=-1) as api:
        yield api
