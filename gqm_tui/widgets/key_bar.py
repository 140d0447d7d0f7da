"""The footer: the keys that do something here, made from the active bindings; a click presses the key."""

from rich.style import Style
from rich.text import Text
from textual import events
from textual.widgets import Static

from gqm_tui.keymap import BY_ID, Footer

_ROOM = {True: 5, False: 7}


class KeyBar(Static):
    """At most seven keys on a wide terminal and five on a narrow one."""

    DEFAULT_CSS = """
    KeyBar { height: 1; width: 1fr; padding: 0 1; background: $gqm-bar; }
    """

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._hits: list[tuple[int, int, str]] = []
        self._last: tuple[object, ...] = ()
        self.prefix = ""
        self.labels: dict[str, str] = {}
        self.only: tuple[str, ...] | None = None

    def on_mount(self) -> None:
        """Follow the bindings of the screen."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _screen: self.show())
        self.call_after_refresh(self.show)

    def on_resize(self) -> None:
        """Show as many keys as there is room for."""
        self.show()

    def offered(self) -> list[tuple[str, str, str]]:
        """The keys to show as (key to press, how it is written, label), in the order of the keymap."""
        narrow = self.app.size.width < 100
        active = {
            item.binding.id: item.binding.key for item in self.screen.active_bindings.values() if item.enabled
        }
        if self.only is not None:
            wanted = [BY_ID[name] for name in self.only if name in active]
        else:
            floor = Footer.ALWAYS if narrow else Footer.WIDE
            wanted = [key for key in BY_ID.values() if key.footer >= floor and key.id in active]
            wanted.sort(key=lambda key: _place(key.id))
        shown: list[tuple[str, str, str]] = []
        seen: set[str] = set()
        for key in wanted:
            press = active[key.id]
            display = key.display if press in key.keys.split(",") else press
            if display in seen:
                continue
            seen.add(display)
            shown.append((press, display, self.labels.get(key.id, key.label)))
        room = _ROOM[narrow]
        if len(shown) > room and self.only is None:
            # Help stays in sight whatever else there is.
            shown = [*shown[: room - 1], shown[-1]]
        return shown[:room]

    def show(self) -> None:
        """Draw the keys again if they changed."""
        if not self.is_attached or not self.screen.is_current:
            return
        offered = self.offered()
        state = (self.prefix, tuple(offered), self.app.theme, self.size.width)
        if state == self._last:
            return
        self._last = state
        colour = self.app.theme_variables.get("footer-key-foreground")
        key_style = Style(bold=True, color=colour if colour and not self.app.no_color else None)
        line = Text(no_wrap=True, overflow="ellipsis", end="")
        self._hits = []
        if self.prefix:
            line.append(f"{self.prefix} · " if offered else self.prefix)
        for press, display, label in offered:
            start = line.cell_len
            line.append(display, key_style)
            line.append(f" {label}")
            self._hits.append((start, line.cell_len, press))
            line.append("  ")
        self.update(line)

    async def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked."""
        x = event.x - 1
        for start, end, press in self._hits:
            if start <= x < end:
                self.app.simulate_key(press)
                return


def _place(key_id: str) -> tuple[int, int]:
    order = {
        "table.open": 0,
        "list.filter": 20,
        "list.sort": 21,
        "app.freeze": 30,
        "app.palette": 31,
        "app.help": 99,
    }
    names = list(BY_ID)
    return (order.get(key_id, 10), names.index(key_id))
