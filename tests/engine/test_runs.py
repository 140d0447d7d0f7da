"""How jobs run: handlers, middleware, callbacks, retries, time-outs; each with a server on a real Redis."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from typing import Any

import pytest
import redis

import gqm
from tests.engine.running import Running, running
from tests.support.wait import eventually


def ended(client: gqm.Client, job_id: str, timeout: float = 10) -> gqm.Job:
    """Wait until a job has ended, in whatever state, and return it."""

    def look() -> bool:
        job = client.get(job_id)
        return job is not None and job.status.terminal

    eventually(look, timeout, message=f"{job_id} ends")
    job = client.get(job_id)
    assert job is not None
    return job


def test_def_and_async_handlers_return_results(make: Any, client: gqm.Client) -> None:
    server = make()
    server.handle("plain", lambda job: {"thread": threading.current_thread().name, "n": job.payload["n"]})

    @server.handle("async")
    async def on_loop(job: gqm.Job) -> list[int]:
        await asyncio.sleep(0)
        return [job.attempt, job.payload["n"]]  # type: ignore[list-item]

    with running(server):
        plain, on_the_loop = client.enqueue("plain", {"n": 1}), client.enqueue("async", {"n": 2})
        assert client.wait(plain.id, 10) == {"thread": "gqm default", "n": 1}
        assert client.wait(on_the_loop.id, 10) == [1, 2]
    job = client.get(plain.id)
    assert job is not None
    assert (job.status, job.attempt, job.retry_count, job.error) == (gqm.Status.COMPLETED, 1, 0, "")


def test_middleware_is_an_onion_around_both_kinds(make: Any, client: gqm.Client) -> None:
    server, seen = make(), []

    def layer(name: str) -> Any:
        async def middleware(job: gqm.Job, call_next: Any) -> object:
            seen.append(f"{name} in")
            try:
                return await call_next(job)
            finally:
                seen.append(f"{name} out")

        return middleware

    server.use(layer("a"))
    server.use(layer("b"))
    server.handle("plain", lambda job: seen.append("handler"))

    async def on_loop(job: gqm.Job) -> None:
        seen.append("handler")

    server.handle("async", on_loop)
    with running(server):
        for type_ in ("plain", "async"):
            seen.clear()
            client.wait(client.enqueue(type_).id, 10)
            assert seen == ["a in", "b in", "handler", "b out", "a out"]


def test_middleware_must_be_async(make: Any) -> None:
    with pytest.raises(gqm.RegistrationError, match="async def"):
        make().use(lambda job, call_next: call_next(job))
    with pytest.raises(gqm.RegistrationError, match="cannot be called"):
        make().use(None)


def test_callbacks_come_after_the_settle_and_their_errors_cost_nothing(make: Any, client: gqm.Client) -> None:
    server, seen = make(), []

    def note(name: str) -> Any:
        def callback(job: gqm.Job, *error: object) -> None:
            stored = client.get(job.id)
            assert stored is not None
            seen.append((name, str(stored.status), type(error[0]).__name__ if error else ""))
            raise RuntimeError("a callback that fails")

        return callback

    options = {name: note(name) for name in ("on_success", "on_failure", "on_complete")}

    def work(job: gqm.Job) -> None:
        if job.payload.get("fail"):
            raise ValueError("no")

    server.handle("work", work, **options)
    with running(server):
        client.wait(client.enqueue("work").id, 10)
        eventually(lambda: len(seen) == 2, 5)
        assert seen == [("on_success", "completed", ""), ("on_complete", "completed", "NoneType")]
        seen.clear()
        ended(client, client.enqueue("work", {"fail": 1}, max_retry=0).id)
        eventually(lambda: len(seen) == 2, 5)
        assert seen == [
            ("on_failure", "dead_letter", "ValueError"),
            ("on_complete", "dead_letter", "ValueError"),
        ]
        client.wait(client.enqueue("work").id, 10)


@pytest.mark.fault(66)
def test_no_callback_for_a_claim_that_was_lost(make: Any, client: gqm.Client, raw: redis.Redis) -> None:
    server, called, started, go = make(), [], threading.Event(), threading.Event()

    def work(job: gqm.Job) -> None:
        started.set()
        go.wait(10)

    server.handle(
        "work",
        work,
        on_success=lambda job: called.append(job.id),
        on_complete=lambda job, e: called.append(e),
    )
    with running(server) as run:
        job = client.enqueue("work")
        assert started.wait(10)
        raw.hset(run.engine._link.keys.job(job.id), "claim", "0123456789abcdef.1")
        go.set()
        other = client.enqueue("work")
        client.wait(other.id, 10)
        eventually(lambda: called == [other.id, None], 5)


def test_a_failed_job_is_retried_by_its_policy_then_dies(make: Any, client: gqm.Client) -> None:
    server, runs = make(), []
    server.pool("p", ["work"], queues=["default"], retry={"max_retry": 2, "backoff_base": 0})

    def work(job: gqm.Job) -> None:
        runs.append(job.attempt)
        raise ValueError(f"attempt {job.attempt}")

    server.handle("work", work)
    with running(server):
        job = ended(client, client.enqueue("work").id)
    assert runs == [1, 2, 3]
    assert (job.status, job.retry_count, job.error) == (gqm.Status.DEAD_LETTER, 2, "ValueError: attempt 3")
    assert 'raise ValueError(f"attempt {job.attempt}")' in job.traceback
    assert "gqm/engine" not in job.traceback


@pytest.mark.fault(60)
@pytest.mark.parametrize(("options", "expected"), [({}, 6), ({"max_retry": 0}, 1), ({"max_retry": 3}, 4)])
def test_who_decides_about_the_number_of_runs(
    make: Any, client: gqm.Client, options: dict[str, Any], expected: int
) -> None:
    server, runs = make(), []
    server.pool("p", ["work"], queues=["default"], retry={"max_retry": 5, "backoff_base": 0})

    def work(job: gqm.Job) -> None:
        runs.append(job.attempt)
        raise ValueError

    server.handle("work", work)
    with running(server):
        ended(client, client.enqueue("work", None, **options).id)
    assert len(runs) == expected


def test_skip_retry_and_what_is_raised_from_it_go_straight_to_dead_letter(
    make: Any, client: gqm.Client
) -> None:
    server = make()

    def work(job: gqm.Job) -> None:
        if job.payload["how"] == "itself":
            raise gqm.SkipRetry("card is invalid")
        raise ValueError("card is invalid") from gqm.SkipRetry()

    server.handle("work", work)
    with running(server):
        for how, error in (("itself", "SkipRetry: card is invalid"), ("from", "ValueError: card is invalid")):
            job = ended(client, client.enqueue("work", {"how": how}, max_retry=9).id)
            assert (job.attempt, job.retry_count, job.error) == (1, 0, error)


def test_retry_with_a_delay_of_its_own_and_uncounted(make: Any, client: gqm.Client) -> None:
    server, times = make(), []

    def work(job: gqm.Job) -> str:
        times.append(time.monotonic())
        if len(times) < 3:
            raise gqm.Retry(0.2, count=False)
        return "done"

    server.handle("work", work)
    with running(server):
        job = client.enqueue("work", max_retry=1)
        assert client.wait(job.id, 10) == "done"
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(gap >= 0.2 for gap in gaps), gaps
    stored = client.get(job.id)
    assert stored is not None
    assert (stored.attempt, stored.retry_count) == (3, 0)


@pytest.mark.fault(29)
def test_is_failure_false_does_not_count_until_its_limit(make: Any, client: gqm.Client) -> None:
    server, seen = make(), []

    def transient(error: BaseException) -> bool:
        seen.append(error)
        return not isinstance(error, ConnectionError)

    def work(job: gqm.Job) -> None:
        raise ConnectionError("rate limited")

    server.handle("work", work, is_failure=transient, transient_max_age=1.5)
    with running(server):
        job = ended(client, client.enqueue("work", max_retry=1, retry_intervals=[0]).id, 15)
    assert job.status is gqm.Status.DEAD_LETTER
    assert job.retry_count == 0
    assert job.attempt >= 2
    assert "uncounted retries" in job.error
    assert all(isinstance(error, ConnectionError) for error in seen)


@pytest.mark.fault(8)
def test_a_retry_delay_below_a_second_is_kept(make: Any, client: gqm.Client) -> None:
    server, times = make(), []

    def work(job: gqm.Job) -> None:
        times.append(time.time())

    server.handle("work", work)
    with running(server):
        begun = time.time()
        job = client.enqueue_in("work", None, 0.3)
        client.wait(job.id, 10)
    assert times[0] - begun >= 0.3


@pytest.mark.parametrize("kind", ["def", "async"])
def test_time_out_tells_the_handler_and_counts(make: Any, client: gqm.Client, kind: str) -> None:
    server, heard = make(grace_period=5), []
    server.pool("p", ["work"], queues=["default"], job_timeout=0.2)
    failures: list[BaseException] = []

    def plain(job: gqm.Job) -> None:
        while not job.cancelled:
            time.sleep(0.005)
        heard.append("flag")
        raise RuntimeError("stopped")

    async def on_loop(job: gqm.Job) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            heard.append("cancel")
            raise RuntimeError("stopped") from None

    handler = plain if kind == "def" else on_loop
    server.handle("work", handler, on_failure=lambda job, error: failures.append(error))
    with running(server):
        job = ended(client, client.enqueue("work", max_retry=0).id)
        eventually(lambda: bool(failures), 5)
    assert heard == ["flag" if kind == "def" else "cancel"]
    assert job.error == "timeout after 0.2s: RuntimeError: stopped"
    assert isinstance(failures[0], gqm.JobTimeout)
    assert isinstance(failures[0].__cause__, RuntimeError)


@pytest.mark.parametrize("kind", ["def", "async"])
def test_a_handler_that_ignores_its_deadline_is_left_and_its_slot_is_free(
    make: Any, client: gqm.Client, kind: str
) -> None:
    server, go = make(grace_period=0.1), threading.Event()
    server.pool("p", ["stuck", "next"], queues=["default"], concurrency=1, job_timeout=0.2)

    async def on_loop(job: gqm.Job) -> None:
        while not go.is_set():
            try:
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                continue

    server.handle("stuck", (lambda job: go.wait(30)) if kind == "def" else on_loop)
    server.handle("next", lambda job: "ran")
    with running(server) as run:
        stuck = client.enqueue("stuck", max_retry=0)
        behind = client.enqueue("next")
        assert client.wait(behind.id, 10) == "ran"
        assert run.pool_record("p")["abandoned"] == 1
        job = ended(client, stuck.id)
        assert job.error == "timeout after 0.2s: handler did not stop within 0.1s"
        go.set()
        eventually(lambda: run.pool_record("p")["abandoned"] == 0, 5)


_RAISED = [SystemExit(1), KeyboardInterrupt(), StopIteration("x"), RecursionError()]


@pytest.mark.parametrize(
    ("kind", "error"),
    # A coroutine that raises GeneratorExit is closed by Python itself; a function may raise it.
    [(kind, error) for kind in ("def", "async") for error in _RAISED] + [("def", GeneratorExit())],
)
def test_nothing_that_a_handler_raises_stops_the_pool(
    make: Any, client: gqm.Client, error: BaseException, kind: str
) -> None:
    server = make()

    def plain(job: gqm.Job) -> None:
        raise error

    async def on_loop(job: gqm.Job) -> None:
        raise error

    server.handle("bad", plain if kind == "def" else on_loop)
    server.handle("good", lambda job: "fine")
    with running(server):
        job = ended(client, client.enqueue("bad", max_retry=0).id)
        assert job.status is gqm.Status.DEAD_LETTER
        assert client.wait(client.enqueue("good").id, 10) == "fine"


def test_results_that_cannot_be_kept_are_noted(make: Any, client: gqm.Client) -> None:
    server = make()
    values: dict[str, object] = {"object": object(), "nan": float("nan"), "large": "x" * 1_048_577}
    server.handle("work", lambda job: values[str(job.payload["what"])])
    with running(server):
        for what in values:
            job = ended(client, client.enqueue("work", {"what": what}).id)
            assert job.status is gqm.Status.COMPLETED
            assert job.result is None
            assert "not kept" in job.result_note


@pytest.mark.fault(61)
def test_integers_are_exact_and_an_array_as_payload_is_a_dead_letter(
    make: Any, client: gqm.Client, raw: redis.Redis, prefix: str
) -> None:
    server = make()
    server.handle("work", lambda job: str(job.payload["n"]))
    with running(server):
        assert client.wait(client.enqueue("work", {"n": 2**63 - 1}).id, 10) == str(2**63 - 1)
        fields = {"id": "raw-1", "type": "work", "queue": "default", "status": "ready", "max_retry": 3}
        raw.hset(f"{prefix}job:raw-1", mapping={**fields, "payload": "[1]", "created_at": 1})
        raw.lpush(f"{prefix}queue:default:ready", "raw-1")
        job = ended(client, "raw-1")
    assert (job.status, job.attempt, job.retry_count) == (gqm.Status.DEAD_LETTER, 1, 0)
    assert job.error.startswith("payload is not a JSON object")


@pytest.mark.fault(32)
def test_a_type_that_only_another_server_handles_runs_there(make: Any, client: gqm.Client) -> None:
    without, with_handler = make(), make()
    without.handle("other", lambda job: None)
    with_handler.handle("work", lambda job: "there")
    with running(without):
        job = client.enqueue("work")
        eventually(lambda: client.get(job.id).status is gqm.Status.RETRY, 10)  # type: ignore[union-attr]
    with running(with_handler):
        eventually(lambda: client.get(job.id).status is gqm.Status.COMPLETED, 15)  # type: ignore[union-attr]
    stored = client.get(job.id)
    assert stored is not None
    assert stored.retry_count == 0


def test_progress_is_stored_while_the_handler_runs(make: Any, client: gqm.Client) -> None:
    server, go = make(), threading.Event()

    def work(job: gqm.Job) -> None:
        job.progress(3, 10, "third")
        go.wait(10)

    server.handle("work", work)
    with running(server):
        job = client.enqueue("work")
        eventually(lambda: client.get(job.id).progress_made == (3, 10, "third"), 5)  # type: ignore[union-attr]
        go.set()
        client.wait(job.id, 10)


@pytest.mark.fault(23)
def test_a_stop_leaves_nothing_in_processing(
    make: Any, client: gqm.Client, raw: redis.Redis, prefix: str
) -> None:
    server, started = make(shutdown_timeout=0.2, grace_period=0.1), threading.Semaphore(0)
    server.pool("p", ["work"], queues=["default"], concurrency=2)

    async def work(job: gqm.Job) -> None:
        started.release()
        await asyncio.sleep(30)

    server.handle("work", work)
    jobs = [client.enqueue("work").id for _ in range(6)]
    run = Running(server)
    assert started.acquire(timeout=10)
    assert started.acquire(timeout=10)
    summary = run.stop()
    assert summary.abandoned == 0
    assert summary.seconds < 1.5
    assert raw.zcard(f"{prefix}queue:default:processing") == 0
    ready = [item.decode() for item in reversed(raw.lrange(f"{prefix}queue:default:ready", 0, -1))]
    assert ready == jobs
    assert {client.get(job_id).retry_count for job_id in jobs} == {0}  # type: ignore[union-attr]
    assert raw.exists(f"{prefix}leases", f"{prefix}servers", f"{prefix}workers") == 0


@pytest.mark.fault(1)
def test_a_job_of_another_program_is_seen_at_once(
    make: Any, client: gqm.Client, raw: redis.Redis, prefix: str
) -> None:
    server = make()
    server.handle("work", lambda job: "seen")
    with running(server):
        client.wait(client.enqueue("work").id, 10)
        fields = {"id": "go-1", "type": "work", "queue": "default", "status": "ready", "payload": "{}"}
        raw.hset(f"{prefix}job:go-1", mapping={**fields, "max_retry": 3, "created_at": int(time.time())})
        begun = time.monotonic()
        raw.lpush(f"{prefix}queue:default:ready", "go-1")
        assert client.wait("go-1", 5) == "seen"
        # It is seen by a blocked read, not by polling once a second.
        assert time.monotonic() - begun < 0.9


@pytest.mark.fault(59)
def test_a_clash_leaves_nothing_half_registered(make: Any) -> None:
    server = make()
    server.pool("p", ["a"], queues=["q"])
    with pytest.raises(gqm.ConfigError, match="already"):
        server.pool("p", ["b"])
    with pytest.raises(gqm.ConfigError, match="belongs to pool"):
        server.pool("other", ["a"])
    assert [pool.name for pool in server.config.pools] == ["p"]
    server.handle("b", lambda job: None)
    with pytest.raises(gqm.RegistrationError, match="has a handler already"):
        server.handle("b", lambda job: None)
    with pytest.raises(gqm.RegistrationError, match="lists that type"):
        server.handle("a", lambda job: None, workers=2)
    assert [spec.type for spec in server.handlers] == ["b"]


@pytest.mark.fault(68)
def test_a_start_that_failed_can_be_repeated(redis_socket: str, prefix: str, client: gqm.Client) -> None:
    server = gqm.Server("unix:/nowhere/at/all.sock", prefix=prefix)
    server.handle("work", lambda job: "ran")
    for _ in range(2):
        with pytest.raises(gqm.RedisUnavailable, match="nowhere"):
            Running(server)
    works = gqm.Server(f"unix:{redis_socket}", prefix=prefix)
    works.handle("work", lambda job: "ran")
    for _ in range(2):
        with running(works):
            assert client.wait(client.enqueue("work").id, 10) == "ran"
            with pytest.raises(gqm.RegistrationError, match="the server runs"):
                works.handle("late", lambda job: None)


@pytest.mark.fault(56)
@pytest.mark.fault(57)
def test_two_servers_with_the_same_pool_are_told_apart(
    make: Any, client: gqm.Client, raw: redis.Redis, prefix: str
) -> None:
    first, second = make(), make()
    for server in (first, second):
        server.handle("work", lambda job: None)
    with running(first) as one:
        with running(second) as two:
            assert one.engine.server_id != two.engine.server_id
            assert raw.scard(f"{prefix}workers") == 2
        assert raw.smembers(f"{prefix}servers") == {one.engine.server_id.encode()}
        job = ended(client, client.enqueue("work").id)
        assert job.worker_id == f"default@{one.engine.server_id}"


@pytest.mark.fault(69)
def test_pools_on_one_queue_keep_their_types_and_slots(make: Any, client: gqm.Client) -> None:
    server, lock = make(), threading.Lock()
    now, most, places = {"a": 0, "b": 0}, {"a": 0, "b": 0}, set()
    server.pool("fast", ["a"], queues=["shared"], concurrency=10)
    server.pool("rest", ["*"], queues=["shared"], concurrency=3)

    def work(job: gqm.Job) -> None:
        with lock:
            now[job.type] += 1
            most[job.type] = max(most[job.type], now[job.type])
            places.add((job.type, threading.current_thread().name))
        time.sleep(0.005)
        with lock:
            now[job.type] -= 1

    for type_ in ("a", "b"):
        server.handle(type_, work)
    jobs = [client.enqueue("ab"[i % 2], queue="shared").id for i in range(400)]
    with running(server):
        for job_id in jobs:
            client.wait(job_id, 30)
    assert most["b"] <= 3
    assert places == {("a", "gqm fast"), ("b", "gqm rest")}


@pytest.mark.fault(4)
def test_stale_ids_are_counted_and_the_job_behind_them_runs(
    make: Any, client: gqm.Client, raw: redis.Redis, prefix: str
) -> None:
    server = make()
    server.handle("work", lambda job: "ran")
    raw.rpush(f"{prefix}queue:default:ready", "gone-1", "gone-2", "gone-3", "gone-4")
    job = client.enqueue("work")
    with running(server) as run:
        assert client.wait(job.id, 10) == "ran"
        assert run.pool_record("default")["skipped"] == 4
