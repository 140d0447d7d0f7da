"""The filter of a table: one input that takes every printable key; enter keeps, esc drops, tab goes back."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class FilterBar(Input):
    """Posts every change; what cannot be understood stays in the bar in the colour of an error."""

    DEFAULT_CSS = """
    FilterBar { background: $panel; background-tint: transparent; }
    FilterBar:focus { background-tint: transparent; }
    FilterBar > .input--cursor { text-style: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Keep", show=False),
        Binding("escape", "drop", "Drop", show=False, key_display="esc"),
        Binding("tab,down", "leave", "Table", show=False, key_display="tab"),
    ]

    class Edited(Message):
        """The filter's text changed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Message):
        """The person is done with the bar; the filter stays if `kept`."""

        def __init__(self, *, kept: bool) -> None:
            super().__init__()
            self.kept = kept

    def __init__(self) -> None:
        super().__init__(
            placeholder="word  col:text  col=exact  col>14m  -term", select_on_focus=False, compact=True
        )
        self.cursor_blink = False

    @classmethod
    def hint(cls) -> str:
        """What its keys do, for the footer while it has the focus."""
        bindings = [each for each in cls.BINDINGS if isinstance(each, Binding)]
        return " · ".join(f"{each.key_display or each.key} {each.description}" for each in bindings)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell the pane."""
        event.stop()
        self.post_message(self.Edited(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter."""
        event.stop()
        self.post_message(self.Left(kept=True))

    def action_leave(self) -> None:
        """Go back to the table; the filter stays."""
        self.post_message(self.Left(kept=True))

    def action_drop(self) -> None:
        """Go back to the table without a filter."""
        self.post_message(self.Left(kept=False))
