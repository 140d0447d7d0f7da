"""What the palette offers at a place, and how what was taken is carried out."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from gqm_tui.core import fmt
from gqm_tui.core.config import INTERVALS, LEAST_INTERVAL_S, MOST_INTERVAL_S
from gqm_tui.core.jobstate import SHORT
from gqm_tui.core.model import Job, Queue
from gqm_tui.core.palette import RUN, Entry, Found, ranked, remembered, split
from gqm_tui.core.text import fit, fit_middle
from gqm_tui.screens.frame import FrameScreen
from gqm_tui.screens.help import HEADINGS, HelpLine, help_lines, written
from gqm_tui.screens.main import MainScreen
from gqm_tui.screens.panes.base import Pane
from gqm_tui.views import SAVE, VIEW, Views
from gqm_tui.widgets.filter_bar import FilterBar

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp

_NAME_CELLS = 40
_ID_CELLS = 18
_NOTE_CELLS = 32
_LEFT_OUT = frozenset({"app.palette"})
_TEMPLATES = {
    "job": ("ID", "open a job"),
    "queue": ("NAME", "open a queue"),
    VIEW: ("NAME", "open a saved view"),
    SAVE: ("NAME", "save this place as a view"),
    "ctx": ("NAME", "open another context"),
    "theme": ("NAME", "other colours"),
    "every": ("SECONDS", "fetch more or less often"),
}


class Palette:
    """One for the app: its entries are made anew each time, from the bindings that are alive then."""

    def __init__(self, app: "GqmApp") -> None:
        self._app = app
        self._views = Views(app)
        self._entries: list[Entry] = []

    def open(self) -> None:
        """Show the palette over the screen that can be seen."""
        from gqm_tui.screens.palette import PaletteScreen

        frame = self._app.visible_frame
        if frame is None or self._app.screen is not frame:
            return
        if isinstance(frame.focused, FilterBar):
            # The keys of the table are alive again only when the bar was left.
            frame.focused.action_leave()
            self._app.call_after_refresh(self.open)
        else:
            self._entries = self.entries(frame)
            self._app.push_screen(PaletteScreen(self), self._taken)

    # What there is.

    def entries(self, frame: FrameScreen) -> list[Entry]:
        """Everything that can be taken at a place: saved views, its keys, then what is known by name."""
        return [
            *self._views.entries(),
            *self._keys(frame),
            *self._templates(),
            *self._queues(),
            *self._jobs(),
            *self._choices(),
        ]

    def _keys(self, frame: FrameScreen) -> Iterator[Entry]:
        labels = {} if frame.pane is None else frame.pane.footer_now()[2]
        for line in help_lines(frame):
            if line.key.id not in _LEFT_OUT:
                yield _key_entry(line, frame.pane, labels.get(line.key.id, line.key.label))

    def _templates(self) -> Iterator[Entry]:
        for word, (what, note) in _TEMPLATES.items():
            yield Entry(f"{word} ", word, what, note, fill=f"{word} ", needs_more=True)

    def _panes(self) -> Iterator[Pane]:
        for screen in self._app.screen_stack:
            if isinstance(screen, MainScreen):
                yield from screen.panes
            elif isinstance(screen, FrameScreen) and screen.pane is not None:
                yield screen.pane

    def _known(self) -> Iterator[object]:
        """Every value that a pane of this context has."""
        for pane in self._panes():
            if pane.view.tag.context == self._app.context_name:
                yield from (part.value for part in pane.view.parts.values())

    def _queues(self) -> Iterable[Entry]:
        found: dict[str, Entry] = {}
        for value in self._known():
            for item in value if isinstance(value, list) else (value,):
                if isinstance(item, Queue):
                    note = "paused" if item.paused else f"{fmt.count(item.ready)} ready"
                    found.setdefault(item.name, _command("queue", item.name, note))
        return found.values()

    def _jobs(self) -> Iterable[Entry]:
        found: dict[str, Entry] = {}
        for value in self._known():
            for item in value if isinstance(value, list) else (value,):
                if isinstance(item, Job):
                    note = f"{fit(item.type, 20)} {SHORT.get(item.status, fit(item.status, 10))}"
                    found.setdefault(item.id, _command("job", item.id, note))
        return found.values()

    def _choices(self) -> Iterator[Entry]:
        contexts = self._app.contexts
        for context in contexts.known:
            yield _command("ctx", context.name, "now" if contexts.is_open(context) else context.url)
        for name in self._app.available_themes:
            yield _command("theme", name, "now" if name == self._app.theme else "")
        for seconds in INTERVALS:
            yield _command("every", f"{seconds:g}", "now" if seconds == self._app.interval else "")

    # What somebody typed.

    def find(self, typed: str) -> list[Found]:
        """Give what matches, best first."""
        history = self._app.state.palette
        word, rest = split(typed, self._commands)
        if not word:
            few = self._entries if typed.strip() else [*self._brief(history)]
            return ranked(few, typed, history)
        if word == SAVE:
            return [Found(self._views.save_entry(rest))] if rest else []
        if word == "every":
            return self._paces(rest)
        mine = [entry for entry in self._entries if entry.word == word and not entry.needs_more]
        found = [Found(item.entry, item.score, item.marked) for item in ranked(mine, rest, history)]
        if rest and not any(entry.id == f"{word} {rest}" for entry in mine):
            literal = self._literal(word, rest)
            found += [] if literal is None else [Found(literal)]
        return found

    def _paces(self, rest: str) -> list[Found]:
        """Give the paces that begin with what was typed; any other number as it was typed."""
        mine = [entry for entry in self._entries if entry.word == "every" and not entry.needs_more]
        literal = self._literal("every", rest)
        same = next((entry for entry in mine if literal is not None and entry.id == literal.id), literal)
        more = [entry for entry in mine if entry.text.startswith(rest) and entry is not same]
        return [Found(entry) for entry in (more if same is None else [same, *more])]

    def _brief(self, history: Iterable[str]) -> Iterator[Entry]:
        """Give what is listed before anything was typed: what was taken last, the keys, the commands."""
        known = {entry.id for entry in self._entries}
        for name in history:
            word, rest = split(name, self._commands)
            if word and rest and name not in known and (entry := self._literal(word, rest)) is not None:
                yield entry
        recent = set(history)
        for entry in self._entries:
            if entry.word in (RUN, VIEW) or entry.needs_more or entry.id in recent:
                yield entry

    def _literal(self, word: str, rest: str) -> Entry | None:
        """Make an entry of a command as it was typed; None when it cannot be carried out."""
        if word == "every":
            seconds = _seconds(rest)
            return None if seconds is None else _command("every", f"{seconds:g}", "seconds")
        if word in ("job", "queue"):
            return _command(word, rest, "open")
        return None

    def nothing(self, typed: str) -> str:
        """Say why nothing is listed."""
        word, rest = split(typed, self._commands)
        if word == "every":
            return f"{LEAST_INTERVAL_S:g} to {MOST_INTERVAL_S:g} seconds can be chosen"
        if word == SAVE:
            return "a name for what is shown now"
        return f"no {word} is called {fit(rest, 30)}" if word else "nothing here is called that"

    # What was taken.

    @property
    def _commands(self) -> dict[str, Callable[[str], Awaitable[None] | None]]:
        return {
            "job": self._app.doors.job,
            "queue": self._app.doors.jobs,
            VIEW: self._views.open,
            SAVE: self._views.save,
            "ctx": self._context,
            "theme": self._app.use_theme,
            "every": lambda text: self._app.poll_every(float(text)),
        }

    def _context(self, name: str) -> None:
        refused = self._app.contexts.open_named(name)
        if refused is not None:
            self._app.notify(refused, severity="warning", markup=False)

    async def _taken(self, entry: Entry | None) -> None:
        if entry is None:
            return
        if entry.word != SAVE:
            self._app.remember(palette=remembered(self._app.state.palette, entry.id))
        if entry.word == RUN:
            await self._press(entry)
        else:
            done = self._commands[entry.word](entry.id.partition(" ")[2])
            if done is not None:
                await done

    async def _press(self, entry: Entry) -> None:
        """Do what the key does, if it still means what the palette said; the table goes on meanwhile."""
        frame = self._app.visible_frame
        if frame is None:
            return
        now = next((item for item in self._keys(frame) if item.id == entry.id), None)
        if now is not None and now.locked:
            self._app.notify(now.locked, severity="warning", markup=False)
        elif now is None or (now.about, now.text) != (entry.about, entry.text):
            told = f"{entry.text}: it is another now, nothing was done"
            self._app.notify(told, severity="warning", markup=False)
        else:
            alive = (item for item in frame.active_bindings.values() if item.binding.id == entry.id)
            found = next((item for item in alive if item.enabled), None)
            if found is not None:
                await self._app.run_action(found.binding.action, found.node)


def _key_entry(line: HelpLine, pane: Pane | None, label: str) -> Entry:
    key = line.key
    about, words = ("", "") if pane is None else pane.subject(key)
    act = "Open" if key.id == "table.open" else label
    text = f"{act} {words}".strip() if words or key.mutates else _sentence(key.text)
    return Entry(
        id=key.id,
        word=RUN,
        text=text,
        note=HEADINGS.get(line.scope, "" if pane is None else pane.name_of_view.capitalize()),
        pressed=written(line.pressed[0]),
        also=f"{key.label} {key.text}",
        locked=line.locked,
        about=about,
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _command(word: str, name: str, note: str) -> Entry:
    shown = fit_middle(name, _ID_CELLS) if word == "job" else fit(name, _NAME_CELLS)
    also = name if word == "job" else ""
    return Entry(f"{word} {name}", word, shown, fit(note, _NOTE_CELLS), also=also, fill=f"{word} {name}")


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        return None
    return seconds if LEAST_INTERVAL_S <= seconds <= MOST_INTERVAL_S else None
