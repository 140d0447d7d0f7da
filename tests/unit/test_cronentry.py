"""The stored text of a cron entry: its fields in order, Go's texts as they are, nothing of others lost."""

from __future__ import annotations

import dataclasses
import json

import pytest

from gqm.cron import NeverFires
from gqm.cronentry import NEVER, CronEntry, CronMeta

FULL = CronEntry(
    id="tidy",
    name="Tidy up",
    cron_expr="0 0 2 * * *",
    timezone="Asia/Jakarta",
    job_type="tidy.up",
    queue="night",
    payload=b'{"deep":true}',
    timeout=90,
    max_retry=2,
    overlap_policy="replace",
    enabled=True,
    last_run=1_790_000_000,
    last_status="triggered",
    next_run=1_790_040_600,
    created_at=1_780_000_000,
    updated_at=1_790_000_000,
)
# The text that a Go program stores for an entry: empty names are written, zeros are not, < is escaped.
GO = (
    rb'{"id":"tidy","name":"","cron_expr":"0 0 2 * * *","job_type":"tidy.up","queue":"night",'
    rb'"payload":{"note":"\u003cb\u003e","n":9007199254740993},"overlap_policy":"skip","enabled":true,'
    rb'"last_run":1790000000,"last_status":"triggered","next_run":1790040600,"updated_at":1790000000}'
)


def read(**fields: object) -> CronEntry:
    return CronEntry.read("e", json.dumps(fields).encode())


def test_the_text_has_its_fields_in_order() -> None:
    assert FULL.write() == (
        b'{"id":"tidy","name":"Tidy up","cron_expr":"0 0 2 * * *","timezone":"Asia/Jakarta",'
        b'"job_type":"tidy.up","queue":"night","payload":{"deep":true},"timeout":90,"max_retry":2,'
        b'"overlap_policy":"replace","enabled":true,"last_run":1790000000,"last_status":"triggered",'
        b'"next_run":1790040600,"created_at":1780000000,"updated_at":1790000000}'
    )


def test_zeros_are_left_out_but_for_enabled_and_a_given_max_retry() -> None:
    bare = CronEntry(id="e", cron_expr="@daily", job_type="t")
    assert bare.write() == (
        b'{"id":"e","cron_expr":"@daily","job_type":"t","queue":"default","overlap_policy":"skip",'
        b'"enabled":false}'
    )
    assert b'"max_retry":0' in dataclasses.replace(bare, max_retry=0).write()


def test_what_is_written_reads_as_it_was() -> None:
    assert CronEntry.read("tidy", FULL.write()) == FULL


def test_an_entry_of_go_reads_as_it_is() -> None:
    entry = CronEntry.read("tidy", GO)
    assert (entry.name, entry.timezone, entry.timeout, entry.max_retry) == ("", "", 0, None)
    assert entry.payload_object == {"note": "<b>", "n": 9_007_199_254_740_993}
    assert (entry.last_run, entry.last_status, entry.enabled) == (1_790_000_000, "triggered", True)
    again = entry.write()
    assert json.loads(again) == {name: value for name, value in json.loads(GO).items() if value != ""}
    assert rb'"payload":{"note":"\u003cb\u003e","n":9007199254740993}' in again


def test_fields_of_other_versions_are_kept() -> None:
    entry = CronEntry.read("e", b'{"later":{"deep":[1,null]},"cron_expr":"@daily","enabled":true,"also":"x"}')
    changed = dataclasses.replace(entry, enabled=False)
    assert changed.write().endswith(b'"enabled":false,"later":{"deep":[1,null]},"also":"x"}')


@pytest.mark.parametrize(
    ("name", "value", "reads_as"),
    [
        ("name", 5, ""),
        ("timeout", "90", 0),
        ("timeout", True, 0),
        ("max_retry", None, None),
        ("enabled", "yes", False),
        ("last_run", 1.5, 0),
        ("overlap_policy", "queue", "skip"),
        ("queue", "", "default"),
        ("payload", None, b""),
        ("payload", {}, b""),
    ],
)
def test_a_field_of_another_type_counts_as_not_given(name: str, value: object, reads_as: object) -> None:
    assert getattr(read(**{name: value}), name) == reads_as


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b'{"id":', b"\xff", b'"text"', b"[" * 5000])
def test_a_text_that_is_no_object_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="'e' cannot be read"):
        CronEntry.read("e", text)


def test_the_id_is_that_under_which_it_is_stored() -> None:
    assert read(id="another").id == "e"
    assert read(id="another").write().startswith(b'{"id":"e",')


def test_a_payload_that_is_no_object_is_told() -> None:
    with pytest.raises(ValueError, match="array"):
        assert read(payload=[1]).payload_object


def test_slots() -> None:
    daily = dataclasses.replace(FULL, timezone="", cron_expr="0 0 2 * * *")
    assert daily.slot_after(0) == 2 * 3600
    assert dataclasses.replace(daily, timezone="Asia/Jakarta").slot_after(0) == 19 * 3600
    with pytest.raises(ValueError, match="field"):
        dataclasses.replace(daily, cron_expr="soon").slot_after(0)
    with pytest.raises(NeverFires):
        dataclasses.replace(daily, cron_expr="0 0 0 30 2 *").schedule()
    assert dataclasses.replace(daily, cron_expr="0 0 0 30 2 *").slot_after(0) == NEVER


def test_what_becomes_of_an_entry() -> None:
    slot = FULL.slot_after(1_790_000_000)
    ran = FULL.ran(slot, slot + 3, "triggered")
    assert (ran.last_run, ran.last_status, ran.updated_at) == (slot + 3, "triggered", slot + 3)
    assert ran.next_run == slot + 86_400
    missed = FULL.missed(slot, slot + 100)
    assert (missed.last_run, missed.last_status, missed.next_run) == (FULL.last_run, "missed", slot + 86_400)
    off = FULL.switched(False, slot)
    assert (off.enabled, off.next_run, off.last_run) == (False, 0, FULL.last_run)
    assert off.switched(True, slot).next_run == slot + 86_400


def test_where_an_entry_comes_from() -> None:
    meta = CronMeta("py", False, 1_790_000_000)
    assert meta.write() == b'{"source":"py","config_enabled":false,"registered_at":1790000000}'
    assert CronMeta.read(meta.write()) == meta
    assert CronMeta.read(b"[]") is None
    assert CronMeta.read(b"\xff") is None
