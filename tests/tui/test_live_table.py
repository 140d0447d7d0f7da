"""The table that keeps its cursor: by identity through sorts, inserts and removals, at every width."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from gqm_tui import themes
from gqm_tui.core.table import PADDING, CellText, Column, Row, Tone, layout
from gqm_tui.screens.panes.queues import COLUMNS as QUEUE_COLUMNS
from gqm_tui.widgets.live_table import CURSOR_MARK, LiveTable

COLUMNS = (
    Column("name", "NAME", 20, 14, "name", star=True),
    Column("size", "SIZE", 8, 8, "size", right=True),
    Column("note", "NOTE", 12, 0, "note"),
)


class TableApp(App[None]):
    """A table and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        for theme in themes.OWN:
            self.register_theme(theme)
        self.theme = themes.DARK.name
        self.table = LiveTable(COLUMNS)
        self.lost: list[LiveTable.CursorLost] = []

    def compose(self) -> ComposeResult:
        yield self.table

    def on_mount(self) -> None:
        self.table.focus()

    def on_live_table_cursor_lost(self, event: LiveTable.CursorLost) -> None:
        self.lost.append(event)


def rows(names: Sequence[str], size: int = 0) -> list[Row]:
    return [
        Row(
            name,
            {"name": CellText(name), "size": CellText(str(size), Tone.GOOD), "note": CellText("n")},
            {"name": name, "size": size},
        )
        for name in names
    ]


def drive(act: Callable[[TableApp, Pilot[Any]], Awaitable[None]], size: tuple[int, int] = (100, 20)) -> None:
    async def run() -> None:
        app = TableApp()
        async with app.run_test(size=size) as pilot:
            await act(app, pilot)

    asyncio.run(run())


@pytest.mark.fault(14)
def test_cursor_stays_on_its_row_through_a_thousand_changes() -> None:
    async def act(app: TableApp, pilot: Pilot[Any]) -> None:
        chance = random.Random(7)
        names = [f"row-{index}" for index in range(60)]
        table = app.table
        table.sync(rows(names))
        table.move_to("row-30")
        for turn in range(1_000):
            chance.shuffle(names)
            if chance.random() < 0.3:
                names.append(f"new-{turn}")
            if chance.random() < 0.3:
                gone = chance.choice([name for name in names if name != "row-30"])
                names.remove(gone)
            top = table.scroll_y
            table.sync(rows(names, size=chance.randrange(3)))
            assert table.cursor_key == "row-30"
            assert table.keys == names
            assert table.scroll_y == top
        await pilot.pause()
        assert [str(table.get_row_at(index)[0]) for index in range(len(names))] == names
        assert app.lost == []

    drive(act)


@pytest.mark.fault(14)
def test_cursor_goes_to_the_next_row_that_is_left() -> None:
    async def act(app: TableApp, pilot: Pilot[Any]) -> None:
        app.table.sync(rows(["a", "b", "c", "d"]))
        app.table.move_to("b")
        app.table.sync(rows(["d", "a", "c"]))
        assert app.table.cursor_key == "c"
        app.table.move_to("c")
        app.table.sync(rows(["d", "a"]))
        assert app.table.cursor_key == "a"
        app.table.sync(rows([]))
        assert app.table.cursor_key is None
        await pilot.pause()
        assert [(event.old, event.new) for event in app.lost] == [("b", "c"), ("c", "a"), ("a", None)]

    drive(act)


def test_equal_rows_change_nothing() -> None:
    async def act(app: TableApp, pilot: Pilot[Any]) -> None:
        app.table.sync(rows(["a", "b"]))
        await pilot.pause()
        before = app.table._update_count
        app.table.sync(rows(["a", "b"]))
        assert app.table._update_count == before
        app.table.sync(rows(["a", "b"], size=1))
        assert app.table._update_count > before

    drive(act)


def test_resize_keeps_cursor_rows_and_swaps_columns() -> None:
    async def act(app: TableApp, pilot: Pilot[Any]) -> None:
        app.table.sync(rows([f"r{index}" for index in range(50)]))
        app.table.move_to("r40")
        await pilot.pause()
        for width, columns in ((80, 2), (60, 2), (120, 3), (100, 3)):
            await pilot.resize_terminal(width, 20)
            await pilot.pause()
            assert len(app.table.columns) == columns
            assert app.table.cursor_key == "r40"
            assert app.table.keys[0] == "r0"

    drive(act)


def test_the_cursor_row_is_marked_without_colour() -> None:
    async def act(app: TableApp, pilot: Pilot[Any]) -> None:
        app.table.sync(rows(["a", "b"]))
        app.table.move_to("b")
        await pilot.pause()
        lines = [app.table.render_line(y).text for y in range(3)]
        assert [line.startswith(CURSOR_MARK) for line in lines] == [False, False, True]

    drive(act)


@pytest.mark.fault(9)
@pytest.mark.parametrize("width", range(60, 201, 7))
def test_no_column_is_clipped_at_any_width(width: int) -> None:
    narrow = width < 100
    laid = layout(QUEUE_COLUMNS, width - 1, narrow=narrow)
    assert sum(cells + PADDING for _, cells in laid) == width - 1
    kept = {column.key for column, _ in laid}
    assert {"queue", "state", "ready"} <= kept
    assert all(
        cells == (column.narrow if narrow else column.wide) for column, cells in laid if not column.star
    )
    assert all(cells >= 10 for column, cells in laid if column.star)
