"""A drawing of jobs that may be larger than the screen: it pans, and follows the selected job."""

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size, Spacing
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from gqm_tui.core.drawing import Drawing, Nothing, Run
from gqm_tui.core.table import Tone
from gqm_tui.widgets.tones import style

_AROUND = Spacing(2, 3, 2, 3)
"""Rows and columns that stay in sight around the selected job."""


class DagCanvas(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows a `Drawing`. Its keys are the pane's, so that arrows select instead of scrolling."""

    DEFAULT_CSS = """
    DagCanvas {
        height: 1fr;
        width: 1fr;
        background: $surface;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 1;
        scrollbar-color: $gqm-rule;
        scrollbar-color-hover: $gqm-rule;
        scrollbar-color-active: $gqm-dim;
        scrollbar-background: $surface;
        scrollbar-background-hover: $surface;
        scrollbar-background-active: $surface;
        scrollbar-corner-color: $surface;
    }
    """

    class Picked(Message):
        """A job was clicked; `again` when it was the selected one already."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.drawing: Drawing = Nothing()
        self._shown: tuple[object, object] | None = None

    def show(self, drawing: Drawing) -> None:
        """Show another drawing; where nothing changed nothing is painted, and the place stays."""
        shown = (drawing.identity, self.app.theme)
        if shown == self._shown:
            return
        self._shown = shown
        self.drawing = drawing
        self.virtual_size = Size(drawing.width + 2, drawing.height)
        self.refresh()

    def reveal(self, key: str, *, centre: bool = False) -> None:
        """Bring a job into view, with a little of what is around it."""
        spot = self.drawing.spot(key)
        if spot is None:
            return
        region = Region(spot.x + 1, spot.y, spot.width, spot.height)
        self.scroll_to_region(region, spacing=_AROUND, animate=False, immediate=True, center=centre)

    def render_line(self, y: int) -> Strip:
        """Draw a line as far as it is in sight."""
        left, top = self.scroll_offset
        width = self.size.width
        base = self.rich_style
        segments: list[Segment] = []
        at = 0
        cursor = self._cursor()
        chosen_to = 0
        for run in self.drawing.line(y + top):
            if run.x + 1 > at:
                gap = base + cursor if run.chosen and at == chosen_to and at else base
                segments.append(Segment(" " * (run.x + 1 - at), gap))
            segments.append(Segment(run.text, self._style(run, base, cursor)))
            at = run.x + 1 + Segment(run.text).cell_length
            chosen_to = at if run.chosen else 0
        return Strip(segments).crop(left, left + width).adjust_cell_length(width, base)

    def _cursor(self) -> Style:
        colour = self.app.theme_variables.get("block-cursor-background")
        return Style(bgcolor=colour if colour and not self.app.no_color else None, bold=True)

    def _style(self, run: Run, base: Style, cursor: Style) -> Style:
        variables, colour = self.app.theme_variables, not self.app.no_color
        # Quiet text is too faint on the colour of the cursor.
        tone = Tone.PLAIN if run.chosen and run.tone is Tone.DIM else run.tone
        found = base + style(tone, variables, colour=colour)
        return found + cursor if run.chosen else found

    def on_click(self, event: events.Click) -> None:
        """Say which job was clicked."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        x, y = offset.x + self.scroll_offset.x - 1, offset.y + self.scroll_offset.y
        key = self.drawing.at(x, y)
        if key is not None:
            event.stop()
            self.post_message(self.Picked(key))
