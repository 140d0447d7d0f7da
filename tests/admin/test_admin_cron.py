"""Operator actions on cron entries, and what the audit log says about them."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from gqm.admin import Admin, code_of
from gqm.errors import CronEntryNotFound, InvalidJob, JobStateError, StoreError
from gqm.store.command import Command
from gqm.store.plan import follow
from gqm.store.read.audit import AuditFilter, AuditView, list_audit
from tests.support.crontab import PY, Crontab, entry
from tests.support.keyspace import SERVER, Keyspace
from tests.support.listen import Listener

HOURLY = entry(cron_expr="0 0 * * * *", overlap_policy="skip", last_run=5, last_status="triggered")


@pytest.fixture
def tab(space: Keyspace) -> Crontab:
    """The entries of the key space, with a live server that lists ``tidy``."""
    space.beat(SERVER, fields={"hostname": "host", "cron_ids": '["tidy"]'})
    return Crontab(space)


def told(space: Keyspace) -> tuple[object, ...]:
    """The one audit entry that there is."""
    found: list[AuditView] = list(follow(space.store, list_audit(space.keys, AuditFilter(), 1, 100)).items)
    (item,) = found
    assert (item.actor, item.source) == ("ana", "session")
    return item.action, item.target, item.count, item.before, item.after, item.ok, item.code


def plain(answer: object) -> Any:
    return msgspec.to_builtins(answer)


def test_trigger(space: Keyspace, tab: Crontab, admin: Admin) -> None:
    tab.put(HOURLY)

    answer = plain(admin.cron.trigger("tidy"))

    (job_id,) = space.ready("night")
    assert answer == {"cron_id": "tidy", "job_id": job_id}
    assert told(space) == ("cron.trigger", "tidy", 1, "", job_id, True, None)
    assert tab.entry() == HOURLY


def test_trigger_needs_neither_the_switch_nor_an_ended_job(
    space: Keyspace, tab: Crontab, admin: Admin
) -> None:
    tab.put(dataclasses.replace(HOURLY, enabled=False))
    made = [admin.cron.trigger("tidy").job_id for _ in range(2)]
    assert space.ready("night") == made


def test_an_entry_of_go_can_be_triggered(space: Keyspace, tab: Crontab, admin: Admin) -> None:
    tab.put(entry("of-go"), meta=None)
    job_id = admin.cron.trigger("of-go").job_id
    assert space.ready("night") == [job_id]


def test_switching_off_and_on(space: Keyspace, tab: Crontab, admin: Admin) -> None:
    tab.put(HOURLY)
    slot = tab.row().slot
    with Listener(space.raw, space.keys.control) as control:
        off = plain(admin.cron.disable("tidy"))
        assert control.heard() == [{"op": "cron", "id": "tidy"}]
    assert off == {"cron_id": "tidy", "enabled": False, "changed": True, "next_run": None}
    assert told(space) == ("cron.disable", "tidy", 1, "enabled", "disabled", True, None)
    disabled = tab.entry()
    assert (disabled.enabled, disabled.next_run, disabled.last_run) == (False, 0, 5)
    assert tab.row().slot == slot

    on = plain(admin.cron.enable("tidy"))
    now = tab.now()
    enabled = tab.entry()
    assert on == {"cron_id": "tidy", "enabled": True, "changed": True, "next_run": enabled.next_run}
    assert enabled.next_run == enabled.slot_after(now)
    assert tab.row().slot == pytest.approx(now, abs=1)


@pytest.mark.parametrize("enabled", [True, False])
def test_a_switch_that_stands_already_changes_nothing(
    space: Keyspace, tab: Crontab, admin: Admin, enabled: bool
) -> None:
    tab.put(dataclasses.replace(HOURLY, enabled=enabled))
    before = tab.row()

    answer = admin.cron.enable("tidy") if enabled else admin.cron.disable("tidy")

    assert (answer.changed, answer.enabled, tab.row()) == (False, enabled, before)
    state = "enabled" if enabled else "disabled"
    assert told(space)[3:] == (state, state, True, None)


def test_what_no_live_server_lists_can_only_be_disabled_or_deleted(
    space: Keyspace, tab: Crontab, admin: Admin
) -> None:
    tab.put(entry("old"))
    for refused in (admin.cron.trigger, admin.cron.enable):
        with pytest.raises(JobStateError, match="no live server has it in its configuration") as caught:
            refused("old")
        assert caught.value.state == "orphaned"
    assert space.ready("night") == []
    assert admin.cron.disable("old").changed


def test_deleting_what_is_orphaned(space: Keyspace, tab: Crontab, admin: Admin) -> None:
    tab.put(entry("old"))
    assert plain(admin.cron.delete("old")) == {"cron_id": "old", "deleted": True}
    assert tab.row("old").text == b""
    assert told(space) == ("cron.delete", "old", 1, "orphaned", "deleted", True, None)


@pytest.mark.parametrize("kind", ["listed", "of-go"])
def test_what_is_in_use_is_not_deleted(space: Keyspace, tab: Crontab, admin: Admin, kind: str) -> None:
    name = "tidy" if kind == "listed" else kind
    tab.put(entry(name), meta=PY if kind == "listed" else None)
    with pytest.raises(JobStateError, match="is in use") as caught:
        admin.cron.delete(name)
    assert caught.value.state == "registered"
    assert tab.entry(name) == entry(name)
    assert told(space) == ("cron.delete", name, 0, "registered", "", False, "CONFLICT")


@pytest.mark.parametrize("action", ["trigger", "enable", "disable", "delete"])
def test_an_unknown_entry(space: Keyspace, tab: Crontab, admin: Admin, action: str) -> None:
    with pytest.raises(CronEntryNotFound, match="there is no cron entry 'none'") as caught:
        getattr(admin.cron, action)("none")
    assert code_of(caught.value) == "NOT_FOUND"
    assert told(space) == (f"cron.{action}", "none", 0, "", "", False, "NOT_FOUND")


@pytest.mark.parametrize("action", ["trigger", "enable", "disable"])
def test_an_entry_that_cannot_be_read(space: Keyspace, tab: Crontab, admin: Admin, action: str) -> None:
    space.raw.hset(space.keys.cron_entries, "tidy", "[1]")
    with pytest.raises(StoreError, match="GQM did not write"):
        getattr(admin.cron, action)("tidy")


def test_an_entry_of_which_nothing_can_be_made(tab: Crontab, admin: Admin) -> None:
    tab.put(entry(payload=b"[1]", enabled=False, cron_expr="at noon"))
    with pytest.raises(InvalidJob, match="payload must be a JSON object"):
        admin.cron.trigger("tidy")
    with pytest.raises(StoreError, match="cannot be enabled"):
        admin.cron.enable("tidy")


@pytest.mark.parametrize("action", ["trigger", "enable", "disable", "delete"])
def test_an_entry_that_changes_meanwhile_is_judged_again(
    space: Keyspace, tab: Crontab, admin: Admin, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    name = "old" if action == "delete" else "tidy"
    tab.put(entry(name, enabled=action == "disable"))
    real, changes = space.store.run, iter([lambda: tab.change(name, queue="morning")])

    def run(command: Command[Any]) -> Any:
        name_of_script = command.script.name if command.script else ""
        if name_of_script in ("cron_fire", "cron_put", "cron_forget"):
            change = next(changes, None)
            if change is not None:
                monkeypatch.undo()
                change()
                monkeypatch.setattr(space.store, "run", run)
        return real(command)

    monkeypatch.setattr(space.store, "run", run)
    getattr(admin.cron, action)(name)
    monkeypatch.undo()

    if action == "trigger":
        assert len(space.ready("morning")) == 1
    elif action == "delete":
        assert tab.row(name).text == b""
    else:
        assert (tab.entry().queue, tab.entry().enabled) == ("morning", action == "enable")
