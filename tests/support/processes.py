"""The processes that a test has started, by the home folder in their environment, which children inherit."""

from __future__ import annotations

from pathlib import Path

__all__ = ["has_environ", "processes"]


def has_environ() -> bool:
    """Whether this system shows the environment of processes."""
    return Path("/proc/self/environ").exists()


def processes(home: Path) -> dict[int, str]:
    """Return process ids and command lines of the living processes whose ``HOME`` is this folder."""
    mark = f"\0HOME={home}\0".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and mark in b"\0" + (entry / "environ").read_bytes():
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found
