"""What the environment adds: ``${NAME}`` in values, and the variables that stand for keys."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gqm.config.problems import Level, Place, Problem, Refused, shown
from gqm.config.tree import Broken, Entry, Fields, Items, Node, Scalar, is_null, item_path, key_path

__all__ = ["VARIABLES", "substitute", "with_variables"]

VARIABLES = {
    "GQM_REDIS_URL": "redis.url",
    "GQM_REDIS_PREFIX": "redis.prefix",
    "GQM_TIMEZONE": "app.timezone",
    "GQM_LOG_LEVEL": "app.log_level",
}
"""The variables that fill what file and code leave out, and the keys they stand for."""

_ADDRESSES = ("addr", "url", "sentinels")
_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}|\$\{")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:(:-)(.*))?", re.DOTALL)


def substitute(node: Node, env: Mapping[str, str], problems: list[Problem], path: str = "") -> Node:
    """Return the tree with every ``${NAME}`` and ``${NAME:-default}`` of the file replaced.

    ``$${`` writes ``${``; any other ``$`` stays. An empty variable counts as unset where a default is given.
    Values that have no position come from elsewhere and are taken as they are. What cannot be replaced is
    reported and becomes `Broken`.
    """
    match node:
        case Scalar() if node.place.line and "${" in node.text:
            return _replaced(node, env, problems, path)
        case Items(items, place):
            paths = (item_path(path, index) for index in range(len(items)))
            done = (substitute(item, env, problems, next(paths)) for item in items)
            return Items(tuple(done), place)
        case Fields(place, entries):
            replaced = {}
            for name, entry in entries.items():
                inner = substitute(entry.node, env, problems, key_path(path, name))
                replaced[name] = Entry(entry.place, inner)
            return Fields(place, replaced)
        case _:
            return node


def _replaced(node: Scalar, env: Mapping[str, str], problems: list[Problem], path: str) -> Node:
    reading = _Reading(env)
    try:
        text = _REFERENCE.sub(reading.value_of, node.text)
    except Refused as refused:
        reading.refused.append(refused)
    problems += (Problem(Level.ERROR, item.rule, node.place, path, item.text) for item in reading.refused)
    if reading.refused:
        return Broken(node.place)
    if reading.used:
        return Scalar(text, node.place, plain=True, hidden=True)
    return Scalar(text, node.place, node.plain, node.hidden)


class _Reading:
    """The replacement of the references in one value."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.used = False
        self.refused: list[Refused] = []

    def value_of(self, match: re.Match[str]) -> str:
        """Return what stands for a reference. Raises `Refused` (R11) if the rest makes no sense."""
        if match.group() == "$${":
            return "${"
        parts = _NAME.fullmatch(match.group(1)) if match.group(1) else None
        if parts is None:
            raise Refused("R11", 'unfinished "${"; write "$${" for these characters')
        self.used = True
        name, has_default, default = parts.groups()
        value = self._env.get(name)
        if has_default and not value:
            return str(default)
        if value is None:
            name = shown(name)
            text = f"environment variable {name} is not set; give it or write ${{{name}:-default}}"
            self.refused.append(Refused("R10", text))
            return ""
        return value


def with_variables(tree: Fields, env: Mapping[str, str], *, own_client: bool) -> Fields:
    """Return the tree with the `VARIABLES` in the places of the keys that are not given.

    ``GQM_REDIS_URL`` counts only if nothing says where Redis is, and never with a client of one's own.
    """
    for variable, path in VARIABLES.items():
        value = env.get(variable)
        section, name = path.split(".")
        known = tree.get(section)
        if not value or not (known is None or is_null(known) or isinstance(known, Fields)):
            continue
        fields = known if isinstance(known, Fields) else Fields(Place(variable))
        rivals = _ADDRESSES if name == "url" else (name,)
        if (own_client and name == "url") or any(_is_given(fields.get(rival)) for rival in rivals):
            continue
        place = Place(variable)
        entry = Entry(place, Scalar(value, place, plain=True, hidden=True))
        grown = Fields(fields.place, {**fields.entries, name: entry})
        tree = Fields(tree.place, {**tree.entries, section: Entry(place, grown)})
    return tree


def _is_given(node: Node | None) -> bool:
    match node:
        case None:
            return False
        case Items(items):
            return bool(items)
        case _:
            return not is_null(node) and not (isinstance(node, Scalar) and node.text == "")
