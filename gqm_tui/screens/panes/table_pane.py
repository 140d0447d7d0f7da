"""What a person does with a table: filter, sort, turn pages, mark, copy, export; the same everywhere."""

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.binding import BindingType
from textual.widgets import DataTable

from gqm_tui import keymap
from gqm_tui.core import query
from gqm_tui.core.fields import FIELDS, TableFields
from gqm_tui.core.table import CellText, Row, Sort, Tone
from gqm_tui.core.views import Look
from gqm_tui.messages import ActionDone
from gqm_tui.screens.panes import taking
from gqm_tui.screens.panes.drawn_table import DrawnTable
from gqm_tui.widgets.filter_bar import FilterBar

PAGE = 100


class TablePane(DrawnTable):
    """A table that can be filtered, sorted, turned over and marked."""

    BINDINGS: ClassVar[list[BindingType]] = keymap.scope("list")
    markable: ClassVar[bool] = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._sought = ""
        self._sought_since = 0.0
        self._mark_from: str | None = None
        self.first_look: Look | None = None

    @property
    def first_sort(self) -> Sort:
        """The order before anybody chose one."""
        return self.default_sort

    @property
    def takes_marks(self) -> bool:
        """Whether rows can be marked."""
        return self.markable

    def on_mount(self) -> None:
        """Take the sort that was last used here, or what a saved view shows."""
        self.take_sort()
        self.watch(self.table, "scroll_y", self.scrolled, init=False)
        if self.first_look is not None:
            self.take_look(self.first_look)

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

    def action_done(self, message: ActionDone) -> None:
        """Let the marks go when all marked jobs had their turn."""
        if message.marks_done and (self.marks or self.all_matching):
            self.marks, self.all_matching = {}, False
            self.paint()

    def seek(self, key: str) -> None:
        """Put the cursor on a row as soon as the row is there; a row that a reply does not hold is let go."""
        self._sought, self._sought_since = key, self.gqm.clock.monotonic()
        self.paint()

    def painted(self, rows: Sequence[Row]) -> None:
        """Go to the row that somebody asked to see, if it has come."""
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
            self.paint()
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

    @on(DataTable.HeaderSelected)
    def _header(self, event: DataTable.HeaderSelected) -> None:
        event.stop()
        name = str(event.column_key.value)
        if name == self.sort.column:
            self.action_sort_turn()
        else:
            self._sort_by(name)

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


def drill_down(own: tuple[str, ...], *, narrow: bool) -> tuple[str, ...]:
    """The footer of a table that was opened from another one: its own keys, and the way back."""
    more = ("list.filter", "list.sort", "app.freeze") if not narrow else ()
    return ("table.open", *own, *more, "list.back", "app.help")
