"""What commands print: results on stdout, notes on stderr, colour only where somebody looks at a terminal."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Sequence
from typing import TextIO

_UNSAFE = re.compile(r"[^\x20-\x7e]")

BOLD, RED, YELLOW, GREEN = "1", "31", "33", "32"


def printable(text: str) -> str:
    r"""Escape what a terminal would act on: controls and marks of direction become ``\xNN``, ``\uNNNN``."""
    if text.isprintable():
        return text
    from gqm.config.problems import printable as escaped

    return escaped(text)


def has_colour(stream: TextIO) -> bool:
    """Whether a stream takes colour: a terminal that is not ``dumb``, and ``NO_COLOR`` is unset or empty."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def styled(text: str, style: str, stream: TextIO) -> str:
    """Return text in a style for a stream; as it is where there is no colour."""
    return f"\x1b[{style}m{text}\x1b[0m" if has_colour(stream) else text


def say(text: str) -> None:
    """Print a line of the result."""
    sys.stdout.write(f"{text}\n")


def say_json(document: object) -> None:
    """Print the one JSON document of a command."""
    say(json_line(document))


def say_encoded(document: object) -> None:
    """Print the one JSON document of a command that holds values of GQM; stored JSON keeps all its digits."""
    import msgspec

    compact = msgspec.json.format(msgspec.json.encode(document), indent=-1)
    say(_UNSAFE.sub(_escape, compact.decode()))


def json_line(document: object) -> str:
    r"""Return a document as one line of JSON, with ``\u`` escapes for what a terminal would act on."""
    return _UNSAFE.sub(_escape, json.dumps(document, ensure_ascii=False))


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    # json.dumps knows how to write a character beyond the first 65,536 as two escapes.
    return char if char.isprintable() else json.dumps(char)[1:-1]


def note(text: str = "") -> None:
    """Print a line beside the result, on stderr."""
    sys.stderr.write(f"{text}\n")


def warn(text: str) -> None:
    """Print a warning on stderr."""
    note(f"{styled('warning:', YELLOW, sys.stderr)} {text}")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[str] = ()) -> None:
    """Print rows under a head in aligned columns, two spaces apart; nothing is wrapped, cut or boxed.

    ``numbers`` names the columns that are aligned to the right.
    """
    lines = [[printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for index, line in enumerate(lines):
        cells = [
            cell.rjust(width) if name in numbers else cell.ljust(width)
            for name, cell, width in zip(head, line, widths, strict=True)
        ]
        padded = "  ".join(cells).rstrip()
        say(padded if index else styled(padded, BOLD, sys.stdout))


def counted(number: int, what: str) -> str:
    """Return a number of things: ``1 job``, ``1,204 jobs``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def clock(seconds: float | None) -> str:
    """Return a time (unix seconds) in the zone of this machine; ``-`` for none."""
    return "-" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
