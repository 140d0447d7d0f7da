"""The process behind ``gqm demo``: it serves as ``gqm run`` does, and feeds itself with jobs.

It is started by the command and ends with it: when the pipe on its standard input closes, for whatever
reason, it stops, and it removes what the demo has on disk.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import NoReturn

from gqm_cli.demo_folder import DemoFolder
from gqm_cli.demo_traffic import traffic
from gqm_cli.diagnostics import Session, guard

_FEED_END_S = 5.0


def main(arguments: list[str]) -> NoReturn:
    """Run; ``arguments``: folder, seed, rate, then any of ``temporary`` and ``debug``."""
    path, seed, rate, *words = arguments
    folder = DemoFolder(Path(path), temporary="temporary" in words)
    stop = threading.Event()
    threading.Thread(target=_follow, args=(stop,), daemon=True).start()
    try:
        status = guard(Session(debug="debug" in words), lambda: _serve(folder, int(seed), float(rate), stop))
    finally:
        folder.clear()
    sys.exit(status)


def _follow(stop: threading.Event) -> None:
    """Stop this process when the one that started it lets go of the pipe, or is gone."""
    while os.read(0, 1):  # not through sys.stdin, whose lock would be held at the end of the interpreter
        pass
    stop.set()
    os.kill(os.getpid(), signal.SIGTERM)


def _serve(folder: DemoFolder, seed: int, rate: float, stop: threading.Event) -> None:
    import typer

    from gqm_cli.demo_feed import Feed
    from gqm_cli.diagnostics import FAILED
    from gqm_cli.serving import Plan, serve

    plan = Plan(os.fspath(folder.config), None, (), None, None, "text")
    feed = Feed(plan.load(), traffic(seed, rate), stop)
    feeding = threading.Thread(target=feed.run, name="demo feed", daemon=True)
    feeding.start()
    try:
        forced = serve(plan, 0)
    finally:
        stop.set()
        feeding.join(_FEED_END_S)
    if forced:
        raise typer.Exit(FAILED)


if __name__ == "__main__":
    main(sys.argv[1:])
