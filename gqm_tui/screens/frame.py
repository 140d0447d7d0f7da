"""The frame of every full screen: bar, tabs, body, footer; it starts and stops the pane that can be seen."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Static, Tab, Tabs

from gqm_tui import keymap
from gqm_tui.messages import ActionDone
from gqm_tui.screens.panes.base import Pane
from gqm_tui.widgets.key_bar import KeyBar
from gqm_tui.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp

# Identity, key, label on a wide and on a narrow terminal, and the count of the statistics beside it.
TABS = (
    ("queues", "1", "Queues", "Queues", "queues"),
    ("workers", "2", "Workers", "Workers", "workers"),
    ("failed", "3", "Failed", "Failed", "dead_letter"),
    ("cron", "4", "Cron", "Cron", ""),
    ("dag", "5", "DAG", "DAG", "deferred"),
    ("servers", "6", "Servers", "Srv", "servers"),
    ("overview", "0", "Overview", "Ovw", ""),
)
MIN_WIDTH, MIN_HEIGHT = 60, 15


class FrameScreen(Screen[None]):
    """A screen with the frame around one visible pane."""

    BINDINGS: ClassVar[list[BindingType]] = keymap.scope("app")
    AUTO_FOCUS = ""

    def __init__(self) -> None:
        super().__init__()
        self.bar = TopBar(id="bar")
        self.keys = KeyBar()
        self._retired = False

    @abstractmethod
    def body(self) -> Iterable[Widget]:
        """The widgets between tabs and footer."""

    @property
    @abstractmethod
    def pane(self) -> Pane | None:
        """The pane that can be seen."""

    @property
    def gqm(self) -> "GqmApp":
        """The app, with its type."""
        return cast("GqmApp", self.app)

    def compose(self) -> ComposeResult:
        """Bar, tabs, body, footer, and what is shown instead of it all on a tiny terminal."""
        # The tabs begin on the current one: a change would be taken for a click.
        tabs = (Tab(label, id=f"tab-{name}") for name, _, label, _, _ in TABS)
        self.tabs = Tabs(*tabs, active=f"tab-{self.gqm.tab}", id="tabs")
        self.tabs.can_focus = False
        yield self.bar
        yield self.tabs
        with Container(id="body"):
            yield from self.body()
        yield self.keys
        yield Static(f"too small, {MIN_WIDTH}x{MIN_HEIGHT} needed", classes="too-small", markup=False)

    def on_mount(self) -> None:
        """Show the tabs as they stand."""
        self.gqm.paint_frame(self)

    def retire(self) -> None:
        """Ask for nothing any more, also not on the way out: another server is looked at from now on."""
        self._retired = True
        if self.pane is not None:
            self.pane.stop()

    def on_screen_resume(self) -> None:
        """Come into sight: the pane polls and has the focus."""
        if self._retired:
            return
        self.gqm.paint_frame(self)
        pane = self.pane
        if pane is not None:
            pane.start()
            if self.focused is None:
                self.focus_pane()

    def on_screen_suspend(self) -> None:
        """Another screen is on top; under a dialog the pane goes on."""
        if not isinstance(self.app.screen, ModalScreen) and self.pane is not None:
            self.pane.stop()

    def on_unmount(self) -> None:
        """Leave: nothing polls for a screen that is gone."""
        if self.pane is not None:
            self.pane.stop()

    def focus_pane(self) -> None:
        """Give the focus to what the pane works with."""
        pane = self.pane
        if pane is not None:
            focus = getattr(pane, "focus_main", None)
            (focus or pane.focus)()

    def on_resize(self, event: events.Resize) -> None:
        """Say so when the terminal is too small, and write the short tab names on a narrow one."""
        self.set_class(event.size.width < MIN_WIDTH or event.size.height < MIN_HEIGHT, "-too-small")
        self.gqm.paint_frame(self)
        if self.pane is not None and self.pane.is_mounted:
            self.pane.paint()

    def on_action_done(self, message: ActionDone) -> None:
        """A change ended: the pane in sight may let go of what was chosen for it."""
        message.stop()
        if self.pane is not None:
            self.pane.action_done(message)

    @on(Tabs.TabActivated)
    async def _tab(self, event: Tabs.TabActivated) -> None:
        event.stop()
        name = (event.tab.id or "").removeprefix("tab-")
        if name and name != self.gqm.tab:
            await self.gqm.action_show_tab(name)


class PaneScreen(FrameScreen):
    """A drill-down: one pane pushed on top of the tabs."""

    def __init__(self, pane: Pane) -> None:
        super().__init__()
        self._pane = pane

    def body(self) -> Iterable[Widget]:
        """The pane alone."""
        yield self._pane

    @property
    def pane(self) -> Pane:
        """The pane."""
        return self._pane
