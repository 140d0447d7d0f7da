"""What the cross rules look at: the values read, where each was written, and a list to report to."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gqm.config.model import Config
from gqm.config.problems import CODE, Level, Place, Problem, shown
from gqm.config.reader import Spot

__all__ = ["DEFAULT_FILE", "Review"]

DEFAULT_FILE = "gqm.yaml"
"""The file that every command takes when none is named."""


@dataclass(frozen=True, slots=True)
class Review:
    """One pass over a configuration.

    ``config`` is as it was read: defaults in the places of refused values, nothing resolved yet. ``spots``
    and ``refused`` are those of the reader. ``file`` is the file as it was named (empty: none), ``mode`` its
    permission bits if it was read from disk. ``own_client``: the connections to Redis come from elsewhere.
    """

    config: Config
    spots: Mapping[str, Spot]
    refused: frozenset[str]
    folder: Path
    file: str = ""
    mode: int | None = None
    own_client: bool = False
    problems: list[Problem] = field(default_factory=list)
    _touched: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        touched = frozenset(item for path in self.refused for item in _upwards(path))
        object.__setattr__(self, "_touched", touched)

    def error(self, rule: str, path: str, text: str, *, at: str = "") -> None:
        """Report a broken rule at the place of a path; ``at`` is the path of the place if it is another."""
        self._report(Level.ERROR, rule, path, text, at)

    def incomplete(self, rule: str, path: str, text: str, *, at: str = "") -> None:
        """Report a secret that is still to be filled in."""
        self._report(Level.INCOMPLETE, rule, path, text, at)

    def warning(self, rule: str, path: str, text: str, *, at: str = "") -> None:
        """Report what works but is probably not meant."""
        self._report(Level.WARNING, rule, path, text, at)

    def _report(self, level: Level, rule: str, path: str, text: str, at: str = "") -> None:
        self.problems.append(Problem(level, rule, self.place(at or path), path, text))

    def given(self, path: str) -> bool:
        """Whether the configuration gives a value at a path, and it could be read."""
        return path in self.spots

    def sound(self, *paths: str) -> bool:
        """Whether nothing was refused at or below the paths, so that they can be judged."""
        return self._touched.isdisjoint(paths)

    def flawless(self, *roots: str) -> bool:
        """Whether no rule has been broken so far in whole sections, so that advice about them is worth it."""
        broken = [problem.path for problem in self.problems if problem.level is Level.ERROR]
        return not any(path.startswith(roots) for path in (*self.refused, *broken))

    def place(self, path: str) -> Place:
        """Return the place of a path; of one that is not given, that of the nearest section around it."""
        found = (self.spots[item] for item in _upwards(path) if item in self.spots)
        spot = next(found, None)
        return spot.place if spot else CODE

    def hidden(self, path: str) -> bool:
        """Whether no message may show the value of a path."""
        spot = self.spots.get(path)
        return spot is not None and spot.hidden

    def show(self, path: str, text: str) -> str:
        """Return what a message may show of the value of a path."""
        return shown(text, hidden=self.hidden(path))

    def command(self, words: str) -> str:
        """Return a command line for a message; it names the file unless that is the one taken anyway."""
        if self.file in ("", DEFAULT_FILE):
            return f'"gqm {words}"'
        return f'"gqm {words} -c {shown(shlex.quote(self.file))}"'


def _upwards(path: str) -> Iterator[str]:
    """Return a path and those of the sections around it, up to the root."""
    while path:
        yield path
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    yield ""
