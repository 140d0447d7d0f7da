"""How new YAML is written: text always in double quotes, on one line or over many, indented like the file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gqm.config.marks import Marked

__all__ = ["ITEM_STEP", "Style", "Value", "block_lines", "in_flow", "nested", "style_of"]

Value: TypeAlias = "bool | str | Mapping[str, Value] | Sequence[Mapping[str, Value]]"
"""What can be written: booleans, text, mappings, and lists of mappings."""

_STEP = 2
ITEM_STEP = 2
"""Columns between the dash of a list item and its first key."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a file is laid out."""

    step: int = _STEP
    """Columns that a mapping in a mapping is indented by."""
    dash: int = _STEP
    """Columns that the dash of a list stands behind its key."""


def style_of(root: Marked | None) -> Style:
    """Return the layout of a document: that of its first mapping in a mapping, and of its first list."""
    steps: list[int] = []
    dashes: list[int] = []
    todo = [root] if root is not None else []
    while todo:
        node = todo.pop(0)
        if node.kind == "mapping" and not node.flow:
            for key, value in node.pairs:
                if value.items and not value.flow:
                    (steps if value.kind == "mapping" else dashes).append(value.column - key.column)
        todo.extend(node.items)
    step = steps[0] if steps else _STEP
    return Style(step, dashes[0] if dashes else step)


def in_flow(value: Value) -> str:
    """Write a value on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {in_flow(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(in_flow(item) for item in value) + "]"


def block_lines(value: Value, indent: int, style: Style) -> list[str]:
    """Write a mapping or a list over lines, without line ends."""
    if isinstance(value, bool | str):
        return [f"{'':{indent}}{in_flow(value)}"]
    if isinstance(value, Mapping):
        return [line for key, item in value.items() for line in _pair_lines(key, item, indent, style)]
    lines = []
    for item in value:
        first, *others = block_lines(item, indent + ITEM_STEP, style)
        lines += [f"{'':{indent}}- {first.lstrip()}", *others]
    return lines


def _pair_lines(key: str, value: Value, indent: int, style: Style) -> list[str]:
    if isinstance(value, bool | str):
        return [f"{'':{indent}}{key}: {in_flow(value)}"]
    further = style.step if isinstance(value, Mapping) else style.dash
    return [f"{'':{indent}}{key}:", *block_lines(value, indent + further, style)]


def nested(path: Sequence[str], value: Value) -> Mapping[str, Value]:
    """Return the mapping that has a value at a path."""
    *outer, last = path
    found: Mapping[str, Value] = {last: value}
    for key in reversed(outer):
        found = {key: found}
    return found
