"""Every key once: id, keys, action, words. Bindings, footer, help, palette and README are made from here."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from textual.binding import Binding, BindingType


class Footer(IntEnum):
    """Where the footer shows a key: never, only where there is room, or always."""

    NEVER = 0
    WIDE = 1
    ALWAYS = 2


@dataclass(frozen=True, slots=True)
class Key:
    """One key of one place. `id` is what `[keymap]` names; `mutates` keys need a role that may write."""

    id: str
    keys: str
    action: str
    label: str
    text: str
    footer: Footer = Footer.NEVER
    mutates: bool = False
    shown: str = ""

    @property
    def display(self) -> str:
        """How people write the key."""
        return self.shown or self.keys.partition(",")[0]


N, W, A = Footer.NEVER, Footer.WIDE, Footer.ALWAYS


def _tab(number: str, tab: str, label: str) -> Key:
    return Key(f"app.{tab}", number, f"app.show_tab('{tab}')", label, f"go to {label}")


_SECTION = (
    Key(
        "section.previous", "left_square_bracket", "section(-1)", "Section", "previous section", N, shown="["
    ),
    Key("section.next", "right_square_bracket", "section(1)", "Section", "next section", W, shown="[ ]"),
)

SCOPES: dict[str, tuple[Key, ...]] = {
    "app": (
        _tab("1", "queues", "Queues"),
        _tab("2", "workers", "Workers"),
        _tab("3", "failed", "Failed"),
        _tab("4", "cron", "Cron"),
        _tab("5", "dag", "DAG"),
        _tab("6", "servers", "Servers"),
        _tab("0", "overview", "Overview"),
        Key("app.next_tab", "tab", "app.cycle_tab(1)", "Next tab", "next tab"),
        Key("app.previous_tab", "shift+tab", "app.cycle_tab(-1)", "Previous tab", "previous tab"),
        Key("app.refresh", "f5,ctrl+r", "app.refresh_now", "Refresh", "fetch now", shown="F5"),
        Key("app.freeze", "f", "app.freeze", "Freeze", "hold the picture, or go on", W),
        Key(
            "app.rewind",
            "ctrl+left",
            "app.rewind(-1)",
            "Earlier",
            "while frozen: a moment earlier, of the last 5 minutes",
        ),
        Key("app.forward", "ctrl+right", "app.rewind(1)", "Later", "while frozen: a moment later"),
        Key(
            "app.problem",
            "exclamation_mark",
            "app.next_problem",
            "Problem",
            "go to the next problem",
            shown="!",
        ),
        Key(
            "app.context",
            "at",
            "app.contexts",
            "Context",
            "open another server, or give another key",
            shown="@",
        ),
        Key("app.slower", "plus", "app.interval(1)", "Slower", "fetch less often", shown="+"),
        Key("app.faster", "minus", "app.interval(-1)", "Faster", "fetch more often", shown="-"),
        Key(
            "app.log", "L", "app.action_log", "Action log", "what was done from here, and the server's audit"
        ),
        Key("app.undo", "u", "app.undo", "Undo", "take the last pause, resume, enable or disable back"),
        Key("app.theme", "T", "app.toggle_theme", "Theme", "dark or light"),
        Key("app.region", "f6", "app.next_region", "Region", "move the focus to the next region", shown="F6"),
        Key(
            "app.palette",
            "colon,ctrl+p",
            "app.palette",
            "Palette",
            "find anything by a few letters",
            W,
            shown=":",
        ),
        Key("app.help", "question_mark", "app.help", "Help", "the keys of this place", A, shown="?"),
        Key("app.quit", "q,ctrl+c", "app.quit", "Quit", "leave"),
    ),
    "table": (
        Key("table.open", "enter", "select_cursor", "Open", "open the row", A),
        Key("table.down", "j,down", "cursor_down", "Down", "one row down"),
        Key("table.up", "k,up", "cursor_up", "Up", "one row up"),
        Key("table.first", "g,home", "first", "First", "first row"),
        Key("table.last", "G,end", "last", "Last", "last row"),
        Key("table.half_down", "ctrl+d,pagedown", "half_down", "Half page", "half a page down"),
        Key("table.half_up", "ctrl+u,pageup", "half_up", "Half page", "half a page up"),
    ),
    "list": (
        Key("list.filter", "slash", "filter", "Filter", "filter the rows", A, shown="/"),
        Key("list.sort", "s", "sort_next", "Sort", "sort by the next column", A),
        Key("list.direction", "S", "sort_turn", "Direction", "turn the sort around"),
        Key("list.next_page", "n", "page(1)", "Next page", "next page"),
        Key("list.previous_page", "N", "page(-1)", "Previous page", "previous page"),
        Key("list.mark", "space", "mark", "Mark", "mark the row"),
        Key("list.range", "v", "mark_range", "Range", "mark from the last mark to here"),
        Key("list.all", "a", "mark_all", "All matching", "take everything that matches"),
        Key("list.copy", "y", "copy", "Copy", "copy the id, the row, JSON or a curl command"),
        Key("list.export", "ctrl+s", "export", "Export", "save the rows as CSV or JSON"),
        Key(
            "list.back",
            "escape",
            "back",
            "Back",
            "drop the filter, then the marks, then go back",
            shown="esc",
        ),
    ),
    "queues": (
        Key("queues.pause", "p", "pause", "Pause", "pause or resume the queue", A, mutates=True),
        Key("queues.empty", "D", "empty", "Empty", "cancel all ready jobs of the queue", mutates=True),
    ),
    "jobs": (
        *_SECTION,
        Key("jobs.pause", "p", "pause", "Pause", "pause or resume the queue", mutates=True),
        Key("jobs.empty", "D", "empty", "Empty", "cancel all ready jobs of the queue", mutates=True),
        Key("jobs.retry", "r", "retry", "Retry", "retry; a scheduled or retry job runs now", A, mutates=True),
        Key("jobs.cancel", "x", "cancel", "Cancel", "cancel", A, mutates=True),
        Key("jobs.delete", "d", "delete", "Delete", "delete", A, mutates=True),
    ),
    "failed": (
        Key("failed.previous", "h,left", "queue(-1)", "Queue", "previous queue"),
        Key("failed.next", "l,right", "queue(1)", "Queue", "next queue", W, shown="h l"),
        Key("failed.view", "b", "toggle_view", "Grouped", "grouped by error, or flat", A),
        Key(
            "failed.previous_state",
            "left_square_bracket",
            "section(-1)",
            "State",
            "previous state",
            shown="[",
        ),
        Key("failed.next_state", "right_square_bracket", "section(1)", "State", "next state", shown="]"),
        Key("failed.retry", "r", "retry", "Retry", "retry the row, the group or the marks", A, mutates=True),
        Key("failed.retry_all", "R", "retry_all", "Retry all", "retry all that match", A, mutates=True),
        Key(
            "failed.delete",
            "d",
            "delete",
            "Delete",
            "delete the row, the group or the marks",
            A,
            mutates=True,
        ),
    ),
    "cron": (
        Key("cron.trigger", "t", "trigger", "Trigger", "run the entry now", A, mutates=True),
        Key("cron.enable", "e", "switch", "Enable", "enable or disable the entry", A, mutates=True),
        Key("cron.delete", "d", "delete", "Delete", "delete an orphaned entry", mutates=True),
    ),
    "dag": _SECTION,
    "graph": (
        Key("graph.up", "up,k", "move('up')", "Up", "to the parent row"),
        Key("graph.down", "down,j", "move('down')", "Down", "to the child row"),
        Key("graph.left", "left,h", "move('left')", "Left", "to the left"),
        Key("graph.right", "right,l", "move('right')", "Right", "to the right"),
        Key("graph.open", "enter", "open", "Job", "open the job", A),
        Key("graph.view", "t", "toggle_view", "Tree", "tree or graph", A),
        Key("graph.critical", "c", "critical", "Critical path", "show the critical path", A),
        Key("graph.fit", "z", "fit", "Fit", "bring the selected job into view", W),
        Key("graph.retry", "r", "retry", "Retry", "retry the selected job", A, mutates=True),
        Key("graph.copy", "y", "copy", "Copy", "copy the id"),
        Key("graph.back", "escape", "back", "Back", "go back", A, shown="esc"),
    ),
    "worker": (Key("worker.cancel", "x", "cancel", "Cancel", "cancel the running job", A, mutates=True),),
    "job": (
        *_SECTION,
        Key("job.retry", "r", "retry", "Retry", "retry; a scheduled or retry job runs now", A, mutates=True),
        Key("job.cancel", "x", "cancel", "Cancel", "cancel", A, mutates=True),
        Key("job.delete", "d", "delete", "Delete", "delete", A, mutates=True),
        Key("job.copy", "y", "copy", "Copy", "copy the id, the section, JSON or a curl command", A),
        Key("job.reveal", "m", "reveal", "Reveal", "show masked values, or mask them again"),
        Key("job.pager", "o", "pager", "Pager", "open the section in $PAGER", W),
        Key("job.editor", "O", "editor", "Editor", "open a copy in $EDITOR"),
        Key("job.parent", "P", "parent", "Parent", "go to the parent job", W),
        Key("job.children", "C", "children", "Children", "go to the child jobs", W),
        Key("job.wrap", "w", "wrap", "Wrap", "wrap long lines, or cut them"),
        Key("job.back", "escape", "back", "Back", "go back", A, shown="esc"),
    ),
    "actions": _SECTION,
    "overview": (Key("overview.open", "enter", "open_problem", "Go there", "go to what needs attention", A),),
}


def keys() -> Iterator[Key]:
    """Every key of every place; one that several places share comes once."""
    seen: set[str] = set()
    for scope_keys in SCOPES.values():
        for key in scope_keys:
            if key.id not in seen:
                seen.add(key.id)
                yield key


BY_ID: dict[str, Key] = {key.id: key for key in keys()}


def scope(*names: str) -> list[BindingType]:
    """Give the bindings of some places, for a widget's or a screen's BINDINGS."""
    return [
        Binding(
            key.keys, key.action, key.label, show=key.footer is not Footer.NEVER, id=key.id, tooltip=key.text
        )
        for name in names
        for key in SCOPES[name]
    ]
