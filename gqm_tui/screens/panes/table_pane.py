"""A pane that is a table: filter, sort, pages, marks, strip and the states of a list, the same everywhere."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import DataTable, Static

from gqm_tui import keymap
from gqm_tui.core import fmt, query
from gqm_tui.core.fields import FIELDS, TableFields
from gqm_tui.core.store import PaneState, View
from gqm_tui.core.table import CellText, Column, Row, Sort, Tone, ordered
from gqm_tui.core.text import fit, fit_middle
from gqm_tui.core.views import Look
from gqm_tui.messages import ActionDone
from gqm_tui.screens.panes import taking
from gqm_tui.screens.panes.base import Pane, reason
from gqm_tui.widgets.filter_bar import FilterBar
from gqm_tui.widgets.line import Line
from gqm_tui.widgets.live_table import LiveTable
from gqm_tui.widgets.state_view import SPINNER, StateView

PAGE = 100
SUBJECT_CELLS = 24
_BLOCKING = frozenset(
    {
        PaneState.LOADING,
        PaneState.EMPTY,
        PaneState.FILTERED_EMPTY,
        PaneState.UNAUTHORIZED,
        PaneState.FORBIDDEN,
    }
)
_DIMMED = frozenset({PaneState.STALE, PaneState.DOWN})


class TablePane(Pane):
    """A table with its title line.

    Two kinds share this class. A client table gets every row in one reply and filters and sorts here. A paged
    one (`paged = True`) asks the server for one page: its filter, sort and page go into the request, and a
    change of one of them is another view.
    """

    BINDINGS: ClassVar[list[BindingType]] = keymap.scope("list")
    awaited: ClassVar[str] = "data"
    paged: bool = False
    markable: ClassVar[bool] = False
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
        self._sought = ""
        self._sought_since = 0.0
        self._mark_from: str | None = None
        self._title = Line(classes="title-line")
        self._bar = FilterBar()
        self._head = Horizontal(classes="pane-title")
        self._state = StateView()
        self._strip = Static("", markup=False, classes="strip")
        self._strip_text = Text()
        self._spin = 0
        self._out = ""
        self.first_look: Look | None = None

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

    @property
    def first_sort(self) -> Sort:
        """The order before anybody chose one."""
        return self.default_sort

    @property
    def takes_marks(self) -> bool:
        """Whether rows can be marked."""
        return self.markable

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

    def on_mount(self) -> None:
        """Take the sort that was last used here, or what a saved view shows."""
        self.take_sort()
        self.watch(self.table, "scroll_y", self._scrolled, init=False)
        if self.first_look is not None:
            self.take_look(self.first_look)

    def _scrolled(self) -> None:
        if self.table.cursor_out != self._out:
            self.paint()

    def take_sort(self) -> None:
        """Sort by what the table in sight was last sorted by."""
        saved = self.gqm.saved_sort(self.table_name)
        self.sort = saved if saved is not None and saved.column in self.sortable else self.first_sort

    def look(self) -> Look:
        """What is shown, as a saved view keeps it."""
        sort = None if self.sort == self.first_sort else (self.sort.column, self.sort.descending)
        return Look(tab=self.gqm.tab, table=self.table_name, filter=self.filter_text, sort=sort)

    def take_look(self, look: Look) -> None:
        """Show what a saved view shows; the order is for now, and not for the next start."""
        sort = None if look.sort is None else Sort(*look.sort)
        self.sort = sort if sort is not None and sort.column in self.sortable else self.first_sort
        refused = self.refuse_filter(look.filter)
        if refused is not None:
            self.app.notify(f"filter dropped: {refused}", severity="warning", markup=False)
        self.filter_text = "" if refused is not None else look.filter
        self.filter, self.params = self.fields.read(self.filter_text)
        self.page, self.until = 1, None
        self.marks, self.all_matching = {}, False
        if self.paged and self.running:
            self.reload()
        else:
            self.paint()

    def focus_main(self) -> None:
        """Give the table the focus."""
        self.screen.set_focus(self.table)

    def subject(self, key: keymap.Key) -> tuple[str, str]:
        """The marks, or else the row under the cursor."""
        if not key.mutates and key.id != "table.open":
            return "", ""
        if key.mutates and self.all_matching:
            return "all", "all matching"
        if key.mutates and self.marks:
            return " ".join(sorted(self.marks)), f"{len(self.marks):,} marked"
        row = self.current
        return ("", "") if row is None else (row.key, self.row_name(row))

    def row_name(self, row: Row) -> str:
        """How a row is called where it cannot be seen."""
        return fit_middle(row.key, SUBJECT_CELLS)

    def reveal(self) -> None:
        """Scroll to the cursor's row."""
        self.table.reveal_cursor()

    def action_done(self, message: ActionDone) -> None:
        """Let the marks go when all marked jobs had their turn."""
        if message.marks_done and (self.marks or self.all_matching):
            self.marks, self.all_matching = {}, False
            self.paint()

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        key = self.table.cursor_key
        return None if key is None else self.table.row(key)

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
        self._reach(rows)
        self.paint_strip()
        self.gqm.footer_changed(self)

    def seek(self, key: str) -> None:
        """Put the cursor on a row as soon as the row is there; a row that a reply does not hold is let go."""
        self._sought, self._sought_since = key, self.gqm.clock.monotonic()
        self.paint()

    def _reach(self, rows: Sequence[Row]) -> None:
        sought = self._sought
        if not sought:
            return
        main = self.part(self.view.main)
        if self.table.move_to(sought):
            self._sought = ""
        elif any(row.key == sought for row in rows) and self.filter_text and not self.gqm.frozen:
            self.set_filter("")  # the filter hides the row that somebody asked to see
        elif main is not None and main.at is not None and main.at > self._sought_since:
            self._sought = ""

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

    def highlighted(self, row: Row | None) -> None:
        """The cursor is on another row; a pane with a strip of fetched data asks for it here."""
        return

    @on(DataTable.RowSelected)
    def _selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        if (row := self.current) is not None:
            self.open(row)

    @on(DataTable.HeaderSelected)
    def _header(self, event: DataTable.HeaderSelected) -> None:
        event.stop()
        name = str(event.column_key.value)
        if name == self.sort.column:
            self.action_sort_turn()
        else:
            self._sort_by(name)

    # Filter.

    def action_filter(self) -> None:
        """Open the filter bar."""
        self._head.add_class("-filtering")
        self._bar.value = self.filter_text
        self.screen.set_focus(self._bar)
        self.paint()

    @on(FilterBar.Edited)
    def _edited(self, event: FilterBar.Edited) -> None:
        event.stop()
        self.set_filter(event.text)

    @on(FilterBar.Left)
    def _left(self, event: FilterBar.Left) -> None:
        event.stop()
        if event.kept and self.filter_error:
            self.set_filter(self._bar.value)  # why it cannot be kept; another one is not taken in its place
            return
        self._head.remove_class("-filtering")
        if not event.kept:
            self.set_filter("")
        self.focus_main()
        self.paint()

    def set_filter(self, text: str) -> None:
        """Take a filter; one that cannot be understood leaves the last good one in force."""
        refused = self.refuse_filter(text)
        self.filter_error = refused or ""
        self._bar.set_class(bool(refused), "-wrong")
        self._bar.tooltip = refused
        if refused:
            self._title.show(Text(refused, self.tone(Tone.BAD)))
            return
        if text.strip() == self.filter_text:
            self.paint()
            return
        self.filter_text = text.strip()
        self.filter, self.params = self.fields.read(self.filter_text)
        self.page, self.until = 1, None
        self.all_matching = False
        if self.paged:
            self.reload()
        else:
            self.paint()

    @property
    def fields(self) -> TableFields:
        """What the filter may name here."""
        return FIELDS[self.table_name]

    def refuse_filter(self, text: str) -> str | None:
        """Say why a filter cannot be used here, or None."""
        try:
            self.fields.read(text)
        except query.QueryError as error:
            return str(error)
        return None

    # Sort, pages, marks.

    def action_sort_next(self) -> None:
        """Sort by the next column that can be sorted by."""
        names = self.sortable
        if not names:
            return
        at = names.index(self.sort.column) if self.sort.column in names else -1
        self._sort_by(names[(at + 1) % len(names)])

    def action_sort_turn(self) -> None:
        """Turn the sort around."""
        self._set_sort(Sort(self.sort.column, not self.sort.descending))

    @property
    def sortable(self) -> list[str]:
        """What the table can be sorted by: its first order, if that is no column, and columns that sort."""
        columns = [column.key for column in self.columns() if column.sort]
        first = self.first_sort.column
        return columns if not first or first in columns else [first, *columns]

    def _sort_by(self, name: str) -> None:
        if name not in self.sortable:
            return
        column = next((item for item in self.columns() if item.key == name), None)
        self._set_sort(self.first_sort if column is None else Sort(name, column.right))

    def _set_sort(self, sort: Sort) -> None:
        self.sort = sort
        self.gqm.save_sort(self.table_name, sort)
        if self.paged:
            self.page, self.until = 1, None
            self.reload()
        else:
            self.paint()

    def action_page(self, step: int) -> None:
        """Go to another page of a paged table."""
        if not self.paged:
            return
        last = max(1, -(-self.total(()) // PAGE))
        wanted = min(last, max(1, self.page + step))
        if wanted == self.page:
            self.app.notify("this is the last page" if step > 0 else "this is the first page", markup=False)
            return
        # Later pages look at the list as it was when page 1 came, so that nothing slips between two pages.
        self.until = None if wanted == 1 else (self.until or self.server_time)
        self.page = wanted
        self.reload()

    def action_mark(self) -> None:
        """Mark the row, or take the mark away, and go one down."""
        key = self.table.cursor_key
        if not self.takes_marks or key is None:
            return
        self.all_matching = False
        if key in self.marks:
            del self.marks[key]
        else:
            self.marks[key] = None
            self._mark_from = key
        self.table.action_cursor_down()
        self.paint()

    def action_mark_range(self) -> None:
        """Mark every row from the last marked one to here."""
        keys, here = self.table.keys, self.table.cursor_key
        if not self.takes_marks or here is None:
            return
        start = keys.index(self._mark_from) if self._mark_from in keys else keys.index(here)
        low, high = sorted((start, keys.index(here)))
        self.marks.update(dict.fromkeys(keys[low : high + 1]))
        self._mark_from = here
        self.paint()

    def action_mark_all(self) -> None:
        """Take everything that matches, on this page and the others."""
        if self.takes_marks:
            self.all_matching = not self.all_matching
            self.marks = {}
            self.paint()

    def mark_cell(self, key: str) -> CellText:
        """The cell of the mark column."""
        return CellText("✓" if self.all_matching or key in self.marks else "", Tone.STRONG)

    def action_copy(self) -> None:
        """Copy the row's id, the row, its object, or the request that reads it."""
        taking.copy(self)

    def action_export(self) -> None:
        """Save the rows as CSV or JSON."""
        taking.export(self)

    def action_back(self) -> None:
        """Drop the filter, then the marks, then go back."""
        if self.filter_text:
            self.set_filter("")
        elif self.marks or self.all_matching:
            self.marks, self.all_matching = {}, False
            self.paint()
        else:
            super().action_back()

    @property
    def server_time(self) -> float | None:
        """The server's clock as of the page that is shown."""
        meta = self.view.meta()
        return None if meta is None else meta.server_time

    @property
    def bound(self) -> str:
        """What stands before a total that is only a lower bound."""
        meta = self.view.meta()
        return "≥" if meta is not None and meta.truncated else ""

    @property
    def range_text(self) -> str:
        """Which rows of how many a paged table shows: `1-100 of 31,204`."""
        total, first = self.total(()), (self.page - 1) * PAGE
        if total == 0:
            return "0"
        last = min(total, first + len(self.table.keys))
        return f"{first + 1:,}-{max(first + 1, last):,} of {self.bound}{total:,}"


def _changes(table: LiveTable, rows: Sequence[Row]) -> int:
    want = {row.key: row.cells for row in rows}
    have = {key: row.cells for key in table.keys if (row := table.row(key)) is not None}
    return sum(1 for key in want.keys() | have.keys() if want.get(key) != have.get(key))


def drill_down(own: tuple[str, ...], *, narrow: bool) -> tuple[str, ...]:
    """The footer of a table that was opened from another one: its own keys, and the way back."""
    more = ("list.filter", "list.sort", "app.freeze") if not narrow else ()
    return ("table.open", *own, *more, "list.back", "app.help")
