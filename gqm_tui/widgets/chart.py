"""A small line chart in braille: two series over the same minutes, from zero up."""

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text
from textual.widgets import Static

from gqm_tui.core import fmt

_DOTS = ((0x40, 0x80), (0x04, 0x20), (0x02, 0x10), (0x01, 0x08))
_AXIS = 7


class Chart(Static):
    """Values per minute, oldest first; the second series is drawn in the colour of an error."""

    DEFAULT_CSS = "Chart { height: 8; width: 1fr; padding: 0 1; }"

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._drawn: object = None

    def draw(
        self, title: str, first: Sequence[float], second: Sequence[float], styles: tuple[Style, Style]
    ) -> None:
        """Draw both series as wide and as high as the widget is."""
        width, height = self.content_size.width - _AXIS, self.content_size.height - 1
        state = (title, tuple(first), tuple(second), styles, width, height)
        if width < 8 or height < 2 or state == self._drawn:
            return
        self._drawn = state
        top = max([*first, *second, 1.0])
        rows = [lines(series, top, width, height) for series in (first, second)]
        text = Text(no_wrap=True, end="")
        text.append(title, "bold")
        for y in range(height):
            label = fmt.rate(top) if y == 0 else "0" if y == height - 1 else ""
            text.append(f"\n{label:>{_AXIS - 2}} {'┤' if label else '│'}")
            for below, above in zip(rows[0][y], rows[1][y], strict=True):
                # Where both lines meet, the one that means trouble is in front.
                text.append(above if above != " " else below, styles[1] if above != " " else styles[0])
        self.update(text)


def lines(series: Sequence[float], top: float, width: int, height: int) -> list[str]:
    """Turn values into lines of braille signs: two dots a cell across, four up; zero draws nothing."""
    cells = [[0] * width for _ in range(height)]
    spread = len(series) - 1
    if spread < 1:
        return [" " * width for _ in range(height)]
    for x in range(width * 2):
        at = x * spread / (width * 2 - 1)
        low = min(spread - 1, int(at))
        value = series[low] + (series[low + 1] - series[low]) * (at - low)
        if value > 0:
            level = min(height * 4 - 1, int(value / top * (height * 4 - 1)))
            row, dot = divmod(level, 4)
            cells[height - 1 - row][x // 2] |= _DOTS[dot][x % 2]
    return ["".join(chr(0x2800 + bits) if bits else " " for bits in row) for row in cells]
