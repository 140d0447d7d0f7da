"""Producers: `Client` for sync code, `AsyncClient` for asyncio; the same calls with the same options."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, TypeAlias, TypedDict, Unpack

import msgspec

from gqm.config import code_options, default_config
from gqm.errors import BatchTooLarge, InvalidJob, JobFailed, JobNotFound
from gqm.ids import new_ids
from gqm.job import (
    MAX_BATCH,
    MAX_BATCH_BYTES,
    Job,
    NewJob,
    Options,
    Status,
    decode_json,
    delay_ms,
    due_ms,
    new_job,
)
from gqm.store.commands.enqueue import enqueue, enqueue_batch
from gqm.store.commands.jobs import get_job, get_outcome
from gqm.store.connect import Backoff, Link, open_link

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from gqm.store.command import Command
    from gqm.store.commands.enqueue import Mode
    from gqm.store.commands.jobs import Outcome

__all__ = ["AsyncClient", "Client", "Enqueued", "Item"]


class Enqueued(msgspec.Struct, frozen=True):
    """What an enqueue call made."""

    id: str
    type: str
    queue: str
    status: Status
    """``ready``, ``scheduled``, ``deferred``, or ``canceled`` when a parent had failed already."""


@dataclass(frozen=True, slots=True)
class Item:
    """One job of a batch: type, payload and options as for `Client.enqueue`."""

    type: str
    payload: object = None
    options: Options = field(default_factory=lambda: Options())


ItemLike: TypeAlias = Item | tuple[str, object] | str
"""An `Item`, a pair of type and payload, or just a type."""


class ConnectionOptions(TypedDict, total=False):
    """Keyword options of both clients, named like the keys of ``redis`` in the configuration."""

    url: str
    username: str
    password: str
    db: int
    prefix: str
    exact_prefix: bool
    tls: bool | Mapping[str, object]
    pool_size: int
    sentinels: Sequence[str]
    master: str


class _Base:
    """What both clients share: building commands and reading answers, without any I/O.

    The last four methods are the only places that know where jobs are kept.
    """

    def __init__(self, redis: object, options: ConnectionOptions) -> None:
        self._link = _link(redis, options)
        self._keys = self._link.keys

    def _enqueue_at(self, job: NewJob, when: datetime | float) -> Command[Status]:
        _refuse_parents(job)
        return self._enqueue(job, "at", due_ms(when))

    def _enqueue_in(self, job: NewJob, delay: float | timedelta) -> Command[Status]:
        _refuse_parents(job)
        return self._enqueue(job, "in", delay_ms(delay))

    def _enqueue(self, job: NewJob, mode: Mode = "now", when_ms: int = 0) -> Command[Status]:
        return enqueue(self._keys, job, mode=mode, when_ms=when_ms)

    def _enqueue_batch(self, jobs: Sequence[NewJob]) -> Command[int]:
        return enqueue_batch(self._keys, jobs)

    def _get(self, job_id: str) -> Command[Job | None]:
        return get_job(self._keys, job_id)

    def _get_outcome(self, job_id: str) -> Command[Outcome | None]:
        return get_outcome(self._keys, job_id)


def _link(redis: object, options: ConnectionOptions) -> Link:
    config = default_config(code_options(redis=redis, **options))
    client = redis if not isinstance(redis, str) else None
    return open_link(config.redis, client=client, pool_size=config.redis.pool_size or 64)


def _refuse_parents(job: NewJob) -> None:
    if job.parents:
        raise InvalidJob("a job with depends_on runs when its parents have ended; it cannot have a time too")


def _made(job: NewJob, status: Status) -> Enqueued:
    return Enqueued(job.id, job.type, job.queue, status)


def _new(item: ItemLike, index: int, fresh_id: str = "") -> NewJob:
    try:
        if isinstance(item, str):
            return new_job(item, fresh_id=fresh_id)
        if isinstance(item, Item):
            return new_job(item.type, item.payload, item.options, fresh_id)
        type_, payload = item
        return new_job(type_, payload, None, fresh_id)
    except (TypeError, ValueError) as exc:
        if isinstance(exc, InvalidJob):
            raise type(exc)(f"item {index}: {exc}") from None
        raise InvalidJob(f"item {index}: expected an Item, a pair of type and payload, or a type") from None


def _new_batch(items: Iterable[ItemLike]) -> list[NewJob]:
    batch = list(itertools.islice(items, MAX_BATCH + 1))
    if len(batch) > MAX_BATCH:
        raise BatchTooLarge(f"a batch holds at most {MAX_BATCH:,} jobs; enqueue_many sends any number")
    return list(map(_new, batch, itertools.count(), new_ids(len(batch))))


class _Chunks:
    """Groups jobs into batches within the limits of number and bytes."""

    def __init__(self) -> None:
        self.jobs: list[NewJob] = []
        self._size = 0
        self._index = 0

    def add(self, item: ItemLike) -> list[NewJob] | None:
        """Take an item; returns a full batch when the item does not fit into it any more."""
        job = _new(item, self._index)
        self._index += 1
        full = None
        if len(self.jobs) >= MAX_BATCH or self._size + job.size > MAX_BATCH_BYTES:
            full, self.jobs, self._size = self.jobs, [], 0
        self.jobs.append(job)
        self._size += job.size
        return full


def _ended(job_id: str, outcome: Outcome | None) -> tuple[bool, object]:
    """Return whether a job has ended, and its result. Raises `JobNotFound` or `JobFailed`."""
    if outcome is None:
        raise JobNotFound(f"there is no job {job_id!r}: it never existed, expired or was deleted")
    status = Status(outcome.status)
    if not status.terminal:
        return False, None
    if status is Status.COMPLETED:
        return True, decode_json(outcome.result) if outcome.result else None
    raise JobFailed(f"job {job_id} ended as {status}: {outcome.reason or 'no reason stored'}", state=status)


_POLL_FIRST_S = 0.005
_POLL_MOST_S = 0.1


class Client(_Base):
    """Enqueues and reads jobs from sync code. Threads may share it; a forked child may go on using it.

    ``redis`` is an address (``host:port``, ``unix:/path``, ``embedded``), a URL, or a ready client of
    redis-py; without it ``GQM_REDIS_URL`` is used, else the embedded server of the working folder.
    The keywords are the keys of the ``redis`` section of the configuration.
    """

    def __init__(self, redis: object = None, **options: Unpack[ConnectionOptions]) -> None:
        from gqm.store.sync import Store

        super().__init__(redis, options)
        self._store = Store(self._link)

    def enqueue(self, type_: str, payload: object = None, **options: Unpack[Options]) -> Enqueued:
        """Enqueue a job to run as soon as a slot is free, or once its parents (``depends_on``) have ended.

        Raises `InvalidJob`, `PayloadTooLarge`, `DuplicateJobID`, `DependencyNotFound`, `CyclicDependency`,
        `RedisUnavailable`. After `RedisUnavailable` the job may or may not exist.
        """
        job = new_job(type_, payload, options)
        return _made(job, self._store.run(self._enqueue(job)))

    def enqueue_at(
        self, type_: str, payload: object, when: datetime | float, **options: Unpack[Options]
    ) -> Enqueued:
        """Enqueue a job to run at a time: a datetime with zone, or unix seconds. A past time means now."""
        job = new_job(type_, payload, options)
        return _made(job, self._store.run(self._enqueue_at(job, when)))

    def enqueue_in(
        self, type_: str, payload: object, delay: float | timedelta, **options: Unpack[Options]
    ) -> Enqueued:
        """Enqueue a job to run after a delay in seconds (or a timedelta), by the clock of Redis."""
        job = new_job(type_, payload, options)
        return _made(job, self._store.run(self._enqueue_in(job, delay)))

    def enqueue_batch(self, items: Iterable[ItemLike]) -> list[Enqueued]:
        """Enqueue up to 1000 jobs in one call, all or nothing.

        ``depends_on``, ``unique`` and ``enqueue_at_front`` are not possible here. An empty batch sends
        nothing. Raises as `enqueue`, naming the item; and `BatchTooLarge`.
        """
        jobs = _new_batch(items)
        if not jobs:
            return []
        self._store.run(self._enqueue_batch(jobs))
        return [_made(job, Status.READY) for job in jobs]

    def enqueue_many(self, items: Iterable[ItemLike]) -> Iterator[list[Enqueued]]:
        """Enqueue any number of jobs in batches of up to 1000, yielding what each batch made.

        It is a generator: nothing is sent until it is iterated. Each batch is all or nothing; when one is
        refused, those before it stay.
        """
        chunks = _Chunks()
        for item in items:
            full = chunks.add(item)
            if full is not None:
                yield self._send_chunk(full)
        if chunks.jobs:
            yield self._send_chunk(chunks.jobs)

    def _send_chunk(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        self._store.run(self._enqueue_batch(jobs))
        return [_made(job, Status.READY) for job in jobs]

    def get(self, job_id: str) -> Job | None:
        """Return a job as it stands, ``None`` if it never existed, expired or was deleted."""
        return self._store.run(self._get(job_id))

    def wait(self, job_id: str, timeout: float | None = None) -> object:
        """Wait until a job has ended and return its result.

        Raises `JobFailed` if it ended in any other way than ``completed``, `JobNotFound` if there is no such
        job (with ``result_ttl=0`` it is gone as soon as it has ended), ``TimeoutError`` after ``timeout``
        seconds.
        """
        backoff = _wait_backoff(timeout)
        while True:
            ended, result = _ended(job_id, self._store.run(self._get_outcome(job_id)))
            if ended:
                return result
            time.sleep(_pause(backoff, job_id, timeout))

    def close(self) -> None:
        """Close the connections, and leave an embedded server."""
        self._store.close()
        if self._link.close is not None:
            self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class AsyncClient(_Base):
    """Enqueues and reads jobs from asyncio code, on one event loop; calls and options as `Client`."""

    def __init__(self, redis: object = None, **options: Unpack[ConnectionOptions]) -> None:
        from gqm.store.aio import AsyncStore

        super().__init__(redis, options)
        self._store = AsyncStore(self._link)

    async def enqueue(self, type_: str, payload: object = None, **options: Unpack[Options]) -> Enqueued:
        """As `Client.enqueue`."""
        job = new_job(type_, payload, options)
        return _made(job, await self._store.run(self._enqueue(job)))

    async def enqueue_at(
        self, type_: str, payload: object, when: datetime | float, **options: Unpack[Options]
    ) -> Enqueued:
        """As `Client.enqueue_at`."""
        job = new_job(type_, payload, options)
        return _made(job, await self._store.run(self._enqueue_at(job, when)))

    async def enqueue_in(
        self, type_: str, payload: object, delay: float | timedelta, **options: Unpack[Options]
    ) -> Enqueued:
        """As `Client.enqueue_in`."""
        job = new_job(type_, payload, options)
        return _made(job, await self._store.run(self._enqueue_in(job, delay)))

    async def enqueue_batch(self, items: Iterable[ItemLike]) -> list[Enqueued]:
        """As `Client.enqueue_batch`."""
        jobs = _new_batch(items)
        return await self._send_chunk(jobs) if jobs else []

    async def enqueue_many(
        self, items: Iterable[ItemLike] | AsyncIterable[ItemLike]
    ) -> AsyncIterator[list[Enqueued]]:
        """As `Client.enqueue_many`; the items may also come from an async iterable."""
        chunks = _Chunks()
        async for item in _aiter(items):
            full = chunks.add(item)
            if full is not None:
                yield await self._send_chunk(full)
        if chunks.jobs:
            yield await self._send_chunk(chunks.jobs)

    async def _send_chunk(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        await self._store.run(self._enqueue_batch(jobs))
        return [_made(job, Status.READY) for job in jobs]

    async def get(self, job_id: str) -> Job | None:
        """As `Client.get`."""
        return await self._store.run(self._get(job_id))

    async def wait(self, job_id: str, timeout: float | None = None) -> object:
        """As `Client.wait`."""
        backoff = _wait_backoff(timeout)
        while True:
            ended, result = _ended(job_id, await self._store.run(self._get_outcome(job_id)))
            if ended:
                return result
            await asyncio.sleep(_pause(backoff, job_id, timeout))

    async def close(self) -> None:
        """Close the connections, and leave an embedded server."""
        await self._store.close()
        if self._link.close is not None:
            self._link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


def _wait_backoff(timeout: float | None) -> Backoff:
    until = float("inf") if timeout is None else time.monotonic() + timeout
    return Backoff(until, first_s=_POLL_FIRST_S, most_s=_POLL_MOST_S)


def _pause(backoff: Backoff, job_id: str, timeout: float | None) -> float:
    pause = backoff.pause(time.monotonic())
    if pause is None:
        raise TimeoutError(f"job {job_id} did not end within {timeout:g} s")
    return pause


async def _aiter(items: Iterable[ItemLike] | AsyncIterable[ItemLike]) -> AsyncIterator[ItemLike]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
