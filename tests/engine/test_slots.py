"""What foreign code may do to a slot: handlers, middleware and callbacks that misbehave in every way."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import gqm
from gqm.engine.pool import MAX_ABANDONED
from gqm.store.commands.operate import cancel, requeue
from tests.engine.running import Running, running
from tests.support.keyspace import Keyspace
from tests.support.wait import eventually, throughout

Make = Callable[..., gqm.Server]


def one_slot(make: Make, handlers: dict[str, Any], **options: Any) -> gqm.Server:
    """A server with a single slot, which every handler must leave free."""
    pool = {key: options.pop(key) for key in ("job_timeout", "retry") if key in options}
    server = make(**options)
    for type_, handler in handlers.items():
        function, keywords = handler if isinstance(handler, tuple) else (handler, {})
        server.handle(type_, function, **keywords)
    server.pool("p", [*handlers], queues=["default"], concurrency=1, **pool)
    return server


def dead(client: gqm.Client, type_: str, **options: Any) -> gqm.Job:
    job_id = client.enqueue(type_, max_retry=0, **options).id
    with pytest.raises(gqm.JobFailed):
        client.wait(job_id, 10)
    job = client.get(job_id)
    assert job is not None
    return job


class Unprintable(Exception):
    def __str__(self) -> str:
        raise SystemExit("no text")


class Evil(dict):  # type: ignore[type-arg]
    def values(self) -> Any:
        raise SystemExit("no values")


def throws(exc: BaseException) -> Any:
    def function(*args: object) -> None:
        raise exc

    return function


async def cancels_itself(job: gqm.Job) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(1)


async def raises_generator_exit(job: gqm.Job) -> None:
    raise GeneratorExit


async def forgotten() -> None: ...


BAD: dict[str, Any] = {
    "unprintable": throws(Unprintable()),
    "cancelled": throws(asyncio.CancelledError()),
    "generator": throws(GeneratorExit()),
    "on_loop": raises_generator_exit,
    "itself": cancels_itself,
    "delay": throws(gqm.Retry("soon")),  # type: ignore[arg-type]
    "huge": throws(gqm.Retry(10**400)),
    "timedelta": throws(gqm.Retry(timedelta(seconds=1))),  # type: ignore[arg-type]
    "coroutine": lambda job: forgotten(),
    "predicate": (throws(ValueError()), {"is_failure": throws(SystemExit())}),
    "success": (lambda job: None, {"on_success": throws(SystemExit())}),
    "failure": (throws(ValueError()), {"on_failure": throws(KeyboardInterrupt())}),
    "complete": (throws(ValueError()), {"on_complete": throws(GeneratorExit())}),
    "result": lambda job: Evil(x=float("nan"), y=None),
}


@pytest.mark.parametrize("through_the_loop", [False, True], ids=["in threads", "on the loop"])
@pytest.mark.parametrize("type_", BAD)
def test_nothing_costs_the_slot(
    make: Make, client: gqm.Client, space: Keyspace, type_: str, through_the_loop: bool
) -> None:
    async def good(job: gqm.Job) -> str:
        return "fine"

    handlers = {type_: BAD[type_], "good": good if through_the_loop else lambda job: "fine"}
    with running(one_slot(make, handlers)) as run:
        client.enqueue(type_, max_retry=0)
        assert client.wait(client.enqueue("good").id, 10) == "fine"
        eventually(lambda: run.pool_record("p")["active_jobs"] == 0)
        eventually(lambda: not run.call(run.engine.active_claims))
    space.assert_sound()


@pytest.mark.parametrize("when", ["before", "after", "instead"])
def test_middleware_that_raises_fails_the_job(make: Make, client: gqm.Client, when: str) -> None:
    server = one_slot(make, {"t": lambda job: "done", "good": lambda job: "fine"})

    @server.use
    async def middleware(job: gqm.Job, call_next: Any) -> object:
        if job.type == "good":
            return await call_next(job)
        if when == "before":
            raise ValueError(when)
        await call_next(job)
        if when == "after":
            raise ValueError(when)
        raise gqm.SkipRetry(when)

    with running(server):
        assert dead(client, "t").error.endswith(f": {when}")
        assert client.wait(client.enqueue("good").id, 10) == "fine"


def test_middleware_that_hangs_is_cancelled_at_the_deadline(make: Make, client: gqm.Client) -> None:
    server = one_slot(make, {"t": lambda job: "done", "good": lambda job: "fine"}, job_timeout="300ms")
    seen: list[str] = []

    @server.use
    async def middleware(job: gqm.Job, call_next: Any) -> object:
        if job.type == "t":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise
        return await call_next(job)

    with running(server):
        assert dead(client, "t").error == "timeout after 0.3s: CancelledError"
        assert client.wait(client.enqueue("good").id, 10) == "fine"
    assert seen == ["cancelled"]


def test_context_variables_go_down_to_the_handler_and_not_to_the_next_job(
    make: Make, client: gqm.Client
) -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")

    def handler(job: gqm.Job) -> list[str]:
        seen = tenant.get()
        tenant.set("left over")
        current = gqm.current_job.get()
        assert current is not None
        return [seen, current.id]

    plain, wrapped = one_slot(make, {"t": handler}), one_slot(make, {"t": handler})

    @wrapped.use
    async def middleware(job: gqm.Job, call_next: Any) -> object:
        tenant.set("acme")
        return await call_next(job)

    for server, expected in ((plain, "nobody"), (wrapped, "acme")):
        with running(server):
            for _ in range(3):
                job_id = client.enqueue("t").id
                assert client.wait(job_id, 10) == [expected, job_id]


# ---------------------------------------------------------------------------------------- callbacks


def test_the_slot_is_free_only_after_the_callbacks(make: Make, client: gqm.Client) -> None:
    go, seen = threading.Event(), []
    slow = {"on_success": lambda job: go.wait(10) and seen.append("callback")}
    handlers = {"first": (lambda job: 1, slow), "second": lambda job: seen.append("second")}
    with running(one_slot(make, handlers)):
        first, second = client.enqueue("first").id, client.enqueue("second").id
        assert client.wait(first, 10) == 1  # settled before the callback
        throughout(lambda: (job := client.get(second)) and job.status == "ready", 0.3)
        go.set()
        client.wait(second, 10)
    assert seen == ["callback", "second"]


def test_callbacks_run_in_the_slots_thread(make: Make, client: gqm.Client) -> None:
    names: list[str] = []
    note = {"on_complete": lambda job, error: names.append(threading.current_thread().name)}
    with running(one_slot(make, {"t": (lambda job: None, note)})):
        client.wait(client.enqueue("t").id, 10)
        eventually(lambda: names == ["gqm p"])


def test_callbacks_follow_an_abandoned_handler(make: Make, client: gqm.Client) -> None:
    go, told = threading.Event(), []
    options = {"on_failure": lambda job, error: told.append(str(error))}
    server = one_slot(
        make, {"t": (lambda job: go.wait(10), options)}, job_timeout="100ms", grace_period="100ms"
    )
    with running(server):
        dead(client, "t")
        eventually(lambda: told == ["timeout after 0.1s: handler did not stop within 0.1s"])
        go.set()


# ------------------------------------------------------------------------------------ many left behind


@pytest.mark.fault(30)
def test_a_hundred_abandoned_handlers_stop_the_claims_of_their_pool(
    make: Make, client: gqm.Client, caplog: pytest.LogCaptureFixture
) -> None:
    go = threading.Event()
    server = make(grace_period=0)
    server.handle("stuck", lambda job: go.wait(30))
    server.handle("other", lambda job: "fine")
    server.pool("p", ["stuck"], queues=["default"], concurrency=20, job_timeout="50ms")
    server.pool("r", ["other"], queues=["others"], concurrency=1)
    for _ in range(MAX_ABANDONED + 20):
        client.enqueue("stuck", max_retry=0)
    with running(server) as run:
        eventually(lambda: run.pool_record("p")["status"] == "stuck", 15)
        waiting = client.enqueue("stuck", max_retry=0).id
        throughout(lambda: (job := client.get(waiting)) and job.status == "ready", 0.4)
        assert client.wait(client.enqueue("other", queue="others").id, 10) == "fine"
        go.set()
        eventually(lambda: (job := client.get(waiting)) and job.status == "completed", 10)
    assert "handlers never came back; it claims no more until some do" in caplog.text


def test_threads_of_abandoned_handlers_end_when_these_come_back(make: Make, client: gqm.Client) -> None:
    go = threading.Event()
    server = one_slot(make, {"t": lambda job: go.wait(30)}, job_timeout="50ms", grace_period=0)

    def threads() -> int:
        return sum(thread.name == "gqm p" for thread in threading.enumerate())

    with running(server):
        for _ in range(5):
            dead(client, "t")
        assert threads() == 6
        go.set()
        eventually(lambda: threads() == 1)


# --------------------------------------------------------------------------- claims that are taken away


def test_a_canceled_job_that_waits_for_a_slot_does_not_start(
    make: Make, client: gqm.Client, space: Keyspace
) -> None:
    ran: list[str] = []
    go = threading.Event()

    def work(job: gqm.Job) -> None:
        ran.append(job.id)
        if job.payload:
            go.wait(10)

    with running(one_slot(make, {"t": work})) as run:
        for _ in range(10):  # short ones, so that more are claimed than there are slots
            client.wait(client.enqueue("t").id, 10)
        first = client.enqueue("t", {"wait": 1}).id
        second = client.enqueue("t").id
        eventually(lambda: space.status(second) == "processing", message="it is claimed ahead")
        eventually(lambda: ran[-1] == first, message="the first one runs")
        space.store.run(cancel(space.keys, second, "not needed"))
        slots = run.engine._pools[0].slots
        eventually(lambda: any(attempt.dropped for attempt in slots._watched), message="the cancel is heard")
        go.set()
        client.wait(first, 10)
        eventually(lambda: not run.call(run.engine.active_claims))
    assert second not in ran
    assert space.status(second) == "canceled"
    space.assert_sound()


def test_a_job_that_came_back_while_its_old_handler_still_stops_keeps_its_new_claim(
    make: Make, client: gqm.Client, space: Keyspace
) -> None:
    go, starts = threading.Event(), []

    def work(job: gqm.Job) -> int:
        starts.append(job.id)
        if len(starts) == 1:
            go.wait(10)
        else:
            time.sleep(0.5)
        return len(starts)

    server = make(grace_period=30)
    server.handle("t", work)
    server.pool("p", ["t"], queues=["default"], concurrency=2)
    with running(server) as run:
        job = client.enqueue("t").id
        eventually(lambda: starts)
        space.store.run(cancel(space.keys, job, "again"))
        space.store.run(requeue(space.keys, job))
        eventually(lambda: len(starts) == 2)
        go.set()  # the old one ends while the new one runs
        eventually(lambda: len(run.call(run.engine.active_claims)) == 1)
        assert client.wait(job, 10) == 2
    space.assert_sound()


def test_claims_go_back_in_order_however_many(make: Make, client: gqm.Client, space: Keyspace) -> None:
    go, runs = threading.Event(), []

    def work(job: gqm.Job) -> None:
        runs.append(job.id)
        if job.payload:
            go.wait(10)

    run = Running(one_slot(make, {"t": work}, shutdown_timeout=5))
    for _ in range(30):
        client.wait(client.enqueue("t").id, 10)
    client.enqueue("t", {"wait": 1})
    eventually(lambda: len(runs) == 31)
    jobs = [item.id for made in client.enqueue_many([("t", None)] * 240) for item in made]
    go_on = threading.Timer(0.3, go.set)
    go_on.start()
    run.stop()
    left = [job for job in jobs if job not in runs]
    assert space.ready() == left
    space.assert_sound()
