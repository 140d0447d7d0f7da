"""The servers that can be opened, and which one is opened first; a key never strays to another's address."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from gqm_tui.core.credentials import KeySource
from gqm_tui.core.tomlcheck import Problem, Table, near
from gqm_tui.options import RunOptions

DEFAULT_URL = "http://127.0.0.1:8080"
_SOURCES = ("api_key_cmd", "api_key_env", "api_key_file")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextConfig:
    """One server that can be opened: its address, how to get a key for it, and how careful to be with it."""

    name: str
    url: str
    """Base address, without a slash at its end."""
    key: KeySource = field(default_factory=KeySource)
    ca_file: Path | None = None
    insecure: bool = False
    """Do not check the server's certificate."""
    production: bool = False
    read_only: bool = False
    saved: bool = True
    """Whether it stands in the configuration file, and not only on this run's command line."""


def check_url(url: str) -> str | None:
    """Return what is wrong with the base address of an API, or None. The address is never repeated."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not an address"
    if parts.scheme not in ("http", "https") or not host:
        return "must begin with http:// or https:// and name a host"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user or a password; a key has its own settings"
    if parts.query or parts.fragment or any(char.isspace() or not char.isprintable() for char in url):
        return "must be an address only, without ?, # or blanks"
    return None


def read_contexts(table: Table, folder: Path) -> dict[str, ContextConfig]:
    """Read `[contexts.NAME]`; relative files are those beside the configuration, in `folder`."""
    return {name: _context(name, inner, folder) for name, inner in table.tables("contexts").items()}


def _context(name: str, table: Table, folder: Path) -> ContextConfig:
    url = table.text("url") or ""
    if "url" not in table:
        table.wrong("url", "is missing")
    elif url and (wrong := check_url(url)):
        table.wrong("url", wrong)
    context = ContextConfig(
        name=name,
        url=url.rstrip("/"),
        key=_source(table, folder),
        ca_file=_path(table.text("ca_file"), folder),
        insecure=table.flag("insecure"),
        production=table.flag("production"),
        read_only=table.flag("read_only"),
    )
    table.done()
    return context


def _source(table: Table, folder: Path) -> KeySource:
    command: tuple[str, ...] = ()
    if (line := table.text("api_key_cmd")) is not None:
        try:
            command = tuple(shlex.split(line))
        except ValueError as error:
            table.wrong("api_key_cmd", f"cannot be split into words: {error}")
    source = KeySource(
        command=command,
        variable=table.text("api_key_env"),
        file=_path(table.text("api_key_file"), folder),
    )
    given = [name for name in _SOURCES if name in table]
    if len(given) > 1:
        table.wrong(given[1], f"stands beside {given[0]}; a context has one source of its key")
    return source


def _path(text: str | None, folder: Path) -> Path | None:
    return None if text is None else folder / Path(text).expanduser()


@dataclass(frozen=True, slots=True)
class Choice:
    """The context to open first, and all that can be opened."""

    first: ContextConfig
    all: tuple[ContextConfig, ...]


def choose(
    options: RunOptions,
    env: Mapping[str, str],
    last: str | None,
    saved: Mapping[str, ContextConfig],
    problems: list[Problem],
) -> Choice:
    """Decide what is opened first: flag, then environment, then the last one, then the file, then loopback.

    A key from a flag goes to the context or address of a flag. Without one, and for a key from the
    environment always, it goes to the address of the environment, or to loopback: never to an address that
    only the file or the last run knows.
    """
    if options.api_url is not None and options.context is not None:
        problems.append(Problem("--context", "", "does not go together with --api-url"))
    if options.api_key is not None and not options.api_key.strip():
        problems.append(Problem("--api-key", "", "is empty"))
    given = _given_key(options, env)
    if options.context is not None and options.api_url is None:
        first = _named(options, saved, given, problems)
        return Choice(first, tuple(first if one.name == first.name else one for one in saved.values()))
    url, source = _given_url(options, env)
    if url is None and not given:
        known = saved.get(last or "") or next(iter(saved.values()), None)
        if known is not None:
            return Choice(known, tuple(saved.values()))
    if url is not None and (wrong := check_url(url)):
        problems.append(Problem(source, "", wrong))
        url = None
    first = _unsaved(url or DEFAULT_URL, given, saved)
    return Choice(first, (first, *saved.values()))


def _named(
    options: RunOptions, saved: Mapping[str, ContextConfig], given: KeySource, problems: list[Problem]
) -> ContextConfig:
    name = options.context or ""
    if name not in saved:
        what = f'there is no context "{name}"'
        text = f"{what}; {near(name, saved)}" if saved else f"{what}, as no file has any"
        problems.append(Problem("--context", "", text))
        return ContextConfig(name=name, url=DEFAULT_URL)
    by_flag = options.api_key is not None or options.api_key_file is not None
    return replace(saved[name], key=given) if by_flag else saved[name]


def _given_key(options: RunOptions, env: Mapping[str, str]) -> KeySource:
    if options.api_key_file is not None:
        return KeySource(file=options.api_key_file.expanduser())
    return KeySource(given=options.api_key or env.get("GQM_API_KEY") or None)


def _given_url(options: RunOptions, env: Mapping[str, str]) -> tuple[str | None, str]:
    if options.api_url is not None:
        return options.api_url, "--api-url"
    return env.get("GQM_API_URL") or None, "GQM_API_URL"


def _unsaved(url: str, key: KeySource, saved: Mapping[str, ContextConfig]) -> ContextConfig:
    """Build the context of an address that no file names, called after its host."""
    parts = urlsplit(url)
    names = (parts.hostname or url, parts.netloc, url)
    name = next((name for name in names if name not in saved), url)
    return ContextConfig(name=name, url=url.rstrip("/"), key=key, saved=False)


def open_url(url: str, saved: Mapping[str, ContextConfig]) -> ContextConfig:
    """Build a context for an address that somebody typed; it has no key.

    Raises ValueError with one sentence.
    """
    if wrong := check_url(url):
        raise ValueError(f"the address {wrong}")
    return _unsaved(url, KeySource(), saved)
