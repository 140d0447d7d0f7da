"""The network of one worker broken in five ways, and answers lost on every command after Redis applied it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
import redis

from gqm.admin import Admin
from gqm.job import Status
from gqm.keys import Keys
from gqm.store.connect import plain_link
from gqm.store.scripts import script
from gqm.store.sync import Store
from tests.faults import mix
from tests.faults.fleet import Fleet
from tests.faults.ledger import Ledger
from tests.faults.rows import Counts, record, sizes
from tests.support import states
from tests.support.keyspace import Keyspace
from tests.support.proxy import Proxy
from tests.support.wait import eventually, throughout

SHORTEST_LEASE_S = 4.0
LATENCY_S = 0.2


@pytest.fixture
def proxy(redis_socket: str) -> Iterator[Proxy]:
    """A proxy in front of the Redis of all tests."""
    with Proxy(redis_socket) as proxy:
        yield proxy


def drop(proxy: Proxy, past_lease: bool) -> None:
    """The lines break, and there are no new ones for some time."""
    proxy.refuse()
    throughout(lambda: True, 0.5)
    proxy.accept()


def half_open(proxy: Proxy, past_lease: bool) -> None:
    """Nothing passes, no line breaks; longer than the lease where there is time for that."""
    proxy.hang()
    throughout(lambda: True, 3 * SHORTEST_LEASE_S if past_lease else 1.0)
    proxy.thaw()


def reset(proxy: Proxy, past_lease: bool) -> None:
    """All lines break."""
    proxy.reset()


def latency(proxy: Proxy, past_lease: bool) -> None:
    """Everything takes long."""
    proxy.latency_s = LATENCY_S
    throughout(lambda: True, 1.0)
    proxy.latency_s = 0.0


def lost_answers(proxy: Proxy, past_lease: bool) -> None:
    """Some answers are lost in a row."""
    lost = proxy.lost_answers + 5
    proxy.lose_answers(5)
    proxy.wait_for_loss(lost)


BREAKS: tuple[Callable[[Proxy, bool], None], ...] = (drop, half_open, reset, latency, lost_answers)


@sizes("F6")
def test_f6_network_of_a_worker(fleet: Fleet, ledger: Ledger, proxy: Proxy, size: int) -> None:
    far = fleet.worker(address=f"redis://127.0.0.1:{proxy.port}", lease_ttl=SHORTEST_LEASE_S)
    fleet.worker(lease_ttl=SHORTEST_LEASE_S)
    producer = fleet.producer("p", rate=100, delays_s=(0.1, 0.5))
    for fault in BREAKS * size:
        throughout(lambda: producer.running, 0.2)
        ledger.hit(far.server_id)
        fault(proxy, size > 1)
        ledger.observe()
    producer.terminate()
    producer.wait()
    ledger.wait_drained()
    assert far.running
    fleet.stop()
    record(ledger.check("F6", note=f"{len(BREAKS)} kinds"))


SCRIPTS = (
    "enqueue",
    "enqueue_batch",
    "claim",
    "complete",
    "retry",
    "dead_letter",
    "promote",
    "cron_fire",
    "heartbeat",
)


def of_script(name: str) -> Callable[[bytes], bool]:
    """Whether a request calls a script."""
    sha = script(name).sha.encode()
    return lambda request: sha in request


def wait_lost(proxy: Proxy, answers: int, name: str) -> None:
    """Wait until so many answers were lost in all; heartbeats come every 2 s only."""
    eventually(lambda: proxy.lost_answers >= answers, 30, message=f"an answer to {name} is lost")


@sizes("F8")
def test_f8_answers_lost_by_every_command_of_the_load(
    fleet: Fleet, ledger: Ledger, proxy: Proxy, size: int
) -> None:
    address = f"redis://127.0.0.1:{proxy.port}"
    fleet.worker(address=address, entries=[mix.TICK])
    producer = fleet.producer("p", address=address, rate=60, delays_s=(0.1, 0.5), bulk=2)
    for name in itertools.islice(itertools.cycle(SCRIPTS), size):
        lost = proxy.lost_answers + 1
        proxy.lose_answers(1, only=of_script(name))
        wait_lost(proxy, lost, name)
        ledger.faults += 1
    producer.terminate()
    producer.wait()
    eventually(lambda: ledger.live() <= 1, 60, message="all but cron's newest have ended")
    lost = proxy.lost_answers + 1
    proxy.lose_answers(1, only=of_script("leave"))
    ledger.finish_cron()
    assert proxy.lost_answers == lost, "no answer to leave was lost"
    ledger.check_cron("tick", range(0))
    asked = ledger.asked()
    refused = [job_id for job_id, signs in asked.items() if "-" in signs]
    assert not refused, f"the producer was told an error: {refused}"
    counts = ledger.check("F8", note="commands of the load")
    assert not ledger.burned, f"{ledger.burned} attempts were counted twice"
    record(counts)


def operations(space: Keyspace, admin: Admin) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what operators do, by the script that does it; each with a job for it."""
    yield "cancel", lambda: admin.cancel(states.MAKE[Status.READY](space))
    yield "cancel", lambda: admin.cancel(states.MAKE[Status.SCHEDULED](space))
    yield "cancel", lambda: admin.cancel(states.MAKE[Status.PROCESSING](space))
    yield "requeue", lambda: admin.retry(states.MAKE[Status.DEAD_LETTER](space))
    yield "requeue", lambda: admin.retry(states.MAKE[Status.CANCELED](space))
    yield "run_now", lambda: admin.retry(states.MAKE[Status.SCHEDULED](space))
    yield "delete", lambda: admin.delete(states.MAKE[Status.DEFERRED](space))
    yield "delete", lambda: admin.delete(states.MAKE[Status.COMPLETED](space))
    yield "pause", lambda: admin.pause("default")
    yield "resume", lambda: admin.resume("default")
    states.MAKE[Status.DEAD_LETTER](space)
    yield "requeue_dlq", lambda: admin.retry_all("default")
    yield "empty_queue", lambda: admin.empty("default")
    states.MAKE[Status.DEAD_LETTER](space)
    yield "clear_dlq", lambda: admin.clear("default")


@sizes("F8")
def test_f8_answers_lost_by_every_command_of_operators(
    redis_socket: str, prefix: str, proxy: Proxy, size: int
) -> None:
    keys = Keys(prefix)
    near = Store(plain_link(keys, "the test server", {"unix_socket_path": redis_socket}))
    far = Store(plain_link(keys, "the proxy", {"host": "127.0.0.1", "port": proxy.port}))
    admin = Admin(far, actor="test")
    done = 0
    with redis.Redis(unix_socket_path=redis_socket, protocol=2) as raw:
        space = Keyspace(near, raw)
        while done < size:
            for name, act in operations(space, admin):
                lost = proxy.lost_answers
                proxy.lose_answers(1, only=of_script(name))
                act()
                assert proxy.lost_answers == lost + 1, f"no answer to {name} was lost"
                space.assert_sound()
                done += 1
        jobs = sum(int(raw.hget(keys.ledger(queue), "accepted") or 0) for queue in ("default", "parents"))
    near.close()
    far.close()
    record(Counts("F8", done, jobs, note="commands of operators"))
