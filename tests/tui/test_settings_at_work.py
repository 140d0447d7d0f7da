"""Choices at work: where a key comes from, the interval, colours, and keys that lead to every action."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

import gqm_tui
from gqm_cli.tui import tui
from gqm_tui.core.config import load
from gqm_tui.core.credentials import read_key
from gqm_tui.core.state import State
from gqm_tui.options import RunOptions
from gqm_tui.screens.confirm import ConfirmScreen
from tests.support.tui import FakeClient, cron, cron_run, job, listed, queue
from tests.support.tui_app import WIDE, World, world
from tests.tui.scenes.queues import ok

KEY = "gqm_ak_" + "0" * 48


def drive(act: Callable[[World, Pilot[Any]], Awaitable[None]], **given: Any) -> None:
    async def run() -> None:
        made = world(given.pop("routes", ok), **given)
        async with made.app.run_test(size=WIDE, notifications=True) as pilot:
            await made.settle(pilot)
            await made.tick(pilot)
            await act(made, pilot)

    asyncio.run(run())


# Where a key comes from.


def by_file(folder: Path) -> tuple[RunOptions, Mapping[str, str]]:
    file = folder / "key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    return RunOptions(api_key_file=file), {}


def by_environment(_folder: Path) -> tuple[RunOptions, Mapping[str, str]]:
    return RunOptions(), {"GQM_API_KEY": KEY}


def by_context(line: str) -> Callable[[Path], tuple[RunOptions, Mapping[str, str]]]:
    def given(folder: Path) -> tuple[RunOptions, Mapping[str, str]]:
        settings = folder / "tui.toml"
        settings.write_text(f'[contexts.a]\nurl = "http://127.0.0.1:1"\n{line}\n')
        return RunOptions(tui_config=settings, context="a"), {"OURS": KEY}

    return given


@pytest.mark.fault(23)
@pytest.mark.parametrize(
    "given",
    [
        by_file,
        by_environment,
        by_context('api_key_env = "OURS"'),
        by_context(f'api_key_cmd = "printf {KEY}"'),
    ],
)
def test_a_key_needs_no_place_among_the_arguments(
    given: Callable[[Path], tuple[RunOptions, Mapping[str, str]]], tmp_path: Path
) -> None:
    options, env = given(tmp_path)
    settings = load(options, State(), {"XDG_CONFIG_HOME": str(tmp_path / "none"), **env})
    assert read_key(settings.context.key, env) == KEY


@pytest.mark.fault(23)
@pytest.mark.parametrize(("key", "warned"), [(KEY, True), (None, False)])
def test_a_key_among_the_arguments_warns(
    key: str | None, warned: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[RunOptions] = []

    def run(options: RunOptions) -> int:
        seen.append(options)
        return 0

    monkeypatch.setattr(gqm_tui, "run", run)
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    tui(api_key=key)
    told = capsys.readouterr().err
    assert [options.api_key for options in seen] == [key]
    assert ("other users of this machine can see --api-key" in told) is warned
    assert KEY not in told


# Choices.


@pytest.mark.fault(22)
def test_the_interval_goes_its_steps_is_kept_and_changes_the_pace() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        steps = []
        for key in ["minus", *["plus"] * 6, *["minus"] * 3]:
            await made.press(pilot, key)
            steps.append(made.app.interval)
        assert steps == [1, 2, 3, 5, 10, 30, 30, 10, 5, 3]
        assert made.app.state.interval == 3
        asked = made.client.count("/queues")
        await made.tick(pilot, 2)
        assert made.client.count("/queues") == asked
        await made.tick(pilot, 1.1)
        assert made.client.count("/queues") == asked + 1

    drive(act)


@pytest.mark.fault(22)
def test_colours_change_with_a_key_and_are_kept() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "T")
        assert (made.app.theme, made.app.state.theme) == ("gqm-light", "gqm-light")
        await made.press(pilot, "T")
        assert made.app.theme == "gqm-dark"

    drive(act)


@pytest.mark.fault(22)
def test_without_colours_nothing_on_the_screen_has_a_hue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def act(made: World, _pilot: Pilot[Any]) -> None:
        colours = {
            colour.get_truecolor()
            for strip in made.app.screen._compositor.render_strips()
            for segment in strip
            if segment.style is not None
            for colour in (segment.style.color, segment.style.bgcolor)
            if colour is not None and not colour.is_default
        }
        assert colours
        assert all(max(triplet) - min(triplet) <= 1 for triplet in colours)

    drive(act)


@pytest.mark.fault(22)
def test_a_key_that_somebody_chose_works_and_the_usual_one_does_not() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "f")
        assert not made.app.frozen
        await made.press(pilot, "Z")
        assert made.app.frozen

    drive(act, settings={"keymap": {"app.freeze": "Z"}})


# Every action has a key.


def full(client: FakeClient) -> None:
    client.route("GET", "/queues", [queue("billing", ready=3, dead_letter=2)])
    client.route("GET", "/stats/minutes", [])
    client.route("GET", "/queues/billing", {**queue("billing"), "by_type": []})
    client.route("GET", "/jobs", listed([job("j1", status="dead_letter"), job("j2", status="dead_letter")]))
    client.route("GET", "/servers", [])
    client.route("GET", "/cron", [cron("tidy")])
    client.route("GET", "/cron/tidy", cron("tidy"))
    client.route("GET", "/cron/tidy/history", lambda _params, _body: listed([cron_run()]))
    found = {"dry_run": True, "matched": 2, "eligible": 2, "skipped": {}, "sample": ["j1"]}
    dry = {**found, "truncated": False, "as_of": 1.0}
    for verb in ("retry", "cancel", "delete"):
        client.route("POST", f"/jobs/batch/{verb}", dry)
    client.route("DELETE", "/queues/billing/empty", {"queue": "billing", "removed": 3, "remaining": 0})


@pytest.mark.fault(16)
@pytest.mark.parametrize(
    ("tab", "keys", "request_"),
    [
        ("queues", ("D",), "DELETE /api/v1/queues/billing/empty"),
        ("queues", ("enter", "a", "x"), "POST /api/v1/jobs/batch/cancel"),
        ("failed", ("b", "R"), "POST /api/v1/jobs/batch/retry"),
        ("failed", ("b", "a", "d"), "POST /api/v1/jobs/batch/delete"),
        ("failed", ("b", "space", "space", "r"), "POST /api/v1/jobs/batch/retry"),
    ],
)
def test_a_key_leads_to_each_action_on_many(tab: str, keys: tuple[str, ...], request_: str) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        for key in keys:
            await made.press(pilot, key)
            await made.tick(pilot, 0.2)
        assert isinstance(made.app.screen, ConfirmScreen)
        asked = made.client.written
        assert [f"{one.method} {one.path}" for one in asked] == [request_]
        # Nothing but the dry run was sent.
        assert asked[0].params.get("dry_run") == "true" or asked[0].body["dry_run"] is True

    drive(act, routes=full, tab=tab)


@pytest.mark.fault(16)
def test_servers_have_a_key() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "6")
        assert made.app.tab == "servers"
        assert made.client.count("/servers") == 1

    drive(act, routes=full)


@pytest.mark.fault(20)
def test_the_runs_of_a_cron_entry_are_fetched_again_while_they_are_open() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "enter")
        asked = made.client.count("/cron/tidy/history")
        for _ in range(3):
            await made.tick(pilot)
        assert made.client.count("/cron/tidy/history") == asked + 3

    drive(act, routes=full, tab="cron")
