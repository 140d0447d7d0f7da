"""A small dialog: one of a few things, by its letter, by the cursor, or by a click."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from gqm_tui.core.table import Tone
from gqm_tui.core.text import fit
from gqm_tui.widgets.tones import style

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp

_WIDTH = 60


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the things: what is returned for it, its words, what it means, and the letter that takes it."""

    value: str
    label: str
    hint: str = ""
    letter: str = ""
    tone: Tone = Tone.PLAIN


class ChooseScreen(ModalScreen[str | None]):
    """Returns the value of what was chosen, or None."""

    CSS_PATH = "../styles/choose.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("home,g", "end(0)", "First", show=False),
        Binding("end,G", "end(-1)", "Last", show=False),
        Binding("enter", "take", "Take", show=False),
        Binding("escape", "leave", "Leave", show=False),
    ]

    def __init__(self, title: str, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._title = title
        self._choices = tuple(choices)
        self.cursor = 0
        self._lines = Static("", markup=False, id="lines")

    def compose(self) -> ComposeResult:
        """A box with one line for each choice."""
        with VerticalScroll(id="box", can_focus=False) as box:
            box.border_title = Text(fit(self._title, _WIDTH - 6)).markup
            box.border_subtitle = "enter takes · esc leaves"
            yield self._lines

    def on_mount(self) -> None:
        """Draw the choices."""
        self._draw()

    def on_resize(self) -> None:
        """Fit the lines into the box."""
        self._draw()

    def _draw(self) -> None:
        app = cast("GqmApp", self.app)
        width = max(20, min(_WIDTH, self.app.size.width) - 4)
        labels = max((len(choice.label) for choice in self._choices), default=0)
        text = Text(no_wrap=True, overflow="ellipsis")
        for at, choice in enumerate(self._choices):
            line = Text("▌" if at == self.cursor else " ", no_wrap=True, end="")
            line.append(f"{choice.letter or ' '} ", self._style(Tone.ACTIVE, app))
            line.append(fit(choice.label, width), self._style(choice.tone, app))
            if choice.hint:
                line.append(" " * (min(labels, width) - len(choice.label) + 2))
                line.append(choice.hint, self._style(Tone.DIM, app))
            line.truncate(width, overflow="ellipsis", pad=True)
            if at == self.cursor:
                line.stylize(f"bold on {self.app.theme_variables['block-cursor-background']}")
            text.append_text(line)
            text.append("\n" if at + 1 < len(self._choices) else "")
        self._lines.update(text)

    def _style(self, tone: Tone, app: "GqmApp") -> str:
        return str(style(tone, app.theme_variables, colour=not app.no_color))

    def on_key(self, event: events.Key) -> None:
        """Take the choice of a letter."""
        for choice in self._choices:
            if choice.letter and event.character == choice.letter:
                event.stop()
                self.dismiss(choice.value)
                return

    def on_click(self, event: events.Click) -> None:
        """Take what is clicked; a click beside the box leaves."""
        region = self._lines.region
        if not region.contains(event.screen_x, event.screen_y):
            if not self.query_one("#box").region.contains(event.screen_x, event.screen_y):
                self.dismiss(None)
            return
        at = event.screen_y - region.y
        if 0 <= at < len(self._choices):
            self.dismiss(self._choices[at].value)

    def action_move(self, step: int) -> None:
        """Move the cursor; it stops at the ends."""
        self._put(min(len(self._choices) - 1, max(0, self.cursor + step)))

    def action_end(self, at: int) -> None:
        """Move the cursor to the first or the last choice."""
        self._put(at % len(self._choices))

    def _put(self, at: int) -> None:
        self.cursor = at
        self._draw()
        self.query_one("#box").scroll_to(y=max(0, at - 5), animate=False)

    def action_take(self) -> None:
        """Take the choice under the cursor."""
        self.dismiss(self._choices[self.cursor].value)

    def action_leave(self) -> None:
        """Choose nothing."""
        self.dismiss(None)
