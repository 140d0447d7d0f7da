"""A plan: several commands in turn, as a generator, written once for the sync and the async shell."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol, TypeAlias, TypeVar

from gqm.store.command import Command

T = TypeVar("T")

Plan: TypeAlias = Generator[Command[Any], Any, T]
"""Yields commands, gets their answers, returns its result. Nothing is sent before somebody follows it."""


class _Runs(Protocol):
    def run(self, command: Command[T]) -> T: ...


class _RunsAsync(Protocol):
    async def run(self, command: Command[T]) -> T: ...


def ask(command: Command[T]) -> Plan[T]:
    """Return the answer of a command inside a plan: ``answer = yield from ask(command)``."""
    answer: T = yield command
    return answer


def follow(store: _Runs, plan: Plan[T]) -> T:
    """Carry a plan out over a sync store. Raises what its commands raise."""
    answer: Any = None
    while True:
        try:
            command = plan.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result
        answer = store.run(command)


async def follow_async(store: _RunsAsync, plan: Plan[T]) -> T:
    """Carry a plan out over an async store. Raises what its commands raise."""
    answer: Any = None
    while True:
        try:
            command = plan.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result
        answer = await store.run(command)
