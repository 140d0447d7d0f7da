"""Writes the tables of ``docs/rest.md``, from routes and models: ``python -m gqm.monitor.reference``.

What stands between the marks of the page is made here; everything around them is written by hand.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec

from gqm.config import code_options, default_config
from gqm.monitor.openapi import Schema, query_parameters
from gqm.monitor.options import Hooks
from gqm.monitor.problems import STATUS
from gqm.monitor.routes import rows
from gqm.monitor.settings import make_settings
from gqm.monitor.table import Row

PAGE = "docs/rest.md"
_MARKED = re.compile(r"(<!-- begin (\w+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)
_REF = "{name}"
_GROUPS = (
    ("Queues", "/api/v1/queues"),
    ("Jobs", "/api/v1/jobs"),
    ("Job graphs", "/api/v1/dag"),
    ("Failures", "/api/v1/failed"),
    ("Cron", "/api/v1/cron"),
    ("Servers and workers", "/api/v1/servers", "/api/v1/workers"),
    ("Sums and series", "/api/v1/stats"),
    ("Events and audit", "/api/v1/events", "/api/v1/audit"),
    ("Sign-in", "/auth"),
    ("Open to everybody", "/"),
)


def page(text: str) -> str:
    """Return the page with its tables made anew. Raises ``KeyError`` for a mark that is not known."""
    table = _table()
    parts = {
        "calls": lambda: _calls(table),
        "parameters": lambda: _parameters(table),
        "bodies": lambda: _structs(_with_nested(row.body for row in table)),
        "objects": lambda: _structs(
            _with_nested(item for row in table for item in (row.answer, row.preview))
        ),
        "codes": _codes,
    }
    return _MARKED.sub(lambda mark: mark[1] + "\n" + parts[mark[2]]() + "\n" + mark[3], text)


def _table() -> tuple[Row, ...]:
    options = code_options(dashboard=True, api_addr="127.0.0.1:8080")
    return rows(make_settings(default_config(options, env={}), Hooks()))


# ------------------------------------------------------------------------------------------- calls


def _calls(table: Iterable[Row]) -> str:
    left = list(table)
    lines: list[str] = []
    for title, *starts in _GROUPS:
        mine = [row for row in left if row.path.startswith(tuple(starts))]
        left = [row for row in left if row not in mine]
        lines += [f"### {title}", ""]
        lines += ["| Call | Role | What it does | Takes | `data` of the answer |", "|---|---|---|---|---|"]
        lines += [_call(row) for row in mine]
        lines.append("")
    return "\n".join(lines)


def _call(row: Row) -> str:
    takes = [f"`{item['name']}`" for item in query_parameters(row)]
    if row.body is not None:
        takes.append(_link(row.body))
    answer = " or ".join(_answer(model) for model in (row.answer, row.preview) if model is not None)
    if row.answer is not None and not row.enveloped:
        answer = f"whole body: {answer}"
    elif row.answer is None and row.media_type:
        answer = f"`{row.media_type}`"
    role = f"{row.access}, session" if row.session_only else "–" if row.access == "none" else row.access
    path = row.path.replace("*", "…")
    return f"| {row.method} `{path}` | {role} | {row.summary} | {' '.join(takes)} | {answer} |"


def _answer(model: object) -> str:
    if isinstance(model, type) and issubclass(model, msgspec.Struct):
        return _link(model)
    inner = [item for item in get_args(model) if isinstance(item, type) and issubclass(item, msgspec.Struct)]
    return f"list of {_link(inner[0])}" if inner else "object"


def _link(model: type) -> str:
    return f"[{model.__name__}](#{model.__name__.lower()})"


# ------------------------------------------------------------------------------------------ models


def _unique(models: Iterable[object]) -> list[type]:
    """Return the structs among models, and those in lists, each once."""
    found: dict[type, None] = {}
    for model in models:
        for item in (model, *get_args(model)):
            if isinstance(item, type) and issubclass(item, msgspec.Struct):
                found.setdefault(item)
    return list(found)


def _with_nested(models: Iterable[object]) -> list[type]:
    """Return models with those that they are made of behind them."""
    found: dict[type, None] = {}
    for model in _unique(models):
        for item in (model, *_nested(model)):
            found.setdefault(item)
    return list(found)


def _nested(model: type) -> Iterator[type]:
    for field in msgspec.structs.fields(model):
        for item in _inside(field.type):
            yield item
            yield from _nested(item)


def _inside(kind: object) -> Iterator[type]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    for item in get_args(kind):
        yield from _inside(item)


def _structs(models: Iterable[type]) -> str:
    return "\n".join(_struct(model) for model in models)


def _struct(model: type) -> str:
    _, found = msgspec.json.schema_components([model], ref_template=_REF)
    schema = found[model.__name__]
    required, meanings = schema.get("required", ()), _meanings(model)
    lines = [f"### {model.__name__}", "", _sentence(inspect.getdoc(model) or ""), ""]
    lines += ["| Field | Type | Meaning |", "|---|---|---|"]
    for name, item in schema["properties"].items():
        optional = "" if name in required else " *opt*"
        lines.append(f"| `{name}`{optional} | {_words(item)} | {meanings.get(name, '')} |")
    return "\n".join([*lines, ""])


def _parameters(table: Iterable[Row]) -> str:
    """Return a row for each parameter; those that are not the same everywhere have one for each form."""
    forms: dict[str, dict[tuple[str, str], list[str]]] = {}
    for row in table:
        meanings = _meanings(row.query) if row.query is not None else {}
        for item in query_parameters(row):
            name = item["name"]
            form = _words(item["schema"]) + _default(item["schema"]), meanings.get(name, "")
            forms.setdefault(name, {}).setdefault(form, []).append(row.path.removeprefix("/api/v1"))
    lines = ["| Parameter | Of | Value | Meaning |", "|---|---|---|---|"]
    for name, found in sorted(forms.items()):
        for (words, meaning), paths in found.items():
            where = " ".join(f"`{path}`" for path in paths) if len(found) > 1 else "all"
            lines.append(f"| `{name}` | {where} | {words} | {meaning} |")
    return "\n".join([*lines, ""])


def _sentence(text: str) -> str:
    return text.partition("\n\n")[0].replace("\n", " ")


def _default(schema: Mapping[str, Any]) -> str:
    value = schema.get("default")
    if value in (None, "", ()):
        return ""
    if isinstance(value, bool):
        value = str(value).lower()
    return f"; default {','.join(value) if isinstance(value, tuple) else value}"


def _meanings(model: type) -> dict[str, str]:
    """Return the texts below the fields of a struct, those of its bases too."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not issubclass(base, msgspec.Struct) or base is msgspec.Struct:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                found[field.target.id] = " ".join(_text_below(text).split())
    return {name: text.replace("``", "`").replace("|", "\\|") for name, text in found.items()}


def _text_below(node: ast.stmt) -> str:
    value = node.value if isinstance(node, ast.Expr) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


# ------------------------------------------------------------------------------------------- types

_PLAIN = {"integer": "int", "number": "number", "string": "text", "boolean": "bool", "null": "null"}


def _words(schema: Schema) -> str:
    """Return a JSON schema in words."""
    if "$ref" in schema:
        return f"[{schema['$ref']}](#{schema['$ref'].lower()})"
    if "anyOf" in schema:
        return " or ".join(_words(item) for item in schema["anyOf"])
    if "enum" in schema:
        return " ".join("null" if value is None else f"`{value}`" for value in schema["enum"])
    return _typed(schema)


def _typed(schema: Schema) -> str:
    kind = schema.get("type")
    if kind == "array":
        inner = schema["items"]
        if "enum" in inner:
            return _words(inner) + _range(schema, "minItems", "maxItems", " of them")
        return f"list of {_words(inner)}" + _range(schema, "minItems", "maxItems", " items")
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"object of {_words(inner)}" if inner else "object"
    if kind is None:
        return "JSON"
    limits = _range(schema, "minimum", "maximum") or _range(schema, "minLength", "maxLength", " characters")
    return _PLAIN[kind] + limits


def _range(schema: Schema, low: str, high: str, unit: str = "") -> str:
    """Return what a schema says of a size: nothing, a lower or an upper bound, or both."""
    least, most = schema.get(low), schema.get(high)
    if most is not None and least is not None:
        return f"{', ' if unit else ' '}{least:,}–{most:,}{unit}"
    if most is not None:
        return f" ≤ {most:,}{unit}"
    return f" ≥ {least:,}{unit}" if least is not None else ""


# ------------------------------------------------------------------------------------------- codes


def _codes() -> str:
    by_status: dict[int, list[str]] = {}
    for code, status in STATUS.items():
        by_status.setdefault(status, []).append(f"`{code}`")
    lines = ["| Status | Codes |", "|---|---|"]
    lines += [f"| {status} | {', '.join(codes)} |" for status, codes in sorted(by_status.items())]
    return "\n".join([*lines, ""])


def main() -> int:
    """Make the tables of the page anew."""
    path = Path(__file__).resolve().parents[2] / PAGE
    before = path.read_text(encoding="utf-8")
    after = page(before)
    if after != before:
        path.write_text(after, encoding="utf-8")
        sys.stdout.write(f"wrote {PAGE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
