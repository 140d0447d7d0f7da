"""The screen of the seven tabs; a tab's pane is built when it is first looked at."""

from collections.abc import Callable, Iterable

from textual.widget import Widget
from textual.widgets import ContentSwitcher

from gqm_tui.screens.frame import FrameScreen
from gqm_tui.screens.panes.base import Pane

PaneMaker = Callable[[], Pane]


class MainScreen(FrameScreen):
    """The bottom of the screen stack."""

    def __init__(self, makers: dict[str, PaneMaker], first: str) -> None:
        super().__init__()
        self._makers = makers
        self._panes: dict[str, Pane] = {}
        self._current = first
        self._switcher = ContentSwitcher(initial=f"pane-{first}")

    def body(self) -> Iterable[Widget]:
        """The panes, one of them visible."""
        with self._switcher:
            yield self._made(self._current)

    def _made(self, name: str) -> Pane:
        pane = self._panes.get(name)
        if pane is None:
            pane = self._panes[name] = self._makers[name]()
            pane.id = f"pane-{name}"
        return pane

    @property
    def pane(self) -> Pane:
        """The pane of the current tab."""
        return self._made(self._current)

    @property
    def panes(self) -> Iterable[Pane]:
        """The panes that were looked at so far."""
        return tuple(self._panes.values())

    async def switch(self, name: str) -> None:
        """Show another tab: the old pane stops, the new one starts and has the focus."""
        if name != self._current:
            self._panes[self._current].stop()
            self._current = name
            pane = self._made(name)
            if not pane.is_attached:
                await self._switcher.mount(pane)
            self._switcher.current = f"pane-{name}"
        if self.is_current:
            self.pane.start()
            self.focus_pane()
