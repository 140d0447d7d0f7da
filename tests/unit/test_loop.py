"""The loop of a program that is a server."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from gqm.loop import run_to_end


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


async def frozen() -> int:
    return gc.get_freeze_count()


def test_what_was_loaded_before_is_out_of_the_collectors_sight() -> None:
    assert run_to_end(frozen()) > 1000


def test_in_a_thread_of_somebody_elses_process_the_collector_is_left_alone() -> None:
    counts: list[int] = []
    thread = threading.Thread(target=lambda: counts.append(run_to_end(frozen())))
    thread.start()
    thread.join()
    assert counts == [0]
