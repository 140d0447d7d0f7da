"""Tests of code that enqueues and runs jobs, without Redis, threads or waiting.

An inline queue keeps jobs in memory and runs them in the test's own thread, when the test says so::

    import gqm.testing

    def test_a_new_user_gets_a_mail():
        with gqm.testing.inline(myapp.jobs) as queue:
            signup("ann@example.com", client=queue.client)
            queue.assert_enqueued("email.send", {"to": "ann@example.com"}, queue="mail")
            queue.run_all()
            assert outbox == ["ann@example.com"]

**What runs.** ``inline`` takes a `gqm.Server` (its handlers, pools, retry policies and middleware count), a
module or several with functions that `gqm.handler` marks, or a dict of functions by job type. Without any,
jobs are only recorded. Jobs run one at a time, in the order in which they became ready.

**What is the same as with Redis.** ``queue.client`` and ``queue.async_client`` are a `gqm.Client` and a
`gqm.AsyncClient`: the same checks with the same errors, batches, ``depends_on``, ``unique``, ids used again,
front of the queue, TTLs. Retries, back-off, ``SkipRetry``, ``Retry``, ``is_failure``, callbacks and results
are judged by the engine's own code. `gqm.current_job` holds the running job.

**When it runs.** The code under test enqueues; ``run_all`` runs what is due and what comes of it. With
``immediately=True`` every call of a client does so itself. ``drain`` also moves the clock on until all jobs
have ended. In async tests use ``await queue.arun_all()`` and ``await queue.adrain()``.

**Time.** ``queue.clock`` stands still until the test moves it::

    queue.client.enqueue_in("reminder", {}, 3600)
    queue.run_all()                     # nothing is due
    queue.clock.advance(3600)
    queue.run_all()                     # now it is

**What went wrong.** A handler's error ends its job, as always: look at ``queue.get(id).error``, or at
``queue.jobs(status="dead_letter")``. With ``raise_errors=True`` it is raised in the test as well, after the
job was settled; `SkipRetry` and `Retry` are not.

**What is not here.** Time-outs, process isolation, cron entries, pausing, and two jobs at a time: these are
the engine's, and need a server and Redis. Handlers of process pools run in the test's process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gqm.testing.clock import Clock
from gqm.testing.matching import ANYTHING, Produced
from gqm.testing.queue import Queue
from gqm.testing.runs import Handlers

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["ANYTHING", "Clock", "Handlers", "Produced", "Queue", "inline"]


def inline(
    handlers: Handlers = None,
    *,
    immediately: bool = False,
    raise_errors: bool = False,
    start: datetime | float | None = None,
) -> Queue:
    """Return an inline queue; use it in a ``with`` block.

    ``immediately``: every call of a client runs what is due. ``raise_errors``: what a handler raises is also
    raised by whatever ran it. ``start``: the time at which the queue's clock stands, default now.
    Raises `RegistrationError` if handlers, or handlers and pools, clash.
    """
    return Queue(handlers, immediately=immediately, raise_errors=raise_errors, start=start)
