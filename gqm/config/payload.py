"""The payload of a cron entry: a mapping of the configuration, or a text, as a JSON object."""

from __future__ import annotations

import re

from gqm.config.problems import Refused
from gqm.config.tree import Broken, Fields, Foreign, Items, Node, Scalar, is_null
from gqm.job import MAX_PAYLOAD, NotJSON, decode_json, encode_json

__all__ = ["read_payload"]

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+(?:[eE][-+]?[0-9]{1,4})?|[eE][-+]?[0-9]{1,4})")
_TRUE = ("true", "True", "TRUE")
_FALSE = ("false", "False", "FALSE")
_MAX_DIGITS = 400  # more fit no number of any JSON reader, and int() refuses very long ones


def read_payload(node: Node) -> dict[str, object] | None:
    """Return the JSON object that a node stands for; ``None`` if a part of it was refused already.

    Raises `Refused` (R44) with the reason. In a mapping, words without quotes are numbers, booleans or null
    where JSON has such; all else, and everything from the environment, is text.
    """
    try:
        value = _from_text(node.text) if isinstance(node, Scalar) else _plain(node)
        if not isinstance(value, dict):
            raise NotJSON(f"it is a {type(value).__name__}")
        size = len(encode_json(value))
    except _AlreadyRefused:
        return None
    except ValueError as exc:
        raise Refused("R44", f"not a JSON object: {exc}") from None
    if size > MAX_PAYLOAD:
        raise Refused("R44", f"larger than {MAX_PAYLOAD // 1_048_576} MiB")
    return value


class _AlreadyRefused(Exception):
    """A part of the payload has its problem reported."""


def _from_text(text: str) -> object:
    try:
        return decode_json(text.encode())
    except UnicodeEncodeError:
        raise NotJSON("text holds a lone surrogate") from None


def _plain(node: Node) -> object:
    match node:
        case Fields(entries=entries):
            return {name: _plain(entry.node) for name, entry in entries.items()}
        case Items(items):
            return [_plain(item) for item in items]
        case Scalar():
            return _value(node)
        case Foreign(type_name):
            raise NotJSON(f"{type_name} has no place in JSON")
        case Broken():
            raise _AlreadyRefused


def _value(node: Scalar) -> object:
    text = node.text
    if not node.plain or node.hidden:
        return text
    if is_null(node):
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.fullmatch(text):
        if len(text) > _MAX_DIGITS:
            raise NotJSON(f"a number of {len(text)} digits")
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
