"""Servers and pools: who lives, who is stale, what runs where, ours and those of other programs."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from gqm.store.commands.lease import Beat, heartbeat
from gqm.store.plan import follow
from gqm.store.read.servers import Fleet, read_fleet
from tests.support.keyspace import LEASE_MS, SERVER, Keyspace

OTHER = "host-2-bbbbbb"


def fleet_of(space: Keyspace) -> Fleet:
    return follow(space.store, read_fleet(space.keys))


def beat(space: Keyspace, server: str = SERVER, **pool: str | int) -> None:
    fields: dict[str, str | int] = {
        "id": server,
        "hostname": "web1",
        "pid": 412,
        "go_version": "python 3.12.4",
        "runtime": "python",
        "version": "1.0.0",
        "pools": "fast,slow",
        "num_pools": 2,
        "concurrency_total": 12,
        "status": "active",
        "types": '["mail.send"]',
        "cron_ids": "[]",
        "scheduler": 1,
        "recovered": 4,
    }
    record: dict[str, str | int] = {
        "queues": "a,b",
        "concurrency": 10,
        "active_jobs": 3,
        "ahead": 2,
        "abandoned": 1,
    }
    pools = [(f"fast@{server}", {**record, "isolation": "thread", "skipped": 5, "status": "active", **pool})]
    space.store.run(heartbeat(space.keys, Beat(server, LEASE_MS, fields, pools, [])))


def go_peer(space: Keyspace, *, silent_s: float) -> None:
    """A server and a pool of Go GQM."""
    now = space.now()
    server = {"id": "go-1", "hostname": "gohost", "go_version": "go1.22", "pools": "default", "num_pools": 1}
    times = {"started_at": int(now) - 100, "last_heartbeat": int(now - silent_s)}
    space.raw.hset(
        space.keys.server("go-1"), mapping={**server, **times, "status": "active", "concurrency_total": 5}
    )
    beat_ns = int((now - silent_s) * 1e9)
    pool = {"id": "default", "pool": "default", "server_id": "go-1", "queues": "default", "concurrency": 5}
    space.raw.hset(
        space.keys.worker("default"), mapping={**pool, "last_heartbeat": beat_ns, "status": "active"}
    )
    space.raw.sadd(space.keys.servers, "go-1")
    space.raw.sadd(space.keys.workers, "default")


def test_a_live_server_and_its_pool(space: Keyspace) -> None:
    beat(space)

    fleet = fleet_of(space)

    (server,) = fleet.servers
    assert (server.id, server.hostname, server.pid, server.status) == (SERVER, "web1", 412, "active")
    assert (server.version, server.runtime, server.scheduler) == ("1.0.0", "python 3.12.4", True)
    assert (server.pools, server.types, server.num_pools) == (["fast", "slow"], ["mail.send"], 2)
    assert (server.concurrency_total, server.busy) == (12, 3)
    assert server.last_heartbeat == pytest.approx(space.now(), abs=2)
    (worker,) = fleet.workers
    assert (worker.id, worker.pool, worker.server_id) == (f"fast@{SERVER}", "fast", SERVER)
    assert (worker.status, worker.queues, worker.isolation) == ("active", ["a", "b"], "thread")
    assert (worker.concurrency, worker.active_jobs, worker.ahead, worker.abandoned) == (10, 3, 2, 1)
    assert worker.last_heartbeat == pytest.approx(space.now(), abs=2)
    assert worker.longest is UNSET
    assert (fleet.recovered, fleet.skipped, fleet.truncated) == (4, {"fast": 5}, False)
    assert fleet.server(SERVER) == server
    assert fleet.server("none") is None
    assert fleet.worker("none") is None


@pytest.mark.parametrize(
    ("stored", "shown"), [("stopping", "stopping"), ("stuck", "active"), ("active", "active")]
)
def test_the_states_of_a_pool(space: Keyspace, stored: str, shown: str) -> None:
    beat(space, status=stored)

    assert fleet_of(space).workers[0].status == shown


@pytest.mark.fault(37)
def test_a_server_is_stale_once_its_lease_ends_and_gone_with_its_record(space: Keyspace) -> None:
    beat(space)
    space.end_lease()

    fleet = fleet_of(space)

    assert [fleet.servers[0].status, fleet.workers[0].status] == ["stale", "stale"]
    assert (fleet.recovered, fleet.skipped) == (0, {})
    space.raw.zrem(space.keys.leases, SERVER)
    assert fleet_of(space).servers[0].status == "stale", "others have taken its lease away"
    space.raw.delete(space.keys.server(SERVER), space.keys.worker(f"fast@{SERVER}"))
    assert fleet_of(space)[:2] == ([], [])


@pytest.mark.fault(56)
def test_two_servers_with_one_pool_name(space: Keyspace) -> None:
    beat(space, active_jobs=3)
    beat(space, OTHER, active_jobs=1)

    fleet = fleet_of(space)

    assert [(worker.id, worker.active_jobs) for worker in fleet.workers] == [
        (f"fast@{SERVER}", 3),
        (f"fast@{OTHER}", 1),
    ]
    assert [server.busy for server in fleet.servers] == [3, 1]


def test_the_running_jobs_of_a_pool(space: Keyspace) -> None:
    first, second = space.running(2, timeout=50)
    space.age_claim(first, 20)
    space.raw.zadd(space.keys.processing("default"), {first.id: space.now() - 1})

    fleet = fleet_of(space)
    worker = fleet.worker(f"p@{SERVER}")

    assert worker is not None
    assert worker.jobs is not UNSET
    assert [job.id for job in worker.jobs] == [first.id, second.id]
    assert (worker.jobs[1].type, worker.jobs[1].queue) == ("t", "default")
    assert worker.jobs[1].processing_deadline == pytest.approx(space.now() + 50, abs=2)
    assert worker.longest is not UNSET
    assert (worker.longest.id, worker.longest.over_deadline) == (first.id, True)
    assert worker.longest.elapsed_ms == pytest.approx(20_000, abs=2000)
    assert fleet.workers[0].jobs is UNSET


@pytest.mark.parametrize(
    ("silent_s", "server", "pool"), [(1, "active", "active"), (15, "active", "stale"), (25, "stale", "stale")]
)
def test_a_peer_is_stale_when_it_has_been_silent(
    space: Keyspace, silent_s: float, server: str, pool: str
) -> None:
    go_peer(space, silent_s=silent_s)

    fleet = fleet_of(space)

    assert (fleet.servers[0].status, fleet.workers[0].status) == (server, pool)


def test_the_running_jobs_of_a_peer_are_counted_by_its_name(space: Keyspace) -> None:
    go_peer(space, silent_s=1)
    for name in ("j1", "j2"):
        space.foreign(name, overdue_s=-60, worker_id="default", started_at=int(space.now()) - 5)
    space.foreign("other", overdue_s=-60, worker_id="else")

    fleet = fleet_of(space)

    (worker,) = fleet.workers
    assert (worker.id, worker.pool, worker.server_id) == ("default", "default", "go-1")
    assert (worker.active_jobs, worker.ahead, worker.isolation) == (2, UNSET, UNSET)
    assert worker.longest is not UNSET
    assert worker.longest.id == "j1"
    assert (fleet.servers[0].runtime, fleet.servers[0].version, fleet.servers[0].busy) == ("go1.22", "", 2)


def test_strange_records_are_shown_as_far_as_they_go(space: Keyspace) -> None:
    space.raw.sadd(space.keys.servers, "s", "text")
    space.raw.sadd(space.keys.workers, "w@s")
    space.raw.hset(space.keys.server("s"), mapping={"types": "{", "pid": "many", "last_heartbeat": "-"})
    space.raw.set(space.keys.server("text"), "no hash")
    space.raw.hset(space.keys.worker("w@s"), "concurrency", "x")
    space.raw.hset(space.keys.claims("s"), mapping={"a": "strange", "b": "t.1|3|5|q"})

    fleet = fleet_of(space)

    assert [(server.id, server.types, server.pid, server.status) for server in fleet.servers] == [
        ("s", [], 0, "stale")
    ]
    assert [(worker.id, worker.concurrency) for worker in fleet.workers] == [("w@s", 0)]
