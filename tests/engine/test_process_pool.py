"""Pools with isolation "process": what a handler does to its process costs only its own job."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import gqm
from gqm.keys import Keys
from gqm.store.commands.operate import cancel
from gqm.store.sync import Store
from tests.engine import poison
from tests.engine.running import Running, alive, children, freeze, running
from tests.support.wait import eventually, throughout

ROOT = Path(__file__).parents[2]

Serve = Callable[..., AbstractContextManager[Running]]


@pytest.fixture
def make_server(redis_socket: str, prefix: str) -> Callable[..., gqm.Server]:
    """Makes a server whose pool ``p`` runs all handlers of `poison` in processes."""

    def make(handlers: dict[str, Any] | None = None, **options: Any) -> gqm.Server:
        server = gqm.Server(f"unix:{redis_socket}", prefix=prefix, shutdown_timeout=options.pop("stop", 5))
        for name, function in {**poison.ALL, **(handlers or {})}.items():
            handler_options = options.pop(name, {})
            server.handle(name, function, **handler_options)
        server.pool(
            "p",
            ["*"],
            isolation="process",
            **{"concurrency": 1, "job_timeout": "30s", "grace_period": "200ms", **options},
        )
        return server

    return make


@pytest.fixture
def serve(make_server: Callable[..., gqm.Server]) -> Serve:
    return lambda *args, **options: running(make_server(*args, **options))


def ended(client: gqm.Client, job_id: str, timeout: float = 15) -> gqm.Job:
    """Wait until a job has ended, in whatever state, and return it."""

    def look() -> gqm.Job | None:
        job = client.get(job_id)
        return job if job is not None and job.status.terminal else None

    job = eventually(look, timeout, message=f"job {job_id} ended")
    assert job is not None
    return job


def failed(client: gqm.Client, type_: str, payload: object = None, **options: Any) -> gqm.Job:
    """Run a job that fails; return it as a dead letter."""
    job = ended(client, client.enqueue(type_, payload, **{"max_retry": 0, **options}).id)
    assert job.status == "dead_letter"
    return job


def await_mark(path: Path) -> str:
    """Wait until a handler has come to its mark; return what it wrote there."""
    return eventually(
        lambda: path.exists() and (path.read_text() or "-"), 10, message=f"{path.name} is there"
    )


def attempts(raw: Any, prefix: str, job_id: str) -> list[dict[str, Any]]:
    entries = raw.lrange(Keys(prefix).attempts(job_id), 0, -1)
    return [json.loads(entry) for entry in reversed(entries)]


# ------------------------------------------------------------------------------- values and errors


def test_values_come_back_from_another_process(serve: Serve, client: gqm.Client) -> None:
    with serve():
        for value in (None, 0, "ünï", [1, {"a": None}], 2**63 - 1):
            for type_ in ("echo", "aecho"):
                assert client.wait(client.enqueue(type_, {"value": value}).id, 10) == value
        pids = {client.wait(client.enqueue(type_).id, 10) for type_ in ("pid", "apid", "pid")}
        assert len(pids) == 1  # the process is warm: it serves one job after the other
        assert pids.isdisjoint({os.getpid()})
        assert pids <= children()


def test_results_that_cannot_be_kept_are_noted(serve: Serve, client: gqm.Client) -> None:
    with serve():
        large = ended(client, client.enqueue("huge_result").id)
        odd = ended(client, client.enqueue("odd_result").id)
        coroutine = failed(client, "coroutine_result")
    assert (large.status, large.result) == ("completed", None)
    assert "the limit is 1,048,576" in large.result_note
    assert (odd.status, odd.result) == ("completed", None)
    assert "result of type object was not kept" in odd.result_note
    assert (
        coroutine.error
        == "TypeError: handler returned a coroutine that nobody awaits; define it with async def"
    )


def test_a_handler_sees_its_own_run(serve: Serve, client: gqm.Client) -> None:
    with serve(retry={"backoff_base": 0}) as run:
        facts: Any = client.wait(client.enqueue("facts", queue="default").id, 10)
        worker = f"p@{run.engine.server_id}"
    assert facts == {
        "id": facts["id"],
        "queue": "default",
        "attempt": 1,
        "status": "processing",
        "worker": worker,
        "same": True,
    }


@pytest.mark.parametrize("type_", ["raises", "araises"])
def test_exceptions_are_stored_as_they_were(serve: Serve, client: gqm.Client, type_: str) -> None:
    texts = {
        "plain": "Plain: oops",
        "two": "NeedsTwo: a and b",
        "frozen": "Frozen: ",
        "sealed": "Sealed: tight",
        "broken": "Broken: (its message raised ValueError)",
        "local": "Local: here",
        "exit": "SystemExit: 3",
        "interrupt": "KeyboardInterrupt",
        "stop": "StopIteration: end",
        "generator": "GeneratorExit",
        "cancelled": "CancelledError: by myself",
        "timeout": "TimeoutError: mine",
        "memory": "MemoryError",
    }
    if type_ == "araises":
        texts["stop"] = "RuntimeError: coroutine raised StopIteration"
    with serve() as run:
        before = children()
        for what, text in texts.items():
            job = failed(client, type_, {"what": what})
            assert job.error.startswith(text), what
            assert 'raise errors[job.payload["what"]]' in job.traceback, what
            assert "gqm/engine" not in job.traceback, what
            assert job.crashes == 0
        assert failed(client, type_, {"what": "large"}).error.startswith("Plain: xxx")
        assert children() == before  # no exception, whatever it is, ends the process
        assert run.pool_record("p")["active_jobs"] == 0


def test_predicates_and_callbacks_get_the_real_exception(serve: Serve, client: gqm.Client) -> None:
    seen: list[tuple[str, type, object]] = []

    def note(where: str, exc: BaseException | None) -> None:
        seen.append((where, type(exc), getattr(exc, "code", None)))

    options = {
        "is_failure": lambda exc: note("is_failure", exc) or not isinstance(exc, poison.Plain),
        "on_failure": lambda job, exc: note("on_failure", exc),
        "on_complete": lambda job, exc: note("on_complete", exc),
    }
    with serve(raises=options):
        job_id = client.enqueue("raises", {"what": "plain"}).id
        eventually(lambda: len(seen) == 3)
        job = client.get(job_id)
        assert job is not None
        assert (job.status, job.retry_count) == ("retry", 0)  # is_failure knew the class: not counted
        assert seen == [(place, poison.Plain, 7) for place in ("is_failure", "on_failure", "on_complete")]
        seen.clear()
        client.enqueue("raises", {"what": "two"}, max_retry=0)
        eventually(lambda: len(seen) == 3)
        assert {kind.__name__ for _, kind, _ in seen} == {"Remote"}  # it could not be brought over
        seen.clear()
        client.enqueue("raises", {"what": "stop"}, max_retry=0)
        eventually(lambda: len(seen) == 3)


def test_skip_retry_also_where_another_error_came_of_it(serve: Serve, client: gqm.Client) -> None:
    with serve():
        for type_, text in (("skips", "ValueError: cannot be sent"), ("skips_plainly", "SkipRetry: no use")):
            job = ended(client, client.enqueue(type_, max_retry=5).id)
            assert (job.status, job.retry_count, job.attempt) == ("dead_letter", 0, 1)
            assert job.error == text
            assert "SkipRetry" in job.traceback


def test_a_payload_of_the_wrong_shape_is_not_retried(serve: Serve, client: gqm.Client) -> None:
    with serve():
        job = ended(client, client.enqueue("bad_payload", {"to": 5}, max_retry=5).id)
    assert (job.status, job.retry_count, job.attempt) == ("dead_letter", 0, 1)
    assert job.error == "InvalidPayload: payload does not fit Mail: Expected `str`, got `int` - at `$.to`"


def test_retry_says_when_and_whether_it_counts(
    serve: Serve, client: gqm.Client, raw: Any, prefix: str
) -> None:
    with serve():
        for count in (True, False):
            job_id = client.enqueue("retries", {"count": count}).id
            job = eventually(lambda job_id=job_id: (j := client.get(job_id)) and j.status == "retry" and j)
            assert job.retry_count == int(count)
            assert job.error == "Retry: come again"
            due = raw.zscore(Keys(prefix).scheduled, job_id)
            assert due == pytest.approx(raw.time()[0] + 120, abs=3)


def test_progress_is_seen_while_the_handler_runs(serve: Serve, client: gqm.Client) -> None:
    with serve(stop=0):
        job_id = client.enqueue("reports", timeout=60).id
        eventually(
            lambda: (job := client.get(job_id)) and job.progress_made == (50, 50, "step 50"),
            message="the newest report is stored",
        )
        job = client.get(job_id)
        assert job is not None
        assert job.status == "processing"


def test_middleware_gets_the_value_and_may_change_it(
    make_server: Callable[..., gqm.Server], client: gqm.Client
) -> None:
    seen: list[object] = []
    server = make_server()

    @server.use
    async def double(job: gqm.Job, call_next: Any) -> object:
        value = await call_next(job)
        seen.append(value)
        return [value, value] if job.type == "echo" else value

    with running(server):
        assert client.wait(client.enqueue("echo", {"value": "a"}).id, 10) == ["a", "a"]
        odd = ended(client, client.enqueue("odd_result").id)
        assert failed(client, "raises", {"what": "plain"}).error == "Plain: oops"
    assert seen == ["a", None]
    assert "was not kept" in odd.result_note


# ------------------------------------------------------------------------------------------ deaths


@pytest.mark.parametrize(
    ("type_", "how", "says"),
    [
        ("segfault", "SIGSEGV", "in segfault"),
        ("exit7", "code 7", "last words"),
        ("killed", "SIGKILL", "(nothing)"),
    ],
)
def test_the_third_death_of_a_process_under_a_job_is_the_last(
    serve: Serve, client: gqm.Client, raw: Any, prefix: str, type_: str, how: str, says: str
) -> None:
    with serve():
        before = client.wait(client.enqueue("pid").id, 10)
        job = ended(client, client.enqueue(type_, max_retry=50, retry_intervals=[0]).id)
        after = client.wait(client.enqueue("pid").id, 10)
    assert (job.status, job.crashes, job.attempt, job.retry_count) == ("dead_letter", 3, 3, 2)
    assert job.error == f"worker process exited: {how}"
    assert "peak memory" in job.traceback
    assert says in job.traceback
    assert [entry["outcome"] for entry in attempts(raw, prefix, job.id)] == ["retry", "retry", "dead_letter"]
    assert before != after


def test_a_process_killed_from_outside_costs_one_attempt(
    serve: Serve, client: gqm.Client, tmp_path: Path
) -> None:
    with serve():
        mark = tmp_path / "mark"
        job_id = client.enqueue("sleeps", {"mark": str(mark), "s": 0.5}, retry_intervals=[0]).id
        await_mark(mark)
        (child,) = children()
        os.kill(child, signal.SIGKILL)
        job = ended(client, job_id)
    assert (job.status, job.result, job.attempt, job.crashes) == ("completed", "slept", 2, 1)


def test_an_idle_process_that_dies_costs_no_job(
    serve: Serve, client: gqm.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with serve(concurrency=2) as run:
        run.warm_up()
        first = children()
        assert len(first) == 2
        for child in first:
            os.kill(child, signal.SIGKILL)
        ids = [client.enqueue("pid").id for _ in range(10)]
        jobs = [ended(client, job_id) for job_id in ids]
        assert {(job.status, job.attempt, job.crashes) for job in jobs} == {("completed", 1, 0)}
        assert first.isdisjoint({job.result for job in jobs})
    assert "an idle worker process has ended" in caplog.text


def test_a_signal_to_all_processes_of_a_service_is_left_to_the_engine(
    serve: Serve, client: gqm.Client, tmp_path: Path
) -> None:
    with serve():
        mark = tmp_path / "mark"
        job_id = client.enqueue("sleeps", {"mark": str(mark), "s": 0.3}).id
        await_mark(mark)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            for child in children():
                os.kill(child, number)
        assert client.wait(job_id, 10) == "slept"


def test_memory_that_runs_out_fails_the_job_alone(serve: Serve, client: gqm.Client) -> None:
    with serve(concurrency=2):
        hogs = [client.enqueue("hog", max_retry=0).id for _ in range(3)]
        others = [client.enqueue("pid").id for _ in range(10)]
        assert {ended(client, job_id).status for job_id in others} == {"completed"}
        assert {ended(client, job_id).error for job_id in hogs} == {"MemoryError"}


def test_the_peak_memory_is_that_of_the_process(serve: Serve, client: gqm.Client) -> None:
    ballast = b"x" * 250_000_000  # Linux hands the peak of this process down to its children
    with serve():
        del ballast
        thin, fat = failed(client, "exit7"), failed(client, "fat")
    assert re.match(r"peak memory (\d\d|below \d+) MiB\n", thin.traceback)
    # "below" where this test process has itself been larger than the child, which Linux cannot tell apart.
    assert re.match(r"peak memory (3\d\d|below \d+) MiB\n", fat.traceback)


@pytest.mark.fault(30)
def test_neighbours_of_poison_do_not_notice(serve: Serve, client: gqm.Client) -> None:
    with serve(concurrency=3, job_timeout="1s"):
        poisons = [
            client.enqueue(type_, max_retry=1, retry_intervals=[0]).id
            for type_ in ("segfault", "exit7", "killed", "endless_c")
        ]
        others = [client.enqueue("echo", {"value": n}).id for n in range(100)]
        jobs = [ended(client, job_id, 30) for job_id in others]
        assert [job.result for job in jobs] == list(range(100))
        assert {(job.attempt, job.crashes, job.retry_count) for job in jobs} == {(1, 0, 0)}
        assert {ended(client, job_id).status for job_id in poisons} == {"dead_letter"}


# ------------------------------------------------------------------------------------------- hangs


@pytest.mark.fault(30)
@pytest.mark.parametrize(
    ("type_", "stack"),
    [
        ("endless_python", "in endless_python"),
        ("endless_c", "in endless_c"),
        ("ignores_cancel", "in select"),  # it hangs in the loop, not in its own frames
        ("ignores_signals", "(nothing)"),  # the request for the stack, too
    ],
)
def test_what_hangs_frees_its_slot_within_2_s_of_the_deadline(
    serve: Serve, client: gqm.Client, type_: str, stack: str
) -> None:
    with serve(job_timeout="500ms", grace_period="1h"):
        hanging = client.enqueue(type_, max_retry=0).id
        eventually(lambda: (job := client.get(hanging)) and job.status == "processing")
        begun = time.monotonic()
        assert client.wait(client.enqueue("echo", {"value": 1}).id, 10) == 1
        assert time.monotonic() - begun < 2.5
        job = ended(client, hanging)
    assert job.error == "timeout after 0.5s: process killed"
    assert stack in job.traceback
    assert (job.crashes, job.attempt) == (0, 1)  # killed by us at its deadline: no crash
    assert 1400 < (job.duration_ms or 0) < 2500


def test_who_stops_in_time_is_not_killed(serve: Serve, client: gqm.Client) -> None:
    with serve(job_timeout="300ms", grace_period="5s"):
        before = children()
        assert client.wait(client.enqueue("polite").id, 10) == "stopped"
        job = failed(client, "asleep")
        assert children() == before
    assert job.error == "timeout after 0.3s: CancelledError"
    assert "in asleep" in job.traceback


def test_a_time_out_reaches_predicate_and_callbacks_as_job_timeout(serve: Serve, client: gqm.Client) -> None:
    seen: list[BaseException] = []
    options = {"on_failure": lambda job, exc: seen.append(exc)}
    with serve(job_timeout="200ms", grace_period="100ms", asleep=options, endless_c=options):
        failed(client, "asleep")
        failed(client, "endless_c")
        eventually(lambda: len(seen) == 2)
    assert [type(exc) for exc in seen] == [gqm.JobTimeout, gqm.JobTimeout]


def test_a_process_that_dies_by_itself_after_the_deadline_says_so(serve: Serve, client: gqm.Client) -> None:
    with serve(job_timeout="200ms", grace_period="5s"):
        job = failed(client, "dies_late")
    assert (job.error, job.crashes) == ("worker process exited: code 7", 1)


@pytest.mark.parametrize("type_", ["polite", "asleep", "sleeps"])
def test_cancel_from_outside_stops_the_handler(
    serve: Serve, client: gqm.Client, store: Store, tmp_path: Path, type_: str
) -> None:
    with serve(grace_period="200ms"):
        (before,) = children()
        mark = tmp_path / "mark"
        job_id = client.enqueue(type_, {"mark": str(mark)}).id
        await_mark(mark)
        store.run(cancel(store.keys, job_id, "changed my mind"))
        after = client.wait(client.enqueue("pid").id, 10)  # the only slot is free again
        job = client.get(job_id)
        assert job is not None
        assert (job.status, job.cancel_reason) == ("canceled", "changed my mind")
        assert (after == before) is (type_ != "sleeps")  # who listens keeps the process


# ------------------------------------------------------------------------------ warm processes only


def test_nothing_is_claimed_for_a_process_that_is_not_warm(
    serve: Serve, client: gqm.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(job_timeout="500ms"):
        monkeypatch.setenv("GQM_TEST_SLOW_IMPORT_S", "1.5")
        failed(client, "exit7")
        waiting = client.enqueue("echo", {"value": 1}).id
        throughout(lambda: (job := client.get(waiting)) and job.status == "ready", 1.0)
        job = ended(client, waiting)
    # Its time-out began with its own start, not with that of the process.
    assert (job.status, job.attempt) == ("completed", 1)


def test_waiting_for_a_process_does_not_count_as_running(
    serve: Serve, client: gqm.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(job_timeout="1s", grace_period=0) as run:
        (child,) = children()
        freeze(child)
        job_id = client.enqueue("sleeps", {"s": 0.6}).id
        eventually(lambda: run.pool_record("p")["active_jobs"] == 1)
        monkeypatch.setenv("GQM_TEST_SLOW_IMPORT_S", "0.6")
        os.kill(child, signal.SIGKILL)  # before it took the job
        job = ended(client, job_id)
    assert (job.status, job.result, job.attempt, job.crashes) == ("completed", "slept", 1, 0)


def test_a_job_that_gets_no_process_in_time_goes_back_uncounted(
    serve: Serve, client: gqm.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(job_timeout="300ms", grace_period=0) as run:
        (child,) = children()
        freeze(child)
        job_id = client.enqueue("echo", {"value": 1}).id
        eventually(lambda: run.pool_record("p")["active_jobs"] == 1)
        monkeypatch.setenv("GQM_TEST_SLOW_IMPORT_S", "1")
        os.kill(child, signal.SIGKILL)
        eventually(lambda: (job := client.get(job_id)) and job.status == "ready")
        job = ended(client, job_id)
    assert (job.status, job.attempt, job.retry_count, job.crashes) == ("completed", 1, 0, 0)


def test_another_server_takes_over_while_processes_start(
    serve: Serve, make_server: Callable[..., gqm.Server], client: gqm.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(), running(make_server()):
        monkeypatch.setenv("GQM_TEST_SLOW_IMPORT_S", "3")
        failed(client, "exit7")
        begun = time.monotonic()
        for _ in range(5):
            client.wait(client.enqueue("echo").id, 10)
        assert time.monotonic() - begun < 2


# ------------------------------------------------------------------------------------------- starts


def test_handlers_that_cannot_be_found_from_elsewhere_are_refused(
    make_server: Callable[..., gqm.Server], client: gqm.Client
) -> None:
    def local(job: gqm.Job) -> None:
        """Not at the top of a module."""

    for function in (local, lambda job: None):
        with pytest.raises(
            gqm.RegistrationError, match=r"cannot import the handler of 'odd'.*top of a module"
        ):
            Running(make_server({"odd": function}))
    assert children() == set()


MODULE = """
import multiprocessing, sys
if multiprocessing.current_process().name.startswith("gqm"):
    {what}
def work(job):
    return "fine"
"""


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("sys.exit('no licence')", "SystemExit: no licence"),
        ("import os; print('gone', file=sys.stderr, flush=True); os._exit(9)", "exited: code 9"),
    ],
)
def test_handlers_that_cannot_be_imported_fail_the_start(
    make_server: Callable[..., gqm.Server],
    client: gqm.Client,
    raw: Any,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    text: str,
) -> None:
    name = f"half_{abs(hash((what, prefix)))}"
    (tmp_path / f"{name}.py").write_text(MODULE.format(what=what))
    monkeypatch.syspath_prepend(tmp_path)
    work = __import__(name).work
    server = make_server({"work": work}, concurrency=3)
    with pytest.raises(gqm.RegistrationError) as caught:
        Running(server)
    assert text in str(caught.value)
    assert "pool 'p'" in str(caught.value)
    if "os._exit" in what:
        assert "gone" in str(caught.value)
    assert children() == set()
    assert raw.zcard(Keys(prefix).leases) == 0
    (tmp_path / f"{name}.py").write_text(MODULE.format(what="pass"))
    with running(server):  # the same server can be started again
        assert client.wait(client.enqueue("work").id, 10) == "fine"


def test_a_later_step_of_the_start_that_fails_leaves_no_process(
    make_server: Callable[..., gqm.Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[int]] = []

    async def refuse(self: object) -> None:
        seen.append(children())
        raise gqm.RedisUnavailable("gone in this very moment")

    monkeypatch.setattr("gqm.engine.lease.Lease.start", refuse)
    with pytest.raises(gqm.RedisUnavailable):
        Running(make_server(concurrency=2))
    assert seen
    assert seen[0]
    assert children() == set()


PROGRAM = """
import sys, gqm
def work(job):
    return __name__
server = gqm.Server(sys.argv[1], prefix=sys.argv[2], shutdown_timeout=1)
server.handle("work", work)
server.pool("p", ["*"], isolation="process", concurrency=2)
if {guard}:
    server.run()
"""


def test_a_main_program_may_hold_the_handlers(
    client: gqm.Client, redis_socket: str, prefix: str, tmp_path: Path
) -> None:
    with program(tmp_path, '__name__ == "__main__"', redis_socket, prefix) as process:
        assert client.wait(client.enqueue("work").id, 10) == "__mp_main__"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_main_program_that_starts_whenever_it_is_imported_is_told_so(
    redis_socket: str, prefix: str, tmp_path: Path
) -> None:
    with program(tmp_path, "True", redis_socket, prefix) as process:
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "if __name__ == '__main__'" in stderr.decode()
    assert "RegistrationError" in stderr.decode().splitlines()[-1] or "RegistrationError" in stderr.decode()


def program(tmp_path: Path, guard: str, redis_socket: str, prefix: str) -> Any:
    (tmp_path / "program.py").write_text(PROGRAM.format(guard=guard))
    return _Program(
        [sys.executable, str(tmp_path / "program.py"), f"unix:{redis_socket}", prefix],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


class _Program(subprocess.Popen[bytes]):
    def __exit__(self, *exc: Any) -> None:
        self.kill()
        super().__exit__(*exc)


# -------------------------------------------------------------------------------------------- stops


@pytest.mark.fault(23)
def test_a_stop_hands_back_what_runs_and_leaves_no_process(
    serve: Serve, client: gqm.Client, raw: Any, prefix: str, tmp_path: Path
) -> None:
    keys = Keys(prefix)
    types = ("sleeps", "endless_c", "polite", "asleep")
    with serve(concurrency=4, stop=0.3) as run:
        ids = [client.enqueue(type_, {"mark": str(tmp_path / type_)}).id for type_ in types]
        eventually(lambda: run.pool_record("p")["active_jobs"] == 4)
        for type_ in set(types) - {"endless_c"}:
            await_mark(tmp_path / type_)
        begun = time.monotonic()
        summary = run.stop()
        assert time.monotonic() - begun < 1.5
    assert children() == set()
    assert summary.abandoned == 0
    assert raw.zcard(keys.processing("default")) == 0
    jobs = {type_: client.get(job_id) for type_, job_id in zip(types, ids, strict=True)}
    states = {type_: (job.status, job.retry_count, job.crashes) for type_, job in jobs.items() if job}
    assert states == {
        "sleeps": ("ready", 0, 0),
        "endless_c": ("ready", 0, 0),
        "polite": ("completed", 0, 0),  # it stopped by itself when it was told
        "asleep": ("ready", 0, 0),
    }


def test_idle_processes_exit_like_programs_at_a_stop(
    make_server: Callable[..., gqm.Server],
    client: gqm.Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = "import atexit, pathlib\natexit.register(lambda: pathlib.Path({!r}).write_text('bye'))\n"
    (tmp_path / "at_exit.py").write_text(
        code.format(str(tmp_path / "bye")) + "def work(job):\n    return 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("gqm.engine.runners.process.QUIT_S", 3.0)  # the machine may be busy
    with running(make_server({"work": __import__("at_exit").work})):
        client.wait(client.enqueue("work").id, 10)
    assert (tmp_path / "bye").read_text() == "bye"
    monkeypatch.delitem(sys.modules, "at_exit")


CARELESS = """
import asyncio, sys, time, gqm
from tests.engine import poison
async def main():
    server = gqm.Server(sys.argv[1], prefix=sys.argv[2])
    server.handle("sleeps", poison.sleeps)
    server.pool("p", ["*"], isolation="process", concurrency=2)
    await server.start()
    await asyncio.to_thread(sys.stdin.readline)
asyncio.run(main())
time.sleep(60)
"""


def test_no_process_outlives_a_loop_that_ends_without_a_stop(
    client: gqm.Client, redis_socket: str, prefix: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", CARELESS, f"unix:{redis_socket}", prefix]
    with _Program(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        client.enqueue("sleeps", {"mark": str(tmp_path / "mark")})
        await_mark(tmp_path / "mark")
        found = children(process.pid)
        assert found
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        eventually(lambda: not any(alive(pid) for pid in found), 3)
        # Nor does the lease, so that the jobs run elsewhere.
        assert any(b"its lease ends too" in line for line in iter(process.stderr.readline, b""))


@pytest.mark.parametrize("type_", ["sleeps", "endless_c"])
def test_no_process_outlives_an_an_engine_killed_with_minus_9(
    client: gqm.Client, redis_socket: str, prefix: str, tmp_path: Path, type_: str
) -> None:
    code = (
        "import sys, gqm\nfrom tests.engine import poison\n"
        "server = gqm.Server(sys.argv[1], prefix=sys.argv[2])\n"
        "for name, function in poison.ALL.items(): server.handle(name, function)\n"
        "server.pool('p', ['*'], isolation='process', concurrency=2)\n"
        "server.run()\n"
    )
    command = [sys.executable, "-c", code, f"unix:{redis_socket}", prefix]
    with _Program(command, cwd=ROOT) as process:
        job_id = client.enqueue(type_).id
        eventually(lambda: (job := client.get(job_id)) and job.status == "processing", 10)
        found = eventually(lambda: len(kids := children(process.pid)) == 2 and kids, 10)
        process.kill()
        eventually(lambda: not any(alive(pid) for pid in found), 3, message="the processes are gone")


def test_what_a_handler_started_goes_with_its_process(
    serve: Serve, client: gqm.Client, tmp_path: Path
) -> None:
    with serve(job_timeout="500ms", grace_period=0):
        for die in (True, False):
            mark = tmp_path / f"mark-{die}"
            failed(client, "has_a_child", {"mark": str(mark), "die": die})
            grandchild = int(await_mark(mark))
            eventually(lambda pid=grandchild: not alive(pid), 3)


@pytest.mark.parametrize(("die", "how"), [(True, "python"), (False, "python"), (False, "c")])
def test_a_forked_process_that_goes_its_own_way_holds_no_slot(
    serve: Serve, client: gqm.Client, tmp_path: Path, die: bool, how: str
) -> None:
    mark = tmp_path / "mark"
    with serve(job_timeout="500ms", grace_period=0):
        begun = time.monotonic()
        job = failed(client, "leaves_a_fork", {"mark": str(mark), "die": die, "how": how})
        assert time.monotonic() - begun < 3
        assert client.wait(client.enqueue("echo", {"value": 1}).id, 10) == 1
    assert job.error == ("worker process exited: code 7" if die else "timeout after 0.5s: process killed")
    os.kill(int(await_mark(mark)), signal.SIGKILL)


# --------------------------------------------------------------------------------- stderr and logs


def test_stderr_is_shown_without_its_control_characters(
    serve: Serve, client: gqm.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with serve():
        job = failed(client, "ugly_stderr")
    line = r"\x1b[2Jred\x07 \x9b31m\u202egnp.exe\rlf" + "\ttab ünï"
    shown = [record for record in caplog.records if getattr(record, "event", "") == "stderr"]
    assert [record.getMessage().partition(": ")[2] for record in shown] == [line, "\ufffd\ufffd"]
    assert {(record.levelname, record.pool, record.job) for record in shown} == {("WARNING", "p", job.id)}  # type: ignore[attr-defined]
    assert line in job.traceback


def test_a_flood_on_stderr_is_cut(serve: Serve, client: gqm.Client, caplog: pytest.LogCaptureFixture) -> None:
    with serve():
        client.wait(client.enqueue("noisy_stderr").id, 10)
    texts = [record.getMessage() for record in caplog.records if getattr(record, "event", "") == "stderr"]
    assert 100 <= len(texts) < 1000
    assert any("more lines)" in text for text in texts)


def test_what_handlers_log_is_logged_by_the_engine_with_its_job(
    serve: Serve, client: gqm.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), serve():
        job_id = client.enqueue("logs", {"name": "you"}).id
        client.wait(job_id, 10)
    found = [record for record in caplog.records if record.name == "app.poison"]
    assert [(record.levelname, record.getMessage()) for record in found] == [
        ("INFO", "hello you"),
        ("ERROR", "something went wrong"),
    ]
    for record in found:
        facts: Any = record
        assert (facts.job, facts.type, facts.queue, facts.attempt) == (job_id, "logs", "default", 1)
        assert facts.pool == "p"
        assert facts.funcName == "logs"
    assert vars(found[0])["mail"] == 5
    assert "thing" not in vars(found[0])
    assert "ValueError: logged, not raised" in str(found[1].exc_text)


def test_levels_of_the_engine_hold_in_its_processes(
    serve: Serve, client: gqm.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "app.poison"), serve():
        client.wait(client.enqueue("logs", {"name": "you"}).id, 10)
    assert "too fine" in caplog.text


# ------------------------------------------------------------------- the other half: threads cannot be killed


@pytest.mark.fault(30)
def test_a_pool_with_100_abandoned_threads_claims_no_more(
    redis_socket: str, prefix: str, client: gqm.Client, raw: Any
) -> None:
    leave = threading.Event()
    server = gqm.Server(f"unix:{redis_socket}", prefix=prefix, shutdown_timeout=0)
    server.handle("stuck", lambda job: leave.wait(30) and None)
    server.pool("p", ["stuck"], concurrency=50, job_timeout="100ms", grace_period=0, retry={"max_retry": 0})
    with running(server) as run:
        try:
            for _ in client.enqueue_many(["stuck"] * 400):
                continue
            eventually(lambda: run.pool_record("p")["status"] == "stuck", 15)
            eventually(lambda: run.pool_record("p")["active_jobs"] == 0)
            assert (
                100 <= int(run.pool_record("p")["abandoned"]) < 150
            )  # the slots that were full at that time
            ready = Keys(prefix).ready("default")
            left = raw.llen(ready)
            assert left > 250
            throughout(lambda: raw.llen(ready) == left, 0.5)
        finally:
            leave.set()
        eventually(lambda: raw.llen(ready) == 0, 10, message="it claims again once they have come back")


# -------------------------------------------------------------------------------- all of it, for longer


@pytest.mark.slow
@pytest.mark.fault(30)
def test_five_of_each_poison_in_a_pool_that_goes_on_working(serve: Serve, client: gqm.Client) -> None:
    ends = {
        "segfault": ("worker process exited: SIGSEGV", 3),
        "exit7": ("worker process exited: code 7", 3),
        "hog": ("MemoryError", 0),
        "endless_c": ("timeout after 1s: process killed", 0),
        "ignores_signals": ("timeout after 1s: process killed", 0),
    }
    with serve(concurrency=4, job_timeout="1s", retry={"max_retry": 3, "backoff_base": 0}):
        poisons = {type_: [client.enqueue(type_).id for _ in range(5)] for type_ in ends}
        others = [made.id for chunk in client.enqueue_many(["pid"] * 500) for made in chunk]
        jobs = [ended(client, job_id, 120) for job_id in others]
        assert {(job.status, job.attempt, job.crashes) for job in jobs} == {("completed", 1, 0)}
        for type_, ids in poisons.items():
            found = [ended(client, job_id, 120) for job_id in ids]
            assert {(job.error, job.crashes) for job in found} == {ends[type_]}
            assert {job.status for job in found} == {"dead_letter"}
    assert children() == set()
