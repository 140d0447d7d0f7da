"""Who looks, what they may do, and what was done."""

from gqm_tui.core.model.base import Model


class Me(Model, frozen=True, kw_only=True):
    """Who asks, and what they may do."""

    username: str
    role: str
    auth: str
    """``session``, ``key``, ``anonymous`` or ``external``."""
    expires_at: int | None = None

    @property
    def is_admin(self) -> bool:
        """Whether changing something is allowed."""
        return self.role == "admin"


class AuditEntry(Model, frozen=True, kw_only=True):
    """One action, and how it went."""

    id: str
    ts: float
    actor: str
    role: str
    source: str
    address: str
    action: str
    target: str
    count: int
    before: str
    after: str
    ok: bool
    code: str | None = None
    request_id: str = ""
