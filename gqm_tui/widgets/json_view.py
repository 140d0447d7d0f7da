"""A view of a long text that styles only the lines it shows, so that a megabyte opens at once."""

from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from gqm_tui import keymap
from gqm_tui.core.doc import FOLD_CHARS, Doc, clean
from gqm_tui.core.table import Tone
from gqm_tui.core.text import MAX_COMBINING
from gqm_tui.widgets.tones import style

Piece = tuple[int, int, int]
"""Which line, and from which character to which one of it a row shows."""


def rows_of(doc: Doc, width: int | None) -> list[Piece] | None:
    """Cut the lines of a doc into rows: at 4,096 characters, or with a width at that many cells.

    None means that every line is one row, so that a text of many short lines costs nothing.
    """
    limit = FOLD_CHARS if width is None else max(1, width)
    lines = [doc.line(index) for index in range(len(doc))]
    if all(len(line) <= limit for line in lines) and (width is None or all(map(_is_simple, lines))):
        return None
    return [
        (index, start, end) for index, line in enumerate(lines) for start, end in _cuts(line, limit, width)
    ]


def _is_simple(line: str) -> bool:
    return line.isascii() and line.isprintable()


def _cuts(line: str, limit: int, width: int | None) -> list[tuple[int, int]]:
    if width is None or _is_simple(line):
        starts = range(0, max(1, len(line)), limit)
        return [(start, min(len(line), start + limit)) for start in starts]
    cuts, start, used = [], 0, 0
    for at, char in enumerate(line):
        cells = cell_len(clean(char))
        if used and used + cells > limit:
            cuts.append((start, at))
            start, used = at, 0
        used += cells
    return [*cuts, (start, len(line))]


class JsonView(ScrollView, can_focus=True):
    """Shows a `Doc`; scrolls both ways, or wraps. Its text is made safe row by row as it comes into sight."""

    DEFAULT_CSS = """
    JsonView {
        height: 1fr;
        width: 1fr;
        background: $surface;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(each for each in keymap.scope("table") if isinstance(each, Binding) and each.id != "table.open"),
        Binding("left,h", "scroll_left", "Left", show=False),
        Binding("right,l", "scroll_right", "Right", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._doc = Doc([])
        self._rows: list[Piece] | None = None
        self._cut_for: tuple[object, int | None] | None = None
        self.wrap = False

    @property
    def doc(self) -> Doc:
        """What is shown."""
        return self._doc

    def show(self, doc: Doc, *, top: bool = False) -> None:
        """Show another text. The place stays where it is unless `top`; the same text repaints nothing."""
        if doc.key != self._doc.key or type(doc) is not type(self._doc):
            self._doc = doc
            self._cut()
            self.refresh()
        if top:
            self.scroll_to(0, 0, animate=False, immediate=True)

    def set_wrap(self, wrap: bool) -> None:
        """Wrap long lines, or cut them."""
        self.wrap = wrap
        self._cut()
        self.scroll_to(x=0, animate=False, immediate=True)
        self.refresh()

    def on_resize(self) -> None:
        """Wrap for the new width."""
        if self.wrap:
            self._cut()

    # Rows.

    @property
    def gutter_cells(self) -> int:
        """Cells of the line numbers, with the blanks around them."""
        return len(str(len(self._doc))) + 2 if self._doc.numbered else 1

    def _cut(self) -> None:
        room = self.scrollable_content_region.width - self.gutter_cells
        width = max(1, room) if self.wrap else None
        if self._cut_for != (self._doc.key, width):
            self._cut_for = (self._doc.key, width)
            self._rows = rows_of(self._doc, width)
        count = len(self._doc) if self._rows is None else len(self._rows)
        widest = room if self.wrap else self._widest()
        self.virtual_size = Size(self.gutter_cells + widest, count)

    def _widest(self) -> int:
        if self._rows is None:
            return max((_cells(self._doc.line(index)) for index in range(len(self._doc))), default=0)
        return max((_cells(self._doc.line(line)[start:end]) for line, start, end in self._rows), default=0)

    def render_line(self, y: int) -> Strip:
        """Draw one row: number, and as much of the text as there is room for."""
        left, top = self.scroll_offset
        width, at = self.size.width, y + top
        base = self.rich_style
        count = len(self._doc) if self._rows is None else len(self._rows)
        if at >= count:
            return Strip.blank(width, base)
        line, start, end = (at, 0, FOLD_CHARS) if self._rows is None else self._rows[at]
        gutter, numbered = self.gutter_cells, self._doc.numbered
        number = f"{line + 1:>{gutter - 1}} " if numbered and start == 0 else " " * gutter
        dim = base + self._tone(Tone.DIM)
        text = Strip(self._segments(line, start, end, base, left + width))
        room = width - gutter
        cut = text.cell_length - left > room
        text = text.crop(left, left + room - cut)
        if cut:
            text = Strip.join([text.adjust_cell_length(room - 1, base), Strip([Segment("…", dim)], 1)])
        strip = Strip.join([Strip([Segment(number, dim)], gutter), text])
        return strip.adjust_cell_length(width, base)

    def _segments(self, line: int, start: int, end: int, base: Style, most: int) -> list[Segment]:
        found: list[Segment] = []
        at = used = 0
        for text, tone in self._doc.spans(line):
            piece = text[max(0, start - at) : max(0, end - at)]
            at += len(text)
            if piece and used < most:
                # Only what can come into sight is made safe: a character brings at most four marks.
                shown = clean(piece[: (most - used) * (1 if piece.isascii() else MAX_COMBINING + 1) + 1])
                found.append(Segment(shown, base + self._tone(tone)))
                used += cell_len(shown)
        return found

    def _tone(self, tone: Tone) -> Style:
        return style(tone, self.app.theme_variables, colour=not self.app.no_color)

    # Keys.

    def action_cursor_down(self) -> None:
        """One line down."""
        self._by(1)

    def action_cursor_up(self) -> None:
        """One line up."""
        self._by(-1)

    def action_half_down(self) -> None:
        """Half a page down."""
        self._by(max(1, self.size.height // 2))

    def action_half_up(self) -> None:
        """Half a page up."""
        self._by(-max(1, self.size.height // 2))

    def action_first(self) -> None:
        """To the first line."""
        self.scroll_to(y=0, animate=False, immediate=True)

    def action_last(self) -> None:
        """To the last line."""
        self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True)

    def _by(self, lines: int) -> None:
        self.scroll_to(y=self.scroll_y + lines, animate=False, immediate=True)


def _cells(text: str) -> int:
    return len(text) if _is_simple(text) else cell_len(clean(text))
