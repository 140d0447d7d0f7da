"""The file that ``gqm init`` writes: every key once, in use or commented out, and ready to run."""

from __future__ import annotations

import json
from collections.abc import Mapping

from gqm.config.formats import REDIS_URL
from gqm.config.keys import Key, keys_of
from gqm.config.model import Config
from gqm.config.values import Bool, ListOf, Section, Sections, Text, Word

__all__ = ["render_template"]

_COMMENT_COLUMN = 37
_HEAD = """\
# Configuration of GQM; "gqm check" tests it. What is commented out shows the default, or an example.
# A duration is a number of whole seconds, or text such as "500ms", "30s", "1h30m", "7d".
"""

_UNUSED = '""'
_NOTHING = ""


def render_template(redis_addr: str = "embedded") -> str:
    """Return the text of a new ``gqm.yaml`` for a Redis address or URL.

    The API listens on this machine only and asks for no sign-in. The text stays valid when any one block of
    comments is uncommented. Nothing is checked here: a wrong address shows when the text is loaded.
    """
    lines = [_HEAD]
    values = _address_values(redis_addr)
    for name, known in keys_of(Config).items():
        lines += [*_section(known, "", values if name == "redis" else {}), ""]
    return "\n".join(lines)


def _address_values(redis_addr: str) -> dict[str, str]:
    """Return the keys of ``redis`` that depend on the address. Beside a URL most others would be refused."""
    address = json.dumps(redis_addr)
    if REDIS_URL.accepts(redis_addr):
        return {"addr": _UNUSED, "url": address, "db": _NOTHING, "tls": _NOTHING}
    return {"addr": address}


def _section(known: Key, indent: str, values: Mapping[str, str]) -> list[str]:
    title = _commented(f"{indent}{known.name}:", known.doc)
    inner = f"{indent}  "
    if isinstance(known.kind, Section):
        return [title, *_keys(known.kind.model, inner, values)]
    if isinstance(known.kind, Sections):
        item = _item_in_use if known.active else _item_in_comments
        return [title, *item(known.kind.model, inner)]
    raise TypeError(f"{known.name} is no section")


def _keys(model: type, indent: str, values: Mapping[str, str]) -> list[str]:
    lines = []
    for name, known in keys_of(model).items():
        if isinstance(known.kind, Section | Sections):
            lines += _section(known, indent, {})
        else:
            value = values.get(name, known.template_value)
            active = known.active if name not in values else value not in (_UNUSED, _NOTHING)
            lines.append(_line(f"{indent}{'' if active else '# '}", known, value))
    return lines


def _item_in_use(model: type, indent: str) -> list[str]:
    first, *others = _keys(model, f"{indent}  ", {})
    return [f"{indent}- {first.lstrip()}", *others]


def _item_in_comments(model: type, indent: str) -> list[str]:
    keys = keys_of(model).values()
    starts = ("- ", *("  ",) * (len(keys) - 1))
    pairs = zip(starts, keys, strict=True)
    return [_line(f"{indent}# {start}", known, known.template_value) for start, known in pairs]


def _line(start: str, known: Key, value: str) -> str:
    return _commented(f"{start}{known.name}: {value}".rstrip(), _explained(known, value))


def _commented(code: str, comment: str) -> str:
    return f"{code:<{_COMMENT_COLUMN - 1}} # {comment}"


def _explained(known: Key, value: str) -> str:
    """Say what a key means, which values it takes, and its default where the value shown is another."""
    text = known.doc
    if isinstance(known.kind, Word):
        text += f": {known.allowed}"
    elif known.allowed and not isinstance(known.kind, Bool | ListOf | Text):
        text += f" ({known.allowed})"
    default = known.default_words
    if not known.required and default != (value.strip('"[]') or "none"):
        text += f"; default {default}"
    return text
