"""Commands of the scheduler: promote what is due, and sweep away what has no job or server behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from gqm.store.command import Command, call, optional, texts
from gqm.store.scripts import script

if TYPE_CHECKING:
    from gqm.keys import Keys

MAX_PROMOTE = 500
"""Most jobs of one promote call."""
MAX_SWEEP = 500
"""Most members that one step of a sweep looks at."""
MAX_DAG_SWEEP = 200
"""Most waiting jobs that one step of the graph's sweep judges."""


class Promoted(NamedTuple):
    """Answer of one promote call."""

    moved: int
    dropped: int
    """Ids without a job that waits for its time."""
    next_due: float | None
    """When the next job falls due (unix seconds of the server's clock); None = no further job waits."""
    more: bool
    """Whether another call would move more at once."""
    broken: list[str]
    """Ready lists of a wrong Redis type; the jobs of their queues stay scheduled."""
    now_ms: int
    """The server's clock, unix milliseconds."""


def promote(keys: Keys, limit: int = MAX_PROMOTE) -> Command[Promoted]:
    """Move up to ``limit`` due jobs to their ready lists, in due order."""
    return call(script("promote"), (keys.scheduled,), (keys.prefix, limit), _promoted)


def _promoted(raw: Any) -> Promoted:
    moved, dropped, next_due, more, broken, now_ms = raw
    return Promoted(moved, dropped, float(next_due) if next_due else None, bool(more), texts(broken), now_ms)


class Swept(NamedTuple):
    """Answer of one step of a sweep."""

    removed: int
    cursor: str
    """Where the next step goes on; empty = the pass is over."""


Terminal = Literal["completed", "dead_letter", "canceled"]
Registry = Literal["servers", "workers"]


def sweep_terminal(
    keys: Keys, queue: str, which: Terminal, cursor: str = "", limit: int = MAX_SWEEP
) -> Command[Swept]:
    """Take ids whose job is gone out of a terminal set of a queue: one step of a pass over the whole set.

    An empty cursor begins a pass at a random place; the pass visits every member once.
    """
    names = {"completed": keys.completed, "dead_letter": keys.dead_letter, "canceled": keys.canceled}
    return _sweep(keys, names[which](queue), "zset", "job:", cursor, limit)


def sweep_registry(keys: Keys, which: Registry, cursor: str = "", limit: int = MAX_SWEEP) -> Command[Swept]:
    """Take servers or pools whose record has expired out of their registry: one step of a pass."""
    if which == "servers":
        return _sweep(keys, keys.servers, "set", "server:", cursor, limit)
    return _sweep(keys, keys.workers, "set", "worker:", cursor, limit)


def _sweep(keys: Keys, key: str, kind: str, middle: str, cursor: str, limit: int) -> Command[Swept]:
    return call(
        script("sweep"),
        (key,),
        (keys.prefix, kind, middle, cursor, limit),
        lambda raw: Swept(raw[0], raw[1].decode()),
    )


def sweep_roots(keys: Keys, cursor: str = "", limit: int = MAX_SWEEP) -> Command[Swept]:
    """Take roots of job graphs out whose job is gone, and list the new roots: one step of a pass."""
    return call(
        script("sweep_roots"),
        (keys.dag_roots,),
        (keys.prefix, cursor, limit),
        lambda raw: Swept(raw[0], raw[2].decode()),
    )


class Mended(NamedTuple):
    """Answer of one step of the graph's sweep."""

    released: int
    canceled: int
    removed: int
    """Ids that were not of a waiting job."""
    cursor: str
    """Where the next step goes on; empty = the pass is over."""


def sweep_dag(
    keys: Keys, cursor: str = "", limit: int = MAX_DAG_SWEEP, *, failure_ttl: int | None = None
) -> Command[Mended]:
    """Judge jobs that wait for parents which ended untold or are missing: one step of a pass."""
    return call(
        script("dag_sweep"),
        (keys.deferred,),
        (keys.prefix, cursor, limit, optional(failure_ttl)),
        lambda raw: Mended(raw[0], raw[1], raw[2], raw[3].decode()),
    )
