"""YAML text to nodes that know their exact place in it, so that a file can be changed and nothing around."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

import yaml

__all__ = ["Kind", "Marked", "NotEditable", "mark"]

Kind: TypeAlias = Literal["scalar", "list", "mapping", "alias"]

_BOM = "\ufeff"


class NotEditable(ValueError):
    """The text is nothing that can be changed in places; ``line`` and ``column`` (from 1) say where."""

    def __init__(self, text: str, line: int, column: int) -> None:
        super().__init__(text)
        self.line = line
        self.column = column


@dataclass(slots=True)
class Marked:
    """A node and where it stands: ``text[start:end]`` is it, with anchor and tag but without comments.

    A block collection ends with its last node. ``line`` and ``column`` count from 1. ``value`` is the content
    of a scalar, or the name of the anchor that an alias stands for; ``plain``: a scalar without quotes.
    """

    kind: Kind
    start: int
    end: int
    line: int
    column: int
    flow: bool = False
    plain: bool = False
    block_scalar: bool = False
    value: str = ""
    anchor: str = ""
    items: list[Marked] = field(default_factory=list)
    """Items of a list; of a mapping, keys and values in turn."""

    @property
    def pairs(self) -> list[tuple[Marked, Marked]]:
        """Keys and values of a mapping."""
        return list(zip(self.items[::2], self.items[1::2], strict=True))


def mark(text: str) -> Marked | None:
    """Return the root of the one document in a text; ``None`` if there is nothing but comments.

    Raises `NotEditable` for text that is not YAML, or has a second document.
    """
    shift = len(_BOM) if text.startswith(_BOM) else 0
    builder = _Builder(shift)
    # The pure Python scanner counts characters; it is slower than the C library, and files are small.
    try:
        for event in yaml.parse(text[shift:], Loader=yaml.SafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as exc:
        place = exc.problem_mark or exc.context_mark
        line, column = (place.line + 1, place.column + 1) if place else (1, 1)
        raise NotEditable(f"not valid YAML: {exc.problem or exc}", line, column) from None
    except yaml.YAMLError as exc:
        raise NotEditable(f"not valid YAML: {exc}", 1, 1) from None
    return builder.root


class _Mark(Protocol):
    """A position of the YAML library; everything counts from 0."""

    index: int
    line: int
    column: int


def _known(mark: _Mark | None) -> _Mark:
    assert mark is not None, "the parser gives every event its place"
    return mark


class _Builder:
    """Puts events together to nodes."""

    def __init__(self, shift: int) -> None:
        self.root: Marked | None = None
        self._shift = shift
        self._open: list[Marked] = []
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                place = _known(event.start_mark)
                raise NotEditable("only one document is allowed", place.line + 1, place.column + 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            node = self._node("mapping" if isinstance(event, yaml.MappingStartEvent) else "list", event)
            node.flow, node.anchor = bool(event.flow_style), event.anchor or ""
            self._open.append(node)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close(event)
        elif isinstance(event, yaml.AliasEvent):
            node = self._node("alias", event)
            node.value = event.anchor or ""
            self._put(node)
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event)

    def _node(self, kind: Kind, event: yaml.NodeEvent) -> Marked:
        start, end = _known(event.start_mark), _known(event.end_mark)
        return Marked(
            kind, start.index + self._shift, end.index + self._shift, start.line + 1, start.column + 1
        )

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        node = self._node("scalar", event)
        node.value, node.anchor = event.value, event.anchor or ""
        node.plain, node.block_scalar = not event.style, event.style in ("|", ">")
        if self._open or node.start != node.end:  # nothing but comments is an empty scalar too
            self._put(node)

    def _close(self, event: yaml.CollectionEndEvent) -> None:
        node = self._open.pop()
        if node.flow:
            node.end = _known(event.end_mark).index + self._shift
        else:
            # The event comes behind blank lines and comments, where the next thing begins.
            node.end = max((item.end for item in node.items), default=node.end)
        self._put(node)

    def _put(self, node: Marked) -> None:
        if self._open:
            self._open[-1].items.append(node)
        else:
            self.root = node
