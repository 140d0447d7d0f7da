"""``gqm job``: listing jobs, looking at one, and retrying, canceling or deleting those that are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from gqm_cli import completion
from gqm_cli.bulk import act
from gqm_cli.connection import chosen_config
from gqm_cli.operating import operator
from gqm_cli.options import ConfigFile, DryRun, Json, RedisURL, Yes
from gqm_cli.output import clock, counted, note, printable, say, say_encoded, table
from gqm_cli.selection import chosen_jobs, job_filter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gqm.store.read.match import JobFilter
    from gqm.store.read.views import JobView
    from gqm_cli.operating import Operator

JobId: TypeAlias = Annotated[str, typer.Argument(metavar="ID", help="Id of the job.")]
JobIds: TypeAlias = Annotated[
    list[str] | None, typer.Argument(metavar="[ID ...]", help="Ids of the jobs; or use a filter.")
]
Statuses: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--status",
        metavar="STATE",
        autocompletion=completion.states,
        help="State, such as dead_letter; a list with commas, or repeated.",
    ),
]
Queues: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--queue", metavar="NAME", autocompletion=completion.queues, help="Queue; may be repeated."),
]
Types: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        metavar="TYPE",
        autocompletion=completion.job_types,
        help="Job type, or the start of one as in mail.*; may be repeated.",
    ),
]
ErrorText: TypeAlias = Annotated[
    str | None, typer.Option("--error", metavar="TEXT", help="A part of the error text, in any case.")
]
ActLimit: TypeAlias = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=1, help="At most so many jobs, the oldest (default: all)."),
]

_MOST_LISTED = 10_000
_PER_PAGE = 100
_TIMES = ("created_at", "scheduled_at", "started_at", "completed_at", "due_at", "expires_at")


def list_jobs(
    status: Statuses = None,
    queue: Queues = None,
    type_: Types = None,
    error: ErrorText = None,
    limit: Annotated[
        int,
        typer.Option(
            "--limit", metavar="N", min=1, max=_MOST_LISTED, help="At most so many jobs (default: 20)."
        ),
    ] = 20,
    json: Json = False,
    config: ConfigFile = None,
    redis_url: RedisURL = None,
) -> None:
    """List jobs, the newest first; without a filter of all states and queues.

    \f
    gqm job list --status dead_letter --queue mail
    gqm job list --type 'report.*' --limit 100 --json
    """
    wanted = job_filter(status, queue, type_, error)
    with operator(chosen_config(config, redis_url)) as acting:
        jobs, total, truncated = _read(acting, wanted, limit)
    if json:
        say_encoded({"jobs": jobs, "total": total})
    else:
        head = ("ID", "TYPE", "QUEUE", "STATUS", "ATTEMPT", "CREATED", "ERROR")
        table(head, [_row(job) for job in jobs], numbers=("ATTEMPT",))
    if truncated:
        note("not all jobs could be looked at in time; there may be more than this")
    elif not json and total > len(jobs):
        note(f"showing {len(jobs):,} of {counted(total, 'job')}; --limit shows more")


def _read(acting: Operator, wanted: JobFilter, limit: int) -> tuple[list[JobView], int, bool]:
    """Return up to ``limit`` jobs, how many there are, and whether that is a lower bound."""
    from gqm.store.read.jobs import list_jobs
    from gqm.store.read.listing import Window

    found: dict[str, JobView] = {}
    per_page = min(limit, _PER_PAGE)
    number = 0
    while True:
        number += 1
        page = acting.read(list_jobs(acting.store.keys, wanted, Window(number, per_page)))
        found.update((job.id, job) for job in page.items)
        if len(page.items) < per_page or number * per_page >= limit:
            return list(found.values())[:limit], page.total, page.truncated


def _row(job: JobView) -> tuple[str, ...]:
    error = job.error if isinstance(job.error, str) else ""
    first_line = error.partition("\n")[0]
    return (job.id, job.type, job.queue, job.status, str(job.attempt), clock(job.created_at), first_line)


def show(job_id: JobId, json: Json = False, config: ConfigFile = None, redis_url: RedisURL = None) -> None:
    """Show everything about a job.

    \f
    gqm job show inv-20931
    gqm job show inv-20931 --json
    """
    from gqm.errors import JobNotFound
    from gqm.ids import check_job_id
    from gqm.store.read.jobs import get_job

    check_job_id(job_id)
    with operator(chosen_config(config, redis_url)) as acting:
        found = acting.store.run(get_job(acting.store.keys, job_id))
    if found is None:
        raise JobNotFound(f"there is no job {job_id!r}: it never existed, expired or was deleted")
    if json:
        say_encoded({"job": found.job})
        return
    rows = list(_facts(found.job))
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        for index, line in enumerate(text.splitlines() or [""]):
            say(f"{'' if index else name:{width}}  {printable(line)}".rstrip())


def _facts(job: JobView) -> Iterator[tuple[str, str]]:
    """Yield what is known about a job, by name; times in the zone of this machine."""
    import msgspec

    for name, value in msgspec.structs.asdict(job).items():
        if value is msgspec.UNSET:
            continue
        if name in _TIMES:
            yield name, clock(value)
        elif isinstance(value, str):
            yield name, value
        elif isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
            yield name, ", ".join(value) or "-"
        else:
            yield name, msgspec.json.format(msgspec.json.encode(value), indent=-1).decode()


def retry(
    job_ids: JobIds = None,
    status: Statuses = None,
    queue: Queues = None,
    type_: Types = None,
    error: ErrorText = None,
    limit: ActLimit = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    config: ConfigFile = None,
    redis_url: RedisURL = None,
) -> None:
    """Run ended jobs again, or waiting ones (scheduled, retry) now, and print how many.

    \f
    gqm job retry inv-20931
    gqm job retry --status dead_letter --queue mail --dry-run
    gqm job retry --status dead_letter --error timeout --yes
    """
    chosen = chosen_jobs(job_ids, job_filter(status, queue, type_, error), limit)
    act("retry", chosen, chosen_config(config, redis_url), yes=yes, dry_run=dry_run, json=json)


def cancel(
    job_ids: JobIds = None,
    status: Statuses = None,
    queue: Queues = None,
    type_: Types = None,
    error: ErrorText = None,
    limit: ActLimit = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    config: ConfigFile = None,
    redis_url: RedisURL = None,
) -> None:
    """Cancel jobs that have not ended, with the jobs that need them, and print how many.

    Running handlers are told to stop.

    \f
    gqm job cancel inv-20931
    gqm job cancel --status ready,scheduled --type report.build --yes
    """
    chosen = chosen_jobs(job_ids, job_filter(status, queue, type_, error), limit)
    act("cancel", chosen, chosen_config(config, redis_url), yes=yes, dry_run=dry_run, json=json)


def delete(
    job_ids: JobIds = None,
    status: Statuses = None,
    queue: Queues = None,
    type_: Types = None,
    error: ErrorText = None,
    limit: ActLimit = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    config: ConfigFile = None,
    redis_url: RedisURL = None,
) -> None:
    """Delete jobs that do not run, with all that belongs to them, and print how many.

    \f
    gqm job delete inv-20931
    gqm job delete --status dead_letter --queue mail --yes
    """
    chosen = chosen_jobs(job_ids, job_filter(status, queue, type_, error), limit)
    act("delete", chosen, chosen_config(config, redis_url), yes=yes, dry_run=dry_run, json=json)
