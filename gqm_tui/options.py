"""What a start of the terminal UI is told by flags, before any file or variable is looked at."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The flags of one start; None means the flag was not given, and the next source decides."""

    api_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    """A key as text; kept out of every repr."""
    api_key_file: Path | None = None
    context: str | None = None
    """Name of a context of the configuration file."""
    interval: float | None = None
    """Seconds between two polls."""
    tab: str | None = None
    theme: str | None = None
    read_only: bool = False
    """Lock every context against writes."""
    tui_config: Path | None = None
    state_file: Path | None = None
    """Where the choices of this run are kept; None means the user's own file."""
