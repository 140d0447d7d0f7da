"""The event loop of a program that is a server: which one it is, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine
from typing import TypeVar

LAST_TASKS_S = 0.2
"""How long the end waits for tasks that it cancels."""

T = TypeVar("T")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop if it is installed (extra ``fast``), else ``None`` for the standard one."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def run_to_end(main: Coroutine[object, object, T]) -> T:
    """Run a coroutine on a loop of its own that ends with it, whatever tasks it leaves behind.

    On the main thread it takes all that was loaded until now out of the garbage collector's sight, since that
    lives as long as the process: else each full collection walks over it while every handler waits.
    """
    if threading.current_thread() is threading.main_thread():  # else the process is somebody else's
        gc.freeze()  # with what importing left as garbage: collecting it first would take 30 ms
    runner = asyncio.Runner(loop_factory=loop_factory())
    try:
        return runner.run(main)
    finally:
        loop = runner.get_loop()
        if runner.run(_cancel_rest()):
            runner.close()
        else:
            # A handler that ignores its cancellation would hold up an orderly end for ever.
            loop.set_exception_handler(lambda loop, context: None)
            loop.close()


async def _cancel_rest() -> bool:
    """Cancel all other tasks; returns whether they have ended."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    return not tasks or not (await asyncio.wait(tasks, timeout=LAST_TASKS_S))[1]
