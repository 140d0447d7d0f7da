"""Signing in, refused keys, and settings that are told before the screen starts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from gqm_tui.core.credentials import KeySource
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.state import StateFile
from gqm_tui.core.tomlcheck import SettingsError
from gqm_tui.options import RunOptions
from gqm_tui.screens.login import LoginScreen
from gqm_tui.start import build
from tests.support.tui import FakeClient, me, queue
from tests.support.tui_app import WIDE, World, world

REFUSED = ApiError(Kind.UNAUTHORIZED, 401, "UNAUTHORIZED", "sign in, or send an API key")
PATHS = ("/auth/me", "/stats", "/queues", "/stats/minutes")


def closed(client: FakeClient) -> None:
    """A server that lets nobody in before somebody has signed in."""
    client.users["ana"] = ("horse", "viewer")

    def unless_signed_in(answer: Any) -> Callable[[Any, Any], Any]:
        return lambda _params, _body: answer if _signed_in(client) else REFUSED

    client.route("GET", "/auth/me", REFUSED)
    client.route("GET", "/queues", unless_signed_in([queue("billing")]))
    client.route("GET", "/stats/minutes", unless_signed_in([]))


def _signed_in(client: FakeClient) -> bool:
    bodies = [asked.body for asked in client.written if asked.path == "/auth/login"]
    return any(client.users[body["username"]][0] == body["password"] for body in bodies)


def drive(act: Callable[[World, Pilot[Any]], Awaitable[None]], **given: Any) -> None:
    async def run() -> None:
        made = world(given.pop("routes", closed), **given)
        async with made.app.run_test(size=WIDE, notifications=True) as pilot:
            await made.settle(pilot)
            await made.tick(pilot)
            await act(made, pilot)

    asyncio.run(run())


def shown(made: World) -> str:
    return "\n".join(
        "".join(segment.text for segment in strip) for strip in made.app.screen._compositor.render_strips()
    )


@pytest.mark.fault(22)
def test_a_401_opens_the_sign_in_and_the_rows_follow_it() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert isinstance(made.app.screen, LoginScreen)
        await made.press(pilot, *"ana", "enter", *"horse", "enter")
        assert not isinstance(made.app.screen, LoginScreen)
        await made.tick(pilot)
        assert "billing" in shown(made)
        assert made.app.session.identity == "viewer ana"

    drive(act)


def test_a_wrong_password_is_told_in_the_dialog_which_stays() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, *"ana", "enter", *"cow", "enter")
        assert isinstance(made.app.screen, LoginScreen)
        assert "wrong username or password" in shown(made)
        assert "cow" not in shown(made)
        await made.press(pilot, *"horse", "enter")
        assert not isinstance(made.app.screen, LoginScreen)

    drive(act)


def test_the_dialog_takes_letters_for_letters() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "q", "2")
        assert isinstance(made.app.screen, LoginScreen)
        assert "q2" in shown(made)

    drive(act)


def test_a_sign_in_that_was_left_comes_back_with_f5_only() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "escape")
        for _ in range(3):
            await made.tick(pilot, 5)
        assert not isinstance(made.app.screen, LoginScreen)
        assert "prod-eu wants a sign-in" in shown(made)
        await made.press(pilot, "f5")
        assert isinstance(made.app.screen, LoginScreen)

    drive(act)


@pytest.mark.fault(5)
def test_a_refused_key_is_told_within_one_poll_and_nobody_is_asked_for_a_password() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "key refused for prod-eu" in shown(made)
        assert not isinstance(made.app.screen, LoginScreen)
        assert made.app.is_running

    drive(act, context={"key": KeySource(given="gqm_wrong")})


@pytest.mark.fault(5)
def test_a_key_that_is_refused_later_is_told_at_the_next_poll() -> None:
    def routes(client: FakeClient) -> None:
        client.route("GET", "/auth/me", me())
        client.route("GET", "/queues", [queue("billing")])
        client.route("GET", "/stats/minutes", [])

    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "billing" in shown(made)
        for path in PATHS:
            made.client.route("GET", path, REFUSED)
        await made.tick(pilot)
        assert "key refused for prod-eu" in shown(made)

    drive(act, routes=routes, context={"key": KeySource(given="gqm_revoked")})


def settings_file(folder: Path, text: str) -> RunOptions:
    file = folder / "tui.toml"
    file.write_text(text)
    return RunOptions(tui_config=file)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[contexts.a]\nurl = "http://127.0.0.1:1"\napi_key_env = "NO_SUCH_KEY"\n', "NO_SUCH_KEY"),
        ('[keymap]\n"queues.pauze" = "P"\n', "queues.pause"),
        ('theme = "gqm-drak"\n', "gqm-dark"),
    ],
)
def test_settings_that_cannot_be_used_are_told_before_the_screen_starts(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(SettingsError, match=told):
        build(settings_file(tmp_path, text), StateFile(tmp_path / "state.json"))


def test_a_theme_file_can_be_chosen_and_a_colour_that_does_not_exist_is_told(tmp_path: Path) -> None:
    (tmp_path / "themes").mkdir()
    theme = tmp_path / "themes" / "ours.toml"
    theme.write_text('primary = "#8ec07c"\n')
    options = settings_file(tmp_path, 'theme = "ours"\n')
    app = build(options, StateFile(tmp_path / "state.json"))
    assert app.current_theme.primary == "#8ec07c"
    theme.write_text('primary = "grurple"\n')
    with pytest.raises(SettingsError, match="grurple"):
        build(options, StateFile(tmp_path / "state.json"))
