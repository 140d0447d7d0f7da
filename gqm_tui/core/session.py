"""Whom the screen looks at, as whom, and whether it may change anything."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gqm_tui.core import fmt
from gqm_tui.core.config import ContextConfig
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import CellText, Tone
from gqm_tui.core.text import fit

if TYPE_CHECKING:
    from gqm_tui.core.client import ApiClient
    from gqm_tui.core.model import Me, Stats

_NAME_CELLS = 40


@dataclass(slots=True)
class Session:
    """One open context: its client, who the server says we are, and the counts beside the tabs."""

    context: ContextConfig
    client: "ApiClient"
    key_given: bool = False
    me: "Me | None" = None
    me_error: ApiError | None = None
    stats: "Stats | None" = None
    down: bool = False
    down_at: float | None = None
    """Monotonic time since when it is away."""
    left_at: float | None = None
    """Monotonic time when it was left for another one."""

    @property
    def name(self) -> str:
        """The context's name."""
        return self.context.name

    def note_down(self, down: bool, now: float) -> None:
        """Take note of whether the server is away; ``now`` is monotonic."""
        if down != self.down:
            self.down, self.down_at = down, now if down else None

    @property
    def host(self) -> str:
        """Host and port, as the bar writes them."""
        return self.client.origin.partition("://")[2]

    @property
    def role(self) -> str:
        """The role the server gave, or an ellipsis while it is not known."""
        return "…" if self.me is None else self.me.role

    @property
    def identity(self) -> str:
        """Role and name, as in `admin apikey:ops`."""
        if self.me is None:
            return "…"
        name = fit(self.me.username, _NAME_CELLS)
        return self.me.role if self.me.auth == "anonymous" else f"{self.me.role} {name}"

    @property
    def badges(self) -> tuple[str, ...]:
        """Loud words beside the context's name."""
        found = badges(self.context)
        return (*found, "http!") if self.client.insecure_transport else found

    @property
    def locked(self) -> str | None:
        """Why nothing may be changed now, as a sentence; None when it may."""
        if self.context.read_only:
            return f"context {self.name} is read-only"
        if self.down:
            return "the server is away; nothing can be changed now"
        if self.me is None:
            return "who you are is not known yet"
        if self.me.role != "admin":
            return f"needs admin (you are {self.identity})"
        return None


def badges(context: ContextConfig) -> tuple[str, ...]:
    """Give the loud words that a context's settings call for."""
    words = (
        ("PRODUCTION", context.production),
        ("READ ONLY", context.read_only),
        ("TLS NOT CHECKED", context.insecure),
    )
    return tuple(word for word, applies in words if applies)


def standing(session: Session | None, now: float, signs: Signs) -> tuple[CellText, CellText]:
    """Say how a context stood when something was last heard of it: a sign, and words.

    ``now`` is monotonic. A context that was never opened in this run is not asked for this.
    """
    if session is None:
        return CellText(fmt.ZERO, Tone.DIM), CellText("not opened yet", Tone.DIM)
    bad = CellText(signs.glyph("dead_letter"), Tone.BAD)
    left = "" if session.left_at is None else f", {fmt.age(now - session.left_at)} ago"
    error = session.me_error
    if error is not None and error.kind is Kind.UNAUTHORIZED:
        return bad, CellText(("key refused" if session.key_given else "not signed in") + left, Tone.BAD)
    if session.down:
        since = "" if session.down_at is None else f" {fmt.age(now - session.down_at)}"
        why = "" if error is None else f", {error.kind.value.replace('_', ' ')}"
        return bad, CellText(f"down{since}{why}", Tone.BAD)
    if session.me is None:
        return CellText(fmt.UNKNOWN, Tone.DIM), CellText(f"no answer yet{left}", Tone.DIM)
    return CellText(signs.glyph("run"), Tone.GOOD), CellText(session.me.role + left, Tone.PLAIN)
