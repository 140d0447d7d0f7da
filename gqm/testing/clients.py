"""Clients of an inline queue: those of `gqm.client`, with the queue's memory in the place of Redis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from gqm.client import AsyncClient, Client
from gqm.job import Job, NewJob, Status
from gqm.keys import Keys
from gqm.store.command import Command
from gqm.store.commands.enqueue import enqueue, enqueue_batch
from gqm.store.commands.jobs import Outcome, get_job, get_outcome

if TYPE_CHECKING:
    from gqm.store.aio import AsyncStore
    from gqm.store.commands.enqueue import Mode
    from gqm.store.sync import Store
    from gqm.testing.memory import Answer, Fields

T = TypeVar("T")


class Backend(Protocol):
    """What the clients ask of the queue."""

    def take_in(self, job: NewJob, mode: Mode, when_ms: int) -> Answer:
        """Store a job."""

    def take_in_batch(self, jobs: Sequence[NewJob]) -> tuple[int, Answer] | None:
        """Store jobs, all or none."""

    def fields(self, job_id: str) -> Fields | None:
        """Return what is stored of a job."""

    def after_call(self) -> None:
        """A client has done something."""

    async def after_async_call(self) -> None:
        """An async client has done something."""

    def before_wait(self, job_id: str) -> None:
        """A client is going to wait for a job."""

    async def before_async_wait(self, job_id: str) -> None:
        """An async client is going to wait for a job."""


class _Asks:
    """Where the clients of `gqm.client` name what they ask of Redis, these ask the backend.

    The commands are the real ones, so that their builders refuse what they refuse; only their ``read`` is
    replaced: it does the work when the store "runs" the command, and gives the script's answers to the
    original for their errors.
    """

    _backend: Backend
    _keys: Keys

    def _enqueue(self, job: NewJob, mode: Mode = "now", when_ms: int = 0) -> Command[Status]:
        command = enqueue(self._keys, job, mode=mode, when_ms=when_ms)

        def read(_: object) -> Status:
            word, detail = self._backend.take_in(job, mode, when_ms)
            return Status(detail) if word == "ok" else command.read([word.encode(), detail.encode()])

        return command._replace(read=read)

    def _enqueue_batch(self, jobs: Sequence[NewJob]) -> Command[int]:
        command = enqueue_batch(self._keys, jobs)

        def read(_: object) -> int:
            refused = self._backend.take_in_batch(jobs)
            if refused is None:
                return len(jobs)
            index, (word, detail) = refused
            return command.read([word.encode(), index, detail.encode()])

        return command._replace(read=read)

    def _get(self, job_id: str) -> Command[Job | None]:
        return _reading(get_job(self._keys, job_id), lambda: self._backend.fields(job_id) or {})

    def _get_outcome(self, job_id: str) -> Command[Outcome | None]:
        def values() -> list[bytes | None]:
            stored = self._backend.fields(job_id) or {}
            return [stored.get(name) for name in (b"status", b"result", b"error", b"cancel_reason")]

        return _reading(get_outcome(self._keys, job_id), values)


def _reading(command: Command[T], raw: Callable[[], Any]) -> Command[T]:
    return command._replace(read=lambda _: command.read(raw()))


class _SyncShell:
    """Stands where the client has its store."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def run(self, command: Command[T]) -> T:
        answer = command.read(None)
        self._backend.after_call()
        return answer


class _AsyncShell:
    """Stands where the async client has its store."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def run(self, command: Command[T]) -> T:
        answer = command.read(None)
        await self._backend.after_async_call()
        return answer


class InlineClient(_Asks, Client):
    """A `gqm.Client` of an inline queue."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._keys = Keys("gqm:")
        self._store = cast("Store", _SyncShell(backend))

    def wait(self, job_id: str, timeout: float | None = None) -> object:
        """Run what is due, then return the job's result. Raises ``TimeoutError`` if it has not ended."""
        self._backend.before_wait(job_id)
        return super().wait(job_id, timeout)

    def close(self) -> None:
        """There is nothing to be closed."""


class InlineAsyncClient(_Asks, AsyncClient):
    """A `gqm.AsyncClient` of an inline queue."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._keys = Keys("gqm:")
        self._store = cast("AsyncStore", _AsyncShell(backend))

    async def wait(self, job_id: str, timeout: float | None = None) -> object:
        """Run what is due, then return the job's result. Raises ``TimeoutError`` if it has not ended."""
        await self._backend.before_async_wait(job_id)
        return await super().wait(job_id, timeout)

    async def close(self) -> None:
        """There is nothing to be closed."""
