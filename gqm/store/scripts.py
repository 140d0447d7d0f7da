"""The Lua scripts: one file per transition, shared parts put in front, loaded once per process."""

from __future__ import annotations

import functools
import hashlib
import re
from importlib import resources
from typing import NamedTuple

_NEEDS = re.compile(r"^-- needs: (.+)$", re.MULTILINE)


class Script(NamedTuple):
    """A script as Redis knows it."""

    name: str
    source: str
    sha: str


@functools.cache
def script(name: str) -> Script:
    """Return a script by its file name without ending.

    The parts that it names in its ``-- needs:`` line, and those that they need, stand in front of it.
    """
    source = _assemble(name)
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def _assemble(name: str) -> str:
    parts: dict[str, str] = {}

    def add(part: str, text: str) -> None:
        needs = _NEEDS.search(text)
        for needed in needs.group(1).split() if needs else ():
            if needed not in parts:
                add(needed, _read("lib", needed))
        parts[part] = text

    add(f"{name} itself", _read(name))
    return "\n".join(_without_comments(text) for text in parts.values())


def _read(*path: str) -> str:
    *folders, name = path
    return resources.files("gqm.store").joinpath("lua", *folders, f"{name}.lua").read_text("utf-8")


def _without_comments(text: str) -> str:
    """Drop comment lines: Redis keeps the source in memory and EVAL sends it whole."""
    return "\n".join(
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("--")
    )


def script_names() -> list[str]:
    """Return the names of all scripts."""
    folder = resources.files("gqm.store").joinpath("lua")
    return sorted(item.name[:-4] for item in folder.iterdir() if item.name.endswith(".lua"))
