"""The filter of a table: one input that takes every printable key; enter keeps, esc drops, tab goes back."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class FilterBar(Input):
    """Posts every change; what cannot be understood stays in the bar in the colour of an error."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "drop", "Drop", show=False),
        Binding("tab", "leave", "Table", show=False),
        Binding("down", "leave", "Table", show=False),
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
