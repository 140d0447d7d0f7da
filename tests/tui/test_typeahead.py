"""Keys that were pressed while the screen was busy: each finds what the one before it has left."""

from __future__ import annotations

from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot

from tests.support.tui_app import World
from tests.support.tui_screen import drive, pane, table, text
from tests.tui.scenes import ALL

CRON = ALL["cron-ok-120x36"]
QUEUES = ALL["queues-ok-120x36"]


async def burst(made: World, pilot: Pilot[Any], *keys: str) -> None:
    """Press keys so fast that the second one is there before the first one was looked at."""
    for key in keys:
        made.app.post_message(events.Key(key, key if len(key) == 1 else None))
    await made.settle(pilot)
    await made.settle(pilot)


@pytest.mark.parametrize("tab", ["5", "6", "2", "1"])
def test_a_key_after_a_tabs_key_does_nothing_in_the_tab_that_was_left(tab: str) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await burst(made, pilot, tab, "enter", "t")
        assert pane(made).name_of_view not in ("cron", "cron_history")
        assert not any("/cron/" in str(asked) for asked in made.client.written)
        assert "Trigger" not in text(made)

    drive(CRON, act)


def test_what_is_typed_after_the_filters_key_is_the_filter() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await burst(made, pilot, "slash", "D", "p", "q")
        assert table(made).filter_text == "Dpq"
        assert not made.client.written

    drive(QUEUES, act)


def test_enter_ends_a_filter_only_after_all_that_was_typed_before_it() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await burst(made, pilot, "slash", *"bill", "enter")
        assert table(made).table.keys == ["billing"]
        assert not table(made).filtering
        await burst(made, pilot, "slash", *":x", "enter")
        assert table(made).filtering
        assert "no field bill here" in text(made)

    drive(QUEUES, act)
