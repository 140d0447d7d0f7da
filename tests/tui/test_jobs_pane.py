"""The jobs of a queue from the outside: states, pages, marks, filters, actions, copies."""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from gqm_tui.core.client import path
from gqm_tui.core.jobstate import SECTIONS
from gqm_tui.outside import Outside, Tools
from gqm_tui.screens.panes.jobs import JobsPane
from tests.support.tui import NOW, FakeClient, job, listed
from tests.support.tui_app import Scene, World
from tests.support.tui_screen import cursor, drive, footer, lines, pane, table, text, title, toasts
from tests.tui.scenes import jobs
from tests.tui.scenes.jobs import BILLING, job_id, ready_jobs

TOTAL = 31_204
JOBS = path("jobs")
OPEN = Scene(jobs.ok, ("enter",))


def pages(params: dict[str, str], _body: object) -> Any:
    """A list of 31,204 jobs, cut into pages as the server does it."""
    first = (int(params["page"]) - 1) * int(params["limit"])
    numbers = range(TOTAL) if params["order"] == "desc" else range(TOTAL - 1, -1, -1)
    rows = [job(f"j{number:05}", status=params["status"]) for number in numbers[first : first + 100]]
    return listed(rows, total=TOTAL, page=int(params["page"]), server_time=NOW)


def with_jobs(route: Any) -> Callable[[FakeClient], None]:
    def fill(client: FakeClient) -> None:
        jobs.ok(client)
        client.route("GET", "/jobs", route)

    return fill


def last_asked(made: World) -> dict[str, str]:
    return dict([one for one in made.client.asked if one.path == JOBS][-1].params)


def test_the_list_is_one_query_that_the_server_sorts() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert last_asked(made) == {
            "queue": "billing",
            "status": "ready",
            "page": "1",
            "limit": "100",
            "sort": "time",
            "order": "desc",
        }
        assert table(made).table.keys == [job_id(number) for number in range(100)]
        assert "Queues › billing › ready" in title(made)
        assert "1-100 of 31,204 · newest first" in title(made)

    drive(OPEN, act)


@pytest.mark.fault(8)
def test_all_ten_states_can_be_listed_and_counts_stand_beside_them() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        seen = []
        for _ in SECTIONS:
            seen.append(last_asked(made)["status"])
            await made.press(pilot, "right_square_bracket")
        assert seen == list(SECTIONS)
        assert last_asked(made)["status"] == "ready"
        line = next(line for line in lines(made) if "[ready" in line)
        for words in (
            "[ready 31,204]",
            "active 32",
            "sched 18",
            "retry 41",
            "defer ·",
            "done 120,402",
            "DLQ 391",
        ):
            assert words in line
        await made.press(pilot, "left_square_bracket")
        assert last_asked(made)["status"] == "failed"

    drive(OPEN, act)


@pytest.mark.fault(6)
def test_the_last_of_all_jobs_can_be_reached() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "n", "n")
        assert last_asked(made)["page"] == "3"
        assert "201-300 of 31,204" in title(made)
        shown = table(made)
        shown.page = 312
        await made.press(pilot, "n", "G")
        assert cursor(made) == "j31203"
        assert "31,201-31,204 of 31,204" in title(made)
        await made.press(pilot, "n")
        assert toasts(made)[-1] == "this is the last page"
        assert last_asked(made)["page"] == "313"
        await made.press(pilot, "S")
        assert last_asked(made)["page"] == "1"
        assert cursor(made) == "j31203"
        assert "next to run first" in title(made)
        await made.press(pilot, "N")
        assert toasts(made)[-1] == "this is the first page"

    drive(Scene(with_jobs(pages), ("enter",)), act)


def test_later_pages_look_at_the_list_as_it_was() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        first = float(f"{NOW:.6f}")
        assert "until" not in last_asked(made)
        await made.press(pilot, "n")
        assert float(last_asked(made)["until"]) == first
        await made.tick(pilot)
        assert float(last_asked(made)["until"]) == first
        await made.press(pilot, "N")
        assert "until" not in last_asked(made)
        for _ in range(2):
            await made.press(pilot, "right_square_bracket")
        await made.press(pilot, "n")
        assert last_asked(made)["status"] == "scheduled"
        assert "until" not in last_asked(made)

    drive(Scene(with_jobs(pages), ("enter",)), act)


@pytest.mark.fault(7)
def test_a_job_that_fails_now_is_the_first_row_at_the_next_poll() -> None:
    rows = [job(f"old{number}") for number in range(5)]

    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, *["left_square_bracket"] * 4)
        assert last_asked(made)["status"] == "dead_letter"
        rows.insert(0, job("new"))
        await made.tick(pilot)
        assert table(made).table.keys[0] == "new"
        assert cursor(made) == "old0"

    drive(Scene(with_jobs(lambda _params, _body: listed(list(rows))), ("enter",)), act)


@pytest.mark.fault(15)
def test_a_late_reply_of_another_state_or_queue_is_dropped() -> None:
    def by_query(params: dict[str, str], _body: object) -> Any:
        name = f"{params.get('queue')}-{params['status']}"
        return listed([job(name, status=params["status"])])

    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert table(made).table.keys == ["billing-ready"]
        gate = made.client.hold("/jobs")
        await made.press(pilot, "right_square_bracket")
        assert table(made).table.keys == []
        assert "waiting for jobs" in text(made)
        await made.press(pilot, "right_square_bracket")
        gate.set()
        await made.settle(pilot)
        await made.settle(pilot)
        assert table(made).table.keys in ([], ["billing-scheduled"])
        await made.tick(pilot)
        assert table(made).table.keys == ["billing-scheduled"]
        made.app.doors.jobs("emails")
        await made.settle(pilot)
        assert table(made).table.keys == ["emails-ready"]
        await made.press(pilot, "escape")
        assert table(made).table.keys == ["billing-scheduled"]

    drive(Scene(with_jobs(by_query), ("enter",)), act)


def test_a_name_with_a_comma_is_one_queue() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.route("GET", "/queues/a%2Cb/jobs", listed([job("x")]))
        made.app.doors.jobs("a,b")
        await made.settle(pilot)
        assert table(made).table.keys == ["x"]
        assert "queue" not in [one for one in made.client.asked if one.path.endswith("/jobs")][-1].params

    drive(OPEN, act)


def test_a_queue_that_is_gone_stays_open_and_says_so() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.route("GET", "/queues/billing", None)
        await made.tick(pilot)
        assert "billing › ready · gone" in title(made)
        assert len(table(made).table.keys) == 100

    drive(OPEN, act)


# -- marks and filters


def test_marks_by_row_by_range_and_all_that_match() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "space", "j", "v")
        assert list(table(made).marks) == [job_id(0), job_id(1), job_id(2)]
        assert footer(made).startswith("3 marked · x Cancel")
        assert "a All 31,204 matching" in footer(made)
        await made.press(pilot, "escape")
        assert table(made).marks == {}
        assert isinstance(pane(made), JobsPane)
        await made.press(pilot, "a")
        assert footer(made).startswith("all 31,204 matching · ")
        assert text(made).count("✓  0194") > 20
        await made.press(pilot, "escape", "escape")
        assert not isinstance(pane(made), JobsPane)

    drive(OPEN, act)


def test_marks_belong_to_their_state_and_survive_a_page() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "space", "n", "space")
        assert list(table(made).marks) == ["j00000", "j00100"]
        await made.press(pilot, "right_square_bracket")
        assert table(made).marks == {}

    drive(Scene(with_jobs(pages), ("enter",)), act)


@pytest.mark.fault(13)
@pytest.mark.parametrize(
    ("typed", "params"),
    [
        ("type:smtp", {"type": "smtp*"}),
        ("type=smtp.send", {"type": "smtp.send"}),
        ("8f3a", {"q": "8f3a"}),
        ("id:8f3a", {"q": "8f3a"}),
        ('error:"took over 30 s" worker:fast@eu1', {"error": "took over 30 s", "worker": "fast@eu1"}),
        ("since:15m until:5m", {"since": "-15m", "until": "-5m"}),
    ],
)
def test_the_filter_goes_to_the_server(typed: str, params: dict[str, str]) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "slash")
        table(made).set_filter(typed)
        await made.settle(pilot)
        await made.press(pilot, "enter")
        asked = last_asked(made)
        assert {name: asked[name] for name in params} == params
        assert set(asked) == {"queue", "status", "page", "limit", "sort", "order", *params}

    drive(OPEN, act)


def test_a_field_that_the_server_does_not_know_is_refused_in_the_bar() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "slash", *"type:smtp")
        await made.press(pilot, *" age")
        asked = made.client.count("/jobs")
        await made.press(pilot, *">5m")
        assert "no field age here" in text(made)
        assert last_asked(made)["q"] == "age"
        assert made.client.count("/jobs") == asked

    drive(OPEN, act)


def test_a_filter_counts_what_it_leaves() -> None:
    def some(params: dict[str, str], _body: object) -> Any:
        return listed(ready_jobs(12), total=12) if "type" in params else listed(ready_jobs(100), total=TOTAL)

    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "slash", *"type:smtp", "enter")
        assert "12 of 31,204 match · 1-12" in title(made)
        await made.press(pilot, "escape")
        assert "1-100 of 31,204" in title(made)

    drive(Scene(with_jobs(some), ("enter",)), act)


def test_a_lower_bound_says_so() -> None:
    route = listed(ready_jobs(100), total=10_000, truncated=True)

    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "1-100 of ≥10,000" in title(made)

    drive(Scene(with_jobs(route), ("enter",)), act)


# -- actions


@pytest.mark.fault(17)
def test_only_what_the_state_allows_is_offered() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "x Cancel" in footer(made)
        assert "Retry" not in footer(made)
        await made.press(pilot, "r")
        assert toasts(made)[-1] == "a job that is ready cannot be retried"
        await made.press(pilot, "right_square_bracket", "d")
        assert toasts(made)[-1] == "a job that is active cannot be deleted"
        await made.press(pilot, "right_square_bracket")
        assert "r Run now" in footer(made)
        assert made.client.written == []

    drive(OPEN, act)


@pytest.mark.fault(14)
def test_the_question_is_about_the_job_it_names() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "j", "x")
        made.client.route("GET", "/jobs", listed(list(reversed(ready_jobs(100))), total=TOTAL))
        await made.tick(pilot)
        assert job_id(1) in text(made)
        await made.press(pilot, "y")
        assert [one.path for one in made.client.written] == [path("jobs", job_id(1), "cancel")]

    def fill(client: FakeClient) -> None:
        jobs.ok(client)
        client.route(
            "POST", f"/jobs/{job_id(1)}/cancel", {"job_id": job_id(1), "status": "canceled", "was": "ready"}
        )

    drive(Scene(fill, ("enter",)), act)


def dry(eligible: int) -> dict[str, Any]:
    found = {"dry_run": True, "matched": eligible, "eligible": eligible, "skipped": {}, "sample": []}
    return {**found, "truncated": False, "as_of": NOW}


@pytest.mark.fault(16)
@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        (("space", "space", "d"), {"job_ids": [job_id(0), job_id(1)]}),
        (("a", "d"), {"filter": {"status": ["ready"], "queue": ["billing"]}, "limit": 100}),
    ],
)
def test_marks_and_all_that_match_become_a_bulk_action(keys: tuple[str, ...], wanted: dict[str, Any]) -> None:
    def fill(client: FakeClient) -> None:
        jobs.ok(client)
        client.route("POST", "/jobs/batch/delete", lambda _params, _body: dry(2))

    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, *keys)
        asked = made.client.written[-1].body
        assert asked.pop("dry_run") is True
        assert asked == wanted or {**asked, "limit": 100} == wanted
        assert "2 can be deleted" in text(made)

    drive(Scene(fill, ("enter",)), act)


def test_pause_and_empty_are_about_the_queue() -> None:
    def fill(client: FakeClient) -> None:
        jobs.ok(client)
        client.route(
            "POST", "/queues/billing/pause", {"queue": "billing", "status": "paused", "changed": True}
        )

    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "p")
        assert [one.path for one in made.client.written] == [path("queues", "billing", "pause")]
        made.client.route(
            "DELETE", "/queues/billing/empty", {"queue": "billing", "dry_run": True, "matched": 31_204}
        )
        await made.press(pilot, "D")
        assert "Empty queue billing?" in text(made)
        assert "type 31,204 to confirm" in text(made)

    drive(Scene(fill, ("enter",)), act)


@pytest.mark.fault(17)
def test_a_viewer_sends_nothing() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "space", "x", "d", "r", "p", "D")
        assert made.client.written == []
        assert toasts(made)[0] == "needs admin (you are viewer apikey:ops)"
        assert "Cancel" not in footer(made)

    drive(Scene(jobs.ok, ("enter",), role="viewer"), act)


# -- the cursor


@pytest.mark.fault(14)
def test_the_cursor_stays_on_its_job_over_polls_resize_and_removal() -> None:
    rows = ready_jobs(100)

    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, *["j"] * 6)
        held = cursor(made)
        for turn in range(20):
            rows.insert(0, job(f"new{turn}", status="ready"))
            rows.append(rows.pop(60))
            if turn % 5 == 0:
                await pilot.resize_terminal((120, 80, 60, 100)[turn // 5], 30)
            await made.tick(pilot)
            assert cursor(made) == held
        at = table(made).table.keys.index(str(held))
        following = table(made).table.keys[at + 1]
        rows[:] = [each for each in rows if each["id"] != held]
        await made.tick(pilot)
        assert cursor(made) == following

    drive(Scene(with_jobs(lambda _params, _body: listed(rows[:100], total=TOTAL)), ("enter",)), act)


@pytest.mark.fault(10)
@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"status": "processing", "worker_id": "fast@eu1"}, "fast@eu1"),
        ({"status": "processing", "worker_id": "fast@eu1", "stale": True}, "! fast@eu1"),
        ({"status": "scheduled", "due_at": NOW + 61.5}, "in 1m00s"),
        ({"status": "retry", "due_at": NOW - 5}, "due"),
        ({"status": "deferred", "pending_deps": ["a", "b"]}, "waits on 2"),
        ({"status": "canceled", "error": None, "cancel_reason": "parent failed"}, "parent failed"),
        ({"created_at": int(NOW) - 500 * 86_400}, "500d00h"),
    ],
)
def test_a_row_tells_where_the_job_is(changes: dict[str, Any], shown: str) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert shown in text(made)

    drive(Scene(with_jobs(listed([job("x", **changes)])), ("enter",)), act)


# -- out of the screen


class Taken:
    """What was handed to the outside."""

    def __init__(self, folder: Path) -> None:
        self.clips: list[str] = []
        self.folder = folder

    def put(self, made: World) -> None:
        def clip(words: str) -> bool:
            self.clips.append(words)
            return True

        made.app.outside = Outside(made.app, Tools(clipboard=clip, folder=lambda: self.folder))


def test_copy_gives_id_row_json_and_a_command(tmp_path: Path) -> None:
    taken = Taken(tmp_path)

    async def act(made: World, pilot: Pilot[Any]) -> None:
        taken.put(made)
        told = []
        for letter in "irjc":
            await made.press(pilot, "y", letter)
            told.append(toasts(made)[-1])
        await made.press(pilot, "y", "escape")
        await made.press(pilot, "y", "j", "k", "enter")
        assert made.app.clipboard == taken.clips[-1]
        assert told[1:] == ["copied the row", "copied the row as JSON", "copied a curl command"]

    drive(OPEN, act)
    name, row, found, command, *rest = taken.clips
    assert name == job_id(0)
    assert row.split("\t")[2:4] == ["smtp.send", "○ ready"]
    assert json.loads(found)["id"] == job_id(0)
    assert shlex.split(command)[-1] == f"http://127.0.0.1:8080/api/v1/jobs/{job_id(0)}"
    assert "$GQM_API_KEY" in command
    # In the dialog `j` is a letter of a choice, so it takes it and does not move.
    assert json.loads(rest[0])["id"] == job_id(0)


@pytest.mark.fault(22)
@pytest.mark.parametrize("letter", ["c", "j"])
def test_export_writes_every_shown_row_whole_and_safe(letter: str, tmp_path: Path) -> None:
    taken = Taken(tmp_path)
    rows = [job("=1+1", status="ready", type="@SUM(1)", error="-2+3\x1b[2J"), *ready_jobs(3)]

    async def act(made: World, pilot: Pilot[Any]) -> None:
        taken.put(made)
        await made.press(pilot, "ctrl+s")
        assert "Export 4 rows of this page" in text(made)
        await made.press(pilot, letter)
        assert "saved 4 rows in" in toasts(made)[-1]
        await made.press(pilot, "space", "ctrl+s", letter)
        assert "saved 1 marked row in" in toasts(made)[-1]

    drive(Scene(with_jobs(listed(rows)), ("enter",)), act)
    files = sorted(tmp_path.iterdir(), key=lambda file: file.stat().st_size)
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]
    content = files[1].read_text()
    if letter == "c":
        table_rows = list(csv.DictReader(content.splitlines()))
        assert table_rows[0]["id"] == "'=1+1"
        assert table_rows[0]["type"] == "'@SUM(1)"
        assert table_rows[0]["error"].startswith("'-2+3")
        assert table_rows[1]["id"] == job_id(0)
        assert float(table_rows[1]["age"]) > 800
    else:
        found = json.loads(content)
        assert found[1]["id"] == job_id(0)
        assert found[0]["type"] == "@SUM(1)"
    assert "\x1b" not in content
    assert len(files[0].read_text()) < len(content)


def test_nothing_to_take_out_is_told(tmp_path: Path) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "y", "ctrl+s")
        assert toasts(made) == ["there is no row to copy", "there are no rows to save"]

    drive(Scene(with_jobs(listed([])), ("enter",)), act)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        Taken(tmp_path / "nowhere").put(made)
        await made.press(pilot, "ctrl+s", "c")
        assert toasts(made)[-1] == "nothing was saved: No such file or directory"

    drive(OPEN, act)


def test_a_copied_command_is_one_that_a_shell_takes(tmp_path: Path) -> None:
    taken = Taken(tmp_path)

    async def act(made: World, pilot: Pilot[Any]) -> None:
        taken.put(made)
        await made.press(pilot, "y", "c")

    drive(OPEN, act)
    assert subprocess.run(["sh", "-n", "-c", taken.clips[0]], check=True, capture_output=True).returncode == 0


def test_the_queue_behind_the_states_is_asked_beside_the_page() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.client.route("GET", "/queues/billing", {**BILLING, "dead_letter": 392})
        await made.tick(pilot)
        assert "DLQ 392" in text(made)

    drive(OPEN, act)
