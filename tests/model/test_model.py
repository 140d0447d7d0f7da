"""Random operations on a real server and on a plain Python model; both are compared after every step."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

import hypothesis
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gqm.errors import GQMError
from gqm.ids import new_nonce
from gqm.job import Status
from gqm.keys import Keys
from gqm.newjob import new_job
from gqm.store.commands import operate
from gqm.store.commands.claim import Claim, ClaimPlan, claim, return_unstarted
from gqm.store.commands.enqueue import enqueue
from gqm.store.commands.lease import reap_server
from gqm.store.commands.schedule import promote
from gqm.store.commands.settle import Burial, Completion, RetryLater, complete, dead_letter, retry
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from tests.model.plain import Model, ModelJob, Refused
from tests.support.keyspace import Keyspace
from tests.support.servers import ServerFactory

QUEUES = ("a", "b")
SERVERS = ("host-1-aaaaaa", "host-2-bbbbbb")
OWN_IDS = ("x", "y", "z")
RUNS = int(os.environ.get("GQM_MODEL_RUNS", "150"))

_numbers = itertools.count()


class Operations(RuleBasedStateMachine):
    """Each rule is done on the server and in the model; `same` compares them."""

    socket = ""

    @initialize()
    def begin(self) -> None:
        """A key space of this run's own."""
        keys = Keys(f"m-{os.getpid()}-{next(_numbers)}:")
        self.store = Store(plain_link(keys, "the test server", {"unix_socket_path": self.socket}))
        self.raw = redis.Redis(unix_socket_path=self.socket, protocol=2)
        self.space = Keyspace(self.store, self.raw)
        self.model = Model()
        self.held: list[Claim] = []
        self.stale: list[Claim] = []

    def teardown(self) -> None:
        """Remove the run's keys."""
        if hasattr(self, "store"):
            doomed = list(self.raw.scan_iter(self.store.keys.prefix + "*", count=1000))
            if doomed:
                self.raw.unlink(*doomed)
            self.raw.close()
            self.store.close()

    def both(self, command: Any, model: Callable[[], object]) -> Any:
        """Do a step on both sides; both succeed, or both refuse for the same reason."""
        self.model.begin()
        refused, answer = "", None
        try:
            answer = self.store.run(command)
        except GQMError as exc:
            refused = type(exc).__name__
        expected, why = None, ""
        try:
            expected = model()
        except Refused as exc:
            why = str(exc)
        assert refused == why, f"the server says {refused!r}, the model {why!r}"
        return None if refused else (answer, expected)

    # ---------------------------------------------------------------------------------- producers

    @rule(
        data=st.data(),
        queue=st.sampled_from(QUEUES),
        own_id=st.sampled_from((None, None, *OWN_IDS)),
        flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
        later=st.booleans(),
        max_retry=st.sampled_from((None, 0, 1)),
        ttl=st.sampled_from((None, None, None, 0)),
        with_parents=st.booleans(),
    )
    def enqueue(
        self,
        data: st.DataObject,
        queue: str,
        own_id: str | None,
        flags: tuple[bool, bool, bool],
        later: bool,
        max_retry: int | None,
        ttl: int | None,
        with_parents: bool,
    ) -> None:
        """Enqueue with any mix of options."""
        front, allow_failure, unique = flags
        options: dict[str, Any] = {"queue": queue, "enqueue_at_front": front, "allow_failure": allow_failure}
        parents: list[str] = []
        known = sorted(set(self.model.jobs) - {own_id} | {"never"})
        if with_parents and not later:
            parents = data.draw(st.lists(st.sampled_from(known), max_size=3, unique=True))
        if own_id is not None:
            options.update(job_id=own_id, unique=unique)
        if max_retry is not None:
            options["max_retry"] = max_retry
        if ttl is not None:
            options.update(result_ttl=ttl, failure_ttl=ttl)
        if parents:
            options["depends_on"] = parents
        job = new_job("t", None, options)  # type: ignore[arg-type]
        shadow = ModelJob(
            job.id,
            queue,
            Status.READY,
            tuple(parents),
            front=front,
            allow_failure=allow_failure,
            gone_at_end=ttl == 0,
            budget=3 if max_retry is None else max_retry,
        )
        mode: Any = {"mode": "in", "when_ms": 3_600_000} if later else {}
        done = self.both(
            enqueue(self.store.keys, job, **mode),
            lambda: self.model.enqueue(shadow, unique=unique and own_id is not None, later=later),
        )
        if done is not None:
            assert done[0] == done[1]

    # ------------------------------------------------------------------------------------ workers

    @rule(queue=st.sampled_from(QUEUES), n=st.integers(1, 3), server=st.sampled_from(SERVERS))
    def claim(self, queue: str, n: int, server: str) -> None:
        """A pool takes jobs."""
        plan = ClaimPlan(server, f"p@{server}", ((queue, None),), False, 1_800_000, 0, 10_000, 3)
        answer, expected = self.both(
            claim(self.store.keys, plan, new_nonce(), n), lambda: self.model.claim(queue, n, server)
        )
        assert [item.id for item in answer.jobs] == expected
        self.held += answer.jobs

    def settle(
        self, data: st.DataObject, command: Callable[[Claim], Any], model: Callable[[str], None]
    ) -> None:
        """Settle a claim that is held, or one that was lost: then nothing may change."""
        item = data.draw(st.sampled_from(self.held + self.stale))
        job = self.model.jobs.get(item.id)
        held = item in self.held and job is not None and job.status is Status.PROCESSING
        self.model.begin()
        answer = self.store.run(command(item))
        answers = answer if isinstance(answer, list) else answer.answers
        if held:
            assert answers == [1]
            model(item.id)
        else:
            assert answers[0] in (0, 2)
        if item in self.held:
            self.held.remove(item)
            self.stale.append(item)

    @precondition(lambda self: self.held or self.stale)
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        """A handler returned."""
        self.settle(
            data,
            lambda item: complete(
                self.store.keys, item.queue, [Completion(item, 5, b"1")], result_ttl=None, failure_ttl=None
            ),
            self.model.complete,
        )

    @precondition(lambda self: self.held or self.stale)
    @rule(data=st.data(), counted=st.booleans(), delay_ms=st.sampled_from((0, 3_600_000)))
    def retry(self, data: st.DataObject, counted: bool, delay_ms: int) -> None:
        """A handler failed and runs again."""

        def command(item: Claim) -> Any:
            job = self.model.jobs.get(item.id)
            self.count = job.retry_count + 1 if counted and job is not None else None
            return retry(
                self.store.keys, item.queue, [RetryLater(item, delay_ms, "E: x", retry_count=self.count)]
            )

        self.settle(data, command, lambda job_id: self.model.retry(job_id, self.count))

    @precondition(lambda self: self.held or self.stale)
    @rule(data=st.data())
    def bury(self, data: st.DataObject) -> None:
        """A handler failed for good."""
        self.settle(
            data,
            lambda item: dead_letter(
                self.store.keys, item.queue, [Burial(item, 5, "E: x")], failure_ttl=None
            ),
            self.model.bury,
        )

    @precondition(lambda self: self.held or self.stale)
    @rule(data=st.data(), started=st.booleans())
    def hand_back(self, data: st.DataObject, started: bool) -> None:
        """A claim goes back."""
        self.settle(
            data,
            lambda item: return_unstarted(self.store.keys, item.queue, [(item, started)]),
            self.model.hand_back,
        )

    @rule(server=st.sampled_from(SERVERS))
    def lose_server(self, server: str) -> None:
        """A server is proved to be dead."""
        self.both(
            reap_server(self.store.keys, server, "", True, None), lambda: self.model.lose_server(server)
        )
        lost = [item for item in self.held if item.worker_id.endswith(server)]
        self.stale += lost
        self.held = [item for item in self.held if item not in lost]

    @rule()
    def promote(self) -> None:
        """The scheduler moves what is due."""
        waiting = self.raw.zrange(self.store.keys.scheduled, 0, -1, withscores=True)
        now = self.space.now()
        due = [item.decode() for item, score in waiting if score <= now]
        self.both(promote(self.store.keys), lambda: self.model.promote(due))

    # ---------------------------------------------------------------------------------- operators

    def some_job(self, data: st.DataObject) -> str:
        """Any known id, or one that never was."""
        return data.draw(st.sampled_from([*sorted(self.model.jobs), "never"]))

    @rule(data=st.data(), action=st.sampled_from(("cancel", "delete", "requeue", "run_now")))
    def operate(self, data: st.DataObject, action: str) -> None:
        """An operator acts on one job."""
        job_id, keys = self.some_job(data), self.store.keys
        commands: dict[str, Callable[[], Any]] = {
            "cancel": lambda: operate.cancel(keys, job_id, "by test"),
            "delete": lambda: operate.delete(keys, job_id),
            "requeue": lambda: operate.requeue(keys, job_id),
            "run_now": lambda: operate.run_now(keys, job_id),
        }
        self.both(commands[action](), lambda: getattr(self.model, action)(job_id))

    @rule(queue=st.sampled_from(QUEUES), action=st.sampled_from(("requeue", "clear", "empty")))
    def operate_queue(self, queue: str, action: str) -> None:
        """An operator acts on a whole queue."""
        keys = self.store.keys
        if action == "requeue":
            order = [item.decode() for item in self.raw.zrange(keys.dead_letter(queue), 0, -1)]
            self.both(operate.requeue_dlq(keys, queue), lambda: self.model.requeue_dead(queue, order))
        elif action == "clear":
            self.both(operate.clear_dlq(keys, queue), lambda: self.model.clear_dead(queue))
        else:
            self.both(operate.empty_queue(keys, queue, "by test"), lambda: self.model.empty(queue))

    @precondition(lambda self: self.model.jobs)
    @rule(queue=st.sampled_from(QUEUES), pause=st.booleans())
    def switch(self, queue: str, pause: bool) -> None:
        """An operator pauses or resumes a queue."""
        if not self.raw.sismember(self.store.keys.queues, queue):
            return
        self.model.begin()
        self.store.run((operate.pause if pause else operate.resume)(self.store.keys, queue))
        (self.model.paused.add if pause else self.model.paused.discard)(queue)

    # ---------------------------------------------------------------------------------- comparing

    @invariant()
    def same(self) -> None:
        """States, counts, waiting sets and orders are those of the model, and the key space is sound."""
        if not hasattr(self, "space"):
            return
        jobs = self.space._jobs()
        assert {job_id: job["status"] for job_id, job in jobs.items()} == {
            job_id: str(job.status) for job_id, job in self.model.jobs.items()
        }
        for job_id, job in self.model.jobs.items():
            assert int(jobs[job_id].get("retry_count") or 0) == job.retry_count, job_id
            pending = self.raw.smembers(self.store.keys.pending_deps(job_id))
            expected = job.pending if job.status is Status.DEFERRED else set()
            assert {item.decode() for item in pending} == expected, job_id
        for queue in QUEUES:
            self.same_order(queue)
        self.space.assert_sound()

    def same_order(self, queue: str) -> None:
        """Old jobs keep their order; what the step pushed stands before or behind them."""
        actual, expected = self.space.ready(queue), self.model.ready.get(queue, [])
        assert sorted(actual) == sorted(expected), queue
        front = self.model.pushed_front.get(queue, set()) & set(actual)
        back = self.model.pushed_back.get(queue, set()) & set(actual)
        assert set(actual[: len(front)]) == front, (queue, actual, expected)
        assert set(actual[len(actual) - len(back) :]) == back, (queue, actual, expected)
        fresh = front | back
        assert [item for item in actual if item not in fresh] == [
            item for item in expected if item not in fresh
        ]
        self.model.ready[queue] = actual


def run(socket: str, runs: int, *, seed: int | None = None) -> None:
    """Check a number of random runs, the same ones for the same seed."""
    machine = type("Operations", (Operations,), {"socket": socket})
    run_state_machine_as_test(
        machine if seed is None else hypothesis.seed(seed)(machine),
        settings=settings(
            max_examples=runs, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_key_space_equals_the_model(start_server: ServerFactory) -> None:
    # On a server of its own: looking for keys takes time with all that a shared one holds.
    run(start_server().socket, RUNS)
