"""A command: what is sent to Redis and how its answer is read, as a value; the shells carry it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from gqm.store.scripts import Script

T = TypeVar("T")

Word = str | bytes | int | float


class Command(NamedTuple, Generic[T]):
    """One Redis call. Built by the pure functions of `gqm.store.commands`."""

    words: tuple[Word, ...]
    read: Callable[[Any], T]
    """Turns the raw answer (bytes, ints, lists) into the typed one."""
    script: Script | None = None
    again: tuple[Word, ...] | None = None
    """What to send when the answer was lost, if that differs from ``words``."""
    block_s: float = 0.0
    """How long the server may hold the answer back; added to the time limit of the call."""


def call(
    script: Script,
    keys: tuple[str, ...],
    args: tuple[Word, ...],
    read: Callable[[Any], T],
    *,
    again: tuple[Word, ...] | None = None,
) -> Command[T]:
    """Return the call of a script; ``again`` are the arguments of a repeated send."""
    head: tuple[Word, ...] = ("EVALSHA", script.sha, len(keys), *keys)
    return Command(head + args, read, script, None if again is None else head + again)


def optional(value: int | None) -> Word:
    """Return a number, or the empty text by which scripts know that none was given."""
    return "" if value is None else value


def texts(raw: list[bytes]) -> list[str]:
    """Read an answer that is a list of texts; bytes that are none are replaced."""
    return [item.decode("utf-8", "replace") for item in raw]


def as_dict(raw: Any) -> dict[bytes, bytes]:
    """Read fields and values: a flat list, or already a dict from an injected client that speaks RESP3."""
    if isinstance(raw, dict):
        return raw
    words = iter(raw)
    return dict(zip(words, words, strict=True))
