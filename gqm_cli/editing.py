"""What the commands that edit a configuration file share: names, and the report at the end."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from gqm_cli.diagnostics import WrongUse
from gqm_cli.options import given_once
from gqm_cli.output import note, printable

if TYPE_CHECKING:
    from gqm.config.formats import Format
    from gqm_cli.config_file import Written

RESTART = "restart running servers for it to take effect"


class Role(enum.StrEnum):
    """What somebody may do."""

    ADMIN = "admin"
    VIEWER = "viewer"


def given_name(what: str, argument: str | None, option: str | None, form: Format) -> str:
    """Return the name that a command line gives, as an argument or as an option. Raises `WrongUse`."""
    name = given_once(what, argument, option)
    if not form.accepts(name):
        raise WrongUse(f'{what} "{name[:80]}": {form.text}')
    return name


def report(file: str, written: Written, *lines: str) -> None:
    """Tell on stderr what was done to a file, and what is still left to do with it."""
    for line in lines:
        note(printable(line))
    if written.narrowed:
        note(printable(f"{file} can now be read by its owner only (mode 0600)"))
    for problem in written.left:
        note(str(problem))
    note(RESTART)
