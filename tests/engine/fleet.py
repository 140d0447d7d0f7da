"""A program with a supervisor, run by its tests: ``python -m tests.engine.fleet FOLDER N ADDRESS PREFIX``.

What its engine processes do is read from files of the folder, so that a test can change it while they run.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
import sys
import time
from pathlib import Path

import gqm
from gqm.errors import StartFailed
from gqm.supervisor import Supervisor
from tests.engine import poison

DEPLOYED = "VERSION = {version!r}\ndef version(job):\n    return VERSION\n"


def make(folder: Path, address: str, prefix: str) -> gqm.Server:
    """Return the server of an engine process."""
    text = f"{os.getpid()} %(levelname)s %(message)s"
    logging.basicConfig(level=logging.INFO, format=text, stream=sys.stderr)
    misbehave(folder)
    sys.path.insert(0, str(folder))
    server = gqm.Server(
        address, prefix=prefix, shutdown_timeout=float(option(folder, "stop", "5")), grace_period=0.2
    )
    server.handle("version", importlib.import_module("deployed").version)
    for name in ("pid", "sleeps", "polite", "blocks"):
        server.handle(name, poison.ALL[name])
    isolation = "process" if option(folder, "isolation", "thread") == "process" else "thread"
    server.pool("p", ["*"], concurrency=4, isolation=isolation, retry={"backoff_base": 0})
    return server


def misbehave(folder: Path) -> None:
    """Fail as the file ``mode`` says."""
    mode = option(folder, "mode", "")
    if mode.startswith("second "):
        try:
            (folder / "first").touch(exist_ok=False)
        except FileExistsError:
            mode = mode.removeprefix("second ")
    if mode == "refuse":
        raise gqm.RegistrationError("there is no such handler")
    if mode == "import":
        importlib.import_module("no_such_module")
    if mode == "exit":
        os._exit(3)
    if mode == "quit":
        sys.exit("no licence")
    if mode == "slow":
        (folder / "slow").touch()
        time.sleep(30)


def option(folder: Path, name: str, default: str) -> str:
    """Content of a file of the folder."""
    path = folder / name
    return path.read_text() if path.exists() else default


def main() -> None:
    """Run until a signal; tell the test on stdout how it went."""
    folder, number, address, prefix = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    logging.basicConfig(level=logging.INFO, format="supervisor %(levelname)s %(message)s", stream=sys.stderr)
    server = gqm.Server(address, prefix=prefix, shutdown_timeout=float(option(folder, "stop", "5")))
    supervisor = Supervisor(server, functools.partial(make, folder, address, prefix), number)

    def ready(supervisor: Supervisor) -> None:
        if option(folder, "mode", "") == "no port":
            raise OSError("the port is taken")
        tell("ready", *supervisor.server_ids)

    try:
        total = supervisor.run(ready)
    except StartFailed as exc:
        tell("failed", exc.error or "-", str(exc))
        raise SystemExit(1) from None
    tell("stopped", total.finished, total.handed_back, total.abandoned, supervisor.forced)


def tell(*words: object) -> None:
    """Write a line for the test."""
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # Engine processes look for `make` in a module, not in the main program.
    from tests.engine import fleet

    fleet.main()
