"""Operator actions: what they change, what they answer, and what the audit log says about them."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest

from gqm.admin import Admin, code_of
from gqm.errors import (
    BatchTooLarge,
    CronEntryNotFound,
    CyclicDependency,
    DependencyNotFound,
    DuplicateJobID,
    GQMError,
    InvalidJob,
    InvalidQuery,
    JobNotFound,
    JobStateError,
    PayloadTooLarge,
    QueueNotFound,
    RedisUnavailable,
    StoreError,
)
from gqm.job import Status
from gqm.store.connect import plain_link
from gqm.store.plan import follow
from gqm.store.read.audit import AuditFilter, AuditView, list_audit
from gqm.store.read.match import JobFilter
from gqm.store.sync import Store
from tests.read.test_jobs import put
from tests.support.keyspace import SERVER, Keyspace
from tests.support.servers import ServerFactory
from tests.support.states import MAKE

RETRIED = {"dead_letter", "failed", "canceled", "stopped", "retry", "scheduled"}
LIVE = {"ready", "scheduled", "retry", "deferred", "processing"}


def audit(space: Keyspace) -> list[AuditView]:
    """All entries, the newest first."""
    return list(follow(space.store, list_audit(space.keys, AuditFilter(), 1, 100)).items)


def last(space: Keyspace) -> AuditView:
    """The one entry that there is."""
    (entry,) = audit(space)
    assert (entry.actor, entry.role, entry.source, entry.address) == ("ana", "admin", "session", "192.0.2.7")
    assert entry.request_id == "5b1e0c7d9a3f2e64"
    return entry


def told(entry: AuditView) -> tuple[object, ...]:
    return entry.action, entry.target, entry.count, entry.before, entry.after, entry.ok, entry.code


def plain(answer: object) -> Any:
    return msgspec.to_builtins(answer)


# -------------------------------------------------------------------------------------- single jobs


@pytest.mark.parametrize("status", Status)
def test_retry(space: Keyspace, admin: Admin, status: Status) -> None:
    job_id = MAKE[status](space)

    if status in RETRIED:
        assert plain(admin.retry(job_id)) == {"job_id": job_id, "status": "ready"}
        assert space.status(job_id) == "ready"
        assert told(last(space)) == ("job.retry", job_id, 1, status, "ready", True, None)
    else:
        with pytest.raises(JobStateError, match=status) as caught:
            admin.retry(job_id)
        assert caught.value.state == status
        assert told(last(space)) == ("job.retry", job_id, 0, status, "", False, "CONFLICT")
    space.assert_sound()


def test_a_retry_keeps_the_counts_of_a_waiting_job_and_forgets_those_of_an_ended_one(
    space: Keyspace, admin: Admin
) -> None:
    waiting, ended = MAKE[Status.RETRY](space), MAKE[Status.DEAD_LETTER](space)
    space.raw.hset(space.keys.job(ended), "retry_count", 3)

    admin.retry(waiting)
    admin.retry(ended)

    assert (space.field(waiting, "retry_count"), space.field(waiting, "error")) == ("2", "Oops: x")
    assert (space.field(ended, "retry_count"), space.field(ended, "error")) == ("0", None)


@pytest.mark.parametrize("status", Status)
def test_cancel(space: Keyspace, admin: Admin, status: Status) -> None:
    job_id = MAKE[status](space)

    if status in LIVE:
        assert plain(admin.cancel(job_id)) == {
            "job_id": job_id,
            "status": "canceled",
            "was": status,
            "signalled": status == "processing",
            "cascaded": 0,
            "released": 0,
        }
        assert space.field(job_id, "cancel_reason") == "canceled by ana"
        assert told(last(space)) == ("job.cancel", job_id, 1, status, "canceled", True, None)
    else:
        with pytest.raises(JobStateError, match=status):
            admin.cancel(job_id)
        assert told(last(space)) == ("job.cancel", job_id, 0, status, "", False, "CONFLICT")


def test_cancel_with_a_family_and_a_reason(space: Keyspace, admin: Admin) -> None:
    parent = space.enqueue()
    child = space.enqueue(depends_on=[parent])
    space.enqueue(depends_on=[parent], allow_failure=True)

    done = admin.cancel(parent, "wrong customer")

    assert (done.cascaded, done.released, done.signalled) == (1, 1, False)
    assert space.field(parent, "cancel_reason") == "wrong customer"
    assert space.status(child) == "canceled"


@pytest.mark.fault(38)
def test_canceled_jobs_are_kept_as_the_caller_or_the_servers_say(space: Keyspace, admin: Admin) -> None:
    space.raw.hset(space.keys.settings, mapping={"failure_ttl": 1234})
    first, second = space.enqueue(), space.enqueue()

    admin.cancel(first)
    Admin(space.store, actor="ana", failure_ttl=55).cancel(second)

    assert space.raw.ttl(space.keys.job(first)) == pytest.approx(1234, abs=2)
    assert space.raw.ttl(space.keys.job(second)) == pytest.approx(55, abs=2)


@pytest.mark.parametrize("status", Status)
def test_delete(space: Keyspace, admin: Admin, status: Status) -> None:
    job_id = MAKE[status](space)

    if status is not Status.PROCESSING:
        assert plain(admin.delete(job_id)) == {"job_id": job_id, "deleted": True}
        assert space.raw.exists(space.keys.job(job_id)) == 0
        assert told(last(space)) == ("job.delete", job_id, 1, status, "deleted", True, None)
    else:
        with pytest.raises(JobStateError, match="processing"):
            admin.delete(job_id)
        assert told(last(space)) == ("job.delete", job_id, 0, "processing", "", False, "CONFLICT")


@pytest.mark.parametrize("act", ["retry", "cancel", "delete"])
def test_a_job_that_is_not_there(space: Keyspace, admin: Admin, act: str) -> None:
    with pytest.raises(JobNotFound, match="never"):
        getattr(admin, act)("never")

    assert told(last(space)) == (f"job.{act}", "never", 0, "", "", False, "NOT_FOUND")


@pytest.mark.fault(65)
@pytest.mark.parametrize("act", ["retry", "cancel", "delete"])
@pytest.mark.parametrize("job_id", ["", "a:b", "j/1", "x" * 257, "ü"])
def test_what_is_no_job_id(space: Keyspace, admin: Admin, act: str, job_id: str) -> None:
    with pytest.raises(InvalidJob):
        getattr(admin, act)(job_id)

    assert audit(space) == []


# ------------------------------------------------------------------------------------------- queues


def test_pause_and_resume(space: Keyspace, admin: Admin) -> None:
    space.enqueue(queue="mail")

    assert plain(admin.pause("mail")) == {"queue": "mail", "status": "paused", "changed": True}
    assert plain(admin.pause("mail")) == {"queue": "mail", "status": "paused", "changed": False}
    assert plain(admin.resume("mail")) == {"queue": "mail", "status": "active", "changed": True}
    assert plain(admin.resume("mail")) == {"queue": "mail", "status": "active", "changed": False}

    assert [told(entry)[:5] for entry in reversed(audit(space))] == [
        ("queue.pause", "mail", 1, "active", "paused"),
        ("queue.pause", "mail", 1, "paused", "paused"),
        ("queue.resume", "mail", 1, "paused", "active"),
        ("queue.resume", "mail", 1, "active", "active"),
    ]


@pytest.mark.parametrize(
    ("act", "action"),
    [
        ("pause", "queue.pause"),
        ("resume", "queue.resume"),
        ("empty", "queue.empty"),
        ("retry_all", "dlq.retry_all"),
        ("clear", "dlq.clear"),
    ],
)
def test_a_queue_that_is_not_there(space: Keyspace, admin: Admin, act: str, action: str) -> None:
    with pytest.raises(QueueNotFound, match="nothing"):
        getattr(admin, act)("nothing")

    assert told(last(space)) == (action, "nothing", 0, "", "", False, "NOT_FOUND")


def test_empty_goes_on_to_the_end(space: Keyspace, admin: Admin) -> None:
    names = put(space, 1200, "ready")
    put(space, 3, "ready", "other")

    assert plain(admin.preview_queue("default", Status.READY)) == {
        "queue": "default",
        "dry_run": True,
        "matched": 1200,
    }
    assert plain(admin.empty("default")) == {"queue": "default", "removed": 1200, "remaining": 0}

    assert told(last(space)) == ("queue.empty", "default", 1200, "ready", "canceled", True, None)
    assert space.raw.zcard(space.keys.canceled("default")) == 1200
    assert space.field(names[0], "cancel_reason") == "queue emptied by ana"
    assert len(space.ready("other")) == 3


def test_dead_letters_run_again_or_are_cleared_to_the_end(space: Keyspace, admin: Admin) -> None:
    names = put(space, 1100, "dead_letter") + put(space, 1100, "dead_letter", "b")

    assert admin.preview_queue("default", Status.DEAD_LETTER).matched == 1100
    assert plain(admin.retry_all("default")) == {"queue": "default", "retried": 1100, "remaining": 0}
    assert plain(admin.clear("b")) == {"queue": "b", "cleared": 1100, "remaining": 0}

    assert space.ready() == names[:1100]
    assert space.raw.exists(space.keys.job(names[1100])) == 0
    assert [told(entry)[:5] for entry in audit(space)] == [
        ("dlq.clear", "b", 1100, "dead_letter", "deleted"),
        ("dlq.retry_all", "default", 1100, "dead_letter", "ready"),
    ]


@pytest.mark.fault(26)
def test_dead_letters_that_expired_count_for_nothing(space: Keyspace, admin: Admin) -> None:
    names = put(space, 10, "dead_letter")
    space.raw.delete(*(space.keys.job(name) for name in names[:7]))

    assert plain(admin.retry_all("default")) == {"queue": "default", "retried": 3, "remaining": 0}
    assert space.raw.zcard(space.keys.dead_letter("default")) == 0


def test_when_the_time_is_over_the_answer_says_what_remains(
    space: Keyspace, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(space, 10, "ready")
    put(space, 10, "dead_letter")
    monkeypatch.setattr("gqm.admin.operator.MAX_S", 0.0)

    assert plain(admin.empty("default")) == {"queue": "default", "removed": 0, "remaining": 10}
    assert plain(admin.clear("default")) == {"queue": "default", "cleared": 0, "remaining": 10}


def test_an_empty_queue_takes_no_action(space: Keyspace, admin: Admin) -> None:
    space.raw.sadd(space.keys.queues, "default")

    assert (admin.empty("default").removed, admin.retry_all("default").retried) == (0, 0)
    assert [entry.count for entry in audit(space)] == [0, 0]


# ------------------------------------------------------------------------------------------ batches


def test_a_batch_of_ids_tells_how_each_went(space: Keyspace, admin: Admin) -> None:
    dead, (running,) = MAKE[Status.DEAD_LETTER](space), space.running()

    done = admin.batch("retry", job_ids=[dead, running.id, "never", dead])

    assert plain(done) == {
        "succeeded": 1,
        "failed": 2,
        "results": [
            {"job_id": dead, "ok": True, "status": "ready"},
            {
                "job_id": running.id,
                "ok": False,
                "code": "CONFLICT",
                "error": f"job {running.id} is processing; it cannot be run again",
            },
            {
                "job_id": "never",
                "ok": False,
                "code": "NOT_FOUND",
                "error": "there is no job 'never': it never existed, expired or was deleted",
            },
        ],
        "next": None,
    }
    entry = last(space)
    assert (entry.action, entry.count, entry.after, entry.ok) == ("batch.retry", 1, "ready", True)
    assert entry.target == f"{dead},{running.id},never,{dead}"


def test_batches_cancel_and_delete(space: Keyspace, admin: Admin) -> None:
    jobs = [space.enqueue() for _ in range(3)]

    canceled = admin.batch("cancel", job_ids=jobs[:2])
    deleted = admin.batch("delete", job_ids=jobs)

    assert [item.status for item in canceled.results] == ["canceled", "canceled"]
    assert [item.status for item in deleted.results] == ["deleted"] * 3
    assert [space.status(job_id) for job_id in jobs] == [None, None, None]
    space.assert_sound()


@pytest.mark.fault(65)
def test_a_batch_names_the_place_of_what_is_no_id_and_does_nothing(space: Keyspace, admin: Admin) -> None:
    job_id = space.enqueue()

    for act in (admin.batch, admin.preview):
        with pytest.raises(InvalidJob, match=r"job_ids\[1\]"):
            act("cancel", job_ids=[job_id, "a:b"])
        with pytest.raises(InvalidJob, match="empty"):
            act("cancel", job_ids=[])
        with pytest.raises(BatchTooLarge, match="1,001"):
            act("cancel", job_ids=[job_id] * 1001)
        with pytest.raises(InvalidQuery, match="either"):
            act("cancel", job_ids=[job_id], wanted=JobFilter(status=("ready",)))
        with pytest.raises(InvalidQuery, match="either"):
            act("cancel")
        with pytest.raises(InvalidQuery, match="at least one status"):
            act("cancel", wanted=JobFilter(queue=("default",)))
        with pytest.raises(InvalidQuery, match="done"):
            act("cancel", wanted=JobFilter(status=("done",)))
    for limit in (0, 1001):
        with pytest.raises(InvalidQuery, match="limit"):
            admin.batch("cancel", wanted=JobFilter(status=("ready",)), limit=limit)
    assert space.status(job_id) == "ready"
    assert audit(space) == []


def test_a_batch_by_filter_goes_on_with_its_cursor(space: Keyspace, admin: Admin) -> None:
    names = put(space, 25, "dead_letter", type="meant")
    other = put(space, 5, "dead_letter", "b", type="other")
    wanted = JobFilter(status=("dead_letter",), type=("meant",))

    acted: list[str] = []
    cursor: str | None = None
    while True:
        step = admin.batch("retry", wanted=wanted, limit=10, cursor=cursor)
        acted += [item.job_id for item in step.results]
        cursor = step.next
        if cursor is None:
            break

    assert acted == names, "the oldest first"
    assert space.ready() == names
    assert {space.status(name) for name in other} == {"dead_letter"}
    entries = audit(space)
    assert [entry.count for entry in reversed(entries)] == [10, 10, 5]
    assert {entry.target for entry in entries} == {'{"status":["dead_letter"],"type":["meant"]}'}


def test_what_was_refused_once_is_not_met_again(space: Keyspace, admin: Admin) -> None:
    put(space, 7, "ready")
    put(space, 7, "completed")
    wanted = JobFilter(status=("ready", "completed"))

    refused: list[str] = []
    cursor: str | None = None
    for _ in range(10):
        step = admin.batch("retry", wanted=wanted, limit=3, cursor=cursor)
        assert step.succeeded == 0
        refused += [item.job_id for item in step.results]
        cursor = step.next
        if cursor is None:
            break

    assert len(refused) == len(set(refused)) == 14


def test_five_thousand_jobs_are_canceled_by_looping_to_the_end(space: Keyspace, admin: Admin) -> None:
    put(space, 5000, "ready")

    done, cursor = 0, None
    while True:
        step = admin.batch("cancel", wanted=JobFilter(status=("ready",)), cursor=cursor)
        done, cursor = done + step.succeeded, step.next
        if cursor is None:
            break

    assert done == 5000
    assert space.ready() == []


def test_a_preview_counts_and_changes_nothing(space: Keyspace, admin: Admin) -> None:
    made = {status: MAKE[status](space, queue=status) for status in Status}
    before = space.dump()

    found = admin.preview("retry", wanted=JobFilter(status=tuple(Status)))
    by_ids = admin.preview("cancel", job_ids=[made[Status.READY], made[Status.COMPLETED], "never"])

    assert (found.matched, found.eligible, found.skipped, found.truncated) == (11, 6, {"CONFLICT": 5}, False)
    assert len(found.sample) == 5
    assert {space.status(job_id) for job_id in found.sample} <= RETRIED
    assert (by_ids.matched, by_ids.eligible, by_ids.sample) == (2, 1, [made[Status.READY]])
    assert by_ids.skipped == {"CONFLICT": 1, "NOT_FOUND": 1}
    assert by_ids.as_of == pytest.approx(space.now(), abs=2)
    assert space.dump() == before


@pytest.mark.parametrize("action", ["retry", "cancel", "delete"])
def test_a_preview_is_right_about_every_state(space: Keyspace, admin: Admin, action: Any) -> None:
    for status in Status:
        job_id = MAKE[status](space, queue=status)
        found = admin.preview(action, job_ids=[job_id])
        done = admin.batch(action, job_ids=[job_id])
        assert (found.eligible, status) == (done.succeeded, status)


def test_as_of_keeps_a_batch_to_the_jobs_of_its_preview(space: Keyspace, admin: Admin) -> None:
    put(space, 5, "ready")
    wanted = JobFilter(status=("ready",))
    found = admin.preview("cancel", wanted=wanted)
    late = space.enqueue()
    space.raw.hset(space.keys.job(late), "ready_at_ms", int(found.as_of * 1000) + 1)

    done = admin.batch("cancel", wanted=msgspec.structs.replace(wanted, until=found.as_of))

    assert (done.succeeded, done.next) == (found.matched, None)
    assert space.ready() == [late]


def test_one_broken_job_does_not_end_a_batch(space: Keyspace, admin: Admin) -> None:
    job_id = space.enqueue()
    space.raw.set(space.keys.job("text"), "no hash")

    done = admin.batch("delete", job_ids=["text", job_id])

    assert [(item.ok, item.code) for item in done.results] == [(False, "CONFLICT"), (True, msgspec.UNSET)]


# --------------------------------------------------------------------------------------- the audit


def test_an_action_is_done_although_its_entry_cannot_be_written(
    space: Keyspace, admin: Admin, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = space.enqueue()
    space.raw.set(space.keys.audit, "no stream")

    with caplog.at_level(logging.ERROR, "gqm.admin"):
        assert admin.cancel(job_id).was == "ready"

    assert "audit entry lost: job.cancel" in caplog.text


def test_each_action_has_its_own_request_without_one_given(space: Keyspace) -> None:
    admin = Admin(space.store, actor="cli:ana")
    for _ in range(2):
        admin.cancel(space.enqueue())

    first, second = audit(space)

    assert first.request_id != second.request_id
    assert len(first.request_id) == 16
    assert (first.actor, first.role, first.source, first.address) == ("cli:ana", "admin", "cli", "")


def test_a_key_of_a_wrong_type_is_refused_and_told(space: Keyspace, admin: Admin) -> None:
    job_id = space.enqueue()
    space.raw.set(space.keys.canceled("default"), "text")

    with pytest.raises(StoreError):
        admin.cancel(job_id)

    assert told(last(space)) == ("job.cancel", job_id, 0, "", "", False, "CONFLICT")


def test_redis_away(start_server: ServerFactory, space: Keyspace, caplog: pytest.LogCaptureFixture) -> None:
    server = start_server()
    store = Store(plain_link(space.keys, "a server", {"unix_socket_path": server.socket}), limit_s=0.2)
    server.kill()

    with caplog.at_level(logging.ERROR, "gqm.admin"), pytest.raises(RedisUnavailable):
        Admin(store, actor="ana").cancel("j")
    store.close()

    assert "job.cancel on j by ana: Redis went away" in caplog.text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (JobNotFound("x"), "NOT_FOUND"),
        (QueueNotFound("x"), "NOT_FOUND"),
        (CronEntryNotFound("x"), "NOT_FOUND"),
        (JobStateError("x"), "CONFLICT"),
        (InvalidJob("x"), "BAD_REQUEST"),
        (BatchTooLarge("x"), "BAD_REQUEST"),
        (InvalidQuery("x"), "BAD_REQUEST"),
        (PayloadTooLarge("x"), "PAYLOAD_TOO_LARGE"),
        (DuplicateJobID("x"), "DUPLICATE_JOB_ID"),
        (DependencyNotFound("x"), "DEPENDENCY_NOT_FOUND"),
        (CyclicDependency("x"), "CYCLIC_DEPENDENCY"),
        (RedisUnavailable("x"), "REDIS_UNAVAILABLE"),
        (StoreError("x"), "CONFLICT"),
    ],
)
def test_codes_go_by_class(error: GQMError, code: str) -> None:
    assert code_of(error) == code


def test_a_running_handler_of_a_canceled_job_is_named(space: Keyspace, admin: Admin) -> None:
    (item,) = space.running()

    assert admin.cancel(item.id).signalled is True
    assert SERVER in item.worker_id
