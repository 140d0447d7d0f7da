"""The list of servers: which is open, what was last known of the others, another address, another key."""

from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from gqm_tui.contexts import Contexts, Opened
from gqm_tui.core.contexts import ContextConfig
from gqm_tui.core.credentials import KeySource, KeyUnavailableError
from gqm_tui.core.errors import ApiError
from gqm_tui.core.session import badges, standing
from gqm_tui.core.table import Tone
from gqm_tui.core.text import fit
from gqm_tui.core.transport import Base
from gqm_tui.widgets.tones import style

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp

_WIDTH = 60
_NAME_CELLS = 24


class _Step(Enum):
    """What is asked: which one, its address, or its key."""

    LIST = ("", "enter opens · a another key · esc leaves")
    ADDRESS = ("address", "enter goes on · esc back")
    KEY = ("API key", "enter opens · esc back")


class ContextScreen(ModalScreen[Opened | None]):
    """Returns the context that was opened with its client, or None; only what works closes the list."""

    CSS_PATH = "../styles/context.tcss"
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("home,g", "end(0)", "First", show=False),
        Binding("end,G", "end(-1)", "Last", show=False),
        Binding("enter", "take", "Open", show=False),
        Binding("plus", "address", "Another address", show=False),
        Binding("a", "other_key", "Another key", show=False),
        Binding("escape,at", "leave", "Leave", show=False),
    ]

    def __init__(self, contexts: Contexts) -> None:
        super().__init__()
        self._contexts = contexts
        self.known = contexts.known
        self.cursor = next((at for at, one in enumerate(self.known) if contexts.is_open(one)), 0)
        self._step = _Step.LIST
        self._wanted: ContextConfig | None = None
        self._under_way = False
        self._lines = Static("", markup=False, id="lines")
        self._list = VerticalScroll(self._lines, id="list", can_focus=False)
        self._label = Static("", markup=False, classes="label")
        self._input = Input(compact=True, id="field")
        self._input.cursor_blink = False
        self._field = Horizontal(self._label, self._input, classes="field")
        self._told = Static("", markup=False, id="told")
        self._box = Vertical(self._list, self._field, self._told, id="box")

    def compose(self) -> ComposeResult:
        """A box with the list, the field of the step, and what there is to say."""
        self._box.border_title = "@ Contexts"
        yield self._box

    def on_mount(self) -> None:
        """Begin with the list."""
        self._go_to(_Step.LIST)

    def on_resize(self) -> None:
        """Fit the lines into the box; on a narrow terminal it is as wide as that."""
        from gqm_tui.screens.panes.base import NARROW_BELOW

        self.set_class(self.app.size.width < NARROW_BELOW, "-narrow")
        self._draw()

    # What is drawn.

    def _draw(self) -> None:
        # Two cells go to the border, two to the padding.
        width = max(20, (self.app.size.width if self.has_class("-narrow") else _WIDTH) - 4)
        names = min(_NAME_CELLS, max((len(one.name) for one in self.known), default=0))
        lines = [self._line(one, names) for one in self.known]
        lines.append(Text.assemble(("+ ", self._style(Tone.ACTIVE)), "open another URL"))
        text = Text(no_wrap=True, overflow="ellipsis")
        for at, line in enumerate(lines):
            here = Text("▌" if at == self.cursor else " ", no_wrap=True, end="")
            here.append_text(line)
            here.truncate(width, overflow="ellipsis", pad=True)
            if at == self.cursor:
                here.stylize(f"bold on {self.app.theme_variables['block-cursor-background']}")
            text.append_text(here)
            text.append("\n" if at + 1 < len(lines) else "")
        self._lines.update(text)
        if self._step is _Step.LIST and not self._under_way:
            self._tell(self._about(), Tone.DIM)

    def _line(self, one: ContextConfig, names: int) -> Text:
        app = cast("GqmApp", self.app)
        sign, words = standing(self._contexts.last(one), app.clock.monotonic(), app.signs)
        line = Text()
        line.append(f"{sign.text} ", self._style(sign.tone))
        line.append(f"{fit(one.name, names):<{names}}")
        for badge in badges(one):
            line.append(f"  {badge}", self._style(Tone.WARN))
        line.append(f"  {words.text}", self._style(words.tone))
        return line

    def _about(self) -> str:
        """The address under the cursor, and where its key comes from."""
        if self.cursor >= len(self.known):
            return "for this run only; tui.toml keeps addresses"
        one = self.known[self.cursor]
        return f"{fit(one.url, 36)} · {fit(one.key.words, 30)}"

    def _style(self, tone: Tone) -> str:
        app = cast("GqmApp", self.app)
        return str(style(tone, app.theme_variables, colour=not app.no_color))

    def _tell(self, words: str, tone: Tone) -> None:
        self._told.update(Text(words, self._style(tone)))

    def _go_to(self, step: _Step) -> None:
        self._step = step
        label, hint = step.value
        self._box.border_subtitle = hint
        self._field.display = step is not _Step.LIST
        self._label.update(label)
        self._input.value = ""
        self._input.password = step is _Step.KEY
        if step is _Step.LIST:
            self.set_focus(None)
        else:
            self._input.focus()
            self._tell(self._hint(), Tone.DIM)
        self._draw()

    def _hint(self) -> str:
        if self._step is _Step.ADDRESS:
            return "like https://gqm.example:8080"
        wanted = self._wanted
        if wanted is None:
            return ""
        other = "takes its usual one" if wanted.key else "opens it without one"
        words = f"for {fit(wanted.name, _NAME_CELLS)}; empty {other}"
        plain = "\nplain http: others on the way can read the key"
        return words + (plain if Base.parse(wanted.url).insecure else "")

    # Keys.

    def action_move(self, step: int) -> None:
        """Move the cursor; it stops at the ends."""
        self._put(min(len(self.known), max(0, self.cursor + step)))

    def action_end(self, at: int) -> None:
        """Move the cursor to the first or the last line."""
        self._put(at % (len(self.known) + 1))

    def _put(self, at: int) -> None:
        if self._step is _Step.LIST and not self._under_way:
            self.cursor = at
            self._draw()
            self._list.scroll_to(y=max(0, at - 5), animate=False)

    def action_take(self) -> None:
        """Open what is under the cursor; ask for a key where there is none."""
        if self._step is not _Step.LIST or self._under_way:
            return
        if self.cursor >= len(self.known):
            self.action_address()
            return
        wanted = self.known[self.cursor]
        if self._contexts.refused_by(wanted) or not (wanted.key or self._contexts.is_open(wanted)):
            self._ask_key(wanted)
        elif self._contexts.is_open(wanted):
            self.dismiss(None)
        else:
            self._open(wanted)

    def action_address(self) -> None:
        """Ask for another address."""
        if self._step is _Step.LIST and not self._under_way:
            self.cursor = len(self.known)
            self._go_to(_Step.ADDRESS)

    def action_other_key(self) -> None:
        """Ask for another key of the context under the cursor."""
        if self._step is _Step.LIST and not self._under_way and self.cursor < len(self.known):
            self._ask_key(self.known[self.cursor])

    def action_leave(self) -> None:
        """Go one step back; from the list, stay where we are."""
        if self._step is _Step.LIST:
            self.dismiss(None)
        else:
            self._go_to(_Step.LIST)

    def on_click(self, event: events.Click) -> None:
        """Open what is clicked; a click beside the box leaves."""
        region = self._lines.region
        if not self._box.region.contains(event.screen_x, event.screen_y):
            self.dismiss(None)
        elif self._step is _Step.LIST and region.contains(event.screen_x, event.screen_y):
            self._put(min(len(self.known), event.screen_y - region.y))
            self.action_take()

    # Opening.

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._under_way:
            return
        if self._step is _Step.ADDRESS:
            self._take_address(event.value)
        elif self._wanted is not None:
            given = event.value.strip()
            self._open(replace(self._wanted, key=KeySource(given=given)) if given else self._wanted)

    def _take_address(self, url: str) -> None:
        try:
            wanted = self._contexts.at(url)
        except ValueError as error:
            self._tell(f"✗ {error}", Tone.BAD)
            return
        if wanted.key:
            self._open(wanted)
        else:
            self._ask_key(wanted)

    def _ask_key(self, wanted: ContextConfig) -> None:
        self._wanted = wanted
        self._go_to(_Step.KEY)

    def _open(self, wanted: ContextConfig) -> None:
        self._under_way = True
        self._tell(f"opening {fit(wanted.name, _NAME_CELLS)}…", Tone.DIM)
        self.run_worker(self._connect(wanted), group="open", exit_on_error=False)

    async def _connect(self, wanted: ContextConfig) -> None:
        try:
            client = await self._contexts.connect(wanted)
        except (KeyUnavailableError, ApiError) as error:
            self._tell(f"✗ {error}", Tone.BAD)
        else:
            self.dismiss(Opened(wanted, client))
        finally:
            self._under_way = False
