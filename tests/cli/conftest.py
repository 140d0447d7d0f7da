"""Fixtures of the command line's tests: a folder to work in, ``gqm`` in it, and the key space it works on."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from gqm.keys import Keys
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from tests.cli.helpers import Gqm
from tests.support.keyspace import Keyspace


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Give the root logger its handlers and level back: a command run in this process sets up its own."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def gqm(tmp_path: Path) -> Iterator[Gqm]:
    """Runs ``gqm`` in a new folder, with an environment free of its variables."""
    program = Gqm(tmp_path)
    yield program
    program.close()


@pytest.fixture
def utc(gqm: Gqm, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let times be told in UTC."""
    gqm.env["TZ"] = "UTC"
    with monkeypatch.context() as change:
        change.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands in this process give a Redis up that is away, instead of trying for two seconds."""
    monkeypatch.setattr("gqm.store.sync.RESEND_WINDOW_S", 0.05)


@pytest.fixture
def config(gqm: Gqm, redis_socket: str, prefix: str) -> Path:
    """A small ``gqm.yaml`` for the test's server and prefix."""
    text = f'redis:\n  addr: "unix:{redis_socket}"\n  prefix: "{prefix}"\napp:\n  handlers: []\n'
    return gqm.write("gqm.yaml", text)


@pytest.fixture
def space(config: Path, redis_socket: str, prefix: str) -> Iterator[Keyspace]:
    """The key space that the configuration file names."""
    store = Store(plain_link(Keys(prefix), "the test server", {"unix_socket_path": redis_socket}))
    with redis.Redis(unix_socket_path=redis_socket, protocol=2) as raw:
        yield Keyspace(store, raw)
    store.close()
