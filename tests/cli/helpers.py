"""Running ``gqm`` as users meet it: in pipes, on a terminal, and inside the test process."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shlex
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from gqm_cli.main import app
from tests.support.wait import eventually

__all__ = ["Done", "Gqm", "Running", "Screen", "free_port"]

GQM = [sys.executable, "-m", "gqm_cli"]
_MARK = "\x1eend of command "
_MANY = f"""
import json, sys
from gqm.store import sync
from gqm_cli.main import app

sync.RESEND_WINDOW_S = 0.05  # a Redis that is away is given up soon
for words in json.loads(sys.argv[1]):
    try:
        app(words, prog_name="gqm")
    except SystemExit as end:
        sys.stdout.write({_MARK!r} + str(end.code or 0) + chr(10))
        sys.stdout.flush()
        sys.stderr.write({_MARK!r})
"""
"""Runs command lines one after the other, and marks their ends on both streams."""
_CONTROLS = re.compile(
    r"\x1b(?:\[[0-9;:?<>=]*[ -/]*[@-~]|[P\]_^X].*?(?:\x1b\\|\x07)|[@-OQ-WYZ\\])", re.DOTALL
)


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


class Running:
    """A ``gqm`` that goes on in the background; stderr is collected in a file."""

    def __init__(self, args: Sequence[str], folder: Path, env: dict[str, str]) -> None:
        self._log = folder / f"stderr-{time.monotonic_ns()}.txt"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*GQM, *args], cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def err(self) -> str:
        """Everything that was written so far."""
        return self._log.read_text()

    def says(self, text: str, timeout: float = 20) -> None:
        """Wait until a text was written."""
        eventually(
            lambda: text in self.err or self.process.poll() is not None,
            timeout=timeout,
            message=f"gqm says {text!r}",
        )
        assert text in self.err, self.err

    def signal(self, number: int) -> None:
        """Send a signal to this process alone."""
        self.process.send_signal(number)

    def ends(self, timeout: float = 20) -> int:
        """Wait for the end and return the exit code."""
        return self.process.wait(timeout)

    def close(self) -> None:
        """End the process if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Screen:
    """A ``gqm`` that has taken a terminal of 120 columns and 36 lines for itself."""

    def __init__(self, args: Sequence[str], folder: Path, env: dict[str, str]) -> None:
        self._terminal, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
        self.process = subprocess.Popen(
            [*GQM, *args],
            cwd=folder,
            env=env,
            stdin=end,
            stdout=end,
            stderr=end,
            start_new_session=True,
            preexec_fn=lambda: _control(end),
        )
        os.close(end)
        self._written = b""

    def shows(self, text: str, timeout: float = 20) -> None:
        """Wait until a text was written in one piece, whatever colours it has."""
        eventually(
            lambda: text in self._read(), timeout=timeout, interval=0.02, message=f"the screen shows {text!r}"
        )

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._terminal, keys.encode())

    def ends(self, timeout: float = 20) -> int:
        """Wait for the end and return the exit code."""
        eventually(lambda: self._read() and self.process.poll() is not None, timeout=timeout)
        return self.process.wait()

    def _read(self) -> str:
        while select.select([self._terminal], [], [], 0)[0]:
            try:
                chunk = os.read(self._terminal, 65536)
            except OSError:  # the child has closed its side
                break
            self._written += chunk
        return _CONTROLS.sub("", self._written.decode(errors="replace"))

    def close(self) -> None:
        """End the process if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._terminal)


class Gqm:
    """Runs commands in one folder with one environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GQM_")}
        self.env = {**kept, "HOME": str(folder), "TERM": "xterm-256color", "COLUMNS": "80"}
        for name in ("NO_COLOR", "FORCE_COLOR"):
            self.env.pop(name, None)
        self._running: list[Running | Screen] = []

    def __call__(self, *args: str, stdin: str | bytes = b"", **env: str) -> Done:
        """Run a command in this process, with pipes for all three streams."""
        before, cwd = dict(os.environ), os.getcwd()
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update({**self.env, **env})
        try:
            result = CliRunner().invoke(app, list(args), input=stdin)
        finally:
            os.environ.clear()
            os.environ.update(before)
            os.chdir(cwd)
        return Done(result.exit_code, result.stdout, result.stderr)

    def process(self, *args: str, stdin: str = "", **env: str) -> Done:
        """Run a command in a process of its own, with pipes."""
        done = subprocess.run(
            [*GQM, *args],
            cwd=self.folder,
            env={**self.env, **env},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def terminal(self, *args: str, answers: Sequence[str] = (), **env: str) -> Done:
        """Run a command on a terminal; each answer is typed when the command waits at a prompt."""
        return self._on_terminal([*GQM, *args], answers, env)

    def _on_terminal(self, command: Sequence[str], answers: Sequence[str], env: dict[str, str]) -> Done:
        keys, keys_end = pty.openpty()
        result, result_end = pty.openpty()
        child = subprocess.Popen(
            command,
            cwd=self.folder,
            env={**self.env, **env},
            stdin=keys_end,
            stdout=result_end,
            stderr=keys_end,
            start_new_session=True,
            preexec_fn=lambda: _control(keys_end),
        )
        os.close(keys_end)
        os.close(result_end)
        out, err = _talk(result, keys, list(answers))
        return Done(child.wait(timeout=60), out, err)

    def terminal_many(self, lines: Sequence[str], **env: str) -> list[Done]:
        """Run several commands in turn on one terminal, in one process of Python."""
        program = [sys.executable, "-c", _MANY, json.dumps([shlex.split(line) for line in lines])]
        done = self._on_terminal(program, (), env)
        assert done.code == 0, done
        outs, errs = done.out.split(_MARK), done.err.split(_MARK)
        found = zip(outs[:-1], errs[:-1], outs[1:], strict=True)
        codes = [int(out.partition("\n")[0]) for _, _, out in found]
        return [
            Done(code, out.partition("\n")[2] if index else out, err)
            for index, (code, out, err) in enumerate(zip(codes, outs[:-1], errs[:-1], strict=True))
        ]

    def start(self, *args: str, **env: str) -> Running:
        """Start a command in the background; it ends with the test."""
        running = Running(args, self.folder, {**self.env, **env})
        self._running.append(running)
        return running

    def screen(self, *args: str, **env: str) -> Screen:
        """Start a command that takes the whole terminal; it ends with the test."""
        screen = Screen(args, self.folder, {**self.env, **env})
        self._running.append(screen)
        return screen

    def write(self, name: str, text: str) -> Path:
        """Write a file into the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def close(self) -> None:
        """End what still runs."""
        for running in self._running:
            running.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _control(terminal: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    # A test run in the background ignores interrupts, and its children would inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _talk(result: int, keys: int, answers: list[str]) -> tuple[str, str]:
    """Read both terminals until they are closed, typing an answer whenever a prompt stands there."""
    texts = {result: b"", keys: b""}
    answered = 0
    open_ends = {result, keys}
    deadline = time.monotonic() + 60
    while open_ends and time.monotonic() < deadline:
        ready, _, _ = select.select(open_ends, [], [], 1)
        for end in ready:
            try:
                chunk = os.read(end, 65536)
            except OSError:  # the child has closed its side
                chunk = b""
            if chunk:
                texts[end] += chunk
            else:
                open_ends.discard(end)
        prompts = texts[keys].count(b": ") + texts[keys].count(b"? [y/N] ")
        if answers and texts[keys].endswith((b": ", b"[y/N] ")) and prompts > answered:
            answered = prompts
            answer = answers.pop(0)
            # Who interrupts presses nothing else: a line end behind it might be taken for an answer.
            os.write(keys, answer.encode() + (b"" if answer == "\x03" else b"\n"))
    os.close(result)
    os.close(keys)
    out, err = (texts[end].decode().replace("\r\n", "\n") for end in (result, keys))
    return out, err
