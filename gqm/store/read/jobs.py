"""Lists of jobs in any state: pages, filters and sorts; and everything about a single job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import UNSET

from gqm.job import decode_json
from gqm.store.command import Command, as_dict, call, texts
from gqm.store.commands.read import read_jobs, server_time, to_float
from gqm.store.plan import Plan, ask
from gqm.store.read.listing import Listing, Part, Window
from gqm.store.read.match import JobFilter
from gqm.store.read.names import queue_names
from gqm.store.read.record import (
    MAX_CHILDREN,
    ROW_FIELDS,
    STALE_AFTER_S,
    Beside,
    Kin,
    detail_view,
    error_type,
    list_view,
    row_fields,
    status_of,
)
from gqm.store.read.scan import MAX_SCAN
from gqm.store.read.sources import (
    FAILED_BESIDE,
    Gathered,
    Places,
    gather_deferred,
    gather_failed,
    gather_running,
    needs_queues,
    places,
)
from gqm.store.read.views import Attempt, JobPage, JobView, Page
from gqm.store.scripts import script

if TYPE_CHECKING:
    from gqm.keys import Keys


ROWS_AT_ONCE = 50
"""Each of them may wait for a thousand parents."""


def list_jobs(
    keys: Keys, wanted: JobFilter, window: Window, *, stale_after_s: float = STALE_AFTER_S
) -> Plan[JobPage]:
    """Return one page of the jobs that match.

    By time, without a filter that reads jobs, the page is exact at any size; else at most 10,000 jobs or one
    second are looked at, the newest first, and the page says when that was not all. Ids whose job is gone are
    passed over. Raises `InvalidQuery` for what is out of range or too wide.
    """
    wanted.check()
    window.check()
    queues = wanted.queue
    if needs_queues(wanted):
        queues = tuple((yield from queue_names(keys)).names)
    listing = Listing(keys, wanted, window)
    part = yield from _find(keys, listing, wanted, places(keys, wanted, queues))
    jobs, now_s = yield from list_rows(keys, [hit.id for hit in part.hits], stale_after_s)
    return page_of(part, window, jobs, now_s)


def page_of(part: Part, window: Window, jobs: Sequence[JobView], now_s: float) -> JobPage:
    """Return a page of jobs."""
    return Page(
        items=jobs,
        page=window.page,
        limit=window.limit,
        total=part.total,
        truncated=part.truncated,
        scanned=UNSET if part.scanned is None else part.scanned,
        server_time=now_s,
    )


def _find(keys: Keys, listing: Listing, wanted: JobFilter, found: Places) -> Plan[Part]:
    match, budget = listing.match, listing.budget
    piles = []
    if found.running:
        piles.append((yield from gather_running(keys, found.running, match, budget)))
    if found.deferred:
        piles.append((yield from gather_deferred(keys, match, budget)))
    if found.failed:
        asked = bool(wanted.status)
        failed = yield from gather_failed(keys, match, budget, MAX_SCAN if asked else FAILED_BESIDE)
        # Only other programs make such jobs; a list that does not name the state shows those it meets.
        piles.append(failed if asked else Gathered(failed.hits, failed.total, False))
    timed = wanted.since is not None or wanted.until is not None
    if listing.reads_all or (timed and any(source.kind == "list" for source in found.whole)):
        return (yield from listing.filtered([*found.whole, *found.shared], piles))
    return (yield from listing.exact(found.whole, found.shared, piles))


# --------------------------------------------------------------------------------------- rows by id


def list_rows(keys: Keys, job_ids: Sequence[str], stale_after_s: float) -> Plan[tuple[list[JobView], float]]:
    """Return jobs by id as a list shows them, without those that are gone; and the server's time."""
    now_s = 0.0 if job_ids else (yield from ask(server_time(keys)))
    jobs = []
    for start in range(0, len(job_ids), ROWS_AT_ONCE):
        part = job_ids[start : start + ROWS_AT_ONCE]
        answer = yield from ask(read_jobs(keys, part, ROW_FIELDS))
        now_s = answer.now_s
        for job_id, row in zip(part, answer.rows, strict=True):
            fields = row_fields(row.values)
            if status_of(fields):
                beside = Beside(
                    now_s, row.payload_bytes, row.score, row.lease, sorted(row.pending), stale_after_s
                )
                jobs.append(list_view(job_id, fields, beside))
    return jobs, now_s


# --------------------------------------------------------------------------------------- single jobs


class JobDetail(NamedTuple):
    """One job with all that is known about it."""

    job: JobView
    server_time: float


def get_job(keys: Keys, job_id: str, *, stale_after_s: float = STALE_AFTER_S) -> Command[JobDetail | None]:
    """Return a job with all that is known about it; ``None`` if there is none."""

    def read(raw: Any) -> JobDetail | None:
        now_ms, flat, score, lease, pending, ttl, child_count, children = raw
        fields = as_dict(flat)
        if not fields:
            return None
        beside = Beside(
            now_ms / 1000,
            len(fields.get(b"payload", b"")),
            to_float(score),
            to_float(lease),
            sorted(texts(pending)),
            stale_after_s,
        )
        kin = Kin(ttl, child_count, sorted(texts(children))[:MAX_CHILDREN])
        return JobDetail(detail_view(job_id, fields, beside, kin), beside.now_s)

    # More children than are shown are read, so that the same ones are shown each time.
    args = (keys.prefix, job_id, 10 * MAX_CHILDREN)
    return call(script("read_job"), (keys.job(job_id),), args, read)


class _StoredAttempt(msgspec.Struct):
    """An entry of the attempts list, as far as it is known."""

    attempt: int = 0
    outcome: str = ""
    counted: bool = True
    started_at: int = 0
    ended_at: float = 0.0
    duration_ms: int = 0
    worker_id: str = ""
    error: str = ""


def list_attempts(keys: Keys, job_id: str) -> Command[list[Attempt]]:
    """Return the ended attempts of a job, newest first, at most 20; none if the job is gone."""
    return Command(("LRANGE", keys.attempts(job_id), 0, 19), _attempts)


def _attempts(raw: list[bytes]) -> list[Attempt]:
    found = []
    for entry in raw:
        try:
            stored = msgspec.convert(decode_json(entry), _StoredAttempt, strict=False)
        except (ValueError, msgspec.ValidationError):
            continue  # written by somebody else; one strange entry must not hide the others
        found.append(Attempt(**msgspec.structs.asdict(stored), error_type=error_type(stored.error)))
    return found
