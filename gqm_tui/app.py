"""The app: which server, which tab, which theme; the frame around it all and what every screen shares."""

from collections.abc import Callable
from typing import ClassVar

import msgspec
from textual import work
from textual.binding import Binding, BindingType

from gqm_tui import keymap, themes
from gqm_tui.acting import Acting
from gqm_tui.attention import Attention
from gqm_tui.bar import bar_facts
from gqm_tui.choices import Choices
from gqm_tui.contexts import Contexts
from gqm_tui.core import fmt
from gqm_tui.core.actions import Plan
from gqm_tui.core.client import ApiClient, path
from gqm_tui.core.clock import Clock
from gqm_tui.core.config import ContextConfig, Settings
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.model import Me, Stats
from gqm_tui.core.poll import PartSpec, Poller
from gqm_tui.core.session import Session
from gqm_tui.core.signs import Signs
from gqm_tui.core.state import State, StateFile
from gqm_tui.core.store import PaneState, Tag, View
from gqm_tui.core.table import Sort
from gqm_tui.dialogs import Dialogs
from gqm_tui.freezing import Freezing
from gqm_tui.keyorder import KeysInOrder
from gqm_tui.messages import RoleChanged, Ticked
from gqm_tui.outside import Outside
from gqm_tui.palette import Palette
from gqm_tui.screens.doors import Doors
from gqm_tui.screens.frame import TABS, FrameScreen, PaneScreen
from gqm_tui.screens.help import written
from gqm_tui.screens.main import MainScreen, PaneMaker
from gqm_tui.screens.panes.base import NARROW_BELOW, Pane

ME_EVERY_S = 60.0
STATS_EVERY_S = 5.0
TINY_BELOW = 66  # columns; the seven tabs with their short names need that many
Connect = Callable[[ContextConfig], ApiClient]


class GqmApp(Choices, Dialogs, Freezing, KeysInOrder, inherit_bindings=False):
    """`gqm tui`: everything an operator does, over the REST API alone."""

    CSS_PATH = "styles/app.tcss"
    TITLE = "gqm"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True, system=True)
    ]

    def __init__(
        self,
        settings: Settings,
        *,
        connect: Connect,
        clock: Clock,
        state_file: StateFile,
        panes: dict[str, PaneMaker],
    ) -> None:
        super().__init__()
        self.settings = settings
        self.clock = clock
        self._state_file = state_file
        self.interval = settings.interval
        self.tab = settings.tab
        self.signs = Signs(settings.ascii_glyphs)
        self.doors = Doors(self)
        self.acting = Acting(self, clock)
        self.attention = Attention(self)
        self.outside = Outside(self)
        self.contexts = Contexts(self)
        self.palette = Palette(self)
        self.connect = connect
        self._pane_makers = panes
        context = settings.context
        self.session = Session(context, connect(context), key_given=bool(context.key))
        self.frame_view = View(self.session.name, "frame")
        self._frame_poller: Poller | None = None
        for theme in (*themes.OWN, *map(themes.from_file, settings.themes)):
            self.register_theme(theme)
        self.theme = settings.theme if settings.theme in self.available_themes else themes.DARK.name

    # Start and end.

    def get_css_variables(self) -> dict[str, str]:
        """Give the style sheet's own variables to themes that do not name them."""
        variables = super().get_css_variables()
        return {**{name: variables[other] for name, other in themes.FALLBACKS.items()}, **variables}

    def on_mount(self) -> None:
        """Open the tabs and begin to poll."""
        self.set_keymap(dict(self.settings.keymap))
        self.push_screen(MainScreen(self._pane_makers, self.tab))
        self._poll_frame()
        self._tick()

    @work(group="tick", exit_on_error=False)
    async def _tick(self) -> None:
        while True:
            await self.clock.sleep(1.0)
            screen = self.visible_frame
            if screen is not None:
                self.paint_frame(screen)
                if screen.pane is not None:
                    screen.pane.post_message(Ticked())

    @work(group="frame", exclusive=True, exit_on_error=False)
    async def _poll_frame(self) -> None:
        poller = Poller(
            self.client,
            self.clock,
            STATS_EVERY_S,
            on_refreshed=self._frame_arrived,
            on_failed=lambda tag: self._frame_arrived(tag, ""),
        )
        self._frame_poller = poller
        # The statistics tell the bar how old the news are where a pane itself asks for nothing.
        self.frame_view = View(self.session.name, "frame", main="stats")
        poller.show(
            self.frame_view,
            [
                PartSpec("me", "/auth/me", {}, Me, every=ME_EVERY_S),
                PartSpec("stats", path("stats"), {}, Stats, every=STATS_EVERY_S),
            ],
        )
        await poller.run()

    def _frame_arrived(self, tag: Tag, part: str) -> None:
        if tag != self.frame_view.tag:
            return
        me, stats = self.frame_view.parts.get("me"), self.frame_view.parts.get("stats")
        before = self.session.me, self.session.locked
        if me is not None:
            self.session.me_error = me.error
            refused = me.error is not None and me.error.kind is Kind.UNAUTHORIZED
            self.session.me = me.value if isinstance(me.value, Me) and not refused else None
            if refused:
                self.contexts.refused()
        if stats is not None and isinstance(stats.value, Stats):
            self.session.stats = stats.value
        screen = self.visible_frame
        if screen is not None:
            self.paint_frame(screen)
            if before != (self.session.me, self.session.locked):
                screen.post_message(RoleChanged())
                self.screen.refresh_bindings()

    async def begin(self, session: Session) -> None:
        """Look at another server, or with another key: every screen begins anew."""
        for screen in self.screen_stack:
            if isinstance(screen, FrameScreen):
                screen.retire()
        self.session, self.frozen = session, False
        while not isinstance(self.screen, MainScreen):
            await self.pop_screen()
        await self.switch_screen(MainScreen(self._pane_makers, self.tab))
        self._poll_frame()

    # What panes ask.

    @property
    def client(self) -> ApiClient:
        """The client of the open context."""
        return self.session.client

    @property
    def context_name(self) -> str:
        """The name of the open context."""
        return self.session.name

    @property
    def locked(self) -> str | None:
        """Why nothing may be changed, or None."""
        return self.session.locked

    @property
    def identity_text(self) -> str:
        """Who we are, as a sentence."""
        return f"You are {self.session.identity} at {self.session.name}."

    def unauthorized_text(self, error: ApiError) -> tuple[str, str]:
        """What a pane says after a 401."""
        if self.session.key_given:
            again = written(self.keys_of("app.context")[0])
            return f"key refused for {self.session.name}", f"Press {again} to give another key."
        return f"{self.session.name} wants a sign-in", f"{error.sentence} · F5 asks for it"

    def keys_of(self, key_id: str) -> list[str]:
        """The keys that a binding has now, `[keymap]` included."""
        own = self.settings.keymap.get(key_id, keymap.BY_ID[key_id].keys)
        return [part.strip() for part in own.split(",")]

    def saved_sort(self, table: str) -> Sort | None:
        """The order that a table was last given."""
        saved = self.state.sort.get(table)
        return None if saved is None else Sort(*saved)

    def save_sort(self, table: str, sort: Sort) -> None:
        """Keep a table's order for the next start."""
        self.remember(sort={**self.state.sort, table: (sort.column, sort.descending)})

    @property
    def state(self) -> State:
        """What the next start will know of this one."""
        return self._state_file.state

    def remember(self, **changes: object) -> None:
        """Keep choices for the next start; what cannot be kept is told once."""
        self._state_file.save(msgspec.structs.replace(self.state, **changes))
        if (message := self._state_file.take_message()) is not None:
            self.notify(message, severity="warning", markup=False)

    def crumbs_before(self, pane: Pane) -> str:
        """The breadcrumb before a pane's own title."""
        crumbs = []
        for screen in self.screen_stack:
            if isinstance(screen, FrameScreen) and screen.pane is not None:
                if screen.pane is pane:
                    break
                crumbs.append(screen.pane.crumb)
        return "".join(f"{crumb} › " for crumb in crumbs)

    def saw(self, pane: Pane) -> None:
        """A pane got replies or failures: take over what they say of the connection."""
        was = self.session.down
        self.session.note_down(pane.bar_state is PaneState.DOWN, self.clock.monotonic())
        error = pane.bar_view.error()
        refused = error is not None and error.kind in (Kind.UNAUTHORIZED, Kind.FORBIDDEN)
        if refused and self.session.me_error is None:
            self._wake_frame()
        if error is not None and error.kind is Kind.UNAUTHORIZED:
            self.contexts.refused()
        if was != self.session.down:
            self.screen.refresh_bindings()
            if not self.session.down:
                self._wake_frame()
        if self.visible_frame is not None:
            self.paint_frame(self.visible_frame)

    def _wake_frame(self) -> None:
        if self._frame_poller is not None:
            self._frame_poller.wake()

    def report_fault(self, error: BaseException | None) -> None:
        """Tell of a fault of our own; the screen goes on."""
        text = "" if error is None else f": {type(error).__name__}: {error}"
        self.notify(f"a part of the screen failed and goes on{text}", severity="error", markup=False)

    def perform(self, plan: Plan) -> None:
        """Carry out a change, after the question that it needs."""
        self.acting.perform(plan)

    async def action_next_problem(self) -> None:
        """Go to the next thing that needs attention."""
        await self.attention.go_on()

    def action_undo(self) -> None:
        """Take the last pause, resume, enable or disable back."""
        pane = self.visible_pane
        self.acting.undo(None if pane is None else pane.to_undo())

    # The frame.

    @property
    def visible_frame(self) -> FrameScreen | None:
        """The topmost full screen, under any dialog."""
        stack = reversed(self.screen_stack)
        return next((screen for screen in stack if isinstance(screen, FrameScreen)), None)

    @property
    def visible_pane(self) -> Pane | None:
        """The pane that can be seen."""
        frame = self.visible_frame
        return None if frame is None else frame.pane

    def paint_frame(self, screen: FrameScreen) -> None:
        """Write the bar and the tabs of a screen anew."""
        if not screen.is_mounted:
            return
        narrow, tiny = self.size.width < NARROW_BELOW, self.size.width < TINY_BELOW
        screen.bar.show_facts(
            bar_facts(self, screen.pane),
            narrow=narrow,
            variables=self.theme_variables,
            colour=not self.no_color,
        )
        stats = self.session.stats
        for name, number, wide, short, counted in TABS:
            label = f"{number} {short[:3] if tiny else short if narrow else wide}"
            count = getattr(stats, counted) if stats is not None and counted else 0
            if count and (not narrow or name == "failed"):
                label = f"{label} {fmt.count(count)}"
            tab = screen.tabs.query_one(f"#tab-{name}")
            if str(getattr(tab, "label_text", "")) != label:
                tab.label = label  # type: ignore[attr-defined]  # a Tab, by its id
        wanted = f"tab-{self.tab}"
        if screen.tabs.active != wanted:
            with screen.prevent(screen.tabs.TabActivated):
                screen.tabs.active = wanted

    def footer_changed(self, pane: Pane) -> None:
        """Draw the footer of a pane anew when the pane says something else in it."""
        frame = self.visible_frame
        if frame is None or frame.pane is not pane:
            return
        keys = frame.keys
        keys.prefix, keys.only, labels = pane.footer_now()
        keys.labels = {"app.freeze": "Unfreeze", **labels} if self.frozen else labels
        keys.show()

    # Actions.

    async def action_show_tab(self, name: str) -> None:
        """Close what is on top of the tabs and show one of them."""
        self.tab = name
        self.remember(tab=name)
        main = next(screen for screen in self.screen_stack if isinstance(screen, MainScreen))
        while self.screen is not main:
            await self.pop_screen()
        await main.switch(name)
        self.paint_frame(main)

    async def action_cycle_tab(self, step: int) -> None:
        """Show the next or the previous tab."""
        names = [name for name, *_ in TABS]
        await self.action_show_tab(names[(names.index(self.tab) + step) % len(names)])

    def open(self, pane: Pane) -> None:
        """Push a drill-down."""
        self.push_screen(PaneScreen(pane))

    def go_back(self) -> None:
        """Close the topmost drill-down; the tabs stay."""
        if isinstance(self.screen, PaneScreen):
            self.pop_screen()

    def action_refresh_now(self) -> None:
        """Fetch at once, also while waiting after a failure."""
        self.contexts.ask_again()
        self._wake_frame()
        if self.visible_pane is not None:
            self.visible_pane.wake()

    def action_next_region(self) -> None:
        """Move the focus to the next part of the screen that can have it."""
        self.screen.focus_next()

    async def action_quit(self) -> None:
        """Leave with exit code 0."""
        await self.client.close()
        self.exit(0)
