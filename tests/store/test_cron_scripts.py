"""Cron entries in Redis: stored only over what was seen, each slot handled once, overlaps judged there."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from gqm.cronentry import CronMeta
from gqm.errors import InvalidJob, PayloadTooLarge, RedisUnavailable, StoreError
from gqm.store.commands.cron import (
    Fire,
    fire_slot,
    forget_cron,
    put_cron,
    read_cron,
    unlock_cron,
)
from gqm.store.connect import Link
from gqm.store.sync import Store
from tests.support.crontab import PY, Crontab, entry
from tests.support.keyspace import SERVER, Keyspace
from tests.support.listen import Listener

GO_ENTRY = (
    b'{"id":"tidy","name":"","cron_expr":"0 0 2 * * *","job_type":"tidy.up","queue":"night",'
    b'"overlap_policy":"skip","enabled":true,"last_run":1790000000,"next_run":1790040600}'
)


@pytest.fixture
def tab(space: Keyspace) -> Crontab:
    return Crontab(space)


# ------------------------------------------------------------------------------- storing, reading


def test_a_new_entry_is_stored_and_told(space: Keyspace, tab: Crontab) -> None:
    with Listener(space.raw, space.keys.control) as control:
        answer = space.store.run(put_cron(space.keys, entry(), b"", slot=1_790_000_000, meta=PY))
        assert control.heard() == [{"op": "cron", "id": "tidy"}]

    assert answer is None
    assert tab.row() == ("tidy", entry().write(), entry(), 1_790_000_000, PY)


def test_nothing_is_stored_over_what_the_caller_did_not_see(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry())
    before = space.dump()
    other = entry(name="other")

    for expected in (b"", b"{}", other.write()):
        answer = space.store.run(put_cron(space.keys, entry(name="new"), expected, slot=1, meta=CronMeta()))
        assert answer == entry().write()
    gone = space.store.run(put_cron(space.keys, entry("gone"), entry("gone", name="seen").write()))

    assert gone == b""
    assert space.dump() == before


def test_a_resent_put_counts_as_done_and_changes_nothing(space: Keyspace, tab: Crontab) -> None:
    command = put_cron(space.keys, entry(), b"", slot=1_790_000_000, meta=PY)
    space.store.run(command)
    space.raw.hset(space.keys.cron_slots, "tidy", 1_790_000_005)

    assert space.store.run(command) is None
    assert tab.row().slot == 1_790_000_005


def test_slot_and_origin_stay_unless_they_are_given(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry())
    before = tab.row()
    changed = entry(name="changed")

    assert space.store.run(put_cron(space.keys, changed, before.text)) is None
    assert tab.row() == before._replace(text=changed.write(), entry=changed)

    meta = CronMeta("py", False, 5)
    assert space.store.run(put_cron(space.keys, changed, changed.write(), meta=meta)) is None
    assert tab.row().meta == meta


def test_entries_are_read_in_the_order_asked_for(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry("b"))
    tab.put(entry("a"), meta=None)

    table = space.store.run(read_cron(space.keys, ["a", "none", "b"]))

    assert [(row.id, row.entry, row.meta) for row in table.rows] == [
        ("a", entry("a"), None),
        ("none", None, None),
        ("b", entry("b"), PY),
    ]
    assert table.rows[1] == ("none", b"", None, None, None)
    assert table.now_ms / 1000 == pytest.approx(space.now(), abs=2)


@pytest.mark.fault(54)
def test_list_and_detail_read_the_same(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry("never-ran"))
    tab.put(entry("ran", last_run=1_790_000_000, last_status="triggered", payload=b'{"a":1}', max_retry=0))
    space.raw.hset(space.keys.cron_entries, "tidy", GO_ENTRY)
    space.raw.hset(space.keys.cron_entries, "odd", b'{"last_run":"yesterday","timeout":null,"enabled":1}')

    listed = {row.id: row for row in space.store.run(read_cron(space.keys)).rows}

    assert sorted(listed) == ["never-ran", "odd", "ran", "tidy"]
    kinds = set()
    for entry_id, row in listed.items():
        assert tab.row(entry_id) == row
        assert row.entry is not None
        kinds.add((type(row.entry.last_run), type(row.entry.next_run), type(row.entry.enabled)))
    assert kinds == {(int, int, bool)}


def test_a_text_that_cannot_be_read_is_no_entry(space: Keyspace, tab: Crontab) -> None:
    space.raw.hset(space.keys.cron_entries, "tidy", b"[1]")
    space.raw.hset(space.keys.cron_slots, "tidy", b"soon")
    space.raw.hset(space.keys.cron_meta, "tidy", b"?")

    assert tab.row() == ("tidy", b"[1]", None, None, None)


def test_an_entry_that_no_live_server_lists_is_orphaned(space: Keyspace, tab: Crontab) -> None:
    for name in ("kept", "dropped", "old"):
        tab.put(entry(name))
    tab.put(entry("of-go"), meta=None)
    space.beat(SERVER, fields={"hostname": "host", "cron_ids": '["kept"]'})
    space.beat("dead-2-bbbbbb", fields={"hostname": "dead", "cron_ids": '["old"]'})
    space.beat("odd-3-cccccc", fields={"hostname": "odd", "cron_ids": "old"})
    space.end_lease("dead-2-bbbbbb")

    table = space.store.run(read_cron(space.keys, listed=True))

    assert table.listed == {"kept"}
    assert {row.id for row in table.rows if table.orphaned(row)} == {"dropped", "old"}
    assert space.store.run(read_cron(space.keys)).listed == frozenset()


def test_forgetting_an_entry_leaves_nothing_but_its_jobs(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry())
    job_id = tab.fire(tab.now()).job_id
    tab.put(entry("other"))
    command = forget_cron(space.keys, "tidy", tab.row().text)

    assert space.store.run(command) == "ok"
    assert space.status(job_id) == "ready"
    assert tab.row() == ("tidy", b"", None, None, None)
    assert sorted(key.decode() for key in space.raw.scan_iter(f"{space.keys.prefix}cron:*")) == sorted(
        [space.keys.cron_entries, space.keys.cron_slots, space.keys.cron_meta]
    )
    assert tab.entry("other") == entry("other")
    assert space.store.run(command) == "missing"
    assert command.again is not None
    assert space.store.run(command._replace(words=command.again)) == "ok"


def test_an_entry_that_changed_is_not_forgotten(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry())
    before = space.dump()

    assert space.store.run(forget_cron(space.keys, "tidy", entry(name="x").write())) == "changed"
    assert space.dump() == before


# ---------------------------------------------------------------------------------- fire one slot


def test_a_slot_makes_its_job(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry(payload=b'{"n":9007199254740993}', timeout=90, max_retry=0))
    slot = tab.now() - 1
    with Listener(space.raw, space.keys.events) as events:
        answer = tab.fire(slot, now=slot + 1)
        (event,) = events.heard()

    job_id = answer.job_id
    fired = tab.entry()
    assert answer == Fire("fired", job_id, [], fired.write(), slot, answer.now_ms)
    assert (fired.last_run, fired.last_status, fired.next_run) == (slot + 1, "triggered", slot + 1)
    assert tab.row().slot == slot
    job = space.fields(job_id)
    ready_at_ms, created_at = int(job.pop("ready_at_ms")), int(job.pop("created_at"))
    assert ready_at_ms / 1000 == pytest.approx(space.now(), abs=2)
    assert created_at == pytest.approx(space.now(), abs=2)
    assert job == {
        "id": job_id,
        "type": "tidy.up",
        "queue": "night",
        "status": "ready",
        "payload": '{"n":9007199254740993}',
        "max_retry": "0",
        "max_retry_set": "1",
        "timeout": "90",
        "enqueued_by": "cron:tidy",
        "cron_id": "tidy",
        "cron_slot": str(slot),
    }
    assert space.ready("night") == [job_id]
    assert space.members(space.keys.queues) == ["night"]
    assert tab.history() == [(job_id, created_at)]
    assert space.raw.get(space.keys.cron_current("tidy")).decode() == job_id
    assert tab.active() == [job_id]
    assert (event["op"], event["queue"], event["ch"]) == ("cron", "night", [[job_id, "", "ready"]])
    space.assert_sound()


def test_a_plain_entry_leaves_retries_and_time_to_the_pool(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry(queue="default"))
    job = space.fields(tab.fire(tab.now()).job_id)
    assert (job["payload"], job["max_retry"]) == ("{}", "3")
    assert not {"max_retry_set", "timeout"} & job.keys()


def test_each_slot_is_handled_once(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry())
    slot = tab.now() - 2
    stored = tab.row()
    assert stored.entry is not None
    late = fire_slot(space.keys, stored.entry, stored.text, slot, slot)
    tab.fire(slot)
    after = space.dump()

    same, older = space.store.run(late), tab.fire(slot - 1)

    assert (same.outcome, same.slot, same.text) == ("done", slot, tab.row().text)
    assert (older.outcome, older.slot) == ("done", slot)
    assert space.dump() == after
    assert tab.fire(slot + 1).outcome == "fired"
    assert tab.slots() == [slot, slot + 1]


@pytest.mark.fault(48)
def test_many_schedulers_handle_a_slot_once(link: Link, tab: Crontab) -> None:
    tab.put(entry(), ago_s=30)
    stored = tab.row()
    assert stored.entry is not None
    first = stored.slot
    assert first is not None
    together = threading.Barrier(4)
    outcomes: list[str] = []

    def scheduler() -> None:
        store = Store(link)
        row = stored
        for slot in range(first + 1, first + 21):
            together.wait(timeout=10)
            while row.entry is not None:
                answer = store.run(fire_slot(link.keys, row.entry, row.text, slot, slot))
                outcomes.append(answer.outcome)
                (row,) = store.run(read_cron(link.keys, ["tidy"])).rows
                if answer.outcome != "changed":
                    break
        store.close()

    threads = [threading.Thread(target=scheduler) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert tab.slots() == list(range(first + 1, first + 21))
    assert outcomes.count("fired") == 20


@pytest.mark.parametrize("ended", [False, True])
def test_a_resent_fire_reports_the_first(space: Keyspace, tab: Crontab, ended: bool) -> None:
    tab.put(entry())
    stored = tab.row()
    assert stored.entry is not None
    slot = tab.now()
    command = fire_slot(space.keys, stored.entry, stored.text, slot, slot)
    first = space.store.run(command)
    if ended:
        space.raw.hset(space.keys.job(first.job_id), "result_ttl", 0)
        tab.complete()
        assert space.status(first.job_id) is None
    after = space.dump()

    again = space.store.run(command)

    assert again._replace(now_ms=first.now_ms) == first
    assert space.dump() == after


def test_an_entry_that_changed_fires_only_as_it_is_now(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry())
    stored = tab.row()
    assert stored.entry is not None
    changed = tab.change("tidy", enabled=False)
    before = space.dump()

    answer = space.store.run(fire_slot(space.keys, stored.entry, stored.text, tab.now(), tab.now()))

    assert (answer.outcome, answer.text) == ("changed", changed.write())
    assert space.dump() == before
    assert space.store.run(forget_cron(space.keys, "tidy", changed.write())) == "ok"
    answer = space.store.run(fire_slot(space.keys, stored.entry, stored.text, tab.now(), tab.now()))
    assert (answer.outcome, answer.text) == ("changed", b"")
    assert space.ready("night") == []


@pytest.mark.fault(18)
def test_a_slot_that_is_ahead_never_fires(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry())
    before = space.dump()

    answer = tab.fire(tab.now() + 5)

    assert answer.outcome == "early"
    assert answer.now_ms / 1000 == pytest.approx(space.now(), abs=2)
    assert space.dump() == before


def test_a_lock_of_go_holds_a_fire_back_until_its_owner_frees_it(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry())
    slot = tab.now()
    space.raw.set(space.keys.cron_lock("tidy"), "go-1", ex=30)
    before = space.dump()

    assert tab.fire(slot).outcome == "locked"
    assert not space.store.run(unlock_cron(space.keys, "tidy", "go-2"))
    assert space.dump().keys() == before.keys()
    assert tab.slots() == []
    command = unlock_cron(space.keys, "tidy", "go-1")
    assert space.store.run(command)
    assert not space.store.run(command)
    assert command.again is not None
    assert space.store.run(command._replace(words=command.again))
    assert tab.fire(slot).outcome == "fired"


def test_history_keeps_the_newest_thousand(space: Keyspace, tab: Crontab) -> None:
    tab.put(entry())
    space.raw.zadd(space.keys.cron_history("tidy"), {f"old-{n:04}": n for n in range(1000)})

    job_id = tab.fire(tab.now()).job_id

    history = tab.history()
    assert len(history) == 1000
    assert history[0] == ("old-0001", 1)
    assert history[-1][0] == job_id


@pytest.mark.parametrize("policy", ["allow", "skip", "replace"])
def test_ended_jobs_leave_the_active_set(space: Keyspace, tab: Crontab, policy: str) -> None:
    tab.put(entry(overlap_policy=policy))
    tab.fire(tab.now() - 2)
    tab.complete()
    space.raw.sadd(space.keys.cron_active("tidy"), "expired-1", "expired-2")

    answer = tab.fire(tab.now() - 1)

    assert answer.outcome == "fired"
    assert tab.active() == [answer.job_id]


def test_a_payload_that_no_job_carries_is_refused_before_it_is_sent(space: Keyspace, tab: Crontab) -> None:
    before = space.dump()
    for text, error in ((b"[1]", InvalidJob), (b'{"a":"%s"}' % (b"x" * 1_048_576), PayloadTooLarge)):
        with pytest.raises(error):
            fire_slot(space.keys, entry(payload=text), b"", 1, 1)
    with pytest.raises(ValueError, match="field"):
        fire_slot(space.keys, entry(cron_expr="soon"), b"", 1, 1)
    assert space.dump() == before


def test_a_full_server_refuses_a_fire_whole(space: Keyspace, tab: Crontab) -> None:
    for policy in ("allow", "skip"):
        tab.put(entry(policy, overlap_policy=policy))
        tab.fire(tab.now() - 3, entry_id=policy)
    before = space.dump()
    space.raw.config_set("maxmemory", 1)
    try:
        for policy in ("allow", "skip"):
            with pytest.raises(RedisUnavailable, match="maxmemory"):
                tab.fire(tab.now() - 1, entry_id=policy)
    finally:
        space.raw.config_set("maxmemory", 0)
    assert space.dump() == before


BROKEN = [
    "cron:entries",
    "cron:slots",
    "cron:history:tidy",
    "cron:active:tidy",
    "queue:night:ready",
    "queues",
]


@pytest.mark.parametrize("name", [*BROKEN, "cron:current:tidy", "cron:lock:tidy"])
def test_a_key_of_a_wrong_type_is_named_and_nothing_written(space: Keyspace, tab: Crontab, name: str) -> None:
    tab.put(entry())
    stored = tab.row()
    assert stored.entry is not None
    key = space.keys.prefix + name
    space.raw.delete(key)
    if name in BROKEN:
        space.raw.set(key, "broken")
    else:
        space.raw.rpush(key, "broken")
    before = space.dump()

    slot = tab.now()
    with pytest.raises(StoreError, match=f"key {key} "):
        space.store.run(fire_slot(space.keys, stored.entry, stored.text, slot, slot))

    assert space.dump() == before


def test_go_entries_fire_as_they_are(space: Keyspace, tab: Crontab) -> None:
    text = GO_ENTRY.replace(b"}", b',"later":[1]}')
    space.raw.hset(space.keys.cron_entries, "tidy", text)
    slot = tab.now()

    answer = tab.fire(slot)

    assert answer.outcome == "fired"
    stored: dict[str, Any] = json.loads(tab.row().text)
    assert (stored["later"], stored["last_run"], stored["last_status"]) == ([1], slot, "triggered")
