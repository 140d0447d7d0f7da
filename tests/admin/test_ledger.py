"""The ledger: each corruption is found by its kind, and repaired where there is one right answer."""

from __future__ import annotations

import pytest

from gqm.admin import Admin
from gqm.admin.ledger import Repaired, examine, repair
from gqm.job import Status
from gqm.store.plan import follow
from gqm.store.read.audit import AuditFilter, list_audit
from gqm.store.read.faults import FAULTS
from gqm.store.read.ledger import Census
from gqm.store.read.suspicion import Bounds
from tests.support.corruptions import CORRUPTIONS, Corruption
from tests.support.keyspace import Keyspace
from tests.support.states import MAKE


def look(space: Keyspace) -> Census:
    return examine(space.store, settle_s=0)


def kinds(census: Census) -> dict[str, list[str]]:
    return {kind: [item.subject for item in items] for kind, items in census.of_kind().items()}


def test_a_key_space_with_a_job_in_every_state_has_no_finding(space: Keyspace) -> None:
    for status in Status:
        MAKE[status](space)
        MAKE[status](space, queue="mail")

    census = look(space)

    assert census.findings == []
    assert census.complete
    assert census.jobs >= 2 * len(Status)


def test_an_empty_key_space_has_no_finding(space: Keyspace) -> None:
    census = look(space)
    assert (census.findings, census.jobs, census.complete) == ([], 0, True)


@pytest.mark.parametrize("corruption", CORRUPTIONS.values(), ids=CORRUPTIONS.keys())
def test_a_corruption_is_found_and_reading_changes_nothing(space: Keyspace, corruption: Corruption) -> None:
    subject = corruption.seed(space)
    before = space.dump()

    census = look(space)

    assert kinds(census) == {corruption.kind: [subject]}
    assert space.dump() == before


@pytest.mark.parametrize(
    "corruption",
    [item for item in CORRUPTIONS.values() if item.repaired],
    ids=lambda item: item.seed.__name__,
)
def test_a_repair_leaves_nothing_to_find(space: Keyspace, admin: Admin, corruption: Corruption) -> None:
    corruption.seed(space)

    done = repair(space.store, admin.log, look(space))

    assert done == [Repaired(corruption.kind, 1, 1)]
    assert look(space).findings == []
    space.assert_sound()


@pytest.mark.parametrize(
    "corruption",
    [item for item in CORRUPTIONS.values() if not item.repaired],
    ids=lambda item: item.seed.__name__,
)
def test_what_has_no_right_answer_is_left_alone(
    space: Keyspace, admin: Admin, corruption: Corruption
) -> None:
    corruption.seed(space)
    before = space.dump()

    assert repair(space.store, admin.log, look(space)) == []

    assert space.dump() == before
    assert FAULTS[corruption.kind].repair is None


def test_every_kind_is_tested() -> None:
    assert {item.kind for item in CORRUPTIONS.values()} | {"ledger_off"} == set(FAULTS)


def test_a_repair_is_an_entry_of_the_audit_log(space: Keyspace, admin: Admin) -> None:
    CORRUPTIONS["twice in ready"].seed(space)
    CORRUPTIONS["live job with expiry"].seed(space)

    repair(space.store, admin.log, look(space))

    entries = follow(space.store, list_audit(space.keys, AuditFilter(), 1, 10)).items
    told = [(entry.action, entry.target, entry.count, entry.actor) for entry in entries]
    assert told == [("ledger.repair", "twice_ready", 1, "ana"), ("ledger.repair", "live_ttl", 1, "ana")]


# None of these needs an empty ready list to be made.
TOGETHER = (
    "id in ready without a job",
    "id in scheduled without a job",
    "id in deferred without a job",
    "ready and completed",
    "ready and scheduled",
    "ready in two queues",
    "scheduled, but in ready",
    "ready in no list",
    "scheduled in no zset",
    "deferred in no set",
    "twice in ready",
    "live job with expiry",
    "record without state",
    "keys of a job that is gone",
    "parents of a job that waits for none",
    "pending set gone",
    "waits for a stranger",
    "waits for a parent that is gone",
    "child that its parent does not know",
    "dead server",
    "history of a cron entry that is gone",
    "counter that never expires",
)


def test_everything_at_once(space: Keyspace, admin: Admin) -> None:
    """Corruptions do not hide one another, and their repairs do not get into each other's way."""
    expected = {(CORRUPTIONS[name].kind, CORRUPTIONS[name].seed(space)) for name in TOGETHER}

    census = look(space)
    repair(space.store, admin.log, census)

    assert {(item.kind, item.subject) for item in census.findings} == expected
    assert look(space).findings == []
    space.assert_sound()


def test_counters_that_do_not_fit_are_told(space: Keyspace) -> None:
    for _ in range(3):
        space.enqueue()
    gone = space.enqueue()
    space.raw.delete(space.keys.job(gone))
    space.raw.lrem(space.keys.ready("default"), 0, gone)

    (finding,) = look(space).findings

    assert (finding.kind, finding.subject, finding.detail) == ("ledger_off", "default", "+1")


def test_counters_are_not_weighed_beside_other_programs(space: Keyspace) -> None:
    space.enqueue()
    space.raw.hincrby(space.keys.ledger("default"), "accepted", 5)
    space.raw.hset(space.keys.worker("default"), mapping={"id": "default", "pool": "default"})
    space.raw.expire(space.keys.worker("default"), 60)
    space.raw.sadd(space.keys.workers, "default")

    assert look(space).findings == []


def test_expired_entries_are_left_to_the_sweep_of_a_live_scheduler(space: Keyspace) -> None:
    CORRUPTIONS["expired and still listed"].seed(space)
    space.beat(fields={"hostname": "host", "runtime": "python", "scheduler": 1})

    assert look(space).findings == []


def test_what_go_leaves_to_the_sweep_is_no_finding_while_a_scheduler_lives(space: Keyspace) -> None:
    CORRUPTIONS["waits for a parent that has ended"].seed(space)
    scheduler = {"hostname": "host", "runtime": "python", "scheduler": 1}
    space.beat(fields=scheduler)
    assert [finding.kind for finding in look(space).findings] == ["parent_ended"], "no Go, no excuse"

    space.raw.hset(space.keys.worker("default"), mapping={"id": "default", "pool": "default"})
    space.raw.expire(space.keys.worker("default"), 60)
    space.raw.sadd(space.keys.workers, "default")
    assert look(space).findings == []


def test_bounds_end_the_census_and_it_says_so(space: Keyspace) -> None:
    for _ in range(20):
        space.enqueue()

    census = examine(space.store, bounds=Bounds(jobs=10), settle_s=0)

    assert not census.complete
    assert census.findings == []


def test_many_findings_are_all_found(space: Keyspace, admin: Admin) -> None:
    for n in range(1500):
        space.raw.lpush(space.keys.ready("default"), f"ghost-{n}")
    space.raw.sadd(space.keys.queues, "default")

    census = look(space)

    assert len(census.of_kind()["no_hash"]) == 1500
    assert census.complete
    assert repair(space.store, admin.log, census) == [Repaired("no_hash", 1500, 1500)]


def test_all_places_of_an_id_count(space: Keyspace, admin: Admin) -> None:
    for name in ("id in ready without a job", "id in scheduled without a job"):
        CORRUPTIONS[name].seed(space)

    assert repair(space.store, admin.log, look(space)) == [Repaired("no_hash", 2, 2)]
    assert look(space).findings == []


def test_a_job_that_moved_on_since_the_census_is_left_alone(space: Keyspace, admin: Admin) -> None:
    job = CORRUPTIONS["ready in no list"].seed(space)
    census = look(space)
    space.raw.rpush(space.keys.ready("default"), job)
    space.beat()
    (item,) = space.claim()
    assert item.id == job

    assert repair(space.store, admin.log, census) == [Repaired("nowhere", 1, 0)]
    assert (space.status(job), space.processing(), space.ready()) == ("processing", [job], [])
