"""``gqm job``: lists, single jobs, and acting on jobs by id and by filter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gqm.job import Status
from tests.cli.helpers import Done, Gqm
from tests.cli.operators import audit, ok, run
from tests.support.keyspace import Keyspace
from tests.support.states import MAKE

pytestmark = pytest.mark.usefixtures("utc")


def listed(done: Done) -> list[str]:
    """The ids in a document of jobs."""
    return [job["id"] for job in json.loads(ok(done))["jobs"]]


@pytest.mark.parametrize("place", ["pipe", "terminal"])
def test_list(gqm: Gqm, space: Keyspace, place: str) -> None:
    job_id = MAKE[Status.DEAD_LETTER](space, queue="mail", job_id="dead")
    space.enqueue(job_id="one", queue="mail")
    space.raw.hset(space.keys.job(job_id), mapping={"created_at": 1_790_000_000, "error": "Oops: a\nb"})
    space.raw.hset(space.keys.job("one"), "created_at", 1_790_000_001)
    head, *rows = ok(run(gqm, place, "job list --status ready,dead_letter")).splitlines()
    assert head == "ID    TYPE  QUEUE  STATUS       ATTEMPT  CREATED              ERROR"
    assert sorted(row.split()[0] for row in rows) == ["dead", "one"]
    (dead,) = (row for row in rows if row.startswith("dead"))
    assert dead.endswith("2026-09-21 14:13:20  Oops: a")


def test_every_state_can_be_listed_and_shown(gqm: Gqm, space: Keyspace) -> None:
    for status, make in MAKE.items():
        job_id = make(space)
        assert listed(gqm("job", "list", "--status", status.value, "--queue", "default", "--json")) == [
            job_id
        ]
        document = json.loads(ok(gqm("job", "show", job_id, "--json")))
        assert (document["job"]["id"], document["job"]["status"]) == (job_id, status.value)


def test_filters(gqm: Gqm, space: Keyspace) -> None:
    mail = MAKE[Status.DEAD_LETTER](space, queue="mail")
    other = MAKE[Status.DEAD_LETTER](space, queue="other")
    waiting = space.enqueue(queue="mail")
    assert set(listed(gqm("job", "list", "--json"))) == {mail, other, waiting}
    assert listed(gqm("job", "list", "--json", "--queue", "mail", "--status", "dead_letter")) == [mail]
    assert set(listed(gqm("job", "list", "--json", "--queue", "mail", "--queue", "other"))) == {
        *(mail, other, waiting)
    }
    assert set(listed(gqm("job", "list", "--json", "--error", "OOPS"))) == {mail, other}
    assert listed(gqm("job", "list", "--json", "--type", "no.*")) == []
    assert len(listed(gqm("job", "list", "--json", "--type", "t*"))) == 3


def test_a_list_may_be_longer_than_a_page(gqm: Gqm, space: Keyspace) -> None:
    for _ in range(205):
        space.enqueue(queue="mail")
    document = json.loads(ok(gqm("job", "list", "--limit", "203", "--json")))
    assert (len(document["jobs"]), document["total"]) == (203, 205)
    assert len({job["id"] for job in document["jobs"]}) == 203
    assert len(json.loads(ok(gqm("job", "list", "--limit", "500", "--json")))["jobs"]) == 205
    done = gqm("job", "list")
    assert done.out.count("\n") == 21
    assert done.err == "showing 20 of 205 jobs; --limit shows more\n"


def test_show(gqm: Gqm, space: Keyspace) -> None:
    space.enqueue(job_id="one", meta={"a": "1"}, timeout=60)
    space.raw.hset(space.keys.job("one"), mapping={"created_at": 1_790_000_000, "payload": '{"n": 1.10}'})
    assert ok(gqm("job", "show", "one")) == (
        "id                one\n"
        "type              t\n"
        "queue             default\n"
        "status            ready\n"
        "payload_bytes     11\n"
        "retry_count       0\n"
        "max_retry         3\n"
        "attempt           0\n"
        "created_at        2026-09-21 14:13:20\n"
        "allow_failure     false\n"
        "enqueue_at_front  false\n"
        "timeout           60\n"
        "depends_on        -\n"
        "pending_deps      -\n"
        'payload           {"n":1.10}\n'
        'meta              {"a":"1"}\n'
        "children          -\n"
        "child_count       0\n"
    )


def test_what_a_job_holds_cannot_act_on_the_terminal(gqm: Gqm, space: Keyspace) -> None:
    job_id = MAKE[Status.DEAD_LETTER](space)
    evil = "\x1b]52;c;eA==\x07\u202e[red]x"
    fields = {
        "error": f"E: {evil}",
        "traceback": f"one\n{evil}",
        "payload": json.dumps({"a": evil}, ensure_ascii=False),
    }
    space.raw.hset(space.keys.job(job_id), mapping=fields)
    for args in (["show", job_id], ["show", job_id, "--json"], ["list"], ["list", "--json"]):
        out = ok(gqm("job", *args))
        assert not {"\x1b", "\x07", "\u202e"} & set(out)
        assert "[red]x" in out


def test_a_document_keeps_every_digit(gqm: Gqm, space: Keyspace) -> None:
    space.enqueue(job_id="one")
    space.raw.hset(space.keys.job("one"), "payload", '{"n":\n 12345678901234567890.10}')
    out = ok(gqm("job", "show", "one", "--json"))
    assert '"payload":{"n":12345678901234567890.10}' in out
    assert out.count("\n") == 1


def test_an_unknown_job(gqm: Gqm, space: Keyspace) -> None:
    text = "there is no job 'nope': it never existed, expired or was deleted"
    for line in (("show",), ("show", "--json")):
        done = gqm("job", *line, "nope")
        assert (done.code, done.err) == (1, f"gqm: error: {text}\n")
    assert json.loads(done.out) == {"error": text, "code": "NOT_FOUND"}


# ------------------------------------------------------------------------------------------- by id


@pytest.mark.parametrize(
    ("action", "state", "after", "said"),
    [
        ("retry", Status.DEAD_LETTER, "ready", "1 retried\n"),
        ("retry", Status.SCHEDULED, "ready", "1 retried\n"),
        ("cancel", Status.READY, "canceled", "1 canceled\n"),
        ("delete", Status.COMPLETED, None, "1 deleted\n"),
    ],
)
@pytest.mark.parametrize("place", ["pipe", "terminal"])
def test_one_job(
    gqm: Gqm, space: Keyspace, place: str, action: str, state: Status, after: str | None, said: str
) -> None:
    job_id = MAKE[state](space)
    assert ok(run(gqm, place, f"job {action} {job_id}")) == said
    assert space.status(job_id) == after
    assert audit(space) == [(f"job.{action}", job_id, 1, state.value, after or "deleted", None)]


def test_several_jobs_of_which_some_are_refused(gqm: Gqm, space: Keyspace) -> None:
    done, waiting = MAKE[Status.COMPLETED](space, job_id="done"), space.enqueue(job_id="waiting")
    refused = gqm("job", "cancel", waiting, done, "nope", waiting)
    assert (refused.code, refused.out) == (1, "1 canceled, 2 refused\n")
    first, second = refused.err.splitlines()
    assert first.startswith("gqm: error: job done is completed")
    assert second == "gqm: error: there is no job 'nope': it never existed, expired or was deleted"
    assert audit(space) == [("batch.cancel", "waiting,done,nope", 1, "", "canceled", None)]


def test_the_document_of_an_action(gqm: Gqm, space: Keyspace) -> None:
    waiting = space.enqueue(job_id="waiting")
    done = gqm("job", "delete", waiting, "nope", "--json")
    document: dict[str, Any] = json.loads(done.out)
    text = document["results"][1].pop("error")
    assert (done.code, done.err) == (1, f"gqm: error: {text}\n")
    assert document == {
        "succeeded": 1,
        "failed": 1,
        "next": None,
        "results": [
            {"job_id": "waiting", "ok": True, "status": "deleted"},
            {"job_id": "nope", "ok": False, "code": "NOT_FOUND"},
        ],
    }


def test_one_refused_job_is_recorded(gqm: Gqm, space: Keyspace) -> None:
    space.enqueue(job_id="waiting")
    done = gqm("job", "retry", "waiting", "--json")
    assert done.code == 1
    assert json.loads(done.out)["results"][0]["code"] == "CONFLICT"
    assert audit(space) == [("job.retry", "waiting", 0, "ready", "", "CONFLICT")]


def test_a_dry_run_by_id(gqm: Gqm, space: Keyspace) -> None:
    MAKE[Status.COMPLETED](space, job_id="done")
    space.enqueue(job_id="waiting")
    before = space.dump()
    line = ("job", "cancel", "waiting", "done", "nope", "--dry-run")
    assert ok(gqm(*line)) == "1 job would be canceled; refused: 1 CONFLICT, 1 NOT_FOUND\n"
    document = json.loads(ok(gqm(*line, "--json")))
    assert document.pop("as_of") > 0
    assert document == {
        "dry_run": True,
        "matched": 2,
        "eligible": 1,
        "truncated": False,
        "sample": ["waiting"],
        "skipped": {"CONFLICT": 1, "NOT_FOUND": 1},
    }
    assert space.dump() == before


# --------------------------------------------------------------------------------------- by filter


def test_by_filter(gqm: Gqm, space: Keyspace) -> None:
    dead = [MAKE[Status.DEAD_LETTER](space, queue="mail") for _ in range(3)]
    other = MAKE[Status.DEAD_LETTER](space, queue="other")
    line = ("job", "retry", "--status", "dead_letter", "--queue", "mail")
    assert ok(gqm(*line, "--dry-run")) == "3 jobs would be retried\n"
    assert ok(gqm(*line, "--yes")) == "3 retried\n"
    assert {space.status(job_id) for job_id in dead} == {"ready"}
    assert space.status(other) == "dead_letter"
    ((action, target, *rest),) = audit(space)
    assert (action, rest) == ("batch.retry", [3, "", "ready", None])
    assert json.loads(str(target))["queue"] == ["mail"]
    assert ok(gqm(*line, "--yes")) == "0 retried\n"


def test_scheduled_jobs_are_met_although_their_time_is_ahead(gqm: Gqm, space: Keyspace) -> None:
    job_id = MAKE[Status.SCHEDULED](space)
    assert ok(gqm("job", "cancel", "--status", "scheduled", "--yes")) == "1 canceled\n"
    assert space.status(job_id) == "canceled"


def test_a_limit_takes_the_oldest(gqm: Gqm, space: Keyspace) -> None:
    first, second = (space.enqueue(queue="mail") for _ in range(2))
    document = json.loads(ok(gqm("job", "cancel", "--status", "ready", "--limit", "1", "--yes", "--json")))
    assert document == {
        "succeeded": 1,
        "failed": 0,
        "next": None,
        "results": [{"job_id": first, "ok": True, "status": "canceled"}],
    }
    assert space.status(second) == "ready"


def test_more_jobs_than_one_call_takes(gqm: Gqm, space: Keyspace) -> None:
    for _ in range(1003):
        space.enqueue(queue="mail")
    assert ok(gqm("job", "delete", "--status", "ready", "--yes")) == "1,003 deleted\n"
    assert space.ready("mail") == []


def test_nothing_that_fits_can_be_changed(gqm: Gqm, space: Keyspace) -> None:
    MAKE[Status.COMPLETED](space)
    done = gqm("job", "retry", "--status", "completed", "--yes")
    assert (done.code, done.err) == (1, "gqm: error: none of 1 job can be retried\n")


@pytest.mark.parametrize(("answer", "code", "status"), [("yes", 0, "ready"), ("n", 1, "dead_letter")])
def test_a_filter_asks_on_a_terminal(gqm: Gqm, space: Keyspace, answer: str, code: int, status: str) -> None:
    job_id = MAKE[Status.DEAD_LETTER](space)
    done = gqm.terminal("job", "retry", "--status", "dead_letter", answers=[answer], NO_COLOR="1")
    assert (done.code, done.err.splitlines()[0]) == (code, f"Retry 1 job? [y/N] {answer}")
    assert space.status(job_id) == status
    assert done.out == ("" if code else "1 retried\n")
