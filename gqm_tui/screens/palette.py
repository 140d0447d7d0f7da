"""The palette: type a few letters of anything that can be done here, and take it."""

from typing import TYPE_CHECKING, ClassVar, cast

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from gqm_tui.core.palette import Entry, Found
from gqm_tui.core.table import Tone
from gqm_tui.core.text import fit
from gqm_tui.widgets.tones import style

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp
    from gqm_tui.palette import Palette

_WIDTH = 60
_WORD = 6
_PRESSED = 8
_NOTE = 12
_LEAST_TEXT = 18


class PaletteScreen(ModalScreen[Entry | None]):
    """Returns the entry that was taken, or None; only a person closes it."""

    CSS_PATH = "../styles/palette.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,ctrl+n", "move(1)", "Down", show=False),
        Binding("up,ctrl+p", "move(-1)", "Up", show=False),
        Binding("pagedown", "move(10)", "Page down", show=False),
        Binding("pageup", "move(-10)", "Page up", show=False),
        Binding("tab", "complete", "Complete", show=False),
        Binding("shift+tab", "move(-1)", "Up", show=False),
        Binding("escape", "leave", "Leave", show=False),
    ]

    def __init__(self, palette: "Palette", typed: str = "") -> None:
        super().__init__()
        self._palette = palette
        self.found: list[Found] = []
        self.cursor = 0
        self._input = Input(typed, compact=True, id="typed", select_on_focus=False)
        self._input.cursor_blink = False
        self._lines = Static("", markup=False, id="lines")
        self._list = VerticalScroll(self._lines, id="list", can_focus=False)

    def compose(self) -> ComposeResult:
        """One line to type in, and what it finds."""
        with Vertical(id="box") as box:
            box.border_subtitle = "enter takes · tab completes · esc leaves"
            with Horizontal(id="line"):
                yield Static(":", id="colon", markup=False)
                yield self._input
            yield self._list

    def on_mount(self) -> None:
        """List everything, what was taken last first."""
        self._input.focus()
        self._search()

    def on_resize(self) -> None:
        """Fit the lines into the box."""
        self._draw()

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._search()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._take()

    def _search(self) -> None:
        self.found = self._palette.find(self._input.value)
        self.cursor = 0
        self._draw()
        self._list.scroll_home(animate=False)

    @property
    def current(self) -> Entry | None:
        """The entry under the cursor."""
        return self.found[self.cursor].entry if self.found else None

    def _draw(self) -> None:
        width = max(20, min(_WIDTH, self.app.size.width) if not self._narrow else self.app.size.width) - 4
        self.set_class(self._narrow, "-narrow")
        text = Text(no_wrap=True, overflow="ellipsis")
        for at, found in enumerate(self.found):
            text.append("\n" if at else "")
            text.append_text(self._line(found, width, here=at == self.cursor))
        if not self.found:
            text.append(f" {self._palette.nothing(self._input.value)}", self._tone(Tone.DIM))
        self._lines.update(text)

    @property
    def _narrow(self) -> bool:
        from gqm_tui.screens.panes.base import NARROW_BELOW

        return self.app.size.width < NARROW_BELOW

    def _line(self, found: Found, width: int, *, here: bool) -> Text:
        entry, dim = found.entry, self._tone(Tone.DIM)
        right = self._right(entry, width)
        room = width - 1 - _WORD - right.cell_len - 1
        line = Text("▌" if here else " ", no_wrap=True, end="")
        line.append(entry.word.ljust(_WORD), dim)
        shown = fit(entry.text, room)
        start = len(line.plain)
        line.append(shown, dim if entry.locked else Style.null())
        for at in found.marked:
            if at < len(shown) and not (shown.endswith("…") and at == len(shown) - 1):
                line.stylize(self._tone(Tone.ACTIVE) + Style(bold=True), start + at, start + at + 1)
        line.append(" " * (room - cell_len(shown) + 1))
        line.append_text(right)
        if here:
            line.stylize(f"bold on {self.app.theme_variables['block-cursor-background']}")
        return line

    def _right(self, entry: Entry, width: int) -> Text:
        """Where an entry belongs and its key, right-aligned; or why it is locked."""
        dim = self._tone(Tone.DIM)
        if entry.locked:
            return Text(fit(entry.locked, width - 1 - _WORD - _LEAST_TEXT), style=self._tone(Tone.WARN))
        if entry.word != "run":
            return Text(fit(entry.note, width - 1 - _WORD - _LEAST_TEXT), style=dim)
        note, pressed = fit(entry.note, _NOTE), fit(entry.pressed, _PRESSED)
        right = Text(note, style=dim)
        right.append(" " * (_PRESSED - cell_len(pressed) + 1))
        right.append(pressed, self._tone(Tone.ACTIVE))
        return right

    def _tone(self, tone: Tone) -> Style:
        app = cast("GqmApp", self.app)
        return style(tone, app.theme_variables, colour=not app.no_color)

    def on_click(self, event: events.Click) -> None:
        """Take what is clicked; a click beside the box leaves."""
        region = self._lines.region
        if not self.query_one("#box").region.contains(event.screen_x, event.screen_y):
            self.dismiss(None)
        elif self._list.region.contains(event.screen_x, event.screen_y):
            at = event.screen_y - region.y
            if 0 <= at < len(self.found):
                self.cursor = at
                self._take()

    def action_move(self, step: int) -> None:
        """Move the cursor; it stops at the ends."""
        self.cursor = max(0, min(len(self.found) - 1, self.cursor + step))
        self._draw()
        top, height = self._list.scroll_offset.y, max(1, self._list.size.height)
        if not top <= self.cursor < top + height:
            self._list.scroll_to(
                y=self.cursor if self.cursor < top else self.cursor - height + 1, animate=False
            )

    def action_complete(self) -> None:
        """Write the entry under the cursor into the line, to go on from there."""
        if (entry := self.current) is not None:
            self._input.value = entry.fill or entry.text
            self._input.cursor_position = len(self._input.value)

    def _take(self) -> None:
        entry = self.current
        if entry is None:
            return
        if entry.needs_more:
            self.action_complete()
        elif entry.locked:
            self.app.notify(entry.locked, severity="warning", markup=False)
        else:
            self.dismiss(entry)

    def action_leave(self) -> None:
        """Take nothing."""
        self.dismiss(None)
