"""Fixtures of the dashboard tests: one browser per process, shops with jobs, visits that may not go wrong."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from playwright.sync_api import Browser, expect, sync_playwright

from gqm.store.sync import Store
from tests.api.support import SIGN_IN, serve
from tests.dashboard.browser import Visit
from tests.dashboard.desk import Desk
from tests.dashboard.seed import Engine, shop
from tests.support.keyspace import Keyspace

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The browser of this process; without one the tests are skipped, in CI they fail."""
    with sync_playwright() as playwright:
        path = CHROMIUM if Path(CHROMIUM).exists() else playwright.chromium.executable_path
        if not Path(path).exists():
            if os.environ.get("CI"):
                pytest.fail("there is no Chromium, and CI must test the dashboard")
            pytest.skip("there is no Chromium")
        expect.set_options(timeout=30_000)  # a machine that is busy is the normal case
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def open_shop(redis_socket: str) -> Iterator[Engine]:
    """A shop without sign-in that tests only look at."""
    with shop(redis_socket, f"t-shop-{uuid.uuid4().hex[:8]}:") as engine:
        yield engine


@pytest.fixture(scope="package")
def guarded_shop(redis_socket: str) -> Iterator[Engine]:
    """A shop with users that tests only look at: ana is admin, vic is viewer."""
    with shop(redis_socket, f"t-guarded-{uuid.uuid4().hex[:8]}:", **SIGN_IN) as engine:
        yield engine


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Opens browsers of people: ``visit(engine)``; at the end no page may have complained of anything."""
    visits: list[Visit] = []

    def open_(engine: Engine | int, **options: Any) -> Visit:
        visits.append(Visit(browser, engine if isinstance(engine, int) else engine.port, **options))
        return visits[-1]

    yield open_
    complaints = [line for each in visits for line in each.complaints]
    for each in visits:
        each.close()
    assert not complaints, complaints


@pytest.fixture
def desk(visit: Callable[..., Visit], redis_socket: str, prefix: str) -> Iterator[Desk]:
    """An API without sign-in over an empty key space, and a browser that has not been there yet."""
    with serve(f"unix:{redis_socket}", prefix, dashboard=True, rate_limit=-1) as api:
        raw = redis.Redis(unix_socket_path=redis_socket)
        yield Desk(api, Keyspace(Store(api.client._link), raw), visit(api.port, at=None))
        raw.close()
