"""``gqm check``: every mistake of a configuration file in one go, for people and for programs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from gqm_cli.diagnostics import CONFIG
from gqm_cli.options import ConfigArgument, ConfigFile, Json, chosen_file
from gqm_cli.output import say, say_json

if TYPE_CHECKING:
    from gqm.config import CheckReport, Config


def check(
    config: ConfigArgument = None,
    config_option: ConfigFile = None,
    handlers: Annotated[
        bool, typer.Option("--handlers", help="Import app.handlers too, and compare them with the pools.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")] = False,
    json: Json = False,
) -> None:
    """Find every mistake in a configuration file, each with line and column.

    Nothing is imported or connected to, unless --handlers asks for the imports. Ends with 0 if a server would
    start, with 3 if there are errors or secrets still to be filled in.

    \f
    gqm check
    gqm check deploy/gqm.yaml --handlers --strict
    """
    report = _report(chosen_file(config, config_option), handlers=handlers, json=json)
    ok = report.counts.ok and not (strict and report.counts.warnings)
    if json:
        say_json({**report.counts.as_json(), "ok": ok})
    else:
        for line in report.lines:
            say(line)
    if not ok:
        raise typer.Exit(CONFIG)


def _report(file: str, *, handlers: bool, json: bool) -> CheckReport:
    """Check a file. One that cannot be read at all is no result: its `ConfigError` goes on, save for JSON."""
    from gqm.config import check_report, load_config
    from gqm.errors import ConfigError

    try:
        config = load_config(file)
        return check_report(_with_handlers(config) if handlers else config)
    except ConfigError as exc:
        report = check_report(exc)
        if not json and report.counts.problems[0].rule == "R1":
            raise
        return report


def _with_handlers(config: Config) -> Config:
    """Return the configuration with what its handlers give reason to warn of.

    Raises `ConfigError` if one of their modules cannot be used.
    """
    from gqm.config import Level, Place, Problem
    from gqm.engine.plan import plan_pools
    from gqm.errors import ConfigError, RegistrationError
    from gqm_cli.handlers import HandlersBroken, import_handlers, register
    from gqm_cli.startup import handler_warnings

    def problem(level: Level, text: str) -> Problem:
        return Problem(level, "", Place(config.file), "app.handlers", text)

    try:
        registry = register(import_handlers(config))
        found = list(handler_warnings(config, plan_pools(config, registry), registry))
    except (HandlersBroken, RegistrationError) as exc:
        broken = problem(Level.ERROR, str(exc))
        raise ConfigError(problems=(broken, *config.incomplete, *config.warnings)) from exc
    return replace(config, warnings=(*config.warnings, *(problem(Level.WARNING, text) for text in found)))
