"""The inline queue: clients to enqueue with, a clock to move, jobs to run, look at and assert about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, Unpack

from gqm.client import AsyncClient, Client
from gqm.job import Job, NewJob, Options, Status
from gqm.testing.bench import Bench
from gqm.testing.clients import InlineAsyncClient, InlineClient
from gqm.testing.clock import Clock
from gqm.testing.matching import ANYTHING, Expected, Produced, told
from gqm.testing.runs import Handlers

if TYPE_CHECKING:
    from datetime import datetime, timedelta


class Queue:
    """All queues of a test, in memory. Made by `gqm.testing.inline`."""

    def __init__(
        self,
        handlers: Handlers,
        *,
        immediately: bool = False,
        raise_errors: bool = False,
        start: datetime | float | None = None,
    ) -> None:
        self.clock = Clock(start)
        """The time; it stands still until it is moved."""
        self._bench = Bench(handlers, self.clock, immediately=immediately, raise_errors=raise_errors)
        self.client: Client = InlineClient(self._bench)
        """What the code under test is given in the place of its `gqm.Client`."""
        self.async_client: AsyncClient = InlineAsyncClient(self._bench)
        """The same for code that uses a `gqm.AsyncClient`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._bench.close()

    # ------------------------------------------------------------------------------------ running

    def run_all(self) -> list[Job]:
        """Run every job that is due, also those that come of it, until none is left that can run now.

        Returns the jobs run as they stand after it, in the order of their runs; one that was retried at once
        is there more than once. Raises ``RuntimeError`` inside of a running event loop if a job needs one;
        use `arun_all` there. Raises what a handler raised if the queue was made with ``raise_errors``.
        """
        return self._bench.run_all()

    async def arun_all(self) -> list[Job]:
        """As `run_all`, in the running event loop."""
        return await self._bench.arun_all()

    def drain(self) -> list[Job]:
        """Run everything to its end, moving the clock on to whatever falls due next.

        Returns and raises as `run_all`. Jobs that no pool runs stay.
        """
        return self._bench.drain()

    async def adrain(self) -> list[Job]:
        """As `drain`, in the running event loop."""
        return await self._bench.adrain()

    # ------------------------------------------------------------------------------------ looking

    @property
    def enqueued(self) -> list[Produced]:
        """Everything that was enqueued, also what has ended since."""
        return list(self._bench.enqueued)

    def get(self, job_id: str) -> Job | None:
        """Return a job as it stands; ``None`` if there is none (any more)."""
        return self._bench.get(job_id)

    def jobs(
        self, type_: str | None = None, *, status: Status | str | None = None, queue: str | None = None
    ) -> list[Job]:
        """Return the jobs that are kept, oldest first; those of a type, state or queue if one is given."""
        return [
            job
            for job in self._bench.found(self._bench.memory.ids())
            if (type_ is None or job.type == type_)
            and (status is None or job.status == status)
            and (queue is None or job.queue == queue)
        ]

    def attempts(self, job_id: str) -> list[dict[str, object]]:
        """Return the failed runs of a job, oldest first: ``attempt``, ``outcome``, ``error`` and more."""
        return self._bench.memory.attempts(job_id)

    def due_in(self, job_id: str) -> float | None:
        """Return in how many seconds a job falls due; ``None`` if it does not wait for its time."""
        return self._bench.due_in(job_id)

    # ---------------------------------------------------------------------------------- asserting

    def assert_enqueued(
        self,
        type_: str,
        payload: object = ANYTHING,
        *,
        count: int | None = None,
        at: datetime | float | None = None,
        delay: float | timedelta | None = None,
        **options: Unpack[Options],
    ) -> list[NewJob]:
        """Assert that a job was enqueued: of this type, and with all else that is given here.

        The payload is compared as a whole, as JSON; options are those of `Client.enqueue`. ``at`` is the time
        for which it was enqueued, ``delay`` the seconds until then (0 = at once). ``count`` is how many there
        must be; without it, at least one. Returns those that fit, oldest first.

        Raises ``AssertionError`` telling what there is instead, and `InvalidJob` for what no job could be.
        """
        expected = Expected.make(type_, payload, options, at, delay)
        found = [item for item in self.enqueued if expected.fits(item)]
        if not found and count != 0:
            raise AssertionError(told(expected, "no such job was enqueued", self.enqueued))
        if count is not None and len(found) != count:
            wanted = f"expected {count} such jobs to be enqueued, there are {len(found)}"
            raise AssertionError(told(expected, wanted, self.enqueued))
        return [item.job for item in found]

    def assert_not_enqueued(self, type_: str, payload: object = ANYTHING, **options: Unpack[Options]) -> None:
        """Assert that no such job was enqueued; arguments as of `assert_enqueued`."""
        expected = Expected.make(type_, payload, options, None, None)
        if any(expected.fits(item) for item in self.enqueued):
            raise AssertionError(told(expected, "this was not to be enqueued", self.enqueued))

    def assert_nothing_enqueued(self) -> None:
        """Assert that nothing was enqueued since the start, or since `clear`."""
        if self.enqueued:
            types = ", ".join(item.job.type for item in self.enqueued[:10])
            raise AssertionError(
                f"expected nothing to be enqueued, there are {len(self.enqueued)} jobs: {types}"
            )

    def clear(self) -> None:
        """Forget what was enqueued so far; the jobs stay."""
        self._bench.enqueued.clear()
