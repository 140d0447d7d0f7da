"""Texts to look at line by line: JSON with its hidden values, tracebacks, and lists made of words."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import msgspec

from gqm_tui.core.redact import HIDDEN, mask_json
from gqm_tui.core.table import Tone
from gqm_tui.core.text import escape_json, safe

Span: TypeAlias = tuple[str, Tone]
"""A piece of a line as the server sent it, not yet safe to show, and what it means."""

FOLD_CHARS = 4_096
"""A longer line is folded into several rows, so that none is expensive to draw."""
TAB = 4
_MASK = f'"{HIDDEN}"'
_MEMBER = re.compile(r'( *)"([^"\\]*(?:\\.[^"\\]*)*)": ')


class Doc:
    """Lines of spans. Two docs with the same `key` show the same."""

    numbered = False

    def __init__(self, lines: Sequence[Sequence[Span]], key: object = None) -> None:
        self._lines = lines
        self.key = ("lines", tuple(map(tuple, lines))) if key is None else key

    def __len__(self) -> int:
        return len(self._lines)

    def spans(self, index: int) -> Sequence[Span]:
        """The pieces of a line."""
        return self._lines[index]

    def line(self, index: int) -> str:
        """A line as it was sent."""
        return "".join(text for text, _ in self.spans(index))

    @property
    def text(self) -> str:
        """All of it for the clipboard, a pager or a file: nothing in it can steer a terminal."""
        return "".join(f"{clean(self.line(index)).rstrip()}\n" for index in range(len(self)))


class JsonDoc(Doc):
    """JSON, indented; values of keys that shall stay secret are hidden until `reveal`.

    Numbers keep every digit, since they are never read as numbers. `hidden` counts what is not shown.
    """

    numbered = True

    def __init__(self, raw: bytes, redact: Sequence[str] = (), *, reveal: bool = False) -> None:
        self._text, self.hidden = pretty(raw), 0
        if redact and not reveal:
            self._text, self.hidden = _masked(self._text, redact)
        self._rows = self._text.split("\n")
        self._first_hidden = -1
        if self.hidden:
            self._first_hidden = next(at for at, row in enumerate(self._rows) if _MASK in row)
        self._raw, self._reveal = raw, reveal
        super().__init__((), ("json", raw, tuple(redact), reveal))

    def shows(self, raw: bytes, *, reveal: bool) -> bool:
        """Whether this is the doc of some JSON, hidden or revealed."""
        return reveal == self._reveal and raw == self._raw

    def __len__(self) -> int:
        return len(self._rows)

    def line(self, index: int) -> str:
        """A line of the indented text."""
        return self._rows[index]

    def spans(self, index: int) -> Sequence[Span]:
        """Key, colon, value and comma of a line; the first hidden value says how to see it."""
        spans = _json_spans(self._rows[index])
        return (*spans, ("   (m Reveal)", Tone.DIM)) if index == self._first_hidden else spans

    @property
    def text(self) -> str:
        """The shown JSON with what a terminal would obey or hide escaped."""
        return escape_json(self._text) + "\n"


def pretty(raw: bytes) -> str:
    """Indent JSON; what is none comes back as it is."""
    try:
        return msgspec.json.format(raw, indent=2).decode("utf-8", "replace")
    except msgspec.DecodeError:
        return raw.decode("utf-8", "replace")


def _masked(text: str, keys: Sequence[str]) -> tuple[str, int]:
    folded = text.casefold()
    # A key can be written in escapes, so only a text without any is passed over quickly.
    if "\\" not in text and not any(key.casefold() in folded for key in keys):
        return text, 0
    return mask_json(text, keys)


@lru_cache(maxsize=512)
def _json_spans(line: str) -> tuple[Span, ...]:
    found = _MEMBER.match(line)
    spans: list[Span] = []
    if found is None:
        value = line.lstrip(" ")
        spans.append((line[: len(line) - len(value)], Tone.PLAIN))
    else:
        spans += [
            (found[1], Tone.PLAIN),
            (f'"{found[2]}"', Tone.ACTIVE),
            (": ", Tone.DIM),
        ]
        value = line[found.end() :]
    comma = "," if value.endswith(",") else ""
    value = value[: len(value) - len(comma)]
    spans += [(value, _value_tone(value)), (comma, Tone.DIM)]
    return tuple(span for span in spans if span[0])


def _value_tone(value: str) -> Tone:
    if value == _MASK:
        return Tone.WARN
    first = value[:1]
    if first == '"':
        return Tone.PLAIN
    return Tone.DIM if first in "{}[]" else Tone.PLANNED


def clean(text: str) -> str:
    """Make a line safe to show; tabs become spaces."""
    return safe(text.expandtabs(TAB) if "\t" in text else text)


def plain(text: str, tone: Tone = Tone.PLAIN) -> Doc:
    """Make a doc of a text as it stands, without an empty last line."""
    return Doc([[(line, tone)] for line in _split(text)])


def traceback_doc(text: str) -> Doc:
    """Make a doc of a traceback: its frames quiet, the error itself loud."""
    out: list[list[Span]] = []
    for line in _split(text):
        inner = line.startswith((" ", "\t"))
        frame = line.lstrip().startswith("File ")
        is_error = not inner and line != "" and not line.endswith(":")
        tone = Tone.BAD if is_error else Tone.PLAIN if inner and not frame else Tone.DIM
        out.append([(line, tone)])
    return Doc(out)


def _split(text: str) -> list[str]:
    return text.replace("\r\n", "\n").rstrip("\n").split("\n")
