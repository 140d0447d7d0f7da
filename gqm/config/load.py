"""From a file, a text or code to a checked `Config`, with every problem found on the way in one go."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gqm.config.advice import give_advice
from gqm.config.environment import substitute, with_variables
from gqm.config.model import Config
from gqm.config.overrides import has_own_client, with_overrides
from gqm.config.problems import CODE, Level, Place, Problem, in_order, printable
from gqm.config.reader import Reader
from gqm.config.resolve import resolve
from gqm.config.review import DEFAULT_FILE, Review
from gqm.config.rules import check_rules
from gqm.config.tree import Broken, Fields, describe, is_null
from gqm.errors import ConfigError, ConfigIncomplete

__all__ = ["Origin", "default_config", "load_config", "merge", "parse_config", "require_complete"]

_MAX_BYTES = 1_048_576
_TOO_LARGE = f"larger than {_MAX_BYTES // 1_048_576} MiB"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a configuration was made from, so that `merge` can lay more over it and check it all again.

    ``tree`` has the overrides so far in it, but not the variables of ``env``. That is a copy, so that a
    configuration can be pickled and does not change with the environment.
    """

    tree: Fields
    env: Mapping[str, str]
    folder: Path
    file: str = ""
    mode: int | None = None
    own_client: bool = False


def load_config(
    path: str | os.PathLike[str] = DEFAULT_FILE,
    *,
    env: Mapping[str, str] = os.environ,
    overrides: Mapping[str, object] | None = None,
) -> Config:
    """Read a configuration file.

    ``env`` is where ``${NAME}`` and the ``GQM_`` variables are looked up. ``overrides`` beat the file; they
    are a mapping from dotted path to value, as `code_options` makes it. Secrets that are still to be filled
    in do not raise; they are listed in ``Config.incomplete``.

    Raises `ConfigError` with all problems in its ``problems``.
    """
    file = os.fspath(path)
    try:
        with open(file, "rb") as stream:
            raw = stream.read(_MAX_BYTES + 1)
            mode = os.fstat(stream.fileno()).st_mode & 0o777
    except FileNotFoundError:
        text = f'{printable(file)} not found; create one with "gqm init" or name it with --config'
        raise _error([_unreadable(file, text)]) from None
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise _error([_unreadable(file, f"cannot read {printable(file)}: {reason}")]) from None
    return _parse(raw, file, env, overrides or {}, mode)


def parse_config(
    text: str,
    *,
    file: str = DEFAULT_FILE,
    env: Mapping[str, str] = os.environ,
    overrides: Mapping[str, object] | None = None,
) -> Config:
    """Read a configuration from text; ``file`` names it in messages, and its folder is where paths start.

    Otherwise like `load_config`.
    """
    # A lone surrogate has no UTF-8 form; as bytes it is refused like any other broken file.
    return _parse(text.encode("utf-8", "surrogatepass"), file, env, overrides or {}, None)


def default_config(
    overrides: Mapping[str, object] | None = None,
    *,
    env: Mapping[str, str] = os.environ,
    folder: str | os.PathLike[str] | None = None,
) -> Config:
    """Return the configuration of a program that has no file: defaults, environment, overrides.

    Relative paths start at ``folder``, by default the working folder. Raises `ConfigError`.
    """
    start = Path(folder if folder is not None else ".").absolute()
    return _checked(_overridden(Origin(Fields(CODE), dict(env), start), overrides or {}), ())


def merge(config: Config, overrides: Mapping[str, object]) -> Config:
    """Return a configuration with overrides laid over it, checked as a whole.

    ``pools``, ``queues``, ``scheduler.cron_entries`` and ``+app.handlers`` are added, everything else is
    replaced. Raises `ConfigError`; problems of the overrides have ``code`` as their place.
    """
    if config.origin is None:
        raise TypeError("merge needs a configuration made by load_config, parse_config or default_config")
    return _checked(_overridden(config.origin, overrides), ())


def require_complete(config: Config) -> None:
    """Raise `ConfigIncomplete` if a secret is still to be filled in, and the API would start without it."""
    if config.incomplete:
        raise ConfigIncomplete(problems=config.incomplete)


def _overridden(origin: Origin, overrides: Mapping[str, object]) -> Origin:
    own_client = origin.own_client or has_own_client(overrides)
    tree = with_overrides(origin.tree, overrides, own_client=own_client)
    return replace(origin, tree=tree, own_client=own_client)


def _parse(
    raw: bytes, file: str, env: Mapping[str, str], overrides: Mapping[str, object], mode: int | None
) -> Config:
    from gqm.config.yaml_text import parse_yaml  # the YAML library, which code without a file does not need

    name = printable(file)
    if len(raw) > _MAX_BYTES:
        raise _error([Problem(Level.ERROR, "R2", Place(name, 1, 1), "", _TOO_LARGE)])
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        before = raw[: exc.start].decode("utf-8")
        place = Place(name, before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise _error([Problem(Level.ERROR, "R2", place, "", "not UTF-8 text")]) from None
    root, problems = parse_yaml(text, name)
    if problems and (root is None or isinstance(root, Broken)):
        raise _error(problems)
    if root is None or is_null(root):
        root = Fields(Place(name, 1, 1))
    elif not isinstance(root, Fields):
        wrong = f"expected a mapping at the top, got {describe(root).partition(' ')[0]}"
        raise _error([*problems, Problem(Level.ERROR, "R5", root.place, "", wrong)])
    folder = Path(file).absolute().parent
    origin = Origin(root, dict(env), folder, file, mode)
    return _checked(_overridden(origin, overrides), problems)


def _checked(origin: Origin, problems: Iterable[Problem]) -> Config:
    """Run all rules over a tree; ``problems`` are those of the text."""
    found = list(problems)
    tree = with_variables(origin.tree, origin.env, own_client=origin.own_client)
    whole = substitute(tree, origin.env, found)
    reader = Reader()
    config = reader.section(Config, whole)
    review = Review(
        config,
        reader.spots,
        frozenset(reader.refused),
        origin.folder,
        origin.file,
        origin.mode,
        origin.own_client,
    )
    check_rules(review)
    give_advice(review)
    ordered = in_order([*found, *reader.problems, *review.problems])
    if any(problem.level is Level.ERROR for problem in ordered):
        raise _error(ordered)
    return replace(
        resolve(review),
        file=origin.file,
        folder=str(origin.folder),
        incomplete=tuple(problem for problem in ordered if problem.level is Level.INCOMPLETE),
        warnings=tuple(problem for problem in ordered if problem.level is Level.WARNING),
        origin=origin,
    )


def _unreadable(file: str, text: str) -> Problem:
    return Problem(Level.ERROR, "R1", Place(printable(file)), "", f"gqm: error: {text}")


def _error(problems: Iterable[Problem]) -> ConfigError:
    """Return the error that carries the problems; its text has the errors only, a line each."""
    kept = tuple(problems)
    return ConfigError("\n".join(str(item) for item in kept if item.level is Level.ERROR), kept)
