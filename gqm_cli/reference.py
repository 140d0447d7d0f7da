"""Writes the reference of all commands into ``docs/cli.md``: ``python -m gqm_cli.reference docs/cli.md``."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gqm_cli.main import app
from gqm_cli.output import note
from gqm_cli.program import Group

if TYPE_CHECKING:
    # As in `gqm_cli.program`: Typer has no public names for these.
    from typer._click import Command as AnyCommand
    from typer._click import Context

BEGIN, END = "<!-- commands: written by python -m gqm_cli.reference -->", "<!-- end of commands -->"
_WIDTH = 78  # what a terminal of 80 columns leaves


def helps() -> Iterator[tuple[str, str]]:
    """Yield each command that is shown, ``gqm`` first, with its help as a terminal of 80 columns shows it."""
    root = typer.main.get_command(app)
    # Headings are bold where stdout is a terminal; here it is none.
    with contextlib.redirect_stdout(io.StringIO()):
        context = root.make_context("gqm", [], resilient_parsing=True, terminal_width=_WIDTH)
        yield from list(_helps(root, context))


def _helps(command: AnyCommand, context: Context) -> Iterator[tuple[str, str]]:
    yield context.command_path, context.get_help()
    if not isinstance(command, Group):
        return
    for name in command.list_commands(context):
        member = command.get_command(context, name)
        assert member is not None
        if not member.hidden:
            yield from _helps(member, member.make_context(name, [], context, resilient_parsing=True))


def reference() -> str:
    """Return the reference as Markdown."""
    parts = [f"### {path}\n\n```text\n{text.rstrip()}\n```\n" for path, text in helps()]
    return "\n".join(parts)


def with_reference(document: str) -> str:
    """Return a document with the reference between its marks. Raises ``ValueError`` if they are missing."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the document has no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


def main() -> None:
    """Write the reference into the document that the command line names."""
    path = Path(sys.argv[1])
    path.write_text(with_reference(path.read_text("utf-8")), "utf-8")
    note(f"wrote {path}")


if __name__ == "__main__":
    main()
