"""What can be chosen at any time and is kept for the next start: the pace of the polling, the colours."""

from typing import TYPE_CHECKING, cast

from gqm_tui import themes
from gqm_tui.core.config import step_interval

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp


class Choices:
    """The app's actions that change how it looks and how often it asks."""

    @property
    def _app(self) -> "GqmApp":
        return cast("GqmApp", self)

    def action_interval(self, step: int) -> None:
        """Take the next longer or shorter interval."""
        self.poll_every(step_interval(self._app.interval, slower=step > 0))

    def poll_every(self, seconds: float) -> None:
        """Fetch at another pace from now on."""
        app = self._app
        app.interval = seconds
        app.remember(interval=seconds)
        if app.visible_pane is not None:
            app.visible_pane.set_interval_s(seconds)
        if app.visible_frame is not None:
            app.paint_frame(app.visible_frame)

    def action_toggle_theme(self) -> None:
        """Change between dark and light."""
        self.use_theme(themes.LIGHT.name if self._app.current_theme.dark else themes.DARK.name)

    def use_theme(self, name: str) -> None:
        """Take other colours from now on."""
        self._app.theme = name
        self._app.remember(theme=name)
