"""A table that follows its rows by identity: cursor and scroll stay where they are while data moves."""

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import BindingType
from textual.coordinate import Coordinate
from textual.message import Message
from textual.strip import Strip
from textual.widgets import DataTable
from textual.widgets.data_table import ColumnKey, RowKey

from gqm_tui import keymap
from gqm_tui.core.table import CellText, Column, Row, layout
from gqm_tui.widgets.tones import style

CURSOR_MARK = "▌"


class Cell(Text):
    """A cell that knows its row, so that a sort by the wanted order needs nothing but the cells."""

    row_key: str = ""


class LiveTable(DataTable[Cell]):
    """Rows in, the least change on the screen out; the cursor belongs to a row, never to a line number."""

    BINDINGS: ClassVar[list[BindingType]] = keymap.scope("table")

    class CursorLost(Message):
        """The row under the cursor left the table; the cursor went to a neighbour."""

        def __init__(self, old: str, new: str | None) -> None:
            super().__init__()
            self.old = old
            self.new = new

    def __init__(self, columns: Sequence[Column], *, id: str | None = None) -> None:
        super().__init__(
            id=id,
            cursor_type="row",
            zebra_stripes=False,
            cell_padding=1,
            cursor_foreground_priority="renderable",
        )
        self._wanted_columns = tuple(columns)
        self._rows: dict[str, Row] = {}
        self._order: list[str] = []
        self._narrow = False
        self._laid_out_for: tuple[int, bool] | None = None

    # What the rest of the screen asks.

    @property
    def cursor_key(self) -> str | None:
        """The identity of the row under the cursor, or None in an empty table."""
        return self._order[self.cursor_row] if 0 <= self.cursor_row < len(self._order) else None

    @property
    def keys(self) -> list[str]:
        """The identities of the rows, in the order they are shown."""
        return list(self._order)

    def row(self, key: str) -> Row | None:
        """Give a shown row."""
        return self._rows.get(key)

    def move_to(self, key: str) -> bool:
        """Put the cursor on a row and scroll to it; False when it is not shown."""
        if key not in self._rows:
            return False
        self.move_cursor(row=self._order.index(key))
        return True

    @property
    def cursor_out(self) -> str:
        """Where the cursor's row is beyond what can be seen: an arrow up or down, or nothing."""
        height = self.scrollable_content_region.height - (self.header_height if self.show_header else 0)
        at = self.cursor_row - round(self.scroll_y)
        if not self._order or height <= 0 or 0 <= at < height:
            return ""
        return "↑" if at < 0 else "↓"

    def reveal_cursor(self) -> None:
        """Scroll to the cursor's row if it cannot be seen."""
        if self.cursor_out:
            self._scroll_cursor_into_view(animate=False)

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Show other columns; the rows of before leave with the old ones."""
        self._wanted_columns = tuple(columns)
        self._rows, self._order, self._laid_out_for = {}, [], None
        self._lay_out()

    # Columns follow the width.

    def on_mount(self) -> None:
        """Build the columns before the first row arrives."""
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.repaint())
        self._lay_out()

    def on_resize(self) -> None:
        """Give the left-over width to the star columns; on a narrow terminal take the short list."""
        self._lay_out()

    def _lay_out(self) -> None:
        narrow = self.app.size.width < 100
        # Beside something else a table has less than the whole width; before the first layout nobody knows.
        wanted = ((self.outer_size.width or self.app.size.width) - 1, narrow)
        if wanted == self._laid_out_for:
            return
        self._laid_out_for = wanted
        anchor, top = self.cursor_key, self.scroll_y
        rows = [self._rows[key] for key in self._order]
        with self.app.batch_update(), self.prevent(DataTable.RowHighlighted, DataTable.RowSelected):
            self.clear(columns=True)
            for column, width in layout(self._wanted_columns, wanted[0], narrow=narrow):
                label = Text(column.label, justify="right" if column.right else "left", no_wrap=True)
                self.add_column(label, width=width, key=column.key)
            self._rows, self._order = {}, []
            self._add([row for row in rows], rows)
            self._order = [row.key for row in rows]
            self._place(anchor, self._order, 0, top)

    # The rows.

    def sync(self, rows: Sequence[Row]) -> None:
        """Show these rows in this order, changing only what differs.

        The cursor stays on its row through sort, insert and removal; when its row is gone it goes to the next
        row below that is still there, else to the one above. Nothing scrolls.
        """
        if not self.columns:
            return
        want = [row.key for row in rows]
        anchor, before, top = self.cursor_key, self._order, self.scroll_y
        with self.app.batch_update(), self.prevent(DataTable.RowHighlighted, DataTable.RowSelected):
            moved = self._drop(set(want))
            moved = self._write(rows) or moved
            if self._order != want:
                self._order = want
                self._sort(want)
                moved = True
            self._place(anchor, before, self.cursor_row, top)
        if moved:
            self.refresh()
        if anchor != self.cursor_key:
            if anchor is not None:
                self.post_message(self.CursorLost(anchor, self.cursor_key))
            self._highlight_row(self.cursor_row)

    def _drop(self, want: set[str]) -> bool:
        gone = [key for key in self._rows if key not in want]
        if len(gone) * 2 > len(self._rows):
            # Taking rows out one by one is quadratic; most are leaving, so the rest is added again.
            self.clear()
            self._rows = {}
        else:
            for key in gone:
                self.remove_row(key)
                del self._rows[key]
        return bool(gone)

    def _write(self, rows: Sequence[Row]) -> bool:
        fresh = [row for row in rows if row.key not in self._rows]
        for row in rows:
            shown = self._rows.get(row.key)
            if shown is None or shown is row:
                continue
            for key in self.columns:
                name = str(key.value)
                if shown.cells.get(name) != row.cells.get(name):
                    self._replace(row, name)
            self._rows[row.key] = row
        self._add(fresh, rows)
        return bool(fresh)

    def _replace(self, row: Row, column: str) -> None:
        # update_cell paints the whole table again; over a slow line only what changed may be sent.
        row_key, column_key = RowKey(row.key), ColumnKey(column)
        self._data[row_key][column_key] = self._cell(row, column)
        self._update_count += 1
        self.refresh_coordinate(self.get_cell_coordinate(row_key, column_key))

    def _add(self, fresh: Sequence[Row], rows: Sequence[Row]) -> None:
        for row in fresh:
            self.add_row(*(self._cell(row, str(key.value)) for key in self.columns), key=row.key)
            self._rows[row.key] = row

    def _sort(self, want: Sequence[str]) -> None:
        place = {key: index for index, key in enumerate(want)}
        first = next(iter(self.columns), None)
        if first is not None and len(place) > 0:
            self.sort(first, key=lambda cell: place[cell.row_key])

    def _place(self, anchor: str | None, before: Sequence[str], was_at: int, top: float) -> None:
        target = self._target(anchor, before)
        # Not move_cursor: it scrolls even when told not to, and here nothing may move but the highlight.
        if target != self.cursor_row or self.cursor_row != was_at:
            self.set_reactive(DataTable.cursor_coordinate, Coordinate(target, self.cursor_column))
        if self.scroll_y != top:
            self.scroll_to(y=top, animate=False, immediate=True)

    def _target(self, anchor: str | None, before: Sequence[str]) -> int:
        if anchor is None or not self._order:
            return 0
        place = {key: index for index, key in enumerate(self._order)}
        if anchor in place:
            return place[anchor]
        at = before.index(anchor)
        neighbours = (*before[at + 1 :], *reversed(before[:at]))
        return next((place[key] for key in neighbours if key in place), 0)

    def _cell(self, row: Row, column: str) -> Cell:
        content = row.cells.get(column, CellText(""))
        wanted = next(item for item in self._wanted_columns if item.key == column)
        cell = Cell(
            content.text,
            style=style(content.tone, self.app.theme_variables, colour=not self.app.no_color),
            justify="right" if wanted.right else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
        cell.row_key = row.key
        return cell

    def repaint(self) -> None:
        """Build every cell again, for a new theme."""
        self._laid_out_for = None
        self._lay_out()

    # The cursor row carries a mark, so that it can be told without colour.

    def render_line(self, y: int) -> Strip:
        """Draw a line; the cursor's row begins with a bar."""
        strip = super().render_line(y)
        header = self.header_height if self.show_header else 0
        if self._order and y >= header and y - header + round(self.scroll_y) == self.cursor_row:
            first = next(iter(strip), None)
            base = first.style if first is not None and first.style is not None else Style.null()
            mark = Strip([Segment(CURSOR_MARK, base)], 1)
            return Strip.join([mark, strip.crop(1)])
        return strip

    # Movement beyond what DataTable has.

    def action_half_down(self) -> None:
        """Move the cursor half a page down."""
        self.move_cursor(row=min(self.row_count - 1, self.cursor_row + max(1, self._page() // 2)))

    def action_half_up(self) -> None:
        """Move the cursor half a page up."""
        self.move_cursor(row=max(0, self.cursor_row - max(1, self._page() // 2)))

    def action_first(self) -> None:
        """Go to the first row."""
        self.move_cursor(row=0)

    def action_last(self) -> None:
        """Go to the last row."""
        self.move_cursor(row=max(0, self.row_count - 1))

    def _page(self) -> int:
        return max(1, self.scrollable_content_region.height - self.header_height)
