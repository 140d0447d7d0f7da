"""The inline queue for tests ends jobs as a real server does: the same stories on both, compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

import gqm
from gqm.keys import Keys
from gqm.testing import inline
from tests.engine.running import running
from tests.support.wait import eventually

Story = Callable[[gqm.Client], None]

FACTS = ("status", "attempt", "retry_count", "error", "cancel_reason", "result_note", "payload", "max_retry")
FACTS += ("enqueued_by", "timeout", "depends_on", "queue", "type")


def fails(job: gqm.Job) -> None:
    raise ValueError(f"attempt {job.attempt}")


def fails_once(job: gqm.Job) -> str:
    if job.attempt == 1:
        raise ValueError("first")
    return "second time"


def signals(job: gqm.Job) -> None:
    if job.payload["how"] == "skip":
        raise RuntimeError("no") from gqm.SkipRetry("never")
    if job.attempt < 3:
        raise gqm.Retry(0, count=job.payload["how"] == "counted")


async def answers(job: gqm.Job) -> object:
    return job.payload.get("value", object())


def plain(client: gqm.Client) -> None:
    client.enqueue("answers", {"value": [1, "ü"]}, job_id="a", enqueued_by="me", timeout=7)
    client.enqueue("answers", job_id="b")
    client.enqueue_batch([gqm.Item("answers", {"value": n}, {"job_id": f"n{n}"}) for n in range(3)])


def retries(client: gqm.Client) -> None:
    client.enqueue("fails", job_id="a", max_retry=2, retry_intervals=[0])
    client.enqueue("fails", job_id="b", max_retry=0)
    client.enqueue("fails_once", job_id="c", retry_intervals=[0])
    client.enqueue("fails", job_id="d", retry_intervals=[0])


def signaled(client: gqm.Client) -> None:
    for how in ("skip", "counted", "uncounted"):
        client.enqueue("signals", {"how": how}, job_id=how, max_retry=5)


def families(client: gqm.Client) -> None:
    client.enqueue_in("answers", {"value": 1}, 0.2, job_id="root")
    client.enqueue_in("fails", {}, 0.2, job_id="bad", max_retry=0)
    client.enqueue("answers", job_id="child", depends_on="root")
    client.enqueue("answers", job_id="grandchild", depends_on=["child", "root"])
    client.enqueue("answers", job_id="canceled", depends_on=["root", "bad"])
    client.enqueue("answers", job_id="brave", depends_on=["bad", "child"], allow_failure=True)
    client.enqueue("answers", job_id="below", depends_on="canceled")


@pytest.fixture
def real(redis_socket: str, prefix: str) -> Iterator[gqm.Client]:
    with gqm.Client(f"unix:{redis_socket}", prefix=prefix) as client:
        yield client


def make(address: str, prefix: str) -> gqm.Server:
    server = gqm.Server(address, prefix=prefix)
    for function in (fails, fails_once, signals, answers):
        server.handle(function.__name__, function)
    server.pool("p", ["*"], concurrency=4, retry={"max_retry": 1})
    return server


def seen(job: gqm.Job) -> dict[str, object]:
    return {name: getattr(job, name) for name in FACTS} | {"result": job.result}


@pytest.mark.parametrize("story", [plain, retries, signaled, families])
def test_both_end_alike(real: gqm.Client, redis_socket: str, prefix: str, story: Story) -> None:
    server = make(f"unix:{redis_socket}", prefix)
    with inline(server) as queue:
        story(queue.client)
        queue.drain()
        expected = {job.id: seen(job) for job in queue.jobs()}
        runs = {job_id: outcomes(queue.attempts(job_id)) for job_id in expected}
    with running(server):
        story(real)
        eventually(lambda: all((job := real.get(name)) and job.status.terminal for name in expected), 10)
    with redis.Redis(unix_socket_path=redis_socket, protocol=2) as raw:
        for name, facts in expected.items():
            job = real.get(name)
            assert job is not None
            assert seen(job) == facts, name
            assert outcomes(stored_attempts(raw, Keys(prefix).attempts(name))) == runs[name], name


def stored_attempts(raw: Any, key: str) -> list[dict[str, object]]:
    return [json.loads(entry) for entry in reversed(raw.lrange(key, 0, -1))]


def outcomes(attempts: list[dict[str, object]]) -> list[tuple[object, ...]]:
    return [tuple(entry[name] for name in ("attempt", "outcome", "counted", "error")) for entry in attempts]
