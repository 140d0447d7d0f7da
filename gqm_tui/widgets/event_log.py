"""What happens, line by line: follows the end, unless somebody reads further up; bursts cost one repaint."""

from collections import deque
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from gqm_tui import keymap
from gqm_tui.widgets.live_table import CURSOR_MARK

MOST_LINES = 500
_WHEEL = 3


class EventLog(Widget, can_focus=True, inherit_bindings=False):
    """The newest 500 lines, with a cursor.

    As long as the cursor is on the newest line the log follows; further up it stays on its line, and counts
    what came since.
    """

    BINDINGS: ClassVar[list[BindingType]] = keymap.scope("table")
    DEFAULT_CSS = "EventLog { height: 1fr; }"

    class Opened(Message):
        """Somebody wants to see what a line is about."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    class Moved(Message):
        """The log follows now, or does not any more."""

        def can_replace(self, message: Message) -> bool:
            """The last place is what counts."""
            return isinstance(message, EventLog.Moved)

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[tuple[Text, str]] = deque(maxlen=MOST_LINES)
        self._count = 0
        self._top = 0
        self._at: int | None = None
        self._seen = 0

    # What the pane tells and asks. Lines are numbered as they come, from 0, and keep their number.

    def add(self, line: Text, key: str = "") -> None:
        """Put a line at the end; `key` is what it opens. A reader further up keeps the place."""
        self._lines.append((line, key))
        self._count += 1
        if self._at is not None and self._at < self._first:
            self._at = self._first
        if self._at is None:
            self._seen = self._count
        self.refresh()

    @property
    def at_end(self) -> bool:
        """Whether the log follows."""
        return self._at is None

    @property
    def unseen(self) -> int:
        """How many lines came since somebody reads further up."""
        return self._count - self._seen

    @property
    def plain(self) -> list[str]:
        """The lines as text."""
        return [line.plain for line, _ in self._lines]

    @property
    def chosen(self) -> str:
        """The text of the line under the cursor."""
        return self._lines[self._cursor - self._first][0].plain if self._lines else ""

    @property
    def _first(self) -> int:
        return self._count - len(self._lines)

    @property
    def _cursor(self) -> int:
        return self._count - 1 if self._at is None else self._at

    def _go(self, number: int) -> None:
        """Put the cursor on a line; on the newest one the log follows."""
        if not self._lines:
            return
        was = self._at is None
        number = max(self._first, number)
        self._at = None if number >= self._count - 1 else number
        if self._at is None or was:
            self._seen = self._count
        self.refresh()
        self.post_message(self.Moved())

    # The screen.

    def render_line(self, y: int) -> Strip:
        """Draw one visible line; the cursor shows while the log has the focus or does not follow."""
        width, base = self.size.width, self.rich_style
        self._settle()
        number = self._top + y
        if not self._first <= number < self._count:
            return Strip.blank(width, base)
        marked = number == self._cursor and (self.has_focus or self._at is not None)
        if marked:
            base = base + self._cursor_style()
        line = self._lines[number - self._first][0].copy()
        line.truncate(max(0, width - 2), overflow="ellipsis", pad=True)
        segments = [Segment(CURSOR_MARK if marked else " ", base)]
        for part in line.render(self.app.console):
            segments.append(Segment(part.text, base + part.style if part.style else base))
        return Strip(segments).adjust_cell_length(width, base)

    def _settle(self) -> None:
        """Keep the cursor in sight, and the lines at the top while there are few."""
        height = max(1, self.size.height)
        last = max(self._first, self._count - height)
        low, high = self._cursor - height + 1, self._cursor
        self._top = last if self._at is None else min(last, max(low, min(self._top, high), self._first))

    def _cursor_style(self) -> Style:
        name = "block-cursor-background" if self.has_focus else "block-cursor-blurred-background"
        colour = self.app.theme_variables.get(name)
        return Style(bgcolor=colour if colour and not self.app.no_color else None, bold=True)

    # Keys and mouse.

    def action_cursor_down(self) -> None:
        """One line down; on the newest one the log follows again."""
        self._go(self._cursor + 1)

    def action_cursor_up(self) -> None:
        """One line up; the log does not follow any more."""
        self._go(self._cursor - 1)

    def action_first(self) -> None:
        """Go to the oldest line that is kept."""
        self._go(self._first)

    def action_last(self) -> None:
        """Go to the newest line and follow."""
        self._go(self._count - 1)

    def action_half_down(self) -> None:
        """Half a page down."""
        self._go(self._cursor + max(1, self.size.height // 2))

    def action_half_up(self) -> None:
        """Half a page up."""
        self._go(self._cursor - max(1, self.size.height // 2))

    def action_select_cursor(self) -> None:
        """Open what the line is about."""
        if self._lines and (key := self._lines[self._cursor - self._first][1]):
            self.post_message(self.Opened(key))

    def on_click(self, event: events.Click) -> None:
        """Select a line; a second click opens it."""
        number = self._top + event.y
        if number >= self._count:
            return
        if number == self._cursor and self._at is not None:
            self.action_select_cursor()
        self._go(number)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Read further up."""
        event.stop()
        self._go(self._cursor - _WHEEL)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Read further down."""
        event.stop()
        self._go(self._cursor + _WHEEL)
