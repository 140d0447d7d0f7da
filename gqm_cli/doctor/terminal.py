"""Checks of the terminal: is it large, colourful and exact enough for the terminal UI."""

from __future__ import annotations

import os
import re
import select
import shutil
import sys
import time
from collections.abc import Iterator, Mapping

from gqm_cli.doctor.checks import Check, ok, skip, warn

LEAST_SIZE = (60, 15)
GOOD_SIZE = (100, 30)
GLYPHS = "✓►▰"
ANSWER_S = 1.0
"""How long a terminal has to say where its cursor is; over slow lines it takes a while."""
_POSITION = re.compile(rb"\x1b\[(\d+);(\d+)R")
_COPIERS = ("pbcopy", "wl-copy", "xclip", "xsel", "clip.exe")


def check_terminal(environ: Mapping[str, str], *, ask: bool = True) -> Iterator[Check]:
    """Check the terminal that the command runs on, if it does; ``ask`` allows to draw on it for a moment."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield skip("terminal.size", "this is not a terminal")
        return
    yield size_check(*os.get_terminal_size(sys.stdout.fileno()))
    yield colour_check(environ)
    yield encoding_check(sys.stdout.encoding)
    yield width_check(measure(GLYPHS) if ask else None)
    yield clipboard_check(environ, next((name for name in _COPIERS if shutil.which(name)), ""))


def size_check(columns: int, rows: int) -> Check:
    """Check the size in characters."""
    if not columns or not rows:
        return skip("terminal.size", "the terminal does not say how large it is")
    shown = f"{columns}x{rows} characters"
    if columns < LEAST_SIZE[0] or rows < LEAST_SIZE[1]:
        return warn("terminal.size", f"{shown} is too small for gqm tui", "enlarge it to 60x15 at least")
    if columns < GOOD_SIZE[0] or rows < GOOD_SIZE[1]:
        return ok("terminal.size", f"{shown}; gqm tui shows fewer columns below 100x30")
    return ok("terminal.size", shown)


def colour_check(environ: Mapping[str, str]) -> Check:
    """Check how many colours the terminal says it has."""
    term = environ.get("TERM", "")
    if environ.get("NO_COLOR"):
        return ok("terminal.colours", "NO_COLOR is set, so everything is monochrome")
    if term in ("", "dumb"):
        text = f"TERM is {term or 'not set'}, so there are no colours and no full screen"
        return warn("terminal.colours", text, "set TERM to what the terminal is, such as xterm-256color")
    if environ.get("COLORTERM") in ("truecolor", "24bit") or "direct" in term:
        return ok("terminal.colours", f"16 million colours, TERM is {term}")
    if "256" in term:
        return ok("terminal.colours", f"256 colours, TERM is {term}; COLORTERM=truecolor allows more")
    return warn(
        "terminal.colours", f"TERM {term} has few colours", "set TERM=xterm-256color if it can do that"
    )


def encoding_check(encoding: str | None) -> Check:
    """Check that text is UTF-8."""
    if (encoding or "").lower().replace("-", "") == "utf8":
        return ok("terminal.utf8", "text is UTF-8")
    fix = "set LANG to a locale with UTF-8, such as C.UTF-8"
    return warn("terminal.utf8", f"text is {encoding or 'unknown'}, not UTF-8", fix)


def width_check(columns: int | None) -> Check:
    """Check how wide the signs of the terminal UI are drawn."""
    shown = " ".join(GLYPHS)
    if columns is None:
        return skip("terminal.width", "the terminal does not say where its cursor is")
    if columns == len(GLYPHS):
        return ok("terminal.width", f"{shown} are one column wide each")
    text = f"{shown} take {columns} columns instead of {len(GLYPHS)}, tables will not align"
    return warn(
        "terminal.width", text, 'draw ambiguous characters narrow, or set glyphs = "ascii" in tui.toml'
    )


def clipboard_check(environ: Mapping[str, str], copier: str) -> Check:
    """Check by which way text gets to the clipboard."""
    if environ.get("TERM_PROGRAM") == "Apple_Terminal" and not copier:
        text = "this terminal takes no clipboard text from programs"
        return warn("terminal.clipboard", text, "install a copy program, or use another terminal")
    if environ.get("TMUX"):
        return ok(
            "terminal.clipboard", "copying goes by OSC 52 through tmux, which needs: set -g set-clipboard on"
        )
    beside = f"and {copier} is there too" if copier else "if the terminal allows it"
    return ok("terminal.clipboard", f"copying goes by OSC 52, {beside}")


def measure(text: str) -> int | None:
    """Return how many columns a text takes: write it, ask where the cursor is, and wipe it out again."""
    import termios
    import tty

    keys = sys.stdin.fileno()
    try:
        before = termios.tcgetattr(keys)
    except termios.error:
        return None
    try:
        tty.setcbreak(keys)
        sys.stdout.write(f"\r{text}\x1b[6n")
        sys.stdout.flush()
        answer = _answer(keys)
        sys.stdout.write("\r\x1b[K")
        sys.stdout.flush()
    except (OSError, UnicodeEncodeError):
        return None
    finally:
        termios.tcsetattr(keys, termios.TCSAFLUSH, before)
    match = _POSITION.search(answer)
    return int(match[2]) - 1 if match else None


def _answer(keys: int) -> bytes:
    """Read what the terminal says, for a short while."""
    until = time.monotonic() + ANSWER_S
    got = b""
    while (left := until - time.monotonic()) > 0 and not _POSITION.search(got):
        if select.select([keys], [], [], left)[0]:
            chunk = os.read(keys, 64)
            if not chunk:
                break
            got += chunk
    return got
