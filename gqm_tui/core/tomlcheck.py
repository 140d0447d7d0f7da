"""Read TOML tables against what is known: every problem of a file is collected, each with its key path."""

import math
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from gqm_tui.core.text import safe

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_SPAN_S = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where it stands (a file, a variable or a flag), under which key, and what."""

    source: str
    path: str
    text: str

    def __str__(self) -> str:
        return ": ".join(safe(part) for part in (self.source, self.path, self.text) if part)


class SettingsError(Exception):
    """Settings that cannot be used; `problems` lists every place, and the text has one line for each."""

    def __init__(self, problems: Collection[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def near(name: str, known: Collection[str]) -> str:
    """Give the words that point at the nearest known name, or the known names if none is near."""
    by_case = {word.casefold(): word for word in known}
    found = get_close_matches(name.casefold(), by_case, n=1)
    if found:
        return f'did you mean "{by_case[found[0]]}"?'
    return f"known: {', '.join(sorted(known))}" if known else "there are none"


def join(path: str, key: str) -> str:
    """Give the path of a key below a table, quoted where TOML needs quotes."""
    part = key if _BARE_KEY.fullmatch(key) else '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{path}.{part}" if path else part


class Table:
    """One TOML table that is read key by key; a wrong value gives the default and leaves a problem behind."""

    def __init__(
        self, source: str, values: Mapping[str, object], problems: list[Problem], path: str = ""
    ) -> None:
        self.source = source
        self.values = values
        self.problems = problems
        self.path = path
        self._known: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def wrong(self, key: str, text: str) -> None:
        """Note that the value of a key is wrong."""
        self.problems.append(Problem(self.source, join(self.path, key) if key else self.path, text))

    def _take(self, key: str) -> object | None:
        self._known.append(key)
        return self.values.get(key)

    def text(self, key: str, default: str | None = None) -> str | None:
        """Read a text that is not empty."""
        value = self._take(key)
        if value is None:
            return default
        if not isinstance(value, str) or not value.strip():
            self.wrong(key, "must be a text that is not empty")
            return default
        return value

    def choice(self, key: str, allowed: Collection[str]) -> str | None:
        """Read one of some words."""
        value = self.text(key)
        if value is None or value in allowed:
            return value
        self.wrong(key, f'"{value}" is not allowed ({", ".join(allowed)}); {near(value, allowed)}')
        return None

    def number(self, key: str, least: float, most: float) -> float | None:
        """Read a number within bounds, both included."""
        value = self._take(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.wrong(key, "must be a number")
            return None
        if not least <= value <= most:
            self.wrong(key, f"must be between {least:g} and {most:g}")
            return None
        return float(value)

    def span(self, key: str) -> float | None:
        """Read a span like `"5m"`, or a number of seconds; give seconds."""
        value = self.values.get(key)
        if not isinstance(value, str):
            return self.number(key, 0, 366 * _SPAN_S["d"])
        self._take(key)
        found = _SPAN.fullmatch(value)
        if found is None:
            self.wrong(key, 'must be a span like "30s", "5m", "2h" or "1d"')
            return None
        return float(found[1]) * _SPAN_S[found[2]]

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Read true or false."""
        value = self._take(key)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self.wrong(key, "must be true or false")
        return default

    def texts(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Read a list of texts."""
        value = self._take(key)
        if value is None:
            return default
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.wrong(key, "must be a list of texts that are not empty")
            return default
        return tuple(value)

    def table(self, key: str) -> "Table":
        """Read a table; an empty one when it is not there."""
        value = self._take(key)
        if value is not None and not isinstance(value, dict):
            self.wrong(key, "must be a table")
        inner = value if isinstance(value, dict) else {}
        return Table(self.source, inner, self.problems, join(self.path, key))

    def tables(self, key: str) -> dict[str, "Table"]:
        """Read a table whose values are tables, by their names."""
        outer = self.table(key)
        return {name: outer.table(name) for name in outer.values}

    def each_text(self) -> dict[str, str]:
        """Read a table whose values are all texts, whatever their keys."""
        return {key: value for key in self.values if (value := self.text(key)) is not None}

    def done(self) -> None:
        """Note every key that nobody asked for."""
        for key in self.values:
            if key not in self._known:
                self.wrong(key, f"unknown key; {near(key, self._known)}")


def read_toml(path: Path, problems: list[Problem]) -> Table:
    """Read a file; what stops it from being read is noted, and the table is empty then."""
    values: dict[str, object] = {}
    try:
        values = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        problems.append(Problem(str(path), "", f"cannot be read: {error.strerror or error}"))
    except UnicodeDecodeError:
        problems.append(Problem(str(path), "", "is not UTF-8 text"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        problems.append(Problem(str(path), "", f"is not TOML: {error}"))
    return Table(str(path), values, problems)
