"""Keys in the order they were pressed: each finds the screen and the focus that the last one has left."""

from textual import events
from textual.app import App

from gqm_tui.screens.frame import FrameScreen


class KeysInOrder(App[int], inherit_bindings=False):
    """An app that looks a key up when it comes, before the next one is looked at.

    Textual hands a key to the widget in focus, and looks for a binding when it has come back from there. By
    then the next key is on its way to the same widget: of `5` and `enter`, pressed while the app was busy,
    the second would open a row of the tab that was left.
    """

    async def on_event(self, event: events.Event) -> None:
        """Run the binding of a new key at once, unless a text is being typed or a dialog has the keys."""
        if isinstance(event, events.Key) and not event.is_forwarded and await self._was_bound(event):
            return
        await super().on_event(event)

    async def _was_bound(self, event: events.Key) -> bool:
        focused = self.focused
        # Letters are on their way to an input, and what ends them must not get there first.
        typing = focused is not None and focused.check_consume_key("a", "a")
        if typing or not isinstance(self.screen, FrameScreen):
            return False
        return await self._check_bindings(event.key, priority=True) or await self._check_bindings(event.key)
