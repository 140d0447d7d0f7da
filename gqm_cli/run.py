"""``gqm run``: from one configuration file to a server that runs until a signal ends it."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from gqm_cli.diagnostics import FAILED, Session, WrongUse
from gqm_cli.options import ConfigArgument, ConfigFile, chosen_file


class LogLevel(enum.StrEnum):
    """Levels of the log, from most to least talkative."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class LogFormat(enum.StrEnum):
    """Forms of the log: for people, or for programs."""

    TEXT = "text"
    JSON = "json"


def run(
    ctx: typer.Context,
    config: ConfigArgument = None,
    config_option: ConfigFile = None,
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes",
            metavar="N",
            min=0,
            max=64,
            help="Engine processes, each with all pools; 0: one per CPU (default: app.processes).",
        ),
    ] = None,
    handlers: Annotated[
        list[str] | None,
        typer.Option(
            "--handlers", metavar="MODULE", help="Module with handlers, beside app.handlers; may be repeated."
        ),
    ] = None,
    api: Annotated[
        bool | None,
        typer.Option("--api/--no-api", help="Serve the REST API or not, whatever the file says."),
    ] = None,
    log_level: Annotated[
        LogLevel | None,
        typer.Option(
            "--log-level",
            case_sensitive=False,
            metavar="LEVEL",
            help="debug, info, warn or error (default: app.log_level).",
        ),
    ] = None,
    log_format: Annotated[
        LogFormat,
        typer.Option(
            "--log-format",
            envvar="GQM_LOG_FORMAT",
            show_envvar=False,
            case_sensitive=False,
            metavar="FORMAT",
            help="text or json (default: GQM_LOG_FORMAT, else text).",
        ),
    ] = LogFormat.TEXT,
    wait_redis: Annotated[
        float,
        typer.Option(
            "--wait-redis",
            metavar="SECONDS",
            min=0,
            help="How long to wait for a Redis that is away (default: 0).",
        ),
    ] = 0,
) -> None:
    """Run jobs until a signal stops it.

    Imports the modules with handlers, connects to Redis, and runs jobs, delayed jobs and schedules as the
    configuration file says. SIGTERM or Ctrl-C stops it: no new jobs, and running ones get
    app.shutdown_timeout to end. A second signal cuts that short and ends with 1.

    \f
    gqm run
    gqm run deploy/gqm.yaml --processes 4
    gqm run --handlers myapp.jobs --log-level debug
    """
    from gqm_cli.serving import Plan, serve

    for name in handlers or ():
        if not all(part.isidentifier() for part in name.split(".")):
            raise WrongUse(f'--handlers {name}: not a module name; write it like "myapp.jobs"')
    session = ctx.find_object(Session) or Session()
    plan = Plan(
        chosen_file(config, config_option),
        processes,
        tuple(handlers or ()),
        api,
        LogLevel.DEBUG if session.debug else log_level,
        log_format,
    )
    if serve(plan, wait_redis):
        raise typer.Exit(FAILED)
