"""Servers killed under load, and users that come and go, a third of them killed: nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import redis

from gqm.embedded import attach, status
from tests.embedded.helpers import ROOT, linux_only, running, servers
from tests.support.wait import eventually, throughout

pytestmark = linux_only

FSYNC_S = 1.0
"""A killed server may lose what it acknowledged in the last second before."""


class Writers:
    """Starts and ends processes that write to the folder's server; knows what was acknowledged to them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.present: list[subprocess.Popen[bytes]] = []
        self.killed = 0

    def arrive(self, pause_s: float = 0.001) -> None:
        """One more writer."""
        log = self._folder.parent / f"log-{len(list(self._folder.parent.glob('log-*')))}"
        command = [sys.executable, "-m", "tests.embedded.writer", str(self._folder), str(log), str(pause_s)]
        log.touch()
        self.present.append(subprocess.Popen(command, cwd=ROOT))

    def leave(self, writer: subprocess.Popen[bytes], *, killed: bool) -> None:
        """End one writer by ``kill -9``, or ask it to leave."""
        self.present.remove(writer)
        self.killed += killed
        writer.send_signal(signal.SIGKILL if killed else signal.SIGTERM)
        code = writer.wait(30)
        # one that is asked before it has installed its handler ends by the signal itself
        assert code in ((-signal.SIGKILL,) if killed else (0, -signal.SIGTERM)), "a writer failed"

    def acknowledged(self) -> dict[str, float]:
        """Every member that the server acknowledged, and when (on the monotonic clock)."""
        lines = [line for log in self._folder.parent.glob("log-*") for line in log.read_text().splitlines()]
        return {member: float(when) for member, when in (line.split() for line in lines)}


@pytest.fixture
def writers(folder: Path) -> Iterator[Writers]:
    crowd = Writers(folder)
    yield crowd
    for writer in list(crowd.present):
        crowd.leave(writer, killed=True)


def stored(folder: Path) -> set[str]:
    with (
        attach(folder) as attachment,
        redis.Redis(unix_socket_path=attachment.socket, decode_responses=True) as client,
    ):
        return set(client.smembers("seen"))


def kill_server(folder: Path) -> float:
    """Kill the server and return the time just before."""
    pid = status(folder).pid
    assert pid is not None
    now = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    return now


def wait_for_load(writers: Writers, since: float) -> None:
    """Wait until writes are acknowledged again, and have been for longer than the server may lose."""

    def loaded() -> bool:
        times = [when for when in writers.acknowledged().values() if when > since]
        return bool(times) and max(times) - min(times) > 1.2 * FSYNC_S

    eventually(loaded, timeout=20, interval=0.1)


def test_server_killed_under_load_loses_at_most_the_last_second(folder: Path, writers: Writers) -> None:
    for _ in range(3):
        writers.arrive()
    wait_for_load(writers, since=0)
    first_kill = kill_server(folder)
    wait_for_load(writers, since=first_kill)
    second_kill = kill_server(folder)
    wait_for_load(writers, since=second_kill)
    for writer in list(writers.present):
        writers.leave(writer, killed=False)
    acknowledged = writers.acknowledged()
    at_risk = {
        member
        for member, when in acknowledged.items()
        if any(kill - FSYNC_S <= when <= kill for kill in (first_kill, second_kill))
    }
    assert acknowledged.keys() - at_risk <= stored(folder)


@pytest.mark.parametrize(
    ("seconds", "seed"), [(8, 1), pytest.param(40, 2, marks=pytest.mark.slow)], ids=["8 s", "40 s"]
)
def test_users_coming_and_going(folder: Path, writers: Writers, seconds: float, seed: int) -> None:
    random = Random(seed)
    seen: set[int] = set()

    def one_server_at_most() -> bool:
        now = servers(folder)
        seen.update(now)
        return len(now) <= 1

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(random.randint(1, 3)):
            writers.arrive()
        throughout(one_server_at_most, random.uniform(0.1, 0.5))
        everybody = random.random() < 0.5
        for writer in list(writers.present):
            if everybody or random.random() < 0.5:
                writers.leave(writer, killed=random.random() < 1 / 3)
        if everybody:  # and come back about when the server is being stopped
            throughout(one_server_at_most, random.uniform(0.9, 1.2))
    for writer in list(writers.present):
        writers.leave(writer, killed=False)
    eventually(lambda: not running(folder))
    acknowledged = writers.acknowledged()
    assert len(seen) > 1, "the server was never stopped and started"
    assert writers.killed, "no user was killed"
    assert acknowledged.keys() <= stored(folder)
