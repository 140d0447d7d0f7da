"""The loop of a program that is a server."""

from __future__ import annotations

import gc
import threading

from gqm.loop import run_to_end


async def frozen() -> int:
    return gc.get_freeze_count()


def test_what_was_loaded_before_is_out_of_the_collectors_sight() -> None:
    loaded: list[list[int]] = [[] for _ in range(1000)]
    before = gc.get_freeze_count()
    assert run_to_end(frozen()) >= before + len(loaded)


def test_in_a_thread_of_somebody_elses_process_the_collector_is_left_alone() -> None:
    counts: list[int] = []
    before = gc.get_freeze_count()
    thread = threading.Thread(target=lambda: counts.append(run_to_end(frozen())))
    thread.start()
    thread.join()
    assert counts == [before]
