"""Callbacks after a run: on_success or on_failure, then on_complete; their errors are only logged."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, cast

from gqm.engine.attempt import loop_is_ending
from gqm.engine.handlers import is_async_callable
from gqm.engine.runners.thread import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gqm.engine.handlers import HandlerSpec
    from gqm.engine.runners.thread import Threads
    from gqm.job import Job

log = logging.getLogger("gqm.engine")


async def call_back(threads: Threads, spec: HandlerSpec, job: Job, error: BaseException | None) -> None:
    """Call the handler's callbacks in turn: `async def` on the loop, `def` in the slot's thread."""
    if error is None:
        await _call(threads, "on_success", spec.on_success, job)
    else:
        await _call(threads, "on_failure", spec.on_failure, job, error)
    await _call(threads, "on_complete", spec.on_complete, job, error)


async def _call(
    threads: Threads, name: str, callback: Callable[..., object] | None, job: Job, *args: object
) -> None:
    if callback is None:
        return
    try:
        if is_async_callable(callback):
            await cast("Awaitable[object]", callback(job, *args))
        else:
            await in_thread(threads, None, functools.partial(callback, job, *args))
    except BaseException as exc:
        if loop_is_ending(exc):
            raise
        log.exception(
            "job %s: %s of %r raised",
            job.id,
            name,
            job.type,
            extra={"event": "callback_error", "job": job.id},
        )
