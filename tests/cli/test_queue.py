"""``gqm queue``: the table, the document, and what each action changes and records."""

from __future__ import annotations

import json

import pytest

from gqm.job import Status
from tests.cli.helpers import Gqm
from tests.cli.operators import audit, ok, run
from tests.support.keyspace import Keyspace
from tests.support.states import MAKE


@pytest.mark.parametrize("place", ["pipe", "terminal"])
def test_list(gqm: Gqm, space: Keyspace, place: str) -> None:
    for status in (Status.SCHEDULED, Status.RETRY, Status.DEAD_LETTER, Status.COMPLETED):
        MAKE[status](space, queue="mail")
    ok(gqm("queue", "pause", "mail"), err='paused queue "mail"\n')
    assert ok(run(gqm, place, "queue list")).splitlines() == [
        "QUEUE  STATE   READY  PROCESSING  SCHEDULED  RETRY  DEFERRED  DEAD_LETTER  COMPLETED  OLDEST",
        "mail   paused      0           0          1      1         0            1          1       -",
    ]


def test_list_without_any(gqm: Gqm, space: Keyspace) -> None:
    assert ok(gqm("queue", "list")).startswith("QUEUE  STATE  READY")
    assert json.loads(ok(gqm("queue", "list", "--json"))) == {"queues": []}


def test_a_name_cannot_act_on_the_terminal(gqm: Gqm, space: Keyspace) -> None:
    space.raw.sadd(space.keys.queues, "a\x1b]0;x\x07\u202eb")
    out = ok(gqm("queue", "list"))
    assert "a\\x1b]0;x\\x07\\u202eb" in out
    assert "\x1b" not in ok(gqm("queue", "list", "--json"))


def test_the_document_of_list(gqm: Gqm, space: Keyspace) -> None:
    with (gqm.folder / "gqm.yaml").open("a") as file:
        file.write("queues: [{name: mail, priority: 7}]\n")
    space.enqueue(queue="mail")
    space.enqueue(queue="other")
    document = json.loads(ok(gqm("queue", "list", "--json")))
    mail, other = document.pop("queues")
    assert document == {}
    assert mail.pop("oldest_age_ms") >= 0
    assert mail == {
        **dict.fromkeys(("processing", "scheduled", "retry", "deferred", "completed", "dead_letter"), 0),
        **dict.fromkeys(("canceled", "processed_total", "failed_total"), 0),
        **dict.fromkeys(("in_per_min", "wait_avg_ms", "run_avg_ms", "drain_ms")),
        "name": "mail",
        "paused": False,
        "ready": 1,
        "priority": 7,
        "pools": [],
        "out_per_min": 0.0,
        "failed_per_min": 0.0,
    }
    assert other["priority"] is None


def test_pause_and_resume(gqm: Gqm, space: Keyspace) -> None:
    space.enqueue(queue="mail")
    assert ok(gqm("queue", "pause", "mail"), err='paused queue "mail"\n') == ""
    assert space.claim(queue="mail") == []
    ok(gqm("queue", "pause", "--name", "mail"), err='queue "mail" was paused already\n')
    document = json.loads(ok(gqm("queue", "resume", "mail", "--json")))
    assert document == {"queue": "mail", "status": "active", "changed": True}
    ok(gqm("queue", "resume", "mail"), err='queue "mail" was not paused\n')
    assert len(space.claim(queue="mail")) == 1
    assert audit(space) == [
        ("queue.pause", "mail", 1, "active", "paused", None),
        ("queue.pause", "mail", 1, "paused", "paused", None),
        ("queue.resume", "mail", 1, "paused", "active", None),
        ("queue.resume", "mail", 1, "active", "active", None),
    ]


@pytest.mark.parametrize("line", ["queue pause nope", "queue resume nope", "queue empty nope --yes"])
def test_an_unknown_queue(gqm: Gqm, space: Keyspace, line: str) -> None:
    done = gqm(*line.split())
    assert (done.code, done.out, done.err) == (1, "", "gqm: error: there is no queue 'nope'\n")
    assert json.loads(gqm(*line.split(), "--json").out)["code"] == "NOT_FOUND"


def test_a_dry_run_of_empty_changes_and_records_nothing(gqm: Gqm, space: Keyspace) -> None:
    for _ in range(2):
        space.enqueue(queue="mail")
    before = space.dump()
    line = ("queue", "empty", "mail", "--dry-run")
    assert ok(gqm(*line)) == '2 ready jobs of "mail" would be canceled\n'
    assert json.loads(ok(gqm(*line, "--json"))) == {"queue": "mail", "dry_run": True, "matched": 2}
    assert space.dump() == before


def test_empty(gqm: Gqm, space: Keyspace) -> None:
    ids = [space.enqueue(queue="mail") for _ in range(3)]
    assert ok(gqm("queue", "empty", "mail", "--yes")) == "3 canceled\n"
    assert {space.status(job_id) for job_id in ids} == {"canceled"}
    document = json.loads(ok(gqm("queue", "empty", "mail", "--yes", "--json")))
    assert document == {"queue": "mail", "removed": 0, "remaining": 0}
    assert audit(space) == [
        ("queue.empty", "mail", 3, "ready", "canceled", None),
        ("queue.empty", "mail", 0, "ready", "canceled", None),
    ]


@pytest.mark.parametrize(
    ("answer", "code", "status"), [("y", 0, "canceled"), ("n", 1, "ready"), ("", 1, "ready")]
)
def test_empty_asks_on_a_terminal(gqm: Gqm, space: Keyspace, answer: str, code: int, status: str) -> None:
    job_id = space.enqueue(queue="mail")
    done = gqm.terminal("queue", "empty", "mail", answers=[answer], NO_COLOR="1")
    asked = f'Cancel 1 ready job of "mail"? [y/N] {answer}\n'
    if code:
        assert done.err == f"{asked}gqm: error: not confirmed; nothing was changed\n"
    else:
        assert (done.out, done.err) == ("1 canceled\n", asked)
    assert (done.code, space.status(job_id)) == (code, status)
