"""Where the jobs of each state are: the containers that a list of jobs has to walk over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gqm.errors import InvalidQuery
from gqm.job import Status
from gqm.store.commands.read import (
    MAX_HASHES,
    Order,
    Range,
    read_hashes,
    read_ranges,
    scan_keys,
    scan_set,
    set_size,
)
from gqm.store.plan import Plan, ask
from gqm.store.read.match import JobFilter, Match
from gqm.store.read.scan import Budget, Hit, Scan, Source, gather

if TYPE_CHECKING:
    from gqm.keys import Keys

MAX_PAIRS = 500
"""Most pairs of state and queue of one list."""
MAX_WIDE = 20_000
"""The same where everything is looked at in any case."""
FAILED_BESIDE = 2000
"""Keys that are looked at for failed jobs when no state was asked for: only other programs make such jobs."""

_JOB_ID = re.compile(r"[A-Za-z0-9._-]+")
_BY_QUEUE = {Status.READY, Status.COMPLETED, Status.DEAD_LETTER, Status.CANCELED, Status.STOPPED}


@dataclass(slots=True)
class Places:
    """What a list walks over."""

    whole: list[Source]
    """Containers in which every id counts: their sizes are the number of jobs."""
    shared: list[Source]
    """Containers that also hold jobs of other states or queues: only reading them tells which ones count."""
    running: list[Source]
    """Running jobs by deadline; a list shows them by start."""
    deferred: bool = False
    failed: bool = False


def places(keys: Keys, wanted: JobFilter, queues: Sequence[str], most: int = MAX_PAIRS) -> Places:
    """Return the containers of the wanted states. Raises `InvalidQuery` for more than ``most`` of them."""
    states = frozenset(wanted.statuses())
    found = Places([], [], [], Status.DEFERRED in states, Status.FAILED in states)
    window = score_window(wanted)
    for queue in queues:
        if Status.READY in states:
            found.whole.append(Source(keys.ready(queue), "list", _words(Status.READY)))
        if Status.PROCESSING in states:
            found.running.append(Source(keys.processing(queue), "zset", _words(Status.PROCESSING)))
        for status, key in (
            (Status.COMPLETED, keys.completed(queue)),
            (Status.DEAD_LETTER, keys.dead_letter(queue)),
        ):
            if status in states:
                found.whole.append(Source(key, "zset", _words(status), False, False, *window))
        _add_pair(found, states, (Status.CANCELED, Status.STOPPED), keys.canceled(queue), window)
    shared = bool(wanted.queue)
    _add_pair(found, states, (Status.SCHEDULED, Status.RETRY), keys.scheduled, window, shared)
    count = len(found.whole) + len(found.shared) + len(found.running)
    if count > most:
        raise InvalidQuery(
            f"that is {count:,} pairs of state and queue, at most {most:,} can be merged; "
            "name fewer states or queues"
        )
    return found


def needs_queues(wanted: JobFilter) -> bool:
    """Whether the names of all queues are needed to find the jobs."""
    return not wanted.queue and any(s in _BY_QUEUE or s is Status.PROCESSING for s in wanted.statuses())


def _add_pair(
    found: Places,
    states: frozenset[Status],
    pair: tuple[Status, Status],
    key: str,
    window: tuple[str, str],
    shared: bool = False,
) -> None:
    """Add a container that holds the jobs of two states."""
    meant = [status for status in pair if status in states]
    if not meant:
        return
    source = Source(key, "zset", _words(*meant), shared, False, *window)
    (found.whole if len(meant) == len(pair) and not shared else found.shared).append(source)


def _words(*states: Status) -> frozenset[bytes]:
    return frozenset(status.encode() for status in states)


def score_window(wanted: JobFilter) -> tuple[str, str]:
    """Return the least and the greatest score that a time filter lets through."""
    least = "-inf" if wanted.since is None else f"{wanted.since:.6f}"
    greatest = "+inf" if wanted.until is None else f"{wanted.until:.6f}"
    return least, greatest


# --------------------------------------------------------------------------------- places without order


@dataclass(slots=True)
class Gathered:
    """Jobs of a place that had to be read whole."""

    hits: list[Hit]
    total: int
    """How many there are; a lower bound when `truncated`."""
    truncated: bool


def gather_running(keys: Keys, sources: Sequence[Source], match: Match, budget: Budget) -> Plan[Gathered]:
    """Read the running jobs, those with the latest deadlines first."""
    scan = Scan(keys, sources, match, "desc", budget)
    hits = yield from gather(scan)
    total = len(hits)
    if scan.truncated and not match.reads_hashes:
        sizes = yield from ask(read_ranges(keys, [Range(s.key, s.kind, "desc", 0, 0) for s in sources]))
        total = max(total, sum(found.size for found in sizes))
    return Gathered(hits, total, scan.truncated)


def gather_deferred(keys: Keys, match: Match, budget: Budget) -> Plan[Gathered]:
    """Read the jobs that wait for parents, in no order."""
    hits: list[Hit] = []
    cursor = "0"
    while budget.left:
        step = yield from ask(scan_set(keys.deferred, cursor, min(MAX_HASHES, budget.left)))
        hits += yield from look_at(keys, step.names, Status.DEFERRED, match, budget)
        cursor = step.cursor
        if cursor == "0":
            return Gathered(hits, len(hits), False)
    size = yield from ask(set_size(keys.deferred))
    exact = not match.reads_hashes and not match.wanted.queue and not match.wanted.q
    return Gathered(hits, size if exact else len(hits), True)


def gather_failed(keys: Keys, match: Match, budget: Budget, most: int) -> Plan[Gathered]:
    """Look through the key space for jobs in state failed: no container holds them.

    At most about ``most`` keys are looked at.
    """
    hits: list[Hit] = []
    cursor = "0"
    looked_at = 0
    while budget.left and looked_at < most:
        step = yield from ask(scan_keys(key_pattern(keys.job("")), cursor, MAX_HASHES))
        looked_at += MAX_HASHES
        hits += yield from look_at(keys, job_ids_of(keys, step.names), Status.FAILED, match, budget)
        cursor = step.cursor
        if cursor == "0":
            return Gathered(hits, len(hits), False)
    return Gathered(hits, len(hits), True)


def job_ids_of(keys: Keys, names: Sequence[str]) -> list[str]:
    """Return the job ids among key names; keys of another kind are left out."""
    begin = len(keys.job(""))
    return [name[begin:] for name in names if _JOB_ID.fullmatch(name[begin:])]


def look_at(keys: Keys, ids: Sequence[str], state: Status, match: Match, budget: Budget) -> Plan[list[Hit]]:
    """Return the jobs in a state that match."""
    hits: list[Hit] = []
    word = state.encode()
    fitting = [job_id for job_id in dict.fromkeys(ids) if match.id_fits(job_id)]
    for start in range(0, len(fitting), MAX_HASHES):
        part = fitting[start : start + MAX_HASHES]
        rows = yield from ask(read_hashes(keys, [keys.job(job_id) for job_id in part], match.fields))
        budget.spent += len(part)
        for job_id, values in zip(part, rows, strict=True):
            if values[0] == word and match.queue_fits(values) and match.fits(values):
                time_s = match.time_s(values, 0.0)
                if match.time_fits(time_s):
                    hits.append(Hit(time_s, job_id, values))
    return hits


def key_pattern(prefix: str, tail: str = "") -> str:
    """Return a glob pattern for all keys that begin with one text and end with another."""
    return re.sub(r"([*?\[\]\\^-])", r"\\\1", prefix) + "*" + tail


def sort_of(order: str) -> Order:
    """Return an order by its word. Raises `InvalidQuery`."""
    if order == "asc":
        return "asc"
    if order == "desc":
        return "desc"
    raise InvalidQuery(f"order must be asc or desc, not {order!r}")
