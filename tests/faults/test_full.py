"""F12 and F13: a Redis whose memory or disk is full, and one that throws keys away."""

from __future__ import annotations

import itertools
import logging
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis

import gqm
from gqm.admin.ledger import examine
from gqm.keys import Keys
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from tests.engine.running import running
from tests.faults.rows import Counts, record, sizes
from tests.support.keyspace import Keyspace
from tests.support.servers import Server, ServerFactory, binary, short_folder
from tests.support.wait import eventually

LONG_S = 60.0
PAYLOAD = {"x": "y" * 1000}
KEPT_BYTES = 700
"""Memory that is allowed for each job of 1 KB: too little, so that about half of them fit."""
MANY = 4000
"""Findings after which the ledger may stop to look for more."""
PER_PHASE = 20
"""Jobs before each trouble with the disk."""


@contextmanager
def opened(server: Server) -> Iterator[Keyspace]:
    """The key space of a server."""
    store = Store(plain_link(Keys("gqm:"), "the test server", {"unix_socket_path": server.socket}))
    with redis.Redis(unix_socket_path=server.socket, protocol=2) as raw:
        yield Keyspace(store, raw)
    store.close()


def limit(space: Keyspace, jobs: int) -> None:
    """Leave the server memory for about half of some jobs."""
    space.raw.config_set("maxmemory", space.raw.info("memory")["used_memory"] + jobs * KEPT_BYTES)


def produce(client: gqm.Client, jobs: int) -> tuple[list[str], list[str]]:
    """Enqueue jobs one by one and in batches; return the acknowledged ids, and what refused calls said."""
    acknowledged, refused = [], []
    for number in range(0, jobs, 100):
        ids = [f"job-{number + i}" for i in range(100)]
        for some in [ids] if number % 200 else [[job_id] for job_id in ids]:
            try:
                if len(some) > 1:
                    client.enqueue_batch([gqm.Item("t", PAYLOAD, {"job_id": job_id}) for job_id in some])
                else:
                    client.enqueue("t", PAYLOAD, job_id=some[0])
            except gqm.RedisUnavailable as error:
                refused.append(str(error))
            else:
                acknowledged += some
    return acknowledged, refused


@sizes("F12")
def test_f12_full_memory_refuses_jobs_and_half_writes_none(start_server: ServerFactory, size: int) -> None:
    server = start_server("--appendonly", "no")
    address = f"unix:{server.socket}"
    with opened(server) as space, gqm.Client(address) as client:
        limit(space, size)
        ids, refused = produce(client, size)
        assert ids, "nothing fitted"
        assert refused, "everything fitted"
        assert all("used memory > 'maxmemory'" in text for text in refused), set(refused)
        space.assert_sound()
        assert space.raw.llen(space.keys.ready("default")) == len(ids)
        worker = gqm.Server(address)
        worker.handle("t", lambda job: len(job.payload))
        with running(worker):
            done = space.keys.completed("default")
            eventually(lambda: space.raw.zcard(done) == len(ids), LONG_S + size / 500, 0.05)
        space.assert_sound()
    record(Counts("F12", 1, len(ids), note=f"noeviction: {len(refused)} calls refused, the rest drained"))


@sizes("F12")
def test_f12_what_an_evicting_redis_took_is_named(
    start_server: ServerFactory, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_server("--appendonly", "no", "--maxmemory-policy", "allkeys-lru")
    address = f"unix:{server.socket}"
    with opened(server) as space, gqm.Client(address) as client:
        with caplog.at_level(logging.WARNING, "gqm"), running(gqm.Server(address)):
            assert "maxmemory-policy allkeys-lru: it may throw jobs away" in caplog.text
        limit(space, size)
        ids, refused = produce(client, size)
        assert not refused
        space.raw.config_set("maxmemory", 0)  # from here on it takes no more
        ready = {item.decode() for item in space.raw.lrange(space.keys.ready("default"), 0, -1)}
        there = existing(space, ids)
        census = examine(space.store, settle_s=0)
        named = {finding.subject for finding in census.findings if finding.kind in ("no_hash", "nowhere")}
        assert len(there) < len(ids), "everything fitted"
        # A job that was taken is known by its place, one whose place was taken by its record.
        known = ready ^ there
        assert known
        assert named <= known, sorted(named - known)[:10]
        # Where so much is wrong that the look was cut short, it says so.
        assert named == known or (not census.complete and len(named) >= MANY), sorted(known - named)[:10]
    lost = len(set(ids) - ready - there)
    note = f"allkeys-lru: {len(named)} of {len(known)} jobs named that lost record or place, {lost} lost both"
    record(Counts("F12", 1, len(ids) - len(known) - lost, note=note))


def existing(space: Keyspace, ids: list[str]) -> set[str]:
    """The jobs that have a record."""
    with space.raw.pipeline(transaction=False) as line:
        for job_id in ids:
            line.exists(space.keys.job(job_id))
        return {job_id for job_id, found in zip(ids, line.execute(), strict=True) if found}


# ------------------------------------------------------------------------------------------- disk


class Limited(Server):
    """A server whose disk can be full: it may write no file beyond a size."""

    def start(self, *more: str) -> None:
        # The signal that comes with the limit would end it; a full disk sends none.
        program = self.folder / "server"
        program.write_text(f"#!/bin/sh\ntrap '' XFSZ\nexec {binary(self.kind)} \"$@\"\n")
        program.chmod(0o700)
        self._binary = str(program)
        super().start(*more)

    def fill_disk(self) -> None:
        """Let no write to a file succeed any more."""
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))

    def free_disk(self) -> None:
        """Let all writes succeed again; a server that has given up is started again."""
        assert self._process is not None
        if self._process.poll() is None:
            resource.prlimit(
                self.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            )
        else:
            self._process = None
            self.start()


KINDS = {
    "AOF every second": ("--appendonly", "yes", "--appendfsync", "everysec"),
    "AOF always": ("--appendonly", "yes", "--appendfsync", "always"),
    "snapshots": ("--appendonly", "no", "--save", "1 1"),
}


def until(outcome: type[Exception] | None, call: Callable[[], str], acknowledged: list[str]) -> None:
    """Call until it raises this error, or no error; note what was acknowledged."""

    def came() -> bool:
        try:
            acknowledged.append(call())
        except gqm.RedisUnavailable as error:
            return isinstance(error, outcome or ())
        return outcome is None

    eventually(came, LONG_S, 0.02)


@pytest.mark.parametrize(
    "kind", [*list(KINDS)[:2], pytest.param("snapshots", marks=pytest.mark.slow)], ids=lambda kind: kind
)
@sizes("F13")
def test_f13_a_full_disk_refuses_jobs_and_loses_none(kind: str, size: int) -> None:
    server = Limited(short_folder(), *KINDS[kind], kind="redis")
    acknowledged: list[str] = []
    began = time.monotonic()
    try:
        with gqm.Client(f"unix:{server.socket}") as client:
            for number in range(size):
                names = (f"job-{number}-{count}" for count in itertools.count())

                def enqueue(names: Iterator[str] = names) -> str:
                    return client.enqueue("t", PAYLOAD, job_id=next(names)).id

                for _ in range(PER_PHASE):
                    until(None, enqueue, acknowledged)
                server.fill_disk()
                until(gqm.RedisUnavailable, enqueue, acknowledged)
                server.free_disk()
                until(None, enqueue, acknowledged)
            server.restart(clean=True)
            lost = [job_id for job_id in acknowledged if client.get(job_id) is None]
        with opened(server) as space:
            space.assert_sound()
    finally:
        server.close()
    note = f"{kind}: refused {size} times in {time.monotonic() - began:.1f} s"
    record(Counts("F13", size, len(acknowledged), len(lost), note=note))
