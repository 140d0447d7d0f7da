"""``gqm cron``: the schedules, and firing, stopping or removing one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from gqm_cli import completion
from gqm_cli.connection import chosen_config
from gqm_cli.operating import chosen_name, operator
from gqm_cli.options import ConfigFile, Json, RedisURL
from gqm_cli.output import clock, note, printable, say, say_encoded, table

if TYPE_CHECKING:
    from gqm.admin import CronSwitched
    from gqm.store.read.cron import CronView

EntryId: TypeAlias = Annotated[
    str, typer.Argument(metavar="ID", autocompletion=completion.cron_ids, help="Id of the cron entry.")
]


def list_entries(json: Json = False, config: ConfigFile = None, redis_url: RedisURL = None) -> None:
    """List the cron entries that servers have registered, with their last and next times.

    \f
    gqm cron list
    gqm cron list --json
    """
    from gqm.store.read.cron import list_cron

    with operator(chosen_config(config, redis_url)) as acting:
        found = acting.read(list_cron(acting.store.keys))
    if json:
        say_encoded({"cron": [_described(entry) for entry in found.entries]})
        return
    head = ("ID", "SCHEDULE", "ZONE", "TYPE", "QUEUE", "STATE", "LAST", "NEXT", "LAST_JOB")
    table(head, [_row(entry) for entry in found.entries])
    if found.truncated:
        note(f"showing {len(found.entries):,} of {found.total:,} entries")


def _described(entry: CronView) -> CronView:
    import msgspec

    from gqm.monitor.cronwords import in_words

    return msgspec.structs.replace(entry, description=in_words(entry.cron_expr))


def _row(entry: CronView) -> tuple[str, ...]:
    state = "orphaned" if entry.orphaned else "enabled" if entry.enabled else "disabled"
    last_job = entry.last_job.status if entry.last_job else "-"
    times = (clock(entry.last_run), clock(None if entry.orphaned else entry.next_run))
    return (
        *(entry.id, entry.cron_expr, entry.timezone, entry.job_type, entry.queue),
        *(state, *times, last_job),
    )


def trigger(
    entry_id: EntryId, json: Json = False, config: ConfigFile = None, redis_url: RedisURL = None
) -> None:
    """Make a job of an entry now, also of a disabled one, and print the job's id.

    \f
    gqm cron trigger sync-crm
    """
    entry = chosen_name("ID", entry_id, None)
    with operator(chosen_config(config, redis_url)) as acting:
        done = acting.admin.cron.trigger(entry)
    if json:
        say_encoded(done)
    else:
        say(done.job_id)


def enable(
    entry_id: EntryId, json: Json = False, config: ConfigFile = None, redis_url: RedisURL = None
) -> None:
    """Let a disabled entry fire again, from its next time on.

    \f
    gqm cron enable sync-crm
    """
    entry = chosen_name("ID", entry_id, None)
    with operator(chosen_config(config, redis_url)) as acting:
        _tell(acting.admin.cron.enable(entry), json)


def disable(
    entry_id: EntryId, json: Json = False, config: ConfigFile = None, redis_url: RedisURL = None
) -> None:
    """Keep an entry from firing, on all servers, also after they start anew.

    \f
    gqm cron disable sync-crm
    """
    entry = chosen_name("ID", entry_id, None)
    with operator(chosen_config(config, redis_url)) as acting:
        _tell(acting.admin.cron.disable(entry), json)


def _tell(done: CronSwitched, json: bool) -> None:
    if json:
        say_encoded(done)
        return
    state = "enabled" if done.enabled else "disabled"
    upcoming = f", next at {clock(done.next_run)}" if done.next_run is not None else ""
    if done.changed:
        note(printable(f'{state} cron entry "{done.cron_id}"{upcoming}'))
    else:
        note(printable(f'cron entry "{done.cron_id}" was {state} already{upcoming}'))


def delete(
    entry_id: EntryId, json: Json = False, config: ConfigFile = None, redis_url: RedisURL = None
) -> None:
    """Delete an orphaned entry: one that no server has in its configuration any more. Its jobs stay.

    \f
    gqm cron delete old-report
    """
    entry = chosen_name("ID", entry_id, None)
    with operator(chosen_config(config, redis_url)) as acting:
        done = acting.admin.cron.delete(entry)
    if json:
        say_encoded(done)
    else:
        note(printable(f'deleted cron entry "{entry}"'))
