"""Puts the app together: settings, state file, clock and real HTTP clients."""

from gqm_tui.app import GqmApp
from gqm_tui.core.client import ApiClient, HttpClient
from gqm_tui.core.clock import SystemClock
from gqm_tui.core.config import ContextConfig, load
from gqm_tui.core.credentials import read_key
from gqm_tui.core.state import StateFile, state_path
from gqm_tui.options import RunOptions
from gqm_tui.screens.doors import tab_makers


def start(options: RunOptions) -> int:
    """Run the app until the person leaves; the exit code is 0 then. Raises SettingsError before that."""
    state_file = StateFile(state_path())
    settings = load(options, state_file.state)
    app = GqmApp(settings, connect=connect, clock=SystemClock(), state_file=state_file, panes=tab_makers())
    return app.run() or app.return_code or 0


def connect(context: ContextConfig) -> ApiClient:
    """Make the client of a context. Raises KeyUnavailableError when its key cannot be had."""
    return HttpClient(
        context.url,
        api_key=read_key(context.key),
        ca_file=None if context.ca_file is None else str(context.ca_file),
        insecure=context.insecure,
        read_only=context.read_only,
    )
