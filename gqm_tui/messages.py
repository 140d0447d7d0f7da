"""What happened, told in the past tense from one part of the screen to another."""

from textual.message import Message


class Refreshed(Message):
    """A part of a pane's data arrived or failed; bursts of them become one."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self.part = part

    def can_replace(self, message: Message) -> bool:
        """Painting once is enough, however many parts arrived."""
        return isinstance(message, Refreshed)


class PollFailed(Message):
    """Every part of a pane failed; the next try is under way."""


class RoleChanged(Message):
    """Who we are, or what we may do, is another now."""


class ActionDone(Message):
    """A change was carried out, refused or left in doubt; its words are in the action log."""

    def __init__(self, *, marks_done: bool = False) -> None:
        super().__init__()
        self.marks_done = marks_done
        """Whether all jobs that were marked for it had their turn."""


class Ticked(Message):
    """A second went by; ages are written anew."""

    def can_replace(self, message: Message) -> bool:
        """Two seconds at once are one repaint."""
        return isinstance(message, Ticked)
