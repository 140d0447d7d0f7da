"""The palette: what it lists and finds, what it runs, what it refuses, and the views it keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw
from textual.pilot import Pilot
from textual.widgets import Input

from gqm_tui import keymap
from gqm_tui.core.config import ContextConfig, SavedView
from gqm_tui.core.palette import MOST_REMEMBERED, Entry, match, ranked, remembered
from gqm_tui.core.state import State, StateFile
from gqm_tui.core.table import Sort
from gqm_tui.screens.confirm import ConfirmScreen
from gqm_tui.screens.palette import PaletteScreen
from gqm_tui.screens.panes.failed import FailedPane
from gqm_tui.screens.panes.job import JobPane
from gqm_tui.screens.panes.jobs import JobsPane
from gqm_tui.screens.panes.queues import QueuesPane
from gqm_tui.widgets.live_table import LiveTable
from tests.support.tui import FakeClient
from tests.support.tui_app import NARROW, WIDE, World, world
from tests.tui.scenes import dag, failed, jobs
from tests.tui.scenes.queues import QUEUES, ok, routes_for

Steps = Callable[[World, Pilot[Any]], Awaitable[None]]


def play(made: World, steps: Steps, size: tuple[int, int] = WIDE) -> None:
    """Start the app, let the first data in, and do the steps."""

    async def go() -> None:
        async with made.app.run_test(size=size, notifications=True) as pilot:
            await made.settle(pilot)
            await made.tick(pilot)
            await steps(made, pilot)

    asyncio.run(go())


def palette(made: World) -> PaletteScreen:
    assert isinstance(made.app.screen, PaletteScreen)
    return made.app.screen


async def typing(made: World, pilot: Pilot[Any], text: str) -> PaletteScreen:
    """Open the palette and type; a test of the keys themselves presses them one by one."""
    await made.press(pilot, "colon")
    screen = palette(made)
    screen.query_one(Input).value = text
    await made.settle(pilot)
    return screen


async def take(made: World, pilot: Pilot[Any], text: str) -> None:
    await typing(made, pilot, text)
    await made.press(pilot, "enter")
    await made.tick(pilot)


def listed_ids(screen: PaletteScreen) -> list[str]:
    return [found.entry.id for found in screen.found]


def toasts(made: World) -> list[str]:
    return [note.message for note in made.app._notifications]


# -- what is found


@pytest.mark.parametrize(
    ("typed", "text"),
    [("pause", "Pause billing"), ("pau bil", "Pause billing"), ("BIL", "Pause billing"), ("psbl", "x psbl")],
)
def test_letters_are_found(typed: str, text: str) -> None:
    found = match(typed, text)
    assert found is not None
    letters = "".join(text[at] for at in sorted(found[1])).casefold()
    assert letters == typed.replace(" ", "").casefold()


@pytest.mark.parametrize("typed", ["bilx", "pause emails", "pg"])
def test_what_is_not_there_is_not_found(typed: str) -> None:
    assert match(typed, "Pause billing") is None


def test_whole_words_come_before_beginnings_and_those_before_pieces() -> None:
    texts = ["deweb", "w-e-b", "webhooks", "my web"]
    found = ranked([Entry(text, "queue", text) for text in texts], "web", ())
    assert [item.entry.id for item in found] == ["my web", "webhooks", "deweb", "w-e-b"]


def test_what_was_taken_last_stands_before_its_equals_and_not_before_better_ones() -> None:
    entries = [Entry(text, "queue", text) for text in ("alpha one", "alpha two", "an alphabet")]
    assert ranked(entries, "", ["an alphabet"])[0].entry.id == "an alphabet"
    assert [item.entry.id for item in ranked(entries, "alpha", ["an alphabet", "alpha two"])] == [
        "alpha two",
        "alpha one",
        "an alphabet",
    ]


def test_letters_that_grow_when_they_are_lowered_are_marked_where_they_stand() -> None:
    found = match("x", "İİx")
    assert found is not None
    assert found[1] == {2}


def test_the_history_has_an_end_and_no_doubles() -> None:
    history: tuple[str, ...] = ()
    for number in range(50):
        history = remembered(history, f"job {number % 30}")
    assert len(history) == MOST_REMEMBERED
    assert history[0] == "job 19"
    assert len(set(history)) == len(history)


# -- what is listed


@pytest.mark.fault(27)
@pytest.mark.parametrize("tab", ["queues", "workers", "failed", "cron", "dag", "servers"])
@pytest.mark.parametrize("role", ["admin", "viewer"])
def test_the_palette_lists_the_keys_of_help_and_of_the_footer(tab: str, role: str) -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        from gqm_tui.screens.help import help_lines, written

        frame = made.app.visible_frame
        assert frame is not None
        lines = {line.key.id: line for line in help_lines(frame)}
        footer = frame.keys.offered()
        await made.press(pilot, "colon")
        entries = {found.entry.id: found.entry for found in palette(made).found}
        runs = {name for name, entry in entries.items() if entry.word == "run"}
        assert runs == lines.keys() - {"app.palette"}
        for name in runs:
            assert entries[name].locked == lines[name].locked
            assert entries[name].pressed in {written(key) for key in lines[name].pressed}
        for press, _shown, label in footer:
            name = next(line.key.id for line in lines.values() if press in line.pressed)
            if name in runs and keymap.BY_ID[name].mutates and entries[name].about:
                assert entries[name].text.startswith(label)

    play(world(ok, tab=tab, role=role), steps)


def test_every_printable_key_is_typed_and_nothing_but_its_keys_closes_it() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "colon", *"q3p :?")
        await made.tick(pilot, 5)
        assert palette(made).query_one(Input).value == "q3p :?"
        assert made.app.tab == "queues"
        assert not made.client.written
        await made.press(pilot, "escape")
        assert made.app.screen is made.app.visible_frame

    play(world(ok), steps)


def test_ctrl_p_opens_it_too_also_out_of_the_filter_bar() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "slash", "b", "ctrl+p")
        assert palette(made).is_current
        await made.press(pilot, *"freeze", "enter")
        assert made.app.frozen

    play(world(ok), steps)


def test_the_cursor_moves_and_stops_at_the_ends_and_tab_completes() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        screen = await typing(made, pilot, "queue web")
        assert listed_ids(screen) == ["queue webhooks", "queue webhooks-bulk", "queue web"]
        await made.press(pilot, "up", "down", "down", "down", "down")
        assert screen.cursor == 2
        await made.press(pilot, "ctrl+p", "tab")
        assert screen.query_one(Input).value == "queue webhooks-bulk"

    play(world(ok), steps)


def test_a_command_without_its_name_asks_for_it() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        screen = await typing(made, pilot, "open a job")
        assert listed_ids(screen)[0] == "job "
        await made.press(pilot, "enter")
        assert screen.is_current
        assert screen.query_one(Input).value == "job "

    play(world(ok), steps)


def test_a_long_list_follows_the_cursor_on_a_narrow_terminal() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "colon", "pagedown", "pagedown")
        screen = palette(made)
        top, height = screen._list.scroll_offset.y, screen._list.size.height
        assert screen.cursor == 20
        assert top <= 20 < top + height

    play(world(ok), steps, NARROW)


def test_a_click_takes_what_is_clicked_and_one_beside_the_box_leaves() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        screen = await typing(made, pilot, "queue web")
        await pilot.click(offset=(screen._lines.region.x + 3, screen._lines.region.y + 1))
        await made.settle(pilot)
        assert isinstance(made.app.visible_pane, JobsPane)
        assert made.app.visible_pane.queue == "webhooks-bulk"
        await made.press(pilot, "colon")
        await pilot.click(offset=(1, 30))
        await made.settle(pilot)
        assert made.app.screen is made.app.visible_frame

    play(world(ok), steps)


# -- what is run


def test_it_runs_what_the_key_does_and_remembers_it() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        await take(made, pilot, "pause bil")
        assert [(one.method, one.path) for one in made.client.written] == [
            ("POST", "/api/v1/queues/billing/pause")
        ]
        assert made.app.state.palette == ("queues.pause",)
        screen = await typing(made, pilot, "")
        assert listed_ids(screen)[0] == "queues.pause"

    def routes(client: FakeClient) -> None:
        ok(client)
        client.route("POST", "/queues/billing/pause", {"queue": "billing", "paused": True})

    play(world(routes), steps)


def test_what_asks_with_its_key_asks_here_too() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        await take(made, pilot, "empty billing")
        assert isinstance(made.app.screen, ConfirmScreen)
        assert all(one.params.get("dry_run") == "true" for one in made.client.written)

    play(world(ok), steps)


def test_a_viewer_is_told_why_and_nothing_is_sent() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        screen = await typing(made, pilot, "pause")
        entry = screen.found[0].entry
        assert (entry.id, entry.locked) == ("queues.pause", "needs admin (viewer)")
        await made.press(pilot, "enter")
        assert screen.is_current
        assert "needs admin (viewer)" in toasts(made)
        assert not made.client.written

    play(world(ok, role="viewer"), steps)


def test_a_lock_that_comes_while_it_is_open_counts() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        await typing(made, pilot, "pause bil")
        made.app.session.down = True
        await made.press(pilot, "enter")
        assert not made.client.written
        assert any("away" in text for text in toasts(made))

    play(world(ok), steps)


@pytest.mark.fault(14)
def test_the_queue_it_named_is_the_one_or_nothing_happens() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        await typing(made, pilot, "pause bil")
        routes_for([item for item in QUEUES if item["name"] != "billing"])(made.client)
        await made.tick(pilot)
        await made.press(pilot, "enter")
        assert not made.client.written
        assert any(text.startswith("Pause billing:") for text in toasts(made))

    play(world(ok), steps)


def test_pause_does_not_turn_into_resume_meanwhile() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        await typing(made, pilot, "pause bil")
        routes_for([{**item, "paused": True} for item in QUEUES])(made.client)
        await made.tick(pilot)
        await made.press(pilot, "enter")
        assert not made.client.written

    play(world(ok), steps)


def test_names_of_the_server_are_shown_harmlessly() -> None:
    name = "\x1b]0;owned\x07[bold]x[/bold] \u202eleft"

    async def steps(made: World, pilot: Pilot[Any]) -> None:
        screen = await typing(made, pilot, "queue owned")
        assert screen.found[0].entry.text == "␛]0;owned␇[bold]x[/bold] ‹U+202E›left"
        await made.press(pilot, "enter")
        assert isinstance(made.app.visible_pane, JobsPane)
        assert made.app.visible_pane.queue == name

    play(world(routes_for([{**QUEUES[1], "name": name}])), steps)


# -- commands


def test_job_opens_a_known_one_by_a_part_of_its_id_and_any_other_as_typed() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        known = str(failed.JOBS[0]["id"])
        screen = await typing(made, pilot, f"job {known[-8:]}")
        assert listed_ids(screen) == [f"job {known}", f"job {known[-8:]}"]
        await made.press(pilot, "escape")
        await take(made, pilot, f"job {known}")
        assert isinstance(made.app.visible_pane, JobPane)
        assert made.app.visible_pane.job_id == known
        await take(made, pilot, "job some/thing else")
        assert made.app.visible_pane.job_id == "some/thing else"

    play(world(failed.ok, tab="failed", settings={"failed_grouped": False}), steps)


@pytest.mark.fault(24)
def test_queue_opens_a_queue_of_any_name() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        await take(made, pilot, "queue a/b c%?#é")
        assert isinstance(made.app.visible_pane, JobsPane)
        assert made.app.visible_pane.queue == "a/b c%?#é"

    play(world(ok), steps)


def test_theme_changes_the_colours_at_once_and_is_kept() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        table = made.app.screen.query_one(LiveTable)
        before = table.get_cell("billing", "dlq").style
        await take(made, pilot, "theme gqm-light")
        assert made.app.theme == "gqm-light"
        assert made.app.state.theme == "gqm-light"
        assert table.get_cell("billing", "dlq").style != before
        screen = await typing(made, pilot, "theme nothing-like-it")
        assert screen.found == []

    play(world(ok), steps)


@pytest.mark.parametrize(("typed", "seconds"), [("every 5", 5.0), ("every 0.5", 0.5), ("every 90s", 90.0)])
def test_every_sets_the_pace_at_once_and_is_kept(typed: str, seconds: float) -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        await take(made, pilot, typed)
        assert made.app.interval == seconds
        assert made.app.state.interval == seconds
        await made.tick(pilot)
        asked = made.client.count("/queues")
        for _ in range(20):
            await made.tick(pilot, 0.5)
        assert abs(made.client.count("/queues") - asked - 10 / seconds) <= 1

    play(world(ok), steps)


@pytest.mark.parametrize("typed", ["every 0", "every soon", "every -5", "every nan", "every 1e9"])
def test_every_refuses_what_is_no_pace(typed: str) -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        screen = await typing(made, pilot, typed)
        assert screen.found == []
        await made.press(pilot, "enter")
        assert made.app.interval == 1.0

    play(world(ok), steps)


def test_ctx_opens_another_context() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        screen = await typing(made, pilot, "ctx us")
        assert listed_ids(screen) == ["ctx prod-us"]
        await made.press(pilot, "enter")
        await made.settle(pilot)
        assert made.app.context_name == "prod-us"

    both = tuple(
        ContextConfig(name=f"prod-{part}", url=f"http://{part}.example:8080") for part in ("eu", "us")
    )
    play(world(ok, settings={"contexts": both}), steps)


# -- saved views


def test_a_place_is_saved_and_opened_again_with_filter_and_order() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        pane = made.app.visible_pane
        assert isinstance(pane, QueuesPane)
        pane.set_filter("state:run")
        await made.press(pilot, "S")
        await take(made, pilot, "save my queues")
        assert any(text.startswith("saved view my queues: Queues state:run") for text in toasts(made))
        pane.set_filter("")
        await made.press(pilot, "S", "6")
        await take(made, pilot, "my queues")
        assert made.app.tab == "queues"
        assert (pane.filter_text, pane.sort) == ("state:run", Sort("ready", False))
        assert made.app.saved_sort("queues") == Sort("ready", True)

    play(world(ok), steps)


def test_the_jobs_of_a_queue_are_a_view() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        await take(made, pilot, "queue billing")
        pane = made.app.visible_pane
        assert isinstance(pane, JobsPane)
        await made.press(pilot, "right_square_bracket")
        pane.set_filter("type:smtp.send")
        await made.press(pilot, "s")
        chosen = pane.sort
        assert chosen != pane.first_sort
        await take(made, pilot, "save busy")
        await made.press(pilot, "S")
        await made.press(pilot, "2")
        await take(made, pilot, "view busy")
        again = made.app.visible_pane
        assert isinstance(again, JobsPane)
        assert again is not pane
        assert (again.queue, again.status, again.filter_text) == ("billing", "processing", "type:smtp.send")
        assert again.sort == chosen
        asked = [one.params for one in made.client.asked if one.path == "/api/v1/jobs"][-1]
        assert asked["type"] == "smtp.send*"
        assert asked["status"] == "processing"
        assert len(made.app.screen_stack) == 3

    play(world(jobs.ok), steps)


def test_failed_jobs_one_by_one_are_another_view_than_their_groups() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        pane = made.app.visible_pane
        assert isinstance(pane, FailedPane)
        await made.press(pilot, "b", "l")
        queue = pane.queue
        assert queue is not None
        await take(made, pilot, "save flat")
        await made.press(pilot, "b", "h", "1")
        await take(made, pilot, "view flat")
        assert made.app.visible_pane is pane
        assert (pane.grouped, pane.queue) == (False, queue)

    play(world(failed.ok, tab="failed"), steps)


def test_jobs_that_wait_are_another_view_than_roots() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "right_square_bracket")
        await take(made, pilot, "save waiting")
        await made.press(pilot, "left_square_bracket", "1")
        await take(made, pilot, "view waiting")
        assert getattr(made.app.visible_pane, "section", "") == "deferred"

    play(world(dag.lists, tab="dag"), steps)


def test_a_view_of_the_configuration_file_opens_a_tab_that_was_never_shown() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        screen = await typing(made, pilot, "timeouts")
        entry = screen.found[0].entry
        assert (entry.word, entry.text, entry.note) == ("view", "timeouts", "Failed error:Timeout")
        await made.press(pilot, "enter")
        await made.tick(pilot)
        pane = made.app.visible_pane
        assert isinstance(pane, FailedPane)
        assert pane.filter_text == "error:Timeout"
        asked = [one.params for one in made.client.asked if one.path == "/api/v1/failed/groups"][-1]
        assert asked["error"] == "Timeout"

    views = (SavedView("timeouts", "failed", "error:Timeout"),)
    play(world(failed.ok, settings={"views": views}), steps)


def test_what_is_no_tab_and_no_queue_is_not_saved() -> None:
    async def steps(made: World, pilot: Pilot[Any]) -> None:
        await take(made, pilot, "job 1")
        screen = await typing(made, pilot, "save this")
        assert screen.found[0].entry.locked
        await made.press(pilot, "enter")
        assert made.app.state.views == Raw(b"{}")

    play(world(ok), steps)


def test_damaged_views_are_told_and_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "tui.json"
    old = b'{"old": {"tab": "nowhere"}, "fine": {"tab": "cron"}}'

    async def steps(made: World, pilot: Pilot[Any]) -> None:
        screen = await typing(made, pilot, "view old")
        assert screen.found[0].entry.locked == "is damaged; it is left alone"
        await made.press(pilot, "enter")
        assert made.app.tab == "queues"
        assert "is damaged; it is left alone" in toasts(made)
        await made.press(pilot, "escape")
        await take(made, pilot, "save old")
        assert any(text.startswith("view old is damaged") for text in toasts(made))
        await take(made, pilot, "save new")
        kept = StateFile(path).state.views
        assert b'"nowhere"' in bytes(kept)
        assert b'"new"' in bytes(kept)
        await take(made, pilot, "view fine")
        assert made.app.tab == "cron"

    play(world(ok, state=State(views=Raw(old)), state_path=path), steps)


def test_views_that_are_no_table_are_told_and_nothing_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "tui.json"
    path.write_bytes(b'{"views": [1, 2]}')

    async def steps(made: World, pilot: Pilot[Any]) -> None:
        screen = await typing(made, pilot, "saved views")
        assert screen.found[0].entry.locked
        await made.press(pilot, "escape")
        await take(made, pilot, "save new")
        assert any("damaged" in text for text in toasts(made))
        assert StateFile(path).state.views == Raw(b"[1, 2]") or b"[\n" in path.read_bytes()

    play(world(ok, state_path=path), steps)
