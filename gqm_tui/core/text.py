"""The only way from server text to the terminal: control codes and hidden marks become visible signs."""

import unicodedata

from rich.cells import cell_len

MAX_CELLS = 512
MAX_COMBINING = 4
_PICTURES = 0x2400
_DELETE = 0x7F
_INVISIBLE = frozenset({"Cf", "Zl", "Zp"})
_MARKS = frozenset({"Mn", "Me"})


def _shown(char: str) -> str:
    """Give the harmless stand-in of one character, or the character itself."""
    code = ord(char)
    if code < 0x20:
        return chr(_PICTURES + code)
    if code == _DELETE:
        return "\u2421"
    category = unicodedata.category(char)
    if category in {"Cc", "Cs"}:
        return "\ufffd"
    if category in _INVISIBLE:
        return f"‹U+{code:04X}›"
    return char


def safe(text: str) -> str:
    """Return text with nothing a terminal would obey, hide or reorder.

    C0 controls and DEL become their control pictures, C1 controls and lone surrogates the replacement
    character, formatting and separator characters (bidirectional controls, zero-width characters) their code
    point in brackets. At most four combining marks stay on one base, since more run over the lines around it.
    """
    # Printable to Python means: no control, format, separator or surrogate character. Most text is.
    if text.isprintable() and (text.isascii() or _MARKS.isdisjoint(map(unicodedata.category, text))):
        return text
    out: list[str] = []
    marks = 0
    for char in text:
        # By category: enclosing marks, and many others, have no combining class and still take no room.
        if unicodedata.category(char) in _MARKS:
            marks += 1
            if marks > MAX_COMBINING:
                continue
        else:
            marks = 0
        out.append(_shown(char))
    return "".join(out)


def _head(text: str, cells: int) -> str:
    used = 0
    for index, char in enumerate(text):
        used += cell_len(char)
        if used > cells:
            return text[:index]
    return text


def fit(text: str, cells: int) -> str:
    """Return text made safe and cut to a width in terminal cells; a cut one ends in an ellipsis.

    Only the part that can show is looked at, so a huge text costs no more than a short one.
    """
    limit = min(cells, MAX_CELLS)
    if limit <= 0:
        return ""
    # A visible character brings at most four marks; anything past this bound can never be shown.
    clean = safe(text[: limit * (MAX_COMBINING + 1) + 1])
    if cell_len(clean) <= limit and len(text) <= limit * (MAX_COMBINING + 1) + 1:
        return clean
    return _head(clean, limit - 1) + "…"


def fit_middle(text: str, cells: int) -> str:
    """Return an id made safe and cut in its middle, since the head of a version 7 id is only a clock."""
    limit = min(cells, MAX_CELLS)
    clean = safe(text)
    if cell_len(clean) <= limit:
        return clean
    if limit <= 1:
        return "…"[:limit]
    head = (limit - 1) // 2
    tail = _head(clean[::-1], limit - 1 - head)[::-1]
    return f"{_head(clean, head)}…{tail}"


def escape_json(text: str) -> str:
    """Return JSON text in which every character that a terminal would obey or hide is written as an escape.

    It is the same JSON: such characters can stand inside strings only, but for line breaks and tabs between
    the values, which stay.
    """
    hidden = {char for char in set(text) - {"\n", "\t"} if _shown(char) != char}
    return text.translate({ord(char): _escape(char) for char in hidden}) if hidden else text


def _escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def csv_cell(text: str) -> str:
    """Return text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
