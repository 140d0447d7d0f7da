"""YAML text to a tree of nodes with places, within limits and without ever running deep or long.

The parser's events are put together here, not by PyYAML's own composer: that one recurses in C without a
limit, forgets where a key was given twice, and expands aliases without counting.
"""

from __future__ import annotations

import re
from typing import Protocol

import yaml

from gqm.config.problems import Level, Place, Problem, in_order, printable, shown
from gqm.config.tree import (
    MAX_DEPTH,
    Broken,
    Entry,
    Fields,
    Items,
    Node,
    Scalar,
    describe,
    item_path,
    key_path,
)

__all__ = ["MAX_NODES", "parse_yaml"]

MAX_NODES = 10_000
"""Most nodes after aliases were followed."""

_NOT_ALLOWED = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_CORE = "tag:yaml.org,2002:"
_SCALAR_TAGS = frozenset({"!", *(f"{_CORE}{name}" for name in ("str", "int", "float", "bool", "null"))})
_TEXT_TAGS = frozenset({"!", f"{_CORE}str"})
_LIST_TAGS = frozenset({"!", f"{_CORE}seq"})
_MAPPING_TAGS = frozenset({"!", f"{_CORE}map"})
_MERGE = "<<"


def parse_yaml(text: str, file: str) -> tuple[Node | None, tuple[Problem, ...]]:
    """Parse YAML text to a tree (``None``: no document) and what is wrong with it as YAML.

    After broken syntax or a passed limit there is no tree, and that one problem.
    """
    builder = _Builder(file)
    try:
        return _parse(text.removeprefix("\ufeff"), builder)
    except _Stop as stop:
        return None, (stop.problem,)


def _parse(text: str, builder: _Builder) -> tuple[Node | None, tuple[Problem, ...]]:
    bad = _NOT_ALLOWED.search(text)
    if bad:
        before = text[: bad.start()]
        line = before.count("\n") + 1
        place = Place(builder.file, line, bad.start() - before.rfind("\n"))
        raise _Stop("R3", place, f"not valid YAML: character {printable(bad.group())} is not allowed")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        while builder.take(loader.get_event()):
            pass
    except yaml.YAMLError as exc:
        raise _broken(exc, builder.file) from None
    finally:
        loader.dispose()
    return builder.root, in_order(builder.problems)


def _broken(exc: yaml.YAMLError, file: str) -> _Stop:
    mark = getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None)
    place = _place(file, mark)
    reason = getattr(exc, "problem", None) or getattr(exc, "reason", None) or str(exc)
    if "nesting depth" in reason:
        # Newer versions of the C library look further ahead than our limit, and have one of their own.
        return _Stop("R2", place, f"larger than {MAX_DEPTH} levels")
    return _Stop("R3", place, f"not valid YAML: {printable(reason)}")


def _place(file: str, mark: _Mark | None) -> Place:
    return Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)


class _Mark(Protocol):
    """A position of the YAML library; lines and columns count from 0."""

    line: int
    column: int


class _Stop(Exception):
    """The text cannot be read any further."""

    def __init__(self, rule: str, place: Place, text: str) -> None:
        super().__init__(text)
        self.problem = Problem(Level.ERROR, rule, place, "", text)


class _Frame:
    """A list or mapping that is not closed yet."""

    __slots__ = ("anchor", "bad", "count", "entries", "is_mapping", "items", "key", "merges", "path", "place")

    def __init__(self, place: Place, path: str, anchor: str | None, count: int, *, is_mapping: bool) -> None:
        self.place = place
        self.path = path
        self.anchor = anchor
        self.count = count  # nodes before this one
        self.is_mapping = is_mapping
        self.bad = False
        self.items: list[Node] = []
        self.entries: dict[str, Entry] = {}
        self.merges: list[Entry] = []
        self.key: Scalar | Broken | None = None

    def child_path(self) -> str:
        """The path of the node that comes next."""
        if not self.is_mapping:
            return item_path(self.path, len(self.items))
        return key_path(self.path, self.key.text) if isinstance(self.key, Scalar) else self.path


class _Builder:
    """Puts the nodes together, event by event."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._frames: list[_Frame] = []
        self._anchors: dict[str, tuple[Node, int] | None] = {}  # None: not closed yet
        self._count = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> bool:
        """Take the next event; return whether to go on."""
        place = _place(self.file, event.start_mark)
        match event:
            case yaml.ScalarEvent():
                self._scalar(event, place)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._open(event, place)
            case yaml.CollectionEndEvent():
                self._close()
            case yaml.AliasEvent():
                self._alias(event, place)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._add("R4", place, "", "only one document is allowed; a second starts here")
                    return False
        return not isinstance(event, yaml.StreamEndEvent)

    def _add(self, rule: str, place: Place, path: str, text: str) -> None:
        self.problems.append(Problem(Level.ERROR, rule, place, path, text))

    def _counted(self, place: Place, nodes: int = 1) -> int:
        """Count nodes and return the count before them."""
        before = self._count
        self._count += nodes
        if self._count > MAX_NODES:
            raise _Stop("R2", place, f"larger than {MAX_NODES} nodes")
        return before

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> None:
        before = self._counted(place)
        plain = event.implicit[0] if event.tag is None else event.tag not in _TEXT_TAGS
        node: Node = Scalar(event.value, place, plain)
        if event.tag is not None and event.tag not in _SCALAR_TAGS:
            node = self._bad_tag(event.tag, place)
        self._finish(node, event.anchor, before)

    def _open(self, event: yaml.CollectionStartEvent, place: Place) -> None:
        if len(self._frames) >= MAX_DEPTH:
            raise _Stop("R2", place, f"larger than {MAX_DEPTH} levels")
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        path = self._frames[-1].child_path() if self._frames else ""
        frame = _Frame(place, path, event.anchor, self._counted(place), is_mapping=is_mapping)
        if event.tag is not None and event.tag not in (_MAPPING_TAGS if is_mapping else _LIST_TAGS):
            self._bad_tag(event.tag, place)
            frame.bad = True
        if event.anchor:
            self._anchors[event.anchor] = None
        self._frames.append(frame)

    def _bad_tag(self, tag: str, place: Place) -> Broken:
        path = self._frames[-1].child_path() if self._frames else ""
        name = tag.replace(_CORE, "!!", 1)
        self._add("R3", place, path, f"not valid YAML: the tag {shown(name)} is not allowed")
        return Broken(place)

    def _close(self) -> None:
        frame = self._frames.pop()
        node: Node
        if frame.bad:
            node = Broken(frame.place)
        elif frame.is_mapping:
            node = self._merged(frame)
        else:
            node = Items(tuple(frame.items), frame.place)
        self._finish(node, frame.anchor, frame.count)

    def _alias(self, event: yaml.AliasEvent, place: Place) -> None:
        name = event.anchor or ""
        if name not in self._anchors:
            raise _Stop("R3", place, f"not valid YAML: there is no anchor &{shown(name)}")
        target = self._anchors[name]
        if target is None:
            raise _Stop("R3", place, f"not valid YAML: *{shown(name)} would contain itself")
        node, nodes = target
        self._counted(place, nodes)
        self._put(node, place)

    def _finish(self, node: Node, anchor: str | None, count_before: int) -> None:
        if anchor:
            self._anchors[anchor] = (node, self._count - count_before)
        self._put(node, node.place)

    def _put(self, node: Node, place: Place) -> None:
        """Put a complete node where it belongs; ``place`` is where it was used."""
        if not self._frames:
            self.root = node
            return
        frame = self._frames[-1]
        if not frame.is_mapping:
            frame.items.append(node)
        elif frame.key is None:
            frame.key = self._key(node, place, frame)
        else:
            self._entry(frame, frame.key, node)
            frame.key = None

    def _key(self, node: Node, place: Place, frame: _Frame) -> Scalar | Broken:
        if isinstance(node, Scalar):
            return Scalar(node.text, place, node.plain)
        if not isinstance(node, Broken):
            self._add("R9", place, frame.path, f"expected text as a key, got {describe(node)}")
        return Broken(place)

    def _entry(self, frame: _Frame, key: Scalar | Broken, node: Node) -> None:
        if isinstance(key, Broken):
            return
        if key.text == _MERGE and key.plain:
            frame.merges.append(Entry(key.place, node))
            first = frame.merges[0]
        else:
            first = frame.entries.setdefault(key.text, Entry(key.place, node))
        if first.place != key.place:
            path = key_path(frame.path, key.text)
            self._add("R6", key.place, path, f"key given twice; first on line {first.place.line}")

    def _merged(self, frame: _Frame) -> Fields:
        """Close a mapping: what ``<<`` names fills the keys that the mapping does not have itself."""
        path = key_path(frame.path, _MERGE)
        entries = frame.entries
        for merge in frame.merges:
            for source in merge.node.items if isinstance(merge.node, Items) else (merge.node,):
                if isinstance(source, Fields):
                    entries = {**source.entries, **entries}
                elif not isinstance(source, Broken):
                    self._add("R9", source.place, path, f"expected mapping, got {describe(source)}")
        return Fields(frame.place, entries)
