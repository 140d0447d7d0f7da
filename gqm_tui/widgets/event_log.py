"""What happens, line by line: follows the end, unless somebody reads further up; bursts cost one repaint."""

from collections import deque

from rich.segment import Segment
from rich.text import Text
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

MOST_LINES = 500


class EventLog(ScrollView, can_focus=False):
    """The newest 500 lines."""

    DEFAULT_CSS = "EventLog { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }"

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[Text] = deque(maxlen=MOST_LINES)
        self.unseen = 0

    def add(self, line: Text) -> None:
        """Put a line at the end; a reader further up keeps the place and is told how many came."""
        at_end = self.at_end
        self._lines.append(line)
        self.virtual_size = Size(self.size.width, len(self._lines))
        if at_end:
            self.unseen = 0
            self.scroll_end(animate=False, immediate=True)
        else:
            self.unseen += 1
        self.refresh()

    @property
    def at_end(self) -> bool:
        """Whether the newest line can be seen."""
        return self.scroll_offset.y >= self.max_scroll_y

    @property
    def plain(self) -> list[str]:
        """The lines as text."""
        return [line.plain for line in self._lines]

    def render_line(self, y: int) -> Strip:
        """Draw one visible line."""
        index = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        base = self.rich_style
        if not 0 <= index < len(self._lines):
            return Strip.blank(width, base)
        line = self._lines[index].copy()
        line.truncate(width, overflow="ellipsis", pad=True)
        segments = [
            Segment(part.text, base + part.style if part.style else base)
            for part in line.render(self.app.console)
        ]
        return Strip(segments).adjust_cell_length(width, base)
