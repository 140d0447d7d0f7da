"""A program that has everything imported and forks a worker or a producer for each line that it reads.

Usage: ``python -m tests.faults.crew FOLDER``; a line is JSON ``{"role", "options"}``, the answer is the pid.
A member's output goes to ``{pid}.log``, its exit status to ``{pid}.exit``, and a worker writes its server id
to ``{pid}.ready`` once it runs. At the end of the input all members are killed.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvloop

import gqm
import gqm.client
import gqm.server
from gqm.engine.core import Engine
from tests.faults import mix, points

__all__ = ["main"]


class Ready(gqm.Server):
    """A server that leaves its id in a file once it runs, and may die at a point from then on."""

    folder: Path
    kill_at: str

    async def start(self, *, serve_api: bool = True) -> Engine:
        engine = await super().start(serve_api=serve_api)
        asyncio.get_running_loop().call_soon(self._ready, engine.server_id)
        return engine

    def _ready(self, server_id: str) -> None:
        _put(self.folder / f"{os.getpid()}.ready", server_id)
        points.arm(self.kill_at, self.folder)


def worker(folder: Path, options: dict[str, Any]) -> None:
    """Run the handlers of the mix until a signal."""
    effects = mix.Effects(Path(options.pop("effects")))
    pool = {"concurrency": 16, "queues": [mix.QUEUE], "retry": {"backoff_base": 0}, **options.pop("pool", {})}
    entries = options.pop("entries", [])
    more, kill_at = options.pop("handlers", ""), options.pop("kill_at", "")
    server = Ready(options.pop("address"), **options.pop("connection", {}), **options)
    server.folder, server.kill_at = folder, kill_at
    mix.handlers(server, effects)
    if more:
        importlib.import_module(more).handlers(server, effects)
    server.pool("mix", ["*"], **pool)
    for entry in entries:
        server.schedule(**entry)
    server.run()


def producer(folder: Path, options: dict[str, Any]) -> None:
    """Carry out pieces of the mix: ``count`` of them, at ``rate`` a second (0 = as fast as it goes)."""
    stopped = False

    def stop(number: int, frame: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)
    points.arm(options.get("kill_at", ""), folder)
    count, rate = options["count"], options["rate"]
    acks = mix.Acks(Path(options["acks"]))
    begun = time.monotonic()
    connection = options.get("connection", {})
    with gqm.Client(options["address"], prefix=options["prefix"], **connection) as client:
        limits = {name: tuple(options[name]) for name in ("delays_s", "takes_ms") if name in options}
        work = mix.pieces(options["name"], options["seed"], **limits)
        for number, piece in enumerate(work):
            if stopped or number == count:
                break
            if rate:
                time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            mix.enqueue(client, acks, piece)
            if options.get("bulk"):
                mix.enqueue_bulk(client, acks, f"{options['name']}-{number}-bulk", options["bulk"])


ROLES = {"worker": worker, "producer": producer}


def main(folder: Path) -> None:
    """Fork until the input ends."""
    members: set[int] = set()
    signal.signal(signal.SIGCHLD, lambda number, frame: _reap(folder, members))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt at the terminal is the test's to handle
    for line in sys.stdin:
        order = json.loads(line)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if not pid:
            _become(folder, order["role"], order["options"])
        members.add(pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
    for pid in list(members):
        with suppress(ProcessLookupError):  # it ended a moment ago
            os.kill(pid, signal.SIGKILL)


def _become(folder: Path, role: str, options: dict[str, Any]) -> None:
    """Turn the forked process into a member; it never comes back."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    log = os.open(folder / f"{os.getpid()}.log", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    code = 1
    try:
        ROLES[role](folder, options)
        code = 0
    except Exception:
        logging.exception("%s failed", role)
    finally:
        logging.shutdown()
        os._exit(code)


def _reap(folder: Path, members: set[int]) -> None:
    """Write down which members have ended, and how."""
    while members:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:  # this very handler was called once more meanwhile, and took the last one
            return
        if not pid:
            break
        members.discard(pid)
        _put(folder / f"{pid}.exit", str(os.waitstatus_to_exitcode(status)))


def _put(path: Path, text: str) -> None:
    """Write a file that is whole when it appears."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.rename(path)


if __name__ == "__main__":
    uvloop.new_event_loop().close()  # loads what every worker loads
    main(Path(sys.argv[1]))
