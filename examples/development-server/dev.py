"""Runs ``gqm run`` and restarts its processes, one after the other, whenever a Python file here changes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gqm

HERE = Path(__file__).resolve().parent
REDIS = f"embedded://{HERE / '.gqm'}"
LIMIT_S = 30.0


def times() -> dict[Path, int]:
    """Return when each Python file here was last changed."""
    return {path: path.stat().st_mtime_ns for path in HERE.rglob("*.py")}


@contextmanager
def watched_server() -> Iterator[subprocess.Popen[bytes]]:
    """Run the server while entered, and restart it when a file changes."""
    process = subprocess.Popen([sys.executable, "-m", "gqm_cli", "run", "gqm.yaml"], cwd=HERE)
    over = threading.Event()

    def watch() -> None:
        before = times()
        while not over.wait(0.2):
            now = times()
            if now != before:
                before = now
                print("dev: a file has changed, restarting", flush=True)
                process.send_signal(signal.SIGUSR2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield process
    finally:
        over.set()
        watcher.join()
        process.terminate()
        process.wait()


def greeted(client: gqm.Client) -> str:
    """Run one job and return what it says."""
    return str(client.wait(client.enqueue("greet", {"name": "ana"}).id, timeout=LIMIT_S))


def show() -> None:
    """Change the code under a running server, and wait until the new code answers."""
    jobs = HERE / "jobs.py"
    text = jobs.read_text(encoding="utf-8")
    with gqm.Client(REDIS) as client:
        print("dev: a job says", greeted(client), flush=True)
        jobs.write_text(text.replace('"hello"', '"good morning"'), encoding="utf-8")
        try:
            deadline = time.monotonic() + LIMIT_S
            while "good morning" not in (said := greeted(client)):
                if time.monotonic() > deadline:
                    raise TimeoutError("the new code was not loaded")
                time.sleep(0.1)
            print("dev: a job says", said, flush=True)
        finally:
            jobs.write_text(text, encoding="utf-8")


def main() -> None:
    """Show a change being picked up; with ``--watch`` go on until Ctrl-C."""
    with watched_server() as process:
        if "--watch" not in sys.argv:
            show()
            return
        try:
            process.wait()
        except KeyboardInterrupt:
            print("dev: stopping")


if __name__ == "__main__":
    main()
