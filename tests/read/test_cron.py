"""Cron entries and their runs as people see them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from gqm.errors import InvalidQuery
from gqm.job import Status
from gqm.store.plan import follow
from gqm.store.read.cron import CronList, CronView, get_cron, list_cron, list_runs
from tests.support.keyspace import SERVER, Keyspace
from tests.support.states import MAKE

ENTRY = {
    "id": "tidy",
    "name": "Tidy up",
    "cron_expr": "0 30 1 * * *",
    "timezone": "Europe/Berlin",
    "job_type": "tidy.run",
    "queue": "low",
    "payload": {"n": 12345678901234567890},
    "timeout": 60,
    "max_retry": 0,
    "overlap_policy": "replace",
    "enabled": True,
    "last_run": 1789954200,
    "last_status": "triggered",
    "next_run": 1790040600,
    "created_at": 1780000000,
    "updated_at": 1789954200,
}


def store(space: Keyspace, entry_id: str = "tidy", source: str = "", **changes: Any) -> None:
    entry = {name: value for name, value in {**ENTRY, "id": entry_id, **changes}.items() if value is not None}
    space.raw.hset(space.keys.cron_entries, entry_id, json.dumps(entry))
    if source:
        space.raw.hset(space.keys.cron_meta, entry_id, json.dumps({"source": source, "config_enabled": True}))


def run_of(space: Keyspace, entry_id: str, job_id: str, at: int, **fields: Any) -> None:
    space.raw.zadd(space.keys.cron_history(entry_id), {job_id: at})
    if fields:
        space.raw.hset(space.keys.job(job_id), mapping=fields)


def entries(space: Keyspace, **options: Any) -> CronList:
    return follow(space.store, list_cron(space.keys, **options))


def entry(space: Keyspace, entry_id: str = "tidy") -> CronView:
    found = follow(space.store, get_cron(space.keys, entry_id))
    assert found is not None
    return found


def test_an_entry_with_all_its_fields(space: Keyspace) -> None:
    store(space)

    found = entry(space)

    assert (found.id, found.name, found.cron_expr, found.timezone) == (
        "tidy",
        "Tidy up",
        "0 30 1 * * *",
        "Europe/Berlin",
    )
    assert (found.job_type, found.queue, found.timeout, found.max_retry) == ("tidy.run", "low", 60, 0)
    assert (found.overlap_policy, found.enabled, found.orphaned) == ("replace", True, False)
    assert (found.last_run, found.next_run, found.last_status) == (1789954200, 1790040600, "triggered")
    assert b'"payload":{"n": 12345678901234567890}' in msgspec.json.encode(found)
    assert (found.last_job, found.outcomes) == (None, [])
    assert len(found.next_runs or []) == 5


def test_an_entry_with_nothing_optional(space: Keyspace) -> None:
    empty = dict.fromkeys(("name", "timezone", "payload", "timeout", "max_retry", "last_run", "last_status"))
    store(space, "tidy", "", **empty, next_run=-1, enabled=False, queue=None)

    found = entry(space)

    assert (found.name, found.timezone, found.queue, found.payload) == ("tidy", "UTC", "default", None)
    assert (found.timeout, found.max_retry) == (UNSET, UNSET)
    assert (found.last_run, found.next_run, found.last_status) == (None, None, None)
    assert found.next_runs == []


@pytest.mark.fault(54)
def test_each_field_has_one_type_in_list_and_detail(space: Keyspace) -> None:
    store(space)
    store(space, "quiet", last_run=0, next_run=0, last_status="")
    run_of(space, "tidy", "j1", 5, status="completed")

    for row in entries(space, outcomes=True).entries:
        one = msgspec.json.decode(msgspec.json.encode(entry(space, row.id)))
        one.pop("next_runs")
        assert msgspec.json.decode(msgspec.json.encode(row)) == one


def test_entries_are_listed_by_id_with_their_newest_job(space: Keyspace) -> None:
    for name in ("c", "a", "b"):
        store(space, name)
    job_id = MAKE[Status.COMPLETED](space)
    run_of(space, "a", "older", 10)
    run_of(space, "a", job_id, 20)

    found = entries(space)

    assert [item.id for item in found.entries] == ["a", "b", "c"]
    assert msgspec.to_builtins(found.entries[0].last_job) == {
        "job_id": job_id,
        "triggered_at": 20,
        "status": "completed",
    }
    assert (found.total, found.truncated, found.entries[0].outcomes) == (3, False, UNSET)
    assert entries(space, outcomes=True).entries[0].outcomes == ["completed", "expired"]


def test_an_entry_that_no_live_server_lists_is_orphaned(space: Keyspace) -> None:
    store(space, "kept", source="py")
    store(space, "removed", source="py")
    store(space, "of-go")
    space.beat(fields={"hostname": "host", "cron_ids": '["kept"]'})

    assert {item.id: item.orphaned for item in entries(space).entries} == {
        "kept": False,
        "of-go": False,
        "removed": True,
    }
    assert entry(space, "removed").next_runs == []
    space.end_lease(SERVER)
    assert entry(space, "kept").orphaned is True


def test_the_runs_of_an_entry(space: Keyspace) -> None:
    store(space)
    job_id = MAKE[Status.COMPLETED](space)
    space.raw.hset(space.keys.job(job_id), mapping={"cron_slot": 100, "execution_duration": 2140})
    run_of(space, "tidy", job_id, 100)
    run_of(space, "tidy", "by-hand", 200, status="processing")
    run_of(space, "tidy", "gone", 50)

    page = follow(space.store, list_runs(space.keys, "tidy", 1, 2))

    assert page is not None
    assert [msgspec.to_builtins(run) for run in page.items] == [
        {
            "job_id": "by-hand",
            "triggered_at": 200,
            "slot": None,
            "outcome": "processing",
            "duration_ms": None,
        },
        {"job_id": job_id, "triggered_at": 100, "slot": 100, "outcome": "completed", "duration_ms": 2140},
    ]
    assert page.total == 3
    second = follow(space.store, list_runs(space.keys, "tidy", 2, 2))
    assert second is not None
    assert [run.outcome for run in second.items] == ["expired"]
    assert follow(space.store, list_runs(space.keys, "none")) is None
    with pytest.raises(InvalidQuery, match="limit"):
        follow(space.store, list_runs(space.keys, "tidy", 1, 101))


def test_strange_entries_do_not_hide_the_others(space: Keyspace) -> None:
    store(space)
    space.raw.hset(space.keys.cron_entries, "broken", "{")
    store(space, "unreadable", cron_expr="often")

    assert [item.id for item in entries(space).entries] == ["tidy", "unreadable"]
    assert entry(space, "unreadable").next_runs == []
    assert follow(space.store, get_cron(space.keys, "broken")) is None
    assert follow(space.store, get_cron(space.keys, "none")) is None
