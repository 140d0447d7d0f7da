"""Draws bars as an SVG that can be read on light and on dark ground."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from benchmarks.harness import number

WIDTH = 760
LEFT = 110
RIGHT = 90
BAR = 18
GAP = 7
HEAD = 38

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .head { font-weight: 600; font-size: 14px; }
  .bar { fill: #8c959f; }
  .ours { fill: #0a7d55; }
  .ours-text { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .bar { fill: #6e7681; }
    .ours { fill: #2ea97d; }
  }
"""


class Bar(NamedTuple):
    """One bar."""

    name: str
    value: float
    ours: bool = False


def plot(panels: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    """Return panels of horizontal bars, one below the other; each has its own scale from 0."""
    parts: list[str] = []
    y = 8
    for title, bars in panels:
        parts.append(f'<text class="head" x="8" y="{y + 20}">{escape(title)}</text>')
        y += HEAD
        longest = max((bar.value for bar in bars), default=1.0) or 1.0
        for bar in bars:
            parts += _row(bar, y, bar.value / longest)
            y += BAR + GAP
        y += 12
    titles = "; ".join(title for title, _ in panels)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}"'
    label = f'role="img" aria-label="{escape(f"Bars: {titles}")}"'
    return "\n".join([f"{head} {label}>", f"<style>{STYLE}</style>", *parts, "</svg>", ""])


def _row(bar: Bar, y: int, share: float) -> list[str]:
    width = max(1.0, share * (WIDTH - LEFT - RIGHT))
    text_class = ' class="ours-text"' if bar.ours else ""
    kind, middle = "ours" if bar.ours else "bar", y + BAR - 4
    return [
        f'<text{text_class} x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(bar.name)}</text>',
        f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="3"/>',
        f'<text{text_class} x="{LEFT + width + 6:.1f}" y="{middle}">{number(bar.value)}</text>',
    ]
