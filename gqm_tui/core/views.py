"""Keep a view under a name in the configuration file, without touching a byte of what stands there."""

import stat
import tomllib
from pathlib import Path

from gqm_tui.core.config import SavedView
from gqm_tui.core.state import write_private

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def toml_text(text: str) -> str:
    """Write a text as a TOML string on one line; what cannot be seen is escaped."""
    return '"' + "".join(_ESCAPES.get(char) or _escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def save_view(path: Path, view: SavedView) -> None:
    """Add a view at the end of the configuration file, which is made if it is not there.

    Raises ValueError with one sentence when the name is empty or taken, or the file cannot be added to, and
    OSError when it cannot be written. Nothing is changed then.
    """
    if not view.name.strip() or any(0xD800 <= ord(char) <= 0xDFFF for char in view.name + view.filter):
        raise ValueError("a view needs a name of visible characters")
    target = path.resolve()  # a link stays a link
    old = target.read_bytes() if target.exists() else b""
    lines = [f"[views.{toml_text(view.name)}]", f"tab = {toml_text(view.tab)}"]
    if view.filter:
        lines.append(f"filter = {toml_text(view.filter)}")
    end = b"\r\n" if b"\r\n" in old else b"\n"
    gap = b"" if not old else end if old.endswith(b"\n") else end * 2
    new = old + gap + end.join(line.encode() for line in lines) + end
    _check(old, new, view)
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o600
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(target, new, mode)


def _check(old: bytes, new: bytes, view: SavedView) -> None:
    """Make sure that the new text says what the old one did, and the view. Raises ValueError."""
    try:
        before = tomllib.loads(old.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise ValueError("the configuration file cannot be read any more; nothing was saved") from None
    views = before.get("views")
    if isinstance(views, dict) and view.name in views:
        raise ValueError(f'there is a view called "{view.name}" already')
    try:
        after = tomllib.loads(new.decode("utf-8-sig"))
    except tomllib.TOMLDecodeError:
        # Views that are written as one inline table cannot be added to from below.
        raise ValueError("views is no table that can be added to; write the view by hand") from None
    added = after["views"].pop(view.name)
    if not after["views"] and "views" not in before:
        del after["views"]
    if after != before or SavedView(view.name, added["tab"], added.get("filter", "")) != view:
        raise ValueError("the configuration file would change its meaning; nothing was saved")
