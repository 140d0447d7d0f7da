"""The ledger beside servers at work: jobs that move while it reads are no findings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

import gqm
from gqm.admin import Admin
from gqm.admin.ledger import examine, repair
from gqm.job import LIVE
from gqm.store.plan import follow
from gqm.store.read.suspicion import Bounds, collect
from gqm.store.sync import Store
from tests.engine.running import running
from tests.support.keyspace import Keyspace
from tests.support.wait import eventually


@pytest.fixture
def server(redis_socket: str, prefix: str) -> gqm.Server:
    """A server whose jobs end in all ways, soon expire, and wait for each other."""
    server = gqm.Server(
        f"unix:{redis_socket}", prefix=prefix, poll_interval=0.05, shutdown_timeout=5, result_ttl=1
    )
    failed: set[str] = set()

    def fail_once(job: gqm.Job) -> None:
        if job.id not in failed:
            failed.add(job.id)
            raise gqm.Retry(0.05)

    def fail(job: gqm.Job) -> None:
        raise gqm.SkipRetry("no")

    async def plain(job: gqm.Job) -> None:
        return None

    server.handle("plain", plain)
    server.handle("once", fail_once)
    server.handle("never", fail)
    server.pool("p", ["*"], queues=["default", "mail"], concurrency=16)
    return server


def produce(client: gqm.Client, stop: threading.Event) -> None:
    n = 0
    while not stop.is_set():
        n += 1
        for queue in ("default", "mail"):
            client.enqueue_batch([("plain", {"n": n})] * 20)
            parent = client.enqueue("plain" if n % 3 else "never", queue=queue)
            child = client.enqueue("plain", depends_on=[parent.id], queue=queue)
            client.enqueue("once", depends_on=[parent.id, child.id], allow_failure=True, queue=queue)
            client.enqueue_in("plain", None, 0.05, queue=queue)
            client.enqueue("once", queue=queue)
        stop.wait(0.005)


@pytest.fixture
def stop() -> threading.Event:
    """Ends the producers."""
    return threading.Event()


@pytest.fixture
def traffic(redis_socket: str, prefix: str, stop: threading.Event) -> Iterator[Callable[[], None]]:
    """Starts producers; they end with the test."""
    threads: list[threading.Thread] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with gqm.Client(f"unix:{redis_socket}", prefix=prefix) as client:
                produce(client, stop)
        except BaseException as exc:  # noqa: BLE001 - raised in the test's thread
            errors.append(exc)

    def start() -> None:
        threads.extend(threading.Thread(target=work) for _ in range(2))
        for thread in threads:
            thread.start()

    yield start
    stop.set()
    for thread in threads:
        thread.join(10)
    assert not errors


def test_a_busy_healthy_key_space_has_no_finding(
    space: Keyspace, server: gqm.Server, traffic: Callable[[], None], store: Store
) -> None:
    with running(server):
        traffic()
        eventually(lambda: int(space.raw.get(space.keys.total("default", "processed")) or 0) > 500, 30)
        suspected = 0
        for n in range(100):
            if n >= 8 and suspected:
                break
            suspected += bool(follow(store, collect(store.keys, Bounds())))
            census = examine(store, settle_s=0)
            assert census.findings == []
            assert census.complete
            assert census.jobs > 100
        assert suspected, "nothing moved while it was read: this test proves nothing"


DAMAGE = """
-- One script: between two steps a job could move on, and the due time of a retry, written over, is a
-- fault that nothing in the key space tells.
local lost = 0
for n, id in ipairs(redis.call('LRANGE', KEYS[1], 0, 3)) do
  if n <= 2 then
    lost = lost + redis.call('LREM', KEYS[1], 1, id)
  else
    redis.call('LPUSH', KEYS[1], id)
    redis.call('ZADD', KEYS[2], ARGV[1], id)
  end
end
return lost
"""


def damage(space: Keyspace, n: int) -> int:
    """Break what jobs happen to be there, while they move; return how many ready jobs were lost by it."""
    keys, lost = space.keys, 0
    for queue in ("default", "mail"):
        lost += int(space.raw.eval(DAMAGE, 2, keys.ready(queue), keys.scheduled, space.now() + 3600))
        space.raw.rpush(keys.ready(queue), f"stranger-{n}")
        space.raw.zadd(keys.processing(queue), {f"ghost-{n}": space.now() + 3600})
        space.raw.sadd(keys.pending_deps(f"gone-{n}"), "x")
    return lost


def test_repairs_beside_busy_servers_lose_and_double_nothing(
    space: Keyspace, server: gqm.Server, traffic: Callable[[], None], store: Store, stop: threading.Event
) -> None:
    admin = Admin(store, actor="ana")
    lost = 0
    with running(server):
        traffic()
        eventually(lambda: int(space.raw.get(space.keys.total("default", "processed")) or 0) > 200, 30)
        for n in range(100):
            lost += damage(space, n)
            repair(store, admin.log, examine(store, settle_s=0))
            if n >= 4 and lost:
                break
        stop.set()
        assert lost, "no job was there to be lost: this test proves nothing"
        eventually(lambda: not live(space), 60, 0.1, lambda: f"all jobs have ended; left: {left(space)}")
        assert examine(store, settle_s=0).findings == []


def live(space: Keyspace) -> list[str]:
    """The jobs that have not ended, looked for by their records: no container need hold them."""
    names = [name for name in space.raw.scan_iter(space.keys.job("*"), count=1000) if name.count(b":") == 2]
    pipe = space.raw.pipeline(transaction=False)
    for name in names:
        pipe.hget(name, "status")
    found = zip(names, pipe.execute(), strict=True)
    return [name.decode() for name, status in found if status is not None and status.decode() in LIVE]


def left(space: Keyspace) -> list[str]:
    """The records of some live jobs and what the ledger says, for the message of a test that fails."""
    return [f"{space.raw.hgetall(space.keys.job(job_id.rpartition(':')[2]))}" for job_id in live(space)[:3]]
