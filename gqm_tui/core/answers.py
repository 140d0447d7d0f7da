"""The answers of calls that change something; each can also be read from an answer without a body."""

from collections.abc import Mapping

from gqm_tui.core.model import Model


class LoggedIn(Model, frozen=True, kw_only=True):
    """A new session."""

    username: str = ""
    role: str = ""
    expires_at: int | None = None


class LoggedOut(Model, frozen=True, kw_only=True):
    """The session has ended."""

    logged_out: bool = True


class Switched(Model, frozen=True, kw_only=True):
    """A queue was paused or resumed."""

    queue: str = ""
    status: str = ""
    changed: bool = True


class QueueDone(Model, frozen=True, kw_only=True):
    """An action on a whole queue, or its dry run; of the counts only the one that fits is above 0."""

    queue: str = ""
    dry_run: bool = False
    matched: int = 0
    removed: int = 0
    retried: int = 0
    cleared: int = 0
    remaining: int = 0
    """Jobs that there was no time for: call again."""

    @property
    def done(self) -> int:
        """How many jobs it changed."""
        return self.removed + self.retried + self.cleared


class JobDone(Model, frozen=True, kw_only=True):
    """One job was retried, canceled or deleted."""

    job_id: str = ""
    status: str = ""
    """State afterwards; empty for a deleted one."""
    was: str = ""
    signalled: bool = False
    """Whether its handler is told to stop."""
    cascaded: int = 0
    released: int = 0
    deleted: bool = False


class CronDone(Model, frozen=True, kw_only=True):
    """A cron entry was triggered, switched or deleted."""

    cron_id: str = ""
    job_id: str = ""
    enabled: bool | None = None
    changed: bool = True
    next_run: int | None = None
    deleted: bool = False


class BatchItem(Model, frozen=True, kw_only=True):
    """How it went for one job of many."""

    job_id: str
    ok: bool
    status: str | None = None
    code: str | None = None
    error: str | None = None


class BatchAnswer(Model, frozen=True, kw_only=True):
    """How an action on many jobs went."""

    succeeded: int = 0
    failed: int = 0
    results: tuple[BatchItem, ...] = ()
    next: str | None = None
    """By filter: the ``cursor`` of the next call; ``None`` at the end."""


class DryRun(Model, frozen=True, kw_only=True):
    """What an action on many jobs would meet."""

    dry_run: bool = True
    matched: int
    eligible: int
    skipped: Mapping[str, int]
    """Refusals by code."""
    sample: tuple[str, ...]
    truncated: bool
    """The numbers are lower bounds."""
    as_of: float
    """As ``until`` of the filter it keeps the action to the jobs that were met."""
