"""Fixtures of the command line's tests: a folder to work in, and ``gqm`` in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.helpers import Gqm


@pytest.fixture
def gqm(tmp_path: Path) -> Iterator[Gqm]:
    """Runs ``gqm`` in a new folder, with an environment free of its variables."""
    program = Gqm(tmp_path)
    yield program
    program.close()


@pytest.fixture
def config(gqm: Gqm, redis_socket: str, prefix: str) -> Path:
    """A small ``gqm.yaml`` for the test's server and prefix."""
    text = f'redis:\n  addr: "unix:{redis_socket}"\n  prefix: "{prefix}"\napp:\n  handlers: []\n'
    return gqm.write("gqm.yaml", text)
