"""One list of keys for everything: keymap, bindings, footer, help, palette, and the table of the README."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.binding import Binding
from textual.pilot import Pilot

from gqm_tui import keymap, keytable
from gqm_tui.app import GqmApp
from gqm_tui.screens.frame import FrameScreen
from gqm_tui.screens.help import help_lines, written
from gqm_tui.screens.palette import PaletteScreen
from gqm_tui.screens.panes.base import Pane
from gqm_tui.screens.panes.table_pane import TablePane
from gqm_tui.widgets.live_table import LiveTable
from tests.support.tui_app import NARROW, WIDE, World, world
from tests.tui.scenes import dag, failed, jobs
from tests.tui.scenes.queues import ok

README = Path(__file__).resolve().parents[2] / "README.md"


def panes(kind: type[Pane] = Pane) -> Iterator[type[Pane]]:
    from gqm_tui.screens import panes as folder

    for module in Path(folder.__path__[0]).glob("*.py"):
        __import__(f"{folder.__name__}.{module.stem}")
    for below in kind.__subclasses__():
        yield below
        yield from panes(below)


@pytest.mark.fault(27)
def test_the_readme_has_the_table_of_the_keymap() -> None:
    text = README.read_text("utf-8")
    assert text == keytable.put_into(text), "python -m gqm_tui.keytable writes the table"


@pytest.mark.fault(27)
def test_the_table_names_every_key_of_every_place_and_no_other() -> None:
    rows = keytable.key_table().splitlines()[2:]
    assert len(rows) == len(keymap.SCOPES)
    for row, (scope, keys) in zip(rows, keymap.SCOPES.items(), strict=True):
        _, where, told, _ = row.split("|")
        assert where.strip() == keytable.PLACES[scope]
        named = [(part.split("`")[1::2], part.rpartition("`")[2].strip()) for part in told.split(" · ")]
        assert named == [([written(one) for one in key.keys.split(",")], key.text) for key in keys]


@pytest.mark.parametrize("text", ["", keytable.BEGIN, f"{keytable.END} {keytable.BEGIN}"])
def test_a_document_without_the_marks_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="there is no"):
        keytable.put_into(text)


@pytest.mark.fault(27)
def test_every_binding_of_the_panes_is_in_the_keymap_and_every_key_is_bound() -> None:
    bound = set()
    for kind in (FrameScreen, LiveTable, *panes()):
        for binding in kind.__dict__.get("BINDINGS", ()):
            assert isinstance(binding, Binding)
            assert binding.id in keymap.BY_ID, (kind, binding)
            key = keymap.BY_ID[binding.id]
            assert (binding.key, binding.action, binding.tooltip) == (key.keys, key.action, key.text)
            bound.add(binding.id)
    assert bound == set(keymap.BY_ID)


@pytest.mark.fault(27)
def test_every_key_has_the_method_that_it_names() -> None:
    takers = (GqmApp, FrameScreen, LiveTable, TablePane, *panes())
    for key in keymap.BY_ID.values():
        name = key.action.partition("(")[0]
        kinds = [GqmApp] if name.startswith("app.") else list(takers)
        assert any(hasattr(kind, f"action_{name.removeprefix('app.')}") for kind in kinds), key


PLACES: dict[str, tuple[Any, str, tuple[str, ...]]] = {
    "queues": (ok, "queues", ()),
    "jobs": (jobs.ok, "queues", ("enter",)),
    "failed": (failed.ok, "failed", ()),
    "failed, one by one": (failed.ok, "failed", ("b",)),
    "dag": (dag.lists, "dag", ()),
    "graph": (dag.lists, "dag", ("enter",)),
}


@pytest.mark.fault(27)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_footer_help_and_palette_name_the_same_keys(place: str, size: tuple[int, int]) -> None:
    routes, tab, keys = PLACES[place]
    made = world(routes, tab=tab)

    async def go(pilot: Pilot[Any], made: World) -> None:
        frame = made.app.visible_frame
        assert frame is not None
        lines = {line.key.id: line for line in help_lines(frame)}
        alive = {
            item.binding.id for item in frame.active_bindings.values() if item.binding.id in keymap.BY_ID
        }
        assert alive == {name for name, line in lines.items() if line.locked is None}
        for line in lines.values():
            assert [*line.pressed] == [one for one in line.key.keys.split(",") if one in line.pressed]
        by_press = {press: line.key for line in lines.values() for press in line.pressed}
        footer = {by_press[press].id for press, _, _ in frame.keys.offered()}
        assert footer <= lines.keys()
        await made.press(pilot, "colon")
        assert isinstance(made.app.screen, PaletteScreen)
        offered = {found.entry.id for found in made.app.screen.found if found.entry.word == "run"}
        assert offered == lines.keys() - {"app.palette"}

    async def run() -> None:
        async with made.app.run_test(size=size) as pilot:
            await made.settle(pilot)
            await made.tick(pilot)
            await made.press(pilot, *keys)
            await made.tick(pilot)
            await go(pilot, made)

    asyncio.run(run())
