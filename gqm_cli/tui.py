"""``gqm tui``: starts the terminal UI, which knows the REST API and nothing of this package."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gqm_cli import completion
from gqm_cli.diagnostics import CommandFailed, SettingsBroken
from gqm_cli.output import warn

if TYPE_CHECKING:
    from gqm_tui.options import RunOptions


def tui(
    api_url: Annotated[
        str | None,
        typer.Option(
            "--api-url", metavar="URL", help="Address of the REST API (default: http://127.0.0.1:8080)."
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            "--api-key",
            metavar="KEY",
            help="API key. Other users of this machine can see it; better set GQM_API_KEY.",
        ),
    ] = None,
    api_key_file: Annotated[
        str | None, typer.Option("--api-key-file", metavar="FILE", help="File that holds the API key.")
    ] = None,
    context: Annotated[
        str | None, typer.Option("--context", metavar="NAME", help="A server of tui.toml, by name.")
    ] = None,
    interval: Annotated[
        float | None,
        typer.Option("--interval", metavar="S", help="Seconds between two looks (default: 1)."),
    ] = None,
    tab: Annotated[
        str | None,
        typer.Option(
            "--tab", metavar="NAME", autocompletion=completion.tabs, help="Tab to begin with, such as failed."
        ),
    ] = None,
    theme: Annotated[
        str | None, typer.Option("--theme", metavar="NAME", help="Colours, such as gqm-light.")
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Offer no action that changes anything.")
    ] = False,
    tui_config: Annotated[
        str | None,
        typer.Option("--tui-config", metavar="FILE", help="Settings (default: ~/.config/gqm/tui.toml)."),
    ] = None,
) -> None:
    """Watch and operate queues, jobs, workers and schedules on the terminal.

    Needs the REST API of a running server. A server that is away is no error: the screen says so, and goes on
    when it is back.

    \f
    gqm tui
    gqm tui --api-url https://queue.example:8080 --api-key-file ~/.gqm-key
    gqm tui --context prod --tab failed --read-only
    """
    from gqm_tui.options import RunOptions

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandFailed(
            'tui needs a terminal; for programs there are "gqm queue list --json" and the like'
        )
    if api_key is not None:
        warn("other users of this machine can see --api-key; set GQM_API_KEY, or use --api-key-file")
    status = _run(
        RunOptions(
            api_url=api_url,
            api_key=api_key,
            api_key_file=_path(api_key_file),
            context=context,
            interval=interval,
            tab=tab,
            theme=theme,
            read_only=read_only,
            tui_config=_path(tui_config),
        )
    )
    if status:
        raise typer.Exit(status)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text).expanduser()


def _run(options: RunOptions) -> int:
    """Run the terminal UI and return its exit code. Raises `SettingsBroken`."""
    import gqm_tui
    from gqm_tui.core.tomlcheck import SettingsError

    try:
        return gqm_tui.run(options)
    except SettingsError as exc:
        raise SettingsBroken(tuple(str(problem) for problem in exc.problems)) from exc
