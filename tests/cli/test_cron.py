"""``gqm cron``: the table, the document, and acting on entries."""

from __future__ import annotations

import json

import pytest

from tests.cli.helpers import Gqm
from tests.cli.operators import audit, ok, run
from tests.support.crontab import Crontab, entry
from tests.support.keyspace import SERVER, Keyspace

NIGHTLY = entry(cron_expr="0 30 1 * * *", timezone="Asia/Jakarta", last_run=1_790_000_000)


@pytest.fixture
def tab(utc: None, space: Keyspace) -> Crontab:
    """The entries of the key space, with a live server that lists ``tidy``."""
    space.beat(SERVER, fields={"hostname": "host", "cron_ids": '["tidy"]'})
    tab = Crontab(space)
    tab.put(NIGHTLY)
    return tab


@pytest.mark.parametrize("place", ["pipe", "terminal"])
def test_list(gqm: Gqm, tab: Crontab, place: str) -> None:
    tab.put(entry("old", cron_expr="@daily", timezone="UTC"))
    head, old, tidy = ok(run(gqm, place, "cron list")).splitlines()
    assert head.split() == ["ID", "SCHEDULE", "ZONE", "TYPE", "QUEUE", "STATE", "LAST", "NEXT", "LAST_JOB"]
    assert old.split() == ["old", "@daily", "UTC", "tidy.up", "night", "orphaned", "-", "-", "-"]
    assert tidy.startswith("tidy  0 30 1 * * *  Asia/Jakarta  tidy.up  night  enabled   2026-09-21 14:13:20")


def test_the_document_of_list(gqm: Gqm, tab: Crontab) -> None:
    (item,) = json.loads(ok(gqm("cron", "list", "--json")))["cron"]
    assert (item["id"], item["description"], item["last_run"]) == ("tidy", "at 01:30", 1_790_000_000)
    assert (item["enabled"], item["orphaned"], item["last_job"]) == (True, False, None)


def test_trigger(gqm: Gqm, tab: Crontab, space: Keyspace) -> None:
    job_id = ok(gqm("cron", "trigger", "tidy")).strip()
    assert space.ready("night") == [job_id]
    document = json.loads(ok(gqm("cron", "trigger", "tidy", "--json")))
    assert document == {"cron_id": "tidy", "job_id": space.ready("night")[-1]}
    assert audit(space)[0] == ("cron.trigger", "tidy", 1, "", job_id, None)


def test_disable_and_enable(gqm: Gqm, tab: Crontab, space: Keyspace) -> None:
    ok(gqm("cron", "disable", "tidy"), err='disabled cron entry "tidy"\n')
    assert not tab.entry().enabled
    ok(gqm("cron", "disable", "tidy"), err='cron entry "tidy" was disabled already\n')
    document = json.loads(ok(gqm("cron", "enable", "tidy", "--json")))
    assert document == {"cron_id": "tidy", "enabled": True, "changed": True, "next_run": tab.entry().next_run}
    done = gqm("cron", "enable", "tidy")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith('cron entry "tidy" was enabled already, next at 20')
    assert [item[0] for item in audit(space)] == [*["cron.disable"] * 2, *["cron.enable"] * 2]


def test_delete_takes_orphaned_entries_only(gqm: Gqm, tab: Crontab, space: Keyspace) -> None:
    tab.put(entry("old"))
    ok(gqm("cron", "delete", "old"), err='deleted cron entry "old"\n')
    done = gqm("cron", "delete", "tidy")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("gqm: error: cron entry 'tidy' is in use; ")
    assert audit(space) == [
        ("cron.delete", "old", 1, "orphaned", "deleted", None),
        ("cron.delete", "tidy", 0, "registered", "", "CONFLICT"),
    ]


@pytest.mark.parametrize("action", ["trigger", "enable", "disable", "delete"])
def test_an_unknown_entry(gqm: Gqm, tab: Crontab, action: str) -> None:
    done = gqm("cron", action, "nope", "--json")
    assert (done.code, done.err) == (1, "gqm: error: there is no cron entry 'nope'\n")
    assert json.loads(done.out)["code"] == "NOT_FOUND"


@pytest.mark.parametrize("action", ["trigger", "enable"])
def test_an_orphaned_entry_does_not_fire(gqm: Gqm, tab: Crontab, action: str) -> None:
    tab.put(entry("old"))
    done = gqm("cron", action, "old", "--json")
    assert (done.code, json.loads(done.out)["code"]) == (1, "CONFLICT")
