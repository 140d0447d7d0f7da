"""The inline queue for tests of users: what it takes in, what it runs, what a failed assertion says."""

from __future__ import annotations

import asyncio
import dataclasses
import types
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import gqm
from gqm.testing import inline

# ------------------------------------------------------------------------------------- the basic story


def test_nothing_runs_until_it_is_told_to() -> None:
    done: list[object] = []
    with inline({"mail": lambda job: done.append(job.payload["to"])}) as queue:
        first = queue.client.enqueue("mail", {"to": "a"})
        second = queue.client.enqueue("mail", {"to": "b"})
        assert (first.status, first.queue, first.type) == ("ready", "default", "mail")
        assert done == []
        ran = queue.run_all()
    assert done == ["a", "b"]
    assert [job.id for job in ran] == [first.id, second.id]
    assert {(job.status, job.attempt, job.worker_id) for job in ran} == {("completed", 1, "default@inline")}


def test_immediately_runs_each_call_by_itself() -> None:
    with inline({"add": lambda job: job.payload["a"] + job.payload["b"]}, immediately=True) as queue:
        made = queue.client.enqueue("add", {"a": 1, "b": 2})
        job = queue.client.get(made.id)
        assert job is not None
        assert (job.status, job.result) == ("completed", 3)
        assert queue.client.wait(made.id) == 3


def test_without_handlers_jobs_are_only_recorded() -> None:
    with inline() as queue:
        made = queue.client.enqueue("mail", {"to": "a"})
        assert queue.run_all() == []
        queue.assert_enqueued("mail", {"to": "a"})
        with pytest.raises(TimeoutError, match="is ready: nothing here runs 'mail' from queue 'default'"):
            queue.client.wait(made.id)


@pytest.mark.parametrize("immediately", [False, True])
def test_a_handler_may_enqueue_through_the_queue(immediately: bool) -> None:
    order: list[str] = []

    def parent(job: gqm.Job) -> None:
        queue.client.enqueue("child")
        order.append("parent")

    handlers = {"parent": parent, "child": lambda job: order.append("child")}
    with inline(handlers, immediately=immediately) as queue:
        queue.client.enqueue("parent")
        queue.run_all()
    assert order == ["parent", "child"]  # one at a time, never nested


def test_the_running_job_is_known() -> None:
    def look(job: gqm.Job) -> object:
        running = gqm.current_job.get()
        job.progress(1, 2, "half")
        return [running is job, job.attempt, job.status, job.cancelled]

    with inline({"look": look}) as queue:
        made = queue.client.enqueue("look")
        (job,) = queue.run_all()
        assert (made.id, job.result) == (job.id, [True, 1, "processing", False])
        assert job.progress_made == (1, 2, "half")
        assert gqm.current_job.get() is None


# --------------------------------------------------------------------------------- same checks as ever


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda client: client.enqueue("no spaces"), gqm.InvalidJob, "job type"),
        (lambda client: client.enqueue("t", [1]), gqm.InvalidJob, "must be a JSON object"),
        (lambda client: client.enqueue("t", {"x": "y" * 1_100_000}), gqm.PayloadTooLarge, "the limit is"),
        (lambda client: client.enqueue("t", que="q"), gqm.InvalidJob, 'did you mean "queue"'),
        (lambda client: client.enqueue("t", depends_on="none"), gqm.DependencyNotFound, "depends on 'none'"),
        (lambda client: client.enqueue_in("t", {}, 5, depends_on="a"), gqm.InvalidJob, "cannot have a time"),
        (lambda client: client.enqueue_at("t", {}, datetime(2030, 1, 1)), gqm.InvalidJob, "time zone"),
        (lambda client: client.enqueue_batch(["t", ("t", 5)]), gqm.InvalidJob, "item 1"),
        (
            lambda client: client.enqueue_batch([gqm.Item("t", {}, {"job_id": "x", "unique": True})]),
            gqm.InvalidJob,
            "unique is not possible in a batch",
        ),
        (lambda client: client.enqueue_batch(["t"] * 1001), gqm.BatchTooLarge, "1,000"),
    ],
)
def test_what_the_client_refuses_is_refused(call: Any, error: type[Exception], text: str) -> None:
    with inline() as queue:
        with pytest.raises(error, match=text):
            call(queue.client)
        assert queue.enqueued == []
        assert queue.jobs() == []


def test_ids_of_one_s_own() -> None:
    with inline({"t": lambda job: None}) as queue:
        queue.client.enqueue("t", job_id="a")
        with pytest.raises(gqm.DuplicateJobID, match="job id 'a' is taken: that job is ready"):
            queue.client.enqueue("t", job_id="a")
        queue.run_all()
        with pytest.raises(gqm.DuplicateJobID, match="that job is completed"):
            queue.client.enqueue("t", job_id="a", unique=True)
        assert queue.client.enqueue("t", {"new": 1}, job_id="a").status == "ready"  # the old one has ended
        with pytest.raises(gqm.DuplicateJobID, match="item 1: job id 'a' is taken"):
            queue.client.enqueue_batch(["t", gqm.Item("t", {}, {"job_id": "a"})])
        assert len(queue.jobs()) == 1
        (job,) = queue.run_all()
        assert (job.payload, job.attempt) == ({"new": 1}, 1)


def test_batches() -> None:
    with inline({"t": lambda job: None}) as queue:
        assert len(queue.client.enqueue_batch(["t", ("t", {"a": 1}), gqm.Item("t")])) == 3
        assert [len(chunk) for chunk in queue.client.enqueue_many(["t"] * 1500)] == [1000, 500]
        assert queue.client.enqueue_batch([]) == []
        assert len(queue.run_all()) == 1503


# ------------------------------------------------------------------------------------------------ time


def test_what_is_due_is_decided_by_the_clock() -> None:
    with inline({"t": lambda job: None}, start=datetime(2030, 1, 1, tzinfo=UTC)) as queue:
        later = queue.client.enqueue_in("t", {}, timedelta(hours=1))
        at = queue.client.enqueue_at("t", {}, datetime(2030, 1, 1, 0, 30, tzinfo=UTC))
        past = queue.client.enqueue_at("t", {}, datetime(2029, 1, 1, tzinfo=UTC))
        assert [item.status for item in (later, at, past)] == ["scheduled", "scheduled", "ready"]
        assert queue.due_in(later.id) == 3600
        assert [job.id for job in queue.run_all()] == [past.id]
        queue.clock.advance(1799.999)
        assert queue.run_all() == []
        with pytest.raises(TimeoutError, match=r"is scheduled: it falls due in 0.001 s; move the clock on"):
            queue.client.wait(at.id)
        queue.clock.advance(0.001)
        assert [job.id for job in queue.run_all()] == [at.id]
        queue.clock.move_to(datetime(2030, 1, 1, 1, tzinfo=UTC))
        (job,) = queue.run_all()
        assert (job.id, job.scheduled_at, job.completed_at) == (
            later.id,
            job.created_at + 3600,
            queue.clock.now,
        )
        assert queue.due_in(later.id) is None


def test_the_clock_does_not_go_back() -> None:
    with inline() as queue:
        with pytest.raises(ValueError, match="does not go back"):
            queue.clock.advance(-1)
        with pytest.raises(ValueError, match="time zone"):
            queue.clock.move_to(datetime(2100, 1, 1))
        queue.clock.advance(timedelta(seconds=0))


def test_jobs_run_in_due_order_and_front_ones_first() -> None:
    order: list[object] = []
    with inline({"t": lambda job: order.append(job.payload["n"])}) as queue:
        for delay, n, front in ((2, 1, False), (1, 2, False), (2, 3, True), (1, 4, True)):
            queue.client.enqueue_in("t", {"n": n}, delay, enqueue_at_front=front)
        queue.client.enqueue("t", {"n": 5})
        queue.client.enqueue("t", {"n": 6}, enqueue_at_front=True)
        queue.clock.advance(2)
        queue.run_all()
    assert order == [4, 3, 6, 5, 2, 1]


def test_ended_jobs_expire() -> None:
    with inline({"t": lambda job: None}) as queue:
        kept = queue.client.enqueue("t", job_id="kept", result_ttl=60)
        gone = queue.client.enqueue("t", result_ttl=0)
        ever = queue.client.enqueue("t", result_ttl=-1)
        queue.run_all()
        assert queue.get(gone.id) is None
        with pytest.raises(gqm.JobNotFound):
            queue.client.wait(gone.id)
        queue.clock.advance(59)
        assert queue.get(kept.id) is not None
        queue.clock.advance(1)
        assert queue.get(kept.id) is None
        assert queue.client.enqueue("t", job_id="kept", unique=True).status == "ready"
        queue.clock.advance(10**8)
        assert queue.get(ever.id) is not None


# --------------------------------------------------------------------------------------------- failures


def fail(job: gqm.Job) -> None:
    raise ValueError("oops")


def test_failures_are_retried_by_the_rules_of_the_job() -> None:
    with inline({"t": fail}) as queue:
        made = queue.client.enqueue("t", max_retry=2, retry_intervals=[5, 60])
        for count, due in ((1, 5), (2, 60)):
            (job,) = queue.run_all()
            assert (job.status, job.retry_count, job.error) == ("retry", count, "ValueError: oops")
            assert queue.due_in(made.id) == due
            queue.clock.advance(due)
        (job,) = queue.run_all()
        assert (job.status, job.retry_count, job.attempt) == ("dead_letter", 2, 3)
        assert "in fail" in job.traceback
        assert [entry["outcome"] for entry in queue.attempts(made.id)] == ["retry", "retry", "dead_letter"]
        with pytest.raises(gqm.JobFailed, match="dead_letter: ValueError: oops"):
            queue.client.wait(made.id)


def test_drain_moves_the_clock_until_all_have_ended() -> None:
    with inline({"t": fail, "ok": lambda job: None}) as queue:
        begun = queue.clock.now
        queue.client.enqueue("t", max_retry=3)
        queue.client.enqueue_in("ok", {}, 7200)
        assert len(queue.drain()) == 5
        assert {job.status for job in queue.jobs()} == {"dead_letter", "completed"}
        assert queue.clock.now == pytest.approx(begun + 7200)


def test_a_server_s_pools_say_who_runs_what_and_how_often() -> None:
    server = gqm.Server("localhost:1")  # nothing connects
    server.handle("t", fail)
    server.handle("other", fail)
    server.pool("p", ["t"], queues=["mail"], retry={"max_retry": 1, "backoff": "custom", "intervals": ["7s"]})
    with inline(server) as queue:
        made = queue.client.enqueue("t", queue="mail")
        elsewhere = queue.client.enqueue("t", queue="nowhere")
        other = queue.client.enqueue("other")
        ran = queue.run_all()
        assert [(job.id, job.worker_id) for job in ran] == [
            (made.id, "p@inline"),
            (other.id, "default@inline"),
        ]
        assert queue.due_in(made.id) == 7
        assert queue.due_in(other.id) == 10
        queue.drain()
        assert {job.attempt for job in queue.jobs("t", queue="mail")} == {2}
        assert {job.attempt for job in queue.jobs("other")} == {4}
        assert [job.id for job in queue.jobs(status="ready")] == [elsewhere.id]


def test_a_type_without_handler_waits_for_another_server_then_is_buried() -> None:
    server = gqm.Server("localhost:1", unknown_type_ttl="10s")
    server.pool("p", ["*"])
    with inline(server) as queue:
        made = queue.client.enqueue("t")
        (job,) = queue.run_all()
        assert (job.status, job.error, job.retry_count) == ("retry", 'no handler for type "t"', 0)
        assert queue.due_in(made.id) == 5
        queue.drain()
        assert [job.status for job in queue.jobs()] == ["dead_letter"]


def test_signals_of_handlers() -> None:
    def handler(job: gqm.Job) -> None:
        match job.payload["how"]:
            case "skip":
                raise gqm.SkipRetry("no use")
            case "later":
                raise gqm.Retry(90)
            case "uncounted":
                raise gqm.Retry(90, count=False)
        raise AssertionError

    with inline({"t": handler}, raise_errors=True) as queue:
        ids = {how: queue.client.enqueue("t", {"how": how}).id for how in ("skip", "later", "uncounted")}
        queue.run_all()  # signals are not raised
        jobs = {how: queue.get(job_id) for how, job_id in ids.items()}
        assert {how: (job.status, job.retry_count) for how, job in jobs.items() if job} == {
            "skip": ("dead_letter", 0),
            "later": ("retry", 1),
            "uncounted": ("retry", 0),
        }
        assert queue.due_in(ids["later"]) == 90


def test_a_payload_of_the_wrong_shape_is_buried_at_once() -> None:
    with inline({"mail": lambda job: job.decode(Mail)}) as queue:
        queue.client.enqueue("mail", {"to": 5}, max_retry=5)
        (job,) = queue.run_all()
    assert (job.status, job.attempt) == ("dead_letter", 1)
    assert job.error.startswith("InvalidPayload: payload does not fit Mail: ")


def test_errors_are_raised_if_the_test_wants_that() -> None:
    with inline({"t": fail, "ok": lambda job: 1}, raise_errors=True) as queue:
        made, ok = queue.client.enqueue("t"), queue.client.enqueue("ok")
        with pytest.raises(ValueError, match="oops"):
            queue.run_all()
        job = queue.get(made.id)
        assert job is not None
        assert job.status == "retry"  # it was settled first
        assert [job.id for job in queue.run_all()] == [ok.id]
    with (
        inline({"t": fail}, raise_errors=True, immediately=True) as queue,
        pytest.raises(ValueError, match="oops"),
    ):
        queue.client.enqueue("t")


def test_what_ends_the_test_is_no_failure_of_the_job() -> None:
    def interrupted(job: gqm.Job) -> None:
        raise KeyboardInterrupt

    with inline({"t": interrupted, "exit": lambda job: exit(3)}) as queue:
        queue.client.enqueue("t")
        with pytest.raises(KeyboardInterrupt):
            queue.run_all()
        queue.client.enqueue("exit", max_retry=0)
        assert [job.error for job in queue.run_all()] == ["SystemExit: 3"]


def test_predicates_callbacks_and_middleware_take_part() -> None:
    seen: list[str] = []
    server = gqm.Server("localhost:1")
    server.handle(
        "t",
        fail,
        is_failure=lambda exc: False,
        on_failure=lambda job, exc: seen.append(f"on_failure {exc}"),
        on_complete=lambda job, exc: seen.append("on_complete"),
    )

    async def succeeded(job: gqm.Job) -> None:
        seen.append("on_success")

    server.handle("ok", lambda job: "value", on_success=succeeded)

    @server.use
    async def around(job: gqm.Job, call_next: Any) -> object:
        seen.append(f"before {job.type}")
        return await call_next(job)

    with inline(server) as queue:
        queue.client.enqueue("t")
        queue.client.enqueue("ok")
        first, second = queue.run_all()
    assert (first.status, first.retry_count) == ("retry", 0)
    assert (second.status, second.result) == ("completed", "value")
    assert seen == ["before t", "on_failure oops", "on_complete", "before ok", "on_success"]


def test_a_job_that_enqueues_itself_for_ever_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gqm.testing.bench.MAX_RUNS", 50)
    with inline({"t": lambda job: queue.client.enqueue("t") and None}) as queue:
        queue.client.enqueue("t")
        with pytest.raises(RuntimeError, match="does a job enqueue itself"):
            queue.run_all()
    with inline({"t": lambda job: queue.client.enqueue_in("t", {}, 5) and None}) as queue:
        queue.client.enqueue("t")
        with pytest.raises(RuntimeError, match="does a job enqueue itself"):
            queue.drain()


# --------------------------------------------------------------------------------------------- families


def test_children_run_after_their_parents() -> None:
    order: list[str] = []
    with inline({"t": lambda job: order.append(job.id)}) as queue:
        queue.client.enqueue("t", job_id="a")
        queue.client.enqueue("t", job_id="b")
        child = queue.client.enqueue("t", job_id="c", depends_on=["a", "b"])
        last = queue.client.enqueue("t", job_id="d", depends_on="c")
        assert (child.status, last.status) == ("deferred", "deferred")
        queue.run_all()
        assert queue.client.enqueue("t", depends_on="a").status == "ready"  # it has completed
    assert order == ["a", "b", "c", "d"]


def test_nothing_waits_for_itself() -> None:
    with inline({"t": lambda job: None}) as queue:
        queue.client.enqueue_in("t", {}, 60, job_id="late")
        queue.client.enqueue("t", job_id="first")
        queue.client.enqueue("t", job_id="behind", depends_on=["first", "late"])
        queue.run_all()
        with pytest.raises(gqm.CyclicDependency, match="its parent 'behind' leads back to it"):
            queue.client.enqueue("t", job_id="first", depends_on="behind")  # the id is free again


def test_failed_parents_cancel_or_are_allowed_to_fail() -> None:
    with inline({"bad": fail, "t": lambda job: None}) as queue:
        queue.client.enqueue("bad", job_id="bad", max_retry=0)
        queue.client.enqueue("t", job_id="late", depends_on="bad")
        queue.client.enqueue("t", job_id="later", depends_on="late")
        queue.client.enqueue("t", job_id="brave", depends_on="bad", allow_failure=True)
        queue.run_all()
        states = {job.id: str(job.status) for job in queue.jobs()}
        assert states == {"bad": "dead_letter", "late": "canceled", "later": "canceled", "brave": "completed"}
        job = queue.get("later")
        assert job is not None
        assert job.cancel_reason == "parent failed: late"
        assert queue.client.enqueue("t", depends_on="bad").status == "canceled"
        with pytest.raises(gqm.JobFailed, match="canceled: parent failed: bad"):
            queue.client.wait("late")


# ------------------------------------------------------------------------------------------- async code


async def asleep(job: gqm.Job) -> str:
    await asyncio.sleep(0)
    return "slept"


def test_async_handlers_run_in_plain_tests() -> None:
    loops: set[int] = set()

    async def same(job: gqm.Job) -> None:
        await asyncio.sleep(0)
        loops.add(id(asyncio.get_running_loop()))

    with inline({"asleep": asleep, "same": same}) as queue:
        made = queue.client.enqueue("asleep")
        assert queue.client.wait(made.id) == "slept"
        queue.client.enqueue_batch(["same", "same"])
        queue.run_all()
    assert len(loops) == 1  # what a handler keeps stays usable from one job to the next


def test_async_tests_use_the_async_calls() -> None:
    async def main() -> None:
        with inline({"asleep": asleep, "t": lambda job: 1, "bad": fail}) as queue:
            made = await queue.async_client.enqueue("asleep")
            with pytest.raises(RuntimeError, match=r"use await queue.arun_all\(\)"):
                queue.run_all()
            assert await queue.async_client.wait(made.id) == "slept"
            await queue.async_client.enqueue_in("t", {}, 5)
            await queue.async_client.enqueue("bad", max_retry=1)
            assert len(await queue.adrain()) == 3
            queue.client.enqueue("t")
            assert len(queue.run_all()) == 1  # a plain handler needs no loop
            chunks = [chunk async for chunk in queue.async_client.enqueue_many(["t"] * 3)]
            assert len(chunks[0]) == 3
            assert len(await queue.arun_all()) == 3

    asyncio.run(main())


def test_immediately_in_async_code() -> None:
    async def main() -> None:
        with inline({"asleep": asleep}, immediately=True) as queue:
            made = await queue.async_client.enqueue("asleep")
            job = await queue.async_client.get(made.id)
            assert job is not None
            assert job.result == "slept"

    asyncio.run(main())


# -------------------------------------------------------------------------------------------- sources


def test_handlers_come_from_modules_servers_and_dicts() -> None:
    module = types.ModuleType("jobs")
    module.work = gqm.handler("work")(lambda job: "module")  # type: ignore[attr-defined]
    for handlers in (module, [module], {"work": lambda job: "module"}):
        with inline(handlers) as queue:
            assert queue.client.wait(queue.client.enqueue("work", queue="any").id) == "module"
    with pytest.raises(gqm.RegistrationError, match="has a handler already"):
        inline([module, module])


# ------------------------------------------------------------------------------------------- assertions


@dataclasses.dataclass
class Mail:
    to: str
    cc: tuple[str, ...] = ()


def test_assertions_compare_as_json_and_only_what_is_named() -> None:
    with inline() as queue:
        queue.client.enqueue("mail", Mail("a", ("b",)), queue="fast", max_retry=5, meta={"by": "me"})
        queue.client.enqueue_in("mail", {"to": "c"}, 60)
        assert len(queue.assert_enqueued("mail")) == 2
        queue.assert_enqueued("mail", {"to": "a", "cc": ["b"]}, count=1)
        queue.assert_enqueued("mail", Mail("a", ("b",)), queue="fast", max_retry=5, meta={"by": "me"})
        queue.assert_enqueued("mail", {"to": "c"}, delay=60)
        queue.assert_enqueued("mail", at=queue.clock.now + 60, queue="default")
        queue.assert_enqueued("mail", count=0, queue="slow")
        queue.assert_not_enqueued("mail", {"to": "x"})
        queue.assert_not_enqueued("report")
        for wrong in ({"to": "a"}, {"to": "a", "cc": ["b"], "x": 1}, {"to": "a", "cc": [True]}):
            with pytest.raises(AssertionError):
                queue.assert_enqueued("mail", wrong)
        with pytest.raises(gqm.InvalidJob, match="unknown option"):
            queue.assert_enqueued("mail", que="fast")  # type: ignore[call-arg]


def test_a_failure_says_what_there_is_instead() -> None:
    with inline() as queue:
        queue.client.enqueue("mail", {"to": "a", "body": {"lang": "de"}}, queue="slow")
        queue.client.enqueue_in("mail", {"to": "b", "body": {"lang": "en"}}, 5, job_id="mine")
        queue.client.enqueue("report")
        with pytest.raises(AssertionError) as caught:
            queue.assert_enqueued("mail", {"to": "a", "body": {"lang": "en"}}, queue="fast", delay=5)
    assert str(caught.value).splitlines() == [
        "no such job was enqueued:",
        "    mail  payload={'to': 'a', 'body': {'lang': 'en'}}  queue='fast'  delay=5",
        "enqueued of that type (2):",
        "    mail  payload={'to': 'a', 'body': {'lang': 'de'}}  queue='slow'"
        "   <- differs in payload.body.lang, queue, delay",
        "    mail  payload={'to': 'b', 'body': {'lang': 'en'}}  queue='default'  job_id='mine'  delay=5"
        "   <- differs in payload.to, queue",
        "other types that were enqueued: report",
    ]


def test_other_failures_are_told_too() -> None:
    with inline() as queue:
        queue.assert_nothing_enqueued()
        for _ in range(12):
            queue.client.enqueue("mail", {"text": "x" * 500})
        with pytest.raises(AssertionError, match="there are 12 jobs: mail, mail"):
            queue.assert_nothing_enqueued()
        with pytest.raises(AssertionError, match=r"nothing of that type was enqueued\nother types.*mail"):
            queue.assert_enqueued("report")
        with pytest.raises(
            AssertionError, match="expected 2 such jobs to be enqueued, there are 12"
        ) as caught:
            queue.assert_enqueued("mail", count=2)
        assert "… and 2 more" in str(caught.value)
        assert max(len(line) for line in str(caught.value).splitlines()) < 300
        with pytest.raises(AssertionError, match="this was not to be enqueued"):
            queue.assert_not_enqueued("mail")
        queue.clear()
        queue.assert_nothing_enqueued()
        assert len(queue.jobs("mail")) == 12
