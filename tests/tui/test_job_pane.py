"""One job from the outside: what it tells, what it asks for, where it leads, and what it never does."""

from __future__ import annotations

import json
import shlex
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.app import SuspendNotSupported
from textual.pilot import Pilot

from gqm_tui.core.client import path
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.outside import Outside, Tools
from gqm_tui.screens.choose import ChooseScreen
from gqm_tui.screens.panes.job import JobPane
from gqm_tui.widgets.json_view import JsonView
from tests.support.tui import NOW, FakeClient, attempt, edge, graph, job_detail, node
from tests.support.tui_app import NARROW, WIDE, Scene, World
from tests.support.tui_screen import drive, footer, lines, pane, text, title, toasts
from tests.tui.scenes import job as scenes
from tests.tui.scenes.job import CHILDREN, ID, PARENT, attempts, detail, routes_for

SECTION = "right_square_bracket"


async def opened(made: World, pilot: Pilot[Any], job_id: str = ID) -> JobPane:
    made.app.doors.job(job_id)
    await made.settle(pilot)
    await made.settle(pilot)
    found = pane(made)
    assert isinstance(found, JobPane)
    return found


def about(act: Callable[[World, Pilot[Any]], Any], size: tuple[int, int] = WIDE, **given: Any) -> None:
    """Open the job of the pictures, or a changed one, and act on it."""
    role = given.pop("role", "admin")
    routes = given.pop("routes", None) or routes_for(
        detail(**given.pop("changes", {})), given.pop("tries", None)
    )

    async def all_of_it(made: World, pilot: Pilot[Any]) -> None:
        await opened(made, pilot)
        await act(made, pilot)

    drive(Scene(routes, role=role, **given), all_of_it, size)


# -- what it asks for


@pytest.mark.fault(20)
def test_job_and_links_are_fetched_while_open_and_attempts_when_there_is_a_new_one() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        asked = made.client.count
        assert (asked(f"/jobs/{ID}"), asked(f"/jobs/{ID}/attempts"), asked(f"/dag/{ID}/graph")) == (1, 1, 1)
        assert [one.params for one in made.client.asked if one.path.endswith("/graph")] == [{"depth": "1"}]
        for _ in range(10):
            await made.tick(pilot)
        assert asked(f"/jobs/{ID}") == 11
        assert asked(f"/jobs/{ID}/attempts") == 1
        assert asked(f"/dag/{ID}/graph") == 3
        made.client.route("GET", f"/jobs/{ID}", detail(attempt=6, status="retry", due_at=NOW + 60))
        made.client.route("GET", f"/jobs/{ID}/attempts", [attempt(6, outcome="retry"), *attempts()])
        await made.tick(pilot)
        await made.settle(pilot)
        assert asked(f"/jobs/{ID}/attempts") == 2
        assert "Attempts 6" in text(made)
        assert "↻ retry" in title(made)

    about(act)


def test_attempts_that_failed_to_come_are_asked_for_again() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.route("GET", f"/jobs/{ID}", detail(attempt=6))
        made.client.route("GET", f"/jobs/{ID}/attempts", ApiError(Kind.TIMEOUT, text="too slow"))
        await made.tick(pilot)
        assert "! attempts: timeout" in title(made)
        made.client.route("GET", f"/jobs/{ID}/attempts", attempts())
        await made.tick(pilot)
        await made.tick(pilot)
        assert "! attempts" not in title(made)

    about(act)


@pytest.mark.fault(15)
def test_a_late_reply_of_another_job_is_dropped() -> None:
    def two(client: FakeClient) -> None:
        scenes.ok(client)
        client.route(
            "GET", f"/jobs/{PARENT}", job_detail(PARENT, type="parent.type", payload={"of": "parent"})
        )

    async def act(made: World, pilot: Pilot[Any]) -> None:
        gate = made.client.hold(f"/jobs/{ID}")
        first = await opened(made, pilot)
        assert "waiting for the job" in text(made)
        second = await opened(made, pilot, PARENT)
        gate.set()
        await made.settle(pilot)
        await made.settle(pilot)
        assert pane(made) is second
        assert '"of": "parent"' in text(made)
        assert "ana.lindqvist" not in text(made)
        assert first.job is None
        await made.press(pilot, "escape")
        await made.tick(pilot)
        assert "ana.lindqvist" in text(made)
        assert '"of": "parent"' not in text(made)

    drive(Scene(two), act)


@pytest.mark.fault(28)
def test_a_job_that_vanishes_stays_open_and_says_so() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        for place in (f"/jobs/{ID}", f"/jobs/{ID}/attempts", f"/dag/{ID}/graph"):
            made.client.route("GET", place, None)
        for _ in range(20):
            await made.tick(pilot)
        assert isinstance(pane(made), JobPane)
        assert "gone, last data kept" in title(made)
        assert "ana.lindqvist" in text(made)
        assert "DOWN" not in lines(made)[0]
        await made.press(pilot, "r")
        assert toasts(made)[-1] == "this job is gone"
        assert made.client.written == []

    about(act)


@pytest.mark.fault(28)
def test_a_job_that_never_was_is_told() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await opened(made, pilot, "no-such-job")
        await made.tick(pilot)
        assert "There is no job no-such-job." in text(made)
        assert "DOWN" not in lines(made)[0]
        await made.press(pilot, "escape")
        assert not isinstance(pane(made), JobPane)

    drive(Scene(scenes.ok), act)


@pytest.mark.fault(28)
def test_an_outage_keeps_the_job_and_locks_its_keys() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.down = ApiError(Kind.REFUSED, text="connection refused")
        for _ in range(8):
            await made.tick(pilot)
        assert "DOWN" in lines(made)[0]
        assert "ana.lindqvist" in text(made)
        assert "Retry" not in footer(made)
        await made.press(pilot, "r")
        assert "the server is away" in toasts(made)[-1]

    about(act)


@pytest.mark.parametrize(
    ("kind", "shown"),
    [(Kind.UNAUTHORIZED, "Sign in to prod-eu"), (Kind.FORBIDDEN, "You are admin apikey:ops")],
)
def test_a_refusal_is_told_instead_of_a_job(kind: Kind, shown: str) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.route("GET", f"/jobs/{ID}", ApiError(kind, 401, text="no"))
        await opened(made, pilot)
        assert shown in text(made)

    drive(Scene(scenes.ok), act)


def test_frozen_holds_the_job_and_catches_up() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "f")
        made.client.route("GET", f"/jobs/{ID}", detail(status="ready", payload={"other": 1}))
        await made.tick(pilot)
        assert "changes held" in title(made)
        assert "ana.lindqvist" in text(made)
        await made.press(pilot, "f")
        assert '"other": 1' in text(made)
        assert "○ ready" in title(made)

    about(act)


# -- what it tells


def test_its_story_stands_on_one_line() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        line = next(line for line in lines(made) if "created 11:46:01Z" in line)
        assert "─ try 1 ✗ 11:47:31 ─ try 2 ✗ 11:48:40 ─ … ─ try 5 ✗ 12:00:01 ─ DLQ" in line
        assert line.rstrip().endswith("by api-gateway · timeout 30s")

    about(act)


@pytest.mark.fault(10)
@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"status": "completed", "error": None, "execution_duration": 120}, "done 12:00:01Z in 120ms"),
        ({"status": "completed", "error": None, "execution_duration": 72_000}, "done 12:00:01Z in 1m12s"),
        (
            {
                "status": "processing",
                "elapsed_ms": 41_000,
                "progress": {"current": 12, "total": 40, "message": "sending"},
            },
            "try 5 ► 41.00s · 12/40 sending",
        ),
        ({"status": "retry", "due_at": NOW + 91.5}, "retry in 1m30s"),
        ({"status": "scheduled", "due_at": NOW + 91.5}, "runs in 1m30s"),
        ({"status": "scheduled", "due_at": NOW - 9}, "runs due"),
        ({"status": "deferred", "pending_deps": [PARENT]}, "waits on 1"),
        ({"status": "canceled", "cancel_reason": "by ana"}, "canceled 12:00:01Z: by ana"),
        ({"created_at": int(NOW) - 3 * 86_400}, "created 11-21 12:00:03Z"),
        ({"cron_id": "nightly-report"}, "by cron nightly-report"),
    ],
)
def test_the_end_of_the_story_depends_on_the_state(changes: dict[str, Any], shown: str) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert shown in text(made)

    about(act, changes=changes, tries=[])


@pytest.mark.parametrize("size", [WIDE, NARROW, (60, 15), (200, 50)])
def test_all_six_sections_can_be_reached_at_any_width(size: tuple[int, int]) -> None:
    facts = ("ana.lindqvist", '"rejected"', '"tenant"', "invoice.render", "Traceback (most", "WORKER")

    async def act(made: World, pilot: Pilot[Any]) -> None:
        for fact in facts:
            assert fact in text(made), fact
            await made.press(pilot, SECTION)
        assert "[Payload]" in text(made)
        await made.press(pilot, "left_square_bracket")
        assert "[Attempts" in text(made)

    about(act, size)


def test_the_section_stays_through_resize_and_polls() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, SECTION, SECTION, SECTION, SECTION)
        for width in (80, 59, 120, 100):
            await pilot.resize_terminal(width, 30)
            await made.tick(pilot)
            assert width == 59 or "[Traceback]" in text(made)
        assert made.app.screen.focused is made.app.screen.query_one("#right", JsonView)

    about(act)


@pytest.mark.parametrize(
    ("changes", "section", "shown"),
    [
        ({"result": None}, 1, "null"),
        ({"result_note": "larger than 1 MiB"}, 1, "no result: larger than 1 MiB"),
        ({"status": "ready"}, 1, "not finished yet"),
        ({}, 1, "no result kept"),
        ({"meta": None}, 2, "no meta"),
        ({"traceback": None, "error": "OSError: only this"}, 4, "OSError: only this"),
        ({"traceback": None, "error": None}, 4, "no traceback"),
        ({"payload": "\x80 not json", "payload_invalid": True}, 0, "not JSON; this is the stored text:"),
    ],
)
def test_what_is_missing_is_said(changes: dict[str, Any], section: int, shown: str) -> None:
    shape = detail(**changes)
    if "result" not in changes:
        shape.pop("result")
    if "meta" in changes:
        shape.pop("meta")

    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, *[SECTION] * section)
        assert shown in text(made)

    about(act, NARROW, routes=routes_for(shape))


def test_secrets_are_hidden_until_they_are_asked_for() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "hunter2" not in text(made)
        assert "1 hidden" in text(made)
        await made.press(pilot, "m")
        assert "hunter2" in text(made)
        assert "hidden" not in text(made)
        await made.press(pilot, "m")
        assert "hunter2" not in text(made)

    about(act)


def test_digits_of_large_numbers_stay() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "340282366920938463463374607431768211455" in text(made)

    about(act, NARROW)


def test_long_lines_are_cut_and_wrapped() -> None:
    long = "".join(f"{number:04}" for number in range(200))

    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "0199" not in text(made)
        assert "…" in text(made)
        await made.press(pilot, "w")
        assert "0199" in "".join(line.strip() for line in lines(made))
        await made.press(pilot, "w")
        assert "0199" not in text(made)

    about(act, NARROW, changes={"payload": {"long": long}, "traceback": None})


def test_scrolling_by_line_by_page_and_to_the_ends() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        view = made.app.screen.query_one("#left", JsonView)
        await made.press(pilot, "j", "down", "ctrl+d", "pagedown")
        assert view.scroll_y == 2 + 2 * (view.size.height // 2)
        await made.press(pilot, "G")
        assert view.scroll_y == view.max_scroll_y
        assert " 502 ]" in text(made)
        await made.tick(pilot)
        assert view.scroll_y == view.max_scroll_y
        await made.press(pilot, "g")
        assert view.scroll_y == 0

    about(act, changes={"payload": list(range(500))})


# -- where it leads


def test_the_only_parent_opens_and_several_children_are_asked_for() -> None:
    def family(client: FakeClient) -> None:
        scenes.ok(client)
        for name in (PARENT, *CHILDREN):
            client.route("GET", f"/jobs/{name}", job_detail(name))

    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "C Children 2" in footer(made)
        await made.press(pilot, "C")
        assert isinstance(made.app.screen, ChooseScreen)
        assert "invoice.archive" in text(made)
        await made.press(pilot, "j", "enter")
        shown = pane(made)
        assert isinstance(shown, JobPane)
        assert shown.job_id == CHILDREN[1]
        await made.press(pilot, "escape", "P")
        shown = pane(made)
        assert isinstance(shown, JobPane)
        assert shown.job_id == PARENT
        await made.press(pilot, "P")
        assert toasts(made)[-1] == "this job has no parents"
        await made.press(pilot, "1")
        assert not isinstance(pane(made), JobPane)

    about(act, routes=family)


def test_a_parent_that_only_the_graph_knows_is_a_link() -> None:
    around = graph(ID, [node(PARENT), node(ID, 1)], [edge(PARENT, ID)])

    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.route("GET", f"/dag/{ID}/graph", around)
        await made.press(pilot, "f5")
        assert "P Parent" in footer(made)

    about(act, changes={"depends_on": [], "children": [], "child_count": 0})


# -- actions


@pytest.mark.fault(17)
@pytest.mark.parametrize(
    ("status", "keys"),
    [
        ("ready", "xd"),
        ("scheduled", "rxd"),
        ("retry", "rxd"),
        ("deferred", "xd"),
        ("processing", "x"),
        ("completed", "d"),
        ("dead_letter", "rd"),
        ("failed", "rd"),
        ("canceled", "rd"),
        ("stopped", "rd"),
    ],
)
def test_only_what_the_state_allows_is_offered(status: str, keys: str) -> None:
    words = {"r": "Run now" if status in ("scheduled", "retry") else "Retry", "x": "Cancel", "d": "Delete"}

    async def act(made: World, pilot: Pilot[Any]) -> None:
        for key, word in words.items():
            assert (f"{key} {word}" in footer(made)) is (key in keys), key
            before = len(toasts(made))
            await made.press(pilot, key)
            if key in keys:
                assert ID in text(made)
                await made.press(pilot, "escape")
            else:
                assert "cannot be" in toasts(made)[before]
        assert made.client.written == []

    about(act, changes={"status": status})


def test_retry_asks_then_sends_once_and_fetches_anew() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.route("POST", f"/jobs/{ID}/retry", {"job_id": ID, "status": "ready"})
        asked = made.client.count(f"/jobs/{ID}")
        await made.press(pilot, "r", "y")
        assert [one.path for one in made.client.written] == [path("jobs", ID, "retry")]
        assert made.client.count(f"/jobs/{ID}") > asked

    about(act)


@pytest.mark.fault(17)
def test_a_viewer_sends_nothing() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "r", "x", "d")
        assert made.client.written == []
        assert set(toasts(made)) == {"needs admin (you are viewer apikey:ops)"}
        assert "Retry" not in footer(made)

    about(act, role="viewer")


# -- out of the screen


class Taken:
    """What was handed to the outside."""

    def __init__(self, error: Exception | None = None) -> None:
        self.clips: list[str] = []
        self.ran: list[str] = []
        self.texts: list[str] = []
        self.modes: list[int] = []
        self.files: list[Path] = []
        self.suspended = 0
        self.error = error

    def put(self, made: World) -> None:
        def clip(words: str) -> bool:
            self.clips.append(words)
            return True

        def run(command: Sequence[str]) -> int:
            if self.error is not None:
                raise self.error
            file = Path(command[-1])
            self.ran.append(command[0])
            self.files.append(file)
            self.texts.append(file.read_text())
            self.modes.append(stat.S_IMODE(file.stat().st_mode))
            return 0

        @contextmanager
        def suspend(_app: object) -> Iterator[None]:
            self.suspended += 1
            yield

        made.app.outside = Outside(made.app, Tools(clipboard=clip, run=run, suspend=suspend))


def test_copies_hide_secrets_until_they_are_revealed() -> None:
    taken = Taken()

    async def act(made: World, pilot: Pilot[Any]) -> None:
        taken.put(made)
        await made.press(pilot, "y", "i", "y", "s", "y", "j", "y", "c")
        await made.press(pilot, "m", "y", "s", "y", "j")

    about(act)
    name, section, whole, command, open_section, open_whole = taken.clips
    assert name == ID
    assert json.loads(section)["password"] == "••••"
    assert json.loads(whole)["payload"]["password"] == "••••"
    assert json.loads(whole)["meta"]["api_token"] == "••••"
    assert "hunter2" not in section + whole
    assert shlex.split(command)[-1].endswith(f"/api/v1/jobs/{ID}")
    assert json.loads(open_section)["password"] == "hunter2"
    assert json.loads(open_whole)["payload"]["tracking_id"] == 2**128 - 1


def test_pager_and_editor_get_a_private_file_that_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "less -R")
    monkeypatch.setenv("EDITOR", "vim")
    taken = Taken()

    async def act(made: World, pilot: Pilot[Any]) -> None:
        taken.put(made)
        await made.press(pilot, "o", *[SECTION] * 4, "O")

    about(act)
    assert taken.ran == ["less", "vim"]
    assert taken.suspended == 2
    assert taken.modes == [0o600, 0o600]
    assert json.loads(taken.texts[0])["password"] == "••••"
    assert taken.texts[1].startswith("Traceback (most recent call last):\n")
    assert [file.suffix for file in taken.files] == [".json", ".txt"]
    assert not any(file.exists() or file.parent.exists() for file in taken.files)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            FileNotFoundError(2, "No such file or directory"),
            "$PAGER cannot be started: No such file or directory",
        ),
        (SuspendNotSupported(), "this terminal cannot be handed to another program"),
    ],
)
def test_a_pager_that_cannot_start_is_told(error: Exception, told: str) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        Taken(error).put(made)
        await made.press(pilot, "o")
        assert toasts(made)[-1] == told
        assert "ana.lindqvist" in text(made)

    about(act)


def test_a_broken_pager_setting_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "less '")

    async def act(made: World, pilot: Pilot[Any]) -> None:
        Taken().put(made)
        await made.press(pilot, "o")
        assert "PAGER cannot be split into words" in toasts(made)[-1]

    about(act)


def test_a_copy_that_a_terminal_may_cut_is_told() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.app.outside = Outside(made.app, Tools(clipboard=lambda _text: False))
        await made.press(pilot, "y", "s")
        assert "the terminal may not take it all" in toasts(made)[-1]

    about(act, changes={"payload": {"x": "y" * 90_000}})
