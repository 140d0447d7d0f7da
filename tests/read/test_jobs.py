"""Lists of jobs: every state, pages, filters and sorts, and totals that are true or say that they are not."""

from __future__ import annotations

import time
from itertools import chain
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from gqm.errors import InvalidQuery
from gqm.job import Status
from gqm.store.commands.operate import cancel
from gqm.store.plan import follow
from gqm.store.read.jobs import get_job, list_attempts, list_jobs
from gqm.store.read.listing import Window
from gqm.store.read.match import JobFilter
from gqm.store.read.views import JobPage, JobView
from tests.support.keyspace import SERVER, Keyspace
from tests.support.states import MAKE


def page_of(space: Keyspace, wanted: JobFilter | None = None, **window: Any) -> JobPage:
    return follow(space.store, list_jobs(space.keys, wanted or JobFilter(), Window(**window)))


def ids(space: Keyspace, wanted: JobFilter | None = None, **window: Any) -> list[str]:
    return [job.id for job in page_of(space, wanted, **window).items]


def only(*status: str, **more: Any) -> JobFilter:
    return JobFilter(status=status, **more)


def put(space: Keyspace, n: int, status: str, queue: str = "default", **fields: Any) -> list[str]:
    """Store many jobs of a state at once, the first one the oldest; return their ids."""
    now = int(space.now())
    names = [f"{status}-{queue}-{i:05}" for i in range(n)]
    pipe = space.raw.pipeline(transaction=False)
    pipe.sadd(space.keys.queues, queue)
    for i, name in enumerate(names):
        at = now - n + i
        job = {"id": name, "type": "t", "queue": queue, "status": status, "payload": "{}", "created_at": at}
        times = {"ready_at_ms": at * 1000, "started_at": at, "completed_at": at}
        pipe.hset(space.keys.job(name), mapping={**job, **times, **fields})
        match status:
            case "ready":
                pipe.lpush(space.keys.ready(queue), name)
            case "scheduled" | "retry":
                pipe.zadd(space.keys.scheduled, {name: at})
            case "deferred":
                pipe.sadd(space.keys.deferred, name)
            case "processing":
                pipe.zadd(space.keys.processing(queue), {name: at + 100})
            case "completed":
                pipe.zadd(space.keys.completed(queue), {name: at})
            case "dead_letter":
                pipe.zadd(space.keys.dead_letter(queue), {name: at})
            case "canceled" | "stopped":
                pipe.zadd(space.keys.canceled(queue), {name: at})
    pipe.execute()
    return names


# ------------------------------------------------------------------------------------------ states


@pytest.mark.parametrize("status", Status)
def test_jobs_of_every_state_can_be_listed_and_opened(space: Keyspace, status: Status) -> None:
    job_id = MAKE[status](space)
    for other in set(Status) - {status}:
        MAKE[other](space, queue="other")

    for wanted in (
        only(status, queue=("default",)),
        only(status, q=job_id),
        only(status, q=job_id, type=("t",)),
    ):
        page = page_of(space, wanted)
        assert [(job.id, job.status) for job in page.items] == [(job_id, status)]
        assert (page.total, page.truncated) == (1, False)
    found = space.store.run(get_job(space.keys, job_id))
    assert found is not None
    assert (found.job.id, found.job.status) == (job_id, status)


def test_without_a_state_all_jobs_are_listed(space: Keyspace) -> None:
    made = {MAKE[status](space, queue=status) for status in Status}

    page = page_of(space, limit=100)

    assert {job.id for job in page.items} == {*made, *space.ready("parents")}
    assert (page.total, page.truncated) == (11, False)


def test_an_empty_key_space_has_empty_lists(space: Keyspace) -> None:
    page = page_of(space)

    assert (page.items, page.total, page.truncated) == ([], 0, False)
    assert page.server_time == pytest.approx(space.now(), abs=2)


@pytest.mark.parametrize(
    "status",
    ["ready", "scheduled", "retry", "deferred", "processing", "completed", "dead_letter", "canceled"],
)
def test_pages_go_through_a_list_in_both_orders(space: Keyspace, status: str) -> None:
    names = put(space, 25, status)

    newest_first = [ids(space, only(status), page=n, limit=10) for n in (1, 2, 3, 4)]
    oldest_first = [ids(space, only(status), page=n, limit=10, order="asc") for n in (1, 2, 3)]

    assert [len(part) for part in newest_first] == [10, 10, 5, 0]
    assert list(chain(*newest_first)) == names[::-1]
    assert list(chain(*oldest_first)) == names
    assert page_of(space, only(status), page=4, limit=10).total == 25


def test_the_newest_dead_letter_is_the_first_of_all_queues(space: Keyspace) -> None:
    for queue in ("a", "b", "c"):
        put(space, 5, "dead_letter", queue)
    space.raw.zadd(space.keys.dead_letter("b"), {"dead_letter-b-00002": space.now() + 5})

    page = page_of(space, only("dead_letter"), limit=4)

    assert page.total == 15
    assert page.items[0].id == "dead_letter-b-00002"
    assert {job.queue for job in page.items[1:]} == {"a", "b", "c"}


def test_a_ready_list_is_shown_in_its_own_order(space: Keyspace) -> None:
    """The place in the queue counts, not when a job came there."""
    older, newer = space.enqueue(), space.enqueue()
    front = space.enqueue(enqueue_at_front=True)

    assert ids(space, only("ready"), order="asc") == [front, older, newer] == space.ready()
    assert ids(space, only("ready")) == [newer, older, front]


def test_running_jobs_are_sorted_by_their_start(space: Keyspace) -> None:
    names = put(space, 3, "processing")
    space.raw.zadd(space.keys.processing("default"), {names[0]: space.now() + 9999})

    assert ids(space, only("processing")) == names[::-1], "a late deadline does not make a job newer"


def test_several_states_are_merged_by_time(space: Keyspace) -> None:
    done = put(space, 5, "completed", "a")
    dead = put(space, 5, "dead_letter", "b")
    merged = [name for pair in zip(done, dead, strict=True) for name in pair]

    found = ids(space, only("completed", "dead_letter"), order="asc", limit=100)

    assert found == merged
    pages = [ids(space, only("completed", "dead_letter"), order="asc", page=n, limit=3) for n in (1, 2, 3, 4)]
    assert list(chain(*pages)) == merged


@pytest.mark.fault(36)
def test_canceled_and_stopped_jobs_are_told_apart(space: Keyspace) -> None:
    canceled, stopped = put(space, 3, "canceled", "a"), put(space, 4, "stopped", "a")
    put(space, 2, "canceled", "b")

    assert page_of(space, only("canceled", queue=("a",))).total == 3
    assert set(ids(space, only("stopped", queue=("a",)))) == set(stopped)
    both = page_of(space, only("canceled", "stopped", queue=("a",)))
    assert (both.total, both.scanned) == (7, UNSET)
    assert {job.id for job in both.items} == {*canceled, *stopped}


def test_scheduled_jobs_of_one_queue(space: Keyspace) -> None:
    put(space, 3, "scheduled", "a")
    put(space, 4, "retry", "a")
    put(space, 5, "scheduled", "b")

    assert page_of(space, only("scheduled", "retry", queue=("a",))).total == 7
    assert page_of(space, only("retry")).total == 4
    both = page_of(space, only("scheduled", "retry"))
    assert (both.total, both.scanned) == (12, UNSET)


# ------------------------------------------------------------------------------- ids without a job


@pytest.mark.fault(35)
@pytest.mark.parametrize(
    "status", ["ready", "processing", "completed", "dead_letter", "scheduled", "canceled"]
)
def test_a_page_over_expired_ids_is_full(space: Keyspace, status: str) -> None:
    names = put(space, 60, status)
    gone = {name for i, name in enumerate(names) if i % 3 == 0}
    space.raw.delete(*(space.keys.job(name) for name in gone))
    kept = [name for name in names if name not in gone][::-1]

    first, second = (ids(space, only(status), page=n, limit=20) for n in (1, 2))

    assert first == kept[:20]
    assert second == kept[20:], "what is passed over on one page is not shown again on the next"


def test_ids_of_jobs_in_other_states_are_passed_over(space: Keyspace) -> None:
    job_id = space.enqueue()
    space.raw.zadd(space.keys.completed("default"), {job_id: 1})
    space.raw.lpush(space.keys.ready("default"), "never", job_id)

    assert ids(space, only("completed")) == []
    assert ids(space, only("ready")) == [job_id]


# ----------------------------------------------------------------------------------------- filters


def test_filters(space: Keyspace) -> None:
    put(
        space, 3, "dead_letter", "a", type="mail.send", error="TimeoutError: took over 30 s", worker_id="p@s1"
    )
    put(space, 4, "dead_letter", "b", type="mail.read", error="ValueError: id 77 is bad", worker_id="q@s2")
    space.raw.hset(space.keys.job("dead_letter-b-00001"), "error", "ValueError: id 99 is bad")

    def total(**more: Any) -> int:
        page = page_of(space, only("dead_letter", **more))
        assert len(page.items) == page.total
        return page.total

    assert total(type=("mail.send",)) == 3
    assert total(type=("mail.*",)) == 7
    assert total(type=("other", "mail.r*")) == 4
    assert total(error="TIMEOUT") == 3
    assert total(error="id 99") == 1
    assert total(q="-b-") == 4
    assert total(q="-B-") == 0
    assert total(worker="p@s1") == 3
    assert total(worker="p") == 3
    assert total(worker="s2") == 4
    assert total(queue=("a",), worker="s2") == 0
    assert total(queue=("a", "b", "none")) == 7


def test_a_filter_says_how_many_jobs_it_read(space: Keyspace) -> None:
    put(space, 30, "completed")

    assert page_of(space, only("completed"), limit=5).scanned is UNSET
    assert page_of(space, only("completed", type=("x",)), limit=5).scanned == 30


@pytest.mark.parametrize("status", ["ready", "scheduled", "deferred", "processing", "completed", "canceled"])
def test_a_window_of_time(space: Keyspace, status: str) -> None:
    names = put(space, 10, status)
    now = int(space.now())
    begin = space.raw.hget(space.keys.job(names[3]), "created_at")
    wanted = only(status, since=float(begin), until=float(begin) + 3)

    page = page_of(space, wanted)

    assert [job.id for job in page.items] == names[6:2:-1], now
    assert page.total == 4


@pytest.mark.parametrize("sort", ["id", "type", "created_at", "retry_count", "execution_duration"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_sorts(space: Keyspace, sort: str, order: str) -> None:
    names = put(space, 6, "completed")
    values = [3, 1, 12, 5, 4, 2]
    for name, value in zip(names, values, strict=True):
        fields = {
            "type": f"t{value:02}",
            "created_at": value,
            "retry_count": value,
            "execution_duration": value,
        }
        space.raw.hset(space.keys.job(name), mapping=fields)
    expected = sorted(names, key=lambda name: name if sort == "id" else values[names.index(name)])

    found = ids(space, only("completed"), sort=sort, order=order)

    assert found == (expected if order == "asc" else expected[::-1])


def test_the_budget_ends_a_scan_and_the_page_says_so(space: Keyspace) -> None:
    put(space, 10_500, "completed", type="common")
    space.raw.hset(space.keys.job("completed-default-00000"), "type", "rare")
    space.raw.hset(space.keys.job("completed-default-10499"), "type", "rare")

    page = page_of(space, only("completed", type=("rare",)))

    assert [job.id for job in page.items] == ["completed-default-10499"], "the newest are looked at first"
    assert (page.total, page.truncated, page.scanned) == (1, True, 10_000)
    exact = page_of(space, only("completed"), page=105, limit=100)
    assert (exact.total, exact.truncated) == (10_500, False)
    assert exact.items[-1].id == "completed-default-00000"


@pytest.mark.parametrize(
    ("wanted", "window", "said"),
    [
        (JobFilter(status=("done",)), {}, "done"),
        (JobFilter(status=tuple("x" * 21)), {}, "status"),
        (JobFilter(queue=tuple(f"q{n}" for n in range(21))), {}, "queue takes at most 20"),
        (JobFilter(q="x" * 257), {}, "q is longer"),
        (JobFilter(error="x" * 201), {}, "error is longer"),
        (JobFilter(fingerprint="XYZ"), {}, "fingerprint"),
        (JobFilter(), {"limit": 101}, "limit must be 1 to 100"),
        (JobFilter(), {"limit": 0}, "limit must be 1 to 100"),
        (JobFilter(), {"page": 0}, "page"),
        (JobFilter(), {"page": 10_001, "limit": 100}, "1,000,000"),
        (JobFilter(), {"sort": "payload"}, "sort must be one of time, id"),
        (JobFilter(), {"order": "up"}, "order"),
        (JobFilter(status=("ready", "completed"), queue=("a",)), {"page": 101, "limit": 100}, "10,000"),
    ],
)
def test_questions_that_cannot_be_answered(
    space: Keyspace, wanted: JobFilter, window: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidQuery, match=said):
        page_of(space, wanted, **window)


def test_too_many_pairs_of_state_and_queue(space: Keyspace) -> None:
    space.raw.sadd(space.keys.queues, *(f"q{n}" for n in range(501)))

    with pytest.raises(InvalidQuery, match="501 pairs"):
        page_of(space, only("ready"))
    assert page_of(space, only("scheduled", "retry", "deferred")).total == 0


# -------------------------------------------------------------------------------------- large sizes


@pytest.mark.fault(11)
def test_lists_of_a_long_queue_take_bounded_commands(space: Keyspace) -> None:
    """No command looks at more than a bounded part, so the number of commands is what grows."""
    pipe = space.raw.pipeline(transaction=False)
    pipe.sadd(space.keys.queues, "default")
    for n in range(200):
        pipe.lpush(space.keys.ready("default"), *(f"j{n:03}-{m:03}" for m in range(1000)))
    for n in (0, 5, 100, 199):
        for m in range(1000):
            fields = {"id": f"j{n:03}-{m:03}", "type": "t", "queue": "default", "status": "ready"}
            pipe.hset(space.keys.job(f"j{n:03}-{m:03}"), mapping=fields)
    pipe.execute()
    begun = time.monotonic()

    first = page_of(space, only("ready"), limit=100)
    deep = page_of(space, only("ready"), page=995, limit=100)
    one = page_of(space, only("ready", q="j005-123"))

    assert time.monotonic() - begun < 2
    assert (first.total, first.items[0].id) == (200_000, "j199-999")
    assert [job.id for job in deep.items][:2] == ["j100-599", "j100-598"] or len(deep.items) == 100
    assert [job.id for job in one.items] == ["j005-123"]
    assert (one.total, one.truncated) == (1, False)


@pytest.mark.fault(11)
def test_a_list_of_very_many_deferred_jobs_is_cut(space: Keyspace) -> None:
    put(space, 10_200, "deferred")

    page = page_of(space, only("deferred"))

    assert (len(page.items), page.total, page.truncated) == (20, 10_200, True)


# ------------------------------------------------------------------------------------------- fields


def test_a_row_has_no_payload_but_its_size(space: Keyspace) -> None:
    space.enqueue(meta={"big": "x" * 1000})
    job_id = space.ready()[0]
    space.raw.hset(space.keys.job(job_id), "payload", '{"a":"' + "x" * 1_000_000 + '"}')

    page = page_of(space)

    assert page.items[0].payload_bytes == 1_000_008
    assert len(msgspec.json.encode(page)) < 1000
    assert b"payload" not in msgspec.json.encode(page).replace(b"payload_bytes", b"")


def test_rows_of_a_hundred_large_jobs_are_small(space: Keyspace) -> None:
    names = put(space, 100, "ready", error="E: " + "y" * 4000)
    pipe = space.raw.pipeline(transaction=False)
    for name in names:
        pipe.hset(space.keys.job(name), "payload", b'{"a":"' + b"x" * 100_000 + b'"}')
    pipe.execute()

    page = page_of(space, limit=100)

    assert len(page.items) == 100
    assert len(msgspec.json.encode(page)) < 200 * 1024
    assert {len(str(job.error)) for job in page.items} == {500}


def detail(space: Keyspace, job_id: str) -> JobView:
    found = space.store.run(get_job(space.keys, job_id))
    assert found is not None
    assert found.server_time == pytest.approx(space.now(), abs=2)
    return found.job


def test_all_about_a_running_job(space: Keyspace) -> None:
    (item,) = space.running(timeout=60, max_retry=5, retry_intervals=[1, 2], enqueued_by="me")
    fields = {
        "started_at": int(space.now()) - 9,
        "last_heartbeat": 1790000000_123456789,
        "progress": '[3,10,"page"]',
    }
    space.raw.hset(space.keys.job(item.id), mapping=fields)

    job = detail(space, item.id)

    assert (job.pool, job.server_id, job.worker_id) == ("p", SERVER, f"p@{SERVER}")
    assert (job.timeout, job.max_retry, job.retry_intervals, job.attempt) == (60, 5, [1, 2], 1)
    assert job.processing_deadline == pytest.approx(space.now() + 60, abs=2)
    assert job.elapsed_ms == pytest.approx(9000, abs=1500)
    assert job.last_heartbeat == 1790000000
    assert msgspec.to_builtins(job.progress) == {"current": 3, "total": 10, "message": "page"}
    assert (job.stale, job.enqueued_by) == (False, "me")
    assert {job.due_at, job.expires_at, job.error, job.completed_at, job.result} == {UNSET}
    (row,) = page_of(space, only("processing")).items
    assert (row.stale, row.processing_deadline, row.payload) == (False, job.processing_deadline, UNSET)


@pytest.mark.fault(65)
def test_a_running_job_is_stale_when_its_servers_lease_has_ended(space: Keyspace) -> None:
    (item,) = space.running(timeout=1)
    space.raw.zadd(space.keys.processing("default"), {item.id: space.now() - 500})
    assert detail(space, item.id).stale is False, "its server answers for it, however late it is"

    space.end_lease()
    assert detail(space, item.id).stale is True
    space.raw.delete(space.keys.leases)
    assert page_of(space, only("processing")).items[0].stale is True


@pytest.mark.fault(65)
def test_another_programs_job_is_stale_some_time_after_its_deadline(space: Keyspace) -> None:
    space.raw.sadd(space.keys.queues, "default")
    space.foreign("early", overdue_s=24)
    space.foreign("late", overdue_s=27)

    assert {job.id: job.stale for job in page_of(space).items} == {"early": False, "late": True}
    slow = follow(space.store, list_jobs(space.keys, JobFilter(), Window(), stale_after_s=100))
    assert {job.id: job.stale for job in slow.items} == {"early": False, "late": False}
    job = detail(space, "late")
    assert (job.worker_id, job.pool, job.server_id) == ("go", "go", UNSET)


def test_all_about_an_ended_job(space: Keyspace) -> None:
    job = detail(space, MAKE[Status.COMPLETED](space, meta={"a": 1}))

    assert bytes(job.result) == b"7"  # type: ignore[arg-type]  # raw JSON
    assert bytes(job.meta) == b'{"a":1}'  # type: ignore[arg-type]
    assert job.execution_duration == 5
    assert isinstance(job.wait_ms, int)
    assert job.expires_at == pytest.approx(space.now() + 86_400, abs=2)
    dead = detail(space, MAKE[Status.DEAD_LETTER](space))
    assert (dead.error, dead.error_type, dead.traceback) == ("Oops: x", "Oops", "trace")


def test_all_about_a_waiting_job(space: Keyspace) -> None:
    scheduled = detail(space, MAKE[Status.SCHEDULED](space))
    assert scheduled.due_at == pytest.approx(space.now() + 3600, abs=2)
    assert scheduled.scheduled_at == int(scheduled.due_at)  # type: ignore[arg-type]  # set for this state
    child_id = MAKE[Status.DEFERRED](space)
    (parent_id,) = space.ready("parents")

    child, parent = detail(space, child_id), detail(space, parent_id)

    assert (child.depends_on, child.pending_deps) == ([parent_id], [parent_id])
    assert (parent.children, parent.child_count, parent.depends_on) == ([child_id], 1, [])
    (row,) = page_of(space, only("deferred")).items
    assert (row.depends_on, row.pending_deps) == ([parent_id], [parent_id])


def test_very_many_children_are_counted_and_some_are_named(space: Keyspace) -> None:
    job_id = space.enqueue()
    space.raw.sadd(space.keys.children(job_id), *(f"c{n:05}" for n in range(2500)))

    job = detail(space, job_id)

    assert job.child_count == 2500
    assert len(job.children) == 100  # type: ignore[arg-type]  # always set here


def test_children_that_only_another_program_knows(space: Keyspace) -> None:
    job_id = space.enqueue()
    space.raw.sadd(space.keys.dependents(job_id), "go-child")

    assert detail(space, job_id).children == ["go-child"]


@pytest.mark.parametrize("payload", ["", "null", "{}"])
def test_no_payload_reads_as_an_empty_object(space: Keyspace, payload: str) -> None:
    job_id = space.enqueue()
    space.raw.hset(space.keys.job(job_id), "payload", payload)

    assert bytes(detail(space, job_id).payload) == b"{}"  # type: ignore[arg-type]


def test_every_digit_of_a_payload_is_kept(space: Keyspace) -> None:
    text = b'{"n":12345678901234567890123.450,"a":[1.10]}'
    job_id = space.enqueue()
    space.raw.hset(space.keys.job(job_id), "payload", text)

    assert text in msgspec.json.encode(detail(space, job_id))


@pytest.mark.parametrize("payload", [b"{broken", b"\xff\xfe", b'{"a":NaN}', b"[" * 5000])
def test_a_payload_that_is_no_json_is_shown_as_text(space: Keyspace, payload: bytes) -> None:
    job_id = space.enqueue()
    space.raw.hset(space.keys.job(job_id), mapping={"payload": payload, "result": payload, "meta": payload})

    job = detail(space, job_id)

    assert job.payload_invalid is True
    assert job.payload == payload.decode("utf-8", "replace")
    msgspec.json.encode(job)


def test_strange_hashes_are_shown_as_they_are(space: Keyspace) -> None:
    strange = {"status": "ready", "max_retry": "many", "created_at": "-", "progress": "{", "depends_on": "7"}
    space.raw.hset(space.keys.job("j"), mapping=strange)
    space.raw.set(space.keys.job("text"), "no hash")
    space.raw.sadd(space.keys.queues, "default")
    space.raw.lpush(space.keys.ready("default"), "j", "text")

    (job,) = page_of(space).items

    assert (job.id, job.type, job.queue, job.max_retry, job.created_at) == ("j", "", "default", 0, 0)
    assert detail(space, "j").depends_on == []
    assert space.store.run(get_job(space.keys, "text")) is None
    assert space.store.run(get_job(space.keys, "never")) is None


def test_a_container_of_a_wrong_type_counts_as_empty(space: Keyspace) -> None:
    job_id = space.enqueue()
    space.raw.set(space.keys.completed("default"), "text")
    space.raw.set(space.keys.leases, "text")

    assert ids(space, only("ready", "completed")) == [job_id]


def test_attempts_are_newest_first(space: Keyspace) -> None:
    job_id = MAKE[Status.RETRY](space)
    key = space.keys.attempts(job_id)
    entry = (
        '{"attempt":2,"outcome":"retry","counted":true,"started_at":1789999930,"ended_at":1789999960.4,'
        '"duration_ms":30004,"worker_id":"fast@web1","error":"TimeoutError: took over 30 s","later":1}'
    )
    space.raw.lpush(key, '{"attempt":1}', "strange", '["no"]', entry)

    newest, oldest = space.store.run(list_attempts(space.keys, job_id))

    assert (newest.attempt, newest.outcome, newest.ended_at) == (2, "retry", 1789999960.4)
    assert (newest.duration_ms, newest.error_type) == (30004, "TimeoutError")
    assert (oldest.attempt, oldest.error_type) == (1, UNSET)
    assert space.store.run(list_attempts(space.keys, "never")) == []


def test_a_canceled_job_tells_why(space: Keyspace) -> None:
    job_id = space.enqueue()
    space.store.run(cancel(space.keys, job_id, "by ana"))

    assert page_of(space).items[0].cancel_reason == "by ana"
