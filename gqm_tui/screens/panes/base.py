"""What every pane has: one polling loop while it can be seen, one state, and the reason when it is locked."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from rich.style import Style
from rich.text import Text
from textual import events
from textual.containers import Vertical
from textual.worker import Worker, WorkerState

from gqm_tui import keymap
from gqm_tui.core import fmt
from gqm_tui.core.actionlog import Entry
from gqm_tui.core.errors import ApiError
from gqm_tui.core.poll import PartSpec, Poller
from gqm_tui.core.rewind import History, Moment, Past
from gqm_tui.core.session import Session
from gqm_tui.core.store import PaneState, Part, Tag, View
from gqm_tui.core.table import Tone
from gqm_tui.messages import ActionDone, PollFailed, Refreshed, Ticked
from gqm_tui.widgets.tones import style

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp

NARROW_BELOW = 100
FRESH_ENOUGH_S = 0.5
SUBJECT_CELLS = 24
"""Room for the name of what a key acts upon."""


class Pane(Vertical):
    """A part of the screen with data of its own.

    A pane names what it fetches (`specs`) and paints what it has (`paint`). The frame starts it when it comes
    into sight and stops it when it leaves; a hidden pane asks for nothing.
    """

    name_of_view: ClassVar[str] = ""
    scopes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._polling: Worker[None] | None = None
        self._poller: Poller | None = None
        self._session: Session | None = None
        self._painted_at = float("-inf")
        self.view = self.live = View("", self.name_of_view)
        self.history = History()
        self.moment: Moment | None = None

    # What a pane says of itself.

    @abstractmethod
    def specs(self) -> Sequence[PartSpec]:
        """Name the parts to fetch, for the present page, sort and filter."""

    @abstractmethod
    def paint(self) -> None:
        """Show what the view holds; called after every reply, every second and every change."""

    @property
    @abstractmethod
    def crumb(self) -> str:
        """The pane's place in the breadcrumb."""

    def query_text(self) -> str:
        """What tells this view from another one of the same pane: queue, state, page, sort and filter."""
        return ""

    def footer(self) -> tuple[str, tuple[str, ...] | None, dict[str, str]]:
        """A prefix for the footer, the only keys to show (None: the usual ones), and labels by key id."""
        return "", None, {}

    def footer_now(self) -> tuple[str, tuple[str, ...] | None, dict[str, str]]:
        """What the footer shows at this moment."""
        return self.footer()

    def subject(self, key: keymap.Key) -> tuple[str, str]:
        """What a key would act upon now: its identity, and how it is named; empty where it is the place."""
        return "", ""

    def reveal(self) -> None:
        """Bring into sight what a key is about to act upon."""
        return

    def action_done(self, message: ActionDone) -> None:
        """A change that was asked for here ended."""
        return

    # The frame.

    @property
    def gqm(self) -> "GqmApp":
        """The app, with its type."""
        return cast("GqmApp", self.app)

    @property
    def narrow(self) -> bool:
        """Whether the terminal is too narrow for the long column lists."""
        return self.app.size.width < NARROW_BELOW

    @property
    def running(self) -> bool:
        """Whether the pane polls."""
        return self._polling is not None

    def start(self) -> None:
        """Come into sight: fetch now, and again every interval."""
        if self._polling is not None:
            return
        self._session = self.gqm.session
        self._poller = Poller(
            self.gqm.client,
            self.gqm.clock,
            self.gqm.interval,
            on_refreshed=self._arrived,
            on_failed=self._failed,
        )
        self._show()
        self._polling = self.run_worker(
            self._poller.run, group=f"poll-{self.name_of_view}", exit_on_error=False, name="poll"
        )

    def stop(self) -> None:
        """Leave the screen: nothing is asked for any more."""
        if self._polling is not None:
            self._polling.cancel()
            self._polling = self._poller = None

    def wake(self) -> None:
        """Fetch at once."""
        if self._poller is not None:
            self._poller.wake()

    def set_interval_s(self, seconds: float) -> None:
        """Fetch at another pace from now on."""
        if self._poller is not None:
            self._poller.set_interval(seconds)

    def reload(self) -> None:
        """Look at something else: the old rows leave at once, late answers for them are dropped."""
        self._show(fresh=True)
        self.paint()

    def ask_also(self, spec: PartSpec) -> None:
        """Fetch another part of the same view, for instance of the row under the cursor."""
        if self._poller is not None:
            self._poller.put(spec)

    def ask_no_more(self, name: str) -> None:
        """Forget a part again."""
        if self._poller is not None:
            self._poller.drop(name)

    def _show(self, *, fresh: bool = False) -> None:
        context, query = self.gqm.context_name, self.query_text()
        if fresh or (self.live.tag.context, self.live.tag.query) != (context, query):
            self.live, self.history = View(context, self.name_of_view, query), History()
        self.moment, self.view = None, self.live
        if self._poller is not None:
            self._poller.show(self.live, self.specs())

    def _arrived(self, tag: Tag, part: str) -> None:
        if tag == self.live.tag:
            self.post_message(Refreshed(part))

    def _failed(self, tag: Tag) -> None:
        if tag == self.live.tag:
            self.post_message(PollFailed())

    # Time that stands still, and goes back.

    @property
    def holds(self) -> bool:
        """Whether the picture is held as it was when it was frozen; a moment that was gone to is painted."""
        return self.gqm.frozen and self.moment is None

    def extra(self) -> object:
        """What the pane makes of its data and could not make of it later; it comes back with the moment."""
        return None

    def rewind(self, step: int) -> bool:
        """Show an earlier or a later moment; tell whether there is one."""
        moment = self._held_moment(step)
        if moment is None:
            return False
        self.moment, self.view = moment, Past(self.live, moment)
        self.paint()
        return True

    def _held_moment(self, step: int) -> Moment | None:
        return self.history.step(self.gqm.frozen_at if self.moment is None else self.moment.at, step)

    def catch_up(self) -> None:
        """Show what is now."""
        self.moment, self.view = None, self.live
        self.paint()

    @property
    def shown_at(self) -> float | None:
        """The server's time of the moment that is shown, while time stands still; None if nobody knows."""
        moment = self.moment or (self._held_moment(0) if self.gqm.frozen else None)
        return None if moment is None else moment.server_time

    # What happens to it.

    def on_refreshed(self, message: Refreshed) -> None:
        """Paint the new data."""
        message.stop()
        if self._session is not self.gqm.session:
            return  # an answer of a server that was left
        self.gqm.attention.note(self.live)
        self.gqm.saw(self)
        self._repaint()
        self.history.note(self.live, self.gqm.clock.monotonic(), self.extra())

    def on_poll_failed(self, message: PollFailed) -> None:
        """Paint the state of an outage; the rows of before stay."""
        message.stop()
        if self._session is not self.gqm.session:
            return
        self.gqm.saw(self)
        self._repaint()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A polling loop that broke is told and started again; the screen never goes dark over it."""
        if event.worker is self._polling and event.state is WorkerState.ERROR:
            event.stop()
            self._polling = None
            self.gqm.report_fault(event.worker.error)
            self.set_timer(1.0, self.start)

    def on_ticked(self, message: Ticked) -> None:
        """Write the ages anew, unless a reply has just done so."""
        message.stop()
        if self.gqm.clock.monotonic() - self._painted_at >= FRESH_ENOUGH_S:
            self._repaint()

    def _repaint(self) -> None:
        self._painted_at = self.gqm.clock.monotonic()
        self.paint()

    def refusal(self, key: keymap.Key) -> str | None:
        """Why a key that changes something does nothing now, or None; panes add their own reasons."""
        return self.gqm.locked or (None if self.moment is None else "this is how it was; unfreeze first")

    def on_key(self, event: events.Key) -> None:
        """Say why a key that changes something does nothing."""
        pressed = {event.key, event.character}
        for key in self._mutating():
            if pressed & set(self.gqm.keys_of(key.id)) and (reason := self.refusal(key)) is not None:
                event.stop()
                self.app.notify(reason, severity="warning", markup=False)
                return

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide what the role may not do, and what the state of the row forbids."""
        keys = [key for key in self._mutating() if key.action.partition("(")[0] == action]
        return all(self.refusal(key) is None for key in keys)

    @classmethod
    def _mutating(cls) -> tuple[keymap.Key, ...]:
        return tuple(key for scope in cls.scopes for key in keymap.SCOPES[scope] if key.mutates)

    @property
    def server_now(self) -> float | None:
        """The server's clock, carried on since its last reply; all ages are counted from it."""
        return self.view.server_now(self.gqm.clock.monotonic())

    def tone(self, tone: Tone) -> Style:
        """The style of a tone under the present theme."""
        return style(tone, self.app.theme_variables, colour=not self.app.no_color)

    def retry_text(self, now: float) -> str:
        """When the next try comes, after everything failed."""
        wait = self.bar_view.retry_in(now)
        return "" if wait is None else f"retry {self.bar_view.fails} in {math.ceil(wait)}s"

    def state_now(self, *, total: int = 1, shown: int = 1) -> PaneState:
        """The pane's one state."""
        return self.view.state(
            self.gqm.clock.monotonic(),
            self.gqm.interval,
            rows_total=total,
            rows_shown=shown,
            frozen=self.gqm.frozen,
        )

    def part(self, name: str) -> Part[object] | None:
        """A part of the view, None before it was asked for."""
        return self.view.parts.get(name)

    # What the first line of the screen tells of it.

    @property
    def bar_view(self) -> View:
        """The data whose age and errors the bar tells."""
        return self.live

    @property
    def bar_state(self) -> PaneState:
        """The state that the bar tells; that of now, whatever moment is shown."""
        if self.moment is None:
            return self.state_now()
        now = self.gqm.clock.monotonic()
        return self.live.state(now, self.gqm.interval, rows_total=1, rows_shown=1, frozen=self.gqm.frozen)

    def to_undo(self) -> Entry | None:
        """The action that the undo key would take back here; None leaves it to the log."""
        return None

    def action_back(self) -> None:
        """Close a drill-down; a pane of a tab stays."""
        self.gqm.go_back()


def rule(title: Text, width: int, dim: Style) -> Text:
    """A line of the strip: `── title ─────`, as wide as the pane."""
    line = Text(no_wrap=True, overflow="ellipsis", end="")
    line.append("── ", dim)
    title = title.copy()
    title.truncate(max(0, width - 5), overflow="ellipsis")
    line.append_text(title)
    rest = width - line.cell_len - 1
    if rest > 0:
        line.append(" " + "─" * rest, dim)
    return line


def ago(server_now: float | None, moment: float | None) -> str:
    """How long ago a moment of the server's clock was; a dot when there was none."""
    if moment is None:
        return fmt.ZERO
    return fmt.age(None if server_now is None else server_now - moment)


def reason(error: ApiError) -> str:
    """Why a request failed, in a word or two."""
    return error.kind.value.replace("_", " ")
