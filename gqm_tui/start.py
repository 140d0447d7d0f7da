"""Puts the app together: settings, state file, clock and real HTTP clients."""

import gc
import os
import sys

from gqm_tui import keymap, themes
from gqm_tui.app import GqmApp
from gqm_tui.core.client import ApiClient, HttpClient
from gqm_tui.core.clock import SystemClock
from gqm_tui.core.config import ContextConfig, Settings, load
from gqm_tui.core.credentials import KeyUnavailableError, read_key
from gqm_tui.core.errors import ApiError
from gqm_tui.core.keycheck import check_keymap
from gqm_tui.core.state import StateFile, state_path
from gqm_tui.core.tomlcheck import Problem, SettingsError, near
from gqm_tui.options import RunOptions
from gqm_tui.screens.doors import tab_makers


def start(options: RunOptions) -> int:
    """Run the app until the person leaves; the exit code is 0 then. Raises SettingsError before that."""
    app = build(options, StateFile(options.state_file or state_path()))
    _ask_the_terminal_for_its_size()
    gc.freeze()  # else a key now and then waits until the collector has walked over the whole toolkit
    return app.run() or app.return_code or 0


def _ask_the_terminal_for_its_size() -> None:
    """Forget an exported COLUMNS and LINES: they would hold the screen at a size that the window has not."""
    try:
        size = os.get_terminal_size(sys.__stdout__.fileno()) if sys.__stdout__ is not None else (0, 0)
    except (OSError, ValueError):  # no terminal, or closed
        return
    if all(size):
        for name in ("COLUMNS", "LINES"):
            os.environ.pop(name, None)


def build(options: RunOptions, state_file: StateFile) -> GqmApp:
    """Make the app, with the key of its first context read. Raises SettingsError."""
    settings = load(options, state_file.state)
    check_keymap(settings.keymap, {name: key.keys for name, key in keymap.BY_ID.items()}, settings.source)
    _check_colours(settings)
    try:
        app = GqmApp(
            settings, connect=connect, clock=SystemClock(), state_file=state_file, panes=tab_makers()
        )
    except (KeyUnavailableError, ApiError) as error:
        where = f"context {settings.context.name}"
        raise SettingsError([Problem(where, "", str(error))]) from error
    # A theme that the last run left with may be gone by now; one that somebody names must be there.
    if settings.theme not in app.available_themes and settings.theme != state_file.state.theme:
        text = f'there is no theme "{settings.theme}"; {near(settings.theme, app.available_themes)}'
        raise SettingsError([Problem(settings.source, "theme", text)])
    return app


def _check_colours(settings: Settings) -> None:
    problems = [
        Problem(f"themes/{theme.name}.toml", token, f'"{theme.colours[token]}" is not a colour')
        for theme in settings.themes
        for token in themes.wrong_colours(theme)
    ]
    if problems:
        raise SettingsError(problems)


def connect(context: ContextConfig) -> ApiClient:
    """Make the client of a context. Raises KeyUnavailableError when its key cannot be had."""
    return HttpClient(
        context.url,
        api_key=read_key(context.key),
        ca_file=None if context.ca_file is None else str(context.ca_file),
        insecure=context.insecure,
        read_only=context.read_only,
    )
