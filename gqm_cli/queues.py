"""``gqm queue``: what waits where, and stopping, resuming or emptying a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from gqm_cli import completion
from gqm_cli.connection import chosen_config
from gqm_cli.operating import chosen_name, operator
from gqm_cli.options import ConfigFile, DryRun, Json, RedisURL, Yes
from gqm_cli.output import counted, note, printable, say, say_encoded, table
from gqm_cli.prompts import check_askable, confirm

if TYPE_CHECKING:
    from gqm.admin import Emptied
    from gqm.config import Config
    from gqm.store.read.queues import QueueView
    from gqm_cli.operating import Operator

Name: TypeAlias = Annotated[
    str | None, typer.Argument(metavar="NAME", autocompletion=completion.queues, help="Name of the queue.")
]
NameOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", autocompletion=completion.queues, help="The same as an option."),
]

_HEAD = (
    *("QUEUE", "STATE", "READY", "PROCESSING", "SCHEDULED", "RETRY", "DEFERRED"),
    *("DEAD_LETTER", "COMPLETED", "OLDEST"),
)


def list_queues(json: Json = False, config: ConfigFile = None, redis_url: RedisURL = None) -> None:
    """List the queues, with the number of jobs in each state and the age of the next job to run.

    \f
    gqm queue list
    gqm queue list --json
    """
    from gqm.store.read.queues import list_queues

    with operator(chosen_config(config, redis_url)) as acting:
        found = acting.read(list_queues(acting.store.keys))
    if json:
        say_encoded({"queues": [_with_priority(queue, acting.config) for queue in found.queues]})
        return
    table(_HEAD, [_row(queue) for queue in found.queues], numbers=_HEAD[2:])
    if found.truncated:
        note(f"showing {len(found.queues):,} of {found.total:,} queues")


def _with_priority(queue: QueueView, config: Config) -> QueueView:
    import msgspec

    priorities = {entry.name: entry.priority for entry in config.queues}
    return msgspec.structs.replace(queue, priority=priorities.get(queue.name))


def _row(queue: QueueView) -> tuple[str, ...]:
    from gqm.config import format_duration

    age_ms = queue.oldest_age_ms
    sizes = (
        *(queue.ready, queue.processing, queue.scheduled, queue.retry, queue.deferred),
        *(queue.dead_letter, queue.completed),
    )
    oldest = "-" if age_ms is None else format_duration(age_ms // 1000)
    return (queue.name, "paused" if queue.paused else "active", *map(str, sizes), oldest)


def pause(
    name: Name = None,
    name_option: NameOption = None,
    json: Json = False,
    config: ConfigFile = None,
    redis_url: RedisURL = None,
) -> None:
    """Keep every server from starting jobs of a queue. Running jobs go on; new ones are accepted and wait.

    \f
    gqm queue pause mail
    """
    queue = chosen_name("NAME", name, name_option)
    with operator(chosen_config(config, redis_url)) as acting:
        done = acting.admin.pause(queue)
    if json:
        say_encoded(done)
    else:
        note(printable(f'paused queue "{queue}"' if done.changed else f'queue "{queue}" was paused already'))


def resume(
    name: Name = None,
    name_option: NameOption = None,
    json: Json = False,
    config: ConfigFile = None,
    redis_url: RedisURL = None,
) -> None:
    """Let servers start jobs of a paused queue again.

    \f
    gqm queue resume mail
    """
    queue = chosen_name("NAME", name, name_option)
    with operator(chosen_config(config, redis_url)) as acting:
        done = acting.admin.resume(queue)
    if json:
        say_encoded(done)
    else:
        note(printable(f'resumed queue "{queue}"' if done.changed else f'queue "{queue}" was not paused'))


def empty(
    name: Name = None,
    name_option: NameOption = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    config: ConfigFile = None,
    redis_url: RedisURL = None,
) -> None:
    """Cancel the ready jobs of a queue, and print how many.

    Canceled jobs can be looked at, and retried, until they expire.

    \f
    gqm queue empty mail --dry-run
    gqm queue empty mail --yes
    """
    from gqm.job import Status

    queue = chosen_name("NAME", name, name_option)
    if not dry_run:
        check_askable(yes=yes)
    with operator(chosen_config(config, redis_url)) as acting:
        found = acting.admin.preview_queue(queue, Status.READY)
        jobs = f'{counted(found.matched, "ready job")} of "{queue}"'
        if dry_run:
            if json:
                say_encoded(found)
            else:
                say(printable(f"{jobs} would be canceled"))
            return
        if found.matched:
            confirm(f"Cancel {jobs}", yes=yes)
        done = _empty(acting, queue, found.matched)
    if json:
        say_encoded(done)
    else:
        say(f"{done.removed:,} canceled")


def _empty(acting: Operator, queue: str, most: int) -> Emptied:
    """Cancel about as many jobs as were shown; a call ends after some seconds, and leaves the rest."""
    import msgspec

    done = acting.admin.empty(queue)
    removed = done.removed
    while done.remaining and removed < most:
        done = acting.admin.empty(queue)
        removed += done.removed
    return msgspec.structs.replace(done, removed=removed)
