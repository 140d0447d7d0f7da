"""Fixtures of the fault tests: a fleet on the test's key space and the ledger that checks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.fleet import Fleet
from tests.faults.ledger import Ledger


@pytest.fixture
def fleet(redis_socket: str, prefix: str) -> Iterator[Fleet]:
    """Processes on the test's key space."""
    with Fleet(f"unix:{redis_socket}", prefix) as fleet:
        yield fleet


@pytest.fixture
def ledger(redis_socket: str, fleet: Fleet) -> Iterator[Ledger]:
    """The ledger of the test's key space."""
    ledger = Ledger(redis_socket, fleet)
    yield ledger
    ledger.close()
