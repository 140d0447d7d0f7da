"""Completion in bash, zsh and fish: its scripts, and the words that come from the configuration file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import typer

from gqm_cli.diagnostics import CommandFailed
from gqm_cli.options import DEFAULT_FILE
from gqm_cli.output import note, say

if TYPE_CHECKING:
    from gqm.config import Config

VARIABLE = "_GQM_COMPLETE"
"""The shells' scripts set it to ask for words instead of running a command."""
_SHELLS = ("bash", "zsh", "fish")


def prepare() -> None:
    """Make the shells known; it is needed only while `VARIABLE` is set, and for their scripts."""
    from typer._completion_classes import completion_init

    completion_init()


def show() -> None:
    """Print the script for the present shell."""
    from typer._completion_shared import get_completion_script

    say(get_completion_script(prog_name="gqm", complete_var=VARIABLE, shell=_shell()).strip())


def install() -> None:
    """Write the script where the present shell finds it."""
    from typer import _completion_shared

    shell, path = _completion_shared.install(shell=_shell(), prog_name="gqm", complete_var=VARIABLE)
    note(f"completion for {shell} is in {path}; it works in new terminals")


def _shell() -> str:
    """Return the shell that this process was started from. Raises `CommandFailed`."""
    import shellingham  # type: ignore[import-untyped]  # comes with Typer, without types

    try:
        name = str(shellingham.detect_shell()[0])
    except shellingham.ShellDetectionFailure:
        name = os.path.basename(os.environ.get("SHELL", ""))
    if name not in _SHELLS:
        raise CommandFailed("completion is for bash, zsh and fish; run this in one of them")
    return name


# ------------------------------------------------------------------------- words from the file


def users(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the user names of the configuration file."""
    return _words(ctx, incomplete, lambda config: (user.username for user in config.monitoring.auth.users))


def api_keys(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the API keys of the configuration file."""
    return _words(ctx, incomplete, lambda config: (key.name for key in config.monitoring.api.api_keys))


def queues(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the queues of the configuration file."""
    return _words(ctx, incomplete, lambda config: ("default", *(queue.name for queue in config.queues)))


def job_types(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the job types that pools and cron entries of the configuration file name."""

    def named(config: Config) -> Iterable[str]:
        yield from (type_ for pool in config.pools for type_ in pool.job_types if type_ != "*")
        yield from (entry.job_type for entry in config.scheduler.cron_entries)

    return _words(ctx, incomplete, named)


def cron_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the cron entries of the configuration file."""
    return _words(ctx, incomplete, lambda config: (entry.id for entry in config.scheduler.cron_entries))


def states(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the states of jobs."""
    from gqm.job import Status

    return [state.value for state in Status if state.value.startswith(incomplete)]


def tabs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the tabs of the terminal UI."""
    from gqm_tui.core.config import TABS

    return [name for name in TABS if name.startswith(incomplete)]


def _words(ctx: typer.Context, incomplete: str, names: Callable[[Config], Iterable[str]]) -> list[str]:
    from gqm.config import load_config
    from gqm.errors import ConfigError

    file = ctx.params.get("config") or DEFAULT_FILE
    try:
        config = load_config(str(file))
    except ConfigError:
        return []  # a broken file completes to nothing; its commands say what is wrong
    return sorted({name for name in names(config) if name.startswith(incomplete)})
