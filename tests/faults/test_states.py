"""Jobs canceled in every state, and a storm of retries that are all due at once."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable

import pytest

import gqm
from gqm.admin import Admin
from gqm.engine.scheduler import Promoter
from gqm.job import Status
from gqm.keys import Keys
from gqm.store.aio import AsyncStore
from gqm.store.commands.settle import RetryLater, retry
from gqm.store.connect import plain_link
from tests.faults import mix
from tests.faults.fleet import Fleet
from tests.faults.ledger import Ledger
from tests.faults.rows import Counts, record, sizes
from tests.support import states
from tests.support.keyspace import SERVER, Keyspace
from tests.support.wait import aeventually, eventually

EFFECT_S = 1.0
BUSY_S = 5.0
"""What the machine may add to a limit where it does other things meanwhile: beside other tests."""
WAITING = (Status.READY, Status.SCHEDULED, Status.DEFERRED, Status.RETRY)
ENDED = (Status.COMPLETED, Status.DEAD_LETTER, Status.CANCELED, Status.STOPPED)
HOUR_MS = 3_600_000


def family(space: Keyspace, make: Callable[[], str]) -> tuple[str, list[str]]:
    """Make a job with a child, and a grandchild of it; return its id and those of the two."""
    job_id = make()
    child = space.enqueue(depends_on=[job_id])
    return job_id, [child, space.enqueue(depends_on=[child])]


def sign_off(ledger: Ledger) -> None:
    """End the lease of the server that the test has pretended to be."""
    ledger.raw.zrem(ledger.keys.leases, SERVER)


@sizes("F17")
def test_f17_cancel_in_every_state(fleet: Fleet, ledger: Ledger, size: int) -> None:
    space, admin = ledger.space, Admin(ledger.store, actor="test")
    worker = fleet.worker(pool={"concurrency": size})
    with gqm.Client(fleet.address, prefix=fleet.prefix) as client:

        def running() -> str:
            return client.enqueue("plain", {"ms": HOUR_MS}, queue=mix.QUEUE).id

        families = [family(space, running) for _ in range(size)]
    for status in WAITING:
        # Some are made by claiming: their queue holds nothing else that is ready.
        make = functools.partial(states.MAKE[status], space, queue="idle" if status is Status.READY else "q")
        families += [family(space, make) for _ in range(size)]
    ended = [(status, states.MAKE[status](space, queue="q")) for status in ENDED for _ in range(size)]
    sign_off(ledger)
    first = [job_id for job_id, _ in families[:size]]
    eventually(lambda: all(ledger.runs()[job_id].starts for job_id in first), 60, 0.05)
    canceled_at: dict[str, float] = {}
    for job_id, descendants in families:
        canceled_at[job_id] = time.time()
        assert admin.cancel(job_id).cascaded == len(descendants)
    assert admin.empty("parents").removed == size  # those of the deferred jobs
    for status, job_id in ended:
        with pytest.raises(gqm.JobStateError) as refusal:
            admin.cancel(job_id)
        assert refusal.value.state == status
    eventually(lambda: all(ledger.runs()[job_id].cancels for job_id in first), 60, 0.05)
    runs = ledger.runs()
    longest_s = max(runs[job_id].cancels[0] - canceled_at[job_id] for job_id in first)
    limit_s = EFFECT_S + (BUSY_S if size < 100 else 1)
    assert longest_s <= limit_s, f"a handler was told {longest_s:.2f} s after its cancellation"
    assert worker.running
    fleet.stop()
    everybody = [job_id for of, descendants in families for job_id in (of, *descendants)]
    for job_id in everybody:
        assert space.status(job_id) == Status.CANCELED, f"I2, I5: {job_id} is {space.status(job_id)}"
    for status, job_id in ended:
        assert space.status(job_id) == status, f"I2: {job_id} was {status} and is {space.status(job_id)}"
    assert not runs.keys() & {job_id for _, descendants in families for job_id in descendants}
    ledger.check_space()
    record(
        Counts(
            "F17",
            len(families) + len(ended),
            len(everybody) + len(ended),
            note=f"handlers told within {longest_s * 1000:.0f} ms",
        )
    )


LEAST_PER_S = 5000


@sizes("F18")
def test_f18_retry_storm(redis_socket: str, fleet: Fleet, ledger: Ledger, size: int) -> None:
    space, keys = ledger.space, ledger.keys
    acks = mix.Acks(fleet.acks)
    with gqm.Client(fleet.address, prefix=fleet.prefix) as client:
        for start in range(0, size, 1000):
            mix.enqueue_bulk(client, acks, f"storm-{start}", 1000)
    space.beat()
    while claims := space.claim(100, queue=mix.QUEUE):
        later = [RetryLater(item, HOUR_MS, "Oops: x", "trace", retry_count=1) for item in claims]
        space.store.run(retry(keys, mix.QUEUE, later))
    sign_off(ledger)
    waiting = space.members(keys.scheduled)
    assert len(waiting) == size
    space.raw.zadd(keys.scheduled, dict.fromkeys(waiting, space.now()))
    seconds = asyncio.run(promoted_s(redis_socket, keys, lambda: space.raw.zcard(keys.scheduled) == 0))
    assert space.raw.llen(keys.ready(mix.QUEUE)) == size
    ledger.faults += 1
    per_s = size / seconds
    # The small size runs beside other tests: it only shows that it works.
    assert per_s >= (LEAST_PER_S if size > 10_000 else LEAST_PER_S / 10), f"{per_s:.0f} jobs/s were promoted"
    fleet.worker()
    ledger.wait_drained(size / 200)
    fleet.stop()
    record(ledger.check("F18", note=f"{per_s:,.0f} promoted/s"))


async def promoted_s(socket: str, keys: Keys, done: Callable[[], bool]) -> float:
    """Let one scheduler promote until all is done; return how many seconds it took."""
    store = AsyncStore(plain_link(keys, "the test server", {"unix_socket_path": socket}))
    promoter = asyncio.create_task(Promoter(store, 1.0).run())
    begun = time.perf_counter()
    await aeventually(done, 60)
    seconds = time.perf_counter() - begun
    promoter.cancel()
    await asyncio.gather(promoter, return_exceptions=True)
    await store.close()
    return seconds
