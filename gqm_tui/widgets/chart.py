"""A small chart: what was done as a line, what failed as an area, over the same minutes and from zero up."""

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text
from textual.widgets import Static

from gqm_tui.core.plot import AXIS, Plot, plot


class Chart(Static):
    """Values per minute, oldest first."""

    DEFAULT_CSS = "Chart { height: 8; width: 1fr; padding: 0 1; }"

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._drawn: object = None

    def draw(
        self,
        title: str,
        line: Sequence[float],
        area: Sequence[float],
        styles: tuple[Style, Style, Style],
        *,
        ascii_only: bool = False,
    ) -> None:
        """Draw both series as wide and as high as the widget is, in the styles of line, area and axis."""
        width, height = self.content_size.width - AXIS, self.content_size.height - 1
        state = (title, tuple(line), tuple(area), styles, width, height, ascii_only)
        if width < 8 or height < 3 or state == self._drawn:
            return
        self._drawn = state
        drawing = plot(line, area, width, height, ascii_only=ascii_only)
        self.update(_text(title, drawing, styles))


def _text(title: str, drawing: Plot, styles: tuple[Style, Style, Style]) -> Text:
    text = Text(no_wrap=True, end="")
    text.append(title, "bold")
    for axis, cells in drawing.rows:
        text.append(f"\n{axis}", styles[2])
        for sign, is_area in cells:
            text.append(sign, styles[1] if is_area else styles[0])
    text.append(f"\n{drawing.zero}", styles[2])
    return text
