"""Changing a YAML text in places: every byte that is not part of the change stays as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gqm.config.marks import Marked, NotEditable, mark
from gqm_cli.yaml_style import ITEM_STEP, Style, Value, block_lines, in_flow, nested, style_of

__all__ = ["Change", "EditRefused", "Editor"]

_NULLS = ("", "~", "null", "Null", "NULL")
_COMMENTED_OUT = re.compile(r"#\s*-\s+\w+:")
_BLANKS = " \t"


class EditRefused(Exception):
    """The text cannot be changed as asked: what ``subject``, at ``line`` and ``column`` from 1, is."""

    def __init__(self, subject: str, text: str, node: Marked) -> None:
        super().__init__(text)
        self.subject = subject
        self.line = node.line
        self.column = node.column


class Change(NamedTuple):
    """One replacement: the text between two offsets became another. Changes follow one upon the other."""

    start: int
    end: int
    new: str


class Editor:
    """A YAML text while it is changed; ``text`` is always what it has become.

    A path names keys from the root on. On the way to a change no anchor, alias or merge key may stand: it
    would change something elsewhere, or stand for it. Methods raise `EditRefused`, and change nothing then.
    """

    def __init__(self, text: str) -> None:
        """Read a text with one mapping, or nothing. Raises `NotEditable` if it is not YAML."""
        self.changes: list[Change] = []
        self.text = text
        self._root = mark(text)

    # ------------------------------------------------------------------------------- looking up

    def find(self, *path: str) -> Marked | None:
        """Return the node at a path; ``None`` if a key on it is missing or null."""
        node, name = self._root, ""
        for key in path:
            if node is None:
                return None
            pair = self.pair(node, key, name)
            node, name = (pair[1] if pair and not _is_null(pair[1]) else None), key
        return node

    def pair(self, mapping: Marked, key: str, name: str = "") -> tuple[Marked, Marked] | None:
        """Return key and value of a mapping that will be changed, ``None`` if it lacks the key.

        ``name`` is what the mapping is called in a refusal.
        """
        subject = f'"{name}"' if name else "the top level"
        _check_free(mapping, subject)
        if mapping.kind != "mapping":
            raise EditRefused(subject, f"is a {mapping.kind}, not a mapping", mapping)
        merge = next((node for node, _ in mapping.pairs if node.plain and node.value == "<<"), None)
        if merge is not None:
            raise EditRefused(subject, "has a merge key (<<); edit it by hand", merge)
        return next(
            (pair for pair in mapping.pairs if pair[0].kind == "scalar" and pair[0].value == key), None
        )

    def list_items(self, *path: str) -> list[Marked]:
        """Return the items of a list, none if it is missing, null or empty; an alias stands for itself."""
        node = self.find(*path)
        if node is None or (node.kind == "mapping" and node.flow and not node.items):
            return []
        _check_free(node, f'"{path[-1]}"')
        if node.kind != "list":
            raise EditRefused(f'"{path[-1]}"', f"is a {node.kind}, not a list", node)
        return node.items

    # --------------------------------------------------------------------------------- changing

    def put(self, path: Sequence[str], value: Value) -> None:
        """Give a key its value: a scalar is replaced, a missing or null key filled, sections are added."""
        node, name = self._root, ""
        for index, key in enumerate(path):
            rest = path[index + 1 :]
            if node is None:
                self._put_lines(len(self.text), block_lines(nested(path, value), 0, self._style()))
                return
            pair = self.pair(node, key, name)
            if pair is None:
                self._add_key(node, nested(path[index:], value))
                return
            if not rest or _is_null(pair[1]):
                self._fill(node, pair, nested(rest, value) if rest else value)
                return
            node, name = pair[1], key

    def set_in(self, item: Marked, key: str, value: bool | str) -> None:
        """Give a key of a list's item its value."""
        pair = self.pair(item, key, "item")
        if pair is None:
            self._add_key(item, {key: value})
        else:
            self._fill(item, pair, value)

    def rename_in(self, item: Marked, key: str, new: str, value: bool | str) -> None:
        """Replace a key of a list's item and its value by others, on the same line."""
        pair = self.pair(item, key, "item")
        if pair is None:
            raise KeyError(key)
        _check_free(pair[1], f'"{key}"')
        self._splice(pair[0].start, self._end_of(pair[1], pair[0]), f"{new}: {in_flow(value)}")

    def append(self, path: Sequence[str], item: Mapping[str, Value]) -> None:
        """Add an item at the end of a list; the list is made if it is missing, null or empty."""
        items = self.list_items(*path)
        node = self.find(*path)
        if not items or node is None:
            self.put(path, [item])
        elif node.flow:
            self._append_in_flow(items[-1].start, items[-1].end, in_flow(item))
        else:
            self._append_in_block(node, item)

    def remove(self, path: Sequence[str], index: int) -> None:
        """Remove an item of a list with the comments that are its own; an empty list is written ``[]``."""
        items = self.list_items(*path)
        node, parent = self.find(*path), self.find(*path[:-1])
        pair = self.pair(parent, path[-1]) if parent else None
        if node is None or pair is None:
            raise IndexError(index)
        if node.flow:
            self._remove_in_flow(node, index)
            return
        start, end = self._item_lines(node, index)
        self._splice(start, end, "")
        if len(items) == 1:
            colon = self._colon(pair[0])
            self._splice(colon, colon, " []")

    # -------------------------------------------------------------------------------- lists

    def _append_in_flow(self, start: int, end: int, new: str) -> None:
        """Add something behind the last part of a list or mapping on one line, or over lines in brackets."""
        indent = self.text[_line_start(self.text, start) : start]
        behind = self.text[end : _line_end(self.text, end)].strip()
        alone = not indent.strip() and behind in ("", ",")
        between = f",{self._newline(end)}{indent}" if alone else ", "
        self._splice(end, end, f"{between}{new}")

    def _append_in_block(self, node: Marked, item: Mapping[str, Value]) -> None:
        last, dash = node.items[-1], node.column - 1
        inner = last.column - 1 if last.kind == "mapping" and not last.flow else dash + ITEM_STEP
        first, *others = block_lines(item, inner, self._style())
        lines = [f"{'':{dash}}-{first[dash + 1 :]}", *others]
        self._put_lines(self._past_comments(self._below(last.end), dash), lines)

    def _remove_in_flow(self, node: Marked, index: int) -> None:
        items = node.items
        if len(items) == 1:
            self._splice(items[0].start, node.end - 1, "")
        elif index + 1 < len(items):
            self._splice(items[index].start, items[index + 1].start, "")
        else:
            self._splice(items[index - 1].end, items[index].end, "")

    def _item_lines(self, node: Marked, index: int) -> tuple[int, int]:
        """Return the span of whole lines of an item of a block list, with its own comments."""
        column = node.column - 1
        start = self._own_comments_above(_line_start(self.text, self._dash(node, index)), column)
        end = self._below(node.items[index].end)
        return start, self._past_comments(end, column)

    def _past_comments(self, place: int, column: int) -> int:
        """Return the end of the comments on lines of their own deeper than a column: they belong above."""
        while place < len(self.text):
            line = self.text[place : _line_end(self.text, place)]
            comment = line.lstrip(_BLANKS)
            if not comment.startswith("#") or len(line) - len(comment) <= column:
                break
            place = _after_line(self.text, place)
        return place

    def _dash(self, node: Marked, index: int) -> int:
        """Return the offset of an item's dash."""
        if index == 0:
            return node.start
        place, column = self._below(node.items[index - 1].end), node.column - 1
        while self.text[place : place + column].strip(_BLANKS) or self.text[place + column] != "-":
            place = _after_line(self.text, place)
        return place + column

    def _own_comments_above(self, start: int, column: int) -> int:
        """Return where the comment right above an item begins; what is commented out is no comment on it."""
        text, found, place = self.text, start, start
        while place > 0:
            place = _line_start(text, place - 1)
            line = text[place : _line_end(text, place)]
            comment = line.lstrip(_BLANKS)
            if not comment.startswith("#") or len(line) - len(comment) != column:
                break
            if _COMMENTED_OUT.match(comment):
                return start
            found = place
        return found

    # ----------------------------------------------------------------------------- mappings

    def _fill(self, mapping: Marked, pair: tuple[Marked, Marked], value: Value) -> None:
        """Replace a scalar, or put a value where nothing stands: null, an empty list or an empty mapping."""
        key, old = pair
        _check_free(old, f'"{key.value}"')
        simple = isinstance(value, bool | str)
        if old.items or (old.kind == "scalar" and not simple and not _is_null(old)):
            raise EditRefused(f'"{key.value}"', f"is a {old.kind}, which is not expected there", old)
        if simple or mapping.flow:
            self._replace(pair, in_flow(value))
            return
        style = self._style()
        further = style.step if isinstance(value, Mapping) else style.dash
        lines = block_lines(value, key.column - 1 + further, style)
        place = self._below(old.end)
        if old.end > old.start:
            start = max(self._colon(key), len(self.text[: old.start].rstrip(_BLANKS)))
            self._splice(start, old.end, "")
            place -= old.end - start
        self._put_lines(place, lines)

    def _replace(self, pair: tuple[Marked, Marked], new: str) -> None:
        key, old = pair
        if old.end > old.start:
            self._splice(old.start, self._end_of(old, key), new)
        elif ":" in self.text[key.end : old.start]:
            self._splice(old.start, old.start, f" {new}")
        else:  # a key alone in a flow mapping
            self._splice(key.end, key.end, f": {new}")

    def _add_key(self, mapping: Marked, content: Mapping[str, Value]) -> None:
        if mapping.flow and mapping.items:
            key, value = mapping.pairs[-1]
            self._append_in_flow(key.start, max(key.end, value.end), in_flow(content)[1:-1])
        elif mapping.flow:
            self._splice(mapping.end - 1, mapping.end - 1, in_flow(content)[1:-1])
        else:
            lines = block_lines(content, mapping.column - 1, self._style())
            below = self._past_comments(self._below(mapping.end), mapping.column - 1)
            self._put_lines(len(self.text) if mapping is self._root else below, lines)

    # -------------------------------------------------------------------------------- the text

    def _splice(self, start: int, end: int, new: str) -> None:
        self.changes.append(Change(start, end, new))
        self.text = self.text[:start] + new + self.text[end:]
        try:
            self._root = mark(self.text)
        except NotEditable:
            self._root = None  # whether the result is good is judged when the change is complete

    def _put_lines(self, place: int, lines: Sequence[str]) -> None:
        newline = self._newline(place)
        before = "" if place == 0 or self.text[place - 1] in "\n\ufeff" else newline
        self._splice(place, place, before + "".join(f"{line}{newline}" for line in lines))

    def _newline(self, place: int) -> str:
        """Return the line end of the line before a place, else of the first line."""
        end = self.text.rfind("\n", 0, place)
        if end < 0:
            end = self.text.find("\n")
        return "\r\n" if end > 0 and self.text[end - 1] == "\r" else "\n"

    def _below(self, end: int) -> int:
        """Return where the line below the end of a node begins."""
        ended = end > 0 and self.text[end - 1] == "\n"  # a block scalar ends behind its last line
        return end if ended else _after_line(self.text, end)

    def _colon(self, key: Marked) -> int:
        """Return the offset behind the colon of a key."""
        return self.text.index(":", key.end) + 1

    def _end_of(self, node: Marked, key: Marked) -> int:
        """Return where a value ends, without a block scalar's line ends; an empty one ends with its key."""
        if node.block_scalar:
            return node.start + len(self.text[node.start : node.end].rstrip())
        return max(node.end, key.end)

    def _style(self) -> Style:
        return style_of(self._root)


def _is_null(node: Marked) -> bool:
    return node.kind == "scalar" and node.plain and not node.anchor and node.value in _NULLS


def _check_free(node: Marked, subject: str) -> None:
    """Raise `EditRefused` for an alias, and for what an alias elsewhere stands for."""
    if node.kind == "alias":
        raise EditRefused(subject, f"is an alias (*{node.value}); edit the anchor by hand", node)
    if node.anchor:
        raise EditRefused(
            subject, f"has an anchor (&{node.anchor}) that is used elsewhere; edit it by hand", node
        )


def _line_start(text: str, place: int) -> int:
    return text.rfind("\n", 0, place) + 1


def _line_end(text: str, place: int) -> int:
    """Return the end of a line, before its line end."""
    end = text.find("\n", place)
    end = len(text) if end < 0 else end
    return end - 1 if end > place and text[end - 1] == "\r" else end


def _after_line(text: str, place: int) -> int:
    """Return the start of the next line."""
    end = text.find("\n", place)
    return len(text) if end < 0 else end + 1
