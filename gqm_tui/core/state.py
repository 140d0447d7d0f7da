"""What the terminal UI remembers from one run to the next, in one small private file."""

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from gqm_tui.core.text import safe

_MOST_BYTES = 1 << 20


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The choices of the last run; None and empty mean that nothing was chosen yet."""

    theme: str | None = None
    interval: Annotated[float, Meta(ge=0.5, le=3_600)] | None = None
    """Seconds between two polls."""
    context: str | None = None
    tab: str | None = None
    sort: dict[str, tuple[str, bool]] = {}
    """By table: the column it is sorted by, and whether the largest comes first."""
    columns: dict[str, tuple[str, ...]] = {}
    """By table: the columns that are shown, in their order."""
    palette: tuple[str, ...] = ()
    """What was last taken in the palette, newest first."""
    views: msgspec.Raw = msgspec.Raw(b"{}")
    """Saved views by name, not yet read, so that damaged ones are kept as they are."""


def state_path(env: Mapping[str, str] | None = None) -> Path:
    """Return the path of the state file."""
    base = (os.environ if env is None else env).get("XDG_STATE_HOME") or ""
    # The XDG rules ask to ignore a relative folder.
    folder = Path(base) if base.startswith("/") else Path("~/.local/state").expanduser()
    return folder / "gqm" / "tui.json"


def write_private(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file that only its owner may read, so that a reader finds the old content or the new one.

    `mode` may open it to others. Raises OSError; the old file is as it was then, and no other file is left
    behind.
    """
    # The temporary file is made with mode 0600 and in the same folder, so that the rename is one step.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


class StateFile:
    """The state and its file. A file that cannot be used is told once; the program goes on without it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = State()
        self._told = False
        self._message: str | None = None
        self._load()

    def _load(self) -> None:
        try:
            with self.path.open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
            self.state = msgspec.json.decode(data, type=State)
        except FileNotFoundError:
            return
        except OSError as error:
            self._tell(f"cannot be read ({error.strerror}); starting from defaults")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._tell("is damaged; starting from defaults")

    def _tell(self, what: str) -> None:
        if not self._told:
            self._told = True
            self._message = f"{safe(str(self.path))} {what}"

    def take_message(self) -> str | None:
        """Return what is to be told about the file, once; then None."""
        message, self._message = self._message, None
        return message

    def save(self, state: State) -> None:
        """Keep a state, and write it if it is another one. A failure is left for `take_message`."""
        if state == self.state:
            return
        self.state = state
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self.path, msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
        except OSError as error:
            self._tell(f"cannot be written ({error.strerror}); choices are kept for this run only")
