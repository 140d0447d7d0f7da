"""Every screen as a picture, compared with the one that was looked at and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.scenes import ALL


@pytest.mark.parametrize("name", sorted(ALL))
def test_screen(name: str, snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch) -> None:
    scene = ALL[name]
    if scene.no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    made = scene.world()

    async def play(pilot: Pilot[Any]) -> None:
        await scene.play(made, pilot)

    assert snap_compare(made.app, terminal_size=scene.size, run_before=play)
