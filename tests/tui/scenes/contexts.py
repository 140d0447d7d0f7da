"""Pictures of the list of servers."""

from __future__ import annotations

from typing import Any

from textual.pilot import Pilot

from gqm_tui.core.config import ContextConfig
from gqm_tui.core.credentials import KeySource
from gqm_tui.core.errors import ApiError, Kind
from tests.support.tui import FakeClient
from tests.support.tui_app import Scene, World, both
from tests.tui.scenes.queues import ok

EU = ContextConfig(
    name="prod-eu",
    url="https://q.example:8080",
    key=KeySource(command=("pass", "show", "q/prod")),
    production=True,
)
US = ContextConfig(name="prod-us", url="https://us.q.example:8080", key=KeySource(variable="GQM_US_KEY"))
STAGING = ContextConfig(name="staging", url="http://staging.example:8080", read_only=True)
SETTINGS = {"context": US, "contexts": (EU, US, STAGING)}


def away(client: FakeClient) -> None:
    client.down = ApiError(Kind.REFUSED, text="us.q.example:8080: connection refused")


def ours(client: FakeClient) -> None:
    ok(client)
    client.origin = "https://q.example:8080"


async def from_one_that_is_away(made: World, pilot: Pilot[Any]) -> None:
    """Begin on a server that is away, go to the other one, and open the list there."""
    await made.tick(pilot, 240)
    made.app.contexts.open_named("prod-eu")
    await made.settle(pilot)
    await made.tick(pilot)
    await made.press(pilot, "at")


async def another_address(made: World, pilot: Pilot[Any]) -> None:
    await from_one_that_is_away(made, pilot)
    await made.press(pilot, "plus", *"http://q3.example", "enter")


SCENES: dict[str, Scene] = {
    **both(
        "context-ok",
        routes=ours,
        others={"prod-us": away},
        settings=SETTINGS,
        act=from_one_that_is_away,
    ),
    "context-key-120x36": Scene(ours, others={"prod-us": away}, settings=SETTINGS, act=another_address),
}
