"""Compare the keys that somebody chose with the bindings that exist."""

import unicodedata
from collections.abc import Collection, Mapping

from gqm_tui.core.tomlcheck import Problem, SettingsError, join, near

# What stands before the dot of a binding id is its scope. These work beside those of any other scope ...
_EVERYWHERE = frozenset({"app", "section"})
# ... these only where there is a list of rows ...
_LISTS = frozenset({"table", "list"})
# ... which these do not have.
_WITHOUT_LIST = frozenset({"graph", "job"})

# Names of single characters where the toolkit's differ from those of Unicode.
_RENAMED = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}


def key_name(key: str) -> str:
    """Return the one name of a key that may be written as a character: `?` is `question_mark`."""
    text = key.strip()
    *held, last = text.split("+") if len(text) > 1 else [text]
    if len(last) == 1 and not last.isalnum():
        name = unicodedata.name(last, "").lower().replace("-", "_").replace(" ", "_")
        last = _RENAMED.get(name, name) or last
    if held == ["shift"] and len(last) == 1 and last.isalpha():
        return last.upper()
    return "+".join([*(part.lower() for part in held), last if len(last) == 1 and not held else last.lower()])


def check_keymap(keymap: Mapping[str, str], bindings: Mapping[str, str], source: str = "tui.toml") -> None:
    """Refuse an unknown binding id, and a key that another binding of the same place has.

    `keymap` and `bindings` give keys by binding id, several of them with commas. Raises SettingsError with
    every problem.
    """
    problems: list[Problem] = []
    known = {name: keys for name, keys in keymap.items() if name in bindings}
    taken = {name: _names(keys) for name, keys in {**bindings, **known}.items()}
    for name in keymap:
        if name not in bindings:
            wrong = f"no binding has this id; {near(name, bindings)}"
        elif not all(taken[name]):
            wrong = 'must name a key like "P", "ctrl+p" or "f5"'
        else:
            wrong = _clash(name, taken[name] - _names(bindings[name]), taken)
        if wrong:
            problems.append(Problem(source, join("keymap", name), wrong))
    if problems:
        raise SettingsError(problems)


def _clash(name: str, added: Collection[str], taken: Mapping[str, Collection[str]]) -> str:
    """Say which of the added keys another binding has, if one has."""
    for other, keys in taken.items():
        both = sorted(set(added) & set(keys))
        if both and other != name and _meet(name.partition(".")[0], other.partition(".")[0]):
            return f'"{both[0]}" is in use by "{other}"'
    return ""


def _names(keys: str) -> set[str]:
    # A lone comma is a key, not a separator.
    return {key_name(key) for key in ([keys] if keys.strip() == "," else keys.split(","))}


def _meet(one: str, other: str) -> bool:
    scopes = {one, other}
    if len(scopes) == 1 or scopes & _EVERYWHERE:
        return True
    return bool(scopes & _LISTS) and not scopes & _WITHOUT_LIST
