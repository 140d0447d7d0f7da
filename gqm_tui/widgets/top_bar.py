"""The first line of every screen: how the data stands, whom we look at, as whom, how often, and the time."""

from dataclasses import dataclass

from rich.style import Style
from rich.text import Text

from gqm_tui.core.store import PaneState
from gqm_tui.core.table import Tone
from gqm_tui.widgets.line import Line
from gqm_tui.widgets.tones import style

_SIGNS = {
    PaneState.LOADING: ("…", Tone.DIM, "CONNECTING"),
    PaneState.LIVE: ("●", Tone.GOOD, "LIVE"),
    PaneState.EMPTY: ("●", Tone.GOOD, "LIVE"),
    PaneState.FILTERED_EMPTY: ("●", Tone.GOOD, "LIVE"),
    PaneState.PARTIAL: ("!", Tone.WARN, "PARTIAL"),
    PaneState.STALE: ("!", Tone.WARN, "STALE"),
    PaneState.DOWN: ("✗", Tone.BAD, "DOWN"),
    PaneState.UNAUTHORIZED: ("✗", Tone.BAD, "NOT SIGNED IN"),
    PaneState.FORBIDDEN: ("✗", Tone.BAD, "FORBIDDEN"),
    PaneState.FROZEN: ("‖", Tone.WARN, "FROZEN"),
}


@dataclass(frozen=True, slots=True)
class BarFacts:
    """What the bar says. Ages and spans are texts already; `reason` is why nothing arrives."""

    state: PaneState
    context: str
    host: str
    badges: tuple[str, ...]
    identity: str
    role: str
    every: str
    took: str
    time: str
    reason: str = ""
    retry: str = ""
    data_age: str = ""
    moment: str = ""
    """Which moment is shown, where that is not now."""
    production: bool = False
    connected: bool = False


class TopBar(Line):
    """The bar; red all over while the server is away or the context is production."""

    DEFAULT_CSS = """
    TopBar { background: $gqm-bar; }
    TopBar.-production { background: $error 25%; }
    TopBar.-down { background: $error 35%; }
    """

    def show_facts(self, facts: BarFacts, *, narrow: bool, variables: dict[str, str], colour: bool) -> None:
        """Write the facts into the line."""
        sign, tone, word = _SIGNS[facts.state]
        if facts.state is PaneState.LOADING and facts.connected:
            word = "LOADING"  # another view of a server that has answered before
        left = Text()
        left.append(f"{sign} {word}", style(tone, variables, colour=colour) + Style(bold=True))
        left.append(f" {facts.context}")
        for badge in facts.badges:
            left.append(" ")
            left.append(badge, style(Tone.WARN, variables, colour=colour) + Style(bold=True))
        if facts.moment:
            left.append(f" · shows {facts.moment}", style(Tone.WARN, variables, colour=colour))
        down = facts.state is PaneState.DOWN
        if down:
            told = (facts.reason, facts.retry, "" if narrow else "F5 now")
            left.append("".join(f" · {part}" for part in told if part))
        elif not narrow and not facts.moment:
            left.append(f" · {facts.host}", style(Tone.DIM, variables, colour=colour))
        if facts.data_age:
            right = Text(f"data {facts.data_age} old" if narrow else f"last data {facts.data_age} ago")
            right.stylize(style(Tone.WARN, variables, colour=colour))
        elif narrow:
            right = Text(" · ".join(part for part in (facts.role, facts.every, facts.time) if part))
        else:
            parts = (facts.identity, f"every {facts.every}", facts.took, facts.time)
            right = Text(" · ".join(part for part in parts if part))
        self.set_class(down, "-down")
        self.set_class(facts.production, "-production")
        self.show(left, right)
