"""One line of figures, each with its name and perhaps its course; where room is short, courses leave."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text

from gqm_tui.core.table import CellText, Tone
from gqm_tui.widgets.line import Line
from gqm_tui.widgets.tones import style


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure: its name and value, its course as small columns, and what else stands behind it.

    Where there is no room for all, those with `spare` 2 are left out first, then 1; 0 always stays.
    """

    name: str
    value: CellText
    course: CellText | None = None
    more: CellText | None = None
    spare: int = 0


class Tiles(Line):
    """Figures side by side."""

    def show_tiles(self, tiles: Sequence[Tile], *, narrow: bool) -> None:
        """Show as much as there is room for; a narrow line gives figures up before courses."""
        width = self.content_size.width or self.app.size.width - 2
        between = "  " if narrow else " │ "
        fewer = [[tile for tile in tiles if tile.spare < least] for least in (3, 2, 1)]
        # On a narrow line a figure that is spare is worth less than the course of another.
        choices = [(fewer[0], True), (fewer[1], True)] if narrow else [(fewer[0], True), (fewer[0], False)]
        choices += [(fewer[1], False), (fewer[2], False)]
        for some, whole in choices:
            line = self._line(some, whole=whole, between=between)
            if line.cell_len <= width:
                break
        self.show(line)

    def _line(self, tiles: Sequence[Tile], *, whole: bool, between: str) -> Text:
        line = Text()
        for tile in tiles:
            if line:
                line.append(between, self._tone(Tone.DIM))
            line.append(f"{tile.name} ", self._tone(Tone.DIM))
            line.append(tile.value.text, self._tone(tile.value.tone))
            for part in (tile.course if whole else None, tile.more):
                if part is not None and part.text:
                    line.append(f" {part.text}", self._tone(part.tone))
        return line

    def _tone(self, tone: Tone) -> Style:
        return style(tone, self.app.theme_variables, colour=not self.app.no_color)
