"""The tree of nodes read against the model: unknown keys, missing keys, types, ranges, forms."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from gqm.config.keys import Key, keys_of
from gqm.config.payload import read_payload
from gqm.config.problems import Level, Place, Problem, Refused, did_you_mean
from gqm.config.tree import Broken, Fields, Items, Node, Scalar, is_null, item_path, key_path
from gqm.config.values import Bool, ListOf, Payload, Section, Sections, Text, Tls, Value, Word, wrong_type

__all__ = ["Reader", "Spot"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a value was given, and whether a message may show it.

    ``written``: the value itself stands in the configuration, not the name of a variable that holds it.
    """

    place: Place
    hidden: bool = False
    written: bool = True


class Reader:
    """Turns a tree into values of the model, and keeps what later rules need to speak about them.

    ``spots`` has an entry for every value that was given and could be read, by its path; ``refused`` the
    paths of those that could not. A refused value is replaced by its default, so that indexes stay right.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.spots: dict[str, Spot] = {}
        self.refused: set[str] = set()

    def section(self, model: type[T], node: Node, path: str = "") -> T:
        """Read a mapping as a value of a model class."""
        values: dict[str, object] = {}
        if isinstance(node, Fields):
            self.spots[path] = Spot(node.place)
            any_model: type = model  # the type checker holds that type[T] cannot be hashed
            keys = keys_of(any_model)
            for name, entry in node.entries.items():
                known = keys.get(name)
                if known is None:
                    self._unknown(name, entry.place, keys, path)
                elif _is_given(entry.node, known):
                    values[known.field] = self._value(known, entry.node, key_path(path, name))
            for known in keys.values():
                if known.required and known.field not in values:
                    self._missing(known.name, node.place, path)
        else:
            self._wrong(Section.name, node, path)
        return model(**{field: value for field, value in values.items() if value is not None})

    def _unknown(self, name: str, place: Place, keys: Iterable[str], path: str) -> None:
        allowed = sorted(keys)
        text = f"unknown key ({', '.join(allowed)}){did_you_mean(name, allowed)}"
        self._refuse(Refused("R7", text), place, key_path(path, name))

    def _missing(self, name: str, place: Place, path: str) -> None:
        self.refused.add(key_path(path, name))
        self.problems.append(Problem(Level.ERROR, "R8", place, path, f'required key "{name}" is missing'))

    def _value(self, known: Key, node: Node, path: str) -> object:
        """Read the value of a key; ``None`` stands for one that was refused."""
        match known.kind:
            case Section(model):
                return self.section(model, node, path)
            case Sections(model):
                return self._sections(model, node, path)
            case Tls():
                return self._tls(known.kind, node, path)
            case ListOf(kind):
                return self._list(kind, node, path)
            case Payload():
                return self._payload(node, path)
            case kind:
                return self._scalar(kind, node, path, secret=known.secret)

    def _scalar(self, kind: Value, node: Node, path: str, *, secret: bool = False) -> object:
        if not isinstance(node, Scalar):
            self._wrong(kind.name, node, path)
            return None
        hidden = secret or node.hidden
        try:
            value = kind.read(Scalar(node.text, node.place, node.plain, hidden))
        except Refused as refused:
            self._refuse(refused, node.place, path)
            return None
        self.spots[path] = Spot(node.place, hidden, written=not node.hidden)
        return value

    def _list(self, kind: Value, node: Node, path: str) -> object:
        nodes = self._items(node, path)
        if nodes is None:
            return None
        blank = "" if isinstance(kind, Text) else 0.0
        values = []
        for index, item in enumerate(nodes):
            value = self._item(kind, item, item_path(path, index))
            values.append(blank if value is None else value)
        return tuple(values)

    def _item(self, kind: Value, node: Node, path: str) -> object:
        if not is_null(node):
            return self._scalar(kind, node, path)
        self._wrong(kind.name, node, path)
        return None

    def _sections(self, model: type, node: Node, path: str) -> object:
        nodes = self._items(node, path)
        if nodes is None:
            return None
        return tuple(self.section(model, item, item_path(path, index)) for index, item in enumerate(nodes))

    def _items(self, node: Node, path: str) -> tuple[Node, ...] | None:
        if isinstance(node, Items):
            self.spots[path] = Spot(node.place)
            return node.items
        self._wrong(ListOf.name, node, path)
        return None

    def _tls(self, kind: Tls, node: Node, path: str) -> object:
        if isinstance(node, Fields):
            return dataclasses.replace(self.section(kind.model, node, path), enabled=True)
        if isinstance(node, Scalar):
            enabled = self._scalar(Bool(), node, path)
            return None if enabled is None else kind.model(enabled=enabled is True)
        self._wrong(kind.name, node, path)
        return None

    def _payload(self, node: Node, path: str) -> object:
        try:
            payload = read_payload(node)
        except Refused as refused:
            self._refuse(refused, node.place, path)
            return None
        self.spots[path] = Spot(node.place)
        return payload

    def _wrong(self, expected: str, node: Node, path: str) -> None:
        """Report a value of the wrong type. What is `Broken` was reported when it broke."""
        self.refused.add(path)
        if not isinstance(node, Broken):
            self._refuse(wrong_type(expected, node), node.place, path)

    def _refuse(self, refused: Refused, place: Place, path: str) -> None:
        self.refused.add(path)
        self.problems.append(Problem(Level.ERROR, refused.rule, place, path, refused.text))


def _is_given(node: Node, known: Key) -> bool:
    """Whether a key has a value: null means "not given", and so does an empty text where text is expected."""
    if is_null(node):
        return False
    if isinstance(node, Scalar) and node.text == "" and isinstance(known.kind, Text | Word | Payload):
        return known.empty_counts
    return True
