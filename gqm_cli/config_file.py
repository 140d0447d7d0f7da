"""Changing a configuration file: whatever happens, it is the old one or the new one, and private."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gqm.config import Level, Problem, load_config, parse_config
from gqm.config.marks import NotEditable
from gqm.errors import ConfigError
from gqm_cli.diagnostics import CommandFailed
from gqm_cli.yaml_edit import EditRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

LOCK_WAIT_S = 5.0
_LOCK_RETRY_S = 0.02
_PRIVATE = 0o600
_MOST_BYTES = 1_048_576

_STRUCTURE = ("R1", "R2", "R3", "R4", "R5", "R6")
"""Rules about the text as a whole: what breaks them cannot be edited."""
_OF_THIS_MACHINE = ("R10", "R22", "R57")
"""Rules about variables and files that another machine, where the server runs, may have."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was changed."""

    narrowed: bool
    """Whether others could read it before; nobody else can now."""
    left: tuple[Problem, ...]
    """What is still to be filled in, or cannot be checked on this machine."""


def read_text(file: str) -> str:
    """Return the text of a configuration file that can be edited. Raises `ConfigError`."""
    return _decoded(_read(file), file)


def look(file: str, read: Callable[[str], T]) -> T:
    """Return what ``read`` finds in the text of a file. Raises `ConfigError` and `CommandFailed`."""
    return _done(read, read_text(file), file)


def edit(file: str, change: Callable[[str], tuple[str, T]]) -> tuple[Written, T]:
    """Change a file under a lock; ``change`` returns the new text and what it has to tell.

    The new text must load; it is written beside the old file and takes its place in one step. Raises
    `ConfigError` and `CommandFailed`, and leaves every byte as it was then.
    """
    target = Path(os.path.realpath(file))
    with _locked(target.parent, file):
        raw = _read(file)
        text = _decoded(raw, file)
        edited, told = _done(change, text, file)
        left = _check(text, edited, file)
        _check_owner(target, file)
        narrowed = _replace(target, raw, edited.encode("utf-8"), file)
        _check_written(file, edited)
    return Written(narrowed, left), told


@contextlib.contextmanager
def _locked(folder: Path, file: str) -> Iterator[None]:
    """Hold the lock of a folder; it needs no file of its own and ends with the process."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        load_config(file)
        raise
    try:
        _wait_for_lock(descriptor, file)
        yield
    finally:
        os.close(descriptor)


def _wait_for_lock(descriptor: int, file: str) -> None:
    end = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise CommandFailed(
                    f"{file} is being edited by another program; nothing was changed, run the command again"
                ) from None
            time.sleep(_LOCK_RETRY_S)
        else:
            return


# ---------------------------------------------------------------------------------- text to text


def _read(file: str) -> bytes:
    try:
        with open(file, "rb") as stream:
            return stream.read(_MOST_BYTES + 1)
    except (OSError, ValueError):
        load_config(file)  # says why in the words that every command uses
        raise


def _decoded(raw: bytes, file: str) -> str:
    """Return the text of a file. Raises `ConfigError` if it is no text that could be edited."""
    text = raw.decode("utf-8", "surrogateescape")
    broken = [problem for problem in problems_of(text, file) if problem.rule in _STRUCTURE]
    if broken:
        raise ConfigError(problems=broken)
    return text


def problems_of(text: str, file: str) -> tuple[Problem, ...]:
    """Return every problem of a text, in file order."""
    try:
        config = parse_config(text, file=file)
    except ConfigError as exc:
        return tuple(item for item in exc.problems if isinstance(item, Problem))
    return (*config.incomplete, *config.warnings)


def _done(work: Callable[[str], T], text: str, file: str) -> T:
    try:
        return work(text)
    except EditRefused as exc:
        raise CommandFailed(
            f"{exc.subject} in {file}:{exc.line}:{exc.column} {exc}, nothing was changed"
        ) from exc
    except NotEditable as exc:
        raise CommandFailed(f"{file}:{exc.line}:{exc.column}: {exc}, nothing was changed") from exc


def _check(text: str, edited: str, file: str) -> tuple[Problem, ...]:
    """Return what may stay wrong with the edited text. Raises `ConfigError` for what must not."""
    found = problems_of(edited, file)
    errors = [item for item in found if item.level is Level.ERROR and item.rule not in _OF_THIS_MACHINE]
    if errors:
        raise ConfigError(problems=_as_before(errors, problems_of(text, file)))
    return tuple(item for item in found if item.level is not Level.WARNING)


def _as_before(errors: Sequence[Problem], before: Sequence[Problem]) -> list[Problem]:
    """Return errors with their places in the file as it is: the edited text is never written."""
    known = {(item.rule, item.path, item.text): item for item in before}
    return [known.get((item.rule, item.path, item.text), item) for item in errors]


# ---------------------------------------------------------------------------------- file to file


def _check_owner(target: Path, file: str) -> None:
    owner = target.stat().st_uid
    if os.geteuid() not in (0, owner):
        raise CommandFailed(f"{file} belongs to another user; nothing was changed")
    if not os.access(target, os.W_OK):
        raise CommandFailed(f"{file} is not writable; nothing was changed")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise CommandFailed(f"the folder of {file} is not writable; nothing was changed")


def _replace(target: Path, before: bytes, after: bytes, file: str) -> bool:
    """Put a new file in the place of the old one; returns whether others could read that."""
    _remove_leftovers(target)
    found = target.stat()
    new = target.with_name(f"{_leftover_start(target)}{secrets.token_hex(8)}")
    try:
        _write(new, after, found)
        if target.read_bytes() != before:
            raise CommandFailed(
                f"{file} changed while it was being edited; nothing was written, run the command again"
            )
        os.rename(new, target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)
    return bool(stat.S_IMODE(found.st_mode) & ~_PRIVATE)


def _leftover_start(target: Path) -> str:
    return f".{target.name}.gqm-"


def _remove_leftovers(target: Path) -> None:
    """Remove what killed edits left: the lock is ours, so no other edit is under way."""
    for path in target.parent.iterdir():
        if path.name.startswith(_leftover_start(target)):
            path.unlink(missing_ok=True)


def _write(path: Path, content: bytes, like: os.stat_result) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _PRIVATE)
    with open(descriptor, "wb") as stream:
        os.fchmod(descriptor, _PRIVATE)
        if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
            with contextlib.suppress(PermissionError):  # a group that we are not in; the mode keeps it out
                os.fchown(descriptor, like.st_uid, like.st_gid)
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_written(file: str, edited: str) -> None:
    """Load what is on disk now: only then may success be told."""
    if read_text(file) != edited:
        raise CommandFailed(f"{file} was changed by another program right after it was written; look at it")
