"""Pictures of a screen that was frozen, and went back in time from there."""

from __future__ import annotations

from typing import Any

from textual.pilot import Pilot

from tests.support.tui import FakeClient, listed
from tests.support.tui_app import Scene, World, both
from tests.tui.scenes.queues import QUEUES, ok


def growing(client: FakeClient) -> None:
    """Two queues that grow, and one of them is paused after a while."""
    ok(client)
    began = client.clock.now

    def now(_params: Any, _body: Any) -> Any:
        passed = client.clock.now - began
        changes = {
            "billing": {"ready": 30_604 + round(10 * passed)},
            "emails": {"paused": passed > 50, "ready": 7_000 + round(2 * passed)},
        }
        return listed([{**item, **changes.get(item["name"], {})} for item in QUEUES])

    client.route("GET", "/queues", now)


async def back_a_while(made: World, pilot: Pilot[Any]) -> None:
    for _ in range(60):
        await made.tick(pilot)
    await made.press(pilot, "f")
    for _ in range(10):
        await made.tick(pilot)
    for _ in range(15):
        made.app.action_rewind(-1)
    await made.settle(pilot)


SCENES: dict[str, Scene] = {**both("queues-rewind", routes=growing, act=back_a_while)}
