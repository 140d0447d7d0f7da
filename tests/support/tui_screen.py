"""Read the terminal UI's screen as somebody sees it: its lines, its table, its footer, its toasts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from rich.cells import cell_len
from textual.pilot import Pilot

from gqm_tui.screens.panes.base import Pane
from gqm_tui.screens.panes.table_pane import TablePane
from gqm_tui.widgets.key_bar import KeyBar
from tests.support.tui_app import WIDE, Scene, World

Act = Callable[[World, Pilot[Any]], Awaitable[None]]


def drive(scene: Scene, act: Act, size: tuple[int, int] = WIDE) -> World:
    """Bring a scene to its moment, then act on it."""
    made = scene.world()

    async def run() -> None:
        async with made.app.run_test(size=size, notifications=True) as pilot:
            await scene.play(made, pilot)
            await act(made, pilot)

    asyncio.run(run())
    return made


def lines(made: World) -> list[str]:
    """The screen, line by line, as the terminal gets it."""
    screen = made.app.screen
    width, height = made.app.size
    strips = screen._compositor.render_strips()
    found = ["".join(segment.text for segment in strip if not segment.control) for strip in strips]
    assert len(found) == height
    assert all(cell_len(line) == width for line in found), [line for line in found if cell_len(line) != width]
    return found


def text(made: World) -> str:
    """The whole screen."""
    return "\n".join(lines(made))


def pane(made: World) -> Pane:
    """The pane that can be seen."""
    found = made.app.visible_pane
    assert found is not None
    return found


def table(made: World) -> TablePane:
    """The pane that can be seen, which is a table."""
    found = pane(made)
    assert isinstance(found, TablePane)
    return found


def cursor(made: World) -> str | None:
    """The identity of the row under the cursor."""
    return table(made).table.cursor_key


def title(made: World) -> str:
    """The title line of the pane."""
    return str(pane(made)._title.plain)  # type: ignore[attr-defined]  # every pane has one


def footer(made: World) -> str:
    """The footer as it is drawn."""
    return str(made.app.screen.query_one(KeyBar).content)


def toasts(made: World) -> list[str]:
    """What was told in passing."""
    return [note.message for note in made.app._notifications]
