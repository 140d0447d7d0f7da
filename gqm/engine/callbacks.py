"""Callbacks after a run: on_success or on_failure, then on_complete; their errors are only logged."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING

from gqm.engine.handlers import is_async_callable

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqm.engine.handlers import HandlerSpec
    from gqm.job import Job

log = logging.getLogger("gqm.engine")


async def call_back(spec: HandlerSpec, job: Job, error: BaseException | None) -> None:
    """Call the handler's callbacks in turn: `async def` on the loop, `def` in a thread."""
    if error is None:
        await _call("on_success", spec.on_success, job)
    else:
        await _call("on_failure", spec.on_failure, job, error)
    await _call("on_complete", spec.on_complete, job, error)


async def _call(name: str, callback: Callable[..., object] | None, job: Job, *args: object) -> None:
    if callback is None:
        return
    try:
        if is_async_callable(callback):
            await callback(job, *args)  # type: ignore[misc]  # a coroutine, as just seen
        else:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, functools.partial(callback, job, *args))
    except Exception:
        log.exception(
            "job %s: %s of %r raised",
            job.id,
            name,
            job.type,
            extra={"event": "callback_error", "job": job.id},
        )
