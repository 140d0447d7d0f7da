"""``gqm demo``: a whole system with traffic, to look at and to play with; it leaves nothing behind."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gqm_cli.diagnostics import Session
from gqm_cli.output import note, say

if TYPE_CHECKING:
    from gqm_cli.demo_run import Wanted


def demo(
    ctx: typer.Context,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="N",
            min=1,
            max=65535,
            help="Port of API and dashboard (default: the first free one from 8080).",
        ),
    ] = None,
    no_tui: Annotated[
        bool, typer.Option("--no-tui", help="Show the log instead of the terminal UI.")
    ] = False,
    viewer: Annotated[
        bool,
        typer.Option(
            "--viewer",
            help="Require a generated API key that may only look; no dashboard. Without the terminal UI the "
            "key is printed.",
        ),
    ] = False,
    rate: Annotated[
        float,
        typer.Option("--rate", metavar="N", min=0.1, max=1000, help="Jobs per second (default: 20)."),
    ] = 20,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", metavar="N", help="The same number makes the same jobs, one by one (default: 1)."
        ),
    ] = 1,
    duration: Annotated[
        float | None,
        typer.Option("--duration", metavar="SECONDS", min=0, help="Stop by itself after so long."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            metavar="DIR",
            help="Keep configuration, data and log there (default: a temporary folder, removed at the end).",
        ),
    ] = None,
) -> None:
    """Show a whole system at work: queues, workers, schedules, failures, a dashboard.

    Starts a private Redis, two engine processes and the API on this machine alone, and enqueues jobs until
    it is stopped. On a terminal it opens the terminal UI; q ends that and the demo. Nothing is left behind.

    \f
    gqm demo
    gqm demo --no-tui --duration 60
    gqm demo --rate 100 --port 9000
    """
    from gqm_cli.demo_port import reserved_port
    from gqm_cli.demo_run import Wanted

    session = ctx.find_object(Session) or Session()
    key = _new_key() if viewer else ""
    with reserved_port(port) as chosen:
        status = _run(Wanted(seed, rate, duration, session.debug, chosen, key), folder, no_tui=no_tui)
    if status:
        raise typer.Exit(status)


def _run(wanted: Wanted, folder: Path | None, *, no_tui: bool) -> int:
    from gqm_cli.demo_folder import DemoFolder
    from gqm_cli.demo_run import Demo

    has_tui = not no_tui and sys.stdin.isatty() and sys.stdout.isatty()
    with Demo(wanted) as demo, ExitStack() as stack:
        place = DemoFolder.prepare(folder)
        stack.callback(place.clear)
        place.write_config(wanted.config_text())
        note(_first_line(wanted))
        if wanted.viewer_key and not has_tui:
            say(wanted.viewer_key)
            sys.stdout.flush()
        return demo.show(place) if has_tui else demo.follow(place)


def _new_key() -> str:
    import secrets

    return f"gqm_ak_{secrets.token_hex(24)}"


def _first_line(wanted: Wanted) -> str:
    api = f"api {wanted.url}/api/v1"
    if wanted.viewer_key:
        return f"{api}   demo data, loopback only, viewer key required"
    return f"dashboard {wanted.url}/dashboard/   {api}   demo data, loopback only, no password"
