"""`docs/questions.md`: rows that name the line which answers a question; running this module renews them.

A row is ``| question | [page:line](link) | words of that line |``. The words are what is looked for; the line
is where they stand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
FILE = DOCS / "questions.md"

_ROW = re.compile(
    r"^\| (?P<question>.+\?) \| \[(?P<page>[\w.-]+):(?P<line>\d+)\]\((?P<link>[^)]+)\) \| (?P<words>.+) \|$"
)


@dataclass(frozen=True)
class Answer:
    """One row."""

    question: str
    page: str
    line: int
    link: str
    words: str

    def __str__(self) -> str:
        return f"| {self.question} | [{self.page}:{self.line}]({self.link}) | {self.words} |"

    def found_at(self) -> int:
        """Number of the line that holds the words; 0 if there is none, or more than one."""
        lines = (DOCS / self.page).read_text("utf-8").splitlines()
        found = [number for number, line in enumerate(lines, 1) if self.words in line]
        return found[0] if len(found) == 1 else 0


def answer(line: str) -> Answer | None:
    """Read a line of the file; ``None`` if it is no row of the table."""
    found = _ROW.match(line)
    return Answer(**{**found.groupdict(), "line": int(found["line"])}) if found else None  # type: ignore[arg-type]


def renewed(text: str) -> str:
    """Return the file with each line number as it is now."""
    rows = ((line, answer(line)) for line in text.splitlines())
    return "".join(f"{replace(row, line=row.found_at()) if row else line}\n" for line, row in rows)


if __name__ == "__main__":
    FILE.write_text(renewed(FILE.read_text("utf-8")), "utf-8")
