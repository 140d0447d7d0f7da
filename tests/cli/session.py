"""Plays the sessions of a document: ``python -m tests.cli.session docs/cli.md`` writes what is printed now.

A session is a block marked ``console``. Its lines that begin with ``$ ``, with the ``> `` lines below them,
are run in turn, all sessions of a document in one new folder. What they print stands below them; what is
another each time is there in its usual form. A line that ends in ``&`` stays in the background until
``kill %1``.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.servers import short_folder
from tests.support.wait import eventually

__all__ = ["commands_of", "play", "told"]

_SESSION = re.compile(r"(?<=^```console\n)(.*?)(?=^```$)", re.MULTILINE | re.DOTALL)
_STARTED = "embedded server"
"""What the last line of the banner says."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_SHORT_ID = re.compile(r"\b[0-9a-f]{6}…[0-9a-f]{7}\b")
_USUAL: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"gqm_ak_[0-9a-f]{48}"), f"gqm_ak_{'0123456789abcdef' * 3}"),
    (re.compile(r"sha256:[0-9a-f]{64}"), f"sha256:{'fedcba9876543210' * 4}"),
    (re.compile(r"\$2b\$12\$[./A-Za-z0-9]{53}"), f"$2b$12${'GqmGqmGqm' * 5}GqmGqmGq"),
    (re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d"), "2026-07-01 09:00:00"),
    (re.compile(r"\b\d\d:\d\d:\d\d\.\d{3}\b"), "09:00:00.123"),
    (re.compile(r"\b1\d{9}(?:\.\d+)?\b"), "1782896400"),
    (re.compile(r"\b[\w.-]+-\d+-[0-9a-f]{6}\b"), "web1-18002-c41ef0"),
    (re.compile(r"\b\d+(?:\.\d+)? ms\b"), "0.4 ms"),
    (re.compile(r"\bin \d+\.\d s\b"), "in 0.1 s"),
    (re.compile(r"\bin (?:\d+[dhms])+$", re.MULTILINE), "in 16h30m"),
    (re.compile(r"\b(valkey|redis) \d+\.\d+\.\d+\b"), r"\1 9.1.0"),
    (re.compile(r" {3,}\d+(?:m\d+)?s$", re.MULTILINE), "      1s"),
    (re.compile(r"^((?:execution_duration|wait_ms|elapsed_ms) +)\d+$", re.MULTILINE), r"\g<1>1"),
    (re.compile(r'"(out|failed)_per_min":\d+\.\d+'), r'"\1_per_min":0.0'),
    (re.compile(r'"(wait_avg_ms|run_avg_ms)":(?:\d+|null)'), r'"\1":null'),
    (re.compile(r"\bwrote \d+ files\b"), "wrote 31 files"),
    (re.compile(r'"python": "[^"]*"'), '"python": "3.12.4"'),
    (re.compile(r'"textual": "[^"]*"'), '"textual": "8.2.8"'),
    (re.compile(r'"redis_py": "[^"]*"'), '"redis_py": "6.4.0"'),
    (re.compile(r'"platform": "[^"]*"'), '"platform": "Linux-6.1-x86_64-with-glibc2.36"'),
)


def commands_of(document: str) -> list[str]:
    """Return the lines that the sessions of a document type."""
    return [line for session in _SESSION.findall(document) for line in _typed(session)]


def _typed(session: str) -> list[str]:
    """Return what is typed in a session; a command of several lines is one item."""
    typed: list[str] = []
    for line in session.splitlines():
        if line.startswith("$ "):
            typed.append(line[2:])
        elif typed and (line == ">" or line.startswith("> ")):
            typed[-1] += f"\n{line[2:]}"
    return typed


def play(document: str) -> str:
    """Return the document with what its sessions print now."""
    player = _Player(short_folder())
    try:
        return _SESSION.sub(lambda match: player.session(match[0]), document)
    finally:
        player.close()


def told(text: str, known: dict[str, str]) -> str:
    """Return what was printed with everything in its usual form that is another each time.

    ``known`` remembers which job is which.
    """

    def number(match: re.Match[str]) -> str:
        return known.setdefault(match[0], f"01943c1e-7a2b-7c3d-8e4f-{len(known) + 1:012}")

    text = _UUID.sub(number, text)
    text = _SHORT_ID.sub("01943c…0000001", text)
    for pattern, usual in _USUAL:
        text = pattern.sub(usual, text)
    return text


class _Player:
    """A folder in which commands are run, one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, str] = {}
        self._background: subprocess.Popen[bytes] | None = None
        self._shown = 0
        programs = folder / ".bin"
        programs.mkdir()
        program = programs / "gqm"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gqm_cli "$@"\n')
        program.chmod(0o755)
        self._work = folder / "shop"
        self._work.mkdir()
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("GQM_")}
        self._env |= {"HOME": str(self._work), "LOGNAME": "ana", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        self._env["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
        self._env["PYTHONPATH"] = str(Path(__file__).parent.parent.parent)

    def session(self, text: str) -> str:
        """Run the commands of a session; returns it with what they print."""
        parts = []
        for line in _typed(text):
            shown = line.replace("\n", "\n> ").replace("> \n", ">\n")
            printed = self._does(line)(line).replace(str(self._work), "/srv/shop")
            parts.append(f"$ {shown}\n{told(printed, self._known)}")
        return "".join(parts)

    def _does(self, line: str) -> Callable[[str], str]:
        if line.endswith("&"):
            return self._start
        return self._kill if line == "kill %1" else self._run

    def _run(self, line: str) -> str:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self._work,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        return done.stdout.decode()

    @property
    def _log(self) -> Path:
        return self._folder / "background.txt"

    def _start(self, line: str) -> str:
        assert self._background is None, "one command in the background at a time"
        with self._log.open("wb") as log:
            self._background = subprocess.Popen(
                ["bash", "-c", f"exec {line.removesuffix('&')}"],
                cwd=self._work,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        eventually(self._has_started, timeout=30, message=f"{line} has started")
        text = self._log.read_text()
        assert self._background.poll() is None, text
        self._shown = len(text)
        return text

    def _has_started(self) -> bool:
        assert self._background is not None
        text = self._log.read_text()
        return self._background.poll() is not None or (_STARTED in text and text.endswith("\n"))

    def _kill(self, line: str) -> str:
        process, self._background = self._background, None
        assert process is not None, "nothing is in the background"
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        return self._log.read_text()[self._shown :]

    def close(self) -> None:
        """End what still runs, and remove the folder; its server ends with the last program that uses it."""
        if self._background is not None:
            self._background.kill()
            self._background.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def main() -> None:
    """Write what commands print now into the document that the command line names."""
    path = Path(sys.argv[1])
    path.write_text(play(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
