"""`async def` handlers: awaited in the attempt's own task, stopped by cancelling it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from gqm.engine.attempt import Attempt


class AsyncRunner:
    """Runs handlers on the loop."""

    max_grace_s = float("inf")
    missing = 0

    async def start(self) -> None:
        """Nothing is to be made ready."""

    def run(self, attempt: Attempt) -> Awaitable[object]:
        """Return the handler's own coroutine."""
        assert attempt.spec is not None
        return cast("Awaitable[object]", attempt.spec.function(attempt.job))

    def tell_stop(self, attempt: Attempt) -> None:
        """Cancel the task."""
        if attempt.task is not None:
            attempt.task.cancel()

    def end(self, attempt: Attempt) -> bool:
        """A coroutine that ignores its cancellation cannot be ended."""
        return False

    async def close(self) -> None:
        """Nothing is kept."""
