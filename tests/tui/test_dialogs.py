"""The dialogs over any screen: what they name, what they run, and that only a person closes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from gqm_tui import keymap
from gqm_tui.screens.help import HelpScreen, written
from tests.support.tui_app import NARROW, WIDE, World, world
from tests.tui.scenes.queues import ok

Steps = Callable[[World, Pilot[Any]], Awaitable[None]]


def play(made: World, steps: Steps, size: tuple[int, int] = WIDE) -> None:
    """Start the app, let the first data in, and do the steps."""

    async def go() -> None:
        async with made.app.run_test(size=size) as pilot:
            await made.settle(pilot)
            await made.tick(pilot)
            await steps(made, pilot)

    asyncio.run(go())


def help_screen(made: World) -> HelpScreen:
    assert isinstance(made.app.screen, HelpScreen)
    return made.app.screen


@pytest.mark.fault(27)
@pytest.mark.parametrize("tab", ["queues", "workers", "failed", "cron", "dag", "servers"])
@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_footer_help_and_keymap_name_the_same_keys(tab: str, size: tuple[int, int]) -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        frame = made.app.visible_frame
        assert frame is not None
        footer = frame.keys.offered()
        alive = {item.binding.id for item in frame.active_bindings.values()} & set(keymap.BY_ID)
        await made.press(pilot, "question_mark")
        lines = help_screen(made).lines
        assert alive <= {line.key.id for line in lines}
        for line in lines:
            assert line.key is keymap.BY_ID[line.key.id]
            assert line.key in keymap.SCOPES[line.scope]
            assert set(line.pressed) <= set(line.key.keys.split(","))
        pressed = {key: line for line in lines for key in line.pressed}
        assert footer
        for press, shown, _label in footer:
            assert press in pressed
            line = pressed[press]
            assert shown == line.key.display
            assert set(shown.split()) & {written(key) for key in line.key.keys.split(",")}

    play(world(ok, tab=tab), steps, size)


def test_help_tells_a_viewer_what_is_locked() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "question_mark")
        locked = {line.key.id: line.locked for line in help_screen(made).lines if line.locked}
        assert locked == {"queues.pause": "needs admin (viewer)", "queues.empty": "needs admin (viewer)"}

    play(world(ok, role="viewer"), steps)


def test_help_shows_an_admin_no_lock_and_own_keys_first() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "question_mark")
        lines = help_screen(made).lines
        assert not any(line.locked for line in lines)
        assert [line.key.id for line in lines][:2] == ["queues.pause", "queues.empty"]

    play(world(ok), steps)


def test_help_names_the_keys_of_the_configuration() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "question_mark")
        pressed = {line.key.id: line.pressed for line in help_screen(made).lines}
        assert pressed["queues.pause"] == ("P",)

    play(world(ok, settings={"keymap": {"queues.pause": "P"}}), steps)


@pytest.mark.parametrize("key", ["escape", "question_mark"])
def test_help_is_closed_by_its_keys_alone(key: str) -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "question_mark", "q", "3", "p")
        await made.tick(pilot, 5)
        assert made.app.tab == "queues"
        assert not made.client.written
        assert help_screen(made).is_current
        await made.press(pilot, key)
        assert made.app.screen is made.app.visible_frame

    play(world(ok), steps)
