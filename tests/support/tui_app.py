"""The whole terminal UI on a fake clock and a fake API, for pictures and for key presses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import msgspec
from textual.pilot import Pilot

from gqm_tui.app import GqmApp
from gqm_tui.core.config import ContextConfig, Settings
from gqm_tui.core.state import State, StateFile
from gqm_tui.screens.doors import tab_makers
from tests.support.tui import FakeClient, FakeClock, me, stats

WIDE = (120, 36)
NARROW = (80, 24)
Routes = Callable[[FakeClient], None]


@dataclass
class World:
    """An app with the clock and the API it lives on."""

    app: GqmApp
    clock: FakeClock
    client: FakeClient
    others: dict[str, FakeClient] = field(default_factory=dict)
    """The APIs of other contexts, by their names."""
    connected: list[ContextConfig] = field(default_factory=list)
    """What clients were made for, in order."""

    async def settle(self, pilot: Pilot[Any]) -> None:
        """Let everything that is under way come to rest."""
        await pilot.pause()
        await pilot.pause()

    async def tick(self, pilot: Pilot[Any], seconds: float = 1.0) -> None:
        """Go on in time, and let the screen follow."""
        self.clock.tick(seconds)
        await self.settle(pilot)

    async def press(self, pilot: Pilot[Any], *keys: str) -> None:
        """Press keys one after the other, each with its consequences."""
        for key in keys:
            await pilot.press(key)
            await self.settle(pilot)


def world(
    routes: Routes | None = None,
    *,
    tab: str = "queues",
    role: str = "admin",
    context: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    state: State | None = None,
    state_path: Path | None = None,
    others: Mapping[str, Routes] | None = None,
) -> World:
    """Make an app that asks a fake API. `routes` fills it; identity and statistics are there already.

    `others` are the APIs of further contexts, by name.
    """
    clock = FakeClock()

    def api(fill: Routes | None) -> FakeClient:
        client = FakeClient(clock)
        client.route("GET", "/auth/me", me(role=role))
        client.route("GET", "/stats", stats())
        if fill is not None:
            fill(client)
        return client

    client = api(routes)
    more = {name: api(fill) for name, fill in (others or {}).items()}
    connected: list[ContextConfig] = []

    def connect(context: ContextConfig) -> FakeClient:
        connected.append(context)
        return more.get(context.name, client)

    given = ContextConfig(**{"name": "prod-eu", "url": "http://127.0.0.1:8080", **(context or {})})
    chosen = Settings(**{"context": given, "contexts": (given,), "tab": tab, **(settings or {})})
    file = StateFile(state_path or Path(mkdtemp()) / "tui.json")
    if state is not None:
        file.state = msgspec.structs.replace(state)
    app = GqmApp(chosen, connect=connect, clock=clock, state_file=file, panes=tab_makers())
    # Toasts live by real time, which a busy machine has less of.
    app.NOTIFICATION_TIMEOUT = 600.0  # type: ignore[misc]  # for this app alone
    return World(app, clock, client, more, connected)


Act = Callable[[World, Pilot[Any]], Awaitable[None]]


@dataclass(frozen=True)
class Scene:
    """One picture: what the API answers, what is pressed, and how large the terminal is."""

    routes: Routes
    keys: tuple[str, ...] = ()
    size: tuple[int, int] = WIDE
    tab: str = "queues"
    role: str = "admin"
    settings: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    act: Act | None = None
    no_color: bool = False
    state: State | None = None
    others: Mapping[str, Routes] = field(default_factory=dict)

    def world(self) -> World:
        """Make the app of this picture."""
        return world(
            self.routes,
            tab=self.tab,
            role=self.role,
            settings=self.settings,
            context=self.context,
            state=self.state,
            others=self.others,
        )

    async def play(self, made: World, pilot: Pilot[Any]) -> None:
        """Bring the app to the moment of the picture."""
        await made.settle(pilot)
        await made.tick(pilot)
        await made.press(pilot, *self.keys)
        if self.act is not None:
            await self.act(made, pilot)
        await made.settle(pilot)


def both(name: str, **scene: Any) -> dict[str, Scene]:
    """Give the wide and the narrow picture of one moment."""
    return {
        f"{name}-120x36": Scene(**scene, size=WIDE),
        f"{name}-80x24": Scene(**scene, size=NARROW),
    }
