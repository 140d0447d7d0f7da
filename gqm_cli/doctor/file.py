"""Checks of the configuration file: is it there, right and private, and can its handlers be imported."""

from __future__ import annotations

import contextlib
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gqm_cli.doctor.checks import Check, fail, ok, skip, warn
from gqm_cli.output import counted

if TYPE_CHECKING:
    from gqm.config import Config, Problem

_MOST_PROBLEMS = 10
_SECRETS = frozenset(("W1",))
_UNFILLED = frozenset(("N1", "N2", "W8"))
_ELSEWHERE = frozenset(("W6", "W7", "W13"))
"""Rules that other checks tell about, with what they find."""


class FileChecks(NamedTuple):
    """What is known about the configuration after its checks."""

    checks: list[Check]
    config: Config | None
    """None if there is none that could be used."""


def check_file(file: str | None, redis_url: str | None) -> FileChecks:
    """Check the configuration. Raises `WrongUse` for options that do not go together."""
    from gqm.errors import ConfigError
    from gqm_cli.connection import chosen_config
    from gqm_cli.diagnostics import CommandFailed, WrongUse

    try:
        config = chosen_config(file, redis_url)
    except WrongUse:
        raise
    except CommandFailed as exc:
        return FileChecks([fail("file.found", *_split(str(exc)))], None)
    except ConfigError as exc:
        return FileChecks(list(_problems(file, exc)), None)
    if not config.file:
        return FileChecks([skip("file.found", "no file is used")], config)
    return FileChecks(list(_checks(config)), config)


def _split(text: str) -> tuple[str, str]:
    """Return a message as finding and what to do."""
    found, _, fix = text.partition("; ")
    return found, fix


def _problems(file: str | None, error: Exception) -> Iterator[Check]:
    from gqm.config import check_report
    from gqm.errors import ConfigError

    assert isinstance(error, ConfigError)
    *lines, counts = check_report(error).lines
    if not lines:
        yield fail("file.found", *_split(str(error)))
        return
    for line in lines[:_MOST_PROBLEMS]:
        yield fail("file.valid", line)
    if len(lines) > _MOST_PROBLEMS:
        yield fail("file.valid", counts, f"gqm check {file or ''}".rstrip())


def _checks(config: Config) -> Iterator[Check]:
    pools, entries = len(config.pools), len(config.scheduler.cron_entries)
    cron = f"{entries} cron {'entry' if entries == 1 else 'entries'}"
    yield ok("file.valid", f"{config.file} is there and valid: {counted(pools, 'pool')}, {cron}")
    yield _mode(config)
    yield from _secrets(config)
    yield from _handlers(config)


def _mode(config: Config) -> Check:
    path = Path(config.file)
    mode = stat.S_IMODE(path.stat().st_mode)
    wide = f"{config.file} has mode {mode:04o}, other users can read or change it"
    advice = f"chmod 600 {config.file}"
    if not mode & 0o077:
        return ok("file.mode", f"mode {mode:04o}, nobody else reads it")
    if any(problem.rule == "W13" for problem in config.warnings):
        return fail("file.mode", f"{wide}, and it holds secrets", advice)
    return warn("file.mode", wide, advice)


def _secrets(config: Config) -> Iterator[Check]:
    clear = [problem for problem in config.warnings if problem.rule in _SECRETS]
    for problem in clear:
        yield warn("file.secrets", _told(problem))
    if not clear:
        yield ok("file.secrets", "no API key stands in clear")
    unfilled = [*config.incomplete, *(item for item in config.warnings if item.rule in _UNFILLED)]
    for problem in unfilled:
        grave = problem in config.incomplete
        yield (fail if grave else warn)("file.password_hash", *_split(_told(problem)))
    if not unfilled and config.monitoring.auth.users:
        yield ok("file.password_hash", "every user has a password")
    for problem in config.warnings:
        if problem.rule not in _SECRETS | _UNFILLED | _ELSEWHERE:
            yield warn("file.valid", _told(problem))


def _told(problem: Problem) -> str:
    return f"{problem.place}: {problem.path}: {problem.text}"


def _handlers(config: Config) -> Iterator[Check]:
    from gqm.engine.plan import plan_pools
    from gqm.errors import RegistrationError
    from gqm_cli.handlers import HandlersBroken, import_handlers, register
    from gqm_cli.startup import handler_warnings

    modules = ", ".join(config.app.handlers)
    if not modules:
        yield warn("file.handlers", "no handlers, so no job runs here", "name modules in app.handlers")
        return
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what the modules print is no part of the report
            registry = register(import_handlers(config))
        plans = plan_pools(config, registry)
    except (HandlersBroken, RegistrationError) as exc:
        yield fail("file.handlers", str(exc))
        return
    yield ok("file.handlers", f"{counted(len(registry), 'handler')} from {modules}")
    for text in handler_warnings(config, plans, registry):
        yield warn("file.handlers", text)
