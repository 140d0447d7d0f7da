"""Glyph and word of every state, and the small bars: never colour alone, and in ASCII where it must be."""

from collections.abc import Sequence
from dataclasses import dataclass

from gqm_tui.core.table import CellText, Tone

# status of the API: glyph, ASCII glyph, word on the screen, tone
_JOB = {
    "ready": ("○", ".", "ready", Tone.PLAIN),
    "processing": ("►", ">", "active", Tone.ACTIVE),
    "retry": ("↻", "r", "retry", Tone.WARN),
    "scheduled": ("◷", "@", "sched", Tone.PLANNED),
    "deferred": ("◌", "~", "deferred", Tone.DIM),
    "completed": ("✓", "+", "done", Tone.GOOD),
    "dead_letter": ("✗", "X", "DLQ", Tone.BAD),
    "failed": ("✗", "x", "failed", Tone.BAD),
    "canceled": ("⊘", "-", "canceled", Tone.DIM),
    "stopped": ("⊘", "-", "stopped", Tone.WARN),
    "expired": ("·", " ", "expired", Tone.DIM),
}
_OTHER = {
    "run": ("●", "*", "run", Tone.GOOD),
    "active": ("●", "*", "active", Tone.GOOD),
    "stopping": ("‖", "=", "stopping", Tone.WARN),
    "paused": ("‖", "=", "PAUSED", Tone.WARN),
    "stale": ("!", "!", "stale", Tone.BAD),
    "warning": ("!", "!", "", Tone.WARN),
}
_UNKNOWN = ("?", "?", "unknown", Tone.DIM)
_LEVELS = "▁▂▃▄▅▆▇█"
_ASCII_LEVELS = "_.-:=+*#"
_FULL, _FREE = "▰", "▱"


@dataclass(frozen=True, slots=True)
class Signs:
    """The signs of one terminal: drawn ones, or ASCII where the locale or the settings ask for it."""

    ascii: bool = False

    def job(self, status: str) -> CellText:
        """Glyph and word of a job's status."""
        return self._cell(_JOB.get(status, (*_UNKNOWN[:2], status[:10] or "unknown", Tone.DIM)))

    def other(self, state: str) -> CellText:
        """Glyph and word of a queue's, a worker's or a server's state."""
        return self._cell(_OTHER.get(state, _UNKNOWN))

    def glyph(self, status: str) -> str:
        """The glyph alone."""
        return _JOB.get(status, _OTHER.get(status, _UNKNOWN))[1 if self.ascii else 0]

    def tone(self, status: str) -> Tone:
        """What a status means."""
        return _JOB.get(status, _OTHER.get(status, _UNKNOWN))[3]

    def word(self, status: str) -> str:
        """The word alone."""
        return _JOB.get(status, _OTHER.get(status, (*_UNKNOWN[:2], status, Tone.DIM)))[2]

    def bar(self, share: float, cells: int) -> str:
        """A bar that is full at a share of 1; anything above nothing shows at least one cell."""
        full = min(cells, max(0, round(share * cells)))
        if share > 0 and full == 0:
            full = 1
        signs = ("#", "-") if self.ascii else (_FULL, _FREE)
        return signs[0] * full + signs[1] * (cells - full)

    def spark(self, values: Sequence[float | None], cells: int) -> str:
        """A line of small columns, newest at the right; nothing known is a space, zero a dot.

        More values than cells are folded by their largest, so that a short spike stays in sight.
        """
        taken = _fold(values, cells)
        top = max((value for value in taken if value is not None), default=0)
        levels = _ASCII_LEVELS if self.ascii else _LEVELS
        return "".join(_column(value, top, levels) for value in taken).rjust(cells)

    def _cell(self, row: tuple[str, str, str, Tone]) -> CellText:
        drawn, plain, word, tone = row
        return CellText(f"{plain if self.ascii else drawn} {word}".rstrip(), tone)


def _column(value: float | None, top: float, levels: str) -> str:
    if value is None:
        return " "
    return "·" if value <= 0 else levels[min(7, int(value / top * 7.999))]


def _fold(values: Sequence[float | None], cells: int) -> list[float | None]:
    if len(values) <= cells:
        return list(values)
    folded: list[float | None] = []
    for index in range(cells):
        start, end = index * len(values) // cells, (index + 1) * len(values) // cells
        known = [value for value in values[start:end] if value is not None]
        folded.append(max(known) if known else None)
    return folded
