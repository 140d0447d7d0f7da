"""Settings of the terminal UI: flags, then environment, then the last run, then `tui.toml`, then defaults."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gqm_tui.core.contexts import ContextConfig, choose, read_contexts
from gqm_tui.core.fields import TABLES_OF, check_view
from gqm_tui.core.state import State
from gqm_tui.core.themefiles import Theme, read_themes
from gqm_tui.core.tomlcheck import Problem, SettingsError, Table, near, read_toml
from gqm_tui.options import RunOptions

__all__ = ["ContextConfig", "SavedView", "Settings", "SettingsError", "Slo", "load", "step_interval"]

TABS = tuple(TABLES_OF)
INTERVALS = (1.0, 2.0, 3.0, 5.0, 10.0, 30.0)
"""The steps of the polling interval, in seconds."""
LEAST_INTERVAL_S, MOST_INTERVAL_S = 0.5, 3_600.0
DEFAULT_THEME = "gqm-dark"
DEFAULT_OLDEST_S = 300.0
DEFAULT_REDACT = ("password", "token", "secret")


@dataclass(frozen=True, slots=True)
class Slo:
    """What is asked of one queue: the greatest age of its next job in seconds, and share of failed jobs."""

    oldest_s: float = DEFAULT_OLDEST_S
    fail_rate: float | None = None


@dataclass(frozen=True, slots=True)
class SavedView:
    """A tab with a filter, under a name."""

    name: str
    tab: str
    filter: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a start of the terminal UI was told, already decided between the sources."""

    context: ContextConfig
    """The one to open first."""
    contexts: tuple[ContextConfig, ...] = ()
    """All that can be opened."""
    interval: float = 1.0
    """Seconds between two polls."""
    tab: str = TABS[0]
    theme: str = DEFAULT_THEME
    local_time: bool = False
    ascii_glyphs: bool = False
    failed_grouped: bool = True
    keymap: Mapping[str, str] = field(default_factory=dict)
    """Keys by binding id, not yet compared with the bindings that exist."""
    slo: Mapping[str, Slo] = field(default_factory=dict)
    redact: tuple[str, ...] = DEFAULT_REDACT
    """Keys whose values are hidden, in any case and as a part of a longer key."""
    views: tuple[SavedView, ...] = ()
    themes: tuple[Theme, ...] = ()
    read_only: bool = False
    """Nothing is changed anywhere in this run, also not at an address that is typed later."""
    source: str = "tui.toml"
    """Where the file is, for messages about it."""

    def slo_of(self, queue: str) -> Slo:
        """Return what is asked of a queue."""
        return self.slo.get(queue, Slo())


@dataclass(frozen=True, slots=True)
class _File:
    """What the file says; None where it says nothing and another source may come behind it."""

    interval: float | None
    tab: str | None
    theme: str | None
    glyphs: str | None
    contexts: Mapping[str, ContextConfig]
    slo: Mapping[str, Slo]
    views: tuple[SavedView, ...]
    local_time: bool
    failed_grouped: bool
    keymap: Mapping[str, str]
    redact: tuple[str, ...]


def config_path(options: RunOptions, env: Mapping[str, str]) -> tuple[Path, bool]:
    """Return the path of the configuration file, and whether somebody named it, so that it must exist."""
    if options.tui_config is not None:
        return options.tui_config.expanduser(), True
    if named := env.get("GQM_TUI_CONFIG"):
        return Path(named).expanduser(), True
    base = env.get("XDG_CONFIG_HOME") or ""
    # The XDG rules ask to ignore a relative folder.
    folder = Path(base) if base.startswith("/") else Path("~/.config").expanduser()
    return folder / "gqm" / "tui.toml", False


def load(options: RunOptions, state: State | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """Read the configuration file and decide between all sources.

    Raises SettingsError with every problem of the file, of the theme files beside it, and of the flags.
    """
    env = os.environ if env is None else env
    last = state or State()
    problems: list[Problem] = []
    path, named = config_path(options, env)
    table = read_toml(path, problems) if named or path.exists() else Table(str(path), {}, problems)
    file = _read_file(table, path.parent)
    themes = read_themes(path.parent / "themes", problems)
    _check_flags(options, problems)
    choice = choose(options, env, last.context, file.contexts, problems)
    if problems:
        raise SettingsError(problems)
    return Settings(
        context=_locked(choice.first, options),
        contexts=tuple(_locked(one, options) for one in choice.all),
        interval=options.interval or last.interval or file.interval or INTERVALS[0],
        tab=options.tab or (last.tab if last.tab in TABS else None) or file.tab or TABS[0],
        theme=options.theme or last.theme or file.theme or DEFAULT_THEME,
        local_time=file.local_time,
        ascii_glyphs=file.glyphs == "ascii" if file.glyphs else not _shows_unicode(env),
        failed_grouped=file.failed_grouped,
        keymap=file.keymap,
        slo=file.slo,
        redact=file.redact,
        views=file.views,
        themes=themes,
        read_only=bool(options.read_only),
        source=str(path),
    )


def _locked(context: ContextConfig, options: RunOptions) -> ContextConfig:
    return replace(context, read_only=True) if options.read_only else context


def _read_file(table: Table, folder: Path) -> _File:
    file = _File(
        interval=table.number("interval", LEAST_INTERVAL_S, MOST_INTERVAL_S),
        tab=table.choice("default_tab", TABS),
        theme=table.text("theme"),
        glyphs=table.choice("glyphs", ("unicode", "ascii")),
        local_time=table.choice("time", ("utc", "local")) == "local",
        failed_grouped=table.choice("failed_view", ("grouped", "flat")) != "flat",
        keymap=table.table("keymap").each_text(),
        contexts=read_contexts(table, folder),
        slo={name: _slo(inner) for name, inner in table.tables("slo").items()},
        redact=_redact(table.table("redact")),
        views=tuple(_view(name, inner) for name, inner in table.tables("views").items()),
    )
    table.done()
    return file


def _slo(table: Table) -> Slo:
    oldest = table.span("oldest")
    slo = Slo(DEFAULT_OLDEST_S if oldest is None else oldest, table.number("fail_rate", 0, 1))
    table.done()
    return slo


def _redact(table: Table) -> tuple[str, ...]:
    keys = table.texts("keys", DEFAULT_REDACT)
    table.done()
    return keys


def _view(name: str, table: Table) -> SavedView:
    tab, text = table.choice("tab", TABS), table.text("filter", "") or ""
    if "tab" not in table:
        table.wrong("tab", "is missing")
    elif tab is not None and (refusal := check_view(tab, text)):
        table.wrong("filter", refusal)
    table.done()
    return SavedView(name, tab or TABS[0], text)


def _check_flags(options: RunOptions, problems: list[Problem]) -> None:
    seconds = options.interval
    if seconds is not None and not LEAST_INTERVAL_S <= seconds <= MOST_INTERVAL_S:
        text = f"must be between {LEAST_INTERVAL_S:g} and {MOST_INTERVAL_S:g} seconds"
        problems.append(Problem("--interval", "", text))
    if options.tab is not None and options.tab not in TABS:
        text = f'"{options.tab}" is not allowed ({", ".join(TABS)}); {near(options.tab, TABS)}'
        problems.append(Problem("--tab", "", text))


def _shows_unicode(env: Mapping[str, str]) -> bool:
    """Tell whether the locale is a UTF-8 one; without any locale, today's terminals are."""
    locale = next((value for name in ("LC_ALL", "LC_CTYPE", "LANG") if (value := env.get(name))), "")
    return not locale or locale.lower().replace("-", "").rpartition(".")[2].partition("@")[0] == "utf8"


def step_interval(seconds: float, *, slower: bool) -> float:
    """Return the next step of the polling interval, which may stand between two of them; the ends stay."""
    if slower:
        return next((step for step in INTERVALS if step > seconds), max(seconds, INTERVALS[-1]))
    return next((step for step in reversed(INTERVALS) if step < seconds), min(seconds, INTERVALS[0]))
