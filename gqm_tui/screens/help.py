"""Help: every key that does something at this place, made from the bindings that are alive there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from gqm_tui import keymap
from gqm_tui.core.table import Tone
from gqm_tui.core.text import fit
from gqm_tui.widgets.tones import style

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp
    from gqm_tui.screens.frame import FrameScreen

_WIDTH = 44
_KEYS = 10
_EVERYWHERE = ("list", "table", "app")
"""The places that many screens share; their keys come after those of the place itself."""
HEADINGS = {"list": "Rows", "table": "Moving", "app": "Everywhere"}
_WRITTEN = {
    "at": "@",
    "colon": ":",
    "escape": "esc",
    "exclamation_mark": "!",
    "left_square_bracket": "[",
    "minus": "-",
    "plus": "+",
    "question_mark": "?",
    "right_square_bracket": "]",
    "slash": "/",
}


@dataclass(frozen=True, slots=True)
class HelpLine:
    """One key: where it belongs, what is pressed for it, what it does, and why it is locked."""

    key: keymap.Key
    scope: str
    pressed: tuple[str, ...]
    locked: str | None = None


def written(key: str) -> str:
    """Write a key as people do: `?`, not `question_mark`."""
    if key[:1] == "f" and key[1:].isdecimal():
        return key.upper()
    return _WRITTEN.get(key, key)


def help_lines(frame: "FrameScreen") -> list[HelpLine]:
    """Collect the live keys of a screen: its own first, then the shared ones, each in the keymap's order.

    Keys that change something are hidden from the bindings while they are locked; here they are named, with
    the reason.
    """
    alive: dict[str, list[str]] = {}
    for pressed, item in frame.active_bindings.items():
        if item.binding.id:
            alive.setdefault(item.binding.id, []).append(pressed)
    own = () if frame.pane is None else frame.pane.scopes
    order = [*own, *(name for name in keymap.SCOPES if name not in (*own, *_EVERYWHERE)), *_EVERYWHERE]
    lines: dict[str, HelpLine] = {}
    for scope in order:
        for key in keymap.SCOPES[scope]:
            if key.id in alive:
                lines.setdefault(key.id, HelpLine(key, scope, _in_order(key, alive[key.id])))
            elif key.mutates and scope in own and (reason := _locked(frame, key)) is not None:
                lines.setdefault(key.id, HelpLine(key, scope, tuple(frame.gqm.keys_of(key.id)), reason))
    return list(lines.values())


def _in_order(key: keymap.Key, pressed: Sequence[str]) -> tuple[str, ...]:
    """The keys as the keymap names them, then those of the configuration."""
    named = key.keys.split(",")
    return tuple(sorted(pressed, key=lambda one: named.index(one) if one in named else len(named)))


def _locked(frame: "FrameScreen", key: keymap.Key) -> str | None:
    session = frame.gqm.session
    reason = None if frame.pane is None else frame.pane.refusal(key)
    if reason is not None and reason.startswith("needs admin"):
        return f"needs admin ({session.me.role if session.me else session.role})"
    return reason


class HelpScreen(ModalScreen[None]):
    """Beside the table on a wide terminal, over all of a narrow one."""

    CSS_PATH = "../styles/help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark", "leave", "Close", show=False),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("pagedown,ctrl+d,space", "scroll(10)", "Page down", show=False),
        Binding("pageup,ctrl+u", "scroll(-10)", "Page up", show=False),
        Binding("home,g", "scroll(-1000)", "First", show=False),
        Binding("end,G", "scroll(1000)", "Last", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[HelpLine]) -> None:
        super().__init__()
        self._title = title
        self.lines = tuple(lines)
        self._text = Static("", markup=False, id="lines")
        self._box = VerticalScroll(self._text, id="box", can_focus=False)

    def compose(self) -> ComposeResult:
        """A box as high as the terminal."""
        self._box.border_title = Text(f"? Keys · {fit(self._title, _WIDTH - 14)}").markup
        self._box.border_subtitle = "esc closes"
        yield self._box

    def on_mount(self) -> None:
        """Write the keys."""
        self._draw()

    def on_resize(self) -> None:
        """Take two columns where the box is as wide as the terminal."""
        self._draw()

    def _draw(self) -> None:
        from gqm_tui.screens.panes.base import NARROW_BELOW

        narrow = self.app.size.width < NARROW_BELOW
        self.set_class(narrow, "-narrow")
        own = [line for line in self.lines if line.scope != "app"]
        shared = [line for line in self.lines if line.scope == "app"]
        if not narrow:
            self._text.update(self._table([*own, *shared]))
            return
        columns = Table.grid(padding=(0, 2, 0, 0), expand=True)
        columns.add_column(ratio=1)
        columns.add_column(ratio=1)
        columns.add_row(self._table(own), self._table(shared))
        self._text.update(columns)

    def _table(self, lines: Sequence[HelpLine]) -> Table:
        app = cast("GqmApp", self.app)
        variables, colour = app.theme_variables, not app.no_color
        dim, key_style = (
            style(Tone.DIM, variables, colour=colour),
            style(Tone.ACTIVE, variables, colour=colour),
        )
        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_column(width=_KEYS)
        table.add_column(ratio=1)
        heading = ""
        for line in lines:
            here = HEADINGS.get(line.scope, fit(self._title, _KEYS))
            if here != heading:
                if heading:
                    table.add_row("", "")
                heading = here
                table.add_row(Text(here, style="bold"), "")
            what = Text(line.key.text) if line.locked is None else Text(line.locked, style=dim)
            table.add_row(Text(_room(line.pressed), style=dim if line.locked else key_style), what)
        return table

    def action_scroll(self, lines: int) -> None:
        """Move on in the list; it stops at the ends."""
        self._box.scroll_to(y=self._box.scroll_offset.y + lines, animate=False)

    def action_leave(self) -> None:
        """Go back to the screen."""
        self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        """A click beside the box closes it."""
        if not self._box.region.contains(event.screen_x, event.screen_y):
            self.dismiss(None)


def _room(pressed: Sequence[str]) -> str:
    """The keys of one line, as many as there is room for."""
    words = ""
    for key in pressed:
        longer = f"{words} {written(key)}".strip()
        if words and cell_len(longer) > _KEYS:
            break
        words = longer
    return words
