"""Every command, in a pipe and on a terminal: done, used wrongly, wrongly configured, not connected."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gqm_cli import main
from tests.cli.helpers import Done, Gqm
from tests.cli.operators import AWAY, OPERATIONS
from tests.cli.session import told

PATHS = [
    f"{entry.name} {member.name}" if member else entry.name
    for entry in main.Gqm.entries
    if not entry.hidden
    for member in entry.members or (None,)
]
"""The commands that do something themselves."""

IN_ORDER = (
    *("version", "version --json", "init -c new.yaml", "init --stdout", "check", "check --json"),
    *("list-users", "list-users --json", "remove-user bob --yes", "list-api-keys --json"),
    *("add-api-key deploy", "list-api-keys", "revoke-api-key deploy --yes", "generate-api-key"),
    *("dashboard export out", "enqueue mail --id a1", "enqueue mail --id a2 --json", "job list"),
    *("job show a1", "queue list", "queue pause default", "job cancel a1", "job retry a1 --json"),
    *("queue resume default", "job list --json", "queue empty default --yes", "job delete a1 a2"),
    *("cron list", "queue list --json"),
)
"""What works in a folder with one user, on an empty key space; each sees what those before it have done."""

READS_THE_FILE = (
    *("check", "run", "enqueue mail", "list-users", "remove-user bob --yes", "add-api-key y"),
    *("revoke-api-key x --yes", "list-api-keys", *OPERATIONS),
)
ELSEWHERE = {"demo", "doctor", "tui", "set-password", "hash-password"}
"""They need stdin, a server of their own or a whole screen, and have such tests in files of their own."""
NEEDS_REDIS = ("run", "enqueue mail", *OPERATIONS)


HASH = "$2b$12$" + "." * 53
USERS = f"{{username: ana, role: admin, password_hash: '{HASH}'}}, {{username: bob, password_hash: '{HASH}'}}"


class Places:
    """Runs the same lines in a pipe and on a terminal, each time in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._pipe, self._terminal = Gqm(folder / "pipe"), Gqm(folder / "terminal")
        for gqm in (self._pipe, self._terminal):
            gqm.folder.mkdir()
            gqm.env.update({"TZ": "UTC", "LOGNAME": "ana", "NO_COLOR": "1"})

    def write(self, name: str, text: str) -> None:
        """Write a file into both folders; ``PLACE`` becomes the name of the place."""
        for gqm in (self._pipe, self._terminal):
            gqm.write(name, text.replace("PLACE", gqm.folder.name))

    def run(self, lines: Sequence[str]) -> Iterator[tuple[str, Done, Done]]:
        """Yield each line with what it did in a pipe, and on a terminal."""
        on_terminal = self._terminal.terminal_many(lines)
        for line, shown in zip(lines, on_terminal, strict=True):
            yield line, usual(self._pipe(*shlex.split(line))), usual(shown)


def usual(done: Done) -> Done:
    """Return what a command did with what is another each time in its usual form."""
    return Done(done.code, told(done.out, {}), told(done.err, {}))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def test_every_command_is_in_the_matrix() -> None:
    lines = [*IN_ORDER, *READS_THE_FILE]
    missing = [path for path in PATHS if not any(f"{line} ".startswith(f"{path} ") for line in lines)]
    # They need stdin, a server of their own or a whole screen, and have such tests elsewhere.
    assert missing == [
        path for path in PATHS if path in ("demo", "doctor", "tui", "set-password", "hash-password")
    ]


def test_what_is_done_is_the_same_in_a_pipe_and_on_a_terminal(
    places: Places, redis_socket: str, prefix: str
) -> None:
    places.write(
        "gqm.yaml",
        f'redis: {{addr: "unix:{redis_socket}", prefix: "{prefix}PLACE:"}}\n'
        f"monitoring: {{auth: {{users: [{USERS}]}}}}\n",
    )
    for line, piped, shown in places.run(IN_ORDER):
        assert piped.code == 0, (line, piped)
        assert piped.out or piped.err, line
        assert shown == piped, line


def test_wrong_use(places: Places) -> None:
    for line, piped, shown in places.run([f"{path} --no-such" for path in PATHS]):
        assert (piped.code, piped.out) == (2, ""), line
        # A command that asks for a secret takes it for one, and repeats nothing.
        refusal = "hash-password takes no argument" if "hash-password" in line else "unknown option"
        assert piped.err.startswith(f"gqm: error: {refusal}"), line
        assert piped.err.count("\n") == 1, line
        assert shown == piped, line


def test_a_broken_configuration(places: Places) -> None:
    keys = f"api: {{api_keys: [{{name: x, key_hash: 'sha256:{'0' * 64}'}}]}}"
    text = f"redis:\n  adr: x\nmonitoring: {{{keys}, auth: {{users: [{USERS}]}}}}\n"
    places.write("gqm.yaml", text)
    for line, piped, shown in places.run(READS_THE_FILE):
        assert piped.code == 3, (line, piped)
        told_on = piped.out if line == "check" else piped.err
        assert told_on.startswith("gqm.yaml:2:3: redis.adr: unknown key"), line
        assert line == "check" or piped.out == "", line
        assert shown == piped, line


@pytest.mark.usefixtures("impatient")
def test_redis_away(places: Places) -> None:
    places.write("gqm.yaml", AWAY)
    for line, piped, shown in places.run(NEEDS_REDIS):
        assert (piped.code, piped.out) == (4, ""), (line, piped)
        assert piped.err.startswith("gqm: error: cannot connect to Redis at 127.0.0.1:1: "), line
        assert piped.err.count("\n") == 1, line
        assert shown == piped, line
