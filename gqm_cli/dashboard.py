"""``gqm dashboard export``: the dashboard's files in a folder of one's own, to change them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from gqm_cli.diagnostics import CommandFailed
from gqm_cli.output import counted, note, printable


def export(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Folder for the files; made if missing.")],
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Write into a folder that is not empty; its files of the same names are replaced."
        ),
    ] = False,
) -> None:
    """Write the files of the web dashboard into a folder, as a start for one's own.

    \f
    gqm dashboard export ./my-dashboard
    """
    from gqm import __version__
    from gqm.monitor.static import built_in_folder

    source, target = built_in_folder(), Path(folder)
    names = sorted(
        path.relative_to(source)
        for path in source.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(source).parts)
    )
    if not names:
        raise CommandFailed("this installation of GQM has no dashboard files")
    _check(target, folder, force)
    for name in names:
        _write(source / name, target / name)
    note(printable(f"wrote {counted(len(names), 'file')} of version {__version__} to {folder}"))
    note(printable(f'to use them, set in gqm.yaml: monitoring.dashboard.custom_dir: "{folder}"'))


def _check(target: Path, folder: str, force: bool) -> None:
    """Refuse what would overwrite something unasked. Raises `CommandFailed`."""
    if target.exists() and not target.is_dir():
        raise CommandFailed(f"{folder} is a file; nothing was written")
    if target.is_dir() and any(target.iterdir()) and not force:
        raise CommandFailed(f"{folder} is not empty; nothing was written, --force replaces its files")


def _write(source: Path, target: Path) -> None:
    """Put a file in its place in one step; a link that stands there is replaced, not followed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.gqm-new")
    try:
        shutil.copyfile(source, beside)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
