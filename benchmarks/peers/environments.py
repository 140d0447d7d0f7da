"""Virtual environments of the queues, made on first use in the user's cache folder."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.peers.catalog import Queue


def folder() -> Path:
    """Return where the environments are."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "gqm-benchmarks"


def binaries(queue: Queue) -> Path:
    """Return the folder of the programs of a queue; its environment is made if there is none yet."""
    if not queue.packages:
        return Path(sys.executable).parent
    home = folder() / queue.name
    done = home / "installed"
    wanted = " ".join(queue.packages)
    if not done.exists() or done.read_text() != wanted:
        venv.create(home, with_pip=True, clear=True)
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *queue.packages]
        subprocess.run(pip, check=True)
        done.write_text(wanted)
    return home / "bin"


def version(queue: Queue) -> str:
    """Return the installed version of a queue."""
    code = f"from importlib.metadata import version; print(version({queue.name!r}))"
    python = str(binaries(queue) / "python")
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return found.stdout.strip()
