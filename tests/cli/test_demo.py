"""``gqm demo`` as a whole: what it shows and when, and that nothing of it is left, however it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gqm.job import Status
from gqm_cli.demo_port import reserved_port
from gqm_cli.diagnostics import CommandFailed
from tests.cli.helpers import GQM, Gqm, Running
from tests.support.processes import has_environ, processes
from tests.support.wait import eventually

pytestmark = pytest.mark.skipif(not has_environ(), reason="the processes of a demo are found through /proc")

UP_S = 30.0
"""How long a demo may take to be up on a machine that is busy with other tests."""


class Demo:
    """A demo in the background, everything it has on disk below one folder, and its processes."""

    def __init__(self, gqm: Gqm, *args: str) -> None:
        self.home = gqm.folder
        self.begun = time.monotonic()
        self.running: Running = gqm.start("demo", "--no-tui", *args, TMPDIR=str(gqm.folder))
        self.running.says("demo data, loopback only")
        found = re.search(r"api (http://127\.0\.0\.1:\d+)/api/v1", self.running.err)
        assert found
        self.url = found[1]

    def get(self, path: str, **headers: str) -> Any:
        request = urllib.request.Request(f"{self.url}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def data(self, path: str) -> Any:
        """What the API says, or nothing while it does not answer."""
        try:
            return self.get(f"/api/v1{path}")["data"]
        except OSError:
            return None

    def has_jobs_done(self) -> bool:
        stats = self.data("/stats")
        return bool(stats) and stats["completed"] > 0

    def is_up(self) -> None:
        eventually(self.has_jobs_done, timeout=UP_S, interval=0.1)

    def serving(self) -> int:
        """Process id of the process that serves."""
        return next(pid for pid, line in processes(self.home).items() if "gqm_cli.demo_server" in line)


def assert_nothing_is_left(home: Path, *, within_s: float = 0.0) -> None:
    eventually(lambda: not processes(home), timeout=within_s, message="no process is left")
    eventually(lambda: not list(home.glob("gqm-demo-*")), timeout=within_s, message="no folder is left")


PAGES = {
    "Queues": "/queues",
    "Workers": "/workers",
    "Failed": "/failed/groups",
    "Failed, one by one": "/jobs?status=dead_letter",
    "Cron": "/cron",
    "Cron history": "/cron/stats-rollup/history",
    "DAG": "/dag/roots",
    "Deferred": "/dag/deferred",
    "Graph": "/dag/import-0001-fetch/graph",
    "Servers": "/servers",
    "Overview": "/stats/minutes?sum=true&minutes=15",
    "Action log": "/audit",
}


def test_it_runs_for_its_time_and_leaves_nothing(gqm: Gqm) -> None:
    done = gqm.process("demo", "--no-tui", "--duration", "2", TMPDIR=str(gqm.folder))
    assert (done.code, done.out) == (0, "")
    first, *rest = done.err.splitlines()
    assert re.fullmatch(
        r"dashboard http://127\.0\.0\.1:(\d+)/dashboard/   api http://127\.0\.0\.1:\1/api/v1   "
        r"demo data, loopback only, no password",
        first,
    )
    assert rest[-1].endswith("stopped before the start") or "stopped in " in rest[-1]
    assert_nothing_is_left(gqm.folder)


def test_every_page_has_data_soon(gqm: Gqm) -> None:
    demo = Demo(gqm)
    for name, path in PAGES.items():
        eventually(lambda path=path: demo.data(path), timeout=UP_S, interval=0.1, message=name)
    entries = demo.data("/audit")
    assert [(entry["action"], entry["ok"]) for entry in entries] == [
        ("cron.trigger", True),
        ("queue.pause", True),
    ]
    with urllib.request.urlopen(f"{demo.url}/dashboard/", timeout=5) as answer:
        assert answer.status == 200
    running = demo.running
    for line in (
        "email.send done",
        "image.resize done",
        "import.load done",
        "InvalidPayload: payload does not",
    ):
        running.says(line)
    assert re.search("^gqm .*  2 processes$", running.err, re.M)
    running.signal(signal.SIGTERM)
    assert running.ends() == 0
    assert_nothing_is_left(gqm.folder)


@pytest.mark.slow
def test_every_page_has_data_within_5_s(gqm: Gqm) -> None:
    if os.getloadavg()[0] > (os.cpu_count() or 1):
        pytest.skip("the machine has other work, and this is about time")
    demo = Demo(gqm)
    for name, path in PAGES.items():
        left_s = demo.begun + 5 - time.monotonic()
        eventually(lambda path=path: demo.data(path), timeout=left_s, interval=0.1, message=name)
    demo.running.signal(signal.SIGTERM)
    assert demo.running.ends() == 0


@pytest.mark.slow
def test_jobs_of_every_status_are_seen_within_60_s(gqm: Gqm) -> None:
    demo = Demo(gqm, "--duration", "60")
    for status in (status for status in Status if status is not Status.FAILED):
        left_s = demo.begun + 60 - time.monotonic()
        jobs = f"/jobs?status={status}&limit=1"
        eventually(lambda path=jobs: demo.data(path), timeout=left_s, interval=0.2, message=status)
    assert demo.running.ends(70) == 0
    assert_nothing_is_left(gqm.folder)


# ----------------------------------------------------------------------------------------- its end


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *(pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGTERM, signal.SIGHUP))],
)
def test_a_signal_ends_it(gqm: Gqm, number: signal.Signals) -> None:
    demo = Demo(gqm)
    demo.is_up()
    assert len(processes(gqm.folder)) >= 6  # the command, serving, engines, Redis and its guardian, pictures
    demo.running.signal(number)
    assert demo.running.ends() == 0, demo.running.err[-3000:]
    assert_nothing_is_left(gqm.folder)


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.3, 0.6, 1.0, 1.5])
def test_a_signal_at_any_moment_of_the_start_ends_it(gqm: Gqm, after_s: float) -> None:
    demo = Demo(gqm)
    time.sleep(after_s)  # the moment is what is tried here
    demo.running.signal(signal.SIGTERM)
    assert demo.running.ends() == 0, demo.running.err[-3000:]
    assert_nothing_is_left(gqm.folder)


def test_when_the_serving_process_is_killed_the_rest_goes_too(gqm: Gqm) -> None:
    demo = Demo(gqm)
    demo.is_up()
    os.kill(demo.serving(), signal.SIGKILL)
    assert demo.running.ends() == 1
    last = demo.running.err.splitlines()[-1]
    assert last == "gqm: error: the demo's serving process ended with SIGKILL"
    assert_nothing_is_left(gqm.folder)


def test_when_the_command_itself_is_killed_the_rest_goes_too(gqm: Gqm) -> None:
    demo = Demo(gqm)
    demo.is_up()
    demo.running.signal(signal.SIGKILL)
    demo.running.ends()
    assert_nothing_is_left(gqm.folder, within_s=15)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["spawn_main", "valkey-server", "guardian.py"])
def test_a_killed_engine_or_redis_is_replaced(gqm: Gqm, what: str) -> None:
    demo = Demo(gqm)
    eventually(lambda: len(demo.data("/servers") or ()) == 2, timeout=UP_S, interval=0.1)

    def alive() -> set[int]:
        return {pid for pid, line in processes(gqm.folder).items() if what in line}

    before_kill = alive()
    victim = min(before_kill)
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: victim not in alive() and len(alive()) == len(before_kill), timeout=UP_S, interval=0.1)
    before = demo.data("/stats")

    def goes_on() -> bool:
        now = demo.data("/stats")
        return bool(before and now) and now["processed_total"] > before["processed_total"]

    eventually(goes_on, timeout=UP_S, interval=0.1)
    demo.running.signal(signal.SIGTERM)
    assert demo.running.ends() == 0, demo.running.err[-3000:]
    assert_nothing_is_left(gqm.folder)


# ------------------------------------------------------------------------------------- its options


def test_a_viewer_needs_the_key_and_may_only_look(gqm: Gqm) -> None:
    env = {**gqm.env, "TMPDIR": str(gqm.folder)}
    with subprocess.Popen(
        [*GQM, "demo", "--no-tui", "--viewer"],
        cwd=gqm.folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            assert process.stdout is not None
            first = process.stderr.readline()
            found = re.fullmatch(r"api (\S+)/api/v1   demo data, loopback only, viewer key required\n", first)
            assert found, first
            key = process.stdout.readline().rstrip("\n")
            assert re.fullmatch("gqm_ak_[0-9a-f]{48}", key)
            url = found[1]

            def refused(path: str, method: str = "GET", **headers: str) -> int:
                request = urllib.request.Request(f"{url}{path}", method=method, headers=headers)
                try:
                    urllib.request.urlopen(request, timeout=5).close()
                except urllib.error.HTTPError as exc:
                    exc.close()
                    return exc.code
                except OSError:
                    return -1
                return 0

            eventually(lambda: refused("/health") == 0, timeout=UP_S, interval=0.1)
            with_key = {"X-API-Key": key}
            assert refused("/api/v1/queues") == 401
            assert refused("/api/v1/queues", **with_key) == 0
            assert refused("/api/v1/queues/low/resume", "POST", **with_key) == 403
            assert refused("/dashboard/", **with_key) == 404
        finally:
            process.terminate()
            _, rest = process.communicate(timeout=20)
    assert process.returncode == 0
    assert key not in rest
    assert_nothing_is_left(gqm.folder)


def test_a_folder_is_kept_and_used_again_by_one_demo_at_a_time(gqm: Gqm) -> None:
    demo = Demo(gqm, "--dir", "kept")
    demo.is_up()
    other = gqm.process("demo", "--no-tui", "--dir", "kept")
    assert (other.code, other.out) == (1, "")
    assert (
        other.err == f"gqm: error: another demo runs in {gqm.folder}/kept; stop it, or give another --dir\n"
    )
    demo.running.signal(signal.SIGTERM)
    assert demo.running.ends() == 0, demo.running.err[-3000:]
    assert not processes(gqm.folder)
    kept = gqm.folder / "kept"
    assert (kept / "gqm.yaml").stat().st_mode & 0o777 == 0o600
    before = gqm.process("check", "kept/gqm.yaml")
    assert before.code == 0
    again = gqm.process("demo", "--no-tui", "--dir", "kept", "--duration", "0.1")
    assert again.code == 0
    assert (kept / ".gqm").is_dir()


def test_a_folder_with_other_things_in_it_is_left_alone(gqm: Gqm) -> None:
    gqm.write("project/gqm.yaml", "redis: {addr: embedded}\n")
    done = gqm.process("demo", "--no-tui", "--dir", "project")
    assert (done.code, done.out) == (1, "")
    assert done.err == ("gqm: error: project holds other files; give an empty or a new folder with --dir\n")
    assert (gqm.folder / "project/gqm.yaml").read_text() == "redis: {addr: embedded}\n"
    assert list((gqm.folder / "project").iterdir()) == [gqm.folder / "project/gqm.yaml"]


def test_a_port_in_use_is_refused_and_by_default_passed_over(gqm: Gqm) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = gqm.process("demo", "--no-tui", "--port", str(port), TMPDIR=str(gqm.folder))
        assert (done.code, done.out) == (1, "")
        assert done.err == (
            f"gqm: error: port {port} cannot be used: address already in use; choose another with --port\n"
        )
    assert_nothing_is_left(gqm.folder)
    with reserved_port(None) as first, reserved_port(None) as second:
        assert second > first
        with pytest.raises(CommandFailed), reserved_port(first):
            pass
    with (
        reserved_port(first) as again,
        socket.create_server(("127.0.0.1", again)),
        reserved_port(None) as other,
    ):
        assert other > first


@pytest.mark.parametrize("place", ["pipe", "terminal"])
@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("--rate", "0"), "invalid value for '--rate'"),
        (("--port", "70000"), "invalid value for '--port'"),
        (("--sed", "1"), 'unknown option --sed; did you mean "--seed"?'),
        (("now",), 'unexpected argument now; see "gqm demo --help"'),
    ],
)
def test_wrong_use(gqm: Gqm, place: str, args: tuple[str, ...], text: str) -> None:
    done = gqm("demo", *args) if place == "pipe" else gqm.terminal("demo", *args, NO_COLOR="1")
    assert done.code == 2
    assert done.err.startswith(f"gqm: error: {text}")
    assert done.out == ""


def test_without_a_server_binary_it_says_so(gqm: Gqm) -> None:
    done = gqm.process(
        "demo", "--no-tui", TMPDIR=str(gqm.folder), GQM_EMBEDDED_SERVER=str(gqm.folder / "nowhere")
    )
    assert done.code == 4
    assert "gqm: error: " in done.err
    assert "nowhere" in done.err
    assert "Traceback" not in done.err
    assert_nothing_is_left(gqm.folder)


# ------------------------------------------------------------------------------------- on a terminal


class Terminal:
    """A demo on a terminal of its own: what it shows, and keys for it."""

    def __init__(self, gqm: Gqm, *args: str) -> None:
        self._keys, theirs = pty.openpty()
        self.shown = b""
        self.process = subprocess.Popen(
            [*GQM, "demo", *args],
            cwd=gqm.folder,
            env={**gqm.env, "TMPDIR": str(gqm.folder), "COLUMNS": "120", "LINES": "36", "NO_COLOR": "1"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def shows(self, text: str) -> None:
        def look() -> bool:
            self.read()
            return text.encode() in self.shown

        eventually(look, timeout=UP_S, message=f"the terminal shows {text!r}")

    def read(self) -> None:
        while select.select([self._keys], [], [], 0)[0]:
            try:
                chunk = os.read(self._keys, 65_536)
            except OSError:  # everybody has closed the other side
                return
            if not chunk:
                return
            self.shown += chunk

    def press(self, keys: bytes) -> None:
        os.write(self._keys, keys)

    def ends(self) -> int:
        def look() -> bool:
            self.read()
            return self.process.poll() is not None

        eventually(look, timeout=20, message="gqm demo ends")
        self.read()
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._keys)


@pytest.fixture
def terminal(gqm: Gqm) -> Iterator[Terminal]:
    terminal = Terminal(gqm)
    yield terminal
    terminal.close()


LEFT_SCREEN = b"\x1b[?1049l"


@pytest.mark.parametrize("key", [b"q", pytest.param(b"\x03", id="ctrl-c", marks=pytest.mark.slow)])
def test_a_key_leaves_the_terminal_ui_and_ends_the_demo(gqm: Gqm, terminal: Terminal, key: bytes) -> None:
    terminal.shows("LIVE")
    terminal.shows("mail")
    terminal.press(b"3")  # which tab was open is kept from one run to the next, but not from a demo
    terminal.shows("2 groups")
    terminal.press(key)
    assert terminal.ends() == 0
    first, _, screen = terminal.shown.partition(b"\x1b[?1049h")
    assert b"demo data, loopback only" in first
    assert LEFT_SCREEN in screen
    assert b" INFO " not in terminal.shown  # the log is not written over it
    assert_nothing_is_left(gqm.folder)
    assert not (gqm.folder / ".local").exists()


@pytest.mark.slow
def test_a_signal_leaves_the_terminal_ui_and_ends_the_demo(gqm: Gqm, terminal: Terminal) -> None:
    terminal.shows("LIVE")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.ends() == 0
    assert LEFT_SCREEN in terminal.shown
    assert_nothing_is_left(gqm.folder)


@pytest.mark.slow
def test_the_terminal_ui_closes_when_the_serving_process_dies(gqm: Gqm, terminal: Terminal) -> None:
    terminal.shows("LIVE")
    victim = next(pid for pid, line in processes(gqm.folder).items() if "gqm_cli.demo_server" in line)
    os.kill(victim, signal.SIGKILL)
    assert terminal.ends() == 1
    after = terminal.shown.partition(LEFT_SCREEN)[2].decode()
    assert "gqm: error: the demo's serving process ended with SIGKILL" in after
    assert_nothing_is_left(gqm.folder)


@pytest.mark.slow
def test_a_viewer_in_the_terminal_ui_and_a_kept_log(gqm: Gqm) -> None:
    terminal = Terminal(gqm, "--viewer", "--dir", "kept", "--duration", "8")
    try:
        terminal.shows("viewer")
        assert terminal.ends() == 0
    finally:
        terminal.close()
    assert b"gqm_ak_" not in terminal.shown
    log = (gqm.folder / "kept/demo.log").read_text()
    assert "email.send done" in log
    assert "gqm_ak_" not in log
    assert not processes(gqm.folder)


@pytest.mark.slow
def test_broken_settings_of_the_terminal_ui_end_it_before_the_screen_is_touched(gqm: Gqm) -> None:
    gqm.env["GQM_TUI_CONFIG"] = str(gqm.write("tui.toml", "intervall = 1\n"))
    terminal = Terminal(gqm)
    try:
        assert terminal.ends() == 3
    finally:
        terminal.close()
    assert b"intervall" in terminal.shown
    assert b"\x1b[?1049h" not in terminal.shown
    assert_nothing_is_left(gqm.folder)


def test_it_starts_without_loading_what_it_does_not_need() -> None:
    program = (
        "import sys; import gqm_cli.demo, gqm_cli.demo_run, gqm_cli.demo_folder; "
        "print(*{'textual', 'httpx', 'redis', 'bcrypt', 'msgspec'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""
