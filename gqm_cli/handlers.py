"""Importing the modules that hold handlers, and saying in one line what is wrong with one."""

from __future__ import annotations

import importlib
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING

from gqm_cli.diagnostics import CommandFailed

if TYPE_CHECKING:
    from gqm.config import Config
    from gqm.engine.handlers import Registry

_LIBRARIES = ("purelib", "platlib")
_OURS = ("gqm", "gqm_cli")


class HandlersBroken(CommandFailed):
    """A handlers module cannot be used."""

    def __init__(self, module: str, reason: str) -> None:
        super().__init__(f'handlers module "{module}": {reason}', code="HANDLERS")


def import_handlers(config: Config) -> list[ModuleType]:
    """Import the modules of ``app.handlers``, the folder of the configuration file first on ``sys.path``.

    Raises `HandlersBroken`; the error of the module is its cause.
    """
    if config.folder not in sys.path:
        sys.path.insert(0, config.folder)
    return [_import(name, config.folder) for name in config.app.handlers]


def register(modules: Iterable[ModuleType]) -> Registry:
    """Return the handlers that the modules mark. Raises `HandlersBroken`."""
    from gqm.engine.handlers import Registry, marked
    from gqm.errors import RegistrationError

    registry = Registry()
    for module in modules:
        try:
            for spec in marked(module):
                registry.add(spec)
        except RegistrationError as exc:
            raise HandlersBroken(module.__name__, str(exc)) from exc
    return registry


def _import(name: str, folder: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as exc:  # a module may also end the process
        raise HandlersBroken(name, _reason(name, exc, folder)) from exc


def _reason(name: str, exc: Exception | SystemExit, folder: str) -> str:
    if isinstance(exc, ModuleNotFoundError) and exc.name and f"{name}.".startswith(f"{exc.name}."):
        if name.endswith(".py"):
            return f'not a module name; write it without .py, like "{name.removesuffix(".py")}"'
        return f"there is no module {exc.name} in {folder}, nor an installed one"
    text = f"{type(exc).__name__}: {_message(exc)}".removesuffix(": ")
    place = _syntax_place(exc) or _deepest_place(name, exc.__traceback__)
    return f"{text} ({_shown(*place, folder)})" if place else text


def _message(exc: BaseException) -> str:
    return exc.msg if isinstance(exc, SyntaxError) else str(exc)


def _syntax_place(exc: BaseException) -> tuple[str, int] | None:
    if isinstance(exc, SyntaxError) and exc.filename:
        return exc.filename, exc.lineno or 1
    return None


def _deepest_place(module: str, traceback: TracebackType | None) -> tuple[str, int] | None:
    """Return file and line of the deepest frame in the user's code, else in a library."""
    frames = [frame for frame in _frames(traceback) if not _is_machinery(frame[0])]
    package = module.partition(".")[0]
    libraries = [sysconfig.get_path(name) for name in _LIBRARIES]

    def is_users(frame: tuple[str, str, int]) -> bool:
        name, file, _ = frame
        return _top(name) == package or not any(_is_below(file, folder) for folder in libraries)

    best = [frame for frame in frames if is_users(frame)] or frames
    return best[-1][1:] if best else None


def _frames(traceback: TracebackType | None) -> Iterator[tuple[str, str, int]]:
    """Yield module, file and line of each frame, outermost first."""
    while traceback is not None:
        frame = traceback.tb_frame
        yield str(frame.f_globals.get("__name__", "")), frame.f_code.co_filename, traceback.tb_lineno
        traceback = traceback.tb_next


def _is_machinery(module: str) -> bool:
    top = _top(module)
    return top in _OURS or top in sys.stdlib_module_names


def _top(module: str) -> str:
    return module.partition(".")[0]


def _is_below(file: str, folder: str | None) -> bool:
    return folder is not None and Path(folder) in Path(file).parents


def _shown(file: str, line: int, folder: str) -> str:
    """Return a place as one would type it: relative to the configuration's folder if it is there."""
    inside = _is_below(file, folder)
    return f"{os.path.relpath(file, folder) if inside else file}:{line}"
