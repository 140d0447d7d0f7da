"""What a drawing of jobs is to the widget that shows it: lines of toned text, and where each job stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gqm_tui.core import fmt
from gqm_tui.core.graph import work_ms
from gqm_tui.core.model import Node
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import Tone

_ASCII = {
    ord(sign): plain_sign
    for signs, plain_sign in (
        ("─", "-"),
        ("│┃", "|"),
        ("┌┐└┘├┤┬┴┼", "+"),
        ("═", "="),
        ("╔╗╚╝║╤", "#"),
        ("━┏┓┗┛┣┫┳┻╋┯", "*"),
        ("╌", "~"),
        ("»", ">"),
        ("▼", "v"),
        ("⧉", "="),
        ("▌", "|"),
        ("…", "."),
    )
    for sign in signs
}


@dataclass(frozen=True, slots=True)
class Run:
    """Text from a column on that means one thing; `chosen` text belongs to the selected job."""

    x: int
    text: str
    tone: Tone = Tone.PLAIN
    chosen: bool = False


class Spot(NamedTuple):
    """The cells of a job."""

    x: int
    y: int
    width: int
    height: int


class Drawing(Protocol):
    """Drawn jobs. A key names one place: the job's id where each is drawn once."""

    @property
    def width(self) -> int:
        """Cells from the first to the last column."""

    @property
    def height(self) -> int:
        """Lines."""

    @property
    def identity(self) -> object:
        """Equal for drawings that look the same."""

    def line(self, y: int) -> Sequence[Run]:
        """The runs of a line from left to right; what they leave out is blank."""

    def spot(self, key: str) -> Spot | None:
        """Where a key is drawn."""

    def at(self, x: int, y: int) -> str | None:
        """The key that is drawn at a cell."""


class Nothing:
    """A drawing of no job."""

    width = 0
    height = 0
    identity: object = None

    def line(self, y: int) -> Sequence[Run]:
        """Nothing."""
        return ()

    def spot(self, key: str) -> Spot | None:
        """Nowhere."""
        return None

    def at(self, x: int, y: int) -> str | None:
        """Nothing."""
        return None


def plain(runs: Sequence[Run]) -> str:
    """Give a line as text."""
    text = ""
    for run in runs:
        text = f"{text:<{run.x}}{run.text}"
    return text


def in_ascii(runs: Sequence[Run]) -> list[Run]:
    """Draw with ASCII alone."""
    return [Run(run.x, run.text.translate(_ASCII), run.tone, run.chosen) for run in runs]


def told(node: Node, signs: Signs, now: float | None) -> tuple[str, str]:
    """Say how a job stands: its state in a word, and the number that goes with it; either may be empty."""
    tries = f"{node.retry_count}/{node.max_retry}"
    ms = work_ms(node, now)
    if node.status == "processing":
        return signs.word(node.status), "" if ms is None else fmt.age(ms / 1_000)
    if node.status in ("dead_letter", "failed", "retry"):
        return signs.word(node.status), tries
    if node.status == "completed":
        return signs.word(node.status), "" if ms is None else fmt.duration(ms)
    return signs.word(node.status), ""


def short_state(node: Node, signs: Signs, now: float | None) -> str:
    """Say how a job stands in the room of a box; a running one by its sign and its time."""
    word, number = told(node, signs, now)
    word = "" if node.status == "processing" and number else word
    return " ".join(part for part in (signs.glyph(node.status), word, number) if part)
