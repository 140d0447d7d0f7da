"""Pictures of the sign-in."""

from __future__ import annotations

from typing import Any

from textual.pilot import Pilot

from gqm_tui.core.errors import ApiError, Kind
from tests.support.tui import FakeClient
from tests.support.tui_app import Scene, World, both


def closed(client: FakeClient) -> None:
    refusal = ApiError(Kind.UNAUTHORIZED, 401, "UNAUTHORIZED", "sign in, or send an API key")
    client.users["ana"] = ("correct horse", "admin")
    for path in ("/auth/me", "/stats", "/queues", "/stats/minutes"):
        client.route("GET", path, refusal)


async def half_typed(made: World, pilot: Pilot[Any]) -> None:
    await made.press(pilot, *"ana", "enter", *"correct")


async def refused(made: World, pilot: Pilot[Any]) -> None:
    await made.press(pilot, *"ana", "enter", *"wrong", "enter")


SCENES: dict[str, Scene] = {
    **both("login-ok", routes=closed, act=half_typed),
    "login-error-120x36": Scene(closed, act=refused),
}
