"""Fixtures of the embedded server's tests: a folder of the test's own, and processes that use it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gqm.embedded import status
from tests.embedded.helpers import UserProcess, running
from tests.support.servers import short_folder
from tests.support.wait import eventually


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where an embedded server may live; it does not exist yet. No user may outlive the test."""
    parent = short_folder()
    path = parent / "gqm"
    yield path
    eventually(lambda: not status(path).users, message="all users of the folder are gone")
    if server := status(path).pid:  # it ends by itself in a second, but that adds up
        with suppress(ProcessLookupError):
            os.kill(server, signal.SIGTERM)
    eventually(lambda: not running(path), timeout=10, message="the server ends after its last user")
    shutil.rmtree(parent)


@pytest.fixture
def user(folder: Path) -> Iterator[Callable[[], UserProcess]]:
    """Starts processes that may use the folder's server; all are killed with the test."""
    users: list[UserProcess] = []

    def start() -> UserProcess:
        users.append(UserProcess(folder))
        return users[-1]

    yield start
    for process in users:
        process.close()
