"""Checks of the private server of one machine: its folder, the server itself, and who uses it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gqm_cli.doctor.checks import Check, fail, ok, skip, warn

if TYPE_CHECKING:
    from gqm.config import Config
    from gqm.embedded import Status

_MOST_USERS = 8


def check_embedded(config: Config) -> Iterator[Check]:
    """Check the folder of the embedded server, without starting or joining it."""
    from gqm.embedded import status
    from gqm_cli.startup import shown_folder

    if not config.redis.embedded_folder:
        yield skip("embedded.folder", "Redis is not embedded")
        return
    found, shown = status(config.redis.embedded_folder), shown_folder(config)
    if not found.exists:
        yield ok("embedded.folder", f"{shown} does not exist yet: the first command that needs it makes it")
        yield from _binary()
        return
    yield from _folder(found, shown)
    yield from _server(found)


def _binary() -> Iterator[Check]:
    from gqm.embedded.binary import find_binary
    from gqm.errors import EmbeddedServerError

    try:
        found = find_binary(os.environ)
    except EmbeddedServerError as exc:
        yield fail("embedded.server", str(exc))
        return
    yield ok("embedded.server", f"{found.version.kind} {found.version.text} would be started: {found.path}")


def _folder(found: Status, shown: str) -> Iterator[Check]:
    from gqm.embedded.folder import owner_name

    me = owner_name(os.geteuid())
    if found.owner != me:
        text = f"{shown} belongs to {found.owner}, you are {me}"
        yield fail("embedded.folder", text, f"run as {found.owner}, or use another folder")
    else:
        yield ok("embedded.folder", f"{shown} belongs to {found.owner}")
    mode = found.mode or 0
    if mode & 0o077:
        text = f"{shown} has mode {mode:04o}, so others could reach the server"
        yield fail("embedded.mode", text, f"chmod 700 {shown}")
    else:
        yield ok("embedded.mode", f"mode {mode:04o}, nobody else gets in")


def _server(found: Status) -> Iterator[Check]:
    what = f"{found.kind} {found.version}" if found.kind else "a server"
    if not found.running:
        yield ok("embedded.server", f"{what} wrote the data, and does not run now")
        yield from _binary()
        return
    yield ok("embedded.server", f"{what} runs as process {found.pid}")
    if found.guardian_pid is None and found.users is not None:
        text = "the server has no guardian: it would not end with its last user"
        yield warn("embedded.guardian", text, "end all its users; the next one starts it anew")
    if found.users is not None:
        number = len(found.users)
        names = ", ".join(str(pid) for pid in found.users[:_MOST_USERS])
        users = (
            f"{number} process{'' if number == 1 else 'es'} {'uses' if number == 1 else 'use'} it: {names}"
        )
        yield ok("embedded.users", users if number else "no process uses it now")
