"""Whom the screen looks at, as whom, and whether it may change anything."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gqm_tui.core.config import ContextConfig
from gqm_tui.core.errors import ApiError
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

    @property
    def name(self) -> str:
        """The context's name."""
        return self.context.name

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
        found = []
        if self.context.production:
            found.append("PRODUCTION")
        if self.context.read_only:
            found.append("READ ONLY")
        if self.context.insecure:
            found.append("TLS NOT CHECKED")
        if self.client.insecure_transport:
            found.append("http!")
        return tuple(found)

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
