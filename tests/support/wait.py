"""Wait for a fact instead of sleeping: poll a condition until it holds or a deadline passes."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")

__all__ = ["aeventually", "eventually", "throughout"]


def eventually(
    predicate: Callable[[], T],
    timeout: float = 5.0,
    interval: float = 0.005,
    message: str | Callable[[], str] = "",
) -> T:
    """Return the first true value of ``predicate()``; fail the test after ``timeout`` seconds.

    ``message`` may be a function that looks at what there is once the time is over.
    """
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        if time.monotonic() >= deadline:
            raise AssertionError(_text(predicate, value, timeout, message))
        time.sleep(interval)
    return value


@overload
async def aeventually(
    predicate: Callable[[], Awaitable[T]], timeout: float = ..., interval: float = ..., message: str = ...
) -> T: ...
@overload
async def aeventually(
    predicate: Callable[[], T], timeout: float = ..., interval: float = ..., message: str = ...
) -> T: ...
async def aeventually(
    predicate: Callable[[], T | Awaitable[T]],
    timeout: float = 5.0,
    interval: float = 0.005,
    message: str = "",
) -> T:
    """Like ``eventually`` on an event loop; ``predicate`` may also be a coroutine function."""
    deadline = time.monotonic() + timeout
    while True:
        result = predicate()
        value: T = await result if inspect.isawaitable(result) else result
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(_text(predicate, value, timeout, message))
        await asyncio.sleep(interval)


def throughout(
    predicate: Callable[[], object], duration: float, interval: float = 0.02, message: str = ""
) -> None:
    """Fail the test unless ``predicate()`` stays true for ``duration`` seconds.

    For facts about what does not happen; they cannot be waited for.
    """
    end = time.monotonic() + duration
    while time.monotonic() < end:
        if not predicate():
            raise AssertionError(
                f"did not stay true: {message or getattr(predicate, '__qualname__', predicate)}"
            )
        time.sleep(interval)


def _text(predicate: object, value: object, timeout: float, message: str | Callable[[], str]) -> str:
    name = (message if isinstance(message, str) else message()) or getattr(
        predicate, "__qualname__", repr(predicate)
    )
    return f"not true within {timeout:g} s: {name} (last value: {value!r})"
