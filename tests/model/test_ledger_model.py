"""Random operations: the ledger finds nothing after any of them, and all that is broken in between."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from gqm.admin import Admin
from gqm.admin.ledger import examine, repair
from gqm.job import LIVE, Status
from tests.model.test_model import QUEUES, Operations
from tests.support.servers import ServerFactory

RUNS = int(os.environ.get("GQM_LEDGER_RUNS", "80"))
NO_LEASE = {"dead_claim"}
"""The servers of the model send no heartbeats."""


class Broken(Operations):
    """The operations of the model, and ways to break what they have made."""

    def found(self) -> set[tuple[str, str]]:
        census = examine(self.store, settle_s=0)
        assert census.complete
        return {(item.kind, item.subject) for item in census.findings if item.kind not in NO_LEASE}

    @invariant()
    def nothing_to_find(self) -> None:
        """A key space that only GQM has written has no fault."""
        if hasattr(self, "store"):
            assert self.found() == set()

    def mend(self, kind: str, job_id: str) -> None:
        """The fault is found and repaired; that all is as before is what the model then checks."""
        assert self.found() == {(kind, job_id)}
        census = examine(self.store, settle_s=0)
        findings = [item for item in census.findings if item.kind not in NO_LEASE]
        repair(self.store, Admin(self.store, actor="ana").log, census._replace(findings=findings))
        self.raw.delete(self.store.keys.audit)

    @precondition(lambda self: len(self.model.jobs) > 2)
    @rule(data=st.data(), queue=st.sampled_from(QUEUES))
    def put_somewhere_else(self, data: st.DataObject, queue: str) -> None:
        """An id also stands in a container that its state does not name."""
        keys = self.store.keys
        job_id = data.draw(st.sampled_from(sorted(self.model.jobs)))
        status = self.model.jobs[job_id].status
        places = {
            keys.scheduled: (Status.SCHEDULED, Status.RETRY),
            keys.completed(queue): (Status.COMPLETED,),
            keys.dead_letter(queue): (Status.DEAD_LETTER,),
            keys.processing(queue): (Status.PROCESSING,),
        }
        other = data.draw(st.sampled_from([key for key, names in places.items() if status not in names]))
        self.raw.zadd(other, {job_id: self.space.now() + 1000})
        self.raw.sadd(keys.queues, queue)
        self.mend("two_places", job_id)

    @precondition(lambda self: any(self.model.ready.values()))
    @rule(data=st.data())
    def put_twice(self, data: st.DataObject) -> None:
        """An id stands twice in its ready list."""
        queue = data.draw(st.sampled_from([queue for queue, ids in self.model.ready.items() if ids]))
        job_id = data.draw(st.sampled_from(sorted(self.model.ready[queue])))
        self.raw.lpush(self.store.keys.ready(queue), job_id)
        self.mend("twice_ready", job_id)

    @precondition(lambda self: sum(job.status in LIVE for job in self.model.jobs.values()) > 2)
    @rule(data=st.data())
    def let_expire(self, data: st.DataObject) -> None:
        """A live job would expire."""
        live = sorted(job_id for job_id, job in self.model.jobs.items() if job.status in LIVE)
        job_id = data.draw(st.sampled_from(live))
        self.raw.expire(self.store.keys.job(job_id), 1000)
        self.mend("live_ttl", job_id)

    @precondition(lambda self: any(job.status is Status.DEFERRED for job in self.model.jobs.values()))
    @rule(data=st.data())
    def forget_children(self, data: st.DataObject) -> None:
        """A parent does not know a child that waits for it."""
        children = sorted(job_id for job_id, job in self.model.jobs.items() if job.status is Status.DEFERRED)
        child = data.draw(st.sampled_from(children))
        for parent in self.model.jobs[child].pending:
            self.raw.srem(self.store.keys.dependents(parent), child)
        self.mend("unlinked", child)

    @precondition(lambda self: len(self.model.jobs) > 3)
    @rule(queue=st.sampled_from(QUEUES))
    def put_a_stranger(self, queue: str) -> None:
        """An id without a job stands in a ready list."""
        self.raw.rpush(self.store.keys.ready(queue), "stranger")
        self.raw.sadd(self.store.keys.queues, queue)
        self.mend("no_hash", "stranger")


def test_the_ledger_finds_what_was_broken_and_nothing_else(start_server: ServerFactory) -> None:
    machine = type("Broken", (Broken,), {"socket": start_server().socket})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=RUNS, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
