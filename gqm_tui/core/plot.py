"""A chart as text: one series as a line, one as an area below it, in braille or in ASCII."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gqm_tui.core import fmt

AXIS = 7
"""Cells that the axis takes at the left."""
_BITS = ((0x40, 0x80), (0x04, 0x20), (0x02, 0x10), (0x01, 0x08))
"""Bits of a braille sign, from the bottom up, left and right."""
_STEPS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)

Dots = set[tuple[int, int]]
"""Places from the left and from the bottom."""


@dataclass(frozen=True, slots=True)
class Plot:
    """Rows from the top down, each with its axis and its signs (True: of the area), and the line of zero."""

    rows: tuple[tuple[str, tuple[tuple[str, bool], ...]], ...]
    zero: str


def plot(
    line: Sequence[float], area: Sequence[float], width: int, height: int, *, ascii_only: bool = False
) -> Plot:
    """Draw two series, oldest value first, over one axis from zero to a round number above all of them.

    They differ by shape and not by colour alone; where both meet in a cell, the area is in front. `width`
    counts the cells beside the axis, `height` all rows with that of zero.
    """
    rows = height - 1
    top = ceiling(max((*line, *area), default=0.0))
    across, up = (1, 1) if ascii_only else (2, 4)
    drawn = _line(line, width * across, rows * up, top)
    filled = _area(area, width * across, rows * up, top)
    bar, tick, cross, dash = "||+." if ascii_only else "│┤┼┄"
    found = []
    for row in range(rows):
        axis = f"{fmt.rate(top) if row == 0 else '':>{AXIS - 1}}{tick if row == 0 else bar}"
        place = rows - 1 - row
        signs = (
            _plain(drawn, filled, x, place) if ascii_only else _braille(drawn, filled, x, place)
            for x in range(width)
        )
        found.append((axis, tuple(signs)))
    return Plot(tuple(found), f"{'0':>{AXIS - 1}}{cross}{dash * width}")


def ceiling(largest: float) -> float:
    """Return the first round number that is not below a value; at least 1."""
    if largest <= 1:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(largest))
    return next(step * unit for step in _STEPS if step * unit >= largest * (1 - 1e-9))


def _values(series: Sequence[float], across: int) -> list[float]:
    """One value for each place across, those between two minutes in proportion."""
    spread = len(series) - 1
    if spread < 1:
        return list(series) * across
    found = []
    for x in range(across):
        at = x * spread / max(1, across - 1)
        low = min(spread - 1, int(at))
        found.append(series[low] + (series[low + 1] - series[low]) * (at - low))
    return found


def _level(value: float, up: int, top: float) -> int:
    return min(up - 1, max(0, int(value / top * up)))


def _line(series: Sequence[float], across: int, up: int, top: float) -> Dots:
    dots: Dots = set()
    before: int | None = None
    for x, value in enumerate(_values(series, across)):
        level = _level(value, up, top)
        # A steep line has no holes: it begins beside the end of the place before.
        start = level if before is None or before == level else before + (1 if level > before else -1)
        dots |= {(x, y) for y in range(min(start, level), max(start, level) + 1)}
        before = level
    return dots


def _area(series: Sequence[float], across: int, up: int, top: float) -> Dots:
    return {
        (x, y)
        for x, value in enumerate(_values(series, across))
        if value > 0
        for y in range(_level(value, up, top) + 1)
    }


def _braille(drawn: Dots, filled: Dots, x: int, row: int) -> tuple[str, bool]:
    bits, is_area = 0, False
    for up, pair in enumerate(_BITS):
        for across, bit in enumerate(pair):
            dot = (x * 2 + across, row * 4 + up)
            is_area = is_area or dot in filled
            bits |= bit if dot in drawn or dot in filled else 0
    return (chr(0x2800 + bits) if bits else " "), is_area


def _plain(drawn: Dots, filled: Dots, x: int, row: int) -> tuple[str, bool]:
    if (x, row) in filled:
        return "#", True
    return ("*" if (x, row) in drawn else " "), False
