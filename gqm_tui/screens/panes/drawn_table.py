"""A pane that is a table, as it is drawn: title line, rows, the state over them, and the strip below."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import DataTable, Static

from gqm_tui.core import fmt, query
from gqm_tui.core.store import PaneState, View
from gqm_tui.core.table import Column, Row, Sort, Tone, ordered
from gqm_tui.core.text import fit, fit_middle
from gqm_tui.screens.panes.base import SUBJECT_CELLS, Pane, reason
from gqm_tui.widgets.filter_bar import FilterBar
from gqm_tui.widgets.line import Line
from gqm_tui.widgets.live_table import LiveTable
from gqm_tui.widgets.state_view import SPINNER, StateView

_DIMMED = frozenset({PaneState.STALE, PaneState.DOWN})


class DrawnTable(Pane):
    """A table with its title line, drawn by the filter, sort and page that are in force.

    Two kinds share this class. A client table gets every row in one reply and filters and sorts here. A paged
    one (`paged = True`) asks the server for one page: its filter, sort and page go into the request, and a
    change of one of them is another view.
    """

    awaited: ClassVar[str] = "data"
    paged: bool = False
    default_sort: ClassVar[Sort] = Sort("", True)
    table_class: ClassVar[type[LiveTable]] = LiveTable

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.table = self.table_class(self.columns(), id="table")
        self.sort = self.default_sort
        self.filter_text = ""
        self.filter = query.Query()
        self.params: dict[str, str] = {}
        self.filter_error = ""
        self.page = 1
        self.until: float | None = None
        self.marks: dict[str, None] = {}
        self.all_matching = False
        self.held = 0
        self._painted: View | None = None
        self._title = Line(classes="title-line")
        self._bar = FilterBar()
        self._head = Horizontal(classes="pane-title")
        self._state = StateView()
        self._strip = Static("", markup=False, classes="strip")
        self._strip_text = Text()
        self._spin = 0
        self._out = ""

    # What a table says of itself.

    @abstractmethod
    def columns(self) -> Sequence[Column]:
        """The columns, with their widths."""

    @abstractmethod
    def build(self) -> Sequence[Row]:
        """Make rows of the view's data: all of a client table, the page of a paged one, in any order."""

    @abstractmethod
    def summary(self, total: int, shown: int) -> str:
        """The left end of the title line, without breadcrumb and order."""

    # A pane that shows one of two tables in one place answers these by the one in sight.

    @property
    def table_name(self) -> str:
        """The table whose filter fields and saved order are in force."""
        return self.name_of_view

    def total(self, rows: Sequence[Row]) -> int:
        """How many rows there are on the server; a paged table reads it from the reply."""
        return len(rows)

    def empty_text(self) -> tuple[str, str]:
        """What an empty table says: a sentence with a fact, and what would fill it."""
        return f"No {self.awaited}.", ""

    def head_lines(self) -> Iterable[Widget]:
        """Lines between the title and the table."""
        return ()

    @property
    def crumbs(self) -> str:
        """What stands before the title."""
        return self.gqm.crumbs_before(self)

    @property
    def known(self) -> bool:
        """Whether there were rows, or none, to tell of."""
        main = self.part(self.view.main)
        return main is not None and main.value is not None

    def whole(self, total: int) -> int | None:
        """How many rows there are without a filter; None when nobody knows."""
        return None if self.paged and self.filter.terms else total

    def strip(self, row: Row | None) -> Text | None:
        """A few lines about the row under the cursor, or None."""
        return None

    def title_right(self, total: int, shown: int) -> str:
        """The right end of the title line; by default the filter."""
        return f"/ {self.filter_text}" if self.filter_text else "/ filter"

    def open(self, row: Row) -> None:
        """Open the row that enter was pressed on."""
        return

    def highlighted(self, row: Row | None) -> None:
        """The cursor is on another row; a pane with a strip of fetched data asks for it here."""
        return

    # The screen.

    def compose(self) -> ComposeResult:
        """Title line with the filter, table with the state over it, strip."""
        with self._head:
            yield self._title
            yield self._bar
        yield from self.head_lines()
        with Vertical(classes="table-area"):
            yield self.table
            yield self._state
        yield self._strip

    def focus_main(self) -> None:
        """Give the table the focus."""
        self.screen.set_focus(self.table)

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        key = self.table.cursor_key
        return None if key is None else self.table.row(key)

    def row_name(self, row: Row) -> str:
        """How a row is called where it cannot be seen."""
        return fit_middle(row.key, SUBJECT_CELLS)

    def reveal(self) -> None:
        """Scroll to the cursor's row."""
        self.table.reveal_cursor()

    def scrolled(self) -> None:
        """Name the cursor's row in the title when it went out of sight, and no more when it is back."""
        if self.table.cursor_out != self._out:
            self.paint()

    def filter_values(self, rows: Iterable[Row]) -> list[Row]:
        """Keep the rows that match the filter."""
        return [row for row in rows if self.filter.matches(row.values)]

    def paint(self) -> None:
        """Rows, title, state and strip from what the view holds now."""
        if not self.is_mounted:
            return
        rows = list(self.build())
        shown = rows if self.paged else ordered(self.filter_values(rows), self._by_value)
        total = self.total(rows)
        # A page that a filter left empty is not an empty list: how long that is, nobody asked.
        known = max(total, 1) if self.paged and self.filter.terms else total
        state = self.state_now(total=known, shown=len(shown))
        # Rows of another page or filter are not held: they would stand under a title that is not theirs.
        if self.holds and self.table.keys and self._painted is self.view:
            self.held = _changes(self.table, shown)
            shown = [row for key in self.table.keys if (row := self.table.row(key)) is not None]
        else:
            self.held, self._painted = 0, self.view
            self.table.sync(shown)
        self._paint_state(state, total, len(shown))
        self._paint_title(state, total, len(shown))
        self.painted(rows)
        self.paint_strip()
        self.gqm.footer_changed(self)

    def painted(self, rows: Sequence[Row]) -> None:
        """The rows were drawn; `rows` are all that there were to draw."""
        return

    @property
    def _by_value(self) -> Sort:
        """The sort by the name of the value, which is not always that of the column."""
        names = {column.key: column.sort for column in self.columns()}
        return Sort(names.get(self.sort.column) or self.sort.column, self.sort.descending)

    @property
    def filtering(self) -> bool:
        """Whether the filter is being typed."""
        return self._head.has_class("-filtering")

    def footer_now(self) -> tuple[str, tuple[str, ...] | None, dict[str, str]]:
        """While a filter is typed, the footer tells the keys of the bar."""
        return (FilterBar.hint(), (), {}) if self.filtering else self.footer()

    def _paint_title(self, state: PaneState, total: int, shown: int) -> None:
        if self.filter_error:  # until it is mended or dropped, whatever a reply brings
            self._title.show(Text(self.filter_error, self.tone(Tone.BAD)))
            return
        before = self.crumbs
        if not self.known:
            # Nothing is known yet, so nothing is counted.
            self._title.show(f"{before}{self.crumb if before else ''} {fmt.UNKNOWN}".strip())
            return
        left = Text(before)
        left.append(self.summary(total, shown))
        order = self._order_text()
        if order:
            left.append(f" · {order}")
        if state is PaneState.PARTIAL:
            for name, error in self.view.problems():
                left.append(f"  ! {name}: {reason(error)}", self.tone(Tone.WARN))
        if self.held:
            left.append(f"  ‖ {self.held} changes held", self.tone(Tone.WARN))
        current, self._out = self.current, self.table.cursor_out
        if self._out and current is not None:
            left.append(f" · cursor {self._out} {self.row_name(current)}", self.tone(Tone.ACTIVE))
        right = "/" if self.filtering else self.title_right(total, shown)
        self._title.show(left, Text(right, self.tone(Tone.DIM)))

    def _order_text(self) -> str:
        column = next((item for item in self.columns() if item.key == self.sort.column), None)
        if self.paged or column is None:
            return ""
        return f"{column.label} {self.sort.arrow}"

    def on_resize(self) -> None:
        """Cut the strip for the new width; a tab that was never shown had none."""
        self.paint_strip()

    def paint_strip(self) -> None:
        """Draw what is told about the row under the cursor."""
        text = self.strip(self.current)
        self._strip.set_class(text is not None, "-shown")
        if text is not None and (text.plain, text.spans) != (self._strip_text.plain, self._strip_text.spans):
            self._strip_text = text
            self._strip.update(text)

    def _paint_state(self, state: PaneState, total: int, shown: int) -> None:
        self.set_class(state in _DIMMED, "-dimmed")
        if shown and state not in (PaneState.UNAUTHORIZED, PaneState.FORBIDDEN):
            self._state.hide()
            return
        error = self.view.error()
        match state:
            case PaneState.EMPTY | PaneState.LIVE | PaneState.FROZEN:
                self._state.show(*self.empty_text())
            case PaneState.FILTERED_EMPTY:
                whole = self.whole(total)
                told = "none match" if whole is None else f"0 of {whole:,} match"
                self._state.show(f"{told} {fit(self.filter_text, 60)}", "esc clears the filter")
            case PaneState.DOWN | PaneState.STALE | PaneState.PARTIAL if error is not None:
                self._state.show(error.sentence, "Trying again; F5 tries now.", "error")
            case PaneState.UNAUTHORIZED if error is not None:
                self._state.show(*self.gqm.unauthorized_text(error), "error")
            case PaneState.FORBIDDEN if error is not None:
                self._state.show(error.sentence, self.gqm.identity_text, "warning")
            case _:
                self._spin += 1
                self._state.show(f"{SPINNER[self._spin % len(SPINNER)]} waiting for {self.awaited}")

    @on(DataTable.RowHighlighted)
    def _highlighted(self, event: DataTable.RowHighlighted) -> None:
        event.stop()
        self.paint_strip()
        self.highlighted(self.current)

    @on(DataTable.RowSelected)
    def _selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        if (row := self.current) is not None:
            self.open(row)


def _changes(table: LiveTable, rows: Sequence[Row]) -> int:
    want = {row.key: row.cells for row in rows}
    have = {key: row.cells for key in table.keys if (row := table.row(key)) is not None}
    return sum(1 for key in want.keys() | have.keys() if want.get(key) != have.get(key))
