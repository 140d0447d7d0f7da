"""JSON as GQM stores it: compact UTF-8, exact integers, no NaN, no lone surrogates, 128 levels at most."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

__all__ = ["MAX_DEPTH", "NotJSON", "check_depth", "decode_json", "decode_object", "encode_json"]

MAX_DEPTH = 128
"""Deepest nesting of arrays and objects in a payload, ``meta`` or result."""

_TO_SQUARE = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class NotJSON(ValueError):
    """The value has no place in JSON as GQM stores it; the text says why."""


def encode_json(value: object) -> bytes:
    """Encode a value as compact UTF-8 JSON.

    Raises `NotJSON` for NaN and infinities, lone surrogates, nesting over 128 levels and types that
    JSON does not know. Dataclasses, msgspec structs, datetimes, UUIDs, decimals and enums are encoded, and
    ``msgspec.Raw`` is taken as JSON already.
    """
    try:
        raw = _encode(value)
    except RecursionError:
        raise NotJSON(f"nested deeper than {MAX_DEPTH} levels") from None
    except UnicodeEncodeError:
        raise NotJSON("text holds a lone surrogate") from None
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as exc:
        raise NotJSON(str(exc)) from None
    # msgspec writes NaN as null and does not limit depth. Both checks cost more than the encoding, so they
    # run only when the encoded text says that they could find something.
    if len(raw) > 2 * MAX_DEPTH and raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        check_depth(raw)
    if b"null" in raw or b'"nan"' in raw or b'inf"' in raw:
        _check_floats(value)
    return raw


def check_depth(raw: bytes) -> None:
    """Raise `NotJSON` if the JSON text nests deeper than 128 levels."""
    # Outside of strings is every second piece between quotes, once the escaped ones are gone.
    pieces = raw.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2]
    brackets = b"".join(pieces).translate(_TO_SQUARE, _NOT_BRACKETS)
    # Each round takes the innermost level away. All of it runs in C; real payloads are a few levels deep.
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return
    raise NotJSON(f"nested deeper than {MAX_DEPTH} levels")


def _check_floats(value: object) -> None:
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, float):
            if not math.isfinite(item):
                raise NotJSON(f"{item} is not a JSON number")
        elif isinstance(item, Mapping):
            todo.extend(key for key in item if isinstance(key, float))
            todo.extend(item.values())
        elif isinstance(item, list | tuple | set | frozenset):
            todo.extend(item)
        elif item is not None and not isinstance(item, str | int | bytes | msgspec.Raw):
            # A dataclass, struct or other object: look at what the encoder would see.
            plain = msgspec.to_builtins(item)
            if type(plain) is not type(item):
                todo.append(plain)


def decode_json(raw: bytes) -> object:
    """Decode JSON text. Raises ``ValueError`` if it is not JSON."""
    try:
        value: object = _decode(raw)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except msgspec.DecodeError as exc:
        raise ValueError(str(exc)) from None
    return value


def decode_object(raw: bytes | None) -> dict[str, object]:
    """Decode stored JSON that must be an object; nothing, empty text and ``null`` count as ``{}``.

    Raises ``ValueError`` saying why.
    """
    if not raw or raw == b"{}":
        return {}
    value = decode_json(raw)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"it is {_kind(value)}")
    return value


def _kind(value: object) -> str:
    for kind, name in ((bool, "a boolean"), (str, "a string"), (list, "an array")):
        if isinstance(value, kind):
            return name
    return "a number"
