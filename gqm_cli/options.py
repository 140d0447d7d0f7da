"""Options and arguments that several commands share, declared once so that they mean the same everywhere."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from gqm_cli.diagnostics import WrongUse

DEFAULT_FILE = "gqm.yaml"

Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

ConfigFile: TypeAlias = Annotated[
    str | None,
    typer.Option("--config", "-c", metavar="FILE", help="Configuration file (default: gqm.yaml)."),
]
RedisURL: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--redis-url",
        metavar="URL",
        help="Redis without a configuration file; with a password, set GQM_REDIS_URL instead.",
    ),
]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Only tell what would be done; nothing is changed.")
]
ConfigArgument: TypeAlias = Annotated[
    str | None,
    typer.Argument(metavar="[CONFIG]", help="Configuration file (default: gqm.yaml)."),
]


def chosen_file(argument: str | None, option: str | None) -> str:
    """Return the configuration file that a command line names. Raises `WrongUse` if it names two."""
    if argument is not None and option is not None and argument != option:
        raise WrongUse(f"CONFIG is {argument} and --config is {option}; give one of them")
    return argument or option or DEFAULT_FILE


def given_once(what: str, argument: str | None, option: str | None) -> str:
    """Return what a command line gives as an argument or as an option, ``USER`` or ``--user``.

    Raises `WrongUse` if it is missing, or given twice and different.
    """
    if argument is not None and option is not None and argument != option:
        raise WrongUse(f"{what} is given twice: {argument} and {option}")
    name = argument if argument is not None else option
    if name is None:
        raise WrongUse(f"{what} is missing; give it as the argument or as --{what.lower()}")
    return name


def has_password(url: str) -> bool:
    """Whether a Redis URL brings a password along."""
    from urllib.parse import parse_qs, urlsplit

    try:
        parts = urlsplit(url)
    except ValueError:
        return "@" in url
    return parts.password is not None or "password" in parse_qs(parts.query)
