"""Cron on whole servers: from the schedule to the handler, over kills, restarts, operators and heavy load."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

import gqm
from gqm.admin import Admin
from gqm.config import default_config
from gqm.errors import ConfigError, RegistrationError, StoreError
from gqm.keys import Keys
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from tests.engine.running import running
from tests.engine.workers import Worker
from tests.support.crontab import Crontab, entry
from tests.support.keyspace import Keyspace
from tests.support.servers import ServerFactory
from tests.support.wait import eventually, throughout

Make = Callable[..., gqm.Server]
EVERY_SECOND: dict[str, Any] = {
    "id": "tidy",
    "cron_expr": "* * * * * *",
    "job_type": "tidy.up",
    "queue": "night",
    "overlap_policy": "allow",
}


@pytest.fixture
def tab(space: Keyspace) -> Crontab:
    return Crontab(space)


@pytest.fixture
def admin(space: Keyspace) -> Admin:
    return Admin(space.store, actor="ana")


def fired(tab: Crontab, number: int = 1, timeout: float = 6.0) -> list[int]:
    """Wait until an entry has made some jobs; return their slots."""
    eventually(lambda: len(tab.history()) >= number, timeout, message=f"{number} jobs of the entry")
    return tab.slots()


# --------------------------------------------------------------------------------- from end to end


def test_a_scheduled_job_runs_when_it_is_due(make: Make, tab: Crontab) -> None:
    server = make(timezone="Asia/Jakarta")
    ran: list[tuple[float, gqm.Job]] = []
    server.handle("tidy.up", lambda job: ran.append((tab.space.now(), job)))
    server.schedule("tidy", "* * * * * *", "tidy.up", payload={"deep": True}, timeout=30)

    with running(server) as run:
        eventually(lambda: len(ran) >= 2, 6)
        record = run.call(run.engine.server_record)
        listed = tab.space.raw.hget(tab.keys.server(run.engine.server_id), "cron_ids")

    (first_at, first), (_, second) = ran[:2]
    slot = int(first.raw("cron_slot") or 0)
    assert slot <= first_at < slot + 1
    assert int(second.raw("cron_slot") or 0) == slot + 1
    assert (first.payload, first.timeout, first.enqueued_by) == ({"deep": True}, 30, "cron:tidy")
    assert record["cron_ids"] == '["tidy"]'
    assert listed == b'["tidy"]'
    stored = tab.entry()
    assert (stored.timezone, stored.overlap_policy, stored.queue) == ("Asia/Jakarta", "skip", "default")
    assert tab.row().meta is not None
    tab.space.assert_sound()


def test_a_server_without_scheduler_registers_its_entries_and_fires_none(make: Make, tab: Crontab) -> None:
    idle = make(scheduler_enabled=False)
    idle.schedule(**EVERY_SECOND)
    with running(idle):
        assert tab.entry().enabled
        throughout(lambda: not tab.history(), 1.5)
        busy = make()
        busy.schedule(**EVERY_SECOND)
        with running(busy):
            fired(tab)


def test_entries_of_the_file_and_of_code_stand_side_by_side(
    make: Make, redis_socket: str, prefix: str, tab: Crontab
) -> None:
    text = """
queues: [{name: night}]
scheduler:
  cron_entries:
    - {id: of-file, cron_expr: "* * * * * *", job_type: tidy.up, queue: night, enabled: false}
"""
    config = gqm.parse_config(text)
    server = gqm.Server.from_config(config, f"unix:{redis_socket}", prefix=prefix)
    server.schedule(**EVERY_SECOND)
    with running(server):
        assert (tab.entry("of-file").enabled, tab.entry("tidy").enabled) == (False, True)
        fired(tab)
    assert tab.slots("of-file") == []


# ------------------------------------------------------------------------------------ registration


@pytest.mark.fault(53)
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"overlap_policy": "queue"}, r'"queue" is not allowed \(skip, allow, replace\)'),
        ({"cron_expr": "0 0 0 30 2 *"}, "this expression never fires"),
        ({"cron_expr": "61 * * * * *"}, "not a cron expression"),
        ({"cron_expr": "* * * * * * 2030"}, "not a cron expression"),
        ({"timezone": "Mars/Olympus"}, 'unknown time zone "Mars/Olympus"'),
        ({"id": "no spaces"}, "not a cron id"),
        ({"job_type": "no spaces"}, "is not a name"),
        ({"payload": "[1]"}, "not a JSON object"),
        ({"max_retry": -1}, "out of range"),
        ({"when": "soon"}, 'unknown key|"when"'),
    ],
)
def test_a_wrong_entry_is_refused_and_leaves_nothing(make: Make, given: dict[str, Any], says: str) -> None:
    server = make()
    before = server.config
    with pytest.raises(ConfigError, match=says):
        server.schedule(**{**EVERY_SECOND, **given})
    assert server.config == before
    server.schedule(**EVERY_SECOND)


@pytest.mark.fault(53)
def test_an_unknown_overlap_policy_is_refused_in_the_file() -> None:
    text = """
scheduler:
  cron_entries: [{id: a, cron_expr: "@daily", job_type: t, overlap_policy: queue}]
"""
    with pytest.raises(ConfigError, match=r'"queue" is not allowed \(skip, allow, replace\)'):
        gqm.parse_config(text)


def test_an_entry_is_defined_once_and_before_the_start(make: Make) -> None:
    server = make()
    server.schedule(**EVERY_SECOND)
    with pytest.raises(ConfigError, match='cron id "tidy" is already defined'):
        server.schedule(**EVERY_SECOND)
    assert len(server.config.scheduler.cron_entries) == 1
    with running(server), pytest.raises(RegistrationError, match=r"schedule\(\) must be called before"):
        server.schedule(**{**EVERY_SECOND, "id": "late"})


def test_the_queue_of_an_entry_is_declared_by_naming_it(make: Make) -> None:
    server = make()
    server.schedule(**EVERY_SECOND)
    server.schedule("noon", "0 0 12 * * *", "tidy.up")
    assert {queue.name for queue in server.config.queues} >= {"night"}
    assert {queue.name for queue in default_config().queues} == set()


def test_a_start_that_cannot_register_its_entries_leaves_nothing(make: Make, tab: Crontab) -> None:
    server = make()
    server.schedule(**EVERY_SECOND)
    tab.space.raw.set(tab.keys.cron_entries, "broken")

    async def start() -> None:
        with pytest.raises(StoreError, match="cron:entries"):
            await server.start()

    asyncio.run(start())
    assert tab.space.members(tab.keys.servers) == []
    assert not tab.space.raw.exists(tab.keys.leases)
    tab.space.raw.delete(tab.keys.cron_entries)
    with running(server):
        fired(tab)


# --------------------------------------------------------------------------------------- operators


@pytest.mark.fault(50)
def test_an_operator_switches_an_entry_for_all_servers(make: Make, tab: Crontab, admin: Admin) -> None:
    def server() -> gqm.Server:
        made = make()
        made.schedule(**EVERY_SECOND)
        return made

    with running(server()), running(server()):
        fired(tab)
        assert admin.cron.disable("tidy").changed
        count = len(tab.history())
        throughout(lambda: len(tab.history()) == count, 1.5, message="no server fires it")
    with running(server()), running(server()):
        throughout(lambda: len(tab.history()) == count, 1.5, message="no server fires it after a restart")
        assert not tab.entry().enabled
        # Told on the control channel: long before the entries are read again anyway.
        begun = time.monotonic()
        switched = admin.cron.enable("tidy")
        eventually(lambda: len(tab.history()) > count, 4)
        assert time.monotonic() - begun < 3
        assert min(slot for slot in tab.slots() if slot >= (switched.next_run or 0)) == switched.next_run
    assert len(tab.slots()) == len(set(tab.slots()))


@pytest.mark.fault(51)
def test_a_restart_forgets_nothing_and_doubles_nothing(make: Make, tab: Crontab) -> None:
    first = make()
    first.schedule(**EVERY_SECOND)
    with running(first):
        fired(tab, 2)
    before, history = tab.entry(), tab.history()
    again = make()
    again.schedule(**EVERY_SECOND)
    with running(again):
        fired(tab, len(history) + 2)
    after = tab.entry()

    assert tab.history()[: len(history)] == history
    assert (after.created_at, before.last_status) == (before.created_at, "triggered")
    assert after.last_run > before.last_run > 0
    slots = tab.slots()
    assert slots == list(range(slots[0], slots[-1] + 1))


@pytest.mark.fault(51)
def test_an_entry_that_was_removed_never_fires(make: Make, tab: Crontab, admin: Admin) -> None:
    first = make()
    first.schedule(**EVERY_SECOND)
    with running(first):
        fired(tab)
    count = len(tab.history())
    other = make()
    other.schedule(**{**EVERY_SECOND, "id": "other"})
    with running(other):
        eventually(lambda: tab.history("other"), 4)
        assert len(tab.history()) == count
        with pytest.raises(gqm.JobStateError, match="no live server has it"):
            admin.cron.trigger("tidy")
        admin.cron.delete("tidy")
        assert tab.row().text == b""


# ----------------------------------------------------------------------------------------- overlap


@pytest.mark.fault(28)
@pytest.mark.parametrize("kind", ["async", "thread"])
def test_a_handler_whose_job_is_replaced_is_told_to_stop(make: Make, tab: Crontab, kind: str) -> None:
    server = make()
    told: list[str] = []
    release = threading.Event()

    async def on_the_loop(job: gqm.Job) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            told.append(job.id)
            raise

    def in_a_thread(job: gqm.Job) -> None:
        while not release.wait(0.01):
            if job.cancelled:
                told.append(job.id)
                return

    handler: Any = on_the_loop if kind == "async" else in_a_thread
    server.handle("tidy.up", handler)
    server.schedule("tidy", "* * * * * *", "tidy.up", overlap_policy="replace")
    with running(server):
        eventually(lambda: len(told) >= 2, 8)
        release.set()

    first, second = tab.jobs()[:2]
    assert told[:2] == [first["id"], second["id"]]
    assert (first["status"], first["cancel_reason"]) == ("stopped", f"replaced by job {second['id']}")
    tab.space.assert_sound()


def test_a_handler_that_takes_longer_than_its_interval_is_not_run_twice_at_once(
    make: Make, tab: Crontab
) -> None:
    server = make()
    now, most = 0, 0
    lock = threading.Lock()
    ended = threading.Event()

    def slow(job: gqm.Job) -> None:
        nonlocal now, most
        with lock:
            now, most = now + 1, max(most, now + 1)
        eventually(lambda: tab.entry().last_status == "skipped", 5)
        with lock:
            now -= 1
        ended.set()

    server.handle("tidy.up", slow)
    server.schedule("tidy", "* * * * * *", "tidy.up")
    with running(server):
        assert ended.wait(8)
    assert most == 1


# ------------------------------------------------------------------------------------------- fleets


@pytest.mark.fault(7)
def test_due_jobs_and_lost_claims_do_not_delay_a_slot(make: Make, tab: Crontab) -> None:
    space = tab.space
    pipe = space.raw.pipeline(transaction=False)
    for n in range(10_000):
        job_id = f"due-{n}"
        fields = {"id": job_id, "type": "t", "queue": "bulk", "status": "scheduled", "payload": "{}"}
        pipe.hset(space.keys.job(job_id), mapping=fields)
        pipe.zadd(space.keys.scheduled, {job_id: space.now() if n == 0 else 1_700_000_000 + n / 1000})
    pipe.execute()
    for n in range(1_000):
        space.foreign(f"lost-{n}", overdue_s=3600, queue="lost")
    space.raw.sadd(space.keys.queues, "bulk", "lost")
    server = make()
    server.schedule(**EVERY_SECOND)

    with running(server):
        fired(tab, 3)
        eventually(lambda: not space.raw.zcard(space.keys.scheduled), 10)
        eventually(lambda: not space.processing("lost"), 10)
        fired(tab, len(tab.history()) + 1)

    late_ms = [int(job["ready_at_ms"]) - 1000 * int(job["cron_slot"]) for job in tab.jobs()]
    assert max(late_ms) < 1000, late_ms


@pytest.mark.fault(55)
def test_a_redis_that_comes_back_finds_the_entries_firing(start_server: ServerFactory, prefix: str) -> None:
    redis_server = start_server()
    server = gqm.Server(f"unix:{redis_server.socket}", prefix=prefix)
    server.schedule(**EVERY_SECOND)
    store = Store(plain_link(Keys(prefix), "its own server", {"unix_socket_path": redis_server.socket}))
    with redis.Redis(unix_socket_path=redis_server.socket, protocol=2) as raw, running(server):
        tab = Crontab(Keyspace(store, raw))
        fired(tab)
        redis_server.stop()
        redis_server.start()
        count = len(tab.history())
        fired(tab, count + 2, timeout=12)
        slots = tab.slots()
        assert slots == list(range(slots[0], slots[-1] + 1))
    store.close()


def many_servers(worker: Callable[..., Worker], tab: Crontab, seconds: int) -> None:
    """Let three servers fire an entry each second; one is killed on the way and started again."""
    options: dict[str, Any] = {"entries": [EVERY_SECOND]}
    servers = [worker(**options) for _ in range(3)]
    first = fired(tab)[-1] + 1

    def reach(slot: int) -> None:
        eventually(lambda: (tab.row().slot or 0) >= slot, seconds + 10, 0.05, f"slot {slot} is handled")

    reach(first + seconds // 3)
    servers[0].kill()
    reach(first + seconds // 2)
    worker(**options)
    reach(first + seconds)

    wanted = range(first, first + seconds)
    assert [slot for slot in tab.slots() if slot in wanted] == list(wanted)
    late_ms = [int(job["ready_at_ms"]) - 1000 * int(job["cron_slot"]) for job in tab.jobs()]
    assert max(late_ms) < 1000, late_ms


@pytest.mark.fault(48)
def test_three_servers_fire_each_second_once(worker: Callable[..., Worker], tab: Crontab) -> None:
    many_servers(worker, tab, 9)


@pytest.mark.slow
@pytest.mark.fault(48)
def test_three_servers_fire_each_second_of_a_minute_once(worker: Callable[..., Worker], tab: Crontab) -> None:
    many_servers(worker, tab, 60)


@pytest.mark.fault(52)
def test_a_trigger_beside_a_scheduled_run(make: Make, tab: Crontab, admin: Admin) -> None:
    server = make()
    release, started = threading.Event(), threading.Event()
    ran: list[str] = []

    def handler(job: gqm.Job) -> None:
        ran.append(job.id)
        if job.raw("cron_slot"):
            started.set()
            release.wait(20)

    server.handle("tidy.up", handler)
    server.pool("p", ["tidy.up"], queues=["night"], concurrency=2)
    tab.put(entry(overlap_policy="skip"))
    server.schedule(**{**EVERY_SECOND, "overlap_policy": "skip"})
    with running(server):
        assert started.wait(5)
        manual = admin.cron.trigger("tidy").job_id
        eventually(lambda: tab.space.status(manual) == "completed", 5)
        handled = tab.row().slot or 0
        eventually(lambda: (tab.row().slot or 0) >= handled + 2, 5)
        assert tab.entry().last_status == "skipped"
        release.set()
    assert ran[1] == manual
