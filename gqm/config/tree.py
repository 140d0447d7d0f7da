"""The configuration as a tree of nodes with places, the same for values from YAML, code and environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from gqm.config.problems import HIDDEN, Place, shown

__all__ = [
    "MAX_DEPTH",
    "Broken",
    "Entry",
    "Fields",
    "Foreign",
    "Items",
    "Node",
    "Scalar",
    "describe",
    "is_null",
    "item_path",
    "key_path",
]

MAX_DEPTH = 128
"""Deepest nesting of lists and mappings."""

_NULLS = ("", "~", "null", "Null", "NULL")
_BOOL = re.compile(r"(?i:true|false|yes|no|on|off)")
_INT = re.compile(r"[-+]?[0-9][0-9_]*")
_OTHER_INT = re.compile(r"[-+]?0[xob][0-9a-fA-F_]+")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?i:inf)|\.(?i:nan)")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value as it was written.

    ``plain``: written without quotes, so it may be read as a number or a boolean. ``hidden``: it is secret or
    comes from the environment, so no message may repeat it.
    """

    text: str
    place: Place
    plain: bool = True
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Entry:
    """What a key of a mapping leads to; ``place`` is that of the key."""

    place: Place
    node: Node


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping."""

    place: Place
    entries: Mapping[str, Entry] = field(default_factory=dict)

    def get(self, name: str) -> Node | None:
        """Return the node of a key, or ``None`` if the key is not there."""
        entry = self.entries.get(name)
        return entry.node if entry else None


@dataclass(frozen=True, slots=True)
class Foreign:
    """An object from code that no configuration can hold."""

    type_name: str
    place: Place


@dataclass(frozen=True, slots=True)
class Broken:
    """A value that was refused already; nothing more is said about it."""

    place: Place


Node: TypeAlias = Scalar | Items | Fields | Foreign | Broken


def is_null(node: Node) -> bool:
    """Whether the value stands for "not given": nothing, ``~`` or ``null`` without quotes.

    The text of an environment variable is never read as YAML, so of those only the empty one is.
    """
    if not isinstance(node, Scalar) or not node.plain:
        return False
    return not node.text if node.hidden else node.text in _NULLS


def describe(node: Node) -> str:
    """Name type and value of a node for "expected …, got …": ``text ("ten")``, ``float (1.5)``."""
    match node:
        case Items(items):
            return f"list ({len(items)} item{'s' * (len(items) != 1)})"
        case Fields(entries=entries):
            return f"mapping ({len(entries)} key{'s' * (len(entries) != 1)})"
        case Foreign(type_name):
            return f"object ({shown(type_name)})"
        case Scalar(text, _, plain, hidden):
            kind = _plain_type(text) if plain else "text"
            if hidden:
                return f"{kind} ({HIDDEN})"
            return f'text ("{shown(text)}")' if kind == "text" else f"{kind} ({shown(text) or 'nothing'})"
        case Broken():
            return "nothing"


def _plain_type(text: str) -> str:
    if text in _NULLS:
        return "null"
    for kind, pattern in (("bool", _BOOL), ("int", _INT), ("int", _OTHER_INT), ("float", _FLOAT)):
        if pattern.fullmatch(text):
            return kind
    return "text"


def key_path(path: str, key: str) -> str:
    """Return the path of a key below ``path``."""
    return f"{path}.{shown(key)}" if path else shown(key)


def item_path(path: str, index: int) -> str:
    """Return the path of a list item below ``path``."""
    return f"{path}[{index}]"
