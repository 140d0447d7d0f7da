"""The command ``gqm``: its table of commands, and the options that every command takes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from gqm_cli.diagnostics import Session
from gqm_cli.output import say
from gqm_cli.program import Entry, Program

__all__ = ["app", "run"]


_QUEUE = (
    Entry("list", "queues:list_queues", "Commands", "List the queues"),
    Entry("pause", "queues:pause", "Commands", "Keep servers from starting jobs of a queue"),
    Entry("resume", "queues:resume", "Commands", "Let servers start jobs of a queue again"),
    Entry("empty", "queues:empty", "Commands", "Cancel the ready jobs of a queue"),
)
_JOB = (
    Entry("list", "jobs:list_jobs", "Commands", "List jobs"),
    Entry("show", "jobs:show", "Commands", "Show everything about a job"),
    Entry("retry", "jobs:retry", "Commands", "Run jobs again, or now"),
    Entry("cancel", "jobs:cancel", "Commands", "Cancel jobs that have not ended"),
    Entry("delete", "jobs:delete", "Commands", "Delete jobs that do not run"),
)
_CRON = (
    Entry("list", "cron:list_entries", "Commands", "List the cron entries"),
    Entry("trigger", "cron:trigger", "Commands", "Make a job of an entry now"),
    Entry("enable", "cron:enable", "Commands", "Let an entry fire"),
    Entry("disable", "cron:disable", "Commands", "Keep an entry from firing"),
    Entry("delete", "cron:delete", "Commands", "Delete an entry that no server has any more"),
)
_DASHBOARD = (Entry("export", "dashboard:export", "Commands", "Write the files into a folder"),)


class Gqm(Program):
    """The program with all its commands."""

    entries = (
        Entry("init", "init:init", "Start", "Write a commented gqm.yaml to begin with"),
        Entry("check", "check:check", "Start", "Find every mistake in a configuration file"),
        Entry("run", "run:run", "Start", "Run jobs until a signal stops it"),
        Entry("demo", "demo:demo", "Start", "Show a whole system at work, with made-up jobs"),
        Entry("tui", "tui:tui", "Start", "Watch and operate it on the terminal"),
        Entry("doctor", "doctor.command:doctor", "Start", "Find what is wrong with an installation"),
        Entry("enqueue", "enqueue:enqueue", "Jobs", "Enqueue a job"),
        Entry("queue", "", "Jobs", "List, pause, resume or empty queues", members=_QUEUE),
        Entry("job", "", "Jobs", "List, show, retry, cancel or delete jobs", members=_JOB),
        Entry("cron", "", "Jobs", "List, trigger, enable, disable or delete schedules", members=_CRON),
        Entry(
            "set-password",
            "users:set_password",
            "Access",
            "Set a user's password, or add a user",
            secret=True,
        ),
        Entry("remove-user", "users:remove_user", "Access", "Remove a user"),
        Entry("list-users", "users:list_users", "Access", "List the users"),
        Entry("add-api-key", "api_keys:add_api_key", "Access", "Add an API key and print it", secret=True),
        Entry("revoke-api-key", "api_keys:revoke_api_key", "Access", "Remove an API key"),
        Entry("list-api-keys", "api_keys:list_api_keys", "Access", "List the API keys"),
        Entry(
            "hash-password",
            "users:hash_password_command",
            "Access",
            "Print the hash of a password",
            secret=True,
        ),
        Entry("generate-api-key", "api_keys:generate_api_key", "Access", "Print a new API key"),
        Entry("reset-password", "users:set_password", "Access", "As set-password", hidden=True, secret=True),
        Entry("dashboard", "", "About", "Write out the web dashboard's files", members=_DASHBOARD),
        Entry("version", "version:version", "About", "Show the version"),
    )


def _show_help(ctx: typer.Context, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        say(ctx.get_help())
        raise typer.Exit


def _note_debug(ctx: typer.Context, value: bool) -> None:
    session = ctx.find_object(Session)
    if value and session is not None:
        session.debug = True


def _show_version(ctx: typer.Context, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from gqm import __version__

        say(f"gqm {__version__}")
        raise typer.Exit


def _install_completion(ctx: typer.Context, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from gqm_cli.completion import install

        install()
        raise typer.Exit


def _show_completion(ctx: typer.Context, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from gqm_cli.completion import show

        show()
        raise typer.Exit


app = typer.Typer(
    name="gqm",
    cls=Gqm,
    # Typer's own options for help and completion would load its validation library for every command.
    add_completion=False,
    add_help_option=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _flag(callback: Callable[[typer.Context, bool], None], text: str, *names: str) -> object:
    return typer.Option(*names, callback=callback, expose_value=False, is_eager=True, help=text)


@app.callback(invoke_without_command=True)
def gqm(
    ctx: typer.Context,
    install_completion: Annotated[
        bool, _flag(_install_completion, "Set up completion for this shell.", "--install-completion")
    ] = False,
    show_completion: Annotated[
        bool, _flag(_show_completion, "Print the completion script for this shell.", "--show-completion")
    ] = False,
    debug: Annotated[bool, _flag(_note_debug, "Show tracebacks.", "--debug")] = False,
    version: Annotated[bool, _flag(_show_version, "Show the version and exit.", "--version")] = False,
    help_: Annotated[bool, _flag(_show_help, "Show this help and exit.", "-h", "--help")] = False,
) -> None:
    """GQM runs jobs from Redis queues: "gqm init" to begin, then "gqm run"."""
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


def _open_streams() -> None:
    """Put nothing in the places of standard streams that whoever started us has closed."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: SIM115 - open to the end


def run() -> None:
    """Run the command line of this process; it ends with the command's exit code."""
    _open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a narrow encoding must not end in a traceback
    app(prog_name="gqm")
