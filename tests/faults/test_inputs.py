"""F20: bad inputs by the library, the configuration, the API, the command line, and written into Redis."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

import gqm
from gqm.keys import Keys
from tests.api.support import KEYS, serve
from tests.engine.workers import Workers
from tests.faults import doors
from tests.faults.corrupt import break_key, broken_job, containers
from tests.faults.inputs import MADE, Maker
from tests.faults.rows import Counts, record, sizes
from tests.support.servers import ServerFactory
from tests.support.wait import eventually

SEEDS: dict[str, list[int]] = json.loads(Path(__file__).with_name("seeds.json").read_text())["F20"]
"""Inputs that found something once: they are tried first, whatever the size."""
SHARE = {"library": 0.6, "configuration": 0.08, "api": 0.16, "command line": 0.02, "raw": 0.14}
FULL = 5000
"""From this size on, what was made by hand goes through every door."""

Try = Callable[[Maker, Any], bool]


@pytest.fixture
def socket(start_server: ServerFactory) -> str:
    """A server that only this test uses: what gets in stays there."""
    return start_server("--appendonly", "no").socket


@pytest.fixture
def client(socket: str) -> Iterator[gqm.Client]:
    """A producer."""
    with gqm.Client(f"unix:{socket}") as client:
        yield client


def inputs(door: str, size: int, *, made: bool) -> Iterator[tuple[int, Any]]:
    """Numbers of inputs, and what was made by hand for some of them."""
    yield from ((number, None) for number in SEEDS[door])
    yield from ((number, item) for number, item in enumerate(MADE) if made)
    yield from ((len(MADE) + number, None) for number in range(max(20, int(size * SHARE[door]))))


def go_through(door: str, attempt: Try, size: int, *, made: bool) -> None:
    """Try all inputs at one door; what the door must not do is an error of ``attempt``."""
    taken = tried = 0
    for number, item in inputs(door, size, made=made):
        tried += 1
        try:
            taken += attempt(Maker("F20", door, number), item)
        except Exception as exc:
            exc.add_note(f"input {number} at {door}, by hand: {ascii(item)[:500]}")
            raise
    assert taken < tried
    assert taken or size < FULL
    record(
        Counts(
            "F20",
            tried,
            taken if door == "library" else 0,
            note=f"{door}: {taken} taken, {tried - taken} refused",
        )
    )


@sizes("F20")
def test_f20_the_library_takes_a_job_or_says_what_is_wrong(client: gqm.Client, size: int) -> None:
    go_through("library", lambda maker, made: doors.library(client, maker, made), size, made=True)


@sizes("F20")
def test_f20_a_configuration_is_read_or_its_problems_named(size: int) -> None:
    go_through("configuration", doors.configuration, size, made=size >= FULL)


@sizes("F20")
def test_f20_the_api_never_answers_with_a_fault_of_its_own(socket: str, size: int) -> None:
    with serve(f"unix:{socket}", "gqm:", api_keys=KEYS, rate_limit=-1) as api:
        rows = [row for row in api.app.context.router.rows if not row.path.endswith("/events")]
        go_through(
            "api",
            lambda maker, made: doors.api(api, maker.random.choice(rows), maker, made),
            size,
            made=size >= FULL,
        )


@sizes("F20")
def test_f20_the_command_line_says_in_a_sentence_what_is_wrong(
    socket: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    for name in ("handlers", "level"):  # commands set up their own; it is put back at the end
        monkeypatch.setattr(root, name, copy.copy(getattr(root, name)))
    url = f"unix://{socket}"
    go_through(
        "command line", lambda maker, made: doors.command_line(url, maker, made), size, made=size >= FULL
    )


@sizes("F20")
def test_f20_broken_jobs_end_with_a_reason_and_stop_no_worker(
    socket: str, client: gqm.Client, size: int
) -> None:
    keys = Keys("gqm:")
    pools = [{"name": "p", "job_types": ["*"], "queues": ["bad", "good"], "concurrency": 4}]
    workers = Workers(socket, keys.prefix)
    with redis.Redis(unix_socket_path=socket, protocol=2) as raw:
        ids = [
            broken_job(raw, keys, number, Maker("F20", "raw", number), made)
            for number, made in inputs("raw", size, made=True)
        ]
        try:
            worker = workers(pools=pools, unknown_type_ttl=0.1)
            run_one(client, "good", "beside broken jobs")
            live = until_ended(raw, keys, ids)
            assert not live, live
            assert worker.process.poll() is None, worker.log()
            assert "Traceback" not in worker.log(), worker.log()
        finally:
            workers.close()
        dead = [job_id for job_id in ids if raw.hget(keys.job(job_id), "status") == b"dead_letter"]
        assert all(raw.hget(keys.job(job_id), "error") for job_id in dead)
        record(Counts("F20", len(ids), len(ids), note=f"raw writes: {len(dead)} dead letters with a reason"))


def until_ended(raw: Any, keys: Keys, ids: list[str], timeout: float = 120) -> dict[str, Any]:
    """Wait until all jobs have ended, what waits is due at once; return those that live on."""
    live: dict[str, Any] = dict.fromkeys(ids)

    def none_left() -> bool:
        waiting = raw.zrange(keys.scheduled, 0, 999)
        if waiting:
            raw.zadd(keys.scheduled, dict.fromkeys(waiting, 1), xx=True)
        with raw.pipeline(transaction=False) as line:
            for job_id in live:
                line.hget(keys.job(job_id), "status")
            states = dict(zip(list(live), line.execute(), strict=True))
        for job_id, state in states.items():
            if state in (None, b"completed", b"dead_letter"):
                del live[job_id]
        return not live

    try:
        eventually(none_left, timeout, 0.05)
    except AssertionError:
        return {job_id: raw.hgetall(keys.job(job_id)) for job_id in list(live)[:5]}
    return live


@pytest.mark.parametrize("kind", ["redis"])
def test_f20_keys_of_a_wrong_type_stop_neither_worker_nor_api(start_server: ServerFactory, kind: str) -> None:
    socket, keys = start_server(kind=kind).socket, Keys("gqm:")
    address = f"unix:{socket}"
    workers = Workers(socket, keys.prefix)
    pools = [{"name": "p", "job_types": ["*"], "queues": ["bad", "good"], "concurrency": 4}]
    broken = containers(keys)
    with (
        redis.Redis(unix_socket_path=socket, protocol=2) as raw,
        gqm.Client(address) as client,
        serve(address, keys.prefix, api_keys=KEYS, rate_limit=-1) as api,
    ):
        try:
            worker = workers(pools=pools)
            reads = [row.path for row in api.app.context.router.rows if row.method == "GET"]
            for key, type_ in broken.items():
                break_key(raw, key, type_)
                for path in reads[:: 1 if key == keys.queues else 5]:
                    if not path.endswith("/events"):
                        filled = path.replace("{id}", "bad").replace("{name}", "bad").replace("*", "x")
                        assert api.get(filled).status < 500, (key, path)
                for queue in ("bad", "good"):
                    enqueue_if_it_can(client, queue)
                raw.delete(key)
                run_one(client, "bad", key)
            assert worker.process.poll() is None
            assert "Traceback" not in worker.log(), worker.log()
        finally:
            workers.close()
    record(Counts("F20", len(broken), 2 * len(broken), note="keys of a wrong type"))


def enqueue_if_it_can(client: gqm.Client, queue: str) -> None:
    """Enqueue a job; what it meets may be named in an error of ours, and nothing else."""
    said = "has a Redis type that GQM never writes"
    try:
        client.enqueue("note", queue=queue)
    except gqm.StoreError as error:
        said = str(error)
    assert "has a Redis type that GQM never writes" in said


def run_one(client: gqm.Client, queue: str, message: str) -> None:
    """Let a sound job run."""
    job_id = client.enqueue("note", queue=queue).id
    eventually(lambda: (job := client.get(job_id)) and job.status == "completed", 60, message=message)
