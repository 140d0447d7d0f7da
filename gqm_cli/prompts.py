"""Asking on the terminal: passwords without echo, yes or no; and what stands for that where there is none."""

from __future__ import annotations

import sys

from gqm_cli.diagnostics import CommandFailed, WrongUse
from gqm_cli.output import printable

_MOST_BYTES = 65_536


def ask_password() -> str:
    """Prompt for a password, twice. Raises `WrongUse` without a terminal, `CommandFailed` on a mismatch."""
    import getpass

    if not sys.stdin.isatty():
        raise WrongUse("there is no terminal to ask on; give the password with --stdin")
    password = getpass.getpass("Password: ", stream=sys.stderr)
    if getpass.getpass("Repeat: ", stream=sys.stderr) != password:
        raise CommandFailed("the two passwords differ; nothing was changed")
    return password


def read_line(what: str) -> str:
    """Return the first line of stdin; nothing but its line end is removed. Raises `CommandFailed`."""
    line = sys.stdin.buffer.readline(_MOST_BYTES)
    try:
        return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        raise CommandFailed(f"stdin is not UTF-8 text; expected {what}") from None


def check_askable(*, yes: bool) -> None:
    """Raise `WrongUse` if somebody will have to be asked, and there is no terminal for it."""
    if not yes and not sys.stdin.isatty():
        raise WrongUse("there is no terminal to ask on; say --yes")


def confirm(question: str, *, yes: bool) -> None:
    """Ask for a yes, unless it was said. Raises `WrongUse` without a terminal, `CommandFailed` on no."""
    check_askable(yes=yes)
    if yes:
        return
    sys.stderr.write(f"{printable(question)}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandFailed("not confirmed; nothing was changed", code="DECLINED")
