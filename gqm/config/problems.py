"""What is wrong with a configuration: where it stands, how it reads, and what may be shown of a value."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "CODE",
    "HIDDEN",
    "SHOWN",
    "Level",
    "Place",
    "Problem",
    "Refused",
    "did_you_mean",
    "edit_distance",
    "in_order",
    "printable",
    "shown",
]

HIDDEN = "***"
"""Stands in a message for a value that is secret or comes from the environment."""

SHOWN = 60
"""Longest part of a value that a message repeats, in characters."""

_NEAR = 3  # the largest edit distance at which a word is offered instead of the one that was written


class Level(enum.StrEnum):
    """How much a problem matters.

    ``error``: the configuration is refused. ``incomplete``: it is right, but a secret is still to be filled
    in. ``warning``: it works, and probably not as it was meant.
    """

    ERROR = "error"
    INCOMPLETE = "incomplete"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written.

    ``source`` is a file name with ``line`` and ``column`` (both from 1), the name of an environment variable,
    or ``code``; the last two have no position (0).
    """

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source

    @property
    def words(self) -> str:
        """The place as part of a sentence: ``on line 12``, ``in code``."""
        return f"on line {self.line}" if self.line else f"in {self.source}"

    @property
    def short(self) -> str:
        """The place in brackets behind a name: ``line 12``, ``code``."""
        return f"line {self.line}" if self.line else self.source


CODE = Place("code")
"""The place of every value that was given in code or by an option of the command line."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: a rule that one value at one place breaks.

    ``path`` leads from the root to the value (``pools[0].queues[1]``; empty for the file itself). ``str()``
    gives the line that is shown to people.
    """

    level: Level
    rule: str
    place: Place
    path: str
    text: str

    def __str__(self) -> str:
        if not self.path and not self.place.line:
            return self.text  # the file could not be read: there is no place in it
        path = f"{self.path}: " if self.path else ""
        warning = "warning: " if self.level is Level.WARNING else ""
        return f"{self.place}: {path}{warning}{self.text}"

    @property
    def file(self) -> str:
        """The file name, the environment variable, or ``code``."""
        return self.place.source

    @property
    def line(self) -> int | None:
        """The line, from 1; ``None`` outside a file."""
        return self.place.line or None

    @property
    def column(self) -> int | None:
        """The column in characters, from 1; ``None`` outside a file."""
        return self.place.column or None

    def as_json(self) -> dict[str, object]:
        """The problem as ``gqm check --json`` prints it."""
        return {
            "level": str(self.level),
            "rule": self.rule,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "path": self.path,
            "text": self.text,
        }


class Refused(Exception):
    """A value breaks a rule; whoever knows its place makes a `Problem` of it. Never leaves the package."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(text)
        self.rule = rule
        self.text = text


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Sort problems by their position in the file, without repeats; those from elsewhere come last.

    Problems of one place, and those without a position, keep the order in which they were found.
    """
    unique = dict.fromkeys(problems)
    return tuple(sorted(unique, key=lambda item: (not item.place.line, item.place.line, item.place.column)))


def printable(text: str) -> str:
    r"""Escape what a terminal would act on: ``\xNN`` for control characters, ``\uNNNN`` beyond Latin-1."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(ord(char)) for char in text)


def _escape(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x1_0000 else f"\\U{code:08x}"


def shown(text: str, *, hidden: bool = False) -> str:
    """Return what a message may show of a value: stars if hidden, at most 60 characters, no controls."""
    if hidden:
        return HIDDEN
    return printable(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")


def did_you_mean(word: str, allowed: Iterable[str], *, hidden: bool = False) -> str:
    """Return the clause ``; did you mean "…"?`` with the nearest allowed word, or nothing if none is near.

    Near is an edit distance of at most 3; of several, the first of the smallest distance is taken. A hidden
    word gets no suggestion, which would say what it looks like.
    """
    if hidden:
        return ""
    best, least = "", _NEAR + 1
    for candidate in allowed:
        if abs(len(candidate) - len(word)) < least:
            distance = edit_distance(word, candidate, least)
            if distance < least:
                best, least = candidate, distance
    return f'; did you mean "{shown(best)}"?' if best else ""


def edit_distance(left: str, right: str, limit: int) -> int:
    """Return the Levenshtein distance: how many single characters to insert, delete or replace.

    A distance of ``limit`` or more may be returned as any number from there on.
    """
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
        if min(row) >= limit:
            return limit  # no row has a smaller least number than the one before it
    return row[-1]
