"""Users and API keys of a configuration text: who is there, and the text with one more, fewer or changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gqm.config.marks import Marked, mark
from gqm_cli.yaml_edit import Editor

__all__ = [
    "ADMIN",
    "VIEWER",
    "Entry",
    "KeyInUse",
    "UserChange",
    "api_keys_of",
    "users_of",
    "with_api_key",
    "with_user",
    "without_api_key",
    "without_user",
]

ADMIN, VIEWER = "admin", "viewer"

_AUTH = ("monitoring", "auth")
_USERS = (*_AUTH, "users")
_API_KEYS = ("monitoring", "api", "api_keys")
_YES = ("true", "yes", "on", "y")
_KEY_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_FROM_ENVIRONMENT = re.compile(r"(?<!\$)\$\{")
_SHORTEST_KEY = 32


@dataclass(frozen=True, slots=True)
class Entry:
    """A user or an API key as it stands in the text."""

    index: int
    node: Marked
    name: str
    role: str
    fields: dict[str, str]


class UserChange(NamedTuple):
    """A text with a user's password set, and what that changed."""

    text: str
    created: bool
    role: str
    enabled: bool
    """Whether signing in was turned on."""


class KeyInUse(Exception):
    """There is a usable API key of that name already."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry.name)
        self.line, self.column = entry.node.line, entry.node.column


def users_of(text: str) -> list[Entry]:
    """Return the users of a text. Raises `EditRefused`."""
    return _entries(Editor(text), _USERS, "username")


def api_keys_of(text: str) -> list[Entry]:
    """Return the API keys of a text. Raises `EditRefused`."""
    return _entries(Editor(text), _API_KEYS, "name")


def with_user(text: str, name: str, password_hash: str, role: str | None) -> UserChange:
    """Set a user's password, and the role if one is given; a missing user is added.

    The first user of a file is an admin, any other added one a viewer. Signing in is turned on. Raises
    `EditRefused`.
    """
    editor = Editor(text)
    entries = _entries(editor, _USERS, "username")
    entry = _named(entries, name)
    enabled = editor.find(*_AUTH, "enabled")
    turn_on = enabled is None or not (_is_yes(enabled) or _FROM_ENVIRONMENT.search(enabled.value))
    if turn_on:
        editor.put((*_AUTH, "enabled"), True)
    if entry is None:
        given = role or (VIEWER if entries else ADMIN)
        editor.append(_USERS, {"username": name, "password_hash": password_hash, "role": given})
        return UserChange(editor.text, True, given, turn_on)
    editor.set_in(_again(editor, _USERS, entry), "password_hash", password_hash)
    if role is not None and role != entry.role:
        editor.set_in(_again(editor, _USERS, entry), "role", role)
    return UserChange(editor.text, False, role or entry.role, turn_on)


def without_user(text: str, name: str) -> str:
    """Return the text without a user. Raises `KeyError` for an unknown one, and `EditRefused`."""
    return _without(text, _USERS, "username", name)


def with_api_key(text: str, name: str, key_hash: str, role: str | None) -> tuple[str, str]:
    """Add an API key, or fill in the entry of that name that has none; returns text and role.

    An added key is a viewer's unless a role is given, an entry keeps its role. Raises `KeyInUse` and
    `EditRefused`.
    """
    editor = Editor(text)
    entry = _named(_entries(editor, _API_KEYS, "name"), name)
    if entry is None:
        given = role or VIEWER
        editor.append(_API_KEYS, {"name": name, "key_hash": key_hash, "role": given})
        return editor.text, given
    if _is_usable(entry.fields):
        raise KeyInUse(entry)
    node = _again(editor, _API_KEYS, entry)
    if "key" in entry.fields and "key_hash" not in entry.fields:
        editor.rename_in(node, "key", "key_hash", key_hash)
    else:
        editor.set_in(node, "key_hash", key_hash)
    if entry.fields.get("key") and "key_hash" in entry.fields:
        editor.set_in(_again(editor, _API_KEYS, entry), "key", "")
    if role is not None and role != entry.role:
        editor.set_in(_again(editor, _API_KEYS, entry), "role", role)
    return editor.text, role or entry.role


def without_api_key(text: str, name: str) -> str:
    """Return the text without an API key. Raises `KeyError` for an unknown one, and `EditRefused`."""
    return _without(text, _API_KEYS, "name", name)


def _without(text: str, path: Sequence[str], name_key: str, name: str) -> str:
    editor = Editor(text)
    entry = _named(_entries(editor, path, name_key), name)
    if entry is None:
        raise KeyError(name)
    editor.remove(path, entry.index)
    return editor.text


def _is_usable(fields: dict[str, str]) -> bool:
    """Whether an entry has a key that works, or may have one in the environment."""
    key, key_hash = fields.get("key", ""), fields.get("key_hash", "")
    if _FROM_ENVIRONMENT.search(key + key_hash):
        return True
    long_enough = len(key) >= _SHORTEST_KEY and key.isascii() and key.isprintable()
    return long_enough or _KEY_HASH.fullmatch(key_hash) is not None


def _is_yes(node: Marked) -> bool:
    return node.plain and node.value.lower() in _YES


# ------------------------------------------------------------------------------------- reading


def _entries(editor: Editor, path: Sequence[str], name_key: str) -> list[Entry]:
    anchors = {node.anchor: node for node in _nodes(mark(editor.text)) if node.anchor}
    found = []
    for index, node in enumerate(editor.list_items(*path)):
        fields = _fields(node, anchors)
        found.append(Entry(index, node, fields.get(name_key, ""), fields.get("role") or VIEWER, fields))
    return found


def _nodes(root: Marked | None) -> Iterator[Marked]:
    todo = [root] if root is not None else []
    while todo:
        node = todo.pop()
        yield node
        todo.extend(node.items)


def _fields(node: Marked, anchors: dict[str, Marked]) -> dict[str, str]:
    """Return the single values of a mapping, also of those that aliases and merge keys stand for."""
    node = anchors.get(node.value, node) if node.kind == "alias" else node
    if node.kind != "mapping":
        return {}
    own: dict[str, str] = {}
    for key, value in node.pairs:
        if key.plain and key.value == "<<":
            for source in value.items if value.kind == "list" else [value]:
                own = {**_fields(source, anchors), **own}
        else:
            resolved = anchors.get(value.value, value) if value.kind == "alias" else value
            null = resolved.plain and resolved.value.lower() in ("", "~", "null")
            own[key.value] = "" if null or resolved.kind != "scalar" else resolved.value
    return own


def _named(entries: Sequence[Entry], name: str) -> Entry | None:
    return next((entry for entry in entries if entry.name == name), None)


def _again(editor: Editor, path: Sequence[str], entry: Entry) -> Marked:
    """Return where an entry stands now, after changes before it."""
    return editor.list_items(*path)[entry.index]
