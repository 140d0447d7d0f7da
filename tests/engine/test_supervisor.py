"""Many engine processes under one supervisor: starts, deaths, signals, rolling restarts, ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

import gqm
from gqm.keys import Keys
from tests.engine.fleet import DEPLOYED
from tests.engine.running import alive, children
from tests.support.wait import eventually, throughout

ROOT = Path(__file__).parents[2]


class Fleet:
    """The program with the supervisor, in a process group of its own."""

    def __init__(self, folder: Path, number: int, address: str, prefix: str) -> None:
        self.folder = folder
        self.set("deployed.py", DEPLOYED.format(version="old"))
        self._out = folder / "out"
        self._err = folder / "err"
        self._seen: set[int] = set()
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.engine.fleet", str(folder), str(number), address, prefix],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                env={
                    **os.environ,
                    "PYTHONDONTWRITEBYTECODE": "1",
                },  # changed within a second, it would be missed
            )

    def set(self, name: str, text: str) -> None:
        """Write a file that the engine processes read."""
        (self.folder / name).write_text(text)

    @property
    def log(self) -> str:
        """What all processes have logged."""
        return self._err.read_text()

    def said(self, word: str, timeout: float = 15) -> list[str]:
        """Wait for the line that begins with a word; return the words behind it."""

        def look() -> list[str] | None:
            self.engines()
            for line in self._out.read_text().splitlines(keepends=True):
                if line.endswith("\n") and line.split()[0] == word:
                    return line.split()
            return None

        try:
            found = eventually(look, timeout, message=f"the supervisor says {word}")
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{self.log}") from None
        assert found is not None
        return found[1:]

    def engines(self) -> set[int]:
        """Ids of the engine processes."""
        found = set()
        for pid in children(self.process.pid) if self.process.poll() is None else ():
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if b"spawn_main" in command and alive(pid):
                found.add(pid)
        self._seen |= found
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor."""
        self.engines()
        self.process.send_signal(number)

    def wait(self, timeout: float = 15) -> int:
        """Wait for the end of the supervisor; return its exit code."""
        return self.process.wait(timeout)

    def nothing_left(self) -> bool:
        """Whether no engine process that was ever seen is left."""
        return not any(alive(pid) for pid in self._seen)

    def close(self) -> None:
        """End whatever still runs."""
        self.engines()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in self._seen:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


Start = Callable[..., Fleet]


@pytest.fixture
def start(redis_socket: str, prefix: str, tmp_path: Path) -> Iterator[Start]:
    """Starts the program with so many engine processes."""
    fleets: list[Fleet] = []

    def start(number: int = 2, *, ready: bool = True, address: str = "", **files: str) -> Fleet:
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        fleets.append(Fleet(tmp_path, number, address or f"unix:{redis_socket}", prefix))
        if ready:
            fleets[0].said("ready")
        return fleets[0]

    yield start
    for fleet in fleets:
        fleet.close()


@pytest.fixture
def client(redis_socket: str, prefix: str) -> Iterator[gqm.Client]:
    with gqm.Client(f"unix:{redis_socket}", prefix=prefix) as client:
        yield client


class Space:
    """What Redis holds."""

    def __init__(self, raw: Any, keys: Keys) -> None:
        self._raw = raw
        self._keys = keys

    def leases(self) -> set[str]:
        return {item.decode() for item in self._raw.zrange(self._keys.leases, 0, -1)}

    def held(self) -> int:
        return int(self._raw.zcard(self._keys.processing("default")))


@pytest.fixture
def space(redis_socket: str, prefix: str) -> Iterator[Space]:
    with redis.Redis(unix_socket_path=redis_socket, protocol=2) as raw:
        yield Space(raw, Keys(prefix))


def occupy(
    client: gqm.Client, folder: Path, number: int, type_: str = "sleeps", **payload: object
) -> list[str]:
    """Enqueue jobs and wait until all of them run."""
    marks = [folder / f"mark-{type_}-{index}" for index in range(number)]
    ids = [client.enqueue(type_, {"mark": str(mark), **payload}).id for mark in marks]
    eventually(lambda: all(mark.exists() for mark in marks), 10, message="all jobs run")
    return ids


def states(client: gqm.Client, ids: list[str]) -> set[tuple[str, int, int]]:
    """State, attempts and counted retries of jobs."""
    jobs = [client.get(job_id) for job_id in ids]
    return {(str(job.status), job.attempt, job.retry_count) for job in jobs if job}


# --------------------------------------------------------------------------------- starts and stops


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_all_engines_in_order(
    start: Start, client: gqm.Client, space: Space, number: signal.Signals
) -> None:
    fleet = start(3)
    assert space.leases() == set(fleet.said("ready"))
    assert len(space.leases()) == 3
    pids = fleet.engines()
    assert len(pids) == 3
    ids = [client.enqueue("pid").id for _ in range(60)]
    assert {client.wait(job_id, 10) for job_id in ids} <= pids
    fleet.signal(number)
    assert fleet.wait() == 0
    assert fleet.said("stopped") == ["60", "0", "0", "False"]
    assert fleet.nothing_left()
    assert (space.leases(), space.held()) == (set(), 0)


@pytest.mark.fault(23)
def test_running_jobs_get_their_time_and_the_rest_goes_back_uncounted(
    start: Start, client: gqm.Client, space: Space, tmp_path: Path
) -> None:
    fleet = start(stop="1")
    short = occupy(client, tmp_path, 3, s=0.5)
    long = occupy(client, tmp_path / "..", 3, "polite")
    begun = time.monotonic()
    fleet.signal(signal.SIGTERM)
    assert fleet.wait() == 0
    assert time.monotonic() - begun < 3
    assert space.held() == 0
    assert states(client, short) == {("completed", 1, 0)}
    assert states(client, long) <= {("completed", 1, 0), ("ready", 1, 0)}
    assert fleet.said("stopped")[3] == "False"


def test_a_second_signal_hurries(start: Start, client: gqm.Client, space: Space, tmp_path: Path) -> None:
    fleet = start(stop="30")
    ids = occupy(client, tmp_path, 4)
    fleet.signal(signal.SIGTERM)
    throughout(lambda: fleet.process.poll() is None, 0.3)
    fleet.signal(signal.SIGTERM)
    assert fleet.wait(5) == 0
    assert fleet.said("stopped")[3] == "True"
    assert states(client, ids) == {("ready", 1, 0)}
    assert (space.leases(), space.held()) == (set(), 0)
    assert fleet.nothing_left()


def test_a_signal_to_all_processes_at_once_is_one_stop(
    start: Start, client: gqm.Client, tmp_path: Path
) -> None:
    fleet = start(stop="10")
    ids = occupy(client, tmp_path, 4, s=1)
    fleet.engines()
    os.killpg(fleet.process.pid, signal.SIGTERM)
    assert fleet.wait() == 0
    assert states(client, ids) == {("completed", 1, 0)}  # nobody was hurried
    assert fleet.said("stopped")[3] == "False"


@pytest.mark.parametrize(
    ("mode", "error", "text"),
    [
        ("refuse", "RegistrationError", "there is no such handler"),
        ("import", "ModuleNotFoundError", "No module named 'no_such_module' ("),
        ("quit", "SystemExit", "no licence"),
        ("exit", "-", "ended with code 3 before it had started"),
        ("second refuse", "RegistrationError", "there is no such handler"),
        ("second exit", "-", "ended with code 3 before it had started"),
    ],
)
def test_a_factory_that_fails_fails_the_start(
    start: Start, space: Space, mode: str, error: str, text: str
) -> None:
    fleet = start(3, ready=False, mode=mode)
    words = fleet.said("failed")
    assert words[0] == error
    assert text in " ".join(words[1:])
    assert fleet.wait() == 1
    assert fleet.nothing_left()
    assert (space.leases(), space.held()) == (set(), 0)


def test_a_redis_that_is_not_there_fails_the_start(start: Start, tmp_path: Path) -> None:
    fleet = start(ready=False, address=f"unix:{tmp_path}/none.sock")
    words = fleet.said("failed", 20)
    assert words[0] == "RedisUnavailable"
    assert "none.sock" in " ".join(words)
    assert fleet.wait() == 1
    assert fleet.nothing_left()


def test_what_is_raised_when_all_have_started_ends_them_in_order(start: Start, space: Space) -> None:
    fleet = start(ready=False, mode="no port")
    assert fleet.wait() == 1
    assert "the port is taken" in fleet.log.splitlines()[-1]
    assert fleet.nothing_left()
    assert space.leases() == set()


@pytest.mark.parametrize("mode", ["slow", "second slow"])
def test_a_signal_in_the_middle_of_the_start_ends_it(
    start: Start, client: gqm.Client, space: Space, mode: str, tmp_path: Path
) -> None:
    fleet = start(ready=False, mode=mode)
    eventually((tmp_path / "slow").exists, 10)
    if mode == "second slow":
        occupy(client, tmp_path, 1, s=0.2)  # the other one runs already
    begun = time.monotonic()
    fleet.signal(signal.SIGTERM)
    assert fleet.wait() == 0
    assert time.monotonic() - begun < 2
    assert "ready" not in (tmp_path / "out").read_text()
    assert fleet.nothing_left()
    assert (space.leases(), space.held()) == (set(), 0)


# ------------------------------------------------------------------------------------------- deaths


@pytest.mark.fault(12)
def test_a_dead_engine_is_replaced_and_its_jobs_run_at_once(
    start: Start, client: gqm.Client, space: Space, tmp_path: Path
) -> None:
    fleet = start()
    ids = occupy(client, tmp_path, 8, s=1)  # 2 engines with 4 slots: both are full
    victim = min(fleet.engines())
    before = space.leases()
    os.kill(victim, signal.SIGKILL)
    begun = time.monotonic()
    eventually(lambda: space.leases() != before, 3)  # recovered long before any lease could end
    for job_id in ids:
        assert client.wait(job_id, 10) == "slept"
    assert time.monotonic() - begun < 6
    assert states(client, ids) == {("completed", 1, 0), ("completed", 2, 1)}
    eventually(lambda: len(space.leases()) == 2 and len(fleet.engines()) == 2, 5)
    assert "ended with SIGKILL while it held 4 jobs; a new one starts in 1 s" in fleet.log


def test_five_deaths_within_a_minute_end_everything(
    start: Start, client: gqm.Client, space: Space, tmp_path: Path
) -> None:
    fleet = start(3, stop="0.3")
    ids = occupy(client, tmp_path, 12)
    first = fleet.engines()
    for pid in first:
        os.kill(pid, signal.SIGKILL)

    def replaced() -> bool:
        return len(space.leases()) == 3 and len(fleet.engines() - first) == 3

    eventually(replaced, 20)
    for pid in sorted(fleet.engines() - first)[:2]:
        os.kill(pid, signal.SIGKILL)
    words = fleet.said("failed")
    assert "5 engine processes died within 60 s" in " ".join(words)
    assert fleet.wait() == 1
    assert fleet.nothing_left()
    assert space.held() == 0
    # Who is killed between the lease and the word to the supervisor leaves a lease, which ends by itself.
    assert len(space.leases()) <= 2
    assert {state for state, _, _ in states(client, ids)} == {"ready"}


@pytest.mark.slow
def test_starts_that_fail_end_everything_once_nobody_runs(start: Start, space: Space) -> None:
    fleet = start(2)
    fleet.set("mode", "refuse")
    for pid in fleet.engines():
        os.kill(pid, signal.SIGKILL)
    words = " ".join(fleet.said("failed"))
    assert "5 engine processes died within 60 s" in words
    assert "there is no such handler" in words
    assert fleet.wait() == 1
    assert fleet.nothing_left()


def test_pauses_between_restarts_grow(start: Start, space: Space) -> None:
    fleet = start(2)
    for pause_s in (1, 2):
        eventually(lambda: len(fleet.engines()) == 2 and len(space.leases()) == 2, 10)
        os.kill(max(fleet.engines()), signal.SIGKILL)  # the newest: it has the place of the one before
        eventually(lambda text=f"a new one starts in {pause_s} s": text in fleet.log, 5)


def test_an_engine_told_to_stop_by_a_signal_of_its_own_is_replaced(
    start: Start, client: gqm.Client, space: Space, tmp_path: Path
) -> None:
    fleet = start()
    ids = occupy(client, tmp_path, 8, s=0.5)
    before = fleet.engines()
    os.kill(min(before), signal.SIGTERM)
    eventually(lambda: len(fleet.engines() - before) == 1 and len(space.leases()) == 2, 10)
    for job_id in ids:
        client.wait(job_id, 10)
    assert states(client, ids) == {("completed", 1, 0)}
    assert "was stopped by a signal of its own" in fleet.log
    assert "process_died" not in fleet.log


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_engines_stop_by_themselves_when_the_supervisor_is_gone(
    start: Start, client: gqm.Client, space: Space, tmp_path: Path, isolation: str
) -> None:
    fleet = start(isolation=isolation)
    ids = occupy(client, tmp_path, 8, s=0.5)
    workers = {pid for engine in fleet.engines() for pid in children(engine)}
    assert bool(workers) is (isolation == "process")
    fleet.process.kill()
    fleet.wait()
    eventually(fleet.nothing_left, 5)
    eventually(lambda: not any(alive(pid) for pid in workers), 2)
    assert states(client, ids) == {("completed", 1, 0)}  # they had their time
    assert (space.leases(), space.held()) == (set(), 0)
    assert "the supervisor is gone; stopping" in fleet.log


@pytest.mark.slow
def test_an_engine_that_cannot_stop_is_killed_and_its_jobs_are_recovered(
    start: Start, client: gqm.Client, space: Space, tmp_path: Path
) -> None:
    fleet = start(1, stop="0.5")
    (job_id,) = occupy(client, tmp_path, 1, "blocks")
    fleet.signal(signal.SIGTERM)
    fleet.signal(signal.SIGTERM)
    assert fleet.wait(20) == 0
    assert "does not stop; it is killed" in fleet.log
    assert fleet.nothing_left()
    assert (space.leases(), space.held()) == (set(), 0)
    assert {state for state, _, _ in states(client, [job_id])} == {"ready"}


# --------------------------------------------------------------------------------- rolling restarts


def test_a_rolling_restart_loads_new_code_and_never_leaves_zero_workers(
    start: Start, client: gqm.Client, space: Space, tmp_path: Path
) -> None:
    fleet = start()
    before = fleet.engines()
    ids = occupy(client, tmp_path, 2, s=1.5)
    assert client.wait(client.enqueue("version").id, 10) == "old"
    fleet.set("deployed.py", DEPLOYED.format(version="new"))
    fleet.signal(signal.SIGUSR2)
    while "rolling restart: done" not in fleet.log:
        assert space.leases(), "no engine runs"
        begun = time.monotonic()
        assert client.wait(client.enqueue("version").id, 10) in ("old", "new")
        assert time.monotonic() - begun < 1
    assert fleet.engines().isdisjoint(before)
    assert len(fleet.engines()) == 2
    assert {client.wait(client.enqueue("version").id, 10) for _ in range(20)} == {"new"}
    assert states(client, ids) == {("completed", 1, 0)}  # a deploy costs no job an attempt
    fleet.signal(signal.SIGTERM)
    assert fleet.wait() == 0


def test_asked_for_in_the_middle_of_another_it_begins_again(start: Start, space: Space) -> None:
    fleet = start(3)
    fleet.set("deployed.py", DEPLOYED.format(version="second"))
    fleet.signal(signal.SIGUSR2)
    eventually(lambda: "engine process 2 of 3" in fleet.log, 10)
    fleet.signal(signal.SIGUSR2)
    eventually(lambda: "rolling restart: done" in fleet.log, 20)
    assert fleet.log.count("engine process 1 of 3") == 2  # the first had not seen the newest code
    assert len(space.leases()) == 3


def test_a_rolling_restart_with_code_that_does_not_start_is_given_up(
    start: Start, client: gqm.Client, space: Space
) -> None:
    fleet = start(3)
    before = fleet.engines()
    fleet.set("mode", "import")
    fleet.signal(signal.SIGUSR2)
    eventually(lambda: "given up; the other engine processes go on" in fleet.log, 10)
    eventually(lambda: "a new one starts in 2 s" in fleet.log, 15)  # it is tried again, with growing pauses
    assert "No module named 'no_such_module'" in fleet.log
    assert len(before & fleet.engines()) == 2
    assert client.wait(client.enqueue("version").id, 10) == "old"
    fleet.set("mode", "")
    eventually(lambda: len(space.leases()) == 3, 10)
    fleet.signal(signal.SIGTERM)
    assert fleet.wait() == 0


@pytest.mark.slow
def test_code_that_never_starts_does_not_end_those_who_run(start: Start, client: gqm.Client) -> None:
    fleet = start(2)
    fleet.set("mode", "refuse")
    fleet.signal(signal.SIGUSR2)
    eventually(lambda: "a new one starts in 16 s" in fleet.log, 30)  # the fifth time
    assert client.wait(client.enqueue("version").id, 10) == "old"
    assert fleet.process.poll() is None


def test_one_process_alone_does_not_roll(start: Start, space: Space) -> None:
    fleet = start(1)
    before = fleet.engines()
    fleet.signal(signal.SIGUSR2)
    eventually(lambda: "needs more than one process" in fleet.log)
    assert fleet.engines() == before
