"""One line of the screen with a left and a right end; what does not fit is cut on the left one."""

from rich.text import Text
from textual.widgets import Static


class Line(Static):
    """A line of text, never markup; it repaints only when the text changed."""

    DEFAULT_CSS = """
    Line { height: 1; width: 1fr; padding: 0 1; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__("", markup=False, id=id, classes=classes)
        self._left = Text()
        self._right = Text()

    def show(self, left: Text | str, right: Text | str = "") -> None:
        """Show other texts at both ends."""
        new_left = Text(left) if isinstance(left, str) else left
        new_right = Text(right) if isinstance(right, str) else right
        if (new_left, new_left.spans, new_right, new_right.spans) == (
            self._left,
            self._left.spans,
            self._right,
            self._right.spans,
        ):
            return
        self._left, self._right = new_left, new_right
        self._compose_line()

    @property
    def plain(self) -> str:
        """The line as it was given, for tests and copies."""
        return f"{self._left.plain}  {self._right.plain}".rstrip()

    def on_resize(self) -> None:
        """Fit the line into the new width."""
        self._compose_line()

    def _compose_line(self) -> None:
        width = self.content_size.width
        if width <= 0:
            return
        right = self._right.copy()
        right.truncate(width, overflow="ellipsis")
        room = width - right.cell_len - (1 if right.cell_len else 0)
        left = self._left.copy()
        left.truncate(max(0, room), overflow="ellipsis", pad=True)
        line = Text(no_wrap=True, end="")
        line.append_text(left)
        if right.cell_len:
            line.append(" ")
            line.append_text(right)
        self.update(line)
