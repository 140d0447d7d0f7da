"""The only renderer of a pane without rows: what is awaited, why it is empty, what was refused."""

from rich.text import Text
from textual.widgets import Static

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class StateView(Static):
    """A few centred lines over the table's body; hidden while there are rows."""

    DEFAULT_CSS = """
    StateView {
        layer: over;
        dock: top;
        margin-top: 1;
        height: 1fr;
        width: 1fr;
        content-align: center middle;
        text-align: center;
        background: $surface;
        display: none;
    }
    StateView.-error { color: $error; }
    StateView.-warning { color: $warning; }
    StateView.-quiet { color: $gqm-dim; }
    """

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._shown: tuple[str, str, str] | None = None

    def show(self, headline: str, detail: str = "", kind: str = "quiet") -> None:
        """Show a headline and what can be done; kind is quiet, warning or error."""
        if (headline, detail, kind) != self._shown:
            self._shown = (headline, detail, kind)
            text = Text(justify="center")
            text.append(headline, "bold")
            if detail:
                text.append(f"\n\n{detail}")
            self.update(text)
            for name in ("quiet", "warning", "error"):
                self.set_class(name == kind, f"-{name}")
        self.display = True

    def hide(self) -> None:
        """Give the table's body free."""
        self._shown = None
        self.display = False

    @property
    def plain(self) -> str:
        """What it says, for tests."""
        return "" if self._shown is None else "\n".join(part for part in self._shown[:2] if part)
