"""Which machine and process this is, so that a neighbour can prove that a process is gone."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def host_id() -> str:
    """Return boot id and pid namespace: equal only for processes that see each other's pids.

    Empty where the system does not tell; then nobody can prove anything and leases decide.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def process_start(pid: int) -> str:
    """Return when a process started, in clock ticks since boot; empty if there is no such process.

    Pid and start time together name a process for the life of the machine: a pid alone may be used again.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # The second field, the program's name in parentheses, may hold anything.
    fields = stat.rpartition(")")[2].split()
    state, start = fields[0], fields[19]
    return "" if state in "ZX" else start


def hostname() -> str:
    """Return the machine's name."""
    return socket.gethostname()
