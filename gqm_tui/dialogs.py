"""The dialogs that open over any screen."""

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp


class Dialogs:
    """The app's actions that open a dialog over what can be seen; each is imported when it is first used."""

    def action_action_log(self) -> None:
        """Show what was done from here, and the server's audit."""
        app = cast("GqmApp", self)
        app.doors.action_log()

    def action_contexts(self) -> None:
        """Show the servers that can be opened."""
        cast("GqmApp", self).contexts.show()

    def action_help(self) -> None:
        """Show the keys of this place."""
        from gqm_tui.screens.help import HelpScreen, help_lines

        app = cast("GqmApp", self)
        frame = app.visible_frame
        if frame is not None:
            title = "gqm" if frame.pane is None else frame.pane.crumb
            app.push_screen(HelpScreen(title, help_lines(frame)))

    def action_palette(self) -> None:
        """Find anything that can be done here."""
        cast("GqmApp", self).palette.open()
