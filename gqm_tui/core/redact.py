"""Hide the values of secret keys in JSON text, without touching a byte of anything else."""

import json
import re
from collections.abc import Iterator, Sequence

HIDDEN = "••••"
_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_NAMED = re.compile(rf"({_STRING})(\s*:\s*)?", re.DOTALL)
_NESTED = re.compile(rf"{_STRING}|[\[\]{{}}]", re.DOTALL)
_PLAIN = re.compile(rf"{_STRING}|[^\s,\]}}]+", re.DOTALL)


def is_secret(key: str, keys: Sequence[str]) -> bool:
    """Tell whether a key is one of some, in any case, or has one of them as a part."""
    folded = key.casefold()
    return any(word.casefold() in folded for word in keys)


def mask_json(text: str, keys: Sequence[str]) -> tuple[str, int]:
    """Replace the values of secret keys in valid JSON text, whatever they hold; tell how many those were."""
    pieces = list(_pieces(text, keys)) if keys else [text]
    return f'"{HIDDEN}"'.join(pieces), len(pieces) - 1


def _pieces(text: str, keys: Sequence[str]) -> Iterator[str]:
    """Yield what stands between the secret values."""
    at = 0
    # Every string is met in its turn, so that a colon inside of one is never taken for a key's.
    for found in _NAMED.finditer(text):
        if found.start() < at or not found[2] or not is_secret(_name(found[1]), keys):
            continue
        yield text[at : found.end()]
        at = _end_of_value(text, found.end())
    yield text[at:]


def _name(raw: str) -> str:
    return str(json.loads(raw)) if "\\" in raw else raw[1:-1]


def _end_of_value(text: str, start: int) -> int:
    if text[start : start + 1] not in ("{", "["):
        found = _PLAIN.match(text, start)
        return found.end() if found else start
    depth = 0
    for found in _NESTED.finditer(text, start):
        if found[0] in ("{", "["):
            depth += 1
        elif found[0] in ("}", "]"):
            depth -= 1
        if depth == 0:
            return found.end()
    return len(text)
