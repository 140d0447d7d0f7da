"""Job graphs while workers are killed: every child after its parents, none left waiting."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

import gqm
from tests.support.keyspace import Keyspace
from tests.support.wait import eventually


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    ("diamonds", "kill_every_s"), [(120, 0.5), pytest.param(2000, 2.0, marks=pytest.mark.slow)]
)
def test_diamonds_survive_kills(
    worker: Callable[..., Any], client: gqm.Client, space: Keyspace, diamonds: int, kill_every_s: float
) -> None:
    workers = [worker(), worker()]
    families = []
    for _ in range(diamonds):
        top = client.enqueue("sleep", {"s": 0.03}, max_retry=50)
        sides = [client.enqueue("sleep", {"s": 0.03}, max_retry=50, depends_on=top.id) for _ in range(2)]
        last = client.enqueue("sleep", {"s": 0.03}, max_retry=50, depends_on=[job.id for job in sides])
        families.append((top.id, [job.id for job in sides], last.id))
    kills, due = 0, time.monotonic() + kill_every_s
    waiting = {last for _, _, last in families}

    def done() -> bool:
        nonlocal kills, due
        if time.monotonic() > due:
            victim = random.randrange(2)
            workers[victim].kill()
            workers[victim] = worker()
            kills, due = kills + 1, time.monotonic() + kill_every_s
        for job_id in list(waiting)[:50]:
            job = client.get(job_id)
            assert job is not None
            if job.status is gqm.Status.COMPLETED:
                waiting.discard(job_id)
        return not waiting

    eventually(done, 60 if diamonds < 1000 else 300, interval=0.02)
    assert kills
    for top_id, side_ids, last_id in families:
        top, last = client.get(top_id), client.get(last_id)
        sides = [client.get(job_id) for job_id in side_ids]
        assert top is not None
        assert last is not None
        for side in sides:
            assert side is not None
            assert (top.completed_at or 0) <= (side.started_at or 0)
            assert (side.completed_at or 0) <= (last.started_at or 0)
            assert side.status is gqm.Status.COMPLETED
    assert space.raw.scard(space.keys.deferred) == 0
    space.assert_sound()
