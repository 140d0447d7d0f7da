"""The command line and the REST API tell the same things in the same words, and record what they do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gqm.job import Status
from tests.api.support import KEYS, Api, serve
from tests.cli.helpers import Gqm
from tests.cli.operators import audit, ok
from tests.support.crontab import Crontab, entry
from tests.support.keyspace import SERVER, Keyspace
from tests.support.states import MAKE

MOVING = {
    *("elapsed_ms", "expires_at", "oldest_age_ms", "in_per_min", "out_per_min", "failed_per_min"),
    *("wait_avg_ms", "run_avg_ms", "drain_ms"),
}
"""What differs from one look to the next."""


def still(item: dict[str, Any]) -> dict[str, Any]:
    """An object without what moves; the moving fields must be there all the same."""
    return {name: None if name in MOVING else value for name, value in item.items()}


def both(gqm: Gqm, api: Api, line: str, name: str, path: str) -> tuple[Any, Any]:
    """What the command line and the API say."""
    document = json.loads(ok(gqm(*line.split(), "--json")))
    return document[name], api.get(path).data


@pytest.fixture
def world(space: Keyspace) -> list[str]:
    """A job of every state, and a cron entry with a run."""
    space.beat(SERVER, fields={"hostname": "host", "cron_ids": '["tidy"]'})
    Crontab(space).put(entry(cron_expr="0 30 1 * * *", payload=b'{"n":1.50}'))
    return [make(space) for make in MAKE.values()]


def test_the_objects_are_those_of_the_api(
    gqm: Gqm, space: Keyspace, world: list[str], redis_socket: str, prefix: str
) -> None:
    with serve(f"unix:{redis_socket}", prefix, api_keys=KEYS, rate_limit=-1) as api:
        told, answered = both(gqm, api, "queue list", "queues", "/api/v1/queues")
        assert [still(item) for item in told] == [still(item) for item in answered]
        told, answered = both(gqm, api, "cron list", "cron", "/api/v1/cron")
        assert told == answered
        told, answered = both(gqm, api, "job list --limit 100", "jobs", "/api/v1/jobs?limit=100")
        assert [still(item) for item in told] == [still(item) for item in answered]
        for job_id in world:
            told, answered = both(gqm, api, f"job show {job_id}", "job", f"/api/v1/jobs/{job_id}")
            assert still(told) == still(answered)


def test_a_dry_run_is_that_of_the_api(
    gqm: Gqm, space: Keyspace, world: list[str], redis_socket: str, prefix: str
) -> None:
    states = ["dead_letter", "ready", "scheduled"]
    line = f"job cancel --status {','.join(states)} --dry-run --json"
    told = json.loads(ok(gqm(*line.split())))
    with serve(f"unix:{redis_socket}", prefix, api_keys=KEYS, rate_limit=-1) as api:
        body = {"filter": {"status": states}, "dry_run": True}
        answered = api.post("/api/v1/jobs/batch/cancel", body=body).data
    assert told.pop("as_of") <= answered.pop("as_of")
    assert told == answered


WRITES = (
    ("enqueue t --id new", "job.enqueue", ""),
    ("enqueue t --id new --unique", "job.enqueue", "DUPLICATE_JOB_ID"),
    ("enqueue t --depends-on nobody", "job.enqueue", "DEPENDENCY_NOT_FOUND"),
    ("queue pause default", "queue.pause", ""),
    ("queue pause nope", "queue.pause", "NOT_FOUND"),
    ("queue resume default", "queue.resume", ""),
    ("job cancel new", "job.cancel", ""),
    ("job cancel new", "job.cancel", "CONFLICT"),
    ("job retry new", "job.retry", ""),
    ("job retry nope", "job.retry", "NOT_FOUND"),
    ("queue empty default --yes", "queue.empty", ""),
    ("job retry --status canceled --yes", "batch.retry", ""),
    ("job cancel new other", "batch.cancel", ""),
    ("job delete new", "job.delete", ""),
    ("job delete --status completed,dead_letter --yes", "batch.delete", ""),
    ("cron disable tidy", "cron.disable", ""),
    ("cron enable tidy", "cron.enable", ""),
    ("cron trigger tidy", "cron.trigger", ""),
    ("cron trigger nope", "cron.trigger", "NOT_FOUND"),
    ("cron delete tidy", "cron.delete", "CONFLICT"),
)
"""Every write, and how it ends: in an action of the audit log, with a code if it is refused."""

READS = (
    *("queue list", "queue empty default --dry-run", "job list", "job show nope", "job retry x --dry-run"),
    *("job delete --status ready --dry-run", "job delete --status ready", "cron list", "enqueue a/b"),
    *("queue empty default", "job retry --status redy --yes"),
)
"""What only looks, is declined, or is wrong in itself."""


@pytest.mark.security(21)
def test_every_write_is_one_entry_of_the_audit_log(gqm: Gqm, space: Keyspace, world: list[str]) -> None:
    for line, action, code in WRITES:
        before = len(audit(space))
        done = gqm(*line.split())
        made = audit(space)[before:]
        assert [(item[0], item[-1]) for item in made] == [(action, code or None)], (line, done)
        partly = line == "job cancel new other"
        assert done.code == (1 if code or partly else 0), (line, done)


@pytest.mark.security(21)
def test_looking_is_not_recorded(gqm: Gqm, space: Keyspace, world: list[str]) -> None:
    for line in READS:
        gqm(*line.split())
    assert audit(space) == []


@pytest.mark.security(21)
def test_an_enqueued_job_is_recorded_with_its_state_and_without_its_payload(
    gqm: Gqm, space: Keyspace
) -> None:
    secret = '{"token": "s3cret"}'
    ok(gqm("enqueue", "mail", "--id", "one", "--payload", secret, "--delay", "1h"))
    assert audit(space) == [("job.enqueue", "one", 1, "", Status.SCHEDULED.value, None)]
    assert b"s3cret" not in repr(space.raw.xrange(space.keys.audit)).encode()
