"""Where the API key of a context comes from: a flag, a command, a variable, or a private file."""

import os
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gqm_tui.core.text import safe

COMMAND_LIMIT_S = 10.0
_MOST_BYTES = 4_096
_SHOWN_CHARS = 120


class KeyUnavailableError(Exception):
    """The key of a context cannot be had; its text is one sentence that never holds the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySource:
    """At most one of these is set; with none of them the context is opened without a key."""

    given: str | None = field(default=None, repr=False)
    """The key itself, from a flag or from GQM_API_KEY."""
    command: tuple[str, ...] = ()
    """A program and its arguments; what it prints on its first line is the key."""
    variable: str | None = None
    file: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.given or self.command or self.variable or self.file)

    @property
    def words(self) -> str:
        """Where the key comes from, without the key."""
        if self.given:
            return "a given key"
        if self.command:
            return f"key from {safe(self.command[0])}"
        if self.variable:
            return f"key in ${safe(self.variable)}"
        return f"key in {safe(str(self.file))}" if self.file else "no key"


def read_key(source: KeySource, env: Mapping[str, str] | None = None) -> str | None:
    """Return the key, or None when the source names none. A command may take up to 10 s: call it in a thread.

    Raises KeyUnavailableError when the command fails, the variable is not set, the file cannot be read or
    can be read by others, or when what was found is not a key.
    """
    if source.given is not None:
        return _clean(source.given, "the given API key")
    if source.command:
        return _clean(_run(source.command), f'the output of "{source.command[0]}"')
    if source.variable is not None:
        value = (os.environ if env is None else env).get(source.variable, "")
        if not value:
            raise KeyUnavailableError(f"{source.variable}, which should hold the API key, is not set")
        return _clean(value, source.variable)
    if source.file is not None:
        return _clean(_read(source.file), f"{source.file}")
    return None


def _clean(raw: str, what: str) -> str:
    lines = raw.splitlines()
    key = lines[0].strip() if lines else ""
    if not key:
        raise KeyUnavailableError(f"{safe(what)} is empty; an API key was expected")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise KeyUnavailableError(
            f"{safe(what)} is not an API key: it holds a blank or a sign that keys never have"
        )
    return key


def _run(command: tuple[str, ...]) -> str:
    """Run a command without a shell and without our terminal's input."""
    name = f'"{safe(command[0])}"'
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise KeyUnavailableError(f"{name} gave no API key within {COMMAND_LIMIT_S:g} s") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise KeyUnavailableError(f"{name} cannot be run: {safe(reason)}") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        why = f": {safe(said[-1][:_SHOWN_CHARS])}" if said else ""
        raise KeyUnavailableError(f"{name} failed with exit code {done.returncode}{why}")
    return done.stdout[:_MOST_BYTES].decode("utf-8", "replace")


def _read(path: Path) -> str:
    """Read a file that only its owner may read. Mode and content are those of the same open file."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise KeyUnavailableError(
                    f"{safe(str(path))} can be read by others (mode {mode:04o}); run chmod 600 on it"
                )
            return file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise KeyUnavailableError(f"{safe(str(path))} cannot be read: {error.strerror}") from None
