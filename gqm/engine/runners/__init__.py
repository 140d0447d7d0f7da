"""Three ways to run and to stop a handler: as a task of the loop, in a thread, in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from gqm.engine.attempt import Attempt


class Runner(Protocol):
    """How the handler of an attempt is run and stopped. All methods are called on the loop."""

    max_grace_s: float
    """Longest time that a handler gets after it was told to stop, whatever the pool's grace."""

    @property
    def missing(self) -> int:
        """How many of the pool's slots cannot run anything at present; nothing is claimed for them."""

    async def start(self) -> None:
        """Get ready to run handlers. Raises `RegistrationError` if that cannot be."""

    def run(self, attempt: Attempt) -> Awaitable[object]:
        """Run the handler; awaited, it returns what the handler returned and raises what it raised."""

    def tell_stop(self, attempt: Attempt) -> None:
        """Tell the handler to stop; ``job.cancelled`` is true already."""

    def end(self, attempt: Attempt) -> bool:
        """Its time is over. True: `run` will raise at once. False: the handler cannot be ended, only left."""

    async def close(self) -> None:
        """The pool is stopped: let go of threads and processes."""
