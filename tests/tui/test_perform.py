"""Dry run, batches, stop, failures in the middle, and the log of what was done."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
from typing import Any

import msgspec
import pytest

from gqm_tui.core import actions
from gqm_tui.core.actionlog import MOST_ENTRIES, ActionLog, curl
from gqm_tui.core.actions import Action, Call, Plan
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.model import CronEntry, Job, Queue
from gqm_tui.core.perform import PressGuard, Progress, Result, Survey, run_bulk, run_one, survey
from tests.support import tui
from tests.support.tui import NOW, FakeClient, FakeClock

RETRY = "/jobs/batch/retry"
WANTED = {"status": ["dead_letter"], "fingerprint": "9f2c41d07be35a18"}
WHERE: dict[str, Any] = {"at": NOW, "context": "prod", "origin": "https://q.example"}


def batch(succeeded: int, next: str | None = None, **refused: int) -> dict[str, Any]:
    """An answer of the server: how many it took, and how many it refused by code."""
    results = [{"job_id": f"ok{number}", "ok": True, "status": "ready"} for number in range(succeeded)]
    for code, count in refused.items():
        item = {"ok": False, "code": code, "error": "x"}
        results += [{"job_id": f"{code}{number}", **item} for number in range(count)]
    return {"succeeded": succeeded, "failed": sum(refused.values()), "results": results, "next": next}


def dry(eligible: int, **skipped: int) -> dict[str, Any]:
    matched = eligible + sum(skipped.values())
    found = {"dry_run": True, "matched": matched, "eligible": eligible, "skipped": skipped}
    return {**found, "sample": ["a1", "a2"], "truncated": False, "as_of": NOW + 0.5}


def in_turn(*answers: Any) -> Any:
    """A route that gives one answer after the other."""
    left = list(answers)
    return lambda params, body: left.pop(0)


def everything(client: FakeClient, plan: Plan, as_of: float | None = None) -> list[Progress]:
    async def run() -> list[Progress]:
        return [progress async for progress in run_bulk(client, plan, as_of)]

    return asyncio.run(run())


@pytest.fixture
def client() -> FakeClient:
    return FakeClient(FakeClock())


def a_queue(**changes: Any) -> Queue:
    return msgspec.json.decode(msgspec.json.encode(tui.queue(**changes)), type=Queue)


PAUSE = actions.queue_plan(Action.PAUSE, a_queue())
GROUP = actions.filter_plan(Action.RETRY, WANTED, 386)


# -- dry runs


def test_a_dry_run_of_a_filter(client: FakeClient) -> None:
    client.route("POST", RETRY, dry(383, CONFLICT=3))
    found = asyncio.run(survey(client, GROUP))
    assert found.sentence(Action.RETRY) == "383 can be retried, 3 skipped: state has changed"
    assert (found.as_of, found.sample) == (NOW + 0.5, ("a1", "a2"))
    (asked,) = client.written
    assert asked.body == {"filter": WANTED, "dry_run": True}
    assert asked.long


def test_a_dry_run_of_many_marks_asks_in_thousands_and_adds_up(client: FakeClient) -> None:
    plan = actions.marks_plan(Action.RETRY, [f"j{number}" for number in range(2_500)])
    client.route("POST", RETRY, in_turn(dry(1_000), dry(900, CONFLICT=100), dry(499, NOT_FOUND=1)))
    found = asyncio.run(survey(client, plan))
    assert [len(asked.body["job_ids"]) for asked in client.written] == [1_000, 1_000, 500]
    text = "2,399 can be retried, 100 skipped: state has changed, 1 skipped: gone"
    assert found.sentence(Action.RETRY) == text


def test_a_dry_run_that_was_cut_short_says_so() -> None:
    assert Survey(100_000, truncated=True).sentence(Action.DELETE) == "at least 100,000 can be deleted"


def test_a_dry_run_of_emptying_a_queue(client: FakeClient) -> None:
    plan = actions.empty_plan(a_queue(name="a/b"))
    client.route("DELETE", "/queues/a%2Fb/empty", {"queue": "a/b", "dry_run": True, "matched": 7_127})
    found = asyncio.run(survey(client, plan))
    assert found.eligible == 7_127
    assert client.written[0].params == {"dry_run": "true"}


# -- bulk


def test_by_filter_until_the_cursor_ends_and_never_more_than_was_confirmed(client: FakeClient) -> None:
    client.route("POST", RETRY, in_turn(batch(100, "c1"), batch(98, "c2", CONFLICT=2), batch(83)))
    told = everything(client, GROUP, as_of=NOW + 0.5)
    assert [asked.body.get("cursor") for asked in client.written] == [None, "c1", "c2"]
    for asked in client.written:
        assert asked.body["filter"] == {**WANTED, "until": NOW + 0.5}
        assert asked.body["limit"] == 100
        assert "dry_run" not in asked.body
        assert asked.long
    assert [(progress.handled, progress.ended) for progress in told] == [
        (100, False),
        (200, False),
        (283, True),
    ]
    assert told[-1].sentence(Action.RETRY) == "281 retried, 2 skipped: state has changed"
    assert told[-1].result == "done"


def test_marks_go_call_by_call(client: FakeClient) -> None:
    plan = actions.marks_plan(Action.DELETE, [f"j{number}" for number in range(150)])
    client.route("POST", "/jobs/batch/delete", in_turn(batch(99, NOT_FOUND=1), batch(50)))
    told = everything(client, plan)
    assert [len(asked.body["job_ids"]) for asked in client.written] == [100, 50]
    assert [progress.ended for progress in told] == [False, True]
    assert told[-1].sentence(Action.DELETE) == "149 deleted, 1 skipped: gone"


def test_it_stops_between_two_calls_when_asked(client: FakeClient) -> None:
    client.route("POST", RETRY, in_turn(batch(100, "c1"), batch(100, "c2")))

    async def run() -> list[Progress]:
        stop, told = asyncio.Event(), []
        async for progress in run_bulk(client, GROUP, NOW, stop):
            told.append(progress)
            if progress.calls == 2:
                stop.set()
        return told

    last = asyncio.run(run())[-1]
    assert len(client.written) == 2
    assert (last.ended, last.stopped, last.result, last.succeeded) == (True, True, "stopped", 200)
    assert last.sentence(Action.RETRY) == "200 retried, then stopped"


def test_asked_to_stop_before_it_begins_it_sends_nothing(client: FakeClient) -> None:
    async def run() -> list[Progress]:
        stop = asyncio.Event()
        stop.set()
        return [progress async for progress in run_bulk(client, GROUP, NOW, stop)]

    (only,) = asyncio.run(run())
    assert only.stopped
    assert client.written == []


@pytest.mark.parametrize(
    ("error", "result", "text"),
    [
        (ApiError(Kind.TIMEOUT), "unknown", "then no answer: the outcome of the last call is unknown"),
        (
            ApiError(Kind.UNAVAILABLE, 503, "REDIS_UNAVAILABLE", "redis is away"),
            "failed",
            "then redis is away",
        ),
        (ApiError(Kind.REFUSED, text="connection refused"), "failed", "then connection refused"),
    ],
)
def test_a_failure_in_the_middle_ends_it_and_nothing_is_sent_twice(
    client: FakeClient, error: ApiError, result: str, text: str
) -> None:
    client.route("POST", RETRY, in_turn(batch(100, "c1"), error))
    last = everything(client, GROUP)[-1]
    assert len(client.written) == 2
    assert (last.ended, last.result, last.succeeded) == (True, result, 100)
    assert last.sentence(Action.RETRY) == f"100 retried, {text}"


def test_a_queue_is_emptied_until_nothing_remains(client: FakeClient) -> None:
    def answer(removed: int, remaining: int) -> dict[str, Any]:
        return {"queue": "billing", "removed": removed, "remaining": remaining}

    plan = actions.empty_plan(a_queue())
    client.route("DELETE", "/queues/billing/empty", in_turn(answer(900, 300), answer(300, 0)))
    told = everything(client, plan, NOW)
    assert [(progress.succeeded, progress.ended) for progress in told] == [(900, False), (1_200, True)]
    assert told[-1].sentence(Action.EMPTY) == "1,200 canceled"
    client.route("DELETE", "/queues/billing/empty", in_turn(answer(0, 300)))
    assert everything(client, plan)[-1].ended


def test_an_unknown_code_is_said_as_it_is() -> None:
    progress = Progress(succeeded=1, skipped={"REDIS_UNAVAILABLE": 2, "CONFLICT": 3})
    text = "1 canceled, 3 skipped: state has changed, 2 skipped: redis unavailable"
    assert progress.sentence(Action.CANCEL) == text


# -- one call


@pytest.mark.parametrize(
    ("error", "unknown", "text"),
    [
        (ApiError(Kind.CONFLICT, 409, "CONFLICT", "job is processing"), False, "job is processing"),
        (ApiError(Kind.NOT_FOUND, 404, "NOT_FOUND", "no such queue"), False, "gone: no such queue"),
        (ApiError(Kind.TIMEOUT, text="no answer within 5 s"), True, "outcome unknown: no answer within 5 s"),
        (ApiError(Kind.REFUSED, text="\x1b[31mrefused"), False, "␛[31mrefused"),
    ],
)
def test_failures_are_results(client: FakeClient, error: ApiError, unknown: bool, text: str) -> None:
    client.route("POST", "/queues/billing/pause", error)
    result = asyncio.run(run_one(client, PAUSE, client.clock))
    assert (result.ok, result.unknown, result.text, result.status) == (False, unknown, text, error.status)
    assert len(client.written) == 1


@pytest.mark.parametrize(
    ("action", "answer", "text"),
    [
        (Action.RETRY, {"status": "ready"}, "a is ready again"),
        (Action.RETRY, {}, "a retried"),
        (Action.DELETE, {"deleted": True}, "a deleted"),
        (Action.CANCEL, {"status": "canceled"}, "a canceled"),
        (Action.CANCEL, {"status": "completed"}, "a is completed"),
        (Action.CANCEL, {"status": "canceled", "signalled": True}, "a canceled, its handler is told to stop"),
        (Action.CANCEL, {"cascaded": 1_200}, "a canceled, 1,200 that depend on it canceled"),
        (Action.CANCEL, {"released": 3}, "a canceled, 3 set free"),
    ],
)
def test_what_became_of_a_job(client: FakeClient, action: Action, answer: dict[str, Any], text: str) -> None:
    job = msgspec.json.decode(msgspec.json.encode(tui.job("a", status="ready")), type=Job)
    plan = actions.job_plan(action, job)
    client.route(plan.calls[0].method, plan.calls[0].path, {"job_id": "a", **answer})
    result = asyncio.run(run_one(client, plan, client.clock))
    assert (result.ok, result.changed, result.text) == (True, True, text)


@pytest.mark.parametrize(
    ("action", "answer", "changed", "text"),
    [
        (Action.TRIGGER, {"job_id": "j"}, True, "n triggered: job j"),
        (Action.TRIGGER, {}, True, "n triggered"),
        (Action.ENABLE, {"enabled": True}, True, "n enabled"),
        (Action.DISABLE, {"enabled": False, "changed": False}, False, "n was disabled already"),
        (Action.FORGET, {"deleted": True}, True, "n deleted"),
    ],
)
def test_what_became_of_a_cron_entry(
    client: FakeClient, action: Action, answer: dict[str, Any], changed: bool, text: str
) -> None:
    entry = msgspec.json.decode(msgspec.json.encode(tui.cron("n")), type=CronEntry)
    plan = actions.cron_plan(action, entry)
    client.route(plan.calls[0].method, plan.calls[0].path, {"cron_id": "n", **answer})
    result = asyncio.run(run_one(client, plan, client.clock))
    assert (result.ok, result.changed, result.text) == (True, changed, text)


def test_how_long_it_took(client: FakeClient) -> None:
    def lasts(seconds: float, answer: Any) -> Any:
        def route(params: object, body: object) -> Any:
            client.clock.tick(seconds)
            return answer

        return route

    client.route("POST", "/queues/billing/pause", lasts(0.038, ApiError(Kind.CONFLICT, 409, text="no")))
    assert asyncio.run(run_one(client, PAUSE, client.clock)).took_ms == pytest.approx(38)
    client.route("POST", RETRY, lasts(0.25, batch(50)))
    plan = actions.marks_plan(Action.RETRY, [f"j{number}" for number in range(200)])
    took = [progress.took_ms for progress in everything(client, plan)]
    assert took == pytest.approx([250, 500])


def test_a_success_without_a_body_is_one(client: FakeClient) -> None:
    client.route("POST", "/queues/billing/pause", {})
    assert asyncio.run(run_one(client, PAUSE, client.clock)).text == "billing paused"


def test_a_second_press_right_behind_the_first_is_a_slip() -> None:
    clock = FakeClock()
    guard = PressGuard(clock)
    assert guard.accepts("queues.pause")
    clock.tick(0.4)
    assert not guard.accepts("queues.pause")
    assert guard.accepts("queues.empty")
    assert guard.accepts("queues.pause")
    clock.tick(0.5)
    assert guard.accepts("queues.pause")


# -- the log


def test_a_curl_command_has_no_key_and_survives_a_shell() -> None:
    body = {"filter": {"status": ["ready"], "q": "it's $HOME `id` \u202e"}, "limit": 100}
    call = Call("POST", "/api/v1/queues/a%27b/x", {"dry_run": "true"}, body)
    text = curl("https://q.example:8080", call)
    assert text.isascii()
    assert text.isprintable()
    # What a shell makes of it, with something else in curl's place.
    shown = subprocess.run(
        ["/bin/sh", "-c", f"curl() {{ printf '%s\\n' \"$@\"; }}; {text}"],
        env={"GQM_API_KEY": "k-1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert shown[:6] == ["-sS", "-X", "POST", "-H", "X-GQM-CSRF: 1", "-H"]
    assert shown[6:9] == ["X-API-Key: k-1", "-H", "Content-Type: application/json"]
    assert msgspec.json.decode(shown[10]) == body
    assert shown[11] == "https://q.example:8080/api/v1/queues/a%27b/x?dry_run=true"


def test_reading_needs_no_body() -> None:
    words = shlex.split(curl("http://q", Call("GET", "/api/v1/jobs/a")))
    assert words == ["curl", "-sS", "-H", "X-API-Key: $GQM_API_KEY", "http://q/api/v1/jobs/a"]


def test_entries_say_what_was_done() -> None:
    log = ActionLog()
    log.note(PAUSE, Result(ok=True, text="billing paused", took_ms=38.0), **WHERE)
    log.note(PAUSE, Result(ok=False, text="job is processing", status=409), **WHERE)
    log.note(PAUSE, Result(ok=False, text="outcome unknown", unknown=True, status=0), **WHERE)
    log.note_bulk(GROUP, Progress(succeeded=381, skipped={"CONFLICT": 2}, calls=4, ended=True), **WHERE)
    many, unknown, refused, done = log
    assert (done.target, done.request) == ("pause billing", "POST /api/v1/queues/billing/pause")
    assert (done.result, done.status, done.took_ms, done.undoable) == ("done", 200, 38.0, True)
    assert (refused.result, refused.status, refused.undoable) == ("failed", 409, False)
    assert (unknown.result, unknown.undoable) == ("unknown", False)
    assert (many.target, many.text) == ("retry 386 jobs", "381 retried, 2 skipped: state has changed")
    assert many.curl.startswith("curl -sS -X POST ")
    assert many.curl.endswith(" https://q.example/api/v1/jobs/batch/retry")


def test_undo_takes_the_newest_of_this_context_and_then_the_one_before() -> None:
    log, done = ActionLog(), Result(ok=True, text="")
    first = log.note(PAUSE, done, **WHERE)
    log.note(PAUSE, Result(ok=True, text="", changed=False), **WHERE)
    second = log.note(PAUSE, done, **WHERE)
    log.note(PAUSE, done, at=NOW, context="lab", origin="http://lab")
    assert log.to_undo("prod") == second
    log.undone(second)
    assert log.to_undo("prod") == first
    log.undone(first)
    assert log.to_undo("prod") is None
    assert len(log) == 4


def test_the_log_keeps_the_newest_five_hundred() -> None:
    log = ActionLog()
    for _ in range(MOST_ENTRIES + 3):
        log.note(PAUSE, Result(ok=True, text=""), **WHERE)
    assert [next(iter(log)).number, len(log)] == [MOST_ENTRIES + 2, MOST_ENTRIES]
