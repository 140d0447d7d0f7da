"""What a table shows, without a terminal: columns with their widths, rows of toned cells, and their order."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from gqm_tui.core.query import Value

PADDING = 2  # cells beside each column: one on either side
STAR_LEAST = 10  # cells that a star column keeps where there is no room
_DIGITS = re.compile(r"(\d+)")


class Tone(StrEnum):
    """What a cell means; themes give each its colour, and a glyph or a word always says the same."""

    PLAIN = ""
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    ACTIVE = "active"
    PLANNED = "planned"
    DIM = "dim"
    STRONG = "strong"


@dataclass(frozen=True, slots=True)
class CellText:
    """One cell: text that is already safe and short enough, and what it means."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its identity, its cells by column, and the raw values that filters and sorts look at.

    Spans among the values are in seconds, counts are numbers; a value that is not known is None.
    """

    key: str
    cells: dict[str, CellText]
    values: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, its width in cells on a wide and on a narrow terminal (0: not shown there).

    `sort` names the value that the column sorts by; "" means the column cannot be sorted by. `star` columns
    take the width that is left over.
    """

    key: str
    label: str
    wide: int
    narrow: int
    sort: str = ""
    right: bool = False
    star: bool = False


@dataclass(frozen=True, slots=True)
class Sort:
    """The order of a table: a column's key, and whether the largest comes first."""

    column: str
    descending: bool = True

    @property
    def arrow(self) -> str:
        """The sign of the direction."""
        return "↓" if self.descending else "↑"


def layout(columns: Sequence[Column], cells: int, *, narrow: bool) -> list[tuple[Column, int]]:
    """Give the shown columns with their widths for a table of this many cells; stars share what is left.

    Where they do not all fit, stars shrink first, then columns leave from the right: those that a narrow
    terminal does without before the others. A column that stays is never clipped.
    """
    shown = [(column, column.narrow if narrow else column.wide) for column in columns]
    shown = [(column, width) for column, width in shown if width]
    while (over := sum(width + PADDING for _, width in shown) - cells) > 0:
        slack = sum(width - _least(column, width) for column, width in shown)
        if slack >= over or (leaver := _leaver(shown)) is None:
            return _stretch(shown, -min(over, slack))
        shown.remove(leaver)
    return _stretch(shown, -over)


def _least(column: Column, width: int) -> int:
    return min(width, STAR_LEAST) if column.star else width


def _leaver(shown: Sequence[tuple[Column, int]]) -> tuple[Column, int] | None:
    """The column to do without first; the first column and the stars stay."""
    able = [item for item in shown[1:] if not item[0].star]
    spare = [item for item in able if not item[0].narrow]
    return spare[-1] if spare else able[-1] if able else None


def _stretch(shown: Sequence[tuple[Column, int]], left: int) -> list[tuple[Column, int]]:
    """Give cells to the stars, or take them away."""
    stars = [column.key for column, _ in shown if column.star]
    if not stars:
        return list(shown)
    share, rest = divmod(left, len(stars))
    extra = {key: share + (rest if index == 0 else 0) for index, key in enumerate(stars)}
    return [(column, width + extra.get(column.key, 0)) for column, width in shown]


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Give the sort key of a name, so that `web10` comes behind `web9`."""
    parts = _DIGITS.split(text.casefold())
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts if part)


def ordered(rows: Iterable[Row], sort: Sort) -> list[Row]:
    """Sort rows by a column's raw value: numbers as numbers, names naturally, unknown ones last.

    Rows with equal values stand by their key, whatever the direction, so that nothing jumps about.
    """
    known: list[Row] = []
    unknown: list[Row] = []
    for row in sorted(rows, key=lambda row: natural(row.key)):
        (unknown if row.values.get(sort.column) is None else known).append(row)

    def key(row: Row) -> tuple[int, float, tuple[tuple[int, int, str], ...]]:
        value = row.values[sort.column]
        return (0, float(value), ()) if isinstance(value, int | float) else (1, 0.0, natural(str(value)))

    known.sort(key=key, reverse=sort.descending)
    return known + unknown
