"""Holding the picture, and going back from there through the last minutes that are held in memory."""

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp


class Freezing:
    """The app's actions on time. Polling goes on meanwhile; what comes is held until the screen goes on."""

    frozen: bool = False
    frozen_at: float = 0.0
    """Monotonic time since when the picture is held."""

    def action_freeze(self) -> None:
        """Hold the picture; once more goes on from now."""
        app = cast("GqmApp", self)
        self.frozen, self.frozen_at = not self.frozen, app.clock.monotonic()
        if app.visible_pane is not None:
            app.visible_pane.catch_up()
        self._repaint(app)

    def action_rewind(self, step: int) -> None:
        """Show an earlier or a later moment of those that are held."""
        app = cast("GqmApp", self)
        pane = app.visible_pane
        if pane is None:
            return
        if not self.frozen:
            app.notify("freeze first; then the keys go back in time and forth", markup=False)
        elif not pane.rewind(step):
            app.notify("nothing older is held" if step < 0 else "nothing newer is held", markup=False)
        self._repaint(app)

    @staticmethod
    def _repaint(app: "GqmApp") -> None:
        if app.visible_frame is not None:
            app.paint_frame(app.visible_frame)
        app.screen.refresh_bindings()
