"""Registering cron entries: the configuration defines them, Redis knows what happened and who is off."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from gqm.config import CronEntryConfig
from gqm.cronentry import NEVER, CronEntry, CronMeta
from gqm.engine.cronmerge import Merged, merge
from gqm.store.commands.cron import Stored

NOW = 1_790_000_000
SLOT = NOW - 86_400


def configured(**keys: Any) -> CronEntryConfig:
    return CronEntryConfig(**{"id": "tidy", "cron_expr": "0 0 2 * * *", "job_type": "tidy.up", **keys})


def stored(merged: Merged, before: Stored | None = None) -> Stored:
    """What stands in Redis after a merge was stored."""
    slot, meta = (None, None) if before is None else (before.slot, before.meta)
    return Stored("tidy", merged.entry.write(), merged.entry, merged.slot or slot, merged.meta or meta)


NOTHING = Stored("tidy", b"", None, None, None)


def registered(**keys: Any) -> Stored:
    """An entry that was registered a day ago and has fired since."""
    merged = merge(configured(**keys), NOTHING, SLOT - 10)
    assert merged is not None
    ran = merged.entry.ran(SLOT, SLOT + 1, "triggered") if merged.entry.enabled else merged.entry
    return stored(merged)._replace(text=ran.write(), entry=ran, slot=SLOT)


def changed(config: CronEntryConfig, before: Stored) -> Merged:
    merged = merge(config, before, NOW)
    assert merged is not None
    return merged


def test_a_new_entry_owes_nothing_for_the_past() -> None:
    merged = changed(
        configured(
            name="Tidy", timezone="Asia/Jakarta", payload={"a": 1}, timeout_s=1.2, max_retry=0, queue="night"
        ),
        NOTHING,
    )
    assert merged.slot == NOW
    assert merged.meta == CronMeta("py", True, NOW)
    assert merged.entry == CronEntry(
        id="tidy",
        name="Tidy",
        cron_expr="0 0 2 * * *",
        timezone="Asia/Jakarta",
        job_type="tidy.up",
        queue="night",
        payload=b'{"a":1}',
        timeout=2,
        max_retry=0,
        overlap_policy="skip",
        enabled=True,
        next_run=merged.entry.slot_after(NOW),
        created_at=NOW,
        updated_at=NOW,
    )


def test_what_is_as_it_was_is_left_alone() -> None:
    assert merge(configured(), registered(), NOW) is None
    assert merge(configured(enabled=False), registered(enabled=False), NOW) is None


@pytest.mark.fault(51)
def test_what_happened_stays_over_a_change_of_the_definition() -> None:
    before = registered()
    assert before.entry is not None
    merged = changed(configured(queue="night", overlap_policy="replace"), before)

    assert merged.slot is None
    assert merged.meta is None
    assert merged.entry == dataclasses.replace(
        before.entry, queue="night", overlap_policy="replace", updated_at=NOW
    )


@pytest.mark.parametrize("change", [{"cron_expr": "0 0 3 * * *"}, {"timezone": "Asia/Jakarta"}])
def test_other_times_begin_now(change: dict[str, str]) -> None:
    before = registered()
    assert before.entry is not None
    merged = changed(configured(**change), before)

    assert merged.slot == NOW
    assert merged.entry.next_run == merged.entry.slot_after(NOW)
    assert (merged.entry.last_run, merged.entry.created_at) == (SLOT + 1, before.entry.created_at)


@pytest.mark.fault(50)
def test_what_an_operator_disabled_stays_disabled() -> None:
    before = registered()
    assert before.entry is not None
    off = before.entry.switched(False, NOW - 100)
    before = before._replace(text=off.write(), entry=off)

    assert merge(configured(), before, NOW) is None
    merged = changed(configured(queue="night"), before)
    assert (merged.entry.enabled, merged.entry.next_run, merged.slot) == (False, 0, None)


def test_what_an_operator_enabled_stays_enabled() -> None:
    before = registered(enabled=False)
    assert before.entry is not None
    on = before.entry.switched(True, NOW - 100)
    before = before._replace(text=on.write(), entry=on, slot=NOW - 100)
    assert merge(configured(enabled=False), before, NOW) is None


def test_a_change_of_the_switch_in_the_configuration_counts_once() -> None:
    off = changed(configured(enabled=False), registered())
    assert (off.entry.enabled, off.entry.next_run, off.slot) == (False, 0, None)
    assert off.meta is not None
    assert (off.meta.config_enabled, off.meta.registered_at) == (False, SLOT - 10)

    before = stored(off, registered())
    assert merge(configured(enabled=False), before, NOW) is None
    on = changed(configured(), before)
    assert (on.entry.enabled, on.slot) == (True, NOW)
    assert on.entry.next_run == on.entry.slot_after(NOW)


def test_a_switch_that_stands_already_is_only_noted() -> None:
    before = registered()
    assert before.entry is not None
    off = before.entry.switched(False, NOW - 100)
    merged = changed(configured(enabled=False), before._replace(text=off.write(), entry=off))
    assert merged == Merged(off, None, CronMeta("py", False, SLOT - 10))


def test_an_entry_of_go_is_taken_over_as_it_is_switched() -> None:
    old = CronEntry(
        id="tidy",
        cron_expr="0 0 2 * * *",
        job_type="tidy.up",
        enabled=False,
        last_run=SLOT,
        last_status="skipped",
    )
    merged = changed(configured(), Stored("tidy", old.write(), old, None, None))
    assert (merged.entry.enabled, merged.entry.last_run, merged.entry.last_status) == (False, SLOT, "skipped")
    assert (merged.entry.timezone, merged.entry.created_at) == ("UTC", NOW)
    assert (merged.slot, merged.meta) == (NOW, CronMeta("py", True, NOW))


def test_a_text_that_cannot_be_read_is_written_anew() -> None:
    merged = changed(configured(), Stored("tidy", b"[1]", None, SLOT, None))
    assert merged.entry.enabled
    assert merged.entry.created_at == NOW


def test_fields_of_other_versions_stay() -> None:
    before = registered()
    later = CronEntry.read("tidy", before.text.replace(b"}", b',"later":1}'))
    merged = changed(configured(queue="night"), before._replace(text=later.write(), entry=later))
    assert merged.entry.write().endswith(b',"later":1}')


def test_a_lost_slot_begins_now() -> None:
    merged = changed(configured(), registered()._replace(slot=None))
    assert merged.slot == NOW


def test_an_expression_that_has_no_time_any_more() -> None:
    assert changed(configured(cron_expr="0 0 0 30 2 *"), NOTHING).entry.next_run == NEVER
